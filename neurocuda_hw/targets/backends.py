"""One table of targets: `compile` a spiking network for any of them, run it, compare logits.

    result = compile(snn, target="verilog")
    logits = result["backend"].run(result["compiled_model"], x)

Every target gives the same logits, bit for bit; those that simulate hardware compare every spike
with the reference on the way, and stop at the first that differs.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from neurocuda_hw.ground.errors import DivergenceError, ModelError, ToolError
from neurocuda_hw.network import Network

if TYPE_CHECKING:
    import torch

    from neurocuda_hw.network.trace import Trace
    from neurocuda_hw.reference.snn import SpikingNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledModel:
    """A network that is ready to run on one target.

    Parameters
    ----------
    snn : SpikingNetwork
        What was compiled: it quantises inputs and scales logits.
    target : str
    product : object
        What the target made of it: a `Simulator`, a `LoihiProgram`, ...
    """

    snn: SpikingNetwork
    target: str
    product: Any


class Compiled(TypedDict):
    """What `compile` returns."""

    backend: Backend
    compiled_model: CompiledModel
    target: str


class Backend(ABC):
    """One target."""

    name: str
    computes: str
    options: tuple[str, ...] = ()

    @abstractmethod
    def missing(self) -> str:
        """What this machine lacks for it, and how to get it; empty if nothing."""

    @abstractmethod
    def prepare(self, network: Network, **options: Any) -> Any:
        """What `trace` runs."""

    @abstractmethod
    def trace(self, compiled: CompiledModel, inputs: np.ndarray) -> Trace:
        """Every spike for integer inputs, as the target computes it."""

    def run(self, compiled: CompiledModel, x: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Logits ``(B, classes)`` of real inputs, float64, in the trained model's units.

        Raises
        ------
        DataError
            If the inputs do not fit the network.
        DivergenceError
            If simulated hardware computed anything else than the reference.
        """
        found = self.trace(compiled, compiled.snn.quantise(x))
        return compiled.snn.logits(found.outputs)


class _Torch(Backend):
    """The reference, on a device of PyTorch."""

    def __init__(self, name: str, device: str, computes: str) -> None:
        self.name, self.device, self.computes = name, device, computes

    def missing(self) -> str:
        import torch

        if self.device == "cpu" or torch.cuda.is_available():
            return ""
        return "a CUDA device and a CUDA build of torch; target 'cpu' gives the same spikes"

    def prepare(self, network: Network, **options: Any) -> Any:
        from neurocuda_hw.reference.reference import Reference

        return Reference(network, self.device)

    def trace(self, compiled: CompiledModel, inputs: np.ndarray) -> Trace:
        found: Trace = compiled.product.trace(inputs)
        return found

    def run(self, compiled: CompiledModel, x: np.ndarray | torch.Tensor) -> torch.Tensor:
        outputs = compiled.product.run(compiled.snn.quantise(x)).outputs
        return compiled.snn.logits(outputs)


class _Verilog(Backend):
    """The generated Verilog, simulated by Verilator."""

    name = "verilog"
    computes = "generated Verilog, simulated cycle by cycle with Verilator"
    options = ("lanes",)

    def missing(self) -> str:
        from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator

        return _unusable(find_verilator(), find_compiler(), find_make())

    def prepare(self, network: Network, **options: Any) -> Any:
        from neurocuda_hw.rtl.emit import emit
        from neurocuda_hw.simulation.simulate import Simulator

        design = emit(network, options.get("lanes"))
        return Simulator(network, design.files, design.tdata_bits)

    def trace(self, compiled: CompiledModel, inputs: np.ndarray) -> Trace:
        expected = compiled.snn.reference().trace(inputs)
        result = compiled.product.run(expected)
        return _checked(compiled, expected, result.observed, result.fault)


class _Hls(Backend):
    """The generated C++, compiled by the machine's compiler."""

    name = "hls"
    computes = "generated HLS C++, C simulation with g++ (no vendor tool)"
    options = ("lanes", "model")

    def missing(self) -> str:
        from neurocuda_hw.ground.toolchain import find_compiler

        return _unusable(find_compiler())

    def prepare(self, network: Network, **options: Any) -> Any:
        from neurocuda_hw.hls import CSimulation

        return CSimulation(network, **options)

    def trace(self, compiled: CompiledModel, inputs: np.ndarray) -> Trace:
        expected = compiled.snn.reference().trace(inputs)
        return _checked(compiled, expected, compiled.product.run(inputs), "")


class _Loihi(Backend):
    """The model of Loihi."""

    name = "loihi"
    computes = "model of Loihi 2 in its published fixed-point arithmetic (no chip)"
    options = ("chip", "profile", "chips")

    def missing(self) -> str:
        return ""

    def prepare(self, network: Network, **options: Any) -> Any:
        from neurocuda_hw.loihi import compile as map_network

        return map_network(network, **options)

    def trace(self, compiled: CompiledModel, inputs: np.ndarray) -> Trace:
        expected = compiled.snn.reference().trace(inputs)
        return _checked(compiled, expected, compiled.product.run(inputs, cost=False).trace, "")


_BACKENDS: tuple[Backend, ...] = (
    _Torch("cpu", "cpu", "the integer reference in PyTorch"),
    _Torch("gpu", "cuda", "the integer reference in PyTorch, on a CUDA device"),
    _Verilog(),
    _Hls(),
    _Loihi(),
)
TARGETS = tuple(backend.name for backend in _BACKENDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendInfo:
    """One row of `list_backends`: `missing` is empty where it can be used on this machine."""

    name: str
    computes: str
    missing: str

    @property
    def available(self) -> bool:
        """Whether it can be used on this machine."""
        return not self.missing


def list_backends() -> list[BackendInfo]:
    """All targets of `compile`, and what this machine lacks for each."""
    return [BackendInfo(name=b.name, computes=b.computes, missing=b.missing()) for b in _BACKENDS]


def compile(snn: SpikingNetwork | Network, target: str = "cpu", **options: Any) -> Compiled:
    """Makes a network ready to run on a target.

    Parameters
    ----------
    snn : SpikingNetwork or Network
    target : str
        ``cpu``, ``gpu``, ``verilog``, ``hls`` or ``loihi``; see `list_backends`. To write files use
        `build.build` or ``nchw build``.
    **options
        ``lanes`` (verilog: per population), ``model`` (hls: see `hls.Model`), ``chip``,
        ``profile``, ``chips`` (loihi: see `loihi.compile`).

    Returns
    -------
    dict
        ``backend``, ``compiled_model`` and ``target``; ``backend.run(compiled_model, x)`` gives
        logits, ``backend.trace(compiled_model, inputs)`` every spike.

    Raises
    ------
    ModelError
        If the target cannot compute this network, or is none.
    ToolError
        If this machine lacks what it needs.
    """
    from neurocuda_hw.reference.snn import SpikingNetwork

    found = {b.name: b for b in _BACKENDS}.get(target)
    if found is None:
        raise ModelError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")
    wrong = [name for name in options if name not in found.options]
    if wrong:
        takes = ", ".join(found.options) or "none"
        raise ModelError(f"target {target!r} has no option {wrong[0]!r}; it takes {takes}")
    missing = found.missing()
    if missing:
        raise ToolError(f"target {target!r} needs {missing}")
    module = SpikingNetwork(snn) if isinstance(snn, Network) else snn
    product = found.prepare(module.network, **options)
    model = CompiledModel(snn=module, target=target, product=product)
    return {"backend": found, "compiled_model": model, "target": target}


def benchmark(
    snn: SpikingNetwork | Network,
    x: np.ndarray | torch.Tensor,
    targets: tuple[str, ...] = ("cpu",),
    *,
    repeats: int = 3,
) -> dict[str, dict[str, float]]:
    """Seconds that each target takes for the samples `x` on this machine, and whether it agrees.

    Returns
    -------
    dict
        For each target ``compile_seconds``, ``seconds`` (the fastest of `repeats`),
        ``samples_per_second``, and ``unequal``: samples whose logits are not the reference's; NaN
        where none differs but `x` is too little to say "equal" (see `project.evidence`).
    """
    from neurocuda_hw.project.evidence import Evidence, counted

    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats!r}")
    figures = {}
    wanted: torch.Tensor | None = None
    little = ""
    for target in targets:
        started = time.perf_counter()
        result = compile(snn, target)
        compiling = time.perf_counter() - started
        backend, model = result["backend"], result["compiled_model"]
        if wanted is None:
            expected = model.snn.reference().trace(model.snn.quantise(x))
            wanted = model.snn.logits(expected.outputs).cpu()
            little = Evidence(**counted(expected)).little
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            logits = backend.run(model, x).cpu()
            times.append(time.perf_counter() - started)
        figures[target] = {
            "compile_seconds": compiling,
            "seconds": min(times),
            "samples_per_second": len(x) / min(times),
            "unequal": float((logits != wanted).any(1).sum()) or (float("nan") if little else 0.0),
        }
    return figures


def _unusable(*tools: Any) -> str:
    """What to say of the first tool that is not usable."""
    return next((f"{tool.name}: {tool.problem}" for tool in tools if not tool.usable), "")


def _checked(compiled: CompiledModel, expected: Trace, got: Trace, fault: str) -> Trace:
    """`got`, or the first place where it is not what the reference computes."""
    from neurocuda_hw.network.trace import first_divergence
    from neurocuda_hw.reference.reference import explain

    network = compiled.snn.network
    place = None if fault else first_divergence(network, expected, got)
    if fault or place is not None:
        told = fault if place is None else str(explain(network, expected, place))
        raise DivergenceError(f"target {compiled.target!r} differs from the reference: {told}")
    return got
