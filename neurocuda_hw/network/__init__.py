"""The integer network: neurons, synapses, populations, their proved widths, traces and files."""

from neurocuda_hw.network.network import Network as Network
from neurocuda_hw.network.network import Population as Population
from neurocuda_hw.network.network import Projection as Projection
from neurocuda_hw.network.neurons import IF as IF
from neurocuda_hw.network.neurons import LIF as LIF
from neurocuda_hw.network.neurons import CubaLIF as CubaLIF
from neurocuda_hw.network.neurons import CubaReadout as CubaReadout
from neurocuda_hw.network.neurons import Encoding as Encoding
from neurocuda_hw.network.neurons import Input as Input
from neurocuda_hw.network.neurons import LeakyReadout as LeakyReadout
from neurocuda_hw.network.neurons import Readout as Readout
from neurocuda_hw.network.neurons import Reset as Reset
from neurocuda_hw.network.neurons import Window as Window
from neurocuda_hw.network.synapses import Conv2d as Conv2d
from neurocuda_hw.network.synapses import Dense as Dense
from neurocuda_hw.network.synapses import Diagonal as Diagonal
from neurocuda_hw.network.synapses import SumPool as SumPool
