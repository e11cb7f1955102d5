"""The synapses of a network; see `network.synapses`."""

from neurocuda_hw.network.synapses import *  # noqa: F403
