"""The nodes of NIR without a state, on batches of tensors."""

from __future__ import annotations

import nir
import torch
import torch.nn.functional as F

from neurocuda_hw.nir.shapes import Shape, conv_arguments, pool_arguments


class Operation:
    """One linear (or affine) node, ready to be applied.

    Parameters
    ----------
    node : nir.NIRNode
        Affine, Linear, Scale, Conv1d, Conv2d, SumPool2d, AvgPool2d, Flatten, Input or Output.
    shape : tuple of int
        Shape of its output, without the batch.
    """

    def __init__(self, node: nir.NIRNode, shape: Shape, name: str, dtype: torch.dtype) -> None:
        self.node, self.shape, self.name = node, shape, name
        self.weight = self.bias = None
        if isinstance(node, nir.Affine | nir.Linear | nir.Conv1d | nir.Conv2d):
            self.weight = torch.as_tensor(node.weight).to(dtype)
        if isinstance(node, nir.Affine | nir.Conv1d | nir.Conv2d):
            count = node.weight.shape[0]
            self.bias = torch.as_tensor(node.bias).to(dtype).expand(count)
        if isinstance(node, nir.Scale):
            scale = torch.as_tensor(node.scale).to(dtype)
            if scale.ndim == 1 and len(shape) > 1 and scale.numel() > 1:
                scale = scale.reshape(-1, *(1,) * (len(shape) - 1))
            self.weight = scale

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, *shape in)`` to ``(B, *shape out)``."""
        node = self.node
        if isinstance(node, nir.Affine | nir.Linear):
            assert self.weight is not None
            return F.linear(x, self.weight, self.bias)
        if isinstance(node, nir.Conv1d | nir.Conv2d):
            assert self.weight is not None
            stride, padding, dilation, groups = conv_arguments(node, self.name)
            convolve = F.conv1d if isinstance(node, nir.Conv1d) else F.conv2d
            return convolve(x, self.weight, self.bias, stride, padding, dilation, groups)
        if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
            kernel, stride, padding = pool_arguments(node, self.name)
            x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
            divisor = 1 if isinstance(node, nir.SumPool2d) else kernel[0] * kernel[1]
            return F.avg_pool2d(x, kernel, stride, divisor_override=divisor)
        if isinstance(node, nir.Scale):
            assert self.weight is not None
            return x * self.weight
        return x.reshape(x.shape[0], *self.shape)
