"""Saves and loads networks: a ``.pt`` of plain values and tensors, loaded without running code."""

from __future__ import annotations

import os
import pickle
import zipfile
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neurocuda_hw import network as _network
from neurocuda_hw import neurons as _neurons
from neurocuda_hw import synapses as _synapses
from neurocuda_hw.errors import ModelError, OutputError
from neurocuda_hw.fixed import narrow
from neurocuda_hw.network import SCHEMA_VERSION, Network

FORMAT = "neurocuda_hw.network"
_CLASSES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        _network.Network,
        _network.Population,
        _network.Projection,
        _neurons.Input,
        _neurons.IF,
        _neurons.LIF,
        _neurons.CubaLIF,
        _neurons.Readout,
        _neurons.Window,
        _synapses.Dense,
        _synapses.Conv2d,
        _synapses.Diagonal,
        _synapses.SumPool,
    )
}
_ENUMS: dict[str, type[Enum]] = {"Reset": _neurons.Reset, "Encoding": _neurons.Encoding}


def save(network: Network, path: str | Path) -> None:
    """Writes `network` to `path`, whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "version": SCHEMA_VERSION,
        "hash": network.hash,
        "network": _plain(network),
    }
    aside = Path(f"{path}.{os.getpid()}.part")
    try:
        try:
            torch.save(content, aside)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"cannot write {str(path)!r}: {error}") from error


def load(path: str | Path) -> Network:
    """Reads what `save` wrote; never runs code from the file.

    Raises
    ------
    ModelError
        If the file is missing, truncated, of another kind or version, or has been altered.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"there is no file {str(path)!r}") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{str(path)!r} holds pickled objects, which could run code: it is not a network that "
            "'nchw convert' wrote; convert the model first"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{str(path)!r} cannot be read, it may be truncated: {reason}") from error
    if not is_network_file(content):
        raise ModelError(
            f"{str(path)!r} is no neurocuda_hw network; make one with "
            f"'nchw convert MODEL -o {path}'"
        )
    if content["version"] != SCHEMA_VERSION:
        raise ModelError(
            f"{str(path)!r} must be of schema version {SCHEMA_VERSION}, not "
            f"{content['version']!r}; convert the model again"
        )
    try:
        network = _rebuild(content["network"])
        if not isinstance(network, Network):
            raise TypeError(f"a network must be a Network, not {type(network).__name__}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{str(path)!r} is damaged: {error}") from error
    if network.hash != content["hash"]:
        raise ModelError(f"{str(path)!r} is damaged: its content does not match its hash")
    return network


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
        array = value.numpy()
        return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.int64)
    if isinstance(value, list):
        return tuple(_rebuild(part) for part in value)
    return value
