"""The neurons of a network; see `network.neurons`."""

from neurocuda_hw.network.neurons import *  # noqa: F403
