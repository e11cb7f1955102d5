"""Plots for notebooks draw the numbers of the network and the trace, and say what they need."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from conversion.converted import converted, samples
from ground.test_showing import STATS
from report.folders import NETWORK, golden
from small import SPIKES, wired
from torch import nn

import neurocuda_hw as nc
from neurocuda_hw import plots
from neurocuda_hw.conversion.mismatch import mismatch
from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.network import IF, Readout
from neurocuda_hw.network.ranges import network_ranges
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.passes.cycles import network_work
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.targets.checks import Check

SNN = nc.SpikingNetwork(NETWORK)


def recorded() -> nc.Trace:
    """A trace with membranes."""
    return Reference(NETWORK).trace(golden().inputs, membranes=True)


@pytest.mark.parametrize("sample", [None, 1])
def test_membranes_are_those_of_the_trace_in_their_proved_width(sample: int | None) -> None:
    trace, ranges = recorded(), network_ranges(NETWORK)
    figure = plots.membranes(SNN, trace, sample)
    assert [a.get_title(loc="left") for a in figure.axes] == [
        f"{name}: {ranges[name].membrane.bits} bits" for name in ("conv", "hidden")
    ]
    for axes, name in zip(figure.axes, ("conv", "hidden"), strict=True):
        values = trace.membranes[name][slice(None) if sample is None else [sample]]
        low, high, lowest, highest = (np.asarray(line.get_ydata()) for line in axes.lines)
        assert low.tolist() == values.min(axis=(0, 2)).tolist()
        assert high.tolist() == values.max(axis=(0, 2)).tolist()
        proved = ranges[name].membrane
        assert (lowest[0], highest[0]) == (proved.lowest, proved.highest)
        half = 2 ** (proved.bits - 1)
        assert axes.get_ylim() == (-half, half - 1)


def test_what_membranes_need_is_told() -> None:
    with pytest.raises(DataError) as error:
        plots.membranes(NETWORK, golden())
    assert str(error.value) == (
        "the trace must hold the membranes of 'conv'; record it with snn.trace(x, membranes=True)"
    )
    for draw in (plots.membranes, plots.raster):
        with pytest.raises(DataError) as error:
            draw(NETWORK, recorded(), 3)
        assert str(error.value) == "sample must be 0 to 2, those of the trace, not 3"


def test_a_trace_of_another_network_is_told() -> None:
    other = replace(golden(), network_hash="0" * 64)
    for draw in (plots.activity, plots.raster, plots.membranes, plots.cycles):
        with pytest.raises(ModelError) as error:
            draw(NETWORK, other)
        assert str(error.value).startswith("the trace must be of network ")


def test_a_spiking_network_is_drawn_as_its_integers() -> None:
    def bands(model: Any) -> list[list[Any]]:
        panels = plots.raster(model, golden(), 1).axes
        return [np.ma.getdata(panel.images[0].get_array()).tolist() for panel in panels]

    assert repr(bands(SNN)) == repr(bands(NETWORK))


def test_accuracy_is_what_was_given() -> None:
    figure = plots.accuracy({16: 98.5, 4: 90.0, 8: STATS}, axis="L")
    axes = figure.axes[0]
    line, ann = axes.lines
    assert list(line.get_xdata()) == [4, 8, 16]
    assert list(line.get_ydata()) == [90.0, STATS.integer_accuracy, 98.5]
    assert np.asarray(ann.get_ydata()).tolist() == [STATS.ann_accuracy] * 2
    assert [label.get_text() for label in axes.get_xticklabels()] == ["4", "8", "16"]
    assert axes.get_xlabel() == "levels L (exact code)"
    assert len(plots.accuracy({4: 90.0}).axes[0].lines) == 1
    assert np.asarray(plots.accuracy({4: 90.0}, ann=91.0).axes[0].lines[1].get_ydata())[0] == 91.0


@pytest.mark.parametrize(
    ("points", "shown"),
    [({}, "{}"), ({4: 101.0}, "{4: 101.0}"), ({0: 9.0}, "{0: 9.0}")],
)
def test_accuracies_that_are_none_are_told(points: dict[int, float], shown: str) -> None:
    message = (
        "points must be accuracies of 0 to 100 per cent by T of at least 1 (convert with "
        f"test_loader), not {shown}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        plots.accuracy(points)
    with pytest.raises(ValueError, match="nan"):
        plots.accuracy({4: replace(STATS, integer_accuracy=None)})
    with pytest.raises(ValueError, match=r"^axis must be 'T' or 'L', not 'x'$"):
        plots.accuracy({4: 90.0}, axis="x")


def test_cycles_are_those_of_each_layer() -> None:
    trace, lanes = golden(), {"conv": 2, "hidden": 1, "out": 1}
    study = Study(NETWORK, trace=trace, lanes=lanes)
    work = network_work(study.plans, study.activity)
    axes = plots.cycles(SNN, trace, lanes=lanes).axes[0]
    widths = np.array([bar.get_width() for bar in axes.patches]).reshape(3, len(work))
    for column, part in enumerate(work.values()):
        told = [part.event_rows, part.walked_rows, part.waits]
        assert widths[:, column] == pytest.approx(told)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(work)
    assert widths.sum(axis=0) == pytest.approx([part.cycles for part in work.values()])


def test_measured_cycles_are_those_of_the_check() -> None:
    check = Check(
        target="verilog",
        same=True,
        samples=2,
        activity={"conv": {"integrating": 30, "starved": 10}},
    )
    axes = plots.cycles(NETWORK, golden(), check=check).axes[0]
    assert {bar.get_width() for bar in axes.patches} == {0.0, 15.0, 5.0}
    study = Study(NETWORK, trace=golden())
    work = network_work(study.plans, study.activity)["conv"]
    assert axes.collections[0].get_offsets()[0].tolist() == [work.cycles, 0.0]  # type: ignore[index]
    with pytest.raises(DataError) as error:
        plots.cycles(NETWORK, golden(), check=Check(target="hls", same=True, samples=1))
    assert str(error.value) == "check must be one of 'verilog', which counts cycles, not 'hls'"


def test_every_neuron_is_one_point_of_the_mismatch() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)).eval()
    x = samples((5,), 30)
    snn = converted(model, x).snn
    assert repr(snn) == f"SpikingNetwork({snn.network.outline})"  # without what it came from
    figure = plots.mismatch(snn, x)
    layers = mismatch(snn, x)
    for axes, layer in zip(figure.axes, layers, strict=True):
        drawn = np.ma.filled(axes.collections[0].get_array(), 0).reshape(64, 64)
        wanted, *_ = np.histogram2d(
            layer.ann.ravel(), layer.snn.ravel(), bins=64, range=[axes.get_xlim(), axes.get_ylim()]
        )
        assert drawn.sum() == layer.ann.size
        assert np.array_equal(drawn, wanted.T)
        title = axes.get_title(loc="left")
        assert title == f"{layer.name}\nerror {layer.error:.1%}, drift {layer.drift:+.1%}"


def test_a_drawing_has_a_box_for_each_population_and_an_arrow_for_each_projection() -> None:
    one = Dense(weight=np.ones((2, 2), dtype=int))
    cells = {name: ((2,), IF(threshold=1)) for name in ("a", "b")}
    network = wired(
        3,
        {"x": ((2,), SPIKES), **cells, "out": ((2,), Readout())},
        *(("x", "a", one), ("a", "b", one), ("b", "out", one), ("a", "out", one), ("x", "b", one)),
        ("b", "b", one, 1),
    )
    axes = plots.network(network).axes[0]
    boxes = [box for box in axes.patches if hasattr(box, "get_xy")]
    assert [-round(box.get_y() + box.get_height() / 2) for box in boxes] == [0, -1, -2, -3]
    words = [text.get_text() for text in axes.texts if text.get_text()]
    assert [w for w in words if w in ("x", "a", "b", "out")] == ["x", "a", "b", "out"]
    assert sum("4 weights of 2 bits" in w for w in words) == 6
    assert sum("one step later" in w for w in words) == 1
    turns = [tuple(np.asarray(line.get_xdata())) for line in axes.lines]
    right, left = [t for t in turns if t[1] > t[0]], [t for t in turns if t[1] < t[0]]
    assert len({t[1] for t in right}) == 2  # they run side by side
    assert len(left) == 1


def test_notebooks_show_a_figure_by_itself() -> None:
    png = plots.raster(NETWORK, golden())._repr_png_()  # type: ignore[attr-defined]
    assert png.startswith(b"\x89PNG")
    width = int.from_bytes(png[16:20], "big")
    assert width == pytest.approx(9.6 * 96, abs=1)
