"""Trained models from files: a torch.export program, a state_dict with its class, or a pickle.

Only the last may run code, and only where the caller says so. That takes more than
``weights_only=True``: `torch.export.load` itself falls back to unpickling, and a program's graph
may name any function within torch as an operator; `check_program` refuses both.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from neurocuda_hw.ground.archives import TooLarge, open_zip
from neurocuda_hw.ground.errors import DataError, ModelError, first_line
from neurocuda_hw.ground.files import read_file

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    Trained: TypeAlias = "nn.Module | ExportedProgram"

_MEMBER = re.compile(
    r"[^/]+/(archive_format|archive_version|byteorder|version|\.data/.+|extra/.+|models/model\.json"
    r"|data/sample_inputs/model\.pt|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json))"
)
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims)\.\w+(\.\w+)?|torch\.ops\.neurocuda_hw\.qcfs(\.default)?"
    r"|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)"
    r"|torch\.sym_\w+|_operator\.(add|sub|mul|floordiv|mod|neg|pow|eq|ne|lt|le|gt|ge|getitem)"
)
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+|.", re.DOTALL)
_SIZE_TOKEN = re.compile(
    r"[su]\d+|Symbol|Integer|positive|integer|nonnegative|True|False|Max|Min|Mod|FloorDiv|CeilDiv"
    r"|Add|Mul|ModularIndexing|PythonMod|\d+|[-+*/,=' ()]"
)
_PLAIN_TEXT = re.compile(r"[^();@\\\n]*")  # whatever PyTorch pastes into code cannot call anything
_WRAPPED = re.compile(r"^((module|_orig_mod)\.)+")  # of DataParallel and torch.compile
_FREE_TEXT = ("metadata", "torch_version")


def load_trained(
    path: str | Path, *, arch: str | None = None, unpickle: bool = False, option: str = "--arch"
) -> Trained:
    """Reads a trained model, in evaluation mode.

    Parameters
    ----------
    path : str or Path
        What `torch.export.save` or `torch.save` wrote.
    arch : str, optional
        ``module:Class`` of the model whose state_dict the file holds; it is called without
        arguments. The module is imported (from the working folder too), so its code runs.
    unpickle : bool
        Whether to read pickled objects, which runs whatever code their maker put in.
    option : str
        What messages call `arch`.

    Raises
    ------
    ModelError
        If the file is damaged, holds pickled objects, or does not fit `arch`.
    DataError
        If there is no such file, or `arch` is missing or cannot be imported.
    """
    content = read_file(path, "model")
    where = repr(str(path))
    if is_program(io.BytesIO(content)):
        return _load_program(content, where, trusted=unpickle)
    plain = _load_tensors(path, content, where, unpickle)
    return _from_plain(plain, where, arch, option)


def check_program(content: bytes, where: str) -> None:
    """Raises ModelError unless a torch.export archive holds tensors and known operators only."""
    way_out = "if you trust it, read it with --unpickle"
    with open_zip(content) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile("a checksum is wrong")
        names = archive.namelist()
        strange = [name for name in names if not _MEMBER.fullmatch(name)]
        strange += [name for name in names if [n.lower() for n in names].count(name.lower()) > 1]
        if strange:
            raise ModelError(
                f"{where} must be a program of tensors and operators that PyTorch 2.8 or newer "
                f"exported, not hold {strange[0]!r}; export it again or, {way_out}"
            )
        for name in (n for n in names if n.endswith(".pt")):
            open_zip(archive.read(name)).close()
        for name in (n for n in names if n.endswith("_config.json")):
            for entry in json.loads(archive.read(name))["config"].values():
                if entry["use_pickle"] or not re.fullmatch(r"\w+", entry["path_name"]):
                    raise ModelError(f"{where} holds pickled objects; {way_out}")
        model = json.loads(archive.read(next(n for n in names if n.endswith("/model.json"))))
        if model.pop("guards_code", None):
            raise ModelError(f"{where} holds code that guards its inputs; {way_out}")
        for kind, text in _texts(model):
            if not _is_harmless(kind, text):
                raise ModelError(
                    f"{where} holds {text[:60]!r}, which is no operator or size of a classifier; "
                    f"{way_out}"
                )


def _is_size(text: str) -> bool:
    """Whether sympy, which evaluates such a text as Python, finds only a size in it."""
    return all(_SIZE_TOKEN.fullmatch(token) for token in _TOKEN.findall(text))


def _is_harmless(kind: str, text: str) -> bool:
    """Whether a text under the key `kind` names an operator, a size, or calls nothing."""
    if kind == "expr_str":
        return _is_size(text)
    return bool((_OPERATOR if kind == "target" else _PLAIN_TEXT).fullmatch(text))


def _texts(value: Any, kind: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a program's JSON with the key it stands under, and every key."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield "", key
            if key not in _FREE_TEXT:
                yield from _texts(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, kind)
    elif isinstance(value, str):
        yield kind, value


def is_program(file: str | Path | IO[bytes]) -> bool:
    """Whether a file is a torch.export program, by the names in its archive."""
    try:
        with zipfile.ZipFile(file) as archive:  # which is only listed
            return not any(name.endswith("/data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _load_program(content: bytes, where: str, *, trusted: bool) -> ExportedProgram:
    import torch

    import neurocuda_hw.conversion.activation  # noqa: F401 - a program may hold its operator

    try:
        if not trusted:
            check_program(content, where)
        with _no_unpickling(trusted):
            return torch.export.load(io.BytesIO(content))
    except ModelError:
        raise
    except TooLarge as error:
        raise ModelError(f"{where} is too large: {error}") from error
    except Exception as error:  # damaged archives break the reader in any way they can
        raise ModelError(
            f"{where} cannot be read as a torch.export program ({first_line(error)}); it may be "
            "damaged, or from a newer PyTorch: export it again"
        ) from error


@contextmanager
def _no_unpickling(trusted: bool) -> Iterator[None]:
    """Makes torch.load refuse pickles wherever it is called, and its own log be silent."""
    name, before = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    if not trusted:
        os.environ[name] = "1"
    try:
        yield
    finally:
        logging.disable(disabled)
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def _load_tensors(path: str | Path, content: bytes, where: str, unpickle: bool) -> Any:
    from neurocuda_hw.network.model_file import PickledError, load_plain

    try:
        return load_plain(path)
    except PickledError as error:
        if not unpickle:
            raise ModelError(f"{error}, or read it with --unpickle if you trust it") from None
    import torch

    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
    except Exception as error:  # whatever the pickle's own code raises
        raise ModelError(
            f"{where} cannot be unpickled ({first_line(error)}); its classes must be importable "
            "from the working folder"
        ) from error


def _from_plain(plain: Any, where: str, arch: str | None, option: str) -> nn.Module:
    import torch
    from torch import nn

    from neurocuda_hw.network.model_file import is_network_file

    if isinstance(plain, nn.Module):
        return plain.eval()
    if is_network_file(plain):
        raise ModelError(f"{where} is a converted network already; go on with nchw build")
    if isinstance(plain, Mapping) and isinstance(plain.get("state_dict"), Mapping):
        plain = plain["state_dict"]  # as training scripts save it, beside the epoch
    if not isinstance(plain, Mapping) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in plain.items()
    ):
        raise ModelError(f"{where} must hold a model or its state_dict, not {type(plain).__name__}")
    if arch is None:
        raise DataError(
            f"{where} holds weights without their model; name its class with {option} module:Class"
        )
    model = _build(arch, option)
    state = {_WRAPPED.sub("", key): value for key, value in plain.items()}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:])
        raise ModelError(f"{where} must hold the weights of {arch}: {reason[:300]}") from error
    return model.eval()


def _build(arch: str, option: str) -> nn.Module:
    from torch import nn

    module_name, _, class_name = arch.partition(":")
    if not module_name or not class_name:
        raise DataError(f"{option} must be module:Class, such as models:MnistMLP, not {arch!r}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
        model = getattr(module, class_name)()
    except Exception as error:  # the user's own module runs here
        raise DataError(
            f"{option} must name a class that can be imported here and made without arguments, not "
            f"{arch!r}: {first_line(error)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise DataError(f"{option} must name a torch.nn.Module, not {arch!r}")
    return model
