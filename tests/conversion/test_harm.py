"""What training returns is never less than it had; what is judged, and by what."""

from __future__ import annotations

import pytest
import torch
from conversion.converted import converted, samples
from conversion.models import Plain, row, settle
from torch import nn

from benchmarks.harm import ALLOWED, gain, problem
from neurocuda_hw.conversion.qcfs import QcfsModel
from neurocuda_hw.conversion.tasks import Task, clearly_better
from neurocuda_hw.data.batches import Batches

# in 10 and 28 training with a careless judge did harm; the others are any
G = torch.Generator().manual_seed(0)
SEEDS = (0, 3, 10, 15, 21, 28, 40, 52, 61, 77)


@pytest.mark.parametrize("seed", SEEDS)
def test_small_problems_are_not_harmed(seed: int) -> None:
    points, _, unequal = gain(problem(seed), "exact", seed)
    assert points >= -ALLOWED
    assert unequal == 0


def test_what_was_thrown_away_is_said() -> None:
    x, y = samples((1, 8, 8), 64), torch.arange(64) % 5
    plain = converted(settle(Plain()), (x, y), strategy="exact")
    tried = converted(settle(Plain()), (x, y), strategy="exact", qcfs_epochs=2, rate=0.5)
    assert tried.network.hash == plain.network.hash
    assert tried.stats.course == (
        "exact, 2 epochs (epoch 0 was best on the samples that were held out) of the quantised ANN"
    )
    assert tried.stats.notes == (
        "training of the quantised ANN (2 epochs) was thrown away: on the samples that "
        "were held out no epoch was clearly better than what there was before",
    )


def test_little_data_says_little() -> None:
    before, after = torch.zeros(15, 1), torch.zeros(15, 1)
    after[:2] = 1
    assert not clearly_better(after, before)
    assert clearly_better(torch.ones(15, 1), before)
    assert not clearly_better(before, before)
    many, more = torch.ones(5000, 1), torch.ones(5000, 1)
    many[:100] = 0
    more[:40] = 0
    assert clearly_better(more, many)
    assert not clearly_better(many, more)


def test_likeness_decides_where_answers_are_as_often_right() -> None:
    """As right as before on 15 samples, and closer to the trained model's probabilities."""
    wanted = 3 * torch.randn(15, 4, generator=torch.Generator().manual_seed(1))
    near, far = (Task.CLASSIFY.judged(wanted + off, wanted) for off in (0.1, 0.4 * wanted))
    exact = Task.CLASSIFY.judged(wanted, wanted)
    assert torch.allclose(exact[:, 1], torch.zeros(15, dtype=torch.float64), atol=1e-6)
    assert clearly_better(near, far)
    assert not clearly_better(far, near)
    worse = near.clone()
    worse[0, 0] = 0
    assert not clearly_better(worse, far)
    yes = Task.BINARY.judged(torch.tensor([[0.0]]), torch.tensor([[2.0]]))
    p = torch.sigmoid(torch.tensor(2.0))
    apart = p * (p / 0.5).log() + (1 - p) * ((1 - p) / 0.5).log()
    assert yes.tolist() == [[0.0, pytest.approx(-float(apart), abs=1e-6)]]
    labels = torch.zeros(15, dtype=torch.long)
    assert Task.CLASSIFY.judged(wanted, labels).shape == (15, 1)
    apart = Task.REGRESS.judged(wanted, wanted + 1)
    assert torch.allclose(apart, -torch.ones(15, 1, dtype=torch.float64))


def test_weights_of_inputs_far_from_0_may_be_trained() -> None:
    """The bias follows what rounding makes of the weights: sums stay where they were."""
    x = 50 + torch.rand((64, 6), generator=torch.Generator().manual_seed(2))
    model = settle(row(nn.BatchNorm1d(6), nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)))
    model[0].running_mean.copy_(x.mean(0))
    model[0].running_var.copy_(x.var(0))
    module = converted(model, x, task="classify", strategy="exact", weight_bits=4).snn.trained
    assert isinstance(module, QcfsModel)
    with torch.no_grad():
        before = module(x)
        for weight in module.weights:
            weight *= 1 + 0.05 * torch.randn(weight.shape, generator=G)
        moved = (module(x) - before).abs().mean() / before.std(0).mean()
    assert float(moved) < 0.3  # 0.8 where it does not follow


def test_held_out_samples_are_not_trained_on() -> None:
    x = torch.arange(400.0).reshape(-1, 1)
    data = Batches((x, torch.arange(400)), "training data", 32)
    held = data.hold_out(0)
    trained = torch.cat([part for part, _ in data.epoch(torch.Generator())])
    assert held.x is not None
    assert len(held.x) == 100
    assert not set(held.x.flatten().tolist()) & set(trained.flatten().tolist())
    assert len(trained) == 300
    assert held.first_labels() is None
