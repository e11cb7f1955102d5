"""neurocuda_hw: a trained PyTorch model in, spiking hardware that provably computes it out.

    import neurocuda_hw as nc
    snn, stats = nc.convert(ann, train_loader, test_loader=test_loader)

The names below load their modules when they are first used, so importing the package is cheap; type
checkers see them as plain imports.
Files are written by `build.build` and checked by `verify.verify`.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurocuda_hw.conversion import QCFS as QCFS
    from neurocuda_hw.conversion import IFNeuron as IFNeuron
    from neurocuda_hw.conversion import LIFNeuron as LIFNeuron
    from neurocuda_hw.conversion import OverTime as OverTime
    from neurocuda_hw.conversion import Stats as Stats
    from neurocuda_hw.conversion import average_weights as average_weights
    from neurocuda_hw.conversion import convert as convert
    from neurocuda_hw.conversion import finetune as finetune
    from neurocuda_hw.conversion import fold_batchnorm as fold_batchnorm
    from neurocuda_hw.conversion import mismatch as mismatch
    from neurocuda_hw.conversion import quantized_ann as quantized_ann
    from neurocuda_hw.conversion import recode as recode
    from neurocuda_hw.conversion import validate_snn as validate_snn
    from neurocuda_hw.conversion import with_qcfs as with_qcfs
    from neurocuda_hw.ground.errors import NeurocudaError as NeurocudaError
    from neurocuda_hw.hls import to_hls_cpp as to_hls_cpp
    from neurocuda_hw.network import IF as IF
    from neurocuda_hw.network import LIF as LIF
    from neurocuda_hw.network import Conv2d as Conv2d
    from neurocuda_hw.network import CubaLIF as CubaLIF
    from neurocuda_hw.network import CubaReadout as CubaReadout
    from neurocuda_hw.network import Dense as Dense
    from neurocuda_hw.network import Diagonal as Diagonal
    from neurocuda_hw.network import Encoding as Encoding
    from neurocuda_hw.network import Input as Input
    from neurocuda_hw.network import LeakyReadout as LeakyReadout
    from neurocuda_hw.network import Network as Network
    from neurocuda_hw.network import Population as Population
    from neurocuda_hw.network import Projection as Projection
    from neurocuda_hw.network import Readout as Readout
    from neurocuda_hw.network import Reset as Reset
    from neurocuda_hw.network import SumPool as SumPool
    from neurocuda_hw.network import Window as Window
    from neurocuda_hw.network.model_file import load as load
    from neurocuda_hw.network.model_file import save as save
    from neurocuda_hw.network.ranges import network_ranges as network_ranges
    from neurocuda_hw.network.trace import Trace as Trace
    from neurocuda_hw.network.trace import first_divergence as first_divergence
    from neurocuda_hw.network.trace import load_trace as load_trace
    from neurocuda_hw.nir import from_nir as from_nir
    from neurocuda_hw.nir import to_nir as to_nir
    from neurocuda_hw.reference.metrics import energy_estimate as energy_estimate
    from neurocuda_hw.reference.metrics import measure_sparsity as measure_sparsity
    from neurocuda_hw.reference.metrics import synaptic_operations as synaptic_operations
    from neurocuda_hw.reference.reference import Reference as Reference
    from neurocuda_hw.reference.snn import SpikingNetwork as SpikingNetwork
    from neurocuda_hw.targets.backends import benchmark as benchmark
    from neurocuda_hw.targets.backends import compile as compile
    from neurocuda_hw.targets.backends import list_backends as list_backends
    from neurocuda_hw.targets.neurobench import neurobench_report as neurobench_report

__version__ = "0.1.0"

# The module of every name above. They are read, for to run the imports would load all of them.
_HOMES = {
    name.asname: str(node.module)
    for node in ast.walk(ast.parse(Path(__file__).read_bytes()))
    if isinstance(node, ast.ImportFrom)
    for name in node.names
    if name.asname
}
__all__ = sorted(_HOMES)


if not TYPE_CHECKING:  # or a type checker would take any name for one of these

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            try:
                return getattr(import_module(_HOMES[name]), name)
            except ModuleNotFoundError as error:
                from neurocuda_hw.ground.errors import missing_package

                raise missing_package(error) from error
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
