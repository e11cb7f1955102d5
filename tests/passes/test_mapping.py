"""Which cells a memory becomes: what yosys 0.70 was seen to make of some, and yosys now."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tools import need

from neurocuda_hw.ground.programs import run
from neurocuda_hw.ground.toolchain import find_yosys
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.passes.mapping import Mapped, Memory, Style, map_memory
from neurocuda_hw.rtl.memory import hex_lines, styled
from neurocuda_hw.synth.area import count_cells

# kind, depth, width, then block memories in RAMB36, LUTs that hold bits, and whether it is neither
SEEN = [
    ("rom", 3136, 128, 12.5, 0, False),  # 7 slices of 512 rows side by side in 25 RAMB18
    ("rom", 128, 40, 0.0, 0, True),
    ("rom", 138, 225, 0.0, 0, True),
    ("ram", 4, 384, 0.0, 256, False),
    ("ram", 59, 18, 0.0, 24, False),
    ("ram", 272, 5, 0.0, 40, False),  # written slices share no LUT memory
    ("ram", 66, 16, 0.0, 36, False),
    ("ram", 1418, 53, 2.5, 0, False),  # slices share blocks by bytes of 9 bits
    ("ram", 1528, 39, 2.0, 0, False),
    ("ram", 1, 130, 0.0, 0, True),
]


@pytest.mark.parametrize(("kind", "depth", "width", "blocks", "luts", "logic"), SEEN)
def test_seven_series(
    kind: str, depth: int, width: int, blocks: float, luts: int, logic: bool
) -> None:
    mapped = map_memory(_memory(kind, depth, width), Family.SERIES7)
    assert (mapped.blocks, mapped.memory_luts, mapped.logic) == (blocks, luts, logic)


def test_blocks_need_a_register_behind_them() -> None:
    free = Memory(name="queue", depth=4096, width=30, rom=False, registered=False)
    assert map_memory(free, Family.SERIES7).blocks == 0
    assert map_memory(_memory("ram", 4096, 30), Family.SERIES7).blocks > 0


def test_slices_are_told_for_the_multiplexer() -> None:
    assert map_memory(_memory("rom", 3136, 128), Family.SERIES7).slices == 7


def test_a_rom_takes_the_ceiling_of_its_bits_at_every_family() -> None:
    for family, bits in ((Family.SERIES7, 36864), (Family.ECP5, 18432), (Family.ICE40, 4096)):
        mapped = map_memory(_memory("rom", 4096, 64), family)
        assert isinstance(mapped, Mapped)
        assert 4096 * 64 / bits <= mapped.blocks <= 1.2 * 4096 * 64 / bits


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "command"),
    [
        (Family.SERIES7, "synth_xilinx -noiopad -run begin:map_ffram"),
        (Family.ECP5, "synth_ecp5 -run begin:map_ffram"),
        (Family.ICE40, "synth_ice40 -run begin:map_ffram"),
    ],
)
@pytest.mark.parametrize(("kind", "depth", "width"), [("rom", 700, 40), ("ram", 300, 50)])
def test_yosys_does_the_same(
    kind: str, depth: int, width: int, family: Family, command: str, tmp_path: Path
) -> None:
    check(_memory(kind, depth, width), None, family, command, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "depth", "width", "style"),
    [
        ("ram", 5000, 80, Style.ULTRA),
        ("ram", 256, 30, Style.ULTRA),
        ("ram", 300, 50, Style.DISTRIBUTED),
        ("ram", 60, 50, Style.BLOCK),
        ("rom", 300, 20, Style.BLOCK),
        ("rom", 300, 20, Style.DISTRIBUTED),
    ],
)
def test_yosys_does_what_it_is_told(
    kind: str, depth: int, width: int, style: Style, tmp_path: Path
) -> None:
    command = "synth_xilinx -family xcup -noiopad -run begin:map_ffram"
    check(_memory(kind, depth, width), style, Family.ULTRASCALE_PLUS, command, tmp_path)


def check(
    memory: Memory, style: Style | None, family: Family, command: str, tmp_path: Path
) -> None:
    """Whether yosys makes of a memory what `map_memory` says."""
    kind, depth, width = "rom" if memory.rom else "ram", memory.depth, memory.width
    module, verilog = styled(f"nchw_{kind}", style)
    yosys = find_yosys()
    need(yosys)
    address = (depth - 1).bit_length()
    sizes = f".WIDTH({width}), .DEPTH({depth}), .ADDRESS({address})"
    read = f"input clk, input [{address - 1}:0] a, output [{width - 1}:0] d"
    if kind == "rom":
        bits = np.random.default_rng(1).integers(-1, 1, (depth, width))
        (tmp_path / "w.mem").write_bytes(hex_lines(bits, 1))
        text = (
            f"{verilog.decode()}module t({read}); "
            f'{module} #({sizes}, .FILE("w.mem")) r(.clk(clk), .address(a), .data(d)); endmodule\n'
        )
    else:
        write = f"input w, input [{address - 1}:0] wa, input [{width - 1}:0] wd"
        text = (
            f"{verilog.decode()}module t({read}, {write}); {module} #({sizes}) r(.clk(clk), "
            ".write(w), .write_address(wa), .write_data(wd), .read_address(a), .read_data(d)); "
            "endmodule\n"
        )
    (tmp_path / "t.v").write_text(text)
    script = f"read_verilog t.v; {command} -top t; flatten; tee -q -o s.json stat -json"
    run(yosys, ["-q", "-p", script], cwd=tmp_path)
    modules = json.loads((tmp_path / "s.json").read_text())["modules"]
    cells = next(iter(modules.values()))["num_cells_by_type"]
    area = count_cells({name: n for name, n in cells.items() if name[0] != "$"}, family)
    mapped = map_memory(memory, family, style)
    made = (area.blocks, area.memory_luts, area.ultras)
    assert made == (mapped.blocks, mapped.memory_luts, mapped.ultras)


def _memory(kind: str, depth: int, width: int) -> Memory:
    return Memory(name="m", depth=depth, width=width, rom=kind == "rom")
