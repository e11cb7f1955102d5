"""Inputs with a time axis: recordings of T frames ``(B, T, C, H, W)``, and what is made of them.

A classifier of single images sees a recording as the sum or the mean of its frames, or is applied
to each frame and its answers are averaged. A layer of neurons without a leak adds up what it gets,

    sum over t of W x_t = W (sum over t of x_t),

so the spiking network takes the frames one per step: under the exact code the first layer has seen
their sum before it fires, and every count is that of the quantised ANN on the summed frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch

from neurocuda_hw.ground.errors import DataError


class Reduce(Enum):
    """What the trained model makes of the frames: their SUM, their MEAN, or EACH by itself."""

    SUM = "sum"
    MEAN = "mean"
    EACH = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Recordings of `steps` frames, and how the trained model reduces them to one answer."""

    steps: int
    reduce: Reduce

    def enter(self, x: torch.Tensor) -> torch.Tensor:
        """Recordings ``(B, T, *shape)`` as what the layers take: ``(B, *shape)``, EACH: ``(B T,
        *shape)``.

        Raises
        ------
        DataError
            If there are not T frames.
        """
        if x.ndim < 3 or x.shape[1] != self.steps:
            raise DataError(
                f"inputs must have {self.steps} frames each, (samples, {self.steps}, ...), not "
                f"{tuple(x.shape)}"
            )
        if self.reduce is Reduce.SUM:
            return x.sum(1)
        return x.mean(1) if self.reduce is Reduce.MEAN else x.flatten(0, 1)

    def leave(self, answers: torch.Tensor) -> torch.Tensor:
        """Outputs of the layers as one answer for each recording."""
        if self.reduce is not Reduce.EACH:
            return answers
        return answers.reshape(-1, self.steps, *answers.shape[1:]).mean(1)

    def gain(self, rate: bool) -> float:
        """What an input value counts for when it arrives in its step, under the rate or exact code.

        The exact code adds up all steps; in the rate code the mean over the steps counts.
        """
        if rate:
            return float(self.steps) if self.reduce is Reduce.SUM else 1.0
        return 1.0 if self.reduce is Reduce.SUM else 1 / self.steps


def frames_of(reduce: str | Reduce | None, example: torch.Tensor) -> Frames | None:
    """How a model of single frames sees recordings like `example` ``(B, T, ...)``; None if as is.

    Raises
    ------
    ValueError, DataError
        If `reduce` is unknown, or the example has no axis of frames.
    """
    if reduce is None:
        return None
    try:
        kind = Reduce(reduce)
    except ValueError:
        raise ValueError(f"frames must be 'sum', 'mean' or 'each', not {reduce!r}") from None
    if example.ndim < 3:
        raise DataError(
            "inputs must have an axis of frames, (samples, frames, ...), not "
            f"{tuple(example.shape)}; leave frames out for static inputs"
        )
    return Frames(steps=int(example.shape[1]), reduce=kind)
