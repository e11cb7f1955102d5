"""How figures look: colours that the colour-blind and a grey printer can tell, and type."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# Okabe and Ito's palette, ordered so that neighbours also differ in lightness
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#56b4e9",
    "#cc79a7",
)
GREY, INK, FAINT, EMPTY = "#8a9097", "#24292f", "#d9dde1", "#f1f3f5"
WIDTH = 9.6  # inches: the text column of the page
FONT = 9.0
_STYLE: dict[str, Any] = {
    "font.size": FONT,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "svg.fonttype": "none",  # text stays text: it can be searched, and takes the page's type
    "svg.hashsalt": "nchw",  # the same build gives the same bytes
    "axes.titlesize": FONT + 0.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.labelsize": FONT,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": FONT - 0.5,
    "ytick.labelsize": FONT - 0.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": FONT - 0.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def styled() -> Any:
    """A context in which figures are drawn and saved in this style."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)  # type: ignore[arg-type]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of some inches, laid out so that nothing overlaps."""
    from neurocuda_hw.report.canvas import Drawing

    return Drawing(figsize=(width, height), layout="constrained")


def ramp(lightest: str = "#ffffff") -> Colormap:
    """White (or another light colour) to dark blue: zero is the paper."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = [lightest, "#cfe3f2", "#8fbfdf", "#3f8fc2", "#0b5d97", "#08304f"]
    return LinearSegmentedColormap.from_list("nchw", stops).with_extremes(bad=EMPTY)


def bare(axes: Axes) -> None:
    """Takes the frame and the ticks' marks away."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)


def step_ticks(axes: Axes, steps: int) -> None:
    """Whole numbers below, few enough to be read."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=min(steps, 16), integer=True))


def separate(axes: Axes, places: Iterable[float]) -> None:
    """White lines between rows."""
    for place in places:
        axes.axhline(place, color="white", linewidth=2.0)


def short(value: float) -> str:
    """A number in at most four digits and a letter: 1,234 is 1.23k."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"


def figure_bytes(figure: Figure, kind: str = "svg", *, dpi: int = 160) -> bytes:
    """A figure as the content of a file, the same bytes for the same figure.

    Parameters
    ----------
    kind : str
        ``svg``, ``png`` or ``pdf``.
    dpi : int
        Dots per inch of a ``png``.
    """
    if kind not in ("svg", "png", "pdf"):
        raise ValueError(f"kind must be svg, png or pdf, not {kind!r}")
    dates: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=dates[kind])
    return buffer.getvalue()


def inline_svg(figure: Figure, label: str) -> str:
    """A figure as an element of a page, with a text for those who do not see it."""
    text = figure_bytes(figure, "svg").decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    # the page sets its width from what it is of the usual one; the viewBox keeps the proportions
    text = re.sub(r'(<svg [^>]*?)width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?)height="[^"]*"', r"\1", text, count=1)
    plain = label.replace("&", "and").replace('"', "'").replace("<", "").replace(">", "")
    told = f'role="img" aria-label="{plain}" style="{shared(figure)}"'
    return text.replace("<svg ", f"<svg {told} ", 1)


def shared(figure: Figure) -> str:
    """For the page's style: which share of the usual width a figure has."""
    return f"--share: {figure.get_figwidth() / WIDTH:.3g}"
