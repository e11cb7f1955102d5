"""One network from several trainings of one trained model: the mean of their weights.

Trainings that start from the same weights and end close to one another lie in one basin of the
loss; the mean of their weights is often better than each, at no cost in hardware (Wortsman et al.,
ICML 2022, "model soups").
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from neurocuda_hw.conversion.further import in_integers, judgement, trained_model
from neurocuda_hw.conversion.tasks import clearly_better
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.reference.snn import SpikingNetwork


def average_weights(
    networks: Sequence[SpikingNetwork], *, val_loader: Any = None
) -> SpikingNetwork:
    """The network of the mean weights, biases and clip values (of these the geometric mean); or the
    best of `networks`, if that is clearly better, which `notes` of what is returned then say.

    They should come from one model, trained with different seeds or for different times; `networks`
    stay as they are. The integers are rounded anew.

    Parameters
    ----------
    networks : sequence of SpikingNetwork
        From `convert` or `finetune`, at least one; on the device of the first the result is.
    val_loader : as `convert` takes it, optional
        What they are judged by; else samples that were held out when the first of them was trained,
        and the trained model's answers to them.

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
    name, device = networks[0].network.name, networks[0].device
    notes: tuple[str, ...] = ()
    scores = judgement(module, val_loader, device)
    for number, other in enumerate(modules, 1):
        one = copy.deepcopy(other)
        one.judged = modules[0].judged  # all by the same samples
        own = judgement(one, val_loader, device)
        if own is not None and scores is not None and clearly_better(own, scores):
            module, scores = one, own
            notes = (f"the mean of the weights was thrown away: network {number} is better",)
    return in_integers(module, name, device, notes)
