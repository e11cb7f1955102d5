"""A NIR graph laid flat: subgraphs dissolved, shapes inferred, and which edges carry a delay.

NIR says nothing of steps. Here each node is evaluated once per step, and where neurons form a
cycle, the arcs that close it deliver in the next step: among the neurons of a cycle, in the order
in which a breadth-first walk from the input meets them, an arc that leads back (or to itself) is
delayed by one step. An arc through a Delay node of at least one step is delayed by that already.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import nir
import numpy as np

from neurocuda_hw.ground.errors import ModelError, UnsupportedLayerError
from neurocuda_hw.linear.steps import Shape
from neurocuda_hw.nir.order import components, natural, targets_of
from neurocuda_hw.nir.shapes import integers, output_shape

Edge = tuple[str, str]
Sources = dict[str, tuple[str, ...]]

STATEFUL = (nir.IF, nir.LIF, nir.CubaLIF, nir.LI, nir.CubaLI, nir.I, nir.Threshold)
LINEAR = (
    nir.Affine,
    nir.Linear,
    nir.Scale,
    nir.Conv1d,
    nir.Conv2d,
    nir.SumPool2d,
    nir.AvgPool2d,
    nir.Flatten,
    nir.Delay,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """A flat graph of one input and one output.

    Parameters
    ----------
    nodes : dict of str to nir.NIRNode
        Names of nodes in subgraphs are joined by a dot; the inputs and outputs of subgraphs pass
        on what they get.
    sources : dict of str to tuple of str
        Which nodes feed each node: their outputs add up.
    shapes : dict of str to tuple of int
        Shape of each node's output, without a batch.
    input, output : str
    order : tuple of str
        The input, then the neurons, each after those whose spikes of the same step it needs;
        otherwise breadth first from the input.
    delayed : frozenset of (str, str)
        Pairs of neurons whose arcs deliver in the next step.
    """

    nodes: dict[str, nir.NIRNode]
    sources: Sources
    shapes: dict[str, Shape]
    input: str
    output: str
    order: tuple[str, ...]
    delayed: frozenset[Edge] = field(default_factory=frozenset)

    @property
    def neurons(self) -> tuple[str, ...]:
        """Nodes with a state or a threshold, in order."""
        return self.order[1:]

    def is_source(self, name: str) -> bool:
        """Whether a node is where arcs begin: a neuron or the input."""
        return name == self.input or isinstance(self.nodes[name], STATEFUL)


def flatten(graph: nir.NIRGraph, dt: float | None = None) -> Flat:
    """Lays `graph` flat and checks it; `dt` (seconds per step) is needed for Delay nodes.

    Raises
    ------
    ModelError
        If the graph is inconsistent: missing nodes, edges to nowhere, shapes that do not match,
        a cycle without a neuron. The message names the node.
    UnsupportedLayerError
        If it holds a node of no known type.
    """
    nodes, sources, start, end = _structure(graph)
    shapes = _shapes(nodes, sources, start)
    order = _order(nodes, sources, start)
    flat = Flat(nodes=nodes, sources=sources, shapes=shapes, input=start, output=end, order=order)
    return _with_delays(flat, dt)


def input_shapes(graph: nir.NIRGraph) -> dict[str, Shape]:
    """Shape of what each node gets, by its name in the flat graph; raises as `flatten` does."""
    nodes, sources, start, _ = _structure(graph)
    shapes = _shapes(nodes, sources, start)
    return {name: shapes[feeding[0]] for name, feeding in sources.items() if feeding}


def _structure(
    graph: nir.NIRGraph,
) -> tuple[dict[str, nir.NIRNode], Sources, str, str]:
    """Nodes that lead to the output, what feeds each, and the names of input and output."""
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[Edge] = []
    _dissolve(graph, "", nodes, edges)
    inputs = [n for n, node in nodes.items() if isinstance(node, nir.Input) and n in graph.nodes]
    outputs = [n for n, node in nodes.items() if isinstance(node, nir.Output) and n in graph.nodes]
    for what, found in (("Input", inputs), ("Output", outputs)):
        if len(found) != 1:
            raise ModelError(
                f"the NIR graph must have exactly one {what} node, not {len(found)}"
                + (f": {', '.join(found)}" if found else "")
            )
    sources = {name: tuple(a for a, b in edges if b == name) for name in nodes}
    if sources[inputs[0]]:
        raise ModelError(f"nothing may end in the Input node {inputs[0]!r} of the NIR graph")
    nodes, sources = _reaching(nodes, sources, inputs[0], outputs[0])
    for name, feeding in sources.items():
        if not feeding and name != inputs[0]:
            raise ModelError(f"NIR node {name!r} must be fed by an edge")
    _check_cycles(nodes, sources)
    return nodes, sources, inputs[0], outputs[0]


def _dissolve(
    graph: nir.NIRGraph, prefix: str, nodes: dict[str, nir.NIRNode], edges: list[Edge]
) -> None:
    entry: dict[str, str] = {}
    leave: dict[str, str] = {}
    for name, node in graph.nodes.items():
        full = prefix + name
        entry[name] = leave[name] = full
        if isinstance(node, nir.NIRGraph):
            _dissolve(node, f"{full}.", nodes, edges)
            ends = [
                [k for k, n in node.nodes.items() if isinstance(n, kind)]
                for kind in (nir.Input, nir.Output)
            ]
            if [len(e) for e in ends] != [1, 1]:
                raise ModelError(
                    f"NIR subgraph {full!r} must have exactly one Input and one Output node"
                )
            entry[name], leave[name] = f"{full}.{ends[0][0]}", f"{full}.{ends[1][0]}"
        elif isinstance(node, (*STATEFUL, *LINEAR, nir.Input, nir.Output)):
            nodes[full] = _in_numpy(node, full)
        else:
            raise UnsupportedLayerError(
                path=full,
                kind=type(node).__name__,
                way_out="use the node types that NIR 1.0 defines",
            )
    seen: set[Edge] = set()
    for a, b in graph.edges:
        for end in (a, b):
            if end not in graph.nodes:
                raise ModelError(
                    f"edge {prefix + a!r} -> {prefix + b!r} of the NIR graph must join nodes that "
                    f"exist, not {end!r}"
                )
        if (a, b) in seen:
            raise ModelError(f"edge {prefix + a!r} -> {prefix + b!r} must be listed once")
        seen.add((a, b))
        edges.append((leave[a], entry[b]))


def _in_numpy(node: nir.NIRNode, name: str) -> nir.NIRNode:
    """The node with arrays for tensors, which frameworks leave in graphs in memory, and one number
    for all neurons without axes."""
    plain = copy.copy(node)
    each = isinstance(node, (*STATEFUL, nir.Scale, nir.Delay))
    for field_name, value in vars(node).items():
        if hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
            setattr(plain, field_name, value)
        if each and isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(())
            setattr(plain, field_name, value)
        real = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        if real and not np.isfinite(value).all():
            raise ModelError(f"NIR node {name!r}: {field_name} must be finite, not NaN or infinite")
    return plain


def _reaching(
    nodes: dict[str, nir.NIRNode], sources: Sources, start: str, end: str
) -> tuple[dict[str, nir.NIRNode], Sources]:
    """Leaves out what does not lead to the output: it decides nothing."""
    keep, todo = {end}, [end]
    while todo:
        for name in sources[todo.pop()]:
            if name not in keep:
                keep.add(name)
                todo.append(name)
    if start not in keep:
        raise ModelError(f"no path of the NIR graph leads from {start!r} to {end!r}")
    return (
        {name: node for name, node in nodes.items() if name in keep},
        {name: feeding for name, feeding in sources.items() if name in keep},
    )


def _check_cycles(nodes: dict[str, nir.NIRNode], sources: Sources) -> None:
    """Raises unless every cycle goes through a neuron."""
    plain = {
        name: [source for source in feeding if not isinstance(nodes[source], STATEFUL)]
        for name, feeding in sources.items()
        if not isinstance(nodes[name], STATEFUL)
    }
    group = components(plain)
    for name, feeding in plain.items():
        if any(group[source] == group[name] for source in feeding):
            raise ModelError(
                f"the cycle through NIR node {name!r} must hold a neuron: without one nothing "
                "separates its steps"
            )


def _shapes(nodes: dict[str, nir.NIRNode], sources: Sources, start: str) -> dict[str, Shape]:
    """Shape of each node's output, found from the input on."""
    declared = integers(nodes[start].input_type.get("input"), f"shape of NIR node {start!r}")
    shapes: dict[str, Shape] = {start: declared}
    targets = targets_of(sources)
    todo = deque([start])
    while todo:
        name = todo.popleft()
        for target in targets[name]:
            if target not in shapes:
                shapes[target] = output_shape(nodes[target], shapes[name], target)
                todo.append(target)
    missing = sorted(set(nodes) - set(shapes))
    if missing:
        raise ModelError(f"NIR node {missing[0]!r} must be reached from the input {start!r}")
    for name, feeding in sources.items():
        for source in feeding:
            if output_shape(nodes[name], shapes[source], name) != shapes[name]:
                raise ModelError(
                    f"NIR node {name!r} must get inputs of one shape, not that of {source!r}: "
                    f"{shapes[source]}"
                )
    return shapes


def _order(nodes: dict[str, nir.NIRNode], sources: Sources, start: str) -> tuple[str, ...]:
    """Input and neurons, breadth first; neighbours in the order of their names."""
    targets = targets_of(sources)
    seen, found, todo = {start}, [start], deque([start])
    while todo:
        for name in sorted(targets[todo.popleft()], key=natural):
            if name not in seen:
                seen.add(name)
                todo.append(name)
                if isinstance(nodes[name], STATEFUL):
                    found.append(name)
    return tuple(found)


def delay_steps(node: nir.Delay, dt: float | None, name: str) -> np.ndarray:
    """Delay of each neuron in whole steps.

    Raises
    ------
    ModelError
        If `dt` is not given or the delay is negative or beyond 1024 steps.
    """
    if dt is None:
        raise ModelError(
            f"NIR node {name!r} (Delay) is in seconds: say how long a step is with dt (--dt)"
        )
    with np.errstate(over="ignore"):  # beyond 1024 in any case
        steps = np.rint(np.asarray(node.delay, dtype=np.float64) / dt)
    if steps.min() < 0 or steps.max() > 1024:
        worst = min(steps.min(), 0) or steps.max()
        raise ModelError(
            f"NIR node {name!r} (Delay) must be 0 to 1024 steps of dt {dt}, not {worst}"
        )
    return steps.astype(np.int64)


def arcs(flat: Flat, least_delay: Callable[[str], int] | None = None) -> dict[str, dict[str, int]]:
    """For each neuron: the sources that reach it, and the least delay of a path by Delay nodes."""
    found: dict[str, dict[str, int]] = {}
    for name in flat.neurons:
        best: dict[str, int] = {}
        todo = [(source, 0) for source in flat.sources[name]]
        reached: dict[str, int] = {}
        while todo:
            place, delay = todo.pop()
            if isinstance(flat.nodes[place], nir.Delay) and least_delay is not None:
                delay += least_delay(place)
            if place in reached and reached[place] <= delay:
                continue
            reached[place] = delay
            if flat.is_source(place):
                best[place] = min(delay, best.get(place, delay))
            else:
                todo += [(source, delay) for source in flat.sources[place]]
        found[name] = best
    return found


def _with_delays(flat: Flat, dt: float | None) -> Flat:
    """Marks the arcs that close a cycle and that no Delay node separates."""

    def least(name: str) -> int:
        node = flat.nodes[name]
        assert isinstance(node, nir.Delay)
        return int(delay_steps(node, dt, name).min())

    feeding = arcs(flat, least)
    direct = {
        name: [s for s, delay in sources.items() if delay == 0 and s != flat.input]
        for name, sources in feeding.items()
    }
    group = components(direct)
    index = {name: i for i, name in enumerate(flat.order)}
    delayed = frozenset(
        (source, name)
        for name, sources in direct.items()
        for source in sources
        if group[source] == group[name] and index[source] >= index[name]
    )
    return replace(flat, order=_sorted(flat, feeding, delayed), delayed=delayed)


def _sorted(
    flat: Flat, feeding: dict[str, dict[str, int]], delayed: frozenset[Edge]
) -> tuple[str, ...]:
    """The order of `flat`, changed as little as possible to put sources before their targets."""
    done, waiting = [flat.input], list(flat.neurons)
    while waiting:
        reached = set(done)
        ready = next(
            name
            for name in waiting
            if all(
                source in reached or delay > 0 or (source, name) in delayed
                for source, delay in feeding[name].items()
            )
        )
        done.append(ready)
        waiting.remove(ready)
    return tuple(done)
