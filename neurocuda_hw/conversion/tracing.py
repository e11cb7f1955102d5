"""A model of the user's before it is read: that it can be evaluated, and traced by torch.fx."""

from __future__ import annotations

import copy
import keyword
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Graph, Tracer

from neurocuda_hw.ground.errors import ModelError, first_line


def unwrapped(model: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The model itself, on the CPU in `dtype`: without what runs it in parallel or compiled.

    Raises
    ------
    ModelError
        If it is TorchScript, or holds no values.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            "the model must be a plain torch.nn.Module, not TorchScript, which cannot be read: "
            "give the module that it was made from, or what torch.export.export makes of that"
        )
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrapped(model.module, dtype)
    if isinstance(getattr(model, "_orig_mod", None), nn.Module):  # of torch.compile
        return unwrapped(model._orig_mod, dtype)  # type: ignore[arg-type]
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    empty = [name for name, tensor in tensors.items() if tensor.is_meta]
    if empty:
        raise ModelError(
            f"parameter {empty[0]!r} must hold values, but it is on the meta device; load the "
            "weights (model.to_empty(device='cpu'), then load_state_dict)"
        )
    floats = [t for t in tensors.values() if t.is_floating_point()]
    if all(t.device.type == "cpu" for t in tensors.values()) and all(
        t.dtype is dtype for t in floats
    ):
        return model
    return copy.deepcopy(model).cpu().to(dtype)


def check_evaluating(model: nn.Module, what: str = "model") -> None:
    """Refuses a model of which any part is in training mode; `what` it is goes into the message."""
    training = [name or what for name, module in model.named_modules() if module.training]
    if training:
        raise ModelError(
            f"the {what} must be in evaluation mode, but {training[0]!r} is in training mode; "
            f"call {what}.eval() first"
        )


def check_names(names: Iterable[str]) -> None:
    """Refuses names that torch cannot write into the code that it makes of a graph."""
    for name in names:
        odd = not name.isprintable() or any(sign in name for sign in '"\\')
        if odd or any(keyword.iskeyword(part) for part in name.split(".")):
            raise ModelError(
                "a layer's name must be printable, without double quotes and backslashes, and no "
                f"word of Python's own, not {name!r}; give it another one and export it again"
            )


def module_of(program: ExportedProgram) -> nn.Module:
    """The module of an exported program, which torch writes as code: with names that it can."""
    check_names([*program.state_dict, *program.constants, *(n.name for n in program.graph.nodes)])
    return program.module()


def check_forward(model: nn.Module, example: torch.Tensor) -> None:
    """Runs the model once, so that a wrong input shape is told with the layer that refuses it."""
    inside: list[str] = []
    handles = []
    for name, module in model.named_modules():
        handles.append(
            module.register_forward_pre_hook(
                lambda *_, n=name, m=module: inside.append(_title(n, m))
            )
        )
        handles.append(module.register_forward_hook(lambda *_: inside.pop() and None))
    try:
        with quiet(), torch.no_grad():
            model(example[:2])
    except Exception as error:  # whatever the user's own code raises
        raise ModelError(
            f"the model does not take inputs of the shape {tuple(example.shape[1:])}: "
            f"{inside[-1] if inside else 'model'} says: {first_line(error)}{_hint(example)}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()


def _hint(example: torch.Tensor) -> str:
    if example.ndim != 5:
        return ""
    return "; if it takes single frames, say frames='sum', 'mean' or 'each'"


def _title(name: str, module: nn.Module) -> str:
    return f"layer {name!r} ({type(module).__name__})" if name else type(module).__name__


def trace(model: nn.Module, tracer: Tracer) -> Graph:
    """The operations of `model` as torch.fx sees them; a ModelError where it cannot."""
    check_names(names_of(model))
    try:
        return tracer.trace(model)
    except Exception as error:  # torch.fx raises what the user's own code raises, and its own
        raise ModelError(
            f"the model cannot be traced by torch.fx ({first_line(error)}); remove control flow "
            "that depends on the data"
        ) from error


def names_of(model: nn.Module) -> list[str]:
    """Of its modules, parameters and buffers, as they stand in a traced graph."""
    kinds = (model.named_modules(), model.named_parameters(), model.named_buffers())
    return [name for kind in kinds for name, _ in kind]


@contextmanager
def quiet() -> Iterator[None]:
    """torch.export warns about its own internals; a user can do nothing about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
