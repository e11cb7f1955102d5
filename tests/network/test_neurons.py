"""What neurons accept and refuse."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network.neurons import (
    IF,
    LIF,
    CubaLIF,
    CubaReadout,
    Encoding,
    Input,
    Neuron,
    Readout,
    Reset,
    Window,
    freeze,
)


def test_parameters_become_read_only_int64() -> None:
    neuron = IF(threshold=np.array([3, 4], np.int8), bias=2)
    assert neuron.threshold.dtype == np.int64
    assert neuron.bias.shape == ()
    with pytest.raises(ValueError, match="read-only"):
        neuron.threshold[0] = 1


def test_freeze_does_not_share_memory() -> None:
    values = np.array([1, 2])
    kept = freeze(values, "values")
    values[0] = 7
    assert kept.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("bits", "signed", "payload"),
    [(1, False, (0, 1)), (8, False, (0, 255)), (8, True, (-128, 127)), (1, True, (-1, 0))],
)
def test_payload(bits: int, signed: bool, payload: tuple[int, int]) -> None:
    neuron = Input(encoding=Encoding.GRADED, payload_bits=bits, signed=signed)
    assert neuron.payload == payload


def test_window() -> None:
    window = Window(start=1, stop=3)
    assert window.steps == 2
    assert [step in window for step in range(4)] == [False, True, True, False]


def test_arrays_name_what_may_differ_per_neuron() -> None:
    assert IF(threshold=1).arrays == ("threshold", "bias", "v_init", "v_reset")
    assert LIF(threshold=1, decay=0).arrays[-1] == "decay"
    assert CubaLIF(threshold=1, du=0, dv=0).arrays[-2:] == ("du", "dv")


def plain(values: object) -> int:
    return int(np.asarray(values))


@pytest.mark.parametrize(
    ("neuron", "v", "u"),  # from v = -9 and u = 7, where 4 arrives
    [
        (Readout(bias=3), -9 + 4 + 3, 7),
        (IF(threshold=1), -9 + 4, 7),
        (LIF(threshold=1, decay=2048, bias=1), -4 + 4 + 1, 7),
        (CubaReadout(du=2048, dv=0), -9 + (3 + 4), 3 + 4),
        (CubaLIF(threshold=1, du=4096, dv=2048), -4 + (0 + 4), 4),
    ],
)
def test_a_step_of_plain_integers(neuron: Neuron, v: int, u: int) -> None:
    assert neuron.integrate(-9, 7, 4, plain) == (v, u)
    arrays = neuron.integrate(np.array([-9]), np.array([7]), np.array([4]), np.asarray)
    assert [part.tolist() for part in arrays] == [[v], [u]]
    assert neuron.integrate(-9, 7, None, plain) == neuron.integrate(-9, 7, 0, plain)


@pytest.mark.parametrize(
    ("neuron", "after"),  # from 4, 5 and 12
    [
        (IF(threshold=5), [4, 0, 7]),
        (IF(threshold=5, reset=Reset.ZERO), [4, 0, 0]),
        (IF(threshold=5, reset=Reset.TO_VALUE, v_reset=-2), [4, -2, -2]),
    ],
)
def test_spikes_and_resets(neuron: IF, after: list[int]) -> None:
    assert [neuron.fire(v, plain) for v in (4, 5, 12)] == list(zip([0, 1, 1], after, strict=True))


def test_what_a_kind_does_not_have_is_none_of_it() -> None:
    image = Input(encoding=Encoding.SPIKES)
    assert (image.bias, image.v_init, image.leak, image.current_leak) == (0, 0, None, None)
    assert (Readout().window, Readout().v_floor, Readout().spiking) == (None, None, False)
    assert Input(encoding=Encoding.CURRENT).held
    assert not Input(encoding=Encoding.GRADED).held


def test_rules_are_enums() -> None:
    with pytest.raises(TypeError, match=r"^reset must be a Reset, not 'zero'$"):
        IF(threshold=1, reset="zero")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^encoding must be an Encoding, not 'spikes'$"):
        Input(encoding="spikes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IF(threshold=1.5), "IF threshold must be integers, not float64"),
        (lambda: IF(threshold=1, bias=np.nan), "IF bias must be integers, not float64"),
        (lambda: IF(threshold="high"), "IF threshold must be integers, not <U4"),
        (lambda: IF(threshold=1, v_floor=-0.5), "v_floor must be an integer, not -0.5"),
        (
            lambda: IF(threshold=1, v_floor=-(2**48)),
            "v_floor must be at most 2^47 in magnitude, not 281474976710656",
        ),
        (
            lambda: IF(threshold=np.array([2**64 - 1], np.uint64)),
            "IF threshold must be at most 2^47 in magnitude, not 18446744073709551615",
        ),
        (
            lambda: IF(threshold=2**48),
            "IF threshold must be at most 2^47 in magnitude, not 281474976710656",
        ),
        (
            lambda: IF(threshold=np.array([2, 0])),
            "threshold must be at least 1 under reset by subtraction, not 0",
        ),
        (
            lambda: IF(threshold=1, v_reset=1),
            "v_reset must be 0 unless reset is TO_VALUE",
        ),
        (
            lambda: IF(threshold=1, reset=Reset.ZERO, v_reset=1),
            "v_reset must be 0 unless reset is TO_VALUE",
        ),
        (
            lambda: LIF(threshold=1, decay=4097),
            "decay must be 0 to 4096 (12 fractional bits), not array(4097)",
        ),
        (
            lambda: CubaLIF(threshold=1, du=-1, dv=0),
            "du must be 0 to 4096 (12 fractional bits), not array(-1)",
        ),
        (
            lambda: CubaLIF(threshold=1, du=0, dv=5000),
            "dv must be 0 to 4096 (12 fractional bits), not array(5000)",
        ),
        (
            lambda: Input(encoding=Encoding.SPIKES, payload_bits=2),
            "an input of SPIKES must have an unsigned payload of 1 bit",
        ),
        (
            lambda: Input(encoding=Encoding.SPIKES, signed=True),
            "an input of SPIKES must have an unsigned payload of 1 bit",
        ),
        (
            lambda: Input(encoding=Encoding.GRADED, payload_bits=17),
            "payload_bits must be 1 to 16, not 17",
        ),
        (lambda: Window(start=2, stop=2), "window must be 0 <= start < stop, not (2, 2)"),
        (lambda: Window(start=-1, stop=2), "window must be 0 <= start < stop, not (-1, 2)"),
    ],
)
def test_refuses(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        make()
