"""The nodes of NIR without a state, as steps of `linear`."""

from __future__ import annotations

import nir
import numpy as np
import torch

from neurocuda_hw.linear.steps import Convolution, Pair, Pool, Product, Reshape, Scale, Shape, Step
from neurocuda_hw.nir.shapes import conv_arguments, pool_arguments


def step_of(node: nir.NIRNode, shape: Shape, name: str, dtype: torch.dtype = torch.float64) -> Step:
    """One linear (or affine) node, ready to be applied.

    Parameters
    ----------
    node : nir.NIRNode
        Affine, Linear, Scale, Conv1d, Conv2d, SumPool2d, AvgPool2d, Flatten, Input or Output.
    shape : tuple of int
        Shape of its output, without the batch.
    """

    def tensor(values: object) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values)).to(dtype)

    bias = None
    if isinstance(node, nir.Affine | nir.Conv1d | nir.Conv2d):
        bias = tensor(node.bias).expand(node.weight.shape[0])
    if isinstance(node, nir.Affine | nir.Linear):
        return Product(weight=tensor(node.weight), bias=bias)
    if isinstance(node, nir.Conv1d | nir.Conv2d):
        stride, padding, dilation, groups = conv_arguments(node, name)
        weight = tensor(node.weight)
        return Convolution(
            weight=weight.unsqueeze(2) if isinstance(node, nir.Conv1d) else weight,
            bias=bias,
            stride=_pair(stride, 1),
            padding=_pair(padding, 0),
            dilation=_pair(dilation, 1),
            groups=groups,
        )
    if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        kernel, stride, padding = (_pair(n, 1) for n in pool_arguments(node, name))
        mean = isinstance(node, nir.AvgPool2d)
        return Pool(kernel=kernel, stride=stride, padding=padding, mean=mean)
    if isinstance(node, nir.Scale):
        factor = tensor(node.scale)
        if factor.ndim == 1 and len(shape) > 1 and factor.numel() > 1:
            factor = factor.reshape(-1, *(1,) * (len(shape) - 1))
        return Scale(factor=factor)
    return Reshape(shape=shape)


def _pair(numbers: Shape, lowest: int) -> Pair:
    """Along height and width; signals have the `lowest` along their height."""
    return (lowest if len(numbers) == 1 else numbers[0], numbers[-1])
