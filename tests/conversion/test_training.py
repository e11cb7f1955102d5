"""What the trained model teaches."""

from __future__ import annotations

import re

import pytest
import torch
from conversion.models import Plain, settle
from conversion.test_qcfs import draw, module

from neurocuda_hw.conversion import convert
from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.qcfs import QcfsModel
from neurocuda_hw.conversion.quantize import Code
from neurocuda_hw.conversion.training import Training, train
from neurocuda_hw.data.batches import Batches

X = draw((1, 8, 8), 64)


def distance(temperature: float) -> float:
    """How far answers are from those of a model that is sure of all of them, once trained."""
    model = settle(Plain())
    with torch.no_grad():
        for name in ("weight", "bias"):
            getattr(model.head[-1], name).mul_(100)
    trained = module(model, X, Code.EXACT, levels=3)
    data = Batches(X, "training data", 16)
    train(
        trained,
        data,
        Training(rate=0.02, seed=0, temperature=temperature),
        forward=QcfsModel.forward,
        epochs=6,
        stage="qcfs",
    )
    wanted = evaluate(trained.graph, X)[-1].flatten(1).float()
    with torch.no_grad():
        answers = trained(X)
    centred = [values - values.mean(1, keepdim=True) for values in (answers, wanted)]
    return float((centred[0] - centred[1]).square().mean() / centred[1].square().mean())


def test_a_warm_teacher_says_more() -> None:
    """A teacher that is sure of everything only says which class is largest, unless it is warm."""
    assert distance(30.0) < 0.8 * distance(1.0)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), True, "hot"])
def test_refuses_a_temperature_that_is_none(temperature: object) -> None:
    message = f"temperature must be a number above 0, not {temperature!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        convert(settle(Plain()), X, temperature=temperature, verbose=False)  # type: ignore[arg-type]
