"""The table of targets: add a row, and every command knows it.

A build for `ALL` is no target: it holds all of the table that join it.
"""

from __future__ import annotations

from neurocuda_hw.passes.devices import Family
from neurocuda_hw.targets.base import Bench, Options, Target
from neurocuda_hw.targets.board import Bitstream
from neurocuda_hw.targets.built import ALL
from neurocuda_hw.targets.hls import Hls
from neurocuda_hw.targets.icarus import Icarus
from neurocuda_hw.targets.loihi import Loihi
from neurocuda_hw.targets.netlist import Netlist
from neurocuda_hw.targets.nir import Nir
from neurocuda_hw.targets.reference import Torch
from neurocuda_hw.targets.verilog import Verilog

TABLE: tuple[Target, ...] = (
    Torch("cpu", "cpu", "the integer reference in PyTorch"),
    Torch("gpu", "cuda", "the integer reference in PyTorch, on a CUDA device"),
    Verilog(),
    Icarus(),
    Netlist(),
    Hls(),
    Loihi(),
    Nir(),
    Bitstream("ecp5", Family.ECP5),
    Bitstream("ice40", Family.ICE40),
    Bitstream("gowin", Family.GOWIN),
)

COMPILED = {t.name: t for t in TABLE if t.computes}  # for `compile`
BUILT = {t.name: t for t in TABLE if t.builds}  # for ``nchw build``
BENCHES: dict[str, Bench] = {b.name: b for t in TABLE for b in t.benches}
VERIFIED = {t.name: t for t in TABLE if t.name in BENCHES}  # for ``nchw verify``


def parts(name: str, options: Options | None = None) -> tuple[Target, ...]:
    """The targets that are in a build of that name; the first says what is told of all."""
    if name == ALL:
        return tuple(t for t in BUILT.values() if t.joins(options or Options()))
    return (BUILT[name],) if name in BUILT else ()


def verified_by(name: str | None) -> str:
    """What to verify of a build of that name: its first target that can be, else the usual one."""
    return next((t.name for t in parts(name or "") if t.benches), next(iter(VERIFIED)))
