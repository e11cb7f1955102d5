"""Rounding that passes gradients straight through."""

from __future__ import annotations

from typing import Any

import torch


class _Round(torch.autograd.Function):
    """Rounds; the gradient passes straight through."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


class Levels(torch.autograd.Function):
    """``clip(floor((total + theta // 2) / theta), 0, levels)``, straight through within."""

    @staticmethod
    def forward(
        ctx: Any, total: torch.Tensor, threshold: torch.Tensor, levels: int
    ) -> torch.Tensor:
        ratio = (total + (threshold / 2).floor()).div_(threshold)
        ctx.save_for_backward(ratio, threshold)
        ctx.levels = levels
        return ratio.floor().clamp_(0, levels)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        ratio, threshold = ctx.saved_tensors
        inside = (ratio > 0).logical_and_(ratio < ctx.levels + 1)
        by_total = (gradient * inside).div_(threshold)
        by_threshold = torch.sub(0.5, ratio).mul_(by_total).sum_to_size(threshold.shape)
        return by_total, by_threshold, None


def round_through(x: torch.Tensor) -> torch.Tensor:
    """`x` rounded to the nearest integer (ties to even), with the gradient of `x`."""
    return _Round.apply(x)  # type: ignore[no-any-return, no-untyped-call]
