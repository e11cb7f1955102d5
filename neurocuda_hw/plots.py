"""Figures of a network at work, for notebooks and papers; `figure_bytes` makes files of them.

from neurocuda_hw import plots
plots.raster(snn, snn.trace(x), sample=3)
"""

from neurocuda_hw.report.drawing import network_figure as network
from neurocuda_hw.report.figures import activity_figure as activity
from neurocuda_hw.report.figures import raster_figure as raster
from neurocuda_hw.report.plots import accuracy_figure as accuracy
from neurocuda_hw.report.plots import membrane_figure as membranes
from neurocuda_hw.report.plots import mismatch_figure as mismatch
from neurocuda_hw.report.plots import work_figure as cycles
from neurocuda_hw.report.style import figure_bytes as figure_bytes

__all__ = [
    "accuracy",
    "activity",
    "cycles",
    "figure_bytes",
    "membranes",
    "mismatch",
    "network",
    "raster",
]
