"""Biases and clip values corrected layer by layer bring the integers nearer to the model."""

from __future__ import annotations

import pytest
import torch
from conversion.models import Plain, Residual, settle
from conversion.test_qcfs import draw, module
from torch import nn

from neurocuda_hw.conversion.correction import correct
from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.quantize import Code

STYLES = [(Plain(), (1, 8, 8)), (Residual(), (3, 8, 8))]


@pytest.mark.parametrize("code", list(Code))
@pytest.mark.parametrize(("model", "shape"), STYLES)
def test_answers_come_nearer_to_the_model(
    model: nn.Module, shape: tuple[int, ...], code: Code
) -> None:
    """On inputs that it was not corrected with; with three levels there is much to correct."""
    x = draw(shape, 512)
    seen, unseen = x[:256], x[256:]
    trained = module(settle(model), seen, code, levels=3)
    wanted = evaluate(trained.graph, unseen)[-1].flatten(1).float()
    with torch.no_grad():
        before = (trained(unseen) - wanted).square().mean()
        correct(trained, seen, channel_wise=True, seed=0)
        after = (trained(unseen) - wanted).square().mean()
        mean = (trained(seen) - evaluate(trained.graph, seen)[-1].flatten(1)).mean(0)
    assert after < 0.9 * before
    # the last biases are corrected for everything before them: only their rounding is left
    assert float(mean.abs().max()) < 0.02 * float(wanted.abs().max())


def test_one_clip_value_per_layer_stays_one() -> None:
    x = draw((3, 8, 8), 64)
    trained = module(settle(Residual()), x, Code.EXACT, levels=3)
    for clips in trained.log_clips:
        clips.data.fill_(0.5)
    correct(trained, x, channel_wise=False, seed=0)
    assert all(len(clips.unique()) == 1 for clips in trained.log_clips)
    assert any(float(clips.detach()[0]) != 0.5 for clips in trained.log_clips)
    correct(trained, x, channel_wise=True, seed=0)
    assert any(len(clips.unique()) > 1 for clips in trained.log_clips)


def test_the_same_seed_gives_the_same_correction() -> None:
    x = draw((3, 8, 8), 64)
    states = []
    for _ in range(2):
        trained = module(settle(Residual()), x, Code.EXACT)
        correct(trained, x, channel_wise=True, seed=3)
        states.append(trained.quantized())
    for a, b in zip(states[0].layers, states[1].layers, strict=True):
        assert a.bias.tolist() == b.bias.tolist()
