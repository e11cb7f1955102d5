"""Biases corrected for the spikes of the rate code bring its means to those of the model."""

from __future__ import annotations

import pytest
import torch
from conversion.converted import converted, samples
from conversion.models import Plain, Residual, settle
from conversion.test_qcfs import draw, module
from torch import nn

from neurocuda_hw.conversion import spiking, trainer
from neurocuda_hw.conversion.drift import correct_drift
from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.qcfs import QcfsModel
from neurocuda_hw.conversion.quantize import Code

pytestmark = pytest.mark.slow

STYLES = [(Plain(), (1, 8, 8)), (Residual(), (3, 8, 8))]


def states(model: QcfsModel) -> list[list[float]]:
    """All that may be corrected or trained."""
    return [value.flatten().tolist() for value in model.state_dict().values()]


@pytest.mark.parametrize("steps", [2, 5])
def test_answers_come_nearer_to_the_model(steps: int) -> None:
    """On inputs that it was not corrected with; a residual network drifts far enough to tell."""
    x = draw((3, 8, 8), 512)
    seen, unseen = x[:256], x[256:]
    trained = module(settle(Residual()), seen, Code.RATE, levels=steps)
    wanted = evaluate(trained.graph, unseen)[-1].flatten(1).float()
    with torch.no_grad():
        before = (spiking.run(trained, unseen) - wanted).square().mean()
        correct_drift(trained, seen)
        after = (spiking.run(trained, unseen) - wanted).square().mean()
    assert after < 0.9 * before


@pytest.mark.parametrize("steps", [2, 5])
@pytest.mark.parametrize(("model", "shape"), STYLES)
def test_mean_answers_are_those_of_the_model(
    model: nn.Module, shape: tuple[int, ...], steps: int
) -> None:
    """The last biases are corrected for everything before them: only their rounding is left."""
    x = draw(shape, 256)
    trained = module(settle(model), x, Code.RATE, levels=steps)
    wanted = evaluate(trained.graph, x)[-1].flatten(1).float()
    correct_drift(trained, x)
    with torch.no_grad():
        mean = (spiking.run(trained, x) - wanted).mean(0)
    assert float(mean.abs().max()) < 0.02 * float(wanted.abs().max())


def test_weights_and_clip_values_stay() -> None:
    x = draw((3, 8, 8), 64)
    trained = module(settle(Residual()), x, Code.RATE, levels=4)
    kept = [p.detach().clone() for p in (*trained.weights, *trained.log_clips)]
    biases = [p.detach().clone() for p in trained.biases]
    correct_drift(trained, x)
    for before, now in zip(kept, (*trained.weights, *trained.log_clips), strict=True):
        assert torch.equal(before, now)
    assert all(not torch.equal(a, b) for a, b in zip(biases, trained.biases, strict=True))


def test_inputs_beyond_what_memory_allows_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurocuda_hw.conversion.drift._VALUES", 1)
    x = draw((1, 8, 8), 100)
    found = []
    for given in (x, x[:32]):
        trained = module(settle(Plain()), x, Code.RATE, levels=4)
        correct_drift(trained, given)
        found.append(states(trained))
    assert found[0] == found[1]


@pytest.mark.parametrize("helps", [True, False])
def test_a_correction_that_does_not_help_is_taken_back(
    helps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shift(model: QcfsModel, x: torch.Tensor) -> None:
        """A correction that spoils all answers, or changes none."""
        with torch.no_grad():
            model.biases[-1].add_(1e-6 if helps else torch.linspace(0, 1e4, 5))

    monkeypatch.setattr(trainer, "correct_drift", lambda model, x: None)
    x = samples((1, 8, 8), 64, signed=False)
    options = {"strategy": "qcfs_direct", "timesteps": 4}
    without = converted(settle(Plain()), x, **options)
    monkeypatch.setattr(trainer, "correct_drift", shift)
    found = converted(settle(Plain()), x, **options)
    same = states(without.snn.trained) == states(found.snn.trained)
    assert same is not helps


def test_the_exact_code_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: QcfsModel, x: torch.Tensor) -> None:
        raise AssertionError("the exact code has no drift")

    monkeypatch.setattr(trainer, "correct_drift", fail)
    x = samples((1, 8, 8), 64, signed=False)
    assert converted(settle(Plain()), x, strategy="exact", levels=4).snn.timesteps > 0
    with pytest.raises(AssertionError, match="no drift"):
        converted(settle(Plain()), x, strategy="qcfs_direct", timesteps=4)
