"""Proved widths: never exceeded, and never a bit more than the worst case needs."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle
from small import chain
from strategies import inputs_for, networks

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network, Projection
from neurocuda_hw.network.neurons import (
    IF,
    LIF,
    CubaLIF,
    Encoding,
    Input,
    Neuron,
    Readout,
    Reset,
    Window,
)
from neurocuda_hw.network.ranges import Interval, network_ranges
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool
from neurocuda_hw.network.wire import payload


def within(values: object, interval: Interval) -> bool:
    """Whether all values lie in the interval, and the interval in its width."""
    low, high = np.min(values), np.max(values)
    half = 2 ** (interval.bits - 1)
    return bool(
        interval.lowest <= low <= high <= interval.highest
        and -half <= interval.lowest
        and interval.highest < half
    )


@pytest.mark.slow
@settings(max_examples=400)
@given(st.data())
def test_every_value_is_within_its_bounds(data: st.DataObject) -> None:
    network = data.draw(networks())
    oracle, ranges = Oracle(network), network_ranges(network)
    for sample in data.draw(inputs_for(network, samples=2)):
        result = oracle.run(sample)
        for population in network.targets:
            name = population.name
            proved = ranges[name]
            start = population.neuron.v_init
            assert within(start, proved.membrane), name
            assert within(result.before_fire[name], proved.membrane), name
            assert within(result.membranes[name], proved.membrane), name
            if population.neuron.current_leak is not None:
                assert within(result.currents[name], proved.current), name
            else:
                assert proved.current == proved.drive
            assert within(result.drives[name], proved.drive), name


@pytest.mark.slow
@settings(max_examples=200)
@given(st.data())
def test_registers_of_the_proved_width_change_nothing(data: st.DataObject) -> None:
    network = data.draw(networks())
    bits = {name: proved.membrane.bits for name, proved in network_ranges(network).items()}
    for sample in data.draw(inputs_for(network, samples=1)):
        assert Oracle(network, bits).run(sample) == Oracle(network).run(sample)


def single(
    neuron: Neuron, weight: object, timesteps: int, *, payload_bits: int = 1, signed: bool = False
) -> Network:
    """One dense layer of graded inputs."""
    matrix = np.atleast_2d(np.array(weight))
    return chain(
        timesteps,
        {
            "input": (
                (matrix.shape[1],),
                Input(encoding=Encoding.GRADED, payload_bits=payload_bits, signed=signed),
            ),
            "out": ((matrix.shape[0],), neuron),
        },
        Dense(weight=matrix),
    )


@pytest.mark.parametrize(
    ("neuron", "weight", "frames", "bounds", "bits"),
    [
        # 12 per step for 4 steps reaches 48 just where it fires: 7 bits, for 6 hold only up to 31
        pytest.param(IF(threshold=40), [5, 7, -3], [[1, 1, 0]] * 4, (-12, 48), 7, id="upwards"),
        # -9 per step: -36 needs 7 bits; in 6 bits it turns up as +28, which is over the threshold
        pytest.param(IF(threshold=20), [5, -9], [[0, 1]] * 4, (-36, 20), 7, id="downwards"),
        pytest.param(
            IF(threshold=10), [1], [[9], [15]], (0, 24), 6, id="from just below the threshold"
        ),
        pytest.param(
            IF(threshold=9, reset=Reset.ZERO), [8], [[1]] * 4, (0, 16), 6, id="reset to zero"
        ),
        pytest.param(
            IF(threshold=9, v_floor=-1), [-15, 8], [[0, 1], [0, 1]], (-16, 16), 6, id="floor"
        ),
        pytest.param(LIF(threshold=13, decay=2048), [8], [[1]] * 3, (0, 14), 5, id="leak"),
        pytest.param(
            CubaLIF(threshold=17, du=2048, dv=0), [8], [[1]] * 2, (0, 20), 6, id="current"
        ),
        pytest.param(
            IF(threshold=30, bias=3, v_init=-2), [10], [[1]] * 3, (-2, 37), 7, id="bias and start"
        ),
    ],
)
def test_one_bit_less_overflows(
    neuron: IF, weight: list[int], frames: list[list[int]], bounds: tuple[int, int], bits: int
) -> None:
    """The worst input attains a bound exactly; a register one bit narrower fires differently."""
    payload_bits = int(np.max(frames)).bit_length()
    network = single(neuron, weight, len(frames), payload_bits=payload_bits)
    membrane = network_ranges(network)["out"].membrane
    assert (membrane.lowest, membrane.highest, membrane.bits) == (*bounds, bits)
    sample = np.array(frames)
    right = Oracle(network, {"out": bits}).run(sample)
    values = {v for step in right.before_fire["out"] for v in step}
    assert values & set(bounds)
    assert right.spikes == Oracle(network).run(sample).spikes
    assert Oracle(network, {"out": bits - 1}).run(sample).spikes != right.spikes


@settings(max_examples=200)
@given(
    weight=st.lists(st.integers(-60, 60), min_size=1, max_size=5),
    timesteps=st.integers(1, 5),
    payload_bits=st.integers(1, 4),
    signed=st.booleans(),
    start=st.integers(-50, 50),
)
def test_both_bounds_of_a_readout_are_attained(
    weight: list[int], timesteps: int, payload_bits: int, signed: bool, start: int
) -> None:
    """Interval analysis of one layer is exact: no width of a readout is a bit too large."""
    network = single(
        Readout(v_init=start), weight, timesteps, payload_bits=payload_bits, signed=signed
    )
    low, high = payload(network.input)
    membrane = network_ranges(network)["out"].membrane
    differs = False
    for sign, bound in ((1, membrane.highest), (-1, membrane.lowest)):
        best = [max((low, 0, high), key=lambda x, w=w: sign * w * x) for w in weight]
        sample = np.array([best] * timesteps)
        result = Oracle(network).run(sample)
        assert result.outputs == [bound]
        differs |= Oracle(network, {"out": membrane.bits - 1}).run(sample) != result
    assert differs or membrane.bits == 1


def test_only_sources_in_their_window_count() -> None:
    """An input of one step delivers once; a readout behind a late layer hears it late."""
    network = chain(
        5,
        {
            "input": (
                (1,),
                Input(encoding=Encoding.GRADED, payload_bits=4, window=Window(start=0, stop=1)),
            ),
            "hidden": ((2,), IF(threshold=1000, window=Window(start=2, stop=4))),
            "out": ((1,), Readout()),
        },
        Dense(weight=np.array([[3], [-1]])),
        Dense(weight=np.array([[5, 7]])),
    )
    ranges = network_ranges(network)
    assert ranges["hidden"].membrane == Interval(lowest=-15, highest=45)
    assert ranges["out"].membrane == Interval(lowest=0, highest=24)
    assert ranges["input"].membrane == Interval(lowest=0, highest=0)


def test_a_delayed_source_delivers_one_step_later() -> None:
    recurrent = Projection(
        source="out", target="out", synapse=Diagonal(weight=np.array([-4])), delay=1
    )
    base = single(IF(threshold=100), [1], 3)
    network = Network(
        populations=base.populations, projections=(*base.projections, recurrent), timesteps=3
    )
    ranges = network_ranges(network)["out"]
    assert ranges.membrane == Interval(lowest=-8, highest=3)
    assert ranges.drive == Interval(lowest=-4, highest=1)


@pytest.mark.parametrize(
    ("synapse", "shape", "drive", "magnitude"),
    [
        (Conv2d(weight=np.full((1, 2, 2, 2), 3), padding=(1, 1)), (1, 5, 5), (0, 24 * 15), 24 * 15),
        (
            Conv2d(weight=np.full((2, 1, 1, 1), -3), groups=2, pool=SumPool(kernel=2)),
            (2, 2, 2),
            (-12 * 15, 0),
            12 * 15,
        ),
        (
            Diagonal(weight=np.array([2, -1]), pool=SumPool(kernel=(2, 1))),
            (2, 2, 4),
            (-30, 60),
            60,
        ),
    ],
)
def test_drive_of_one_step(
    synapse: Conv2d, shape: tuple[int, ...], drive: tuple[int, int], magnitude: int
) -> None:
    network = chain(
        1,
        {
            "input": ((2, 4, 4), Input(encoding=Encoding.GRADED, payload_bits=4)),
            "out": (shape, Readout()),
        },
        synapse,
    )
    ranges = network_ranges(network)["out"]
    assert (ranges.drive.lowest, ranges.drive.highest) == drive
    assert ranges.magnitude == magnitude


def test_refuses_sums_that_no_float_could_prove() -> None:
    network = single(Readout(), [2**47] * 3, 1, payload_bits=16)
    message = "projection input -> out: weights are too large to be summed"
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        network_ranges(network)
