"""Spiking neurons as PyTorch modules, to train a network directly by surrogate gradients.

    net = nn.Sequential(nn.Conv2d(2, 8, 3), LIFNeuron(decay=0.1), nn.Flatten(), nn.Linear(8, 10))
    model = OverTime(net)             # recordings (B, T, 2, H, W) to mean logits (B, 10)

    v <- (1 - decay) v + I      s = [v >= threshold]      v <- v - threshold s, or 0 where s

Nothing has a state between calls: a call runs a whole inference from the initial membranes, and
whoever wants to go step by step carries the state from step to step himself. So there is nothing to
reset between batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from neurocuda_hw.conversion.fire import Dynamics, fire
from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.ground.fixed import DECAY_ONE

State = list[torch.Tensor]


@dataclass(slots=True)
class _Clock:
    """How neurons that are called now shall see time.

    `steps`: inputs are T steps, folded into the batch, time first. `state`: one step; membranes in
    the order of the calls. `traced`: the model is being read.
    """

    steps: int | None = None
    state: State | None = None
    after: State = field(default_factory=list)
    traced: bool = False


_CLOCK: ContextVar[_Clock | None] = ContextVar("neurocuda_hw_clock", default=None)


class _Rounded(torch.autograd.Function):
    """A decay as the hardware has it, in 1/4096; the gradient passes straight through."""

    @staticmethod
    def forward(ctx: Any, decay: torch.Tensor) -> torch.Tensor:
        return (decay * DECAY_ONE).round() / DECAY_ONE

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


@torch.library.custom_op("neurocuda_hw::neuron", mutates_args=())
def neuron(
    x: torch.Tensor, threshold: torch.Tensor, decay: torch.Tensor, start: float, zero: bool
) -> torch.Tensor:
    """One step of a neuron from its initial membrane, as one operation that an export shows."""
    v = (1 - decay) * start * threshold + x
    return (v >= threshold).to(x.dtype)


@neuron.register_fake
def _(
    x: torch.Tensor, threshold: torch.Tensor, decay: torch.Tensor, start: float, zero: bool
) -> torch.Tensor:
    return torch.empty_like(x)


class IFNeuron(nn.Module):
    """Integrate and fire, without a leak.

    Called by itself it takes currents of all steps, ``(T, B, ...)``, and gives spikes, 0 or 1, of
    the same shape; within `OverTime` time is taken care of.

    Parameters
    ----------
    threshold : float
        Positive.
    reset : "subtract" or "zero"
        What a spike does to the membrane.
    v_init : float
        The membrane before the first step, in thresholds.
    channels : int, optional
        One threshold (and decay) for each channel of the input; None: one for all.
    learn_threshold : bool
        Whether the threshold is trained.
    """

    def __init__(
        self,
        threshold: float = 1.0,
        *,
        reset: str = "subtract",
        v_init: float = 0.0,
        channels: int | None = None,
        learn_threshold: bool = False,
    ) -> None:
        super().__init__()
        if not (math.isfinite(threshold) and threshold > 0):
            raise ValueError(f"threshold must be positive, not {threshold!r}")
        if reset not in ("subtract", "zero"):
            raise ValueError(f"reset must be 'subtract' or 'zero', not {reset!r}")
        if not (math.isfinite(v_init) and abs(v_init) <= 1):
            raise ValueError(f"v_init must be -1 to 1 thresholds, not {v_init!r}")
        self.reset, self.v_init = reset, float(v_init)
        self.log_threshold = nn.Parameter(
            torch.full((channels or 1,), math.log(threshold)), requires_grad=learn_threshold
        )

    @property
    def threshold(self) -> torch.Tensor:
        """``(1,)`` or ``(C,)``."""
        return self.log_threshold.exp()

    @property
    def decay(self) -> torch.Tensor | None:
        """Share of the membrane that each step loses, in whole 1/4096; None without a leak."""
        return None

    @property
    def dynamics(self) -> Dynamics:
        """Reset and start."""
        return Dynamics(zero=self.reset == "zero", start=self.v_init, whole=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spikes for the currents of all steps (or, within `OverTime`, of one)."""
        clock = _CLOCK.get()
        if clock is not None and clock.traced:
            decay = torch.zeros_like(self.threshold) if self.decay is None else self.decay
            spikes: torch.Tensor = neuron(
                x, self._wide(self.threshold, x), self._wide(decay, x), self.v_init, self._zero
            )
            return spikes
        if clock is not None and clock.steps is None:
            v = clock.state[len(clock.after)] if clock.state else None
            spikes, v = self.step(x, v)
            clock.after.append(v)
            return spikes
        steps = x
        if clock is not None and clock.steps is not None:
            steps = x.reshape(clock.steps, -1, *x.shape[1:])
        return self._fire(steps).reshape(x.shape)

    def step(
        self, x: torch.Tensor, v: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step of the currents ``(B, ...)``.

        Parameters
        ----------
        v : tensor (B, ...), optional
            The membranes that the step before gave; None for the first step.

        Returns
        -------
        (spikes, v)
        """
        threshold = self._wide(self.threshold, x)
        decay = self.decay
        if v is None:
            v = (threshold * self.v_init).expand(x.shape)
        v = v + x if decay is None else v * (1 - self._wide(decay, x)) + x
        # one step from this membrane: the start that `fire` would add is taken off again
        still = Dynamics(zero=self._zero, start=0.0, whole=False)
        spikes = fire(v.unsqueeze(0), threshold, None, still)[0]
        return spikes, still.reset(v, spikes, threshold)

    def _fire(self, steps: torch.Tensor) -> torch.Tensor:
        decay = self.decay
        keep = None if decay is None else 1 - self._wide(decay, steps[0])
        return fire(steps, self._wide(self.threshold, steps[0]), keep, self.dynamics)

    @property
    def _zero(self) -> bool:
        return self.reset == "zero"

    def _wide(self, values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """One value per channel, shaped to broadcast over ``x`` (B, C, ...)."""
        if len(values) > 1 and (x.ndim < 2 or x.shape[1] != len(values)):
            raise ModelError(
                f"a neuron of {len(values)} channels must get (B, {len(values)}, ...), not "
                f"{tuple(x.shape)}"
            )
        return values.reshape(1, -1, *[1] * (x.ndim - 2))

    def extra_repr(self) -> str:
        """Shown by ``print``."""
        return f"threshold={_told(self.threshold)}, reset={self.reset!r}, v_init={self.v_init:g}"


class LIFNeuron(IFNeuron):
    """Leaky integrate and fire: each step loses a share `decay` of the membrane.

    The decay is one of the hardware's, a whole number of 1/4096; while it is learnt, its gradient
    passes straight through the rounding. All else as in `IFNeuron`.

    Parameters
    ----------
    decay : float
        0 to 1.
    learn_decay : bool
        Whether the decay is trained.
    """

    def __init__(
        self,
        decay: float = 0.1,
        threshold: float = 1.0,
        *,
        reset: str = "subtract",
        v_init: float = 0.0,
        channels: int | None = None,
        learn_threshold: bool = False,
        learn_decay: bool = False,
    ) -> None:
        super().__init__(
            threshold,
            reset=reset,
            v_init=v_init,
            channels=channels,
            learn_threshold=learn_threshold,
        )
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must be 0 to 1, not {decay!r}")
        edge = 1 / (4 * DECAY_ONE)
        inside = min(max(decay, edge), 1 - edge)  # a sigmoid reaches neither end
        self.raw_decay = nn.Parameter(
            torch.full((channels or 1,), math.log(inside / (1 - inside))), requires_grad=learn_decay
        )

    @property
    def decay(self) -> torch.Tensor:
        """Share of the membrane that each step loses, in whole 1/4096."""
        share: torch.Tensor = self.raw_decay.sigmoid()
        clock = _CLOCK.get()
        if clock is not None and clock.traced:
            return (share * DECAY_ONE).round() / DECAY_ONE
        return _Rounded.apply(share)  # type: ignore[no-any-return, no-untyped-call]

    def extra_repr(self) -> str:
        """Shown by ``print``."""
        return f"decay={_told(self.decay)}, {super().extra_repr()}"


class OverTime(nn.Module):
    """A network of layers and neurons, run over all steps; it answers with the mean of the steps.

    Layers between the neurons see all steps at once, folded into the batch, so batch normalisation
    and dropout work as they do for images.

    Parameters
    ----------
    net : torch.nn.Module
        Of one step: ``(B, ...)`` to ``(B, classes)``, with `IFNeuron` or `LIFNeuron` modules.
    timesteps : int, optional
        Inputs are static, ``(B, ...)``, and held for so many steps. None: inputs are recordings of
        any length, one step for each frame.
    time_axis : int
        0 or 1: recordings are ``(T, B, ...)`` or ``(B, T, ...)``.
    """

    def __init__(self, net: nn.Module, timesteps: int | None = None, *, time_axis: int = 1) -> None:
        super().__init__()
        if timesteps is not None and (isinstance(timesteps, bool) or timesteps < 1):
            raise ValueError(f"timesteps must be at least 1, not {timesteps!r}")
        if time_axis not in (0, 1):
            raise ValueError(f"time_axis must be 0 or 1, not {time_axis!r}")
        self.net, self.timesteps, self.time_axis = net, timesteps, time_axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mean answers ``(B, classes)`` of a batch, each from the initial state."""
        if self.timesteps is not None:
            folded = x.repeat(self.timesteps, *[1] * (x.ndim - 1))
            steps = self.timesteps
        else:
            if x.ndim < 3:
                raise DataError(f"recordings must have axes of time and batch, not {x.shape}")
            steps = x.shape[self.time_axis]
            folded = (x if self.time_axis == 0 else x.transpose(0, 1)).flatten(0, 1)
        token = _CLOCK.set(_Clock(steps=steps))
        try:
            answers: torch.Tensor = self.net(folded)
        finally:
            _CLOCK.reset(token)
        return answers.reshape(steps, -1, *answers.shape[1:]).mean(0)

    def step(self, x: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, State]:
        """One step: inputs ``(B, ...)`` to this step's answers ``(B, classes)``.

        Parameters
        ----------
        state : list of tensor, optional
            What the step before gave; None begins an inference.
        """
        clock = _Clock(state=state)
        token = _CLOCK.set(clock)
        try:
            answers: torch.Tensor = self.net(x)
        finally:
            _CLOCK.reset(token)
        return answers, clock.after


@contextmanager
def traced() -> Iterator[None]:
    """Within this context neurons show as one operation each, for an export."""
    token = _CLOCK.set(_Clock(traced=True))
    try:
        yield
    finally:
        _CLOCK.reset(token)


def lonely_neuron(model: nn.Module) -> tuple[str, str] | None:
    """Path and kind of the first neuron of a model that is not read within `traced`, if any."""
    clock = _CLOCK.get()
    if clock is not None and clock.traced:
        return None
    found = ((n, type(m).__name__) for n, m in model.named_modules() if isinstance(m, IFNeuron))
    return next(found, None)


def _told(values: torch.Tensor) -> str:
    return ", ".join(f"{v:.4g}" for v in values.flatten().tolist()[:3]) + (
        ", ..." if len(values) > 3 else ""
    )
