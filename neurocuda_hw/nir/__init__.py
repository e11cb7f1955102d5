"""NIR, the neuromorphic intermediate representation, in and out (https://neuroir.org)."""

from neurocuda_hw.nir.compare import Comparison, choose_bits, compare
from neurocuda_hw.nir.dynamics import Method
from neurocuda_hw.nir.executor import Executor, FloatRun
from neurocuda_hw.nir.export import nir_bytes, to_nir
from neurocuda_hw.nir.names import network_name
from neurocuda_hw.nir.notes import is_noted
from neurocuda_hw.nir.read import read
from neurocuda_hw.nir.to_network import from_nir, reset_hint

__all__ = [
    "Comparison",
    "Executor",
    "FloatRun",
    "Method",
    "choose_bits",
    "compare",
    "from_nir",
    "is_noted",
    "network_name",
    "nir_bytes",
    "read",
    "reset_hint",
    "to_nir",
]
