"""A NIR graph as neurons and the linear maps between them, still in floating point.

The membrane is counted in units of what one unit of input adds to it, so that weights stay as they
are and gains (``r``, ``w_in``, ``1 - k``) go into thresholds. An integrator that only a Threshold
reads becomes one neuron with it; a last integrator, or a sum of spikes, becomes a readout.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod

import nir
import numpy as np
import torch

from neurocuda_hw.ground.errors import ModelError, UnsupportedLayerError
from neurocuda_hw.linear.maps import Kind, Map, identity
from neurocuda_hw.linear.steps import Convolution, Pool, Shape, Step, image_shape
from neurocuda_hw.nir.dynamics import Equations, Timing, dynamics
from neurocuda_hw.nir.flat import Flat, delay_steps
from neurocuda_hw.nir.ops import step_of
from neurocuda_hw.nir.order import targets_of

MOST_PATHS = 1024
LARGEST_MATRIX = 2**25  # values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arc:
    """What one source sends to one cell: `delay` in steps, one for all or one per neuron of it."""

    source: str
    map: Map
    delay: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cell:
    """Neurons of one kind.

    Parameters
    ----------
    name : str
        Of the NIR node that fires, or of the readout.
    shape : tuple of int
        As a population has it.
    rule : Equations or None
        None for a readout that does not leak.
    threshold : array or None
        In units of input; None for a readout.
    v_reset, offset : array
        In units of input; `offset` is added to the membrane in each step.
    resets : bool
        False where nothing resets the membrane but arcs of the graph.
    bias : array
        What the affine nodes add to the input in each step.
    terms : tuple of Arc
    output_scale : array or None
        Units of the model per unit of input, of a readout.
    v_init : array
        What a readout starts from, in units of input.
    """

    name: str
    shape: Shape
    rule: Equations | None
    threshold: np.ndarray | None
    v_reset: np.ndarray
    offset: np.ndarray
    resets: bool
    bias: np.ndarray
    terms: tuple[Arc, ...]
    output_scale: np.ndarray | None = None
    v_init: np.ndarray = field(default_factory=lambda: np.zeros(()))


def cells(flat: Flat, timing: Timing) -> tuple[Cell, ...]:
    """The cells of a graph in topological order; the last one is the output.

    Raises
    ------
    ModelError, UnsupportedLayerError
        If a node cannot be a neuron of an integer network; the message names it.
    """
    return _Reader(flat, timing).cells()


class _Reader:
    def __init__(self, flat: Flat, timing: Timing) -> None:
        self.flat, self.timing = flat, timing
        self.targets = targets_of(flat.sources)
        self.paths: dict[str, list[Arc]] = {}
        self.biases: dict[str, torch.Tensor] = {}

    def cells(self) -> tuple[Cell, ...]:
        found = []
        last = self._last()
        for name in self.flat.neurons:
            rule = self._rule(name)
            if isinstance(self.flat.nodes[name], nir.Threshold):
                found.append(self._threshold(name, rule))
            elif rule.threshold is not None:
                found.append(self._neuron(name, name, rule, rule.threshold, resets=True))
            elif name == last:
                found.append(self._readout(name, rule))
            elif not self._is_membrane(name):
                raise UnsupportedLayerError(
                    path=name,
                    kind=type(self.flat.nodes[name]).__name__,
                    way_out="its values are no spikes; put a Threshold, or make it the last node",
                )
        if last is None and not self._spikes_out():
            found.append(self._sums())
        return tuple(found)

    def _rule(self, name: str) -> Equations:
        flat = self.flat
        return dynamics(flat.nodes[name], flat.shapes[name], name, self.timing)

    def _last(self) -> str | None:
        """The integrator that the output reads, directly or through scales."""
        name = self._behind_scales()
        integrator = isinstance(self.flat.nodes[name], nir.I | nir.LI | nir.CubaLI)
        return name if integrator and len(self.targets[name]) == 1 else None

    def _behind_scales(self) -> str:
        sources = self.flat.sources[self.flat.output]
        while len(sources) == 1 and _gain_of(self.flat.nodes[sources[0]]) is not None:
            sources = self.flat.sources[sources[0]]
        return sources[0] if len(sources) == 1 else self.flat.output

    def _spikes_out(self) -> bool:
        sources = self.flat.sources[self.flat.output]
        kinds = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold)
        return len(sources) == 1 and isinstance(self.flat.nodes[sources[0]], kinds)

    def _is_membrane(self, name: str) -> bool:
        """Whether a Threshold and nothing else reads this integrator."""
        targets = self.targets[name]
        return (
            isinstance(self.flat.nodes[name], nir.I | nir.LI | nir.CubaLI)
            and len(targets) == 1
            and isinstance(self.flat.nodes[targets[0]], nir.Threshold)
            and self.flat.sources[targets[0]] == (name,)
        )

    def _threshold(self, name: str, rule: Equations) -> Cell:
        sources = self.flat.sources[name]
        assert rule.threshold is not None
        if len(sources) == 1 and self._is_membrane(sources[0]):
            membrane = self._rule(sources[0])
            return self._neuron(name, sources[0], membrane, rule.threshold, resets=False)
        return self._neuron(name, name, rule, rule.threshold, resets=True)

    def _neuron(
        self, name: str, fed: str, rule: Equations, threshold: np.ndarray, *, resets: bool
    ) -> Cell:
        gain = self._gain(fed, rule)
        return Cell(
            name=name,
            shape=image_shape(self.flat.shapes[name]),
            rule=rule,
            threshold=self._image_shape(threshold / gain, name),
            v_reset=self._image_shape(rule.v_reset / gain, name),
            offset=self._image_shape(rule.offset / gain, name),
            resets=resets,
            bias=self._bias(fed),
            terms=self._terms(fed),
        )

    def _gain(self, name: str, rule: Equations) -> np.ndarray:
        """What one unit of input adds to the membrane in its step."""
        gain = rule.total_gain
        if not (np.all(np.isfinite(gain)) and np.all(gain > 0)):
            raise ModelError(
                f"NIR node {name!r} must have r and w_in above 0, not a gain of {np.min(gain):.6g}"
            )
        return gain

    def _image_shape(self, values: np.ndarray, name: str) -> np.ndarray:
        return np.broadcast_to(values, self.flat.shapes[name]).reshape(
            image_shape(self.flat.shapes[name])
        )

    def _readout(self, name: str, rule: Equations) -> Cell:
        gain = self._gain(name, rule)
        leaks = rule.keep_current is not None or bool(np.any(rule.keep != 1))
        # y = scale v + shift, from the last node back to the integrator
        scale, shift = np.ones(()), np.zeros(())
        place = self.flat.sources[self.flat.output][0]
        while place != name:
            step = _gain_of(self.flat.nodes[place])
            assert step is not None
            shift = shift + scale * step[1]
            scale = scale * step[0]
            place = self.flat.sources[place][0]
        scale = np.broadcast_to(scale * gain, self.flat.shapes[name])
        if not np.all(scale > 0):
            raise UnsupportedLayerError(
                path=name,
                kind="Scale",
                way_out="a scale behind the last integrator must be positive",
            )
        if leaks and np.any(shift):
            raise UnsupportedLayerError(
                path=name,
                kind=type(self.flat.nodes[name]).__name__,
                way_out="it leaks, so a constant behind it cannot be where it starts from; leave "
                "the bias out",
            )
        return replace(
            self._sum_cell(name, name, scale),
            rule=rule if leaks else None,
            offset=self._image_shape(rule.offset / gain, name),
            v_init=shift / scale,
        )

    def _sums(self) -> Cell:
        return self._sum_cell(self.flat.output, self.flat.output, np.ones(()))

    def _sum_cell(self, name: str, fed: str, scale: np.ndarray) -> Cell:
        return Cell(
            name=name,
            shape=image_shape(self.flat.shapes[name]),
            rule=None,
            threshold=None,
            v_reset=np.zeros(()),
            offset=np.zeros(()),
            resets=False,
            bias=self._bias(fed),
            terms=self._terms(fed),
            output_scale=scale,
        )

    def _bias(self, name: str) -> np.ndarray:
        """What reaches a node in each step when nothing fires."""
        total = self._constant_in(name)
        return total.numpy().reshape(image_shape(self.flat.shapes[name]))

    def _constant_in(self, name: str) -> torch.Tensor:
        first, *rest = (self._constant(source) for source in self.flat.sources[name])
        return sum(rest, first)

    def _constant(self, name: str) -> torch.Tensor:
        flat = self.flat
        if flat.is_source(name):
            return torch.zeros(1, *flat.shapes[name], dtype=torch.float64)
        if name not in self.biases:
            value = self._constant_in(name)
            node = flat.nodes[name]
            if isinstance(node, nir.Delay):
                if bool(value.any()):
                    raise UnsupportedLayerError(
                        path=name,
                        kind="Delay",
                        way_out="a bias in front of it would be late; put the bias behind it",
                    )
            else:
                value = step_of(node, flat.shapes[name], name).apply(value)
            self.biases[name] = value
        return self.biases[name]

    def _terms(self, name: str) -> tuple[Arc, ...]:
        found = []
        for source in self.flat.sources[name]:
            for term in self._paths(source):
                late = 1 if (term.source, name) in self.flat.delayed else 0
                found.append(Arc(source=term.source, map=term.map, delay=term.delay + late))
        return tuple(_merged(found))

    def _paths(self, name: str) -> list[Arc]:
        """Every way from a neuron or the input to what node `name` gives."""
        flat = self.flat
        if flat.is_source(name):
            return [Arc(source=name, map=identity(flat.shapes[name]), delay=np.zeros((), np.int64))]
        if name not in self.paths:
            arriving = [term for source in flat.sources[name] for term in self._paths(source)]
            found = _merged([self._through(term, name) for term in arriving])
            if len(found) > MOST_PATHS:
                raise UnsupportedLayerError(
                    path=name,
                    kind=type(flat.nodes[name]).__name__,
                    way_out=f"more than {MOST_PATHS} paths lead to it; put neurons between",
                )
            self.paths[name] = found
        return self.paths[name]

    def _through(self, term: Arc, name: str) -> Arc:
        node, shape = self.flat.nodes[name], self.flat.shapes[name]
        delay = term.delay
        if isinstance(node, nir.Delay):
            steps = delay_steps(node, self.timing.dt, name)
            if np.any(steps != steps.flat[0]):
                plain = term.map.kind is Kind.GAIN and term.map.pool is None
                if not plain or term.map.gives != shape:
                    raise UnsupportedLayerError(
                        path=name,
                        kind="Delay",
                        way_out="delays that differ must stand right behind the neurons they delay",
                    )
                delay = delay + np.broadcast_to(steps, shape).reshape(image_shape(shape))
            else:
                delay = delay + steps.flat[0]
        return Arc(source=term.source, map=_extended(term.map, node, shape, name), delay=delay)


def _gain_of(node: nir.NIRNode) -> tuple[np.ndarray, np.ndarray] | None:
    """Gain and constant of a node that treats each value by itself; None if it does not."""
    if isinstance(node, nir.Scale):
        return np.asarray(node.scale, dtype=np.float64), np.zeros(())
    if not isinstance(node, nir.Affine):
        return None
    weight = np.asarray(node.weight, dtype=np.float64)
    diagonal = np.diagonal(weight)
    if weight.shape[0] != weight.shape[1] or np.count_nonzero(weight - np.diag(diagonal)):
        return None
    return diagonal, np.asarray(node.bias, dtype=np.float64)


def _extended(path: Map, node: nir.NIRNode, shape: Shape, name: str) -> Map:
    """`path` and then `node` (without its bias), which gives `shape`.

    Raises
    ------
    UnsupportedLayerError
        If it has to become a matrix beyond `LARGEST_MATRIX` values.
    """
    step = step_of(node, shape, name)
    slides = isinstance(step, Convolution | Pool) and path.kind is Kind.MATRIX
    found = None if slides else path.then(step)
    return as_matrix(path, name, type(node).__name__, step) if found is None else found


def as_matrix(path: Map, name: str, kind: str = "Flatten", step: Step | None = None) -> Map:
    """`path` and then `step` as one matrix over the whole source; raises as `_extended` does."""
    size, gives = prod(path.takes), path.gives
    rows = prod(gives if step is None else step.output(gives))
    if size * max(rows, prod(gives)) > LARGEST_MATRIX:
        raise UnsupportedLayerError(
            path=name,
            kind=kind,
            way_out="what leads to it from the last neurons does not compose into one convolution "
            f"and is too large for a matrix ({rows} x {size}); put neurons between",
        )
    return path.matrix(step, whole=True)


def _merged(terms: list[Arc]) -> list[Arc]:
    """Terms of one source, delay and geometry added up."""
    found: list[Arc] = []
    for term in terms:
        for i, other in enumerate(found):
            alike = term.source == other.source and np.array_equal(term.delay, other.delay)
            total = other.map.plus(term.map) if alike else None
            if total is not None:
                found[i] = replace(other, map=total)
                break
        else:
            found.append(term)
    return found
