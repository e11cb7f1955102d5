"""A recording of events as people see it: rate over time and the frame, as a figure and as text."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from neurocuda_hw.data.survey import Survey
from neurocuda_hw.report.style import BLUE, ORANGE, WIDTH, bare, new_figure, ramp, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS, _ROWS = 64, 24  # of text
_BARS, _SHADES = " ▁▂▃▄▅▆▇█", " ░▒▓█"


def recording_figure(found: Survey) -> Figure:
    """Events of each polarity in each step, and of each pixel.

    Returns
    -------
    Figure
        For `figure_bytes`.
    """
    steps = (np.arange(len(found.rate)) * found.step_us + found.start) / 1000
    with styled():
        figure = new_figure(WIDTH, 3.6)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        for polarity, (colour, name) in enumerate(((ORANGE, "darker"), (BLUE, "brighter"))):
            left.step(
                steps, found.rate[:, polarity], where="post", color=colour, label=name, linewidth=1
            )
        left.set_title(f"Events in each step of {found.step_us:,} µs")
        left.set_xlabel("ms")
        left.legend(loc="upper right")
        right.set_title(f"Events of each pixel, {found.frame.shape[2]} x {found.frame.shape[1]}")
        if found.frame.size:
            image = right.imshow(found.frame.sum(axis=0), cmap=ramp(), interpolation="nearest")
            figure.colorbar(image, ax=right).outline.set_visible(False)
        bare(right)
    return figure


def rate_text(found: Survey) -> str:
    """The rate over the recording as one line of bars, the highest of them full."""
    counts = found.rate.sum(axis=1)
    edges = np.linspace(0, len(counts), min(_COLUMNS, len(counts)) + 1).astype(int)
    means = [counts[a:b].mean() for a, b in pairwise(edges)]
    return _drawn(np.array(means), _BARS)


def frame_text(found: Survey) -> list[str]:
    """The frame as lines of shades, a character for as many pixels as there must be."""
    frame = found.frame.sum(axis=0)
    height, width = frame.shape
    if not frame.size:
        return []
    n = max(1, -(-width // _COLUMNS), -(-height // (2 * _ROWS)))
    # a character is about twice as high as it is wide
    padded = np.pad(frame, ((0, -height % (2 * n)), (0, -width % n)))
    cells = padded.reshape(padded.shape[0] // (2 * n), 2 * n, -1, n).sum(axis=(1, 3))
    drawn = _drawn(cells.ravel(), _SHADES)
    across = cells.shape[1]
    return [drawn[at : at + across] for at in range(0, len(drawn), across)]


def _drawn(values: np.ndarray, characters: str) -> str:
    """A character for each value; only 0 is the first."""
    top = max(float(values.max()), 1e-9) if len(values) else 1.0
    levels = np.ceil(values / top * (len(characters) - 1)).astype(int)
    return "".join(characters[level] for level in levels)
