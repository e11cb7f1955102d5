"""One floating point cell as integers: weights per output channel, thresholds scaled alike.

For an output channel c, jointly over all that feeds it::

    S_c = (2^(bits - 1) - 1) / max |W_c|      W' = round(S W)      theta' = floor(S theta) + 1

since NIR fires at v > theta and integers fire at v >= theta'. A channel whose weights already lie
on a grid of 1 / 2^k that fits keeps them exactly: S_c = 2^k, with the least k that also keeps what
is added and what a reset leaves or takes, or else the largest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.linear.maps import Kind, Map, identity
from neurocuda_hw.linear.steps import Shape
from neurocuda_hw.network.neurons import (
    IF,
    LARGEST,
    LIF,
    CubaLIF,
    CubaReadout,
    LeakyReadout,
    Neuron,
    Readout,
    Reset,
)
from neurocuda_hw.network.synapses import Dense, Diagonal, Synapse
from neurocuda_hw.nir.cells import Arc, Cell, as_matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a graph becomes integers.

    Parameters
    ----------
    weight_bits : int
        2 to 32.
    subtract : bool
        Reset by subtraction of the threshold; False: to `v_reset`, as NIR defines it.
    fires_at : bool
        Fire at ``v >= threshold`` instead of NIR's ``v > threshold``.
    keep : bool
        The graph holds integers already: they stay as they are.
    """

    weight_bits: int = 8
    subtract: bool = False
    fires_at: bool = False
    keep: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.weight_bits, bool) or not 2 <= self.weight_bits <= 32:
            raise ValueError(f"weight_bits must be 2 to 32, not {self.weight_bits!r}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantised:
    """A cell in integers.

    Parameters
    ----------
    neuron : Neuron
    synapses : tuple of (Arc, Synapse)
    input_bias : int64 array
        What a current-based cell gets in each step besides its terms; 0 elsewhere.
    scale : float64 array (C,)
        Integer units per unit of the model's input, per channel.
    """

    neuron: Neuron
    synapses: tuple[tuple[Arc, Synapse], ...]
    input_bias: np.ndarray
    scale: np.ndarray


def quantise(cell: Cell, rules: Rules) -> Quantised:
    """Integers of one cell.

    Raises
    ------
    ModelError
        If a number becomes too large for the integer network.
    """
    feedback = _feedback(cell, cell.terms)
    fed = [replace(t, map=_fitting(t.map, cell)) for t in cell.terms if t is not feedback]
    scale = _scales(cell, fed, feedback, rules)
    synapses = tuple((t, _synapse(t.map, scale, cell)) for t in fed)
    bias = _whole(_spread(scale, cell.shape) * cell.bias, cell, "bias")
    offset = _whole(_spread(scale, cell.shape) * cell.offset, cell, "v_leak")
    current = cell.rule is not None and cell.rule.keep_current is not None
    added = offset if current else bias + offset
    neuron: Neuron
    extra: tuple[tuple[Arc, Synapse], ...] = ()
    if cell.threshold is None:
        neuron = _readout(cell, scale, added)
    else:
        neuron, extra = _spiking(cell, rules, scale, added, feedback)
    return Quantised(
        neuron=neuron,
        synapses=synapses + extra,
        input_bias=bias if current else _ZERO,
        scale=scale,
    )


def _readout(cell: Cell, scale: np.ndarray, bias: np.ndarray) -> Readout:
    """A last population that never fires."""
    v_init = _whole(_spread(scale, cell.shape) * cell.v_init, cell, "constant of the output")
    common: dict[str, Any] = {
        "bias": _shrunk(bias, cell.shape),
        "v_init": _shrunk(v_init, cell.shape),
    }
    if cell.rule is None:
        return Readout(**common)
    if cell.rule.keep_current is None:
        return LeakyReadout(decay=_decay(cell.rule.keep, cell.shape), **common)
    du, dv = (_decay(k, cell.shape) for k in (cell.rule.keep_current, cell.rule.keep))
    return CubaReadout(du=du, dv=dv, **common)


_ZERO = np.zeros((), dtype=np.int64)


def _fitting(path: Map, cell: Cell) -> Map:
    """The map in a kind that a synapse between these shapes has."""
    if path.kind is Kind.GAIN and (path.pooled != cell.shape or path.gains is None):
        return as_matrix(path, cell.name)
    if path.kind is Kind.CONV and len(cell.shape) != 3:
        return as_matrix(path, cell.name)
    return path


def _feedback(cell: Cell, terms: tuple[Arc, ...]) -> Arc | None:
    """The arc that subtracts the threshold of a neuron that nothing else resets."""
    if cell.resets or cell.threshold is None:
        return None
    for term in terms:
        own = term.source == cell.name and np.all(term.delay == 1)
        plain = term.map.kind is Kind.GAIN and term.map.pool is None
        if own and plain and bool((term.map.weight <= 0).all()) and bool(term.map.weight.any()):
            return term
    return None


def _rows(path: Map, channels: int) -> np.ndarray:
    """Weights as one row per output channel."""
    weight = path.gains if path.kind is Kind.GAIN else path.weight
    assert weight is not None
    return weight.reshape(channels, -1).numpy()


def _scales(cell: Cell, terms: list[Arc], feedback: Arc | None, rules: Rules) -> np.ndarray:
    channels = cell.shape[0]
    if rules.keep:
        return np.ones(channels)
    rows = [_rows(t.map, channels) for t in terms]
    weights = np.concatenate([*rows, np.zeros((channels, 1))], axis=1)
    highest = float(2 ** (rules.weight_bits - 1) - 1)
    peak = np.abs(weights).max(axis=1)
    scale = np.where(peak > 0, highest / np.where(peak > 0, peak, 1), 1.0)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ModelError(
            f"NIR node {cell.name!r}: weights must be 1e-300 to 1e300, not {float(peak.max()):.3g}"
        )
    leaky = cell.rule is not None and (
        cell.rule.keep_current is not None or np.any((cell.rule.keep != 1) & (cell.rule.keep != 0))
    )
    if leaky:  # truncation of the leak costs less the finer the grid
        return _comparable(cell, scale, peak, highest)
    constants = [cell.bias + cell.offset]
    if cell.threshold is not None and cell.resets:
        constants.append(cell.threshold if rules.subtract else cell.v_reset)
    if feedback is not None:
        constants.append(feedback.map.factors.numpy())
    each = [np.broadcast_to(c, cell.shape).reshape(channels, -1) for c in constants]
    values = np.concatenate([weights, *each], axis=1)
    powers = [2.0**n for n in range(rules.weight_bits)]
    for some in (weights, values):
        for grid in powers if some is weights else reversed(powers):
            exact = (some * grid % 1 == 0).all(axis=1) & (peak * grid <= highest)
            scale = np.where(exact, grid, scale)
    return _comparable(cell, scale, peak, highest)


def _comparable(cell: Cell, scale: np.ndarray, peak: np.ndarray, highest: float) -> np.ndarray:
    """The scales of a readout such that all its integers are worth the same, and compare with one
    another as the model's values do."""
    if cell.output_scale is None or cell.threshold is not None:
        return scale
    rows = np.broadcast_to(cell.output_scale, cell.shape).reshape(len(scale), -1)
    worth, used = rows[:, 0], peak > 0
    if (worth == worth[0]).all() and (np.log2(scale[used]) % 1 == 0).all():
        finest = scale[used].max(initial=1.0)
        if (peak * finest <= highest).all():
            return np.full_like(scale, finest)  # a grid that all weights lie on
    unit = (peak * worth)[used].max(initial=0.0) / highest
    return worth / unit if unit > 0 else scale


def _spread(scale: np.ndarray, shape: Shape) -> np.ndarray:
    return scale.reshape(-1, *(1,) * (len(shape) - 1))


def _whole(values: np.ndarray, cell: Cell, what: str) -> np.ndarray:
    rounded = np.rint(np.broadcast_to(values, cell.shape))
    if not np.all(np.abs(rounded) <= LARGEST):
        raise ModelError(
            f"NIR node {cell.name!r}: {what} must be at most 2^47 in weight units, "
            f"not {float(np.abs(rounded).max()):.3g}; are its weights far too small?"
        )
    whole: np.ndarray = rounded.astype(np.int64)
    return whole


def _shrunk(values: np.ndarray, shape: Shape) -> np.ndarray:
    """One value, or one per channel, where that says the same."""
    full = np.broadcast_to(values, shape)
    if (full == full.flat[0]).all():
        return np.array(full.flat[0])
    rows = full.reshape(shape[0], -1)
    return rows[:, 0].copy() if (rows == rows[:, :1]).all() else full.copy()


def _synapse(path: Map, scale: np.ndarray, cell: Cell) -> Synapse:
    rows = _rows(path, cell.shape[0])
    weight = np.rint(rows * scale[:, None]).astype(np.int64)
    shape = (-1,) if path.kind is Kind.GAIN else tuple(path.weight.shape)
    return path.synapse(weight.reshape(shape))


def decay_constant(keep: np.ndarray) -> np.ndarray:
    """The part that a step keeps as the integer network's decay: ``round(4096 (1 - keep))``."""
    lost: np.ndarray = np.rint((1 - np.asarray(keep)) * 4096).astype(np.int64)
    bounded: np.ndarray = np.clip(lost, 0, 4096)
    return bounded


def _spiking(
    cell: Cell, rules: Rules, scale: np.ndarray, bias: np.ndarray, feedback: Arc | None
) -> tuple[Neuron, tuple[tuple[Arc, Synapse], ...]]:
    rule = cell.rule
    assert rule is not None
    assert cell.threshold is not None
    spread = _spread(scale, cell.shape)
    level = spread * cell.threshold
    fires = np.ceil(level) if rules.fires_at else np.floor(level) + 1
    fires = _whole(fires, cell, "v_threshold")
    leaks = bool(np.any(rule.keep != 1)) or rule.keep_current is not None
    forgets = not leaks or (bool(np.all(rule.keep == 0)) and rule.keep_current is None)
    extra: tuple[tuple[Arc, Synapse], ...] = ()
    v_init = np.zeros((), dtype=np.int64)
    v_reset = np.zeros((), dtype=np.int64)
    reset = Reset.SUBTRACT
    if not cell.resets:
        keep = np.broadcast_to(rule.keep, cell.shape)
        if feedback is not None:
            taken = -feedback.map.factors.numpy()
            taken = _whole(spread * taken / np.where(keep > 0, keep, 1), cell, "v_threshold")
            amount = np.maximum(np.where(keep > 0, taken, fires), 1)
        else:
            amount = np.maximum(fires, 1)
            extra = (_undo(cell, amount, keep),) if np.any(keep) else ()
        v_init = amount - fires if not leaks else v_init
        fires = amount if not leaks else np.maximum(fires, 1)
    elif rules.subtract and not (leaks and forgets):
        amount = np.maximum(_whole(level, cell, "v_threshold"), 1)
        v_init = amount - fires if not leaks else v_init
        fires = amount
    else:
        v_reset = _whole(spread * cell.v_reset, cell, "v_reset")
        if leaks and forgets:  # nothing is kept: what the reset leaves does not matter
            v_reset = np.zeros_like(v_reset)
        reset = Reset.TO_VALUE if np.any(v_reset) else Reset.ZERO
    common: dict[str, Any] = {
        "threshold": _shrunk(fires, cell.shape),
        "bias": _shrunk(bias, cell.shape),
        "v_init": _shrunk(v_init, cell.shape),
        "v_reset": _shrunk(v_reset, cell.shape),
    }
    if rule.keep_current is not None:
        du, dv = (_decay(k, cell.shape) for k in (rule.keep_current, rule.keep))
        return CubaLIF(reset=reset, du=du, dv=dv, **common), extra
    if leaks:
        return LIF(reset=reset, decay=_decay(rule.keep, cell.shape), **common), extra
    return IF(reset=reset, **common), extra


def _decay(keep: np.ndarray, shape: Shape) -> np.ndarray:
    """The part that a step keeps as a parameter of a population."""
    return _shrunk(_planar(decay_constant(keep), shape), shape)


def _planar(values: np.ndarray, shape: Shape) -> np.ndarray:
    """A parameter of a NIR node, of a shape ``(C, L)`` perhaps, for a population's shape."""
    if values.size == int(np.prod(shape)):
        return values.reshape(shape)
    return np.broadcast_to(values, shape)


def _undo(cell: Cell, amount: np.ndarray, keep: np.ndarray) -> tuple[Arc, Synapse]:
    """An arc that gives back what the reset took, for an integrator that nothing resets."""
    back = np.rint(amount * keep).astype(np.int64)
    rows = back.reshape(cell.shape[0], -1)
    if (rows == rows[:, :1]).all():
        synapse: Synapse = Diagonal(weight=rows[:, 0].copy())
    else:
        synapse = Dense(weight=np.diag(back.reshape(-1)))
    late = np.ones((), dtype=np.int64)
    return Arc(source=cell.name, map=identity(cell.shape), delay=late), synapse
