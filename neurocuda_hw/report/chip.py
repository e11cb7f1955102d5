"""Figures of a mapping on to a chip: what fills and busies each core, what a step waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurocuda_hw.report.style import (
    BLUE,
    EMPTY,
    FAINT,
    GREEN,
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
    short,
    step_ticks,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PART_COLOURS = {
    "neurons": BLUE,
    "synapses": ORANGE,
    "reads": SKY,
    "messages": PURPLE,
    "links": VERMILION,
    "barrier": FAINT,
}
CLASS_COLOURS = {
    "neurons": BLUE,
    "spikes": GREEN,
    "synapses": ORANGE,
    "reads": SKY,
    "messages": PURPLE,
    "hops": VERMILION,
}


def core_map(data: dict[str, Any]) -> Figure:
    """Where each core stands, coloured by how full and how busy it is."""
    limits = list(data["core_fill"]["limits"])
    fill = 100 * np.array(data["core_fill"]["cores"])
    panels = (
        ("Synaptic memory, % full", fill[:, limits.index("synapse_bytes")], 100.0),
        ("Memory of the core, % full", fill[:, limits.index("core_bytes")], 100.0),
        ("Neurons, % full", fill[:, limits.index("neurons")], 100.0),
        ("Synaptic operations per inference", np.array(data["core_synaptic_ops"]), None),
    )
    columns, rows = int(data["chip_grid"][0]) * int(data["chips"]), int(data["chip_grid"][1])
    places = [(int(x), int(y)) for x, y in data["core_place"]]
    with styled():
        cell = min(0.26, WIDTH / 2.3 / columns)
        figure = new_figure(WIDTH, 2 * (0.8 + cell * rows))
        figure.get_layout_engine().set(hspace=0.1)  # type: ignore[union-attr, call-arg]
        for axes, (title, values, top) in zip(figure.subplots(2, 2).flat, panels, strict=True):
            grid = np.full((rows, columns), np.nan)
            for (x, y), value in zip(places, values, strict=True):
                grid[y, x] = value
            top = top or max(float(values.max()), 1.0)
            image = axes.imshow(grid, cmap=ramp("#e4eff8"), vmin=0, vmax=top)
            _tiles(axes, columns, rows)
            axes.set_title(title)
            bar = figure.colorbar(
                image, ax=axes, orientation="horizontal", pad=0.03, aspect=40, shrink=0.98
            )
            bar.outline.set_visible(False)
            bar.ax.tick_params(length=0)
            if top != 100.0:
                bar.ax.xaxis.set_major_formatter(lambda value, _: short(value))
    return figure


def _tiles(axes: Axes, columns: int, rows: int) -> None:
    """Thin lines between cores, wider ones between the tiles of four."""
    bare(axes)
    axes.set_xticks([])
    axes.set_yticks([])
    for count, line in ((columns, axes.axvline), (rows, axes.axhline)):
        for place in range(count + 1):
            line(place - 0.5, color="white", linewidth=2.2 if place % 2 == 0 else 0.7)


def busy_map(data: dict[str, Any]) -> Figure:
    """Share of each step that each core works, by population."""
    share = 100 * np.array(data["core_utilisation"]).T
    owners = list(data["core_population"])
    first = [row for row, name in enumerate(owners) if row == 0 or owners[row - 1] != name]
    cores = np.diff([*first, len(owners)])
    # a layer of one core is drawn as high as its name, a core of a wide one a third of that
    lines = np.repeat(np.maximum(1, -(-3 // cores)), cores)
    edges = np.concatenate([[0], np.cumsum(lines)])
    with styled():
        figure = new_figure(WIDTH, 1.0 + min(0.055 * int(edges[-1]), 8.0))
        axes = figure.subplots()
        image = axes.imshow(
            np.repeat(share, lines, axis=0),
            aspect="auto",
            cmap=ramp(),
            vmin=0,
            vmax=100,
            interpolation="nearest",
            extent=(-0.5, share.shape[1] - 0.5, float(edges[-1]), 0.0),
        )
        bounds = edges[[*first, len(owners)]]
        for line in bounds[1:-1]:
            axes.axhline(line, color=GREY, linewidth=0.5)
        axes.set_yticks((bounds[1:] + bounds[:-1]) / 2, [owners[row] for row in first])
        axes.set_title("Share of the step that each core works, %")
        axes.set_xlabel("step of the chip")
        step_ticks(axes, share.shape[1])
        bare(axes)
        bar = figure.colorbar(image, ax=axes, pad=0.012, aspect=min(max(10, 0.22 * edges[-1]), 32))
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0)
    return figure


def step_figure(data: dict[str, Any]) -> Figure:
    """Time of each step, by what the step waits for, and energy of each step, by class."""
    times = {n: np.array(v) / 1e3 for n, v in data["ns_per_step_by_part"].items()}
    energy = {n: np.array(v) / 1e6 for n, v in data["pj_per_step_by_class"].items()}
    with styled():
        figure = new_figure(WIDTH, 4.3)
        upper, lower = figure.subplots(2, 1, sharex=True)
        _stack(upper, times, PART_COLOURS)
        upper.set_title("Time of each step, by what it waits for")
        upper.set_ylabel("µs")
        _stack(lower, energy, CLASS_COLOURS)
        lower.set_title("Dynamic energy of each step, by class of event")
        lower.set_ylabel("µJ")
        lower.set_xlabel("step of the chip")
        step_ticks(lower, len(next(iter(times.values()))))
    return figure


def _stack(axes: Axes, parts: dict[str, np.ndarray], colours: dict[str, str]) -> None:
    """Bars on one another; what is zero throughout is left out."""
    floor = np.zeros(len(next(iter(parts.values()))))
    steps = np.arange(len(floor))
    width = 0.78 if len(floor) <= 60 else 1.0
    for name, values in parts.items():
        if values.any():
            axes.bar(
                steps, values, width, bottom=floor, color=colours[name], label=name, linewidth=0
            )
            floor = floor + values
    axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1.02), handlelength=0.9, handleheight=0.9)
    axes.set_xlim(-0.6, len(floor) - 0.4)
    axes.set_ylim(0, max(float(floor.max()) * 1.06, 1e-9))
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def energy_figure(data: dict[str, Any]) -> Figure:
    """Dynamic energy of an inference by class of event, as one bar."""
    found = {n: float(v) / 1e6 for n, v in data["pj_by_class"].items() if v}
    total = sum(found.values()) or 1.0
    with styled():
        figure = new_figure(WIDTH, 0.95)
        axes = figure.subplots()
        start = 0.0
        for name, value in found.items():
            axes.barh([0], [value], left=start, height=0.5, color=CLASS_COLOURS[name])
            if value / total > 0.07:
                dark = CLASS_COLOURS[name] in (BLUE, GREEN, VERMILION)
                axes.text(
                    start + value / 2,
                    0,
                    f"{name} {value / total:.0%}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else INK,
                )
            start += value
        axes.set_xlim(0, total)
        axes.set_yticks([])
        axes.set_xlabel("dynamic energy per inference, µJ")
        bare(axes)
        axes.tick_params(axis="x", length=3)
        axes.set_facecolor(EMPTY)
    return figure
