"""Loihi's neurons, bit for bit in fixed point; state is held in float64, where every step is exact.

The current-based LIF of both generations (lava-nc/lava ``proc/lif/models.py``; the same decays in
nengo-loihi ``decay_int`` and Brian2Loihi)::

    u := sign(p) (|p| >> 12) + (a << 6)       p = u (4096 - (du + 1))      wraps into (-2^23, 2^23]
    v := sign(q) (|q| >> 12) + u + bias       q = v (4096 - dv)            clips at +-(2^23 - 1)
    s  = v > (vth << 6),   v = 0 where s      bias = mantissa << exponent

``p`` and ``q`` stay below 2^36, so ``trunc(u * ((4096 - (du + 1)) / 4096))`` has no rounding in a
double: that is the whole decay in two vector operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import torch

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network.neurons import freeze

STATE_BITS = 24
STATE_LIMIT = 2 ** (STATE_BITS - 1)
ALIGN = 6
ONE = 4096
Ints: TypeAlias = "int | Sequence[int] | np.ndarray"


Watch: TypeAlias = Callable[[torch.Tensor, int], None]


class Running:
    """A population in flight, what `start` of a neuron model returns: its state v, u if it has one.

    `graded` says that it sends payloads.
    """

    graded = False
    v: torch.Tensor
    u: torch.Tensor | None = None

    def step(self, drive: torch.Tensor | None, step: int) -> torch.Tensor | None:
        """Advances one step; `drive` is the sum of weights ``(B, N)`` or None where nothing came.

        Returns
        -------
        spikes
            ``(B, N)`` of 0 and 1, or payloads if `graded`; None where no neuron fired for sure. It
            may be overwritten by the next step.
        """
        raise NotImplementedError

    def state(self) -> dict[str, torch.Tensor]:
        """The state after the step by name, ``(B, N)``; new tensors."""
        found = {"v": self.v.clone()}
        return found if self.u is None else found | {"u": self.u.clone()}

    def awake(self) -> torch.Tensor:
        """Which neurons hold a state that the next step depends on, ``(B, N)`` bool."""
        return self.v != 0 if self.u is None else (self.v != 0) | (self.u != 0)


def _bounded(values: Ints, name: str, low: int, high: int) -> np.ndarray:
    array = freeze(values, name)
    if array.ndim > 1:
        raise ModelError(f"{name} must be one integer or one per neuron, not {array.shape}")
    if array.size and not (int(array.min()) >= low and int(array.max()) <= high):
        worst = int(array.min()) if array.min() < low else int(array.max())
        raise ModelError(f"{name} must be {low} to {high}, not {worst}")
    return array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoihiNeuron:
    """Base of the chip's neurons; every parameter is one integer, or one per neuron."""

    ranges: ClassVar[dict[str, tuple[int, int]]] = {}

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            object.__setattr__(self, name, _bounded(getattr(self, name), name, low, high))

    def start(self, batch: int, size: int) -> Running:
        """State of `batch` copies of `size` neurons before the first step."""
        raise TypeError(f"{type(self).__name__} is no kind of neuron")

    def check(self, size: int, name: str) -> None:
        """Raises ModelError unless every parameter is one or one for each of `size` neurons."""
        for field in self.ranges:
            shape = getattr(self, field).shape
            if shape not in ((), (size,)):
                raise ModelError(
                    f"group {name!r}: {field} must be one integer or {size}, not {shape}"
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CubaNeuron(LoihiNeuron):
    """The built-in current-based LIF.

    Parameters
    ----------
    vth : int or array
        0 to 131071 (17 bits); a neuron fires where ``v > vth << 6``.
    du, dv : int or array
        0 to 4095. The chip adds 1 to `du`: 4095 forgets the current at once. It adds 0 to `dv`:
        0 keeps the membrane.
    bias_mant, bias_exp : int or array
        -4096 to 4095 and 0 to 7.
    refractory : int or array
        Steps after a spike in which the membrane is held at 0 (0 to 63); the current goes on.
        nengo-loihi counts the step of the spike too: its ``refract_delay`` is one more.
    u_init, v_init : int or array
        State before the first step, in the units of the state.
    """

    ranges: ClassVar[dict[str, tuple[int, int]]] = {
        "vth": (0, 2**17 - 1),
        "du": (0, ONE - 1),
        "dv": (0, ONE - 1),
        "bias_mant": (-4096, 4095),
        "bias_exp": (0, 7),
        "refractory": (0, 63),
        "u_init": (1 - STATE_LIMIT, STATE_LIMIT),
        "v_init": (1 - STATE_LIMIT, STATE_LIMIT - 1),
    }

    vth: Ints
    du: Ints = ONE - 1
    dv: Ints = 0
    bias_mant: Ints = 0
    bias_exp: Ints = 0
    refractory: Ints = 0
    u_init: Ints = 0
    v_init: Ints = 0

    @property
    def bias(self) -> np.ndarray:
        """The bias in units of the membrane: mantissa << exponent."""
        bias: np.ndarray = np.asarray(self.bias_mant) << np.asarray(self.bias_exp)
        return bias

    def start(self, batch: int, size: int) -> CubaState:
        """State of `batch` copies of `size` neurons before the first step."""
        return CubaState(self, batch, size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GradedNeuron(LoihiNeuron):
    """Graded spikes of 24 bits (lava ``proc/graded``): no memory, the sum itself is the payload.

    ::

        v := v + a;   s = v if |v| > vth else 0;   v := 0
    """

    ranges: ClassVar[dict[str, tuple[int, int]]] = {"vth": (0, STATE_LIMIT - 1)}

    vth: Ints

    def start(self, batch: int, size: int) -> Running:
        """State of `batch` copies of `size` neurons before the first step."""
        return _Graded(self, batch, size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftResetNeuron(LoihiNeuron):
    """Integrate and fire with reset by subtraction: a program in the microcode of Loihi 2.

    ::

        v := v + a + bias;   s = v >= threshold;   v := v - threshold where s

    Loihi 1 cannot run it. State per neuron: v, threshold and bias, 24 bits each; v wraps.
    """

    ranges: ClassVar[dict[str, tuple[int, int]]] = {
        "threshold": (1, STATE_LIMIT - 1),
        "bias": (-STATE_LIMIT, STATE_LIMIT - 1),
        "v_init": (-STATE_LIMIT, STATE_LIMIT - 1),
    }

    threshold: Ints
    bias: Ints = 0
    v_init: Ints = 0

    def start(self, batch: int, size: int) -> Running:
        """State of `batch` copies of `size` neurons before the first step."""
        return _SoftReset(self, batch, size)


def wrap_upper(values: torch.Tensor) -> torch.Tensor:
    """Into (-2^23, 2^23], in place: lava's rule for u, which keeps +2^23 and drops -2^23."""
    turns = torch.ceil((values - STATE_LIMIT) / (2 * STATE_LIMIT))
    return values.sub_(turns.mul_(2 * STATE_LIMIT))


def wrap_register(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Into [-2^(bits-1), 2^(bits-1)), in place: a two's complement register."""
    turns = torch.floor((values + 2 ** (bits - 1)) / 2**bits)
    return values.sub_(turns.mul_(2**bits))


def shift(values: torch.Tensor, exponent: int) -> torch.Tensor:
    """``values << exponent``; a negative exponent rounds toward minus infinity."""
    if exponent == 0:
        return values
    if not values.is_floating_point():
        # a sum of int32 may leave its type when it is shifted to the left
        return values >> -exponent if exponent < 0 else values.to(torch.float64) * 2**exponent
    return values * 2**exponent if exponent > 0 else (values * 2.0**exponent).floor_()


def _row(values: object) -> torch.Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float64)).reshape(1, -1)


def _largest(values: torch.Tensor) -> float:
    low, high = values.aminmax()
    return float(max(-low, high))


def _filled(values: object, batch: int, size: int) -> torch.Tensor:
    return _row(values).expand(batch, size).clone()


class CubaState(Running):
    """`CubaNeuron` in flight.

    Bounds of |u| and |v| are carried along, so that the wrap and the clip cost nothing in the steps
    in which they cannot happen. `watch` is called with v in a step in which it is about to clip.
    """

    u: torch.Tensor

    def __init__(self, neuron: CubaNeuron, batch: int, size: int) -> None:
        self.keep_u = _row(ONE - 1 - np.asarray(neuron.du)).div_(ONE)
        self.keep_v = _row(ONE - np.asarray(neuron.dv)).div_(ONE)
        self.keeps = bool((self.keep_v == 1).all())
        self.bias = _row(neuron.bias) if np.any(neuron.bias_mant) else None
        self.threshold = _row(np.asarray(neuron.vth) << ALIGN)
        self.u, self.v = (_filled(x, batch, size) for x in (neuron.u_init, neuron.v_init))
        self.refractory = _filled(neuron.refractory, batch, size)
        self.dead = torch.zeros_like(self.v) if np.any(neuron.refractory) else None
        self.u_bound, self.v_bound = (_largest(x) for x in (self.u, self.v))
        self.bias_bound = 0.0 if self.bias is None else _largest(self.bias)
        self.u_factor, self.v_factor = float(self.keep_u.max()), float(self.keep_v.max())
        self.whole = torch.empty((batch, size), dtype=torch.int32)
        self.watch: Watch | None = None
        self.fired = torch.empty((batch, size), dtype=torch.float64)

    def _decay(self, values: torch.Tensor, keep: torch.Tensor) -> None:
        # a conversion to int32 truncates toward zero, and is much faster than trunc_()
        values.copy_(self.whole.copy_(values.mul_(keep)))

    def step(self, drive: torch.Tensor | None, step: int) -> torch.Tensor | None:
        u, v = self.u, self.v
        if self.u_bound and self.u_factor:
            self._decay(u, self.keep_u)
        elif self.u_bound:
            u.zero_()
        self.u_bound *= self.u_factor
        if drive is not None:
            u.add_(drive, alpha=2**ALIGN)
            self.u_bound += _largest(drive) * 2**ALIGN
            if self.u_bound >= STATE_LIMIT:
                wrap_upper(u)
                self.u_bound = float(STATE_LIMIT)
        if not self.keeps:
            self._decay(v, self.keep_v)
        v.add_(u)
        if self.bias is not None:
            v.add_(self.bias)
        self.v_bound = self.v_bound * self.v_factor + self.u_bound + self.bias_bound
        if self.v_bound >= STATE_LIMIT:
            if self.watch is not None and _largest(v) >= STATE_LIMIT:
                self.watch(v, step)
            v.clamp_(1 - STATE_LIMIT, STATE_LIMIT - 1)
            self.v_bound = float(STATE_LIMIT - 1)
        if self.dead is not None:
            v.masked_fill_(self.dead > 0, 0)
        torch.gt(v, self.threshold, out=self.fired)
        v.addcmul_(v, self.fired, value=-1)
        if self.dead is not None:
            waited = self.dead.sub_(1).clamp_(min=0)
            self.dead = torch.where(self.fired > 0, self.refractory, waited)
        return self.fired

    def awake(self) -> torch.Tensor:
        """As ever; a current that the next step forgets does not count."""
        return super().awake() if self.u_factor else self.v != 0


class _Graded(Running):
    """`GradedNeuron` in flight."""

    graded = True

    def __init__(self, neuron: GradedNeuron, batch: int, size: int) -> None:
        self.threshold = _row(neuron.vth)
        self.v = torch.zeros((batch, size), dtype=torch.float64)

    def step(self, drive: torch.Tensor | None, step: int) -> torch.Tensor | None:
        if drive is None:
            return None
        payload = wrap_register(drive.to(torch.float64).clone(), STATE_BITS)
        return payload.masked_fill_(payload.abs() <= self.threshold, 0)


class _SoftReset(Running):
    """`SoftResetNeuron` in flight."""

    def __init__(self, neuron: SoftResetNeuron, batch: int, size: int) -> None:
        self.threshold, self.bias = _row(neuron.threshold), _row(neuron.bias)
        self.v = _filled(neuron.v_init, batch, size)
        self.fired = torch.empty_like(self.v)

    def step(self, drive: torch.Tensor | None, step: int) -> torch.Tensor | None:
        if drive is not None:
            self.v.add_(drive)
        wrap_register(self.v.add_(self.bias), STATE_BITS)
        torch.ge(self.v, self.threshold, out=self.fired)
        self.v.addcmul_(self.fired, self.threshold, value=-1)
        return self.fired
