"""Reads a ``.nir`` file into a `nir.NIRGraph`, and says in one sentence why it cannot be read.

Sizes are checked before anything is read, so that a small file that claims huge arrays does no
harm; every number must be finite.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from neurocuda_hw.errors import ModelError
from neurocuda_hw.files import read_file

LARGEST_BYTES = 2**31
DEEPEST = 16
KINDS = (
    *("Input", "Output", "NIRGraph", "Affine", "Linear", "Scale", "Conv1d", "Conv2d", "SumPool2d"),
    *("AvgPool2d", "Flatten", "Delay", "Threshold", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF"),
)
_TOO_DEEP = f"groups must be nested at most {DEEPEST} deep"


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


def from_bytes(content: bytes, where: str = "the NIR file") -> nir.NIRGraph:
    """A graph from a NIR file's content; `where` names the file in messages."""
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            _check_size(file, where)
            tree = _plain(file["node"], where, "node", 0)
        graph = _node(tree, where, "the graph")
    except ModelError:
        raise
    except RecursionError as error:
        raise ModelError(f"{where} is damaged: {_TOO_DEEP}") from error
    except Exception as error:  # damaged bytes break HDF5 and its readers in any way they can
        raise ModelError(f"{where} is not a readable NIR file ({_reason(error)})") from error
    if not isinstance(graph, nir.NIRGraph):
        raise ModelError(f"{where} must hold a NIRGraph, not {type(graph).__name__}")
    return graph


def _reason(error: Exception) -> str:
    """The first line of an error, short, without the reader's internals."""
    text = (str(error) or type(error).__name__).strip("'\"").splitlines()[0]
    return text[:100]


def _check_size(file: h5py.File, where: str) -> None:
    """Adds up what every array claims to hold, before any of it is read."""
    total = 0

    def visit(name: str, item: Any) -> None:
        nonlocal total
        if name.count("/") > 2 * DEEPEST:
            raise ModelError(f"{where} is damaged: {_TOO_DEEP}")
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            total += int(np.prod(item.shape, dtype=object)) * item.dtype.itemsize
            if total > LARGEST_BYTES:
                raise ModelError(
                    f"{where}: arrays must hold at most {LARGEST_BYTES >> 30} GiB in all, "
                    f"and {name!r} of shape {item.shape} is beyond that"
                )

    file.visititems(visit)


def _plain(item: Any, where: str, name: str, depth: int) -> Any:
    """An HDF5 group as a dict, a dataset as an array, number or text."""
    if depth > 2 * DEEPEST:
        raise ModelError(f"{where} is damaged: {_TOO_DEEP}")
    if isinstance(item, h5py.Group):
        return {key: _plain(part, where, key, depth + 1) for key, part in item.items()}
    value = item[()]
    if isinstance(value, bytes):
        return value.decode("utf8")
    if isinstance(value, np.ndarray | np.number) and value.dtype.kind == "V":
        raise ModelError(f"{where}: {item.name!r} must be numbers or text, not {value.dtype}")
    return value


def _node(tree: Any, where: str, name: str) -> nir.NIRNode:
    """One node, and for a graph all in it, as the classes of the `nir` package."""
    if not isinstance(tree, dict) or "type" not in tree:
        raise ModelError(f"{where}: {name} must be a node with a type")
    kind = tree["type"]
    if kind not in KINDS:
        raise ModelError(
            f"{where}: {name} must be of a type that NIR defines ({', '.join(KINDS)}), not {kind!r}"
        )
    fields = {key: value for key, value in tree.items() if key != "type"}
    metadata = fields.pop("metadata", {})
    if kind == "NIRGraph":
        if not isinstance(fields.get("nodes"), dict) or "edges" not in fields:
            raise ModelError(f"{where}: {name} must have nodes and edges")
        nodes = {key: _node(part, where, f"node {key!r}") for key, part in fields["nodes"].items()}
        return nir.NIRGraph(
            nodes=nodes,
            edges=_edges(fields["edges"], where, name),
            metadata=metadata if isinstance(metadata, dict) else {},
            type_check=False,
        )
    for key, value in fields.items():
        _check_numbers(value, f"{where}: {name} ({kind}) {key}")
    try:
        return nir.dict2NIRNode({"type": kind, **fields, "metadata": metadata})
    except KeyError as error:
        raise ModelError(f"{where}: {name} ({kind}) must have the field {error}") from error
    except Exception as error:  # the nir package asserts, indexes and multiplies
        raise ModelError(f"{where}: {name} ({kind}) is damaged: {_reason(error)}") from error


def _edges(edges: Any, where: str, name: str) -> list[tuple[str, str]]:
    array = np.asarray(edges, dtype=object)
    if array.size and (array.ndim != 2 or array.shape[1] != 2):
        raise ModelError(f"{where}: edges of {name} must be pairs of names, not {array.shape}")
    texts = [tuple(e.decode() if isinstance(e, bytes) else e for e in row) for row in array]
    for pair in texts:
        if not all(isinstance(end, str) for end in pair):
            raise ModelError(f"{where}: edges of {name} must be pairs of names, not {pair!r}")
    return [(a, b) for a, b in texts]


def _check_numbers(value: Any, what: str) -> None:
    if isinstance(value, dict):
        raise ModelError(f"{what} must be numbers or text, not a group")
    if isinstance(value, str):
        return
    array = np.asarray(value)
    if array.dtype.kind not in "iufb":
        raise ModelError(f"{what} must be numbers, not {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelError(f"{what} must be finite, not NaN or infinite")
