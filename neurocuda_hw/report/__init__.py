"""A build folder as one page of HTML: its network, activity, cost and what was compared with it.

`report` writes the page; `activity_figure` and `figure_bytes` draw for other commands too.
"""

from neurocuda_hw.report.facts import Facts, LayerFacts, read_facts
from neurocuda_hw.report.figures import activity_figure, raster_figure
from neurocuda_hw.report.page import render, report
from neurocuda_hw.report.style import figure_bytes
from neurocuda_hw.report.verdict import CheckRow, Verdict, judge

__all__ = [
    "CheckRow",
    "Facts",
    "LayerFacts",
    "Verdict",
    "activity_figure",
    "figure_bytes",
    "judge",
    "raster_figure",
    "read_facts",
    "render",
    "report",
]
