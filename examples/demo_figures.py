"""What the demonstrations draw: a balanced pole and its spikes; what a camera saw and was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from neurocuda_hw.report.style import (
    BLUE,
    EMPTY,
    FAINT,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    WIDTH,
    bare,
    new_figure,
    ramp,
    styled,
)

if TYPE_CHECKING:
    from event_camera_pipeline import Course
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    from neurocuda_hw.reference.snn import SpikingNetwork

_PERIOD = 0.02  # seconds between two observations of CartPole
_WINDOW, _VIEW, _SHOWN = 0.04, 60.0, 6  # seconds and degrees of the camera; windows
_SAID = ("left", "ahead", "right")
_NAMES = {"dqn": "converted DQN", "direct": "LIF trained directly"}


def balance_figure(shown: Mapping[str, tuple[SpikingNetwork, np.ndarray]]) -> Figure:
    """An episode of each policy: angle and place, actions, and spikes of the first hidden layer.

    Parameters
    ----------
    shown : mapping of str to (SpikingNetwork, float array (steps, 4))
        By kind, ``dqn`` or ``direct``: the network and what it was shown.
    """
    with styled():
        figure = new_figure(WIDTH, 5.6)
        axes = figure.subplots(
            3, len(shown), squeeze=False, sharex="col", height_ratios=(3, 0.5, 4)
        )
        for column, (kind, (snn, seen)) in enumerate(shown.items()):
            above, middle, below = axes[:, column]
            run = snn.run(seen)
            time = np.arange(len(seen) + 1) * _PERIOD
            angle, place = np.rad2deg(seen[:, 2]), 10 * seen[:, 0]
            above.plot(time[:-1], angle, color=BLUE, linewidth=1.0, label="angle, °")
            above.plot(time[:-1], place, color=ORANGE, linewidth=1.2, label="place, 0.1 m")
            for fall in (-12, 12):
                above.axhline(fall, color=VERMILION, linewidth=0.8, linestyle=(0, (4, 2)))
            above.set_ylim(-25, 25)
            above.set_title(f"{_NAMES[kind]}, {len(seen)} steps; the pole is lost at ±12°")
            action = run.outputs.argmax(1).numpy()
            colours = _colours(FAINT, GREY)
            middle.pcolormesh(time, [0, 1], action[None], cmap=colours, vmax=1, rasterized=True)
            middle.set_yticks([])
            hidden = next(p for p in snn.network.populations if p.spiking)
            counts = run.counts[hidden.name].flatten(1).numpy().T
            order = np.argsort(-counts.sum(1), kind="stable")
            image = below.pcolormesh(
                time, np.arange(len(counts) + 1), counts[order], cmap=ramp(), vmin=0,
                rasterized=True,
            )  # fmt: skip
            below.set_title(f"spikes of the {len(counts)} neurons of {hidden.name!r} in each step")
            below.set_xlabel("s")
            figure.colorbar(image, ax=below).outline.set_visible(False)
            middle.set_title("push to the left (pale) or the right (dark)")
            bare(middle)
        axes[0, 0].legend(loc="upper left", ncols=2)
    return figure


def steering_figure(course: Course) -> Figure:
    """Windows as the camera saw them with what the network said; then the whole course.

    The middle of each picture is where the camera looks; the circle is the target.
    """
    frames = np.stack(course.frames).sum(axis=1)
    count, _, height, width = frames.shape
    bearing, heading = np.array(course.bearing), np.array(course.heading)
    time = np.arange(count + 1) * _WINDOW
    with styled():
        figure = new_figure(WIDTH, 5.6)
        figure.suptitle(
            "Windows of events, brighter (blue) and darker (orange); the target (circle); what the "
            "Verilog said", x=0.01, ha="left",
        )  # fmt: skip
        grid = figure.add_gridspec(4, _SHOWN, height_ratios=(3, 4, 0.4, 1.4))
        for column, number in enumerate(_chosen(course)):
            axes = figure.add_subplot(grid[0, column])
            darker, brighter = frames[number]
            axes.imshow(
                np.where(darker + brighter, 1 + (brighter > darker), 0),
                cmap=_colours(EMPTY, ORANGE, BLUE), vmin=0, vmax=2, interpolation="nearest",
            )  # fmt: skip
            place = (width - 1) / 2 + (bearing - heading)[number] * width / _VIEW
            axes.plot(place, (height - 1) / 2, "o", markersize=26, markerfacecolor="none",
                      markeredgecolor=INK, markeredgewidth=0.8)  # fmt: skip
            axes.set_xlim(-0.5, width - 0.5)
            axes.set_title(f"{time[number]:.2f} s: {_SAID[course.said[number]]}", fontsize=8.5)
            axes.set_xticks([])
            axes.set_yticks([])
            bare(axes)
        above, strip, below = (figure.add_subplot(grid[row, :]) for row in (1, 2, 3))
        above.fill_between(time[1:], heading - _VIEW / 2, heading + _VIEW / 2, color=EMPTY,
                           linewidth=0, label="in view")  # fmt: skip
        above.plot(time[1:], heading, color=BLUE, linewidth=1.4, label="where the camera looks")
        above.plot(time[1:], bearing, color=VERMILION, linewidth=1.2, label="the target")
        above.set_title("degrees")
        above.legend(loc="lower left", ncols=3)
        strip.pcolormesh(time, [0, 1], np.array(course.said)[None], vmin=0, vmax=2,
                         cmap=_colours(ORANGE, FAINT, BLUE), rasterized=True)  # fmt: skip
        strip.set_yticks([])
        strip.set_title("what the Verilog said: left (orange), ahead (pale), right (blue)")
        below.step(time[:-1], course.events, where="post", color=INK, linewidth=0.8)
        below.set_title("events of each window")
        below.set_xlabel("s")
        below.set_ylim(0)
        for axes in (above, strip, below):
            axes.set_xlim(0, time[-1])
        bare(strip)
        for axes in (above, strip):
            axes.tick_params(labelbottom=False)
    return figure


def _chosen(course: Course) -> np.ndarray:
    """Numbers of windows that show all that is said, in order of time: those with most events."""
    said, events = np.array(course.said), np.array(course.events)
    each = [np.flatnonzero(said == answer) for answer in range(len(_SAID))]
    best = [numbers[np.argsort(-events[numbers], kind="stable")] for numbers in each]
    found: list[int] = []
    while len(found) < min(_SHOWN, len(said)):
        answer = len(found) % len(_SAID)
        rest = [n for n in best[answer] if n not in found] or [
            n for n in range(len(said)) if n not in found
        ]
        found.append(int(rest[0]))
    return np.sort(found)


def _colours(*colours: str) -> ListedColormap:
    from matplotlib.colors import ListedColormap

    return ListedColormap(colours)
