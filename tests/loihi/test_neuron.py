"""The vectorised neurons against the scalar transcription, over every parameter's whole range."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi.naive import NaiveChip, cuba_step

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.loihi import CubaNeuron, DirectNetwork, GradedNeuron, Group, SoftResetNeuron
from neurocuda_hw.loihi.neuron import LoihiNeuron

EDGE = 2**23


def alone(neuron: LoihiNeuron, size: int = 1) -> DirectNetwork:
    """A group without synapses: only `currents` reach it."""
    return DirectNetwork(groups=(Group(name="cell", size=size, neuron=neuron),), synapses=())


def driven(neuron: LoihiNeuron, drive: list[int]) -> tuple[list[int], list[int], list[int]]:
    """u, v and s of one neuron that receives `drive`."""
    current = np.array(drive)[:, None]
    record = alone(neuron).run({}, len(drive), currents={"cell": current})
    u = record.u["cell"][0, :, 0].tolist() if record.u else []
    return u, record.v["cell"][0, :, 0].tolist(), record.s["cell"][0, :, 0].tolist()


def test_published_impulse_of_the_membrane() -> None:
    """lava, ``test_bitacc_pm_impulse_dv``: an impulse of 128, du = 0, dv = 2048."""
    neuron = CubaNeuron(vth=256, du=0, dv=2048)
    _, v, s = driven(neuron, [128] + [0] * 7)
    assert v == [8192, 12286, 14331, 15351, 15859, 16111, 16235, 16295]
    assert not any(s)


def test_impulse_of_the_current_by_hand() -> None:
    """u = 8192, then floor(8192 * 2047 / 4096) = 4094, ...: du counts one more than it says."""
    u, v, _ = driven(CubaNeuron(vth=131071, du=2048, dv=0), [128, 0, 0, 0])
    assert u == [8192, 4094, 2046, 1022]
    assert v == [8192, 12286, 14332, 15354]


def test_negative_state_decays_toward_zero() -> None:
    u, v, _ = driven(CubaNeuron(vth=131071, du=0, dv=2048), [-128] + [0] * 7)
    assert v == [-8192, -12286, -14331, -15351, -15859, -16111, -16235, -16295]
    assert u[:2] == [-8192, -8190]


def test_threshold_is_strict() -> None:
    for drive, fires in ((10, 0), (11, 1)):
        _, v, s = driven(CubaNeuron(vth=10, du=4095, dv=0), [drive])
        assert s == [fires]
        assert v == [0 if fires else 640]


def test_bias_is_mantissa_and_exponent() -> None:
    _, v, _ = driven(CubaNeuron(vth=131071, bias_mant=-3, bias_exp=5), [0, 0, 0])
    assert v == [-96, -192, -288]


def test_current_wraps_and_membrane_clips() -> None:
    """u keeps +2^23 and turns -2^23 into it; v stays within +-(2^23 - 1)."""
    cases = {2**17: EDGE, 2**17 + 1: -EDGE + 64, -(2**17): EDGE, -(2**17) + 1: -EDGE + 64}
    for drive, expected in cases.items():
        u, v, _ = driven(CubaNeuron(vth=131071, du=4095), [drive])
        assert u == [expected]
        assert v == ([0] if expected == EDGE else [max(expected, 1 - EDGE)])
    _, v, s = driven(CubaNeuron(vth=131071, du=4095, dv=0), [-100000, -100000])
    assert v == [-6400000, 1 - EDGE]
    assert s == [0, 0]


def test_refractory_steps_hold_the_membrane_at_zero() -> None:
    """Two dead steps: the current goes on decaying, the membrane starts again from 0."""
    neuron = CubaNeuron(vth=1, du=2047, dv=0, refractory=2)
    u, v, s = driven(neuron, [100, 0, 0, 0, 0])
    assert u == [6400, 3200, 1600, 800, 400]
    assert s == [1, 0, 0, 1, 0]
    assert v == [0, 0, 0, 0, 0]


def test_graded_spikes_carry_the_sum() -> None:
    _, v, s = driven(GradedNeuron(vth=5), [5, 6, -6, -5, 2**23, -(2**23)])
    assert s == [0, 6, -6, 0, -(2**23), -(2**23)]
    assert v == [0] * 6


def test_soft_reset_keeps_what_is_above_the_threshold() -> None:
    _, v, s = driven(SoftResetNeuron(threshold=10, bias=1, v_init=5), [3, 0, 25, 0, -40])
    assert s == [0, 1, 1, 1, 0]
    assert v == [9, 0, 16, 7, -32]


def test_thresholds_differ_per_neuron() -> None:
    network = alone(SoftResetNeuron(threshold=[3, 7], bias=[1, 2]), size=2)
    record = network.run({}, 7)
    assert record.s["cell"][0].sum(axis=0).tolist() == [2, 2]
    network = alone(CubaNeuron(vth=[0, 3], bias_mant=[1, 64]), size=2)
    assert network.run({}, 4).s["cell"][0].sum(axis=0).tolist() == [4, 1]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("vth", 2**17, "vth must be 0 to 131071, not 131072"),
        ("du", 4096, "du must be 0 to 4095, not 4096"),
        ("dv", -1, "dv must be 0 to 4095, not -1"),
        ("bias_mant", 4096, "bias_mant must be -4096 to 4095, not 4096"),
        ("bias_exp", 8, "bias_exp must be 0 to 7, not 8"),
        ("refractory", 64, "refractory must be 0 to 63, not 64"),
        ("v_init", 2**23, "v_init must be -8388607 to 8388607, not 8388608"),
        ("dv", [[1]], "dv must be one integer or one per neuron, not (1, 1)"),
        ("dv", 0.5, "dv must be integers, not float64"),
    ],
)
def test_what_no_register_holds_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        CubaNeuron(**{"vth": 1, field: value})  # type: ignore[arg-type]


def test_parameters_must_fit_the_group() -> None:
    message = "group 'cell': vth must be one integer or 3, not (2,)"
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        alone(CubaNeuron(vth=[1, 2]), size=3)


def around(low: int, high: int) -> st.SearchStrategy[int]:
    """Anything in the range, its ends more often than chance."""
    return st.one_of(
        st.sampled_from([low, low + 1, max(low, 0), high - 1, high]), st.integers(low, high)
    )


@pytest.mark.slow
@settings(max_examples=400)
@given(st.data())
def test_equals_the_scalar_transcription(data: st.DataObject) -> None:
    """Every parameter over its whole range, sums far enough out to wrap u and clip v."""
    size, steps = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 8))

    def draw(low: int, high: int) -> list[int]:
        return [data.draw(around(low, high)) for _ in range(size)]

    parameters = {
        "du": draw(0, 4095),
        "dv": draw(0, 4095),
        "bias_mant": draw(-4096, 4095),
        "bias_exp": draw(0, 7),
        "vth": [data.draw(st.one_of(st.integers(0, 50), around(0, 131071))) for _ in range(size)],
        "refractory": draw(0, 63) if data.draw(st.booleans()) else [0] * size,
        "u_init": draw(1 - EDGE, EDGE),
        "v_init": draw(1 - EDGE, EDGE - 1),
    }
    largest = data.draw(st.sampled_from([3, 2**9, 2**17, 2**18]))
    drive = np.array([draw(-largest, largest) for _ in range(steps)])
    record = alone(CubaNeuron(**parameters), size).run({}, steps, currents={"cell": drive})  # type: ignore[arg-type]
    for n in range(size):
        u, v, dead = parameters["u_init"][n], parameters["v_init"][n], 0
        for t in range(steps):
            u, v, dead, s = cuba_step(
                u,
                v,
                dead,
                int(drive[t, n]),
                du=parameters["du"][n],
                dv=parameters["dv"][n],
                bias=parameters["bias_mant"][n] * 2 ** parameters["bias_exp"][n],
                vth=parameters["vth"][n],
                refractory=parameters["refractory"][n],
            )
            got = [int(getattr(record, x)["cell"][0, t, n]) for x in "uvs"]
            assert got == [u, v, s], (n, t)


@settings(max_examples=100)
@given(st.data())
def test_soft_reset_and_graded_equal_the_scalar_transcription(data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, 8))
    soft = SoftResetNeuron(
        threshold=data.draw(around(1, EDGE - 1)),
        bias=data.draw(around(-EDGE, EDGE - 1)),
        v_init=data.draw(around(-EDGE, EDGE - 1)),
    )
    for neuron in (soft, GradedNeuron(vth=data.draw(around(0, EDGE - 1)))):
        drive = np.array([[data.draw(around(-(2**24), 2**24))] for _ in range(steps)])
        record = alone(neuron).run({}, steps, currents={"cell": drive})
        expected = NaiveChip(alone(neuron)).run({}, steps, {"cell": drive})
        assert record.s["cell"][0].tolist() == expected["s"]["cell"]
        assert record.v["cell"][0].tolist() == expected["v"]["cell"]
