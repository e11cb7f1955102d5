"""The kinds of neuron: their integer parameters, their states, and what they compute in a step.

Whoever needs to know what a neuron does asks it: which states it has and how they leak (`leak`,
`current_leak`), whether it fires, and `integrate` and `fire` for one step of plain integers, NumPy
arrays or tensors. Spelt a second time are only what is tuned to its machine (`layerwise`, the
chip's `microcode`, the hardware behind `passes.plan`) and the tests' oracle, which must share
nothing with any of them.

A bias is added in every step. One that shall be added once belongs in `v_init`: without a leak that
is the same sum, and one rule less for every target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from operator import index
from typing import Any, ClassVar, TypeAlias

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.fixed import DECAY_ONE, decay
from neurocuda_hw.ground.showing import Brief

Ints: TypeAlias = "int | np.ndarray"
Spread: TypeAlias = Callable[[Ints], Any]
"""Shapes a parameter so that it broadcasts against a state."""
LARGEST = 2**47


class Reset(Enum):
    """What a spike does to the membrane."""

    SUBTRACT = "subtract"
    ZERO = "zero"
    TO_VALUE = "to_value"


class Encoding(Enum):
    """What the input delivers.

    SPIKES: binary events per step. GRADED: small integers per step, such as event counts or the
    pixels of an image in one step. CURRENT: one integer per neuron, held for all steps.
    """

    SPIKES = "spikes"
    GRADED = "graded"
    CURRENT = "current"


def freeze(values: object, what: str) -> np.ndarray:
    """A read-only int64 copy of integers; refuses floats, NaN and anything beyond 2^47.

    Raises
    ------
    ModelError
        If a value is not an integer of that range; `what` names it in the message.
    """
    array = np.asarray(values)
    if array.dtype == object or not (
        np.issubdtype(array.dtype, np.integer) or array.dtype == np.bool_
    ):
        raise ModelError(f"{what} must be integers, not {array.dtype}")
    largest = max(int(array.max()), -int(array.min())) if array.size else 0
    if largest > LARGEST:
        raise ModelError(f"{what} must be at most 2^47 in magnitude, not {largest}")
    array = np.array(array, dtype=np.int64, order="C")
    array.setflags(write=False)
    return array


def payload_range(bits: int, signed: bool) -> tuple[int, int]:
    """Lowest and highest integer of so many bits."""
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def whole(value: object, what: str) -> int:
    """`value` as a plain int (NumPy's integers too, for they would be hashed under another name).

    Raises
    ------
    ModelError
        If it is no integer; `what` names it in the message.
    """
    try:
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ModelError(f"{what} must be an integer, not {value!r}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Steps ``start <= t < stop`` in which a population may send events."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", whole(self.start, "window start"))
        object.__setattr__(self, "stop", whole(self.stop, "window stop"))
        if not 0 <= self.start < self.stop:
            raise ModelError(
                f"window must be 0 <= start < stop, not ({self.start!r}, {self.stop!r})"
            )

    @property
    def steps(self) -> int:
        """How many steps."""
        return self.stop - self.start

    def __contains__(self, step: int) -> bool:
        return self.start <= step < self.stop


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Neuron(Brief):
    """Base of all neuron kinds: what a kind does not say of itself is as here."""

    arrays: ClassVar[tuple[str, ...]] = ()  # parameters that may differ per channel or neuron
    decays: ClassVar[tuple[str, ...]] = ()  # which of them is the leak of v, and of u
    spiking: ClassVar[bool] = False  # fires; see `Spiking`
    readout: ClassVar[bool] = False  # its membranes are the network's output

    @property
    def bias(self) -> Ints:
        """Added in every step."""
        return 0

    @property
    def v_init(self) -> Ints:
        """The membrane before step 0."""
        return 0

    @property
    def reset(self) -> Reset:
        """What a spike does to the membrane."""
        return Reset.SUBTRACT

    @property
    def v_floor(self) -> int | None:
        """Lower clip of the membrane at the end of a step."""
        return None

    @property
    def window(self) -> Window | None:
        """Steps in which it may send; None: all."""
        return None

    @property
    def leak(self) -> np.ndarray | None:
        """What a step takes of the membrane v, in 4096ths; None where nothing leaks."""
        return np.asarray(getattr(self, self.decays[0])) if self.decays else None

    @property
    def current_leak(self) -> np.ndarray | None:
        """What a step takes of the synaptic current u, in 4096ths; None where there is no u."""
        return np.asarray(getattr(self, self.decays[1])) if len(self.decays) > 1 else None

    @property
    def held(self) -> bool:
        """Whether what it sends is held for all steps: an input of CURRENT."""
        return False

    def integrate(self, v: Any, u: Any, drive: Any, spread: Spread) -> tuple[Any, Any]:
        """One step up to the threshold: v- and u, where the synapses deliver `drive` (or None)."""
        if self.current_leak is not None:
            kept = decay(u, spread(self.current_leak))
            u = drive = kept if drive is None else kept + drive
        if self.leak is not None:
            v = decay(v, spread(self.leak))
        v = v if drive is None else v + drive
        return v + spread(self.bias) if np.any(self.bias) else v, u

    def __post_init__(self) -> None:
        for name in self.arrays:
            what = f"{type(self).__name__} {name}"
            object.__setattr__(self, name, freeze(getattr(self, name), what))
        for name in self.decays:
            values = getattr(self, name)
            if values.size and not (values.min() >= 0 and values.max() <= DECAY_ONE):
                raise ModelError(f"{name} must be 0 to 4096 (12 fractional bits), not {values!r}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Input(Neuron):
    """Where data comes in; `payload_bits` and `signed` bound the integer of one event.

    `window` says in which steps data comes; a static image under the exact code comes in step 0
    only, as GRADED events with the window (0, 1).
    """

    encoding: Encoding
    payload_bits: int = 1
    signed: bool = False
    window: Window | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.encoding, Encoding):
            raise TypeError(f"encoding must be an Encoding, not {self.encoding!r}")
        object.__setattr__(self, "payload_bits", whole(self.payload_bits, "payload_bits"))
        object.__setattr__(self, "signed", bool(self.signed))
        if self.encoding is Encoding.SPIKES and (self.payload_bits != 1 or self.signed):
            raise ModelError("an input of SPIKES must have an unsigned payload of 1 bit")
        if self.encoding is Encoding.CURRENT and self.window is not None:
            raise ModelError("an input of CURRENT is held for all steps: it must have no window")
        if not 1 <= self.payload_bits <= 16:
            raise ModelError(f"payload_bits must be 1 to 16, not {self.payload_bits!r}")

    @property
    def held(self) -> bool:
        """Whether what it sends is held for all steps: an input of CURRENT."""
        return self.encoding is Encoding.CURRENT

    @property
    def payload(self) -> tuple[int, int]:
        """Lowest and highest payload."""
        return payload_range(self.payload_bits, self.signed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Spiking(Neuron):
    """What all firing neurons share.

    Parameters
    ----------
    threshold : int or array
        Fires where the membrane is at least this; at least 1 under SUBTRACT.
    bias, v_init : int or array
        Added in every step; the membrane before step 0.
    reset : Reset
        With `v_reset` for TO_VALUE.
    v_floor : int, optional
        Lower clip of the membrane at the end of a step.
    window : Window, optional
        Steps in which the neuron may fire; default all.
    """

    arrays: ClassVar[tuple[str, ...]] = ("threshold", "bias", "v_init", "v_reset")
    spiking: ClassVar[bool] = True

    threshold: Ints
    bias: Ints = 0
    v_init: Ints = 0
    reset: Reset = Reset.SUBTRACT
    v_reset: Ints = 0
    v_floor: int | None = None
    window: Window | None = None

    def __post_init__(self) -> None:
        # super() does not work in a slotted dataclass before Python 3.14: gh-90562
        Neuron.__post_init__(self)
        assert isinstance(self.threshold, np.ndarray)
        if not isinstance(self.reset, Reset):
            raise TypeError(f"reset must be a Reset, not {self.reset!r}")
        if self.v_floor is not None:
            object.__setattr__(
                self, "v_floor", int(freeze(whole(self.v_floor, "v_floor"), "v_floor"))
            )
        if self.reset is Reset.SUBTRACT and self.threshold.size and self.threshold.min() < 1:
            raise ModelError(
                "threshold must be at least 1 under reset by subtraction, "
                f"not {self.threshold.min()}"
            )
        if self.reset is not Reset.TO_VALUE and np.any(self.v_reset):
            raise ModelError("v_reset must be 0 unless reset is TO_VALUE")

    def fire(self, v: Any, spread: Spread) -> tuple[Any, Any]:
        """Spikes (0 or 1) of a step in the window, and the membranes v after the reset."""
        threshold = spread(self.threshold)
        fired = (v >= threshold) * 1
        if self.reset is Reset.SUBTRACT:
            return fired, v - fired * threshold
        return fired, v + fired * (spread(self.v_reset) - v)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class IF(Spiking):
    """Integrate and fire, without leak."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LIF(Spiking):
    """Leaky integrate and fire: each step the membrane keeps (4096 - decay) / 4096 of itself."""

    arrays: ClassVar[tuple[str, ...]] = (*Spiking.arrays, "decay")
    decays: ClassVar[tuple[str, ...]] = ("decay",)

    decay: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CubaLIF(Spiking):
    """Current-based LIF: a current u that decays by `du`, a membrane v that decays by `dv`."""

    arrays: ClassVar[tuple[str, ...]] = (*Spiking.arrays, "du", "dv")
    decays: ClassVar[tuple[str, ...]] = ("dv", "du")

    du: Ints
    dv: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Readout(Neuron):
    """Integrates and never fires: its membrane after the last step is the network's output."""

    arrays: ClassVar[tuple[str, ...]] = ("bias", "v_init")
    readout: ClassVar[bool] = True

    bias: Ints = 0
    v_init: Ints = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LeakyReadout(Readout):
    """A readout that leaks as a LIF does."""

    arrays: ClassVar[tuple[str, ...]] = (*Readout.arrays, "decay")
    decays: ClassVar[tuple[str, ...]] = ("decay",)

    decay: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CubaReadout(Readout):
    """A readout behind a current that decays: as a CubaLIF, but it never fires."""

    arrays: ClassVar[tuple[str, ...]] = (*Readout.arrays, "du", "dv")
    decays: ClassVar[tuple[str, ...]] = ("dv", "du")

    du: Ints
    dv: Ints


KINDS: tuple[type[Neuron], ...] = (Input, IF, LIF, CubaLIF, Readout, LeakyReadout, CubaReadout)
