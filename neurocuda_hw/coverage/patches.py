"""The events that meet each weight of a synapse."""

from __future__ import annotations

import torch

from neurocuda_hw.network import Population, Projection
from neurocuda_hw.network.synapses import Conv2d, Dense


def patches(projection: Projection, pushes: torch.Tensor, target: Population) -> torch.Tensor:
    """What meets each weight, ``(M, groups, K, P)``: of a neuron's K weights, at P positions."""
    synapse = projection.synapse
    if synapse.pool is not None:
        assert synapse.pool.stride is not None
        pushes = torch.nn.functional.avg_pool2d(
            pushes, synapse.pool.kernel, synapse.pool.stride, divisor_override=1
        )
    if isinstance(synapse, Dense):
        return pushes.flatten(1)[:, None, :, None]
    if isinstance(synapse, Conv2d):
        kernel = synapse.weight.shape[2:]
        found = torch.nn.functional.unfold(
            pushes, kernel, synapse.dilation, synapse.padding, synapse.stride
        )
        return found.reshape(len(pushes), synapse.groups, -1, found.shape[-1])
    return pushes.reshape(len(pushes), target.shape[0], 1, -1)
