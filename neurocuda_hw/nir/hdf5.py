"""Reads an HDF5 file in a process of its own: the HDF5 library may crash on a damaged one.

Run as a program, this file takes the HDF5 content on its standard input and gives an ``.npz`` on
its standard output: numeric arrays by number, and ``tree``, JSON in which groups are objects, text
is text, and ``{"array": n}`` stands for an array. It imports nothing of its package.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

LARGEST_BYTES = 2**31
DEEPEST = 32
_MEMORY = 2**33
_SECONDS = 120


class Refused(Exception):
    """A file that cannot be used: one phrase."""


def tree_of(content: bytes) -> dict[str, Any]:
    """Groups as dicts, datasets as arrays, numbers and text.

    Raises
    ------
    Refused
        If the file is damaged, too large, or breaks the library.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, __file__],
            input=content,
            capture_output=True,
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
        with np.load(io.BytesIO(done.stdout), allow_pickle=False) as archive:
            tree = json.loads(archive["tree"].tobytes())
            arrays = {name: archive[name] for name in archive.files if name != "tree"}
    except subprocess.TimeoutExpired as error:
        raise Refused(f"reading takes more than {_SECONDS} s") from error
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise Refused("the HDF5 library breaks on it") from error
    if "error" in tree:
        raise Refused(tree["error"])
    found = filled(tree["tree"], arrays)
    if not isinstance(found, dict):
        raise Refused("it is no group")
    return found


def filled(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    """What `parse` found, with its arrays in place."""
    if isinstance(tree, dict) and "array" in tree:
        return arrays[str(tree["array"])]
    if isinstance(tree, dict):
        return {name: filled(part, arrays) for name, part in tree["group"].items()}
    return tree


def parse(content: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    """The tree and the arrays of a file, in this process.

    Raises
    ------
    Refused
        If something in it is neither numbers nor text, or claims to be too large.
    """
    import h5py  # here, since the parent process needs none of it

    arrays: dict[str, np.ndarray] = {}
    total = 0

    def read(item: Any, depth: int) -> Any:
        nonlocal total
        if depth > DEEPEST:
            raise Refused(f"groups must be nested at most {DEEPEST} deep")
        if isinstance(item, h5py.Group):
            return {"group": {name: read(part, depth + 1) for name, part in item.items()}}
        if item.shape is None:
            raise Refused(f"{item.name!r} must hold numbers or text, not nothing")
        total += int(np.prod(item.shape, dtype=object)) * item.dtype.itemsize
        if total > LARGEST_BYTES:
            raise Refused(
                f"arrays must hold at most {LARGEST_BYTES >> 30} GiB in all, and {item.name!r} of "
                f"shape {item.shape} is beyond that"
            )
        value = item[()]
        if isinstance(value, bytes):
            return value.decode("utf8")
        value = np.asarray(value)
        if value.dtype.kind in "OS":
            return [[_text(cell) for cell in np.atleast_1d(row)] for row in np.atleast_1d(value)]
        if value.dtype.kind not in "iufb":
            raise Refused(f"{item.name!r} must hold numbers or text, not {value.dtype}")
        arrays[str(len(arrays))] = value
        return {"array": len(arrays) - 1}

    with h5py.File(io.BytesIO(content), "r") as file:
        return read(file, 0), arrays


def _text(value: Any) -> str:
    if not isinstance(value, bytes | str):
        raise Refused(f"an array must hold numbers or text, not {type(value).__name__}")
    return value.decode("utf8") if isinstance(value, bytes) else str(value)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _main() -> None:
    _limit_memory()
    arrays: dict[str, np.ndarray] = {}
    try:
        tree, arrays = parse(sys.stdin.buffer.read())
        answer = {"tree": tree}
    except Exception as error:  # damaged bytes break HDF5 and its reader in any way they can
        text = (str(error) or type(error).__name__).strip("'\"").splitlines()[0]
        answer = {"error": text[:200] if isinstance(error, Refused) else text[:100]}
    encoded = np.frombuffer(json.dumps(answer).encode(), dtype=np.uint8)
    np.savez(sys.stdout.buffer, tree=encoded, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    _main()
