"""Fills in what frameworks leave out of the graphs that they make, so that files can hold them."""

from __future__ import annotations

import copy
from dataclasses import fields

import nir
import numpy as np

from neurocuda_hw.linear.steps import Shape
from neurocuda_hw.nir.flat import STATEFUL, input_shapes


def complete(graph: nir.NIRGraph) -> nir.NIRGraph:
    """The graph as `nir.write` takes it; the one given stays as it is.

    Norse and sinabs leave out the input's shape of a Conv2d, sinabs that of a Flatten, and Norse
    writes one number for all neurons of a node: `nir.write` fails on each.
    """
    if not any(_lacks(node) for node in graph.nodes.values()):
        return graph
    shapes = input_shapes(graph)
    found = copy.copy(graph)
    found.nodes = {
        name: _completed(node, shapes[name]) if _lacks(node) and name in shapes else node
        for name, node in graph.nodes.items()
    }
    return found


def _lacks(node: nir.NIRNode) -> bool:
    if isinstance(node, nir.Conv1d | nir.Conv2d):
        return node.input_shape is None
    if isinstance(node, nir.Flatten):
        return node.input_type is None or node.input_type.get("input") is None
    return isinstance(node, STATEFUL) and bool(_without_axis(node))


def _without_axis(node: nir.NIRNode) -> dict[str, np.ndarray]:
    """Parameters that are one number for all neurons."""
    names = [f.name for f in fields(node) if f.name not in ("input_type", "output_type")]
    values = {n: getattr(node, n) for n in names if hasattr(getattr(node, n), "shape")}
    return {n: np.asarray(v) for n, v in values.items() if tuple(v.shape) == ()}


def _completed(node: nir.NIRNode, shape: Shape) -> nir.NIRNode:
    if isinstance(node, nir.Flatten):
        return nir.Flatten({"input": np.array(shape)}, node.start_dim, node.end_dim)
    found = copy.copy(node)
    if isinstance(node, nir.Conv1d | nir.Conv2d):
        found.input_shape = shape[1:] if len(shape) > 2 else shape[1]
        return found
    for name, value in _without_axis(node).items():
        setattr(found, name, np.full(shape, value))
    return found
