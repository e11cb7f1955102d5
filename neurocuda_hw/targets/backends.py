"""`compile` a spiking network for any of them, run it, compare logits.

    result = compile(snn, target="verilog")
    logits = result["backend"].run(result["compiled_model"], x)

Every target gives the same logits, bit for bit; those that simulate hardware compare every spike
with the reference on the way, and stop at the first that differs.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from neurocuda_hw.ground.errors import ModelError, ToolError
from neurocuda_hw.network import Network
from neurocuda_hw.targets.base import CompiledModel, Target
from neurocuda_hw.targets.table import COMPILED

if TYPE_CHECKING:
    import numpy as np
    import torch

    from neurocuda_hw.reference.snn import SpikingNetwork


class Compiled(TypedDict):
    """What `compile` returns; `metadata` holds plain values."""

    backend: Target
    compiled_model: CompiledModel
    target: str
    metadata: dict[str, Any]


class BackendInfo(str):
    """A backend's description, and what this machine lacks for it: `missing`, empty if nothing."""

    name: str
    missing: str

    def __new__(cls, target: Target) -> BackendInfo:
        """The description of one target of the table."""
        made = super().__new__(cls, target.computes)
        made.name, made.missing = target.name, target.missing()
        return made

    @property
    def available(self) -> bool:
        """Whether it can be used on this machine."""
        return not self.missing


def list_backends() -> dict[str, BackendInfo]:
    """All targets of `compile` by name: what each is, as text that also knows what it lacks here.

    ``list_backends()["gpu"].missing`` says why it cannot be used on this machine, and what to do.
    """
    return {name: BackendInfo(target) for name, target in COMPILED.items()}


def compile(
    snn: SpikingNetwork | Network, target: str = "cpu", T: int | None = None, **options: Any
) -> Compiled:
    """Makes a network ready to run on a target.

    Parameters
    ----------
    snn : SpikingNetwork or Network
    target : str
        ``cpu``, ``gpu``, ``verilog``, ``hls`` or ``loihi``; see `list_backends`. To write files use
        `build.build` or ``nchw build``.
    T : int, optional
        Steps of an inference; default the network's own, which it was converted for. Under the
        exact code more steps change no logit, fewer are refused; under the rate code logits are
        sums over the steps, and grow with them.
    **options
        ``lanes`` (verilog, hls: per population) and ``bursts`` (verilog, hls: ``auto``, ``on`` or
        ``off``, as `build.build` takes it), ``model`` (hls: see `hls.Model`), ``chip``,
        ``profile``, ``chips``, ``graded_counts`` (loihi: see `loihi.compile`).

    Returns
    -------
    dict
        ``backend``, ``compiled_model`` and ``target``; ``backend.run(compiled_model, x)`` gives
        logits, ``backend.trace(compiled_model, inputs)`` every spike. ``metadata`` says target,
        description, T, whether it simulates hardware, and the network's hash.

    Raises
    ------
    ModelError
        If the target cannot compute this network, or is none.
    ToolError
        If this machine lacks what it needs.
    """
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.reference.snn import SpikingNetwork

    found = COMPILED.get(target)
    if found is None:
        raise ModelError(f"target must be one of {', '.join(COMPILED)}, not {target!r}")
    wrong = [name for name in options if name not in found.options]
    if wrong:
        takes = ", ".join(found.options) or "none"
        raise ModelError(f"target {target!r} has no option {wrong[0]!r}; it takes {takes}")
    missing = found.missing()
    if missing:
        raise ToolError(f"target {target!r} needs {missing}")
    module = SpikingNetwork(snn) if isinstance(snn, Network) else snn
    if T not in (None, module.timesteps):
        module = SpikingNetwork(replace(module.network, timesteps=T)).to(module.device)
    study = Study(module.network, lanes=options.get("lanes"))
    product = found.prepare(study, **options)
    model = CompiledModel(snn=module, target=target, product=product)
    metadata = {
        "target": target,
        "backend_description": found.computes,
        "T": module.timesteps,
        "is_simulator": bool(found.builds),
        "network": module.network.hash,
    }
    return {"backend": found, "compiled_model": model, "target": target, "metadata": metadata}


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
        where none differs but `x` is too little to say "equal" (see `targets.evidence`).
    """
    from neurocuda_hw.targets.evidence import Evidence, counted

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
