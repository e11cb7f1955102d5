"""Area of a design: Verilog through yosys, cells counted as look-up tables and block memories."""

from neurocuda_hw.synth.area import Area, count_cells
from neurocuda_hw.synth.yosys import synthesise

__all__ = ["Area", "count_cells", "synthesise"]
