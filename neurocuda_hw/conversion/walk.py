"""Walks an exported, functional graph node by node and builds the layers of `graph`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from neurocuda_hw.conversion import compose
from neurocuda_hw.conversion.compose import CannotCompose
from neurocuda_hw.conversion.graph import (
    Graph,
    Kind,
    Layer,
    Original,
    Rule,
    Shape,
    Staircase,
    Term,
)
from neurocuda_hw.conversion.ops import HANDLERS, SUPPORTED, WAY_OUT
from neurocuda_hw.conversion.recording import Recording, reduce_frames
from neurocuda_hw.conversion.temporal import Frames, Reduce
from neurocuda_hw.conversion.value import Value, image_shape
from neurocuda_hw.ground.errors import ModelError, UnsupportedLayerError

_BATCH = object()  # a size that depends on the batch; shapes are read from the graph instead


class Walker:
    """Turns one functional exported program into a `Graph`."""

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        self.layers: list[Layer] = []
        self.shapes: list[Shape] = []
        self.values: dict[Node, Any] = {}
        self.notes: list[str] = []
        self.softmax = False
        self.frames: Frames | None = None
        self.averaged = False
        self.places = {node: place for place, node in enumerate(program.graph.nodes)}

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
            softmax=self.softmax,
        )

    def _input(self, node: Node) -> Value | Recording:
        shape = self.static(node)
        if len(shape) not in (1, 2, 3, 4):
            raise ModelError(
                f"the model's input must have the shape (B, N), (B, C, L), (B, C, H, W) or "
                f"(B, T, C, H, W), not (B, {', '.join(map(str, shape))})"
            )
        recording = len(shape) == 4
        self.shapes.append(image_shape(shape[1:] if recording else shape))
        if recording:
            return Recording(steps=shape[0], shape=shape[1:])
        return self._first(shape)

    def enter(self, frames: Frames) -> Value:
        """The input, once it is known what the model makes of its frames."""
        if self.frames not in (None, frames):
            raise CannotCompose("a model must reduce the frames of its input in one way only")
        self.frames = frames
        return self._first(self.shapes[0])

    def _first(self, shape: Shape) -> Value:
        return Value(
            terms=(compose.identity(0, self.shapes[0]),),
            constant=torch.zeros(shape, dtype=torch.float64),
            shape=shape,
        )

    def _call(self, node: Node) -> Any:
        arguments = [self._argument(a) for a in node.args]
        options = {k: self._argument(a) for k, a in node.kwargs.items()}
        if node.target is operator.getitem:
            return arguments[0][arguments[1]]
        flat = list(_flatten([*arguments, *options.values()]))
        target: Any = node.target
        if not any(isinstance(a, Value | Recording) for a in flat):
            # arithmetic among parameters (a weight that is itself computed), or sizes of the batch
            return target(*arguments, **options) if _all_known(flat) else _BATCH
        name = _operation(node)
        if name == "aten.sym_size":
            return _BATCH
        recorded = any(isinstance(a, Recording) for a in flat)
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
            shape, found = self.static(node), tuple(value.constant.shape)
            if found not in (shape, (1, *shape)):  # a parameter (1, C, 1, 1) brings a batch axis
                raise self._unsupported(node, f"it gives {shape} where its parts give {found}")
            return replace(value, constant=value.constant.reshape(shape), shape=shape)
        return value

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, Node):
            return self.values[argument]
        if isinstance(argument, (list, tuple)):
            return [self._argument(a) for a in argument]
        return argument

    def _unsupported(self, node: Node, way_out: str) -> UnsupportedLayerError:
        return UnsupportedLayerError(path=self.path(node), kind=_place(node)[1], way_out=way_out)

    # ---- what the handlers share

    def target(self, term: Term) -> Shape:
        """Shape of what a term delivers."""
        return term.target(self.shapes[term.source])

    def static(self, node: Node) -> Shape:
        """Shape of a node's value without the batch."""
        shape = tuple(node.meta["val"].shape)[1:]
        if not all(isinstance(n, int) for n in shape):
            raise ModelError(f"the shape at {node.name!r} must not depend on the data: {shape}")
        return shape

    def static_first(self, node: Node) -> Shape:
        """`static`, of the first value where the node gives several."""
        value = node.meta["val"]
        if not isinstance(value, tuple | list):
            return self.static(node)
        return tuple(int(n) for n in value[0].shape[1:])

    def kind(self, node: Node) -> str:
        """What a node is: its module's class, or the operation."""
        return _place(node)[1]

    def path(self, node: Node) -> str:
        """Where in the model a node comes from; its own name where that is the outermost module."""
        return _place(node)[0] or node.name

    def order(self, node: Node) -> int:
        """The node's place in the graph."""
        return self.places[node]

    def activation(
        self,
        node: Node,
        value: Value,
        cap: float | None = None,
        original: Original | None = None,
        rule: Rule | None = None,
        staircase: Staircase | None = None,
    ) -> Value:
        """Ends a sum: a new layer."""
        if self.averaged:
            raise CannotCompose("nothing but linear layers may follow the mean of the answers")
        plain = all(special is None for special in (cap, original, rule, staircase))
        if plain and self._never_negative(value):
            return value
        path = value.path or self.path(node)
        self._layer(
            path,
            value,
            spiking=True,
            cap=cap,
            original=original,
            rule=rule,
            staircase=staircase,
        )
        source = len(self.layers)
        term = compose.identity(source, self.shapes[source])
        own = self.layers[-1].rule
        if own is not None:  # a spike counts as its threshold within, and as 1 in the model
            worth = own.threshold.reshape(-1, *[1] * (len(self.shapes[source]) - 1))
            gain = (1 / worth).expand(self.shapes[source])
            term = compose.gain_after(term, gain, self.shapes[source])
        return Value(
            terms=(term,),
            constant=torch.zeros(value.shape, dtype=torch.float64),
            shape=value.shape,
        )

    def maximum(self, node: Node, term: Term) -> int:
        """A new layer of the largest activation of each window of `term`; its source number."""
        path = self.path(node)
        shape = term.target(self.shapes[term.source])
        self.layers.append(
            Layer(
                name=self._name(path),
                path=path,
                shape=shape,
                terms=(term,),
                bias=torch.zeros(shape[0], dtype=torch.float64),
                spiking=True,
                maximum=True,
            )
        )
        self.shapes.append(shape)
        return len(self.layers)

    def _never_negative(self, value: Value) -> bool:
        """Whether a ReLU changes nothing: sums of spikes with factors of at least 0."""
        return bool(
            value.terms
            and all(self._is_clipped(t.source) for t in value.terms)
            and all(float(t.weight.min()) >= 0 for t in value.terms)
            and float(value.constant.min()) >= 0
        )

    def _is_clipped(self, source: int) -> bool:
        """Whether a source is never negative in the trained model."""
        if source == 0:
            return False
        layer = self.layers[source - 1]
        if layer.maximum:
            return self._is_clipped(layer.terms[0].source)
        return layer.original is None

    def _layer(
        self,
        path: str,
        value: Value,
        *,
        spiking: bool,
        cap: float | None = None,
        original: Original | None = None,
        rule: Rule | None = None,
        staircase: Staircase | None = None,
    ) -> None:
        terms = compose.merge(list(value.terms))
        if not terms:
            raise ModelError(f"layer {path!r} must depend on the input")
        shape = image_shape(value.shape)
        fixed = {self.target(t) for t in terms if t.kind is not Kind.MATRIX}
        if len(shape) == 1 and len(fixed) == 1:
            shape = fixed.pop()
        elif fixed - {shape}:
            raise UnsupportedLayerError(
                path=path, kind="sum", way_out=f"its parts must all have the shape {shape}"
            )
        finished = []
        for term in terms:
            weight = term.weight
            if term.kind is Kind.GAIN:
                channels = compose.uniform(weight)
                if channels is None:
                    raise UnsupportedLayerError(
                        path=path,
                        kind="skip connection",
                        way_out="its factors must be the same for all neurons of a channel",
                    )
                weight = channels
            finished.append(replace(term, weight=weight.contiguous()))
        bias = value.constant.reshape(shape)
        channels = compose.uniform(bias)
        wide = None if rule is None else rule.spread(shape[0])
        stairs = None if staircase is None else staircase.spread(shape[0])
        for kind, what, given, spread in (
            ("neuron", "threshold and decay", rule, wide),
            ("QCFS", "clip value", staircase, stairs),
        ):
            if given is not None and spread is None:
                way_out = f"it must have one {what}, or {shape[0]}: one per channel"
                raise UnsupportedLayerError(path=path, kind=kind, way_out=way_out)
        self.layers.append(
            Layer(
                name=self._name(path),
                path=path,
                shape=shape,
                terms=tuple(finished),
                bias=bias.contiguous() if channels is None else channels,
                spiking=spiking,
                cap=cap,
                original=original,
                rule=wide,
                staircase=stairs,
            )
        )
        self.shapes.append(shape)

    def _name(self, path: str) -> str:
        """The layer's path as a population name: lower case, unique."""
        name = re.sub(r"[^a-z0-9]+", "_", path.lower()).strip("_") or "layer"
        name = (name if name[0].isalpha() else f"layer{name}")[:56]
        taken = {"input", *(layer.name for layer in self.layers)}
        unique = name
        count = 2
        while unique in taken:
            unique, count = f"{name}_{count}", count + 1
        return unique

    def _finish(self, node: Node, value: Value) -> None:
        """The output: a readout, unless the model ends in an activation."""
        each = self.frames is not None and self.frames.reduce is Reduce.EACH
        if each and not self.averaged:
            raise ModelError(
                "the model must average its answers to the frames: "
                "y.unflatten(0, (-1, frames)).mean(1)"
            )
        if len(value.shape) != 1 and math.prod(value.shape) != max(value.shape):
            raise ModelError(
                f"the model's output must have the shape (B, classes), not (B, "
                f"{', '.join(map(str, value.shape))})"
            )
        last = len(self.layers)
        ends_in_spikes = (
            last > 0
            and len(value.terms) == 1
            and value.terms[0].source == last
            and value.terms[0].kind is Kind.GAIN
            and value.terms[0].pool is None
            and bool((value.terms[0].weight == 1).all())
            and not bool(value.constant.any())
        )
        if not ends_in_spikes:
            self._layer(value.path or "readout", value, spiking=False)


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
    return any(isinstance(v, torch.Tensor) for v in values) and not any(v is _BATCH for v in values)


def _operation(node: Node) -> str:
    """``aten.conv2d`` for any overload of it."""
    return ".".join(str(node.target).split(".")[:2]) if node.op == "call_function" else node.op


def _place(node: Node) -> tuple[str, str]:
    """Where in the model a node comes from: the innermost module's path, and what it is."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = next(((p, k) for p, k in reversed(stack) if p), ("", ""))
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    leaf = kind.startswith("torch.nn.modules.") and ".container." not in kind
    return path, kind.rsplit(".", 1)[-1] if leaf else _operation(node).removeprefix("aten.")
