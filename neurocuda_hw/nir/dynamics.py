"""NIR's differential equations in steps of dt.

With ``k`` the part that one step keeps: ``1 - dt / tau`` (euler) or ``exp(-dt / tau)`` (exact)::

    IF, I      v = v + r x                       one step is one unit of time (see `Timing`)
    LIF, LI    v = k v + (1 - k) (v_leak + r x)
    CubaLIF    u = ku u + (1 - ku) w_in x        v = k v + (1 - k) (v_leak + r u)
    Threshold  v = x

and a neuron fires where v > v_threshold. The membrane takes up the current of the same step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import nir
import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.linear.steps import Shape


class Method(Enum):
    """How time is discretised: forward Euler (snnTorch, Norse) or exact exponential (sinabs)."""

    EULER = "euler"
    EXACT = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How a graph becomes steps.

    Parameters
    ----------
    dt : float, optional
        Seconds per step; needed where the graph has time constants or delays.
    method : Method
    integrate_dt : bool
        IF and I integrate over dt seconds instead of one unit of time: SpikingJelly writes so,
        with ``r = 1 / dt``.
    """

    dt: float | None = None
    method: Method = Method.EULER
    integrate_dt: bool = False

    def __post_init__(self) -> None:
        if self.dt is not None and not (np.isfinite(self.dt) and self.dt > 0):
            raise ValueError(f"dt must be a positive number of seconds, not {self.dt!r}")
        if self.integrate_dt and self.dt is None:
            raise ValueError("integrate_dt must have a dt to integrate over")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Equations:
    """One neuron node in steps; arrays are float64 and broadcast against its shape.

    Parameters
    ----------
    keep : array
        Part of the membrane that a step keeps: 1 for IF and I, 0 for Threshold.
    gain, offset : array
        ``v = keep v + gain x + offset`` (``u`` in place of ``x`` for a current-based neuron).
    keep_current, gain_current : array or None
        ``u = keep_current u + gain_current x``.
    threshold : array or None
        None: never fires, and gives its membrane.
    v_reset : array
    """

    keep: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    keep_current: np.ndarray | None
    gain_current: np.ndarray | None
    threshold: np.ndarray | None
    v_reset: np.ndarray

    @property
    def total_gain(self) -> np.ndarray:
        """What one unit of input adds to the membrane in its step."""
        return self.gain if self.gain_current is None else self.gain * self.gain_current


def dynamics(node: nir.NIRNode, shape: Shape, name: str, timing: Timing) -> Equations:
    """The equations of one neuron node.

    Raises
    ------
    ModelError
        If `dt` is missing or does not fit the node's time constants.
    """

    def values(field: str) -> np.ndarray:
        return _spread(getattr(node, field), shape)

    zero, one = np.zeros(()), np.ones(())
    keep, gain, offset = one, one, zero
    keep_current = gain_current = None
    if isinstance(node, nir.IF | nir.I):
        gain = values("r") * (timing.dt if timing.integrate_dt and timing.dt else 1.0)
    elif isinstance(node, nir.LIF | nir.LI):
        keep = _keep(values("tau"), f"{name!r} tau", timing)
        gain, offset = (1 - keep) * values("r"), (1 - keep) * values("v_leak")
    elif isinstance(node, nir.CubaLIF | nir.CubaLI):
        keep = _keep(values("tau_mem"), f"{name!r} tau_mem", timing)
        gain, offset = (1 - keep) * values("r"), (1 - keep) * values("v_leak")
        keep_current = _keep(values("tau_syn"), f"{name!r} tau_syn", timing)
        gain_current = (1 - keep_current) * values("w_in")
    elif isinstance(node, nir.Threshold):
        keep = zero
    else:
        raise TypeError(f"NIR node {name!r} must be a neuron, not {type(node).__name__}")
    threshold, v_reset = None, zero
    if isinstance(node, nir.IF | nir.LIF | nir.CubaLIF):
        threshold, v_reset = values("v_threshold"), values("v_reset")
    elif isinstance(node, nir.Threshold):
        threshold = values("threshold")
    return Equations(
        keep=keep,
        gain=gain,
        offset=offset,
        keep_current=keep_current,
        gain_current=gain_current,
        threshold=threshold,
        v_reset=v_reset,
    )


def _spread(values: object, shape: Shape) -> np.ndarray:
    """A parameter as float64 that broadcasts against `shape`."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 1:
        return array.reshape(())
    if array.shape == shape[:1] and len(shape) > 1:
        return array.reshape(-1, *(1,) * (len(shape) - 1))
    return array


def _keep(tau: np.ndarray, what: str, timing: Timing) -> np.ndarray:
    dt = timing.dt
    if dt is None:
        raise ModelError(f"NIR node {what} is in seconds: say how long a step is with dt (--dt)")
    if tau.size and tau.min() <= 0:
        raise ModelError(f"NIR node {what} must be positive, not {tau.min()}")
    if timing.method is Method.EXACT:
        return np.asarray(np.exp(-dt / tau))
    # a tau in float32 may be below the dt it was made from by its last bit
    if tau.size and tau.min() < dt * (1 - 1e-5):
        raise ModelError(
            f"NIR node {what} must be at least dt ({dt}) under forward Euler, not {tau.min()}; "
            "take a smaller dt or the method 'exact'"
        )
    return np.asarray(np.maximum(1 - dt / tau, 0.0))
