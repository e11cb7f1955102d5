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
        return v * (1 - spikes) if self.zero else torch.addcmul(v, threshold, spikes, value=-1)


# neurons that go through all steps together on a CPU: what they need stays in its cache
_TOGETHER = 1 << 15


def _parts(currents: torch.Tensor) -> list[slice]:
    """Samples that go through all steps together."""
    batch = currents.shape[1]
    count = batch
    if currents.device.type == "cpu":
        count = max(1, _TOGETHER // max(1, currents[0, 0].numel()))
    return [slice(start, min(start + count, batch)) for start in range(0, batch, count)]


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
        spikes, before = torch.empty_like(currents), torch.empty_like(currents)
        for part in _parts(currents):
            v = rule.initial(threshold).expand(currents[0, part].shape)
            for step in range(len(currents)):
                now, fired = before[step, part], spikes[step, part]
                torch.add(rule.leak(v, keep), currents[step, part], out=now)
                torch.ge(now, threshold, out=fired)
                v = rule.reset(now, fired, threshold)
        ctx.save_for_backward(before, threshold, keep)
        ctx.rule = rule
        return spikes

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        before, threshold, keep = ctx.saved_tensors
        by_current = torch.empty_like(before)
        by_threshold = torch.zeros_like(threshold)
        by_keep = None if keep is None else torch.zeros_like(keep)
        for part in _parts(before):
            back = _Back(ctx.rule, threshold, keep, before[:, part], gradient[:, part])
            back.through_time(by_current[:, part])
            by_threshold += back.by_threshold.sum_to_size(threshold.shape)
            if by_keep is not None and back.by_keep is not None:
                by_keep += back.by_keep.sum_to_size(by_keep.shape)
        return by_current, by_threshold, by_keep, None


class _Back:
    """Gradients of some samples: from the last step to the first."""

    def __init__(
        self,
        rule: Dynamics,
        threshold: torch.Tensor,
        keep: torch.Tensor | None,
        before: torch.Tensor,
        gradient: torch.Tensor,
    ) -> None:
        self.rule, self.threshold, self.keep = rule, threshold, keep
        self.before, self.gradient = before, gradient
        self.by_threshold = torch.zeros_like(gradient[0])
        self.by_keep = None if keep is None else torch.zeros_like(gradient[0])

    def through_time(self, by_current: torch.Tensor) -> None:
        """Fills in the gradient by the currents, (T, b, ...)."""
        rule, threshold = self.rule, self.threshold
        carried = torch.zeros_like(self.gradient[0])  # gradient of the membrane after the reset
        slope_at_0 = 1 / threshold
        for step in range(len(self.gradient) - 1, -1, -1):
            now = self.before[step]
            ratio = now * slope_at_0
            spikes = (now >= threshold).to(now.dtype)
            slope = (ratio - 1).mul_(math.pi).square_().add_(1).reciprocal_().mul_(slope_at_0)
            if rule.zero:
                fired = torch.addcmul(self.gradient[step], now, carried, value=-1)
                by_v = torch.addcmul(carried, carried, spikes, value=-1)
            else:
                fired = torch.addcmul(self.gradient[step], threshold, carried, value=-1)
                by_v = carried
                self.by_threshold.addcmul_(carried, spikes, value=-1)
            fired.mul_(slope)
            self.by_threshold.addcmul_(fired, ratio, value=-1)
            carried = torch.add(by_v, fired, out=by_current[step])
            if self.keep is not None and self.by_keep is not None:
                self.by_keep.addcmul_(carried, self._left(step))
                carried = carried * self.keep
        self.by_threshold.add_(carried, alpha=rule.start)

    def _left(self, step: int) -> torch.Tensor:
        """The membrane that `step` found."""
        if not step:
            return self.rule.initial(self.threshold)
        last = self.before[step - 1]
        spikes = (last >= self.threshold).to(last.dtype)
        return self.rule.reset(last, spikes, self.threshold)


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
