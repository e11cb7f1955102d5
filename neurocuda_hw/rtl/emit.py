"""Verilog and memory files of a network."""

from __future__ import annotations

from dataclasses import dataclass

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network
from neurocuda_hw.passes.folding import uniform_lanes
from neurocuda_hw.passes.plan import LayerPlan, plan_layer
from neurocuda_hw.rtl.memory import RAM_VERILOG, ROM_VERILOG, MemoryFiles
from neurocuda_hw.rtl.top import Top
from neurocuda_hw.rtl.verilog import to_verilog

TOP = "nchw_top"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The hardware as files.

    Parameters
    ----------
    files : dict of str to bytes
        ``rtl/nchw_top.v``, ``rtl/nchw_rom.v``, ``rtl/nchw_ram.v`` and ``rtl/mem/*.mem``. The memory
        files are read by bare name: run the simulator, or the synthesis, in their folder.
    tdata_bits : int
        Width of both AXI4-Streams.
    lanes : dict of str to int
        Lanes P of each layer.
    state_bits : dict of str to int
        Width of each layer's stored membrane.
    """

    files: dict[str, bytes]
    tdata_bits: int
    lanes: dict[str, int]
    state_bits: dict[str, int]


def plan_network(network: Network, lanes: dict[str, int] | None = None) -> dict[str, LayerPlan]:
    """Plans every layer; `lanes` by population, see `passes.folding`; up to 16 where None.

    Raises
    ------
    ModelError
        If a part of the network has no hardware, or a number of lanes does not suit its layer.
    """
    chosen = uniform_lanes(network) if lanes is None else lanes
    missing = [p.name for p in network.targets if p.name not in chosen]
    if missing:
        raise ModelError(f"lanes must name every population, not leave out {missing[0]!r}")
    return {p.name: plan_layer(network, p, chosen[p.name]) for p in network.targets}


def emit(network: Network, lanes: dict[str, int] | None = None) -> Design:
    """Describes `network` as Verilog. See `plan_network` for `lanes` and errors."""
    plans = plan_network(network, lanes)
    top = Top(network, plans)
    memories = MemoryFiles()
    files = {
        f"rtl/{TOP}.v": to_verilog(top, TOP, memories),
        "rtl/nchw_rom.v": ROM_VERILOG.encode(),
        "rtl/nchw_ram.v": RAM_VERILOG.encode(),
    }
    files |= {f"rtl/mem/{name}": content for name, content in memories.files.items()}
    return Design(
        files=files,
        tdata_bits=top.tdata_bits,
        lanes={name: plan.layout.lanes for name, plan in plans.items()},
        state_bits={name: plan.state_bits for name, plan in plans.items()},
    )
