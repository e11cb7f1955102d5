"""Figures of a network at work: events by layer and step, one inference's spikes, cycles by layer.

`activity_figure` and `figure_bytes` are for other commands too. Matplotlib loads when one is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.network import as_network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.report.facts import sent
from neurocuda_hw.report.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    WIDTH,
    bare,
    new_figure,
    ramp,
    separate,
    short,
    step_ticks,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neurocuda_hw.reference.snn import SpikingNetwork

BAND = 48  # rows that a population gets in the raster, at most
# what a layer does in a cycle: see `rtl.activity`
STATES = {
    "integrating": BLUE,
    "sweeping": SKY,
    "bubble": PURPLE,
    "stalled": VERMILION,
    "starved": FAINT,
}


# where a layer's predicted cycles go: see `passes.cycles.LayerWork`
WORK = {"weights": BLUE, "state": SKY, "waits": PURPLE}


def chosen_sample(trace: Trace, sample: int) -> int:
    """`sample`; a DataError unless the trace has it."""
    if not 0 <= sample < trace.samples:
        raise DataError(
            f"sample must be 0 to {trace.samples - 1}, those of the trace, not {sample}"
        )
    return sample


def senders(network: Network) -> list[Population]:
    """The input and every population that fires, in order."""
    return [p for p in network.populations if p.spiking or p.fed]


def activity_figure(model: Network | SpikingNetwork, trace: Trace) -> Figure:
    """Which share of each population sends an event in each step, and events per inference.

    Parameters
    ----------
    model : Network or SpikingNetwork
    trace : Trace
        Of this network; every sample counts.

    Returns
    -------
    Figure
        For `figure_bytes`; layers down, steps across, mean of all samples.

    Raises
    ------
    ModelError
        If the trace is not of this network.
    """
    network = as_network(model)
    trace.check(network)
    shown = senders(network)
    events = [sent(network, trace, p) for p in shown]
    share = np.array([100 * e.mean(axis=0) / p.size for e, p in zip(events, shown, strict=True)])
    closed = np.ones(share.shape, dtype=bool)
    for row, population in enumerate(shown):
        window = network.window(population.name)
        closed[row, window.start : window.stop] = False
    with styled():
        figure = new_figure(WIDTH, 0.95 + 0.27 * len(shown))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        image = left.imshow(
            np.ma.masked_array(share, closed),
            aspect="auto",
            interpolation="nearest",
            cmap=ramp(),
            vmin=0,
            vmax=max(float(share.max()), 1e-9),
        )
        separate(left, np.arange(0.5, len(shown) - 1))
        left.set_yticks(range(len(shown)), [p.name for p in shown])
        left.set_title("Neurons that send an event, % of the layer (grey: may not fire)")
        left.set_xlabel("step")
        step_ticks(left, trace.timesteps)
        bar = figure.colorbar(image, ax=left, pad=0.012, aspect=max(12, 2.6 * len(shown)))
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0)
        totals = np.array([e.sum(axis=1).mean() for e in events])
        right.barh(range(len(shown)), totals, height=0.62, color=BLUE)
        for row, total in enumerate(totals):
            right.annotate(
                short(float(total)),
                (total, row),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        right.set_title("Events per inference")
        right.set_xlim(0, max(float(totals.max()), 1.0) * 1.25)
        right.set_xticks([])
        for axes in (left, right):
            bare(axes)
    return figure


def raster_figure(model: Network | SpikingNetwork, trace: Trace, sample: int = 0) -> Figure:
    """Every event of one inference; neurons of wide layers share a row, darker where more fire.

    Parameters
    ----------
    model : Network or SpikingNetwork
    trace : Trace
        Of this network.
    sample : int
        The inference of the trace.

    Returns
    -------
    Figure
        A panel for the input and for each population that fires: neurons down, steps across.

    Raises
    ------
    ModelError
        If the trace is not of this network.
    DataError
        If it has no such sample.
    """
    network = as_network(model)
    trace.check(network)
    chosen_sample(trace, sample)
    shown = senders(network)
    bands = [_band(_events(network, trace, p, sample)) for p in shown]
    for band, population in zip(bands, shown, strict=True):
        window = network.window(population.name)
        band[:, : window.start] = band[:, window.stop :] = np.nan
    row = 0.009 if len(bands) <= 8 else 0.006
    from matplotlib.colors import PowerNorm

    with styled():
        height = 0.8 + sum(0.16 + row * len(band) for band in bands)
        figure = new_figure(WIDTH, height)
        axes = figure.subplots(
            len(bands), 1, sharex=True, squeeze=False, height_ratios=[10 + len(b) for b in bands]
        )[:, 0]
        for panel, band, population in zip(axes, bands, shown, strict=True):
            panel.imshow(
                band,
                aspect="auto",
                interpolation="nearest",
                cmap=ramp(),
                norm=PowerNorm(0.5, vmin=0, vmax=1),  # a few of many neurons still show
                extent=(-0.5, trace.timesteps - 0.5, population.size, 0),
            )
            panel.set_yticks([])
            panel.set_ylabel(
                f"{population.name}\n{population.size:,}",
                rotation=0,
                ha="right",
                va="center",
                fontsize=8,
            )
            panel.tick_params(length=0)
            for side in panel.spines.values():
                side.set_visible(True)
                side.set_linewidth(0.5)
        axes[0].set_title(
            f"Every event of inference {sample} (rows: neurons, many to a row in wide layers; "
            "grey: may not fire)"
        )
        axes[-1].set_xlabel("step")
        step_ticks(axes[-1], trace.timesteps)
    return figure


def _events(network: Network, trace: Trace, population: Population, sample: int) -> np.ndarray:
    """Events of one sample, ``(N, T)`` of 0 and 1."""
    if population.spiking:
        return trace.bits(population.name, sample).T
    found = np.zeros((population.size, trace.timesteps), dtype=np.uint8)
    if population.neuron.held:
        found[:] = (trace.inputs[sample].reshape(-1, 1)) != 0
        return found
    start = network.window(population.name).start
    given = trace.inputs[sample].reshape(-1, population.size) != 0
    found[:, start : start + len(given)] = given.T
    return found


def _band(events: np.ndarray) -> np.ndarray:
    """Events ``(N, T)`` as at most `BAND` rows of means."""
    if len(events) <= BAND:
        return events.astype(np.float64)
    parts = np.array_split(events, BAND)
    return np.array([part.mean(axis=0) for part in parts])


def cycles_figure(predicted: Mapping[str, float], measured: float | None) -> Figure:
    """Predicted cycles of each layer per inference; measured ones are of the whole network."""
    names, values = list(predicted), np.array(list(predicted.values()))
    with styled():
        figure = new_figure(WIDTH, 0.9 + 0.25 * len(names))
        axes = figure.subplots()
        slowest = int(values.argmax())
        colours = [ORANGE if row == slowest else BLUE for row in range(len(names))]
        axes.barh(range(len(names)), values, height=0.66, color=colours)
        top = max(float(values.max()), measured or 0.0)
        for row, value in enumerate(values):
            inside = value > 0.12 * top
            axes.annotate(
                f"{value:,.0f}",
                (value, row),
                xytext=(-5 if inside else 4, 0),
                textcoords="offset points",
                ha="right" if inside else "left",
                va="center",
                fontsize=8,
                color=INK if not inside or row == slowest else "white",
            )
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel("cycles per inference")
        axes.set_title("Predicted for each layer (orange: slowest)")
        bare(axes)
        axes.spines["bottom"].set_visible(True)
        axes.tick_params(axis="x", length=3)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        if measured:
            label = f"measured, whole network: {measured:,.0f}"
            axes.axvline(measured, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label=label)
            figure.legend(loc="outside upper right", handlelength=2.2)
        axes.set_xlim(0, top * 1.08 or 1)
        axes.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure


def states_figure(
    activity: Mapping[str, Mapping[str, float]], predicted: Mapping[str, float]
) -> Figure:
    """What each layer of simulated hardware did in its cycles, beside what was predicted.

    Parameters
    ----------
    activity : mapping of str to (mapping of str to float)
        By layer, cycles per inference in each of `STATES`.
    predicted : mapping of str to float
        Cycles per inference of each layer.
    """
    names = list(activity)
    with styled():
        figure, axes = stacked(activity, STATES)
        marks = [predicted.get(name, np.nan) for name in names]
        axes.scatter(
            marks, range(len(names)), 110, color=INK, marker="|", linewidths=1.6, label="predicted"
        )
        axes.set_xlabel("cycles per inference, of the whole run")
        axes.set_title("Measured: what each layer did in its cycles")
        figure.legend(loc="outside lower center", ncols=6, handlelength=0.9, handleheight=0.9)
    return figure


def stacked(
    parts: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]
) -> tuple[Figure, Axes]:
    """A bar for each name, of its parts in the order of `colours`; call it in `styled`."""
    names = list(parts)
    figure = new_figure(WIDTH, 1.15 + 0.25 * len(names))
    axes = figure.subplots()
    floor = np.zeros(len(names))
    for part, colour in colours.items():
        values = np.array([float(parts[name].get(part, 0.0)) for name in names])
        axes.barh(range(len(names)), values, 0.66, left=floor, color=colour, label=part)
        floor += values
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, float(floor.max()) * 1.02 or 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    bare(axes)
    axes.tick_params(axis="x", length=3)
    return figure, axes
