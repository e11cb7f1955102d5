"""A graph of layers as it grows while a model is read: what all operations share."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from neurocuda_hw.conversion.graph import Layer, Term
from neurocuda_hw.conversion.temporal import Frames
from neurocuda_hw.conversion.value import CannotCompose, Value
from neurocuda_hw.ground.errors import ModelError, UnsupportedLayerError
from neurocuda_hw.linear.maps import LARGEST_MATRIX, Kind, identity, uniform
from neurocuda_hw.linear.steps import Gather, Reshape, Shape, image_shape, per_channel

# steps that make nothing negative of what is not
_KEEPING = (Reshape, Gather)


class Reading:
    """Layers so far, and what was noted on the way."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.layers: list[Layer] = []
        self.shapes: list[Shape] = []
        self.notes: list[str] = []
        self.final: str | None = None
        self.frames: Frames | None = None
        self.averaged = False
        self.places = {node: place for place, node in enumerate(nodes)}

    # ---- what a node is, and where

    def static(self, node: Node) -> Shape:
        """Shape of a node's value without the batch; of the first where it gives several."""
        value = node.meta["val"]
        value = value[0] if isinstance(value, tuple | list) else value
        shape = tuple(value.shape)[1:]
        if not all(isinstance(n, int) for n in shape):
            raise ModelError(f"the shape at {node.name!r} must not depend on the data: {shape}")
        return shape

    def kind(self, node: Node) -> str:
        """What a node is: its module's class, or the operation."""
        return _place(node)[1]

    def path(self, node: Node) -> str:
        """Where in the model a node comes from; its own name where that is the outermost module."""
        return _place(node)[0] or node.name

    def made(self, node: Node) -> dict[str, Any]:
        """Fields of a value that a layer of the model made."""
        return {"path": self.path(node), "order": self.places[node]}

    # ---- sources and layers

    def source(self, number: int, shape: Shape) -> Value:
        """A source (0 is the input, ``i`` is ``layers[i - 1]``) as a value of `shape`."""
        same = identity(self.shapes[number])
        term = Term(
            source=number, takes=same.takes, gives=same.gives, kind=same.kind, weight=same.weight
        )
        constant = torch.zeros(self.shapes[number], dtype=torch.float64)
        return Value(terms=(term,), constant=constant).reshaped(shape)

    def enter(self, frames: Frames) -> Value:
        """The input, once it is known what the model makes of its frames."""
        if self.frames not in (None, frames):
            raise CannotCompose("a model must reduce the frames of its input in one way only")
        self.frames = frames
        return self.source(0, self.shapes[0])

    def activation(self, node: Node, value: Value, **special: Any) -> Value:
        """Ends a sum: a new layer; `special` are its fields where it is no plain ReLU."""
        if self.averaged:
            raise CannotCompose("nothing but linear layers may follow the mean of the answers")
        others = [given for name, given in special.items() if name != "cap" and given is not None]
        if not others and self.never_negative(value) and self._capped(value, special.get("cap")):
            return value
        return self.population(node, value, **special)

    def population(self, node: Node, value: Value, **special: Any) -> Value:
        """A new layer of what is, or is made, never negative."""
        self.layer(value.path or self.path(node), value, spiking=True, **special)
        sent = self.source(len(self.layers), value.shape)
        rule = self.layers[-1].rule
        if rule is None:
            return sent
        # a spike counts as its threshold within, and as 1 in the model
        worth = per_channel(rule.threshold, len(self.shapes[-1])).expand(self.shapes[-1])
        return sent.scaled(1 / worth.reshape(value.shape))

    def maximum(self, node: Node, term: Term) -> int:
        """A new layer of the largest activation of each window of `term`; its source number."""
        path, shape = self.path(node), term.plain
        if term.kind is Kind.GAIN:
            term = replace(term, weight=torch.ones(shape[0], dtype=torch.float64))
        bias = torch.zeros(shape[0], dtype=torch.float64)
        self._append(path, shape, (term,), bias, spiking=True, maximum=True)
        return len(self.layers)

    def layer(self, path: str, value: Value, **fields: Any) -> None:
        """A new layer of the sum `value`."""
        terms = [self._single(path, term) for term in _merged(value.terms)]
        if not terms:
            raise ModelError(f"layer {path!r} must depend on the input")
        shape = image_shape(value.shape)
        fixed = {t.plain for t in terms if t.kind is not Kind.MATRIX}
        if len(shape) != 3 and len(fixed) == 1:
            shape = fixed.pop()
        elif len(shape) > 3:
            shape = (math.prod(shape),)
        finished = []
        for term in terms:
            weight = term.gains if term.kind is Kind.GAIN else term.weight
            if weight is None or (term.kind is not Kind.MATRIX and term.plain != shape):
                term = self._single(path, term.followed(Reshape(shape=value.shape)), matrix=True)
                weight = term.weight
            finished.append(replace(term, weight=weight.contiguous()))
        for name, kind, what in (
            ("rule", "neuron", "threshold and decay"),
            ("staircase", "QCFS", "clip value"),
        ):
            if fields.get(name) is not None:
                fields[name] = fields[name].spread(shape[0])
                if fields[name] is None:
                    way_out = f"it must have one {what}, or {shape[0]}: one per channel"
                    raise UnsupportedLayerError(path=path, kind=kind, way_out=way_out)
        bias = value.constant.reshape(shape)
        channels = uniform(bias)
        bias = bias.contiguous() if channels is None else channels
        self._append(path, shape, tuple(finished), bias, **fields)

    def _append(
        self, path: str, shape: Shape, terms: tuple[Term, ...], bias: torch.Tensor, **fields: Any
    ) -> None:
        self.layers.append(
            Layer(name=self._name(path), path=path, shape=shape, terms=terms, bias=bias, **fields)
        )
        self.shapes.append(shape)

    def _single(self, path: str, term: Term, *, matrix: bool = False) -> Term:
        """A term as one synapse; a note where that is a large matrix for a small map."""
        found = None if matrix and prod_of(term) > LARGEST_MATRIX else term.single()
        if found is None:
            raise UnsupportedLayerError(
                path=path,
                kind="linear map",
                way_out=f"what stands between {self._named(term.source)} and it is no convolution, "
                f"and a matrix of it would have {prod_of(term):,} weights: put an activation "
                "(ReLU) between its layers",
            )
        own = [
            term.weight,
            *(w for s in term.later if (w := getattr(s, "weight", None)) is not None),
        ]
        if found.kind is Kind.MATRIX and found.weight.numel() > sum(w.numel() for w in own):
            self.notes.append(
                f"what stands between {self._named(term.source)} and {path!r} is no convolution: "
                f"it became a matrix of {found.weight.numel():,} weights"
            )
        return found

    def _named(self, source: int) -> str:
        return "the input" if source == 0 else repr(self.layers[source - 1].path)

    def never_negative(self, value: Value) -> bool:
        """Whether a ReLU changes nothing: sums of spikes with factors of at least 0."""
        return bool(
            value.terms
            and all(self._is_clipped(t.source) for t in value.terms)
            and all(t.weight.numel() and float(t.weight.min()) >= 0 for t in value.terms)
            and all(isinstance(step, _KEEPING) for t in value.terms for step in t.later)
            and float(value.constant.min()) >= 0
        )

    def _capped(self, value: Value, cap: float | None) -> bool:
        """Whether a clip at `cap` changes nothing: of a layer that is clipped so already."""
        if cap is None:
            return True
        (term, *others) = value.terms
        layer = self.layers[term.source - 1]
        while layer.maximum:
            layer = self.layers[layer.terms[0].source - 1]
        plain = not others and term.kind is Kind.GAIN and term.pool is None and not term.later
        return bool(
            plain
            and layer.cap is not None
            and layer.cap <= cap
            and bool((term.weight == 1).all())
            and not bool(value.constant.any())
        )

    def _is_clipped(self, source: int) -> bool:
        """Whether a source is never negative in the trained model."""
        if source == 0:
            return False
        layer = self.layers[source - 1]
        if layer.maximum:
            return self._is_clipped(layer.terms[0].source)
        return layer.original is None

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


def operation(node: Node) -> str:
    """``aten.conv2d`` for any overload of it."""
    return ".".join(str(node.target).split(".")[:2]) if node.op == "call_function" else node.op


def stack_of(node: Node) -> list[tuple[str, str]]:
    """The modules that a node is in, the outermost first: path, and class without its package."""
    return [(path, kind.rsplit(".", 1)[-1]) for path, kind in _stack(node)]


def _stack(node: Node) -> list[tuple[str, str]]:
    found = (node.meta.get("nn_module_stack") or {}).values()
    return [
        (path, kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}")
        for path, kind in found
    ]


def _place(node: Node) -> tuple[str, str]:
    """Where in the model a node comes from: the innermost module's path, and what it is."""
    path, kind = next(((p, k) for p, k in reversed(_stack(node)) if p), ("", ""))
    leaf = kind.startswith("torch.nn.modules.") and ".container." not in kind
    return path, kind.rsplit(".", 1)[-1] if leaf else operation(node).removeprefix("aten.")


def prod_of(term: Term) -> int:
    """Weights of a term as a matrix."""
    return math.prod(term.gives) * math.prod(term.pooled)


def _merged(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Terms with plain factors of the same source and pool become one: x + x is 2 x."""
    merged: list[Term] = []
    for term in terms:
        for place, other in enumerate(merged):
            plain = term.kind is Kind.GAIN and not (term.later or other.later)
            alike = plain and term.source == other.source
            total = other.plus(term) if alike else None
            if total is not None:
                merged[place] = total
                break
        else:
            merged.append(term)
    return tuple(merged)
