import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator

from neurocuda_hw.rtl.memory import MemoryFiles, Ram, Rom, hex_lines, word


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 8, 13, 24])
@pytest.mark.parametrize("lanes", [1, 3, 16])
def test_hex_lines_are_the_words_of_each_row(bits, lanes):
    rng = np.random.default_rng(bits * 100 + lanes)
    rows = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (37, lanes))
    lines = hex_lines(rows, bits).decode().splitlines()
    assert [int(line, 16) for line in lines] == [word(row, bits) for row in rows]
    assert {len(line) for line in lines} == {-(-bits * lanes // 4)}


def test_word_puts_lane_0_lowest():
    assert word(np.array([1, -1, 0]), 4) == 0x0F1


def test_rom_in_simulation_gives_a_row_one_cycle_later():
    rows = np.arange(-6, 6).reshape(6, 2)
    rom = Rom(words=rows, bits=5, file="x.mem")
    got = []

    async def drive(context):
        for address in (3, 0, 5):
            context.set(rom.address, address)
            await context.tick()
            got.append(context.get(rom.data))

    simulator = Simulator(rom)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert got == [word(rows[i], 5) for i in (3, 0, 5)]


def test_contents_go_to_files_when_verilog_is_written():
    rows = np.full((1000, 16), -3)
    files = MemoryFiles()
    text = rtlil.convert(Rom(words=rows, bits=8, file="a.mem"), platform=files)
    assert files.files == {"a.mem": (b"fd" * 16 + b"\n") * 1000}
    assert "nchw_rom" in text
    assert len(text) < 3000


def test_ram_keeps_what_was_written():
    ram = Ram(width=7, depth=5)
    got = []

    async def drive(context):
        context.set(ram.write, 1)
        for address in range(5):
            context.set(ram.write_address, address)
            context.set(ram.write_data, address * 11)
            await context.tick()
        context.set(ram.write, 0)
        for address in (4, 1, 0):
            context.set(ram.read_address, address)
            await context.tick()
            got.append(context.get(ram.read_data))

    simulator = Simulator(ram)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert got == [44, 11, 0]
