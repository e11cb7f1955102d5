from neurocuda_hw.loihi.direct import DirectNetwork, Group, Recording, Synapses
from neurocuda_hw.loihi.neuron import CubaNeuron, GradedNeuron, SoftResetNeuron
from neurocuda_hw.loihi.weights import Shift, SignMode, WeightFormat
