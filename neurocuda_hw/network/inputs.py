"""What a network may be fed with: integers of its input's shape and range."""

from __future__ import annotations

import torch

from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network.network import Network

_SMALL = (torch.int8, torch.uint8, torch.int16, torch.int32)


def check_inputs(network: Network, inputs: object, *, small: bool = False) -> torch.Tensor:
    """Inputs as an int64 tensor ``(B, steps, *shape)`` (``(B, *shape)`` for CURRENT).

    An input whose window has one step may leave the step axis out. With `small`, integers of few
    bits stay what they are: for data that is only kept, or worked on in parts.

    Raises
    ------
    DataError
        If the type, the shape or the range is wrong.
    """
    neuron = network.input_neuron
    data = torch.as_tensor(inputs)
    if data.is_floating_point() or data.is_complex():
        raise DataError(f"inputs must be integers, not {data.dtype}; quantise real data first")
    steps = network.window(network.input.name).steps
    shape = network.input.shape
    want = shape if neuron.held else (steps, *shape)
    if not neuron.held and steps == 1 and tuple(data.shape[1:]) == shape:
        data = data.unsqueeze(1)
    if data.ndim != len(want) + 1 or tuple(data.shape[1:]) != want:
        raise DataError(
            f"inputs must have the shape (samples, {', '.join(map(str, want))}), "
            f"not {tuple(data.shape)}"
        )
    if data.shape[0] == 0:
        raise DataError("inputs must hold at least one sample, not none")
    low, high = neuron.payload
    if not small or data.dtype not in _SMALL:
        data = data.to(torch.int64)
    if int(data.min()) < low or int(data.max()) > high:
        raise DataError(
            f"inputs must be {low} to {high}, not {int(data.min())} to {int(data.max())}"
        )
    return data
