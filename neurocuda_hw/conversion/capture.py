"""Reads a trained classifier through torch.export into a `Graph`; what it cannot read, it names.

The exported program is functional (no in-place operation, no alias), so functional code, reused
modules, ``+=`` and lambdas all look alike. Each value is a sum of linear maps of earlier
activations and a constant; each activation function ends such a sum and starts a new layer.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from neurocuda_hw.conversion.graph import Graph, evaluate
from neurocuda_hw.conversion.modules import lonely_neuron
from neurocuda_hw.conversion.reading import operation
from neurocuda_hw.conversion.temporal import Frames
from neurocuda_hw.conversion.tracing import (
    check_evaluating,
    check_forward,
    check_names,
    module_of,
    names_of,
    quiet,
    unwrapped,
)
from neurocuda_hw.conversion.walk import Walker
from neurocuda_hw.ground.errors import DataError, ModelError, UnsupportedLayerError, first_line

# the largest relative difference that float rounding makes between the model and its layers
_TOLERANCE = 1e-3


def capture(
    model: nn.Module | ExportedProgram, example: torch.Tensor, frames: Frames | None = None
) -> Graph:
    """The layers of `model`.

    Parameters
    ----------
    model : torch.nn.Module or torch.export.ExportedProgram
        In evaluation mode; takes one batch of inputs, gives one batch of outputs ``(B, N)``.
    example : float tensor (B, *shape)
        A few real inputs: the model is run on them, and so are the layers, and both must agree.
        ``(B, T, *shape)`` for recordings.
    frames : Frames, optional
        Examples are recordings, and the model takes single frames: their sum, their mean, or each.
        None where the model takes the examples as they are.

    Raises
    ------
    ModelError
        If the model is in training mode, does not take such inputs, holds NaN or infinite weights,
        has no activation function, or depends on its data in a way that cannot be followed.
    UnsupportedLayerError
        For a layer that has no integer spiking equivalent; it names the layer and the way out.
    """
    if not torch.isfinite(example).all():
        raise DataError("inputs must be finite, not NaN or infinite")
    if frames is not None:
        example = frames.enter(example)
    program = model if isinstance(model, ExportedProgram) else _export(model, example)
    _check_evaluation_mode(program)
    example = _fit_batch(program, example)
    with quiet():
        wanted = _run(program, example)
        functional = program.run_decompositions({})
    graph = replace(
        Walker(functional).graph(_parameters(functional)),
        weights=sum(t.numel() for t in program.parameters() if t.ndim > 1),
    )
    if not any(layer.spiking for layer in graph.layers):
        raise ModelError(
            "the model must have an activation function (ReLU) between its layers: it has none"
        )
    if any(layer.staircase is not None for layer in graph.layers):
        with quiet():
            wanted = _run(program, example, double=True)  # rounding must not choose another step
    got = evaluate(graph, example.double())[-1].reshape(wanted.shape)
    if graph.final == "softmax":  # it stays outside of the layers
        got = got.log_softmax(1)
        wanted = wanted.log() if float(wanted.max()) > 0 else wanted
    elif graph.final == "sigmoid":
        got = got.sigmoid()
    error = float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6))
    if not error <= _TOLERANCE:
        raise ModelError(
            "the model must compute what its exported layers compute; its outputs differ by "
            f"{error:.1e} of the largest"
        )
    return graph if frames is None else replace(graph, frames=frames)


def _export(model: nn.Module, example: torch.Tensor) -> ExportedProgram:
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module or an ExportedProgram, not {type(model).__name__}"
        )
    neuron = lonely_neuron(model)
    if neuron is not None:
        way_out = "put the model into OverTime, which says how it sees time"
        raise UnsupportedLayerError(path=neuron[0], kind=neuron[1], way_out=way_out)
    model = unwrapped(model, example.dtype)
    check_evaluating(model)
    check_names(names_of(model))
    check_forward(model, example)
    pair = example[:2] if len(example) > 1 else example.repeat(2, *[1] * (example.ndim - 1))
    try:
        with quiet(), torch.no_grad():
            return torch.export.export(model, (pair,), dynamic_shapes=({0: Dim.AUTO},))
    except Exception as error:  # torch.export raises a dozen kinds, some of them private
        raise ModelError(
            f"the model cannot be traced by torch.export ({first_line(error)}); remove control "
            "flow that depends on the data"
        ) from error


def _check_evaluation_mode(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        name = operation(node).removesuffix("_")
        arguments = dict(enumerate(node.args))
        norm = name in ("aten.batch_norm", "aten._native_batch_norm_legit_functional")
        if norm and arguments.get(3) is None:
            raise ModelError(
                f"batch normalisation at {node.name!r} keeps no statistics, so that its answers "
                "depend on the batch; train with track_running_stats=True"
            )
        drops = name in ("aten.dropout", "aten.feature_dropout", "aten.native_dropout")
        if drops and arguments.get(1) and arguments.get(2):
            raise ModelError(
                f"dropout at {node.name!r} is in training mode; call model.eval() before "
                "torch.export.export, and use nn.Dropout, or F.dropout with "
                "training=self.training: left out, it means True"
            )
        if norm and (arguments.get(5) or "functional" in name):
            raise ModelError(
                f"the model must be exported in evaluation mode, but {node.name!r} is in training "
                "mode; call model.eval() before torch.export.export"
            )


def _fit_batch(program: ExportedProgram, example: torch.Tensor) -> torch.Tensor:
    """As many examples as the program was exported for, if it was for a fixed number."""
    inputs = program.graph_signature.user_inputs
    if len(inputs) != 1 or len(program.graph_signature.user_outputs) != 1:
        raise ModelError(
            f"the model must have one input and one output, not {len(inputs)} and "
            f"{len(program.graph_signature.user_outputs)}; put it into a module that has"
        )
    node = next(n for n in program.graph.nodes if n.name == inputs[0])
    shape = node.meta["val"].shape
    if tuple(shape[1:]) != tuple(example.shape[1:]):
        raise ModelError(
            f"the model was exported for inputs of the shape {tuple(shape[1:])}, not "
            f"{tuple(example.shape[1:])}"
        )
    if str(shape[0]).isdigit():  # a symbol, unless the model looks at the size of its batch
        count = int(str(shape[0]))
        return example.repeat(-(-count // len(example)), *[1] * (example.ndim - 1))[:count]
    return example[:8] if len(example) > 1 else example.repeat(2, *[1] * (example.ndim - 1))


def _run(program: ExportedProgram, example: torch.Tensor, *, double: bool = False) -> torch.Tensor:
    module = module_of(program)
    with torch.no_grad():
        output = copy.deepcopy(module).double()(example.double()) if double else module(example)
    if not isinstance(output, torch.Tensor):
        raise ModelError(
            f"the model must give one tensor, not {type(output).__name__}; put it into a module "
            "that gives the one that counts, such as its logits"
        )
    if not torch.isfinite(output).all():
        _parameters(program)  # names the parameter, if one is the cause
        raise ModelError("the model's outputs must be finite, not NaN or infinite")
    return output.double()


def _parameters(program: ExportedProgram) -> dict[str, torch.Tensor]:
    """Every tensor that is part of the model, by its name in the program, in float64."""
    found: dict[str, torch.Tensor] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT or spec.target is None:
            continue
        tensor = program.state_dict.get(spec.target, program.constants.get(spec.target))
        if not isinstance(tensor, torch.Tensor):
            raise ModelError(f"the model holds {spec.target!r}, which is not a tensor")
        if tensor.is_floating_point():
            tensor = tensor.detach().double()
            bad = int((~torch.isfinite(tensor)).sum())
            if bad:
                raise ModelError(
                    f"parameter {spec.target!r} must be finite, but {bad} of its "
                    f"{tensor.numel()} values are NaN or infinite"
                )
        name: Any = spec.arg
        found[name.name] = tensor
    return found
