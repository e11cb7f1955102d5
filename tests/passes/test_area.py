"""The memories predicted are those of the Verilog; areas add up and grow with the lanes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from small import chain, small_network

from neurocuda_hw.network import IF, Input, Network, Population, Projection, Readout, Window
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal
from neurocuda_hw.passes.area import LayerArea, network_area, product_area, total
from neurocuda_hw.passes.costs import LUT_COSTS, Part
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.passes.memories import branches_of, layer_memories
from neurocuda_hw.rtl.emit import emit, plan_network

_PARTS = re.compile(r"nchw_(rom|ram) #\((.*?)\) \w+ \(", re.DOTALL)
_NUMBER = re.compile(r"\.(DEPTH|WIDTH)\(32'd(\d+)\)")
_QUEUE = re.compile(r"reg \[(\d+):0\] storage \[(\d+):0\];")


def spikes_network() -> Network:
    """Event data: rows are listed, one layer goes on to two others, rows are not powers of two."""
    rng = np.random.default_rng(4)

    def spiking(name: str, channels: int) -> Population:
        shape = (channels, 6, 7)
        threshold = rng.integers(9, 99, channels)
        return Population(name=name, shape=shape, neuron=IF(threshold=threshold))

    def weight(*shape: int) -> np.ndarray:
        return rng.integers(-8, 8, shape)

    return Network(
        name="spikes",
        populations=(
            Population(name="events", shape=(2, 6, 7), neuron=Input(encoding=Encoding.SPIKES)),
            spiking("first", 6),
            spiking("second", 6),
            Population(name="out", shape=(5,), neuron=Readout(v_init=np.arange(5))),
        ),
        projections=(
            Projection(
                source="events",
                target="first",
                synapse=Conv2d(weight=weight(6, 2, 3, 3), padding=(1, 1)),
            ),
            Projection(
                source="first",
                target="second",
                synapse=Conv2d(weight=weight(6, 6, 3, 3), padding=(1, 1)),
            ),
            Projection(source="first", target="second", synapse=Diagonal(weight=weight(6))),
            Projection(source="second", target="out", synapse=Dense(weight=weight(5, 252))),
        ),
        timesteps=9,
    )


def dense_network() -> Network:
    """The exact code: windows, a threshold of each neuron's own, a readout that is one row."""
    rng = np.random.default_rng(5)
    threshold = rng.integers(40, 90, 32)
    return chain(
        4,
        {
            "image": (
                (1, 6, 6),
                Input(encoding=Encoding.GRADED, payload_bits=1, window=Window(start=0, stop=1)),
            ),
            "hidden": (
                (32,),
                IF(
                    threshold=threshold,
                    v_init=threshold // 2,
                    window=Window(start=0, stop=4),
                ),
            ),
            "out": ((10,), Readout()),
        },
        Dense(weight=rng.integers(-7, 8, (32, 36))),
        Dense(weight=rng.integers(-7, 8, (10, 32))),
        name="dense",
    )


CASES = [
    (small_network, {"conv": 2, "hidden": 4, "out": 1}),
    (small_network, {"conv": 8, "hidden": 6, "out": 3}),
    (spikes_network, {"first": 2, "second": 4, "out": 1}),
    (spikes_network, {"first": 6, "second": 16, "out": 5}),
    (dense_network, {"hidden": 8, "out": 10}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "lanes"), CASES)
def test_memories_are_those_of_the_verilog(make: object, lanes: dict[str, int]) -> None:
    network: Network = make()  # type: ignore[operator]
    plans = plan_network(network, lanes)
    text = emit(network, lanes).files["rtl/nchw_top.v"].decode()
    there: Counter[tuple[str, int]] = Counter()
    for kind, part in _PARTS.findall(text):
        sizes = {name: int(n) for name, n in _NUMBER.findall(part)}
        there[kind, sizes["DEPTH"]] += 1 if kind == "rom" else sizes["WIDTH"]
    for width, depth in _QUEUE.findall(text):
        there["ram", int(depth) + 1] += int(width) + 1
    listed: Counter[tuple[str, int]] = Counter()
    for name, plan in plans.items():
        for _, memory in layer_memories(plan, branches_of(network, name)):
            # a ROM's constant bits are left out of its width: yosys drops them
            kind = "rom" if memory.rom else "ram"
            listed[kind, memory.depth] += 1 if memory.rom else memory.width
    assert listed == there


def test_constant_bits_of_a_rom_take_nothing() -> None:
    """Odd weights: their lowest bit is 1 everywhere; all others vary."""
    network = dense_network()
    first, last = network.projections
    odd = replace(last, synapse=Dense(weight=2 * last.synapse.weight + 1))
    network = replace(network, projections=(first, odd))
    plan = plan_network(network, {"hidden": 8, "out": 10})["out"]
    (weights,) = (m for _, m in layer_memories(plan) if "weights" in m.name)
    assert plan.weight_bits == (5,)
    assert weights.width == 10 * (5 - 1)


@pytest.mark.parametrize("family", list(Family))
def test_areas_add_up_and_grow_with_the_lanes(family: Family) -> None:
    network = dense_network()
    before = 0.0
    for lanes in (1, 2, 4, 8, 16, 32):
        plans = plan_network(network, {"hidden": lanes, "out": 1})
        areas = network_area(network, plans, family)
        assert set(areas) == {"hidden", "out", ""}
        whole = total(areas)
        assert whole.luts == pytest.approx(sum(a.luts for a in areas.values()))
        assert whole.luts > 0.98 * before  # a shorter queue may save more than lanes cost
        before = whole.luts


def test_only_payloads_and_leaks_take_multipliers() -> None:
    small, dense = small_network(), dense_network()
    plans = plan_network(small, {"conv": 4, "hidden": 2, "out": 1})
    assert total(network_area(small, plans, Family.SERIES7)).dsps == 4
    assert total(network_area(dense, plan_network(dense), Family.SERIES7)).dsps == 0
    assert LayerArea(luts=1, blocks=0.5, dsps=2) + LayerArea(luts=2, blocks=1, dsps=0) == (
        LayerArea(luts=3, blocks=1.5, dsps=2)
    )


def test_every_part_has_a_cost_in_every_family() -> None:
    for family in Family:
        assert set(LUT_COSTS[family]) == set(Part)
        assert min(LUT_COSTS[family].values()) >= 0


@pytest.mark.parametrize(
    ("family", "bits", "hard"),
    [
        (Family.ECP5, 1, True),  # yosys takes a MULT18X18D from 2 bits times 2 on
        (Family.GOWIN, 1, False),
        (Family.GOWIN, 4, True),  # a MULT9X9 from 4 times 4
        (Family.SERIES7, 3, False),
        (Family.SERIES7, 4, True),
        (Family.ICE40, 8, False),
    ],
)
def test_narrow_products_take_multipliers_where_yosys_gives_them(
    family: Family, bits: int, hard: bool
) -> None:
    pixels = Input(encoding=Encoding.GRADED, payload_bits=bits, window=Window(start=0, stop=1))
    weight = np.random.default_rng(0).integers(-8, 8, (8, 16))
    network = chain(
        2, {"x": ((16,), pixels), "y": ((8,), IF(threshold=40)), "out": ((2,), Readout())},
        Dense(weight=weight), Dense(weight=weight[:2, :8]),
    )  # fmt: skip
    (plan, _) = plan_network(network, {"y": 4, "out": 1}).values()
    assert product_area(plan, family).dsps == (4 if hard else 0)
