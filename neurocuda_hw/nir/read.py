"""Reads a ``.nir`` file into a `nir.NIRGraph`, and says in one sentence why it cannot be read.

Sizes are checked before anything is read, so that a small file that claims huge arrays does no
harm; every number must be finite.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.files import read_file
from neurocuda_hw.nir.hdf5 import Refused, tree_of

DEEPEST = 14
KINDS = (
    *("Input", "Output", "NIRGraph", "Affine", "Linear", "Scale", "Conv1d", "Conv2d", "SumPool2d"),
    *("AvgPool2d", "Flatten", "Delay", "Threshold", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF"),
)


def read(path: str | Path) -> nir.NIRGraph:
    """Reads and checks a NIR file.

    Raises
    ------
    DataError
        If there is no such file.
    ModelError
        If it is truncated, damaged, or not a NIR graph.
    """
    return from_bytes(read_file(path, "NIR file"), repr(str(path)))


def from_bytes(
    content: bytes,
    where: str = "the NIR file",
    parser: Callable[[bytes], dict[str, Any]] = tree_of,
) -> nir.NIRGraph:
    """A graph from a NIR file's content; `where` names the file in messages."""
    try:
        tree = parser(content)
    except Refused as error:
        raise ModelError(f"{where} is not a readable NIR file: {error}") from error
    if "node" not in tree:
        raise ModelError(f"{where} is not a NIR file: it must have a group 'node'")
    graph = _node(tree["node"], where, "the graph", 0)
    if not isinstance(graph, nir.NIRGraph):
        raise ModelError(f"{where} must hold a NIRGraph, not {type(graph).__name__}")
    return graph


def _node(tree: Any, where: str, name: str, depth: int) -> nir.NIRNode:
    """One node, and for a graph all in it, as the classes of the `nir` package."""
    if not isinstance(tree, dict) or not isinstance(tree.get("type"), str):
        raise ModelError(f"{where}: {name} must be a node with a type")
    kind = tree["type"]
    if kind not in KINDS:
        raise ModelError(
            f"{where}: {name} must be of a type that NIR defines ({', '.join(KINDS)}), not {kind!r}"
        )
    fields = {key: _scalar(value) for key, value in tree.items() if key != "type"}
    metadata = _noted(fields.pop("metadata", {}))
    if kind == "NIRGraph":
        if depth > DEEPEST:
            raise ModelError(f"{where}: subgraphs must be nested at most {DEEPEST} deep")
        if not isinstance(fields.get("nodes"), dict) or "edges" not in fields:
            raise ModelError(f"{where}: {name} must have nodes and edges")
        nodes = {
            key: _node(part, where, f"node {key!r}", depth + 1)
            for key, part in fields["nodes"].items()
        }
        edges = _edges(fields["edges"], where, name)
        return nir.NIRGraph(nodes=nodes, edges=edges, metadata=metadata, type_check=False)
    for key, value in fields.items():
        if key != "padding" or not isinstance(value, str):
            _check_numbers(value, f"{where}: {name} ({kind}) {key}")
    for field in dataclasses.fields(getattr(nir, kind)):
        needed = field.init and field.default is dataclasses.MISSING
        needed = needed and field.default_factory is dataclasses.MISSING
        if needed and field.name not in (*fields, "input_type", "output_type"):
            raise ModelError(f"{where}: {name} ({kind}) must have the field {field.name!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as a division by a stride of 0
            return nir.dict2NIRNode({"type": kind, **fields, "metadata": metadata})
    except KeyError as error:
        raise ModelError(f"{where}: {name} ({kind}) must have the field {error}") from error
    except Exception as error:  # the nir package asserts, indexes and multiplies
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{where}: {name} ({kind}) is damaged: {text[:100]}") from error


def _scalar(value: Any) -> Any:
    """Arrays without an axis as numpy's numbers, as the reader of the `nir` package gives them."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _noted(metadata: Any) -> dict[str, Any]:
    """Metadata: nested dicts of text, numbers and arrays."""
    if not isinstance(metadata, dict):
        return {}
    return {k: _noted(v) if isinstance(v, dict) else _scalar(v) for k, v in metadata.items()}


def _edges(edges: Any, where: str, name: str) -> list[tuple[str, str]]:
    pairs = edges.tolist() if isinstance(edges, np.ndarray) and not edges.size else edges
    if not isinstance(pairs, list) or any(len(pair) != 2 for pair in pairs):
        raise ModelError(f"{where}: edges of {name} must be pairs of names")
    return [(a, b) for a, b in pairs]


def _check_numbers(value: Any, what: str) -> None:
    if isinstance(value, dict | list | str):
        found = "a group" if isinstance(value, dict) else "text"
        raise ModelError(f"{what} must be numbers, not {found}")
    array = np.asarray(value)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelError(f"{what} must be finite, not NaN or infinite")
