"""Figures that look closer: membranes, accuracy, cycles of each layer, trained against spiking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network import Network
from neurocuda_hw.network.network import as_network
from neurocuda_hw.network.ranges import population_ranges
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.cycles import network_work
from neurocuda_hw.passes.study import Study
from neurocuda_hw.report.figures import WORK, chosen_sample, stacked, states_figure
from neurocuda_hw.report.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    WIDTH,
    bare,
    new_figure,
    ramp,
    step_ticks,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neurocuda_hw.conversion import Stats
    from neurocuda_hw.reference.snn import SpikingNetwork
    from neurocuda_hw.targets.checks import Check

_BINS = 64  # of activations, each way
_COLUMNS = 3


def membrane_figure(
    model: Network | SpikingNetwork, trace: Trace, sample: int | None = None
) -> Figure:
    """Membranes after each step, between the bounds that are proved of them.

    Parameters
    ----------
    model : Network or SpikingNetwork
    trace : Trace
        Of this network, with membranes: ``snn.trace(x, membranes=True)``.
    sample : int, optional
        One inference; all of the trace where None.

    Returns
    -------
    Figure
        A panel for each spiking population: from the lowest to the highest membrane of its neurons
        in each step, the proved bounds (dashed), and what the proved width holds (the panel).

    Raises
    ------
    ModelError
        If the trace is not of this network.
    DataError
        If it has no membranes, or no such sample.
    """
    network = as_network(model)
    trace.check(network)
    chosen = slice(None) if sample is None else slice(chosen_sample(trace, sample), sample + 1)
    shown = [p for p in network.populations if p.spiking]
    missing = [p.name for p in shown if p.name not in trace.membranes]
    if missing or not shown:
        raise DataError(
            f"the trace must hold the membranes of {missing[0]!r}; record it with "
            "snn.trace(x, membranes=True)"
            if missing
            else "the network must have a population that fires"
        )
    steps = np.arange(trace.timesteps)
    with styled():
        figure, panels = _panels(len(shown), 1.75)
        for axes, population in zip(panels, shown, strict=True):
            values = trace.membranes[population.name][chosen]
            proved = population_ranges(network, population).membrane
            low, high = values.min(axis=(0, 2)), values.max(axis=(0, 2))
            axes.fill_between(steps, low, high, step="mid", color=BLUE, alpha=0.35, linewidth=0)
            for edge in (low, high):
                axes.step(steps, edge, where="mid", color=BLUE, linewidth=1)
            for bound in (proved.lowest, proved.highest):
                axes.axhline(bound, color=VERMILION, linewidth=1, linestyle=(0, (4, 2)))
            half = 2 ** (proved.bits - 1)
            axes.set_ylim(-half, half - 1)
            axes.set_title(f"{population.name}: {proved.bits} bits")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.set_xlim(-0.5, trace.timesteps - 0.5)
            step_ticks(axes, min(trace.timesteps, 8))
            axes.set_xlabel("step")
        figure.suptitle(
            "Membranes after each step (blue), proved bounds (dashed), proved width (panel)"
        )
    return figure


def accuracy_figure(
    points: Mapping[int, float | Stats], *, axis: str = "T", ann: float | None = None
) -> Figure:
    """Accuracy against the steps T of the rate code, or the levels L of the exact code.

    Parameters
    ----------
    points : mapping of int to (float or Stats)
        Accuracy in per cent by T or L; of a `Stats` its ``integer_accuracy``.
    axis : "T" or "L"
        What the keys are.
    ann : float, optional
        Accuracy of the trained model, drawn as a line; taken from the first `Stats` where None.

    Raises
    ------
    ValueError
        If there are no points, one is not of 0 to 100 per cent, or `axis` is something else.
    """
    names = {"T": "steps T (rate code)", "L": "levels L (exact code)"}
    if axis not in names:
        raise ValueError(f"axis must be 'T' or 'L', not {axis!r}")
    found: dict[int, float] = {}
    for place, value in sorted(points.items()):
        if isinstance(value, Mapping):
            ann = value["ann_accuracy"] if ann is None else ann
            value = value["integer_accuracy"]
        found[place] = np.nan if value is None else float(value)
    if not found or any(not 0 <= v <= 100 or n < 1 for n, v in found.items()):
        raise ValueError(
            f"points must be accuracies of 0 to 100 per cent by {axis} of at least 1 (convert with "
            f"test_loader), not {found!r}"
        )
    with styled():
        figure = new_figure(WIDTH * 0.6, 3.2)
        axes = figure.subplots()
        axes.plot(list(found), list(found.values()), color=BLUE, marker="o", label="spiking")
        for place, value in found.items():
            axes.annotate(
                f"{value:.2f}",
                (place, value),
                xytext=(0, -13),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        if ann is not None:
            line = (0, (4, 2))
            label = f"trained model, {ann:.2f} %"
            axes.axhline(ann, color=INK, linewidth=1.2, linestyle=line, label=label)
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(found), [str(place) for place in found])
        axes.minorticks_off()
        axes.margins(x=0.12, y=0.25)
        axes.set_xlabel(names[axis])
        axes.set_title("Accuracy, %")
        axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
        axes.legend(loc="lower right")
    return figure


def work_figure(
    model: Network | SpikingNetwork,
    trace: Trace,
    *,
    lanes: Mapping[str, int] | None = None,
    check: Check | None = None,
) -> Figure:
    """Where the cycles of the Verilog go, in cycles per inference of each layer.

    Parameters
    ----------
    model : Network or SpikingNetwork
    trace : Trace
        Of this network; predicted from the rows that its events visit.
    lanes : mapping of str to int, optional
        Of each population; up to 16 where None, as `verify` takes them.
    check : Check, optional
        Of ``verilog``, from `verify` with the same lanes: what each layer was measured to do is
        then drawn, and the prediction as a mark.

    Raises
    ------
    ModelError
        If the trace is not of this network, or lanes do not suit it.
    DataError
        If `check` counted no cycles.
    """
    study = Study(as_network(model), trace=trace, lanes=lanes)
    work = network_work(study.plans, study.activity)
    if check is not None:
        if not check.activity:
            raise DataError(
                f"check must be one of 'verilog', which counts cycles, not {check.target!r}"
            )
        activity = {
            name: {state: count / max(1, check.samples) for state, count in told.items()}
            for name, told in check.activity.items()
        }
        return states_figure(activity, {name: w.cycles for name, w in work.items()})
    parts = {
        name: {"weights": w.event_rows, "state": w.walked_rows, "waits": w.waits}
        for name, w in work.items()
    }
    with styled():
        figure, axes = stacked(parts, WORK)
        axes.set_title("Predicted: cycles of each layer, one row of weights or state a cycle")
        axes.set_xlabel("cycles per inference")
        figure.legend(loc="outside lower center", ncols=3, handlelength=0.9, handleheight=0.9)
    return figure


def mismatch_figure(snn: SpikingNetwork, x: Any) -> Figure:
    """Activations of the trained model against what the spikes stand for, layer by layer.

    Parameters
    ----------
    snn : SpikingNetwork
        From `convert` or `finetune`.
    x : (B, ...)
        Real inputs; every neuron of every sample is one point of its layer's panel.

    Returns
    -------
    Figure
        The darker, the more neurons; on the line both are equal. The title tells `error` and
        `drift` of `conversion.mismatch`.

    Raises
    ------
    ModelError, DataError
        As `conversion.mismatch`.
    """
    from matplotlib.colors import LogNorm

    from neurocuda_hw.conversion.mismatch import mismatch

    layers = mismatch(snn, x)
    with styled():
        figure, panels = _panels(len(layers), 2.5)
        for axes, layer in zip(panels, layers, strict=True):
            low = float(min(layer.ann.min(), layer.snn.min()))
            high = float(max(layer.ann.max(), layer.snn.max(), low + 1e-9))
            ends = ((low, high), (low, high))
            axes.hist2d(
                layer.ann.ravel(),
                layer.snn.ravel(),
                bins=_BINS,
                range=ends,
                cmap=ramp("#8fbfdf").with_extremes(bad="white"),
                norm=LogNorm(vmin=1),
                cmin=1,
            )
            axes.plot(*ends, color=ORANGE, linewidth=1)
            axes.set_title(f"{layer.name}\nerror {layer.error:.1%}, drift {layer.drift:+.1%}")
            axes.set_xlabel("trained model")
            axes.set_ylabel("spiking network")
    return figure


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, `height` inches each."""
    columns = 2 if count == 4 else min(count, _COLUMNS)
    rows = -(-count // columns)
    figure = new_figure(WIDTH, 0.4 + height * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        bare(axes)
        axes.set_axis_off()
    return figure, list(grid[:count])
