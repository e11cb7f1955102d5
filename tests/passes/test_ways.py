"""What memories and products are made of: the cheapest way, and what fits."""

from __future__ import annotations

import numpy as np
import pytest
from small import chain, small_network

from neurocuda_hw.network import IF, Input, Window
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Conv2d
from neurocuda_hw.passes.area import LayerArea, layer_area
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.devices import find_device
from neurocuda_hw.passes.mapping import AUTOMATIC, Memory, Style, Ways
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.passes.ways import alternatives, made_to_fit, styles_of

BIG = find_device("xczu7ev")


def memory(depth: int = 512, width: int = 100, *, rom: bool = False, ready: bool = True) -> Memory:
    return Memory(name="m", depth=depth, width=width, rom=rom, registered=ready)


@pytest.mark.parametrize(
    ("given", "device", "styles"),
    [
        (memory(), "xczu7ev", "block distributed ultra"),
        (memory(rom=True), "xczu7ev", "block distributed"),  # UltraRAM has no initial content
        (memory(depth=513), "xczu7ev", "block ultra"),
        (memory(), "xczu3", "block distributed"),  # a part without UltraRAM
        (memory(), "xc7a35t", "block distributed"),
        (memory(), "lfe5u-25f", ""),
        (memory(ready=False), "xczu7ev", ""),
        (memory(depth=16, width=64), "xczu7ev", ""),
    ],
)
def test_what_a_device_offers(given: Memory, device: str, styles: str) -> None:
    found = styles_of(given, find_device(device))
    assert [style.value for style in found] == styles.split()


def test_what_is_told_nothing_has_the_area_of_the_layer() -> None:
    network = small_network()
    plan = plan_layer(network, network["conv"], 4)
    made = alternatives(plan, BIG)
    nothing = np.zeros(len(made.areas), dtype=np.intp)
    assert made.area(nothing) == layer_area(plan, BIG.family)
    assert made.ways(nothing) == AUTOMATIC


ULTRAS = {"states": Style.ULTRA, "queue": Style.ULTRA}


def deep() -> LayerPlan:
    """States of 1,024 rows of 8 lanes, a queue of as many counts."""
    window = Window(start=0, stop=1)
    cells = {
        "x": ((1, 32, 32), Input(encoding=Encoding.GRADED, payload_bits=8, window=window)),
        "y": ((8, 32, 32), IF(threshold=700, window=Window(start=0, stop=8))),
    }
    weight = np.random.default_rng(1).integers(-127, 128, (8, 1, 3, 3))
    network = chain(8, cells, Conv2d(weight=weight, padding=(1, 1)))
    return plan_layer(network, network["y"], 8, bursts=find_bursts(network))


@pytest.mark.parametrize(
    ("dear", "soft", "styles"),
    [
        ("luts", False, ULTRAS),
        ("dsps", True, ULTRAS),
        ("blocks", False, ULTRAS),
        ("ultras", False, {}),
    ],
)
def test_the_cheapest_way_follows_the_prices(
    dear: str, soft: bool, styles: dict[str, Style]
) -> None:
    made = alternatives(deep(), BIG)
    prices = 0.001 + LayerArea(**{dear: 100}).vector  # type: ignore[arg-type]
    ways = made.ways(made.cheapest(prices))
    assert (ways.soft, ways.styles) == (soft, styles)


def _fitted(plan: LayerPlan, **room: int) -> tuple[Ways, LayerArea] | None:
    """The ways of a layer that was told nothing, made to fit where all else is plentiful."""
    made = alternatives(plan, BIG)
    start = [np.zeros(len(made.areas), dtype=np.intp)]
    there = {"luts": 10**6, "blocks": 100, "dsps": 100, "ultras": 0} | room
    found = made_to_fit([made], start, LayerArea(**there).vector, np.full(4, 0.001))
    return None if found is None else (made.ways(found[0]), made.area(found[0]))


def test_ways_are_changed_only_where_something_is_lacking() -> None:
    whole = layer_area(deep(), BIG.family)
    assert (whole.dsps, whole.ultras) == (8, 0)
    assert _fitted(deep()) == (AUTOMATIC, whole)
    fewer = _fitted(deep(), dsps=7)
    assert fewer is not None
    assert fewer[0] == Ways(soft=True)
    assert fewer[1].dsps == 0
    assert _fitted(deep(), luts=10) is None


def test_a_memory_goes_where_there_is_room() -> None:
    """States of 1,024 words are too deep for look-up tables; UltraRAM takes them."""
    whole = layer_area(deep(), BIG.family)
    assert _fitted(deep(), blocks=2) is None
    found = _fitted(deep(), blocks=2, ultras=9)
    assert found is not None
    assert found[0].styles["states"] is Style.ULTRA
    assert found[1].blocks <= 2 < whole.blocks
    assert found[1].ultras <= 9
