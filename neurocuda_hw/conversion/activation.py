"""QCFS as an activation function to train with, long before a conversion.

    a = lambda clip(floor(x L / lambda + 1/2) / L, 0, 1)

(Bu et al., ICLR 2022.) With it in the place of each ReLU a model learns to do with L levels while
its weights are real and its normalisations still normalise, which is faster, and for a long
training better, than to learn it in integers. `convert` takes lambda as it was learnt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from neurocuda_hw.ground.errors import ModelError


def _forward(x: torch.Tensor, clip: torch.Tensor, levels: int) -> torch.Tensor:
    unit = (clip / levels).to(x.dtype)
    return (x / unit).add_(0.5).floor_().clamp_(0, levels).mul_(unit)


@torch.library.custom_op("neurocuda_hw::qcfs", mutates_args=())
def qcfs(x: torch.Tensor, clip: torch.Tensor, levels: int) -> torch.Tensor:
    """The activation of ``x`` for ``clip`` (lambda) that broadcasts over it: one operation, that an
    export shows."""
    return _forward(x, clip, levels)


@qcfs.register_fake
def _(x: torch.Tensor, clip: torch.Tensor, levels: int) -> torch.Tensor:
    return torch.empty_like(x)


def _setup(ctx: Any, inputs: tuple[torch.Tensor, torch.Tensor, int], output: torch.Tensor) -> None:
    x, clip, ctx.levels = inputs
    ctx.save_for_backward(x, clip)


def _backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
    """Straight through within the levels (Bengio et al., 2013); lambda as a step size (Esser et
    al., ICLR 2020)."""
    x, clip = ctx.saved_tensors
    unit = clip / ctx.levels
    if gradient.stride() != x.stride():  # of another memory format: all that follows would be slow
        gradient = torch.empty_like(x).copy_(gradient)
    ratio = (x / unit.to(x.dtype)).add_(0.5)
    by_x = torch.ops.aten.hardtanh_backward(gradient, ratio, 0.0, ctx.levels + 1.0)
    # d(lambda N / L) / d lambda = N / L, less what straight through gives for x / lambda
    counted = ratio.floor_().clamp_(0, ctx.levels).mul_(gradient).sum_to_size(clip.shape).float()
    passed = (by_x * x).sum_to_size(clip.shape).float()
    return by_x, (counted - passed / unit) / ctx.levels, None


qcfs.register_autograd(_backward, setup_context=_setup)


class _Open(torch.autograd.Function):
    """The same with its parts in sight, for a compiler that joins them to their neighbours."""

    forward = staticmethod(_forward)
    setup_context = staticmethod(_setup)
    backward = staticmethod(_backward)


class QCFS(nn.Module):
    """Quantisation, clip, floor, shift: an activation of `levels` steps up to a learnt clip value.

    Parameters
    ----------
    levels : int
        L, 1 to 255: that of the conversion.
    clip : float
        Where lambda starts; positive.
    channels : int, optional
        One lambda for each channel of the input ``(B, C, ...)``; None: one for all.
    """

    def __init__(self, levels: int = 8, clip: float = 4.0, *, channels: int | None = None) -> None:
        super().__init__()
        if isinstance(levels, bool) or not isinstance(levels, int) or not 1 <= levels <= 255:
            raise ValueError(f"levels must be a whole number from 1 to 255, not {levels!r}")
        if not (math.isfinite(clip) and clip > 0):
            raise ValueError(f"clip must be positive, not {clip!r}")
        self.levels = levels
        self.log_clip = nn.Parameter(torch.full((channels or 1,), math.log(clip)))

    @property
    def clip(self) -> torch.Tensor:
        """lambda, ``(1,)`` or ``(C,)``."""
        return self.log_clip.exp()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Activations of the sums ``(B, C, ...)``."""
        clip = self.clip
        if len(clip) > 1 and (x.ndim < 2 or x.shape[1] != len(clip)):
            raise ModelError(
                f"QCFS of {len(clip)} channels must get (B, {len(clip)}, ...), not {tuple(x.shape)}"
            )
        if torch.is_grad_enabled():
            # all positions pull at one lambda: their gradient is scaled to a weight's size
            share = (math.prod(x.shape[1:]) / len(clip) * self.levels) ** -0.5
            clip = clip * share + (clip * (1 - share)).detach()
        wide = clip.reshape(1, -1, *[1] * (x.ndim - 2))
        operation: Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor] = qcfs
        if self.training and torch.compiler.is_compiling():  # an export is of evaluation
            operation = _Open.apply
        return operation(x, wide, self.levels)

    def extra_repr(self) -> str:
        """Shown by ``print``."""
        return f"levels={self.levels}, channels={len(self.log_clip)}"
