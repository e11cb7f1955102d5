"""The integer network: neurons, synapses, populations, their proved widths, traces and files."""

from neurocuda_hw.network.network import Network, Population, Projection
from neurocuda_hw.network.neurons import (
    IF,
    LIF,
    CubaLIF,
    CubaReadout,
    Encoding,
    Input,
    LeakyReadout,
    Readout,
    Reset,
    Window,
)
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool

__all__ = [
    "IF",
    "LIF",
    "Conv2d",
    "CubaLIF",
    "CubaReadout",
    "Dense",
    "Diagonal",
    "Encoding",
    "Input",
    "LeakyReadout",
    "Network",
    "Population",
    "Projection",
    "Readout",
    "Reset",
    "SumPool",
    "Window",
]
