"""Saves and loads networks: a ``.pt`` of plain values and tensors, loaded without running code."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neurocuda_hw.ground.archives import TooLarge, open_zip
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.files import read_file, write_file
from neurocuda_hw.ground.fixed import narrow
from neurocuda_hw.network import network as _network
from neurocuda_hw.network import neurons as _neurons
from neurocuda_hw.network import synapses as _synapses
from neurocuda_hw.network.network import SCHEMA_VERSION, Network, as_network

FORMAT = "neurocuda_hw.network"
_CLASSES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(_network.Network, _network.Population, _network.Projection),
        *(*_neurons.KINDS, _neurons.Window, *_synapses.KINDS, _synapses.SumPool),
    )
}
_ENUMS: dict[str, type[Enum]] = {"Reset": _neurons.Reset, "Encoding": _neurons.Encoding}


class PickledError(ModelError):
    """A file holds more than plain values and tensors."""


def save(model: object, path: str | Path, told: Mapping[str, Any] | None = None) -> None:
    """Writes a Network, or that of a SpikingNetwork, to `path`: whole or not at all.

    Only the integers are written; `SpikingNetwork(load(path))` computes with them again. Beside
    them may stand what is `told` of them, plain words and numbers by name (see `read_told`).

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    network = as_network(model)
    content = {
        "format": FORMAT,
        "version": SCHEMA_VERSION,
        "hash": network.hash,
        "network": _plain(network),
    }
    if told:
        content["told"] = dict(told)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_file(path, buffer.getvalue())


def load(path: str | Path) -> Network:
    """Reads what `save` wrote; never runs code from the file.

    Raises
    ------
    ModelError
        If the file is truncated, of another kind or version, or has been altered.
    DataError
        If there is no such file.
    """
    content = load_plain(path)
    if not is_network_file(content):
        raise ModelError(
            f"{str(path)!r} is no neurocuda_hw network; make one with "
            "'nchw convert MODEL --data DATA -o FILE'"
        )
    if content["version"] != SCHEMA_VERSION:
        raise ModelError(
            f"{str(path)!r} must be of schema version {SCHEMA_VERSION}, not "
            f"{content['version']!r}; convert the model again"
        )
    try:
        network = _rebuild(content["network"])
        damaged = not isinstance(network, Network) or network.hash != content["hash"]
    except Exception as error:  # altered values break the classes in any way they can
        raise ModelError(f"{str(path)!r} is damaged: {error}") from error
    if damaged:
        raise ModelError(f"{str(path)!r} is damaged: its content does not match its hash")
    assert isinstance(network, Network)
    return network


def read_told(path: str | Path) -> dict[str, str | float | None]:
    """What `save` was told beside the network: words and numbers by name; none of other files.

    Raises
    ------
    ModelError, DataError
        As `load`.
    """
    content = load_plain(path)
    told = content.get("told") if is_network_file(content) else None
    if not isinstance(told, dict):
        return {}
    return {
        str(name): value
        for name, value in told.items()
        if value is None or isinstance(value, (str, bool, int, float))
    }


def load_plain(path: str | Path) -> Any:
    """The plain values and tensors of a ``.pt``: a network, or the state_dict of a model.

    Raises
    ------
    ModelError
        If it is truncated, altered, or holds pickled objects (which could run code).
    DataError
        If there is no such file.
    """
    content = read_file(path, "model")
    if content.startswith(b"\x89HDF"):
        raise ModelError(
            f"{str(path)!r} must be a PyTorch file, not HDF5; NIR graphs are for 'nchw build' and "
            "'nchw inspect'"
        )
    if not content.startswith((b"PK", b"\x80")):
        raise ModelError(f"{str(path)!r} must be a PyTorch file, not something else or empty")
    try:
        if content.startswith(b"PK"):
            with open_zip(content) as archive:
                if archive.testzip() is not None:
                    raise zipfile.BadZipFile("a checksum is wrong")
                names = archive.namelist()
            if not any(name.endswith("/data.pkl") for name in names):
                raise ModelError(
                    f"{str(path)!r} must hold tensors, not a torch.export program or something "
                    "else; 'nchw convert' makes a network of a program"
                )
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PickledError(
            f"{str(path)!r} holds pickled objects, which could run code; save a state_dict or a "
            "torch.export program instead"
        ) from error
    except ModelError:
        raise
    except TooLarge as error:
        raise ModelError(f"{str(path)!r} is too large: {error}") from error
    except Exception as error:  # damaged bytes break the readers in any way they can
        raise ModelError(
            f"{str(path)!r} is truncated or damaged; write or copy it again"
        ) from error


def is_network_file(content: object) -> bool:
    """Whether loaded `content` is what `save` writes (of any version)."""
    return (
        isinstance(content, dict)
        and content.get("format") == FORMAT
        and {"version", "hash", "network"} <= content.keys()
    )


def _plain(value: Any) -> Any:
    """Dataclasses, enums and arrays as dicts, strings and tensors."""
    kind = type(value).__name__
    if kind in _CLASSES:
        return {"kind": kind, **{f.name: _plain(getattr(value, f.name)) for f in fields(value)}}
    if kind in _ENUMS:
        return {"kind": kind, "value": value.value}
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy() if value.dtype.kind == "f" else narrow(value))
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


def _rebuild(value: Any) -> Any:
    """The inverse of `_plain`."""
    if isinstance(value, dict):
        kind = value["kind"]
        if kind in _ENUMS:
            return _ENUMS[kind](value["value"])
        return _CLASSES[kind](**{k: _rebuild(v) for k, v in value.items() if k != "kind"})
    if isinstance(value, torch.Tensor):
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ValueError("a tensor claims more values than it holds")
        array = value.numpy()
        return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.int64)
    if isinstance(value, list):
        return tuple(_rebuild(part) for part in value)
    return value
