"""What was trained once, under another code and other steps."""

from __future__ import annotations

import re

import pytest
import torch
from conversion.models import Plain, settle
from conversion.test_qcfs import draw

from neurocuda_hw.conversion import convert, quantized_ann
from neurocuda_hw.conversion.recoding import recode
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.reference.snn import SpikingNetwork

X = draw((1, 8, 8), 64)


@pytest.fixture(scope="module")
def snn() -> SpikingNetwork:
    """The exact code with five levels."""
    return convert(settle(Plain()), X, strategy="exact", levels=5, qcfs_epochs=0, verbose=False)[0]


def test_back_again_is_the_same_network(snn: SpikingNetwork) -> None:
    there = recode(snn, code="rate", steps=7)
    assert there.timesteps == 7
    assert recode(there, code="exact", steps=5).network.hash == snn.network.hash


def test_exact_again_equals_the_quantised_ann(snn: SpikingNetwork) -> None:
    other = recode(snn, code="exact", steps=9)
    payload = other.quantise(X)
    wanted = quantized_ann(other).logits(payload)
    assert torch.equal(other.reference().run(payload).outputs, wanted)


def test_many_steps_come_near_the_exact_code(snn: SpikingNetwork) -> None:
    """The mean over T steps of a rate-coded logit goes to the activation as T grows."""
    wanted = recode(snn, code="exact", steps=255)(X)
    errors = [
        float((recode(snn, code="rate", steps=steps)(X) - wanted).abs().mean())
        for steps in (4, 32, 256)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_leaves_the_given_network_as_it_is(snn: SpikingNetwork) -> None:
    before, answer = snn.network.hash, snn(X)
    recode(snn, code="rate", steps=3)
    assert snn.network.hash == before
    assert torch.equal(snn(X), answer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code": "burst", "steps": 3}, "code must be 'exact' or 'rate', not 'burst'"),
        ({"code": "exact", "steps": 256}, "steps must be a whole number from 1 to 255, not 256"),
        ({"code": "rate", "steps": 0}, "steps must be a whole number from 1 to 65535, not 0"),
        ({"code": "rate", "steps": True}, "steps must be a whole number from 1 to 65535, not True"),
    ],
)
def test_refuses_bad_arguments(
    snn: SpikingNetwork, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        recode(snn, **options)  # type: ignore[arg-type]


def test_needs_trained_weights(snn: SpikingNetwork) -> None:
    message = (
        "the network must be what convert() returned: one that was read from a file, or made in "
        "another way, holds no trainable weights; convert the model again"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        recode(SpikingNetwork(snn.network), code="rate", steps=3)


def test_refuses_recordings() -> None:
    """Their steps are their frames."""
    recordings = draw((3, 1, 8, 8), 16)
    network, _ = convert(
        settle(Plain()), recordings, strategy="exact", frames="sum", qcfs_epochs=0, verbose=False
    )
    message = (
        "recode needs a network of static inputs: recordings, and models of spiking neurons, have "
        "steps of their own"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        recode(network, code="rate", steps=3)
