"""Walks an exported, functional graph node by node and builds the layers of `graph`."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg

from neurocuda_hw.conversion.frames import FrameValues, reduce_frames
from neurocuda_hw.conversion.graph import Graph
from neurocuda_hw.conversion.ops import HANDLERS, NO_SEQUENCE, SUPPORTED, WAY_OUT
from neurocuda_hw.conversion.reading import Reading, operation, stack_of
from neurocuda_hw.conversion.temporal import Reduce
from neurocuda_hw.conversion.value import CannotCompose, Mask, Value
from neurocuda_hw.ground.errors import ModelError, UnsupportedLayerError
from neurocuda_hw.linear.maps import Kind
from neurocuda_hw.linear.steps import image_shape

_BATCH = object()  # a size that depends on the batch; shapes are read from the graph instead

_SEQUENCES = ("MultiheadAttention", "LSTM", "GRU", "RNN")


class Walker(Reading):
    """Turns one functional exported program into a `Graph`."""

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__(list(program.graph.nodes))
        self.program = program
        self.values: dict[Node, Any] = {}

    def graph(self, parameters: dict[str, torch.Tensor]) -> Graph:
        """Walks; `parameters` are the model's tensors by placeholder name, in float64."""
        output = next(n for n in self.program.graph.nodes if n.op == "output")
        needed = _ancestors(output)
        for node in self.program.graph.nodes:
            if node not in needed or node is output:
                continue
            if node.op == "placeholder":
                self.values[node] = (
                    parameters[node.name] if node.name in parameters else self._input(node)
                )
            else:
                self.values[node] = self._call(node)
        last = output.args[0][0]
        if not isinstance(last, Node) or not isinstance(self.values.get(last), Value):
            raise ModelError("the model's output must depend on its input")
        self._finish(last, self.values[last])
        return Graph(
            input_shape=self.shapes[0],
            layers=tuple(self.layers),
            notes=tuple(self.notes),
            frames=self.frames,
            final=self.final,
        )

    def _input(self, node: Node) -> Value | FrameValues:
        shape = self.static(node)
        if len(shape) not in (1, 2, 3, 4):
            raise ModelError(
                f"the model's input must have the shape (B, N), (B, C, L), (B, C, H, W) or "
                f"(B, T, C, H, W), not (B, {', '.join(map(str, shape))})"
            )
        recording = len(shape) == 4
        self.shapes.append(image_shape(shape[1:] if recording else shape))
        if recording:
            return FrameValues(steps=shape[0], shape=shape[1:])
        return self.source(0, shape)

    def _call(self, node: Node) -> Any:
        known: Any = map_arg((node.args, node.kwargs), self.values.__getitem__)
        arguments, options = known
        if node.target is operator.getitem:
            return arguments[0][arguments[1]]
        flat = list(_flatten([*arguments, *options.values()]))
        target: Any = node.target
        if not any(isinstance(a, Value | FrameValues | Mask) for a in flat):
            # arithmetic among parameters (a weight that is itself computed), or sizes of the batch
            return target(*arguments, **options) if _all_known(flat) else _BATCH
        name = operation(node)
        if name == "aten.sym_size":
            return _BATCH
        recorded = any(isinstance(a, FrameValues) for a in flat)
        handler = HANDLERS.get(name)
        if handler is None and not recorded:
            raise self._unsupported(node, WAY_OUT.get(name, SUPPORTED))
        try:
            if recorded:
                value = reduce_frames(self, node, name, arguments)
            else:
                assert handler is not None
                value = handler(self, node, *arguments, **options)
        except CannotCompose as error:
            raise self._unsupported(node, str(error)) from error
        if isinstance(value, Value):
            shape, found = self.static(node), value.shape
            if found not in (shape, (1, *shape)):  # a parameter (1, C, 1, 1) brings a batch axis
                raise self._unsupported(node, f"it gives {shape} where its parts give {found}")
            return value.reshaped(shape)
        return value

    def _unsupported(self, node: Node, way_out: str) -> UnsupportedLayerError:
        for path, kind in stack_of(node):
            if kind in _SEQUENCES:  # by its own name, not that of an operation within
                return UnsupportedLayerError(path=path, kind=kind, way_out=NO_SEQUENCE)
        return UnsupportedLayerError(path=self.path(node), kind=self.kind(node), way_out=way_out)

    def _finish(self, node: Node, value: Value) -> None:
        """The output: a readout, unless the model ends in an activation."""
        each = self.frames is not None and self.frames.reduce is Reduce.EACH
        if each and not self.averaged:
            raise ModelError(
                "the model must average its answers to the frames: "
                "y.unflatten(0, (-1, frames)).mean(1)"
            )
        if not value.shape:  # (B,): one output
            value = value.reshaped((1,))
        last = len(self.layers)
        ends_in_spikes = (
            last > 0
            and len(value.terms) == 1
            and value.terms[0].source == last
            and value.terms[0].kind is Kind.GAIN
            and value.terms[0].pool is None
            and not value.terms[0].later
            and bool((value.terms[0].weight == 1).all())
            and not bool(value.constant.any())
        )
        if not ends_in_spikes:
            self.layer(value.path or "readout", value, spiking=False)


def _ancestors(output: Node) -> set[Node]:
    found, left = {output}, [output]
    while left:
        for node in left.pop().all_input_nodes:
            if node not in found:
                found.add(node)
                left.append(node)
    return found


def _flatten(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flatten(value)
        else:
            yield value


def _all_known(values: list[Any]) -> bool:
    return not any(v is _BATCH for v in values)
