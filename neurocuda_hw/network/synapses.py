"""The kinds of synapse: dense, convolutional, one to one; each optionally behind a sum pool.

A synapse says what it does to a frame (`apply`), what ends in one neuron (`summed`), what a target
has to store (`stored`), and how hardware does it (`plain`); everything else asks it.

A one-dimensional convolution is a Conv2d of height 1. Average pooling is a sum pool whose divisor
went into the threshold of the target.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.fixed import signed_bits
from neurocuda_hw.ground.showing import Brief
from neurocuda_hw.network.neurons import freeze, whole

if TYPE_CHECKING:
    import torch

Pair = tuple[int, int]


def _pair(value: int | Iterable[int], what: str, lowest: int) -> Pair:
    given = tuple(value) if isinstance(value, Iterable) else (value, value)
    pair = tuple(whole(n, what) for n in given)
    if len(pair) != 2 or min(pair) < lowest:
        raise ModelError(f"{what} must be one or two integers of at least {lowest}, not {value!r}")
    return pair[0], pair[1]


def weight_bits(weight: np.ndarray) -> int:
    """Bits of every weight and of 0, which stands in lanes without a neuron."""
    return signed_bits(min(0, int(weight.min())), max(0, int(weight.max())))


@dataclass(frozen=True, slots=True, kw_only=True)
class SumPool:
    """Sums of `kernel` windows every `stride`; what does not fill a window is left out."""

    kernel: Pair
    stride: Pair | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", _pair(self.kernel, "sum pool kernel", 1))
        stride = self.kernel if self.stride is None else self.stride
        object.__setattr__(self, "stride", _pair(stride, "sum pool stride", 1))

    @property
    def cells(self) -> int:
        """Neurons that are summed into one."""
        return self.kernel[0] * self.kernel[1]

    def output(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape after pooling a ``(C, H, W)``."""
        assert self.stride is not None
        _, height, width = shape
        if height < self.kernel[0] or width < self.kernel[1]:
            raise ModelError(f"sum pool {self.kernel} does not fit into {height} x {width}")
        return (
            shape[0],
            (height - self.kernel[0]) // self.stride[0] + 1,
            (width - self.kernel[1]) // self.stride[1] + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Synapse(Brief):
    """Base of all synapse kinds: integer weights behind an optional sum pool."""

    weight: np.ndarray
    pool: SumPool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", freeze(self.weight, f"{type(self).__name__} weight"))
        if self.weight.size == 0:
            raise ModelError(f"{type(self).__name__} weight must not be empty: {self.weight.shape}")

    @property
    def weight_bits(self) -> int:
        """Bits of the narrowest two's complement that holds every weight."""
        return weight_bits(self.weight)

    def pooled(self, source: tuple[int, ...], label: str) -> tuple[int, ...]:
        """Shape of the source population as the weights see it, behind the pool."""
        if self.pool is None:
            return source
        if len(source) != 3:
            raise ModelError(
                f"projection {label}: a sum pool needs a source (C, H, W), not {source}"
            )
        return self.pool.output(source)

    def check(self, source: tuple[int, ...], target: tuple[int, ...], label: str) -> None:
        """Raises ModelError unless the weights join these two shapes."""
        raise TypeError(f"projection {label}: {type(self).__name__} is no kind of synapse")

    def deliver(self, events: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Events ``(B, *source shape)`` to sums ``(B, ...)`` in the order of the target's neurons.

        Both in one floating-point type, in which the caller has proved that no sum rounds; `weight`
        may differ from that of the synapse in its values.
        """
        if self.pool is not None:
            from torch.nn.functional import avg_pool2d

            events = avg_pool2d(events, self.pool.kernel, self.pool.stride, divisor_override=1)
        return self.apply(events, weight)

    def apply(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """`deliver` behind the pool."""
        raise NotImplementedError

    def summed(self, weight: np.ndarray) -> np.ndarray:
        """Sums of the weights that end in one neuron, ``(C,)`` or ``(N,)`` of the target."""
        sums: np.ndarray = weight.sum(axis=tuple(range(1, weight.ndim)))
        return sums

    @property
    def magnitude(self) -> int:
        """Largest sum of magnitudes, of weights and so of events worth 1, that ends in a neuron."""
        cells = self.pool.cells if self.pool else 1
        return int(self.summed(np.abs(self.weight)).max()) * cells

    def stored(self, channels: int, neurons: int) -> int:
        """Weights that so many neurons of a target, in so many of its channels, need."""
        return channels * int(np.prod(self.weight.shape[1:]))

    def plain(self, source: tuple[int, ...]) -> Conv2d | Dense:
        """The same weights between a pooled source and its target as hardware takes them."""
        raise NotImplementedError

    @property
    def words(self) -> str:
        """What kind it is, in words."""
        return type(self).__name__.lower()

    def __str__(self) -> str:
        if self.pool is None:
            return self.words
        height, width = self.pool.kernel
        return f"{self.words} behind a {height} x {width} sum pool"

    def counting(self) -> Synapse:
        """The same connections with every weight 1, those of 0 too: they are stored and added."""
        return replace(self, weight=np.ones_like(self.weight))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Dense(Synapse):
    """All to all; `weight` is ``(neurons of target, neurons of source)``, both in C order."""

    def check(self, source: tuple[int, ...], target: tuple[int, ...], label: str) -> None:
        """Raises ModelError unless the weights join these two shapes."""
        want = (int(np.prod(target)), int(np.prod(self.pooled(source, label))))
        if self.weight.shape != want:
            raise ModelError(
                f"projection {label}: dense weight must have the shape {want}, "
                f"not {self.weight.shape}"
            )

    def apply(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """`deliver` behind the pool."""
        from torch.nn.functional import linear

        return linear(x.flatten(1), weight)

    def stored(self, channels: int, neurons: int) -> int:
        """Weights that so many neurons of a target need: a row for each."""
        return neurons * int(self.weight.shape[1])

    def plain(self, source: tuple[int, ...]) -> Dense:
        """Itself."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Conv2d(Synapse):
    """Cross-correlation as in PyTorch; `weight` is ``(C_out, C_in / groups, kh, kw)``."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        # super() does not work in a slotted dataclass before Python 3.14: gh-90562
        Synapse.__post_init__(self)
        object.__setattr__(self, "stride", _pair(self.stride, "stride", 1))
        object.__setattr__(self, "padding", _pair(self.padding, "padding", 0))
        object.__setattr__(self, "dilation", _pair(self.dilation, "dilation", 1))
        if self.weight.ndim != 4:
            raise ModelError(f"Conv2d weight must have 4 dimensions, not {self.weight.ndim}")
        object.__setattr__(self, "groups", whole(self.groups, "groups"))
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise ModelError(
                f"groups must divide the {self.weight.shape[0]} output channels, "
                f"not {self.groups!r}"
            )

    def output(self, source: tuple[int, ...]) -> tuple[int, ...]:
        """Shape after convolving a (pooled) source ``(C, H, W)``."""
        spans = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.weight.shape[2:], strict=True)]
        sizes = [n + 2 * p - s for n, p, s in zip(source[1:], self.padding, spans, strict=True)]
        if min(sizes) < 0:
            raise ModelError(
                f"a kernel spanning {spans} does not fit into {source[1:]} with padding"
            )
        return (
            self.weight.shape[0],
            *(n // s + 1 for n, s in zip(sizes, self.stride, strict=True)),
        )

    def check(self, source: tuple[int, ...], target: tuple[int, ...], label: str) -> None:
        """Raises ModelError unless the weights join these two shapes."""
        pooled = self.pooled(source, label)
        if len(pooled) != 3:
            raise ModelError(f"projection {label}: a convolution needs (C, H, W), not {pooled}")
        if pooled[0] != self.weight.shape[1] * self.groups:
            raise ModelError(
                f"projection {label}: convolution must take {self.weight.shape[1] * self.groups} "
                f"channels, not {pooled[0]}"
            )
        if self.output(pooled) != target:
            raise ModelError(
                f"projection {label}: convolution gives {self.output(pooled)}, not {target}"
            )

    def apply(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """`deliver` behind the pool."""
        from torch.nn.functional import conv2d

        if x.device.type != "cpu":
            return self.unfolded(x, weight)
        return conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)

    def unfolded(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The convolution as one product of patches, ``(B, groups, C_out / groups, H * W)``: no
        FFT, no Winograd, so that integers stay exact on a GPU."""
        from torch import einsum
        from torch.nn.functional import unfold

        patches = unfold(x, self.weight.shape[2:], self.dilation, self.padding, self.stride)
        patches = patches.reshape(x.shape[0], self.groups, -1, patches.shape[-1])
        weight = weight.reshape(self.groups, weight.shape[0] // self.groups, -1)
        return einsum("bgkp,gok->bgop", patches, weight)

    def plain(self, source: tuple[int, ...]) -> Conv2d:
        """Itself."""
        return self

    @property
    def words(self) -> str:
        """What kind it is, in words."""
        return f"{self.weight.shape[2]} x {self.weight.shape[3]} convolution"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Diagonal(Synapse):
    """One to one, one weight per channel: a skip connection; `weight` is ``(C,)``."""

    def check(self, source: tuple[int, ...], target: tuple[int, ...], label: str) -> None:
        """Raises ModelError unless the weights join these two shapes."""
        if self.pooled(source, label) != target or self.weight.shape != target[:1]:
            raise ModelError(
                f"projection {label}: a diagonal needs equal shapes and one weight per channel, "
                f"not {self.pooled(source, label)} -> {target} with {self.weight.shape}"
            )

    def apply(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """`deliver` behind the pool."""
        return x * weight.reshape(-1, *(1,) * (x.ndim - 2))

    def plain(self, source: tuple[int, ...]) -> Conv2d:
        """A convolution of 1 x 1, channel by channel."""
        weight = self.weight.reshape(-1, 1, 1, 1)
        return Conv2d(weight=weight, groups=len(weight), pool=self.pool)


KINDS: tuple[type[Synapse], ...] = (Dense, Conv2d, Diagonal)
