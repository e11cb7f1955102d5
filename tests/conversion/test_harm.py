"""What training returns is never less than it had; what is judged, and by what."""

from __future__ import annotations

import pytest
import torch
from conversion.converted import converted, samples
from conversion.models import Plain, settle

from benchmarks.harm import ALLOWED, gain, problem
from neurocuda_hw.conversion.tasks import clearly_better
from neurocuda_hw.data.batches import Batches

# in 10 and 28 training with a careless judge did harm; the others are any
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
    before, after = torch.zeros(15), torch.zeros(15)
    after[:2] = 1
    assert not clearly_better(after, before)
    assert clearly_better(torch.ones(15), before)
    assert not clearly_better(before, before)
    many, more = torch.ones(5000), torch.ones(5000)
    many[:100] = 0
    more[:40] = 0
    assert clearly_better(more, many)
    assert not clearly_better(many, more)


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
