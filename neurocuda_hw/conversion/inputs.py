"""What one unit of an input integer is worth, and whether integers still say what the data said.

The largest magnitude fills the bits; a few values far beyond all others (outliers) do not count.
Channels whose ranges are far apart have a scale each, which the first layer's weights absorb.
"""

from __future__ import annotations

import torch

from neurocuda_hw.conversion.calibrate import input_range
from neurocuda_hw.conversion.temporal import Frames
from neurocuda_hw.linear.steps import Shape, per_channel
from neurocuda_hw.network.neurons import payload_range

# a range beyond so many times that of all but a thousandth of the values is one of outliers
_FAR = 3.0
_OUTLIERS = 1000
# channels whose ranges differ by more than this have a scale each, if values are often not 0
_APART = 4.0
_OFTEN = 0.05
# share of a channel's deviation that rounding may take
_ROUGH = 0.1
# standard deviations that a mean must be away from 0 for an offset
_OFFSET = 2.0

Scale = float | tuple[float, ...]


def by_channel(x: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Inputs ``(B, ...)``, or recordings, of channels as ``(C, values)``."""
    return x.double().reshape(-1, *shape).transpose(0, 1).flatten(1)


def payload_of(
    frames: Frames | None, values: torch.Tensor, bits: int, shape: Shape
) -> tuple[int, Scale, list[str]]:
    """Bits of an input value, what one unit of it is worth, and notes.

    Counts of events, whole numbers in recordings, stay what they are, in as few bits as they need.
    """
    low, high = input_range([values])
    signed = low < 0
    largest = payload_range(bits, signed)[1]
    peak = max(-low, high)
    if frames is not None and peak <= largest and bool((values == values.round()).all()):
        return int(peak).bit_length() + signed, 1.0, []
    channels = by_channel(values, shape)
    whole = _reach(channels.reshape(1, -1))
    reach = _reach(channels)
    alive = (channels != 0).double().mean(1) >= _OFTEN
    used = reach[alive]
    scale: Scale = float(whole) / largest
    limits = whole
    if len(used) > 1 and float(used.max()) > _APART * float(used.min()):
        limits = torch.where(alive, reach, whole.expand_as(reach))
        scale = tuple((limits / largest).tolist())
    cut = int((channels.abs() > limits[:, None] * (1 + 1e-9)).sum())
    notes = []
    if cut:
        notes.append(
            f"{cut:,} of {channels.numel():,} input values lie far beyond all others (up to "
            f"{peak:g}) and are clipped, so that the others keep their codes"
        )
    return bits, scale, notes


def _reach(channels: torch.Tensor) -> torch.Tensor:
    """Largest magnitude of each channel, without outliers; of a silent one 1."""
    found = []
    for row in channels.abs():
        ordered = row[row > 0].sort().values
        count = len(ordered)
        if not count:
            found.append(1.0)
            continue
        rest = ordered[count - 1 - (-(-count // _OUTLIERS) if count >= 100 else 0)]
        found.append(float(ordered[ordered <= _FAR * rest][-1]))
    return torch.tensor(found, dtype=torch.float64)


def centre(values: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Mean of each channel that lies far from 0, for what it varies; else 0, ``(C,)``."""
    channels = by_channel(values, shape)
    mean = channels.mean(1)
    return torch.where(mean.abs() > _OFFSET * channels.std(1, unbiased=False), mean, 0.0)


def within(x: torch.Tensor, scale: Scale, payload: tuple[int, int], shape: Shape) -> torch.Tensor:
    """`x` itself, or what is left of it where integers clip values."""
    if not beyond(x, scale, payload, shape):
        return x
    units = per_channel(torch.as_tensor(scale, dtype=torch.float64), len(shape))
    limits = (units * payload[0]).float(), (units * payload[1]).float()
    return x.reshape(-1, *shape).clamp(*limits).reshape(x.shape)


def beyond(x: torch.Tensor, scale: object, payload: tuple[int, int], shape: Shape) -> int:
    """Values that the integers cannot reach by more than one of their units."""
    units = per_channel(torch.as_tensor(scale, dtype=torch.float64), len(shape))
    integers = x.double().reshape(-1, *shape) / units
    return int(((integers < payload[0] - 1) | (integers > payload[1] + 1)).sum())


def coarse(
    x: torch.Tensor, scale: object, payload: tuple[int, int], shape: Shape, what: str
) -> list[str]:
    """A warning where rounding to integers takes much of what channels of `x` say."""
    channels = by_channel(x, shape)
    units = torch.as_tensor(scale, dtype=torch.float64).reshape(-1, 1)
    integers = (channels / units).round().clamp(*payload)
    spread = channels.std(1, unbiased=False)
    alive = spread > 0
    if not bool(alive.any()):
        return []
    lost = (channels - integers * units).square().mean(1).sqrt()[alive] / spread[alive]
    if float(lost.median()) <= _ROUGH:
        return []
    inner = channels.quantile(0.95) - channels.quantile(0.05) if channels.numel() < 2**24 else None
    codes = "" if inner is None else f" ({max(1, round(float(inner / units.min())))} codes)"
    return [
        f"WARNING: typical values of the {what} use few of the input's integers{codes}, and "
        f"rounding loses {100 * float(lost.median()):.0f} % of their deviation: give data without "
        "a large offset, in the range that it was calibrated on (--mean, --std, --scale), or more "
        "input_bits"
    ]
