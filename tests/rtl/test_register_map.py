"""The one table of registers, and what is made of it: documentation, C header."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from small import small_network

from neurocuda_hw.rtl.activity import State
from neurocuda_hw.rtl.axi import Fault
from neurocuda_hw.rtl.header import header
from neurocuda_hw.rtl.register_map import (
    COUNTER_BLOCK,
    COUNTERS_AT,
    DESIGN_COUNTERS,
    LAYER_COUNTERS,
    REGISTERS,
    VERSION,
    Access,
    address_bits,
    constants,
    counter_address,
    markdown,
    register,
)


def test_registers_stand_apart_below_the_counters() -> None:
    offsets = [r.offset for r in REGISTERS]
    assert offsets == sorted(set(offsets))
    assert all(offset % 4 == 0 and offset < COUNTERS_AT for offset in offsets)
    for group in (DESIGN_COUNTERS, LAYER_COUNTERS):
        assert [c.index for c in group] == list(range(len(group)))
        assert 4 * len(group) <= COUNTER_BLOCK


def test_fields_stand_apart() -> None:
    for entry in REGISTERS:
        for before, after in pairwise(entry.fields):
            assert before.low + before.bits <= after.low
        assert all(f.low + f.bits <= 32 for f in entry.fields)


def test_fields_are_the_signals_that_drive_them() -> None:
    assert [f.name for f in register("ERRORS").fields] == [fault.name for fault in Fault]
    assert [f.low for f in register("ERRORS").fields] == [fault.value for fault in Fault]
    assert [c.name for c in LAYER_COUNTERS[2:]] == list(State.__members__)
    assert register("IRQ_ENABLE").fields == register("IRQ_PENDING").fields


def test_constants_are_those_of_the_network() -> None:
    network = small_network()
    values = constants(network, tdata_bits=32, counters=True)
    assert set(values) == {r.name for r in REGISTERS if r.access is Access.CONSTANT}
    assert values["ID"].to_bytes(4, "big") == b"NCHW"
    assert values["VERSION"] == VERSION == 0x10001
    assert values["STREAM"] == 0x304
    assert values["TIMESTEPS"] == network.timesteps
    assert (values["LAYERS"], values["INPUTS"], values["OUTPUTS"]) == (3, 60, 3)
    assert "".join(f"{values[f'HASH_{i}']:08x}" for i in range(8)) == network.hash
    other = constants(small_network(), tdata_bits=64, counters=False)
    assert other["STREAM"] == 0x108


def test_addresses_grow_with_the_layers() -> None:
    assert address_bits(2) == address_bits(119) == 12
    assert address_bits(120) == 13
    assert counter_address(0, DESIGN_COUNTERS[1]) == 0x104
    assert counter_address(3, LAYER_COUNTERS[6]) == 0x178


def test_the_tables_hold_every_register() -> None:
    lines = markdown().splitlines()
    for entry in REGISTERS:
        (line,) = (x for x in lines if x.startswith(f"| 0x{entry.offset:03x} | {entry.name} |"))
        assert all(f"**{f.name}** [" in line for f in entry.fields)
    for counter in (*DESIGN_COUNTERS, *LAYER_COUNTERS):
        assert any(f" | {counter.name} | {counter.text} |" in line for line in lines)


_PROGRAM = r"""
#include <stdio.h>
#include "nchw.h"
#include "nchw.h"

int main(void)
{
    static uint32_t block[1024];
    uint32_t i;
    static const uint32_t hash[8] = {
        NCHW_HASH_0_VALUE, NCHW_HASH_1_VALUE, NCHW_HASH_2_VALUE, NCHW_HASH_3_VALUE,
        NCHW_HASH_4_VALUE, NCHW_HASH_5_VALUE, NCHW_HASH_6_VALUE, NCHW_HASH_7_VALUE
    };
    printf("%d ", nchw_is_this_network(block));
    nchw_write(block, NCHW_ID, NCHW_ID_VALUE);
    nchw_write(block, NCHW_VERSION, NCHW_VERSION_VALUE | 7u);
    for (i = 0; i < 8; ++i)
        nchw_write(block, NCHW_HASH_0 + 4 * i, hash[i]);
    printf("%d ", nchw_is_this_network(block));
    nchw_write(block, NCHW_VERSION, NCHW_VERSION_VALUE + (1u << NCHW_VERSION_MAJOR_SHIFT));
    printf("%d ", nchw_is_this_network(block));
    nchw_write(block, NCHW_VERSION, NCHW_VERSION_VALUE);
    nchw_write(block, NCHW_HASH_7, hash[7] ^ 1u);
    printf("%d ", nchw_is_this_network(block));
    printf("%s %x %x %x ", NCHW_NETWORK_HASH, NCHW_CONTROL, NCHW_CONTROL_FREEZE_MASK,
           NCHW_STATUS_INFLIGHT_MASK);
    printf("%x %x\n", NCHW_CYCLES,
           (unsigned)NCHW_LAYER(NCHW_LAYER_out) + NCHW_LAYER_STARVED);
    return 0;
}
"""


@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_the_c_header_compiles_and_says_the_same(tmp_path: Path, standard: str) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler was found; install gcc")
    network = small_network()
    text = header(network, tdata_bits=32, counters=True)
    (tmp_path / "nchw.h").write_text(text)
    (tmp_path / "main.c").write_text(_PROGRAM)
    flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", f"-std={standard}"]
    subprocess.run([compiler, *flags, "-o", "main", "main.c"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    assert done.stdout == f"0 1 0 0 {network.hash} 40 2 ffff0000 100 174\n"
    names = set(re.findall(r"^#define (NCHW_\w+)", text, re.MULTILINE))
    assert {f"NCHW_{r.name}" for r in REGISTERS} <= names
    assert {f"NCHW_LAYER_{c.name}" for c in LAYER_COUNTERS} <= names


def test_a_header_without_counters_names_none() -> None:
    text = header(small_network(), tdata_bits=32, counters=False)
    assert "NCHW_CYCLES" not in text
    assert "NCHW_LAYER_" not in text
