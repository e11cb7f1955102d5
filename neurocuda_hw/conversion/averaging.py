"""One network from several trainings of one trained model: the mean of their weights.

Trainings that start from the same weights and end close to one another lie in one basin of the
loss; the mean of their weights is often better than each, at no cost in hardware (Wortsman et al.,
ICML 2022, "model soups").
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from neurocuda_hw.conversion.further import in_integers, trained_model
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.reference.snn import SpikingNetwork


def average_weights(networks: Sequence[SpikingNetwork]) -> SpikingNetwork:
    """The network of the mean weights, biases and clip values (of these the geometric mean).

    They should come from one model, trained with different seeds or for different times; `networks`
    stay as they are. The integers are rounded anew.

    Parameters
    ----------
    networks : sequence of SpikingNetwork
        From `convert` or `finetune`, at least one; on the device of the first the result is.

    Raises
    ------
    ModelError
        If one was read from a file, or is of another model, code, number of levels or of bits.
    ValueError
        If there are none.
    """
    if not networks:
        raise ValueError("networks must hold at least one network, not none")
    modules = [trained_model(snn) for snn in networks]
    states = [module.state_dict() for module in modules]
    shapes = [{name: values.shape for name, values in state.items()} for state in states]
    for number, module in enumerate(modules[1:], 1):
        same = module.settings == modules[0].settings and shapes[number] == shapes[0]
        if not same or module.graph.shapes != modules[0].graph.shapes:
            raise ModelError(
                "all networks must be conversions of one model under the same code, levels and "
                f"bits; network {number + 1} is not one like the first"
            )
    mean = {
        name: torch.stack([state[name].cpu() for state in states]).mean(0) for name in states[0]
    }
    module = copy.deepcopy(modules[0])
    module.load_state_dict(mean)
    return in_integers(module, networks[0].network.name, networks[0].device)
