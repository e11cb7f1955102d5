"""A network as boxes and arrows: populations from top to bottom, projections between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurocuda_hw.ground.words import some
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.network import as_network
from neurocuda_hw.report.style import BLUE, GREEN, GREY, INK, WIDTH, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neurocuda_hw.reference.snn import SpikingNetwork

_WIDE, _HALF = 0.5, 0.27  # of a box: widths, and half its height in rows
_SHORT = 56  # letters that fit beside an arrow between two boxes
_TRACK = 0.028  # widths between projections that run side by side
_TIMES = " \u00d7 "


def network_figure(model: Network | SpikingNetwork) -> Figure:
    """The populations of a network, and what joins them.

    Parameters
    ----------
    model : Network or SpikingNetwork

    Returns
    -------
    Figure
        A box for each population, from input to output; an arrow for each projection. Those that
        pass populations by run on the right, those with a delay (dashed) on the left.
    """
    network = as_network(model)
    rows = {p.name: row for row, p in enumerate(network.populations)}
    left = 0.24 if any(p.delay for p in network.projections) else 0.005
    right = left + _WIDE
    straight = all(
        rows[p.target] == rows[p.source] + 1 and not p.delay and len(_words(p)) <= _SHORT
        for p in network.projections
    )
    width = right + 0.005 if straight else 1.0  # nothing stands beside the boxes
    beside: dict[int, list[list[tuple[int, int]]]] = {1: [], -1: []}
    with styled():
        figure = new_figure(WIDTH * width, 0.25 + (0.56 if len(rows) <= 12 else 0.46) * len(rows))
        axes = figure.subplots()
        axes.set_axis_off()
        for population in network.populations:
            _box(axes, population, left, rows[population.name], population is network.output)
        for projection in network.projections:
            start, end = rows[projection.source], rows[projection.target]
            if end == start + 1 and not projection.delay:
                middle = left + 0.3 * _WIDE
                _arrow(axes, [(middle, start + _HALF), (middle, end - _HALF)])
                axes.text(middle + 0.012, start + 0.5, _words(projection), va="center", fontsize=8)
                continue
            side = -1 if projection.delay else 1
            track = _free(beside[side], min(start, end), max(start, end))
            edge = right if side > 0 else left
            out = edge + side * _TRACK * (track + 1)
            # below and above the middle: what leaves a box and what reaches it keep apart
            way = [(edge, start + 0.1), (out, start + 0.1), (out, end - 0.1), (edge, end - 0.1)]
            _arrow(axes, way, dashed=bool(projection.delay))
            axes.annotate(
                _words(projection).replace(", ", "\n", 1),
                (out, (start + end) / 2),
                xytext=(side * 4, 0),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                va="center",
                fontsize=7,
            )
        axes.set_xlim(0, width)
        axes.set_ylim(len(rows) - 0.6, -0.4)
    return figure


def _box(axes: Axes, population: Population, left: float, row: int, output: bool) -> None:
    from matplotlib.patches import Rectangle

    colour = BLUE if population.fed else GREEN if output else GREY
    corner = (left, row - _HALF)
    box = Rectangle(corner, _WIDE, 2 * _HALF, facecolor="white", edgecolor=colour)
    box.set_linewidth(1.6 if colour is not GREY else 1.0)
    axes.add_patch(box)
    axes.text(left + 0.012, row, population.name, va="center", weight="bold", color=INK)
    told = f"{_TIMES.join(map(str, population.shape))}  {type(population.neuron).__name__}"
    axes.text(left + _WIDE - 0.012, row, told, va="center", ha="right", color=INK)


def _words(projection: Projection) -> str:
    synapse = projection.synapse
    late = ", one step later" if projection.delay else ""
    size = f"{some(synapse.weight.size, 'weight')} of {some(synapse.weight_bits, 'bit')}"
    return f"{synapse}, {size}{late}"


def _free(taken: list[list[tuple[int, int]]], start: int, end: int) -> int:
    """The first track on which nothing runs between two rows; it is taken."""
    for track, runs in enumerate(taken):
        if all(end <= low or high <= start for low, high in runs):
            runs.append((start, end))
            return track
    taken.append([(start, end)])
    return len(taken) - 1


def _arrow(axes: Axes, way: list[tuple[float, float]], *, dashed: bool = False) -> None:
    line = (0, (4, 2)) if dashed else "solid"
    if len(way) > 2:
        axes.plot(*zip(*way[:-1], strict=True), color=GREY, linewidth=1, linestyle=line)
    axes.annotate(
        "",
        way[-1],
        xytext=way[-2],
        arrowprops={
            "arrowstyle": "-|>",
            "color": GREY,
            "linestyle": line,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )
