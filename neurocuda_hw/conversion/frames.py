"""What a model that takes all frames of a recording does with them, while it is read.

Its first operation is the sum or the mean over the frames; or it folds them into the batch, goes
through its layers, unfolds the answers and averages them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch.fx import Node

from neurocuda_hw.conversion.reading import Reading
from neurocuda_hw.conversion.temporal import Frames, Reduce
from neurocuda_hw.conversion.value import CannotCompose, Value
from neurocuda_hw.linear.steps import Shape

_WAY_OUT = (
    "take the sum or the mean of the frames first, x.sum(1) or x.mean(1), or fold them into the "
    "batch, x.flatten(0, 1), and average the answers, y.unflatten(0, (-1, frames)).mean(1)"
)
_SAME = {
    f"aten.{name}"
    for name in ("clone", "contiguous", "alias", "detach", "detach_", "lift_fresh", "_to_copy")
}
_RESHAPE = {f"aten.{name}" for name in ["flatten", "view", "_unsafe_view", "reshape"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameValues:
    """T frames, or one answer for each of them.

    Parameters
    ----------
    steps : int
    shape : tuple of int
        Of one frame or answer.
    answers : Value, optional
        None for the input itself.
    """

    steps: int
    shape: Shape
    answers: Value | None = None


def reduce_frames(reading: Reading, node: Node, name: str, arguments: list[Any]) -> Any:
    """What an operation makes of a recording: a Value, or a recording still."""
    recording = arguments[0]
    if not isinstance(recording, FrameValues):
        raise CannotCompose(_WAY_OUT)
    if name in _SAME:
        return recording
    if name in ("aten.mean", "aten.sum") and _over_frames(arguments, len(recording.shape) + 2):
        if recording.answers is None:
            kind = Reduce.SUM if name == "aten.sum" else Reduce.MEAN
            return reading.enter(Frames(steps=recording.steps, reduce=kind))
        reading.averaged = True
        factor = recording.steps if name == "aten.sum" else 1
        return recording.answers if factor == 1 else recording.answers.scaled(float(factor))
    if name in _RESHAPE and recording.answers is None and reading.static(node) == recording.shape:
        return reading.enter(Frames(steps=recording.steps, reduce=Reduce.EACH))
    raise CannotCompose(_WAY_OUT)


def unfolded(reading: Reading, node: Node, value: Value) -> FrameValues | None:
    """Answers ``(B T, K)`` that a reshape makes ``(B, T, K)``; None for another reshape."""
    frames, shape = reading.frames, reading.static(node)
    if frames is None or frames.reduce is not Reduce.EACH or len(shape) < 2:
        return None
    if shape[0] != frames.steps or math.prod(shape[1:]) != math.prod(value.shape):
        return None
    answers = value.reshaped(shape[1:])
    return FrameValues(steps=frames.steps, shape=shape[1:], answers=answers)


def _over_frames(arguments: list[Any], rank: int) -> bool:
    axes = arguments[1] if len(arguments) > 1 else None
    keeps = len(arguments) > 2 and bool(arguments[2])
    return isinstance(axes, list) and [axis % rank for axis in axes] == [1] and not keeps
