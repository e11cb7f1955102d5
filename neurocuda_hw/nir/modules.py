"""Spiking `torch.nn.Module` to NIR and back, through nirtorch's tracer and interpreter.

Both are those on `torch.fx` (`nirtorch.torch_to_nir`, `nirtorch.nir_to_torch`). What is known to be
wrong in nirtorch 2.6 is worked round here: its Affine loses the bias (all nodes are mapped here);
the input has the type of what follows it, and the output none (both are set from the sample); a
module that is called twice becomes two nodes with a state each (refused); any function but an
addition stops the trace (said in one sentence); its recurrent edges give the wrong step (refused).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import nir
import numpy as np
import torch

from neurocuda_hw.ground.errors import UnsupportedLayerError
from neurocuda_hw.linear.steps import Shape, Step
from neurocuda_hw.nir.dynamics import Method, Timing, dynamics
from neurocuda_hw.nir.executor import Tensors
from neurocuda_hw.nir.flat import STATEFUL, Flat, flatten
from neurocuda_hw.nir.ops import step_of

Neurons = Mapping[type, Callable[[Any, Shape], nir.NIRNode]]
Modules = Mapping[type, Callable[[Any, Shape], torch.nn.Module]]


def from_torch(
    module: torch.nn.Module, sample: torch.Tensor, neurons: Neurons, *, returns_state: bool = False
) -> nir.NIRGraph:
    """A NIR graph of a spiking module.

    Parameters
    ----------
    module : torch.nn.Module
        Of Linear, Conv1d, Conv2d, AvgPool2d, Flatten, Identity, neurons, and additions. Its state
        must be as before a first step; the sample is run through it once.
    sample : tensor (B, *shape)
        One step of input.
    neurons : dict of type to callable
        For each type of neuron, a function of the module and the shape of its input (without the
        batch) that gives its NIR node.
    returns_state : bool
        Whether neurons give ``(spikes, state)``, as Norse's do.

    Raises
    ------
    UnsupportedLayerError
        If the module calls functions, uses a module twice, or holds one of unknown type.
    """
    import nirtorch

    shapes = _seen_shapes(module, sample, (*_LAYERS, *neurons))

    def mapped(convert: Callable[[Any, Shape], nir.NIRNode]) -> Callable[[Any], nir.NIRNode]:
        return lambda part: convert(part, shapes[part])

    table = {kind: mapped(convert) for kind, convert in {**_LAYERS, **neurons}.items()}
    try:
        graph = nirtorch.torch_to_nir(
            module,
            table,
            default_dict=None,
            type_check=False,
            stateful_modules=set(neurons) if returns_state else None,
        )
    except KeyError as error:
        raise UnsupportedLayerError(
            path=str(type(module).__name__),
            kind=getattr(error.args[0], "__name__", str(error)),
            way_out="give a function for its type in neurons",
        ) from error
    except (ValueError, torch.fx.proxy.TraceError) as error:
        raise UnsupportedLayerError(
            path=str(type(module).__name__),
            kind="function",
            way_out="only modules and additions can be traced; use the module of each function "
            f"({str(error).splitlines()[0][:80]})",
        ) from error
    for node in graph.nodes.values():
        if isinstance(node, nir.Input):
            node.input_type = {"input": np.array(sample.shape[1:])}
            node.output_type = {"output": np.array(sample.shape[1:])}
    flat = flatten(graph, 1.0)
    ends = {"input": np.array(flat.shapes[flat.output])}
    last = graph.nodes[flat.output]
    last.input_type, last.output_type = ends, {"output": ends["input"]}
    return graph


def _seen_shapes(
    module: torch.nn.Module, sample: torch.Tensor, kinds: tuple[type, ...]
) -> dict[torch.nn.Module, Shape]:
    """Shape of what each part gets, without the batch; refuses a part that is called twice."""
    shapes: dict[torch.nn.Module, Shape] = {}
    names = {part: name for name, part in module.named_modules()}

    def note(part: torch.nn.Module, inputs: Any) -> None:
        if part in shapes and not isinstance(part, torch.nn.Identity | torch.nn.Flatten):
            raise UnsupportedLayerError(
                path=names[part],
                kind=type(part).__name__,
                way_out="it is called twice in one step; make it two modules",
            )
        shapes[part] = tuple(inputs[0].shape[1:])

    parts = [part for part in module.modules() if isinstance(part, kinds)]
    hooks = [part.register_forward_pre_hook(note) for part in parts]
    try:
        with torch.no_grad():
            module(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def _numbers(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().copy()


def _linear(part: torch.nn.Linear, shape: Shape) -> nir.NIRNode:
    if part.bias is None:
        return nir.Linear(weight=_numbers(part.weight))
    return nir.Affine(weight=_numbers(part.weight), bias=_numbers(part.bias))


def _convolution(part: torch.nn.Conv1d | torch.nn.Conv2d, shape: Shape) -> nir.NIRNode:
    if part.padding_mode != "zeros":
        raise UnsupportedLayerError(
            path="", kind=type(part).__name__, way_out="NIR pads with zeros; use padding_mode zeros"
        )
    flat = isinstance(part, torch.nn.Conv1d)
    bias = np.zeros(part.out_channels) if part.bias is None else _numbers(part.bias)

    def one(values: Any) -> Any:
        return values[0] if flat and not isinstance(values, str) else values

    return (nir.Conv1d if flat else nir.Conv2d)(
        input_shape=shape[1] if flat else shape[1:],
        weight=_numbers(part.weight),
        stride=one(part.stride),
        padding=one(part.padding),
        dilation=one(part.dilation),
        groups=part.groups,
        bias=bias,
    )


def _average(part: torch.nn.AvgPool2d, shape: Shape) -> nir.NIRNode:
    pairs = (part.kernel_size, part.stride, part.padding)
    if part.ceil_mode or not part.count_include_pad or part.divisor_override is not None:
        raise UnsupportedLayerError(
            path="", kind="AvgPool2d", way_out="NIR knows kernel, stride and padding of it alone"
        )
    kernel, stride, padding = (np.array(np.broadcast_to(p, (2,))) for p in pairs)
    return nir.AvgPool2d(kernel_size=kernel, stride=stride, padding=padding)


def _flatten(part: torch.nn.Flatten, shape: Shape) -> nir.NIRNode:
    start = part.start_dim - 1 if part.start_dim > 0 else part.start_dim
    end = part.end_dim - 1 if part.end_dim > 0 else part.end_dim
    return nir.Flatten({"input": np.array(shape)}, start_dim=start, end_dim=end)


def _identity(part: torch.nn.Identity, shape: Shape) -> nir.NIRNode:
    return nir.Scale(scale=np.ones(shape))


_LAYERS: dict[type, Callable[[Any, Shape], nir.NIRNode]] = {
    torch.nn.Linear: _linear,
    torch.nn.Conv1d: _convolution,
    torch.nn.Conv2d: _convolution,
    torch.nn.AvgPool2d: _average,
    torch.nn.Flatten: _flatten,
    torch.nn.Identity: _identity,
}


def _sources_first(flat: Flat) -> list[str]:
    """Nodes of a graph without cycles, each after what feeds it."""
    done: dict[str, None] = {}
    stack = [flat.output]
    while stack:
        waiting = [source for source in flat.sources[stack[-1]] if source not in done]
        if waiting:
            stack += waiting
        else:
            done[stack.pop()] = None
    return list(done)


class Stateless(torch.nn.Module):
    """A node without a state."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, *shape in)`` to ``(B, *shape out)``."""
        return self.step.apply(x)


class Neuron(torch.nn.Module):
    """A neuron node; its state is the pair of membrane and current, None at first."""

    def __init__(self, rule: Tensors, subtract: bool, fires_at: bool) -> None:
        super().__init__()
        self.rule, self.subtract, self.fires_at = rule, subtract, fires_at

    def forward(self, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """One step."""
        rule = self.rule
        v, u = (torch.zeros_like(x), torch.zeros_like(x)) if state is None else state
        out, v, u = rule.step(x, v, u, self.subtract, self.fires_at)
        return out, (v, u)


def to_torch(
    graph: nir.NIRGraph,
    *,
    dt: float | None = None,
    method: Method = Method.EULER,
    integrate_dt: bool = False,
    subtract: bool = False,
    fires_at: bool = False,
    neurons: Modules | None = None,
) -> torch.nn.Module:
    """A `torch.fx.GraphModule` that runs a graph: ``out, state = module(x, state)`` is one step.

    Parameters
    ----------
    graph : nir.NIRGraph
        Without recurrent edges, Delay nodes and subgraphs; see `Executor` for those.
    dt, method, integrate_dt, subtract, fires_at
        As of `Executor`.
    neurons : dict of type to callable, optional
        For a type of NIR node, a function of the node and its shape that gives the module to run
        it: a framework's neuron, which takes ``(x, state=None)``, or holds its state itself.

    Raises
    ------
    UnsupportedLayerError
        If the graph is recurrent or has a Delay.
    """
    import nirtorch

    timing = Timing(dt=dt, method=method, integrate_dt=integrate_dt)
    flat = flatten(graph, dt)
    for name, node in flat.nodes.items():
        recurrent = any(name in arc for arc in flat.delayed)
        if recurrent or isinstance(node, nir.Delay):
            raise UnsupportedLayerError(
                path=name,
                kind=type(node).__name__,
                way_out="nirtorch runs recurrent edges and delays in another step; use Executor",
            )
    names = {id(node): name for name, node in flat.nodes.items()}

    def mapped(node: nir.NIRNode) -> torch.nn.Module:
        name = names[id(node)]
        shape = flat.shapes[name]
        if neurons is not None and type(node) in neurons:
            return neurons[type(node)](node, shape)
        if isinstance(node, STATEFUL):
            rule = Tensors(dynamics(node, shape, name, timing), torch.float32)
            return Neuron(rule, subtract, fires_at)
        return Stateless(step_of(node, shape, name, torch.float32))

    plain = nir.NIRGraph(
        nodes={name: flat.nodes[name] for name in _sources_first(flat)},
        edges=[(source, name) for name, feeding in flat.sources.items() for source in feeding],
        type_check=False,
    )
    kinds = {type(node): mapped for node in flat.nodes.values()}
    module: torch.nn.Module = nirtorch.nir_to_torch(plain, kinds, default_map={})
    return module
