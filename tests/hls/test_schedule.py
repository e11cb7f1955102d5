"""The report's loops, FIFOs and memories are those of the text, every one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hls.cases import PROJECTS, project

from neurocuda_hw.hls import emit
from neurocuda_hw.hls.plan import plan_network
from neurocuda_hw.hls.schedule import schedule


def loops(text: str) -> Iterator[tuple[str, str, int | None]]:
    """Layer or process, loop and stated distance of each pipelined loop; drains between packets
    are not told."""
    layer = function = ""
    pipelined, distance = False, None
    for line in text.splitlines():
        if opened := re.match(r"namespace layer_(\w+) \{", line):
            layer = opened[1]
        elif line.startswith("}  // namespace"):
            layer = ""
        elif begun := re.match(r"static void (\w+)\(", line):
            function, pipelined, distance = begun[1], False, None
        elif "#pragma HLS PIPELINE II=1" in line or (layer and "drain<" in line):
            pipelined = True
        elif stated := re.search(r"DEPENDENCE variable=state .* distance=(\d+) true", line):
            distance = int(stated[1])
        elif line == "}" and function:
            if pipelined:
                packet = function in ("read_packet", "write_packet")
                yield (function, "words", None) if packet else (layer, function, distance)
            function = ""


@pytest.mark.parametrize("name", PROJECTS)
def test_all_that_the_text_asks_for(name: str) -> None:
    text = emit(project(name))["nchw_top.cpp"].decode()
    found = schedule(plan_network(project(name)))
    told = [(row["process"], row["loop"], row["distance"]) for row in found["loops"]]
    assert sorted(told, key=str) == sorted(loops(text), key=str)
    depths = re.findall(r"#pragma HLS STREAM variable=(\w+) depth=(\d+)", text)
    assert {row["name"]: row["words"] for row in found["fifos"]} == {n: int(d) for n, d in depths}
    storage = {row["name"].split(".")[-1]: row["storage"] for row in found["memories"]}
    bound = dict(re.findall(r"BIND_STORAGE variable=(\w+) type=\w+ impl=(\w+)", text))
    assert {n: s for n, s in storage.items() if s != "the tool's choice"} == bound
    assert all(row["needed"] <= row["words"] and row["reason"] for row in found["fifos"])


@pytest.mark.parametrize("name", PROJECTS)
def test_the_bits_are_those_of_the_tables(name: str) -> None:
    plan = plan_network(project(name))
    rows = {row["name"]: row for row in schedule(plan)["memories"]}
    for target, layer in plan.layers.items():
        for edge in layer.edges:
            row = rows.get(f"{target}.weights_{edge.number}")
            if row is not None:
                weights = edge.fanout.weights
                widest = max(int(abs(weights).max()).bit_length(), 1)
                assert row["rows"] == len(weights)
                assert row["bits"] in [weights.shape[1] * (widest + extra) for extra in (0, 1)]
