"""Loihi: published fixed-point neurons, mapping on to neurocores, time and energy per step.

`compile` takes a `Network`, `run` also runs it; `DirectNetwork` takes the chip's own integers.
"""

from neurocuda_hw.loihi.direct import DirectNetwork as DirectNetwork
from neurocuda_hw.loihi.direct import Group as Group
from neurocuda_hw.loihi.direct import Recording as Recording
from neurocuda_hw.loihi.direct import Synapses as Synapses
from neurocuda_hw.loihi.limits import CHIPS as CHIPS
from neurocuda_hw.loihi.limits import ChipLimits as ChipLimits
from neurocuda_hw.loihi.limits import Limit as Limit
from neurocuda_hw.loihi.mapping import Mapping as Mapping
from neurocuda_hw.loihi.mapping import MappingError as MappingError
from neurocuda_hw.loihi.microcode import LoihiOverflowError as LoihiOverflowError
from neurocuda_hw.loihi.microcode import Overflow as Overflow
from neurocuda_hw.loihi.neuron import CubaNeuron as CubaNeuron
from neurocuda_hw.loihi.neuron import GradedNeuron as GradedNeuron
from neurocuda_hw.loihi.neuron import SoftResetNeuron as SoftResetNeuron
from neurocuda_hw.loihi.profiles import PROFILES as PROFILES
from neurocuda_hw.loihi.profiles import Constant as Constant
from neurocuda_hw.loihi.profiles import Profile as Profile
from neurocuda_hw.loihi.program import CostReport as CostReport
from neurocuda_hw.loihi.program import LoihiProgram as LoihiProgram
from neurocuda_hw.loihi.program import LoihiRun as LoihiRun
from neurocuda_hw.loihi.program import compile as compile
from neurocuda_hw.loihi.program import run as run
from neurocuda_hw.loihi.program import spikes as spikes
from neurocuda_hw.loihi.verification import PopulationResult as PopulationResult
from neurocuda_hw.loihi.verification import verify_loihi as verify_loihi
from neurocuda_hw.loihi.weights import Shift as Shift
from neurocuda_hw.loihi.weights import SignMode as SignMode
from neurocuda_hw.loihi.weights import WeightFormat as WeightFormat
