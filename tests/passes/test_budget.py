"""Folding for a device: the pace is kept, nothing is exceeded, what does not fit is told."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from small import small_network

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.area import network_area, total
from neurocuda_hw.passes.budget import DoesNotFit, Folder
from neurocuda_hw.passes.cycles import layer_work
from neurocuda_hw.passes.devices import Device, Family, find_device
from neurocuda_hw.passes.fold import LUT_SHARE
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import plan_network

NETWORK = small_network()


@pytest.fixture(scope="module")
def activity() -> Activity:
    inputs = np.random.default_rng(6).integers(0, 16, (6, 2, 2, 5, 6))
    return Activity(NETWORK, Reference(NETWORK).trace(inputs))


@pytest.fixture(scope="module")
def folder(activity: Activity) -> Folder:
    return Folder(NETWORK, activity)


def device(luts: int = 10**6, blocks: int = 1000, dsps: int = 1000) -> Device:
    return Device(
        name="part",
        family=Family.SERIES7,
        luts=luts,
        flipflops=2 * luts,
        blocks=blocks,
        dsps=dsps,
        source="test",
    )


def cycles(activity: Activity, lanes: dict[str, int]) -> float:
    plans = plan_network(NETWORK, lanes)
    return max(layer_work(plan, activity).cycles for plan in plans.values())


def test_the_best_pace_that_fits_is_found(folder: Folder, activity: Activity) -> None:
    """Beside a search through all numbers of lanes."""
    names = [p.name for p in NETWORK.targets]
    every = [
        dict(zip(names, chosen, strict=True))
        for chosen in product(*(lane_choices(p, 256) for p in NETWORK.targets))
    ]
    areas = {
        i: total(network_area(NETWORK, plan_network(NETWORK, lanes), Family.SERIES7))
        for i, lanes in enumerate(every)
    }
    paces = [cycles(activity, lanes) for lanes in every]
    for luts in (1200, 1600, 2500, 6000):
        part = device(luts=luts, dsps=40)
        fitting = [
            pace
            for i, pace in enumerate(paces)
            if areas[i].luts <= LUT_SHARE * luts and areas[i].dsps <= 40
        ]
        if not fitting:
            with pytest.raises(DoesNotFit):
                folder.fold(part)
            continue
        folding = folder.fold(part)
        assert folding.fits
        assert folding.slowest == pytest.approx(min(fitting))
        assert folding.slowest == pytest.approx(cycles(activity, folding.lanes))
        assert folding.slowest <= folding.cycles <= 1.5 * folding.slowest
        made = Study(NETWORK, lanes=folding.lanes, ways=folding.ways)
        area = total(network_area(NETWORK, made.plans, Family.SERIES7))
        assert folding.area.luts == pytest.approx(area.luts)


def test_a_target_is_met_with_no_more_than_it_takes(folder: Folder) -> None:
    best = folder.fold(device())
    easy = folder.fold(device(), target=10**6)
    assert set(easy.lanes.values()) == {1}
    middle = folder.fold(device(), target=round(2 * best.cycles))
    assert middle.cycles <= round(2 * best.cycles)
    assert easy.area.luts < middle.area.luts <= best.area.luts


def test_a_target_beyond_all_lanes_is_refused(folder: Folder) -> None:
    best = folder.fold(device(luts=10**7, dsps=10**5)).cycles
    with pytest.raises(ModelError) as error:
        folder.fold(device(), target=3)
    assert str(error.value).startswith("target cycles must be at least ")
    assert "for these inputs, not 3: population " in str(error.value)
    assert best > 3


def test_what_fits_at_no_number_of_lanes_tells_what_each_layer_takes(folder: Folder) -> None:
    with pytest.raises(DoesNotFit) as error:
        folder.fold(device(luts=100))
    message = str(error.value)
    assert message.startswith(
        "'small' does not fit into part at any number of lanes: it takes at least "
    )
    assert "of 85 usable LUTs; " in message
    assert [layer.name for layer in error.value.folding.layers] == ["conv", "hidden", "out"]
    assert error.value.nearest == ("xc7s6 holds it",)


@pytest.mark.parametrize("target", [None, 3000])
def test_what_is_lacking_is_the_same_for_all_parts_of_a_family(
    folder: Folder, target: int | None
) -> None:
    """And no part that lacks it is said to hold the network, though choices weigh differently."""
    least: dict[str, float] = {}
    for luts, blocks in ((150, 40), (400, 40), (10**6, 0), (10**6, 1), (300, 0)):
        part = replace(find_device("ice40hx8k"), name="part", luts=luts, blocks=blocks)
        with pytest.raises(DoesNotFit) as error:
            folder.fold(part, target=target)
        told = str(error.value)
        assert "it takes at least " in told
        for number, resource in re.findall(r"([\d,]+) of [\d,]+ (usable LUTs|RAM40_4K)", told):
            value = float(number.replace(",", ""))
            assert least.setdefault(resource, value) == value
        holding = find_device(error.value.nearest[-1].split()[0])
        assert holding.family is Family.ICE40
        assert holding.blocks >= least.get("RAM40_4K", 0)
        assert LUT_SHARE * holding.luts >= least.get("usable LUTs", 0)
        if "RAM40_4K" in told and "LUTs" not in told:  # the table has the number of the sentence
            assert error.value.folding.area.blocks == least["RAM40_4K"]
    assert set(least) == {"usable LUTs", "RAM40_4K"}


def test_a_pace_that_does_not_fit_names_the_nearest(folder: Folder) -> None:
    best = folder.fold(device())
    part = device(luts=round(best.area.luts * 0.8), blocks=4, dsps=20)
    with pytest.raises(DoesNotFit) as error:
        folder.fold(part, target=round(best.cycles) + 1)
    slower = folder.fold(part).cycles
    assert f"; {slower:,.0f} cycles with fewer lanes (--fit)" in str(error.value)
    assert error.value.nearest[-1].endswith(" holds it")


def test_fewer_bits_are_offered_where_they_help(activity: Activity) -> None:
    folder = Folder(NETWORK, activity)
    one = folder.fold(device(blocks=0, dsps=0), target=10**6)
    part = device(luts=round(one.area.luts / LUT_SHARE) - 2, blocks=0, dsps=0)
    with pytest.raises(DoesNotFit) as error:
        folder.fold(part, target=10**6)
    bits = [way for way in error.value.nearest if "-bit weights fit" in way]
    assert len(bits) <= 1
    assert all("(convert with --weight-bits " in way for way in bits)


def test_parts_of_the_table_hold_the_network(folder: Folder) -> None:
    for name in ("xc7a35t", "xczu3", "lfe5u-25f"):
        assert folder.fold(find_device(name)).fits
