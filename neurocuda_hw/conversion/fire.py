"""Neurons through time, with a surrogate gradient: currents of all steps to spikes of all steps.

    v <- keep v + I      s = [v >= theta]      v <- v - theta s   or   v <- 0 where s
    v_0 = rho theta

Backwards, the step function has the slope of an arctangent, 1 / (1 + (pi z)^2), where
z = (v - theta) / theta (Fang et al., ICCV 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """What a neuron does beside integrating and firing.

    Parameters
    ----------
    zero : bool
        A spike sets the membrane to 0; False: it subtracts the threshold.
    start : float
        The membrane before step 0, in thresholds.
    whole : bool
        Membranes are integers: what a leak leaves is truncated towards 0, and the start rounded
        down, as in hardware.
    """

    zero: bool = False
    start: float = 0.5
    whole: bool = True

    def initial(self, threshold: torch.Tensor) -> torch.Tensor:
        """The membrane before step 0."""
        v = threshold * self.start
        return v.floor() if self.whole else v

    def leak(self, v: torch.Tensor, keep: torch.Tensor | None) -> torch.Tensor:
        """What is left of the membrane in the next step."""
        if keep is None:
            return v
        if not self.whole:
            return v * keep
        return (v.double() * keep.double()).trunc().to(v.dtype)  # exact: 12 fractional bits

    def reset(self, v: torch.Tensor, spikes: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        """The membrane after the spikes."""
        return v * (1 - spikes) if self.zero else v - threshold * spikes


class _Fire(torch.autograd.Function):
    """All T steps at once: currents (T, B, ...) to spikes (T, B, ...)."""

    @staticmethod
    def forward(
        ctx: Any,
        currents: torch.Tensor,
        threshold: torch.Tensor,
        keep: torch.Tensor | None,
        rule: Dynamics,
    ) -> torch.Tensor:
        v = rule.initial(threshold).expand(currents.shape[1:])
        spikes, before = torch.empty_like(currents), torch.empty_like(currents)
        for step in range(len(currents)):
            torch.add(rule.leak(v, keep), currents[step], out=before[step])
            spikes[step] = before[step] >= threshold
            v = rule.reset(before[step], spikes[step], threshold)
        ctx.save_for_backward(before, spikes, threshold, keep)
        ctx.rule = rule
        return spikes

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        before, spikes, threshold, keep = ctx.saved_tensors
        rule: Dynamics = ctx.rule
        z = before / threshold - 1
        slope = (z * math.pi).square_().add_(1).reciprocal_().div_(threshold)
        by_current = torch.empty_like(gradient)
        by_threshold = torch.zeros_like(gradient[0])
        by_keep = None if keep is None else torch.zeros_like(gradient[0])
        carried = torch.zeros_like(gradient[0])  # gradient of the membrane after the reset
        for step in range(len(gradient) - 1, -1, -1):
            if rule.zero:
                fired = gradient[step] - before[step] * carried
                by_v = carried * (1 - spikes[step]) + fired * slope[step]
            else:
                fired = gradient[step] - threshold * carried
                by_v = carried + fired * slope[step]
                by_threshold -= carried * spikes[step]
            by_threshold -= fired * slope[step] * (z[step] + 1)
            by_current[step] = by_v
            carried = by_v
            if keep is not None and by_keep is not None:
                if step:
                    left = rule.reset(before[step - 1], spikes[step - 1], threshold)
                else:
                    left = rule.initial(threshold)
                by_keep += by_v * left
                carried = by_v * keep
        by_threshold += carried * rule.start
        return (
            by_current,
            by_threshold.sum_to_size(threshold.shape),
            None if keep is None or by_keep is None else by_keep.sum_to_size(keep.shape),
            None,
        )


def fire(
    currents: torch.Tensor,
    threshold: torch.Tensor,
    keep: torch.Tensor | None = None,
    rule: Dynamics = Dynamics(),
) -> torch.Tensor:
    """Spikes ``(T, B, ...)``, 0 or 1, of neurons that get the currents ``(T, B, ...)``.

    Parameters
    ----------
    threshold, keep : tensor
        Broadcast against ``(B, ...)``; `keep` is the share of the membrane that a step keeps, None
        for neurons without a leak.
    """
    return _Fire.apply(currents, threshold, keep, rule)  # type: ignore[no-any-return, no-untyped-call]
