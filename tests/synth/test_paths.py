"""A critical path in the words of the source, whatever the tools called the cells."""

from __future__ import annotations

from typing import Any

from neurocuda_hw.synth.paths import Hop, Names, critical_path


def cell(kind: str, outputs: dict[str, int], inputs: dict[str, int]) -> dict[str, Any]:
    ways = dict.fromkeys(outputs, "output") | dict.fromkeys(inputs, "input")
    bits = {port: [bit] for port, bit in (outputs | inputs).items()}
    return {"type": kind, "port_directions": ways, "connections": bits}


# row -> a LUT without a name -> the LUT before `sum`, packed with its register; and a memory
NETLIST = {
    "modules": {
        "nchw_timed": {
            "cells": {
                "$auto$12": cell("SB_DFFESR", {"Q": 1}, {"D": 9}),
                "$abc$7": cell("SB_LUT4", {"O": 2}, {"I0": 1}),
                "kept_SB_DFF_Q_D_SB_LUT4_O": cell("SB_LUT4", {"O": 3}, {"I0": 2}),
                "kept_SB_DFF_Q": cell("SB_DFF", {"Q": 4}, {"D": 3}),
                "design.layer.rom.words.0.45": cell("DP16KD", {"DOA1": 5}, {}),
            },
            "netnames": {
                "design.row_of_another": {"bits": [1]},
                "design.layer.sweep.row": {"bits": [1]},
                "design.layer.i_row": {"bits": [1]},
                "design.layer.lanes.$12": {"bits": [2], "hide_name": 1},
                "design.layer.lanes.sum": {"bits": ["x", 4]},
            },
        }
    }
}


def hop(kind: str, delay: float, start: str, end: str) -> dict[str, Any]:
    return {"type": kind, "delay": delay, "from": {"cell": start}, "to": {"cell": end}}


def test_registers_are_called_after_the_deepest_net_they_drive() -> None:
    names = Names(NETLIST, "nchw_timed")
    assert names.cell("$auto$12") == "layer.sweep.row"
    assert names.register("$auto$12_DFFLC") == "layer.sweep.row"
    assert names.register("kept_SB_DFF_Q_D_SB_LUT4_O_LC") == "layer.lanes.sum"
    assert names.cell("design.layer.rom.words.0.45") == "layer.rom.words (memory)"
    assert names.cell("design.layer.rom.words.0.3_DOA5_LUT4_C_Z") == "layer.rom.words"
    assert names.cell("design.layer.lanes.$212_MULT18X18D_P9") == "layer.lanes."


def test_path_says_where_time_is_spent() -> None:
    lut, last = "design.layer.lanes.sum_SB_LUT4_O_3_LC", "kept_SB_DFF_Q_D_SB_LUT4_O_LC"
    path = [
        hop("clk-to-q", 0.5, "of no use", "$auto$12_DFFLC"),
        hop("routing", 1.0, "$auto$12_DFFLC", lut),
        hop("logic", 0.25, lut, lut),
        hop("routing", 2.0, lut, last),
        hop("setup", 0.25, last, last),
    ]
    found = critical_path(path, Names(NETLIST, "nchw_timed"))
    assert (found.start, found.end) == ("layer.sweep: row", "layer.lanes: sum")
    assert found.through[:2] == (
        Hop(place="layer.sweep", logic=0.5, wires=1.0),
        Hop(place="layer.lanes", logic=0.25, wires=2.0),
    )
    assert (found.logic, found.wires, found.levels) == (1.0, 3.0, 1)
