"""Loihi: published fixed-point neurons, mapping on to neurocores, time and energy per step.

`compile` takes a `Network`, `run` also runs it; `DirectNetwork` takes the chip's own integers.
"""

from neurocuda_hw.loihi.direct import DirectNetwork, Group, Recording, Synapses
from neurocuda_hw.loihi.limits import CHIPS, ChipLimits, Limit
from neurocuda_hw.loihi.mapping import Mapping, MappingError
from neurocuda_hw.loihi.microcode import LoihiOverflowError, Overflow
from neurocuda_hw.loihi.neuron import CubaNeuron, GradedNeuron, SoftResetNeuron
from neurocuda_hw.loihi.profiles import PROFILES, Constant, Profile
from neurocuda_hw.loihi.program import CostReport, LoihiProgram, LoihiRun, compile, run, spikes
from neurocuda_hw.loihi.verification import PopulationResult, verify_loihi
from neurocuda_hw.loihi.weights import Shift, SignMode, WeightFormat

__all__ = [
    "CHIPS",
    "PROFILES",
    "ChipLimits",
    "Constant",
    "CostReport",
    "CubaNeuron",
    "DirectNetwork",
    "GradedNeuron",
    "Group",
    "Limit",
    "LoihiOverflowError",
    "LoihiProgram",
    "LoihiRun",
    "Mapping",
    "MappingError",
    "Overflow",
    "PopulationResult",
    "Profile",
    "Recording",
    "Shift",
    "SignMode",
    "SoftResetNeuron",
    "Synapses",
    "WeightFormat",
    "compile",
    "run",
    "spikes",
    "verify_loihi",
]
