"""C++ for Vitis HLS: event-driven layers, one process each, and their C simulation.

`emit` gives the project's files, `verify_hls` compiles and compares them with a golden trace. No
vendor synthesis has been run on any of it.
"""

from neurocuda_hw.ground.ap_headers import find_ap_headers
from neurocuda_hw.hls.csim import HlsResult, Model, verify_hls
from neurocuda_hw.hls.cycles import LayerCycles, predicted_cycles
from neurocuda_hw.hls.emit import emit, golden_files, to_hls_cpp
from neurocuda_hw.hls.simulation import CSimulation

__all__ = [
    "CSimulation",
    "HlsResult",
    "LayerCycles",
    "Model",
    "emit",
    "find_ap_headers",
    "golden_files",
    "predicted_cycles",
    "to_hls_cpp",
    "verify_hls",
]
