"""Verilog and memory files of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from neurocuda_hw.network import Network
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.passes.mapping import Ways
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.study import Study
from neurocuda_hw.rtl.divider import DIVIDE_VERILOG
from neurocuda_hw.rtl.memory import MemoryFiles
from neurocuda_hw.rtl.top import Top
from neurocuda_hw.rtl.verilog import to_verilog

TOP = "nchw_top"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The hardware as files.

    Parameters
    ----------
    files : dict of str to bytes
        ``rtl/nchw_top.v``, ``rtl/nchw_rom.v``, ``rtl/nchw_ram.v``, those of memories of a style of
        their own, with bursts ``rtl/nchw_divide.v``, and ``rtl/mem/*.mem``. The memory files are
        read by bare name: run the simulator, or the synthesis, in their folder.
    tdata_bits : int
        Width of both AXI4-Streams.
    lanes : dict of str to int
        Lanes P of each layer.
    state_bits : dict of str to int
        Width of each layer's stored membrane.
    bursts : Bursts
        What is sent as bursts, and in which lines.
    ways : mapping of str to Ways
        How layers are made, where the synthesiser is told.
    weight_shifts : mapping of str to tuple of int
        Low bits of each layer's weights that are all 0 and not stored, by projection.
    """

    files: dict[str, bytes]
    tdata_bits: int
    lanes: dict[str, int]
    state_bits: dict[str, int]
    bursts: Bursts = NO_BURSTS
    ways: Mapping[str, Ways] = field(default_factory=dict)
    weight_shifts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def plan_network(
    network: Network, lanes: dict[str, int] | None = None, bursts: Bursts = NO_BURSTS
) -> dict[str, LayerPlan]:
    """Plans every layer; `lanes`, `bursts` and errors as in `passes.study.Study`."""
    return Study(network, lanes=lanes, bursts=bursts).plans


def emit(
    subject: Network | Study,
    lanes: dict[str, int] | None = None,
    bursts: Bursts = NO_BURSTS,
    ways: Mapping[str, Ways] | None = None,
    *,
    described: type[Top] = Top,
) -> Design:
    """Describes a network as Verilog; what is given, and errors, as in `passes.study.Study`."""
    study = Study.of(subject, lanes=lanes, bursts=bursts, ways=ways)
    plans = study.plans
    top = described(study.network, plans)
    memories = MemoryFiles()
    files = {f"rtl/{TOP}.v": to_verilog(top, TOP, memories)}
    files |= {f"rtl/{name}.v": text for name, text in memories.modules.items()}
    if any(plan.division for plan in plans.values()):
        files["rtl/nchw_divide.v"] = DIVIDE_VERILOG.encode()
    files |= {f"rtl/mem/{name}": content for name, content in memories.files.items()}
    return Design(
        files=files,
        tdata_bits=top.tdata_bits,
        lanes={name: plan.layout.lanes for name, plan in plans.items()},
        state_bits={name: plan.state_bits for name, plan in plans.items()},
        bursts=study.sent,
        ways=study.ways,
        weight_shifts={name: plan.weight_shifts for name, plan in plans.items()},
    )
