"""The integer reference: what every other target is compared with, on a device of PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurocuda_hw.targets.base import Bench, CompiledModel, Target
from neurocuda_hw.targets.built import Built

if TYPE_CHECKING:
    import numpy as np
    import torch

    from neurocuda_hw.network.trace import Trace
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.targets.checks import Check, Request


class Torch(Target):
    """The reference on one device; the processor's also checks golden traces."""

    def __init__(self, name: str, device: str, computes: str) -> None:
        self.name, self.device, self.computes = name, device, computes
        self.benches = (RECORDED_AGAIN,) if device == "cpu" else ()

    def missing(self) -> str:
        """A GPU, where there is none."""
        if self.device == "cpu":
            return ""
        import torch

        if torch.cuda.is_available():
            return ""
        return "a CUDA device and a CUDA build of torch; target 'cpu' gives the same spikes"

    def prepare(self, study: Study, **options: Any) -> Any:
        """A `Reference`."""
        from neurocuda_hw.reference.reference import Reference

        return Reference(study.network, self.device)

    def trace(self, compiled: CompiledModel, inputs: np.ndarray) -> Trace:
        """Every spike; there is nothing to compare it with."""
        found: Trace = compiled.product.trace(inputs)
        return found

    def run(self, compiled: CompiledModel, x: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Logits, without recording any spike."""
        outputs = compiled.product.run(compiled.snn.quantise(x)).outputs
        return compiled.snn.logits(outputs)


def check_reference(study: Study, built: Built | None, asked: Request) -> Check:
    """The golden trace against the reference, run again."""
    from neurocuda_hw.reference.reference import Reference
    from neurocuda_hw.targets.checks import compared

    golden = study.trace
    found = Reference(study.network).trace(golden.inputs, progress=asked.stage("reference"))
    return compared("reference", study.network, found, golden)


RECORDED_AGAIN = Bench(
    name="reference",
    compares="the golden trace, recorded again by the integer reference",
    check=check_reference,
)
