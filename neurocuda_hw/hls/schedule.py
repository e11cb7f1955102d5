"""What the C++ asks of Vitis HLS and why: each loop's interval, each FIFO's depth, each memory.

Read off the same values that the templates show; no vendor tool has said what it makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from neurocuda_hw.hls.context import context
from neurocuda_hw.hls.plan import HlsLayer, HlsPlan
from neurocuda_hw.hls.tables import BLOCK_RAM_BITS, Rom, Values, parameters, tables_of, weights_of

Row = dict[str, Any]

_EVENTS = "one event or one row of it a cycle; "
_FORWARDED = (
    "a row may be the one before: the two written last are forwarded, so memory is asked for what "
    "is 3 or more iterations old"
)


def schedule(plan: HlsPlan) -> dict[str, list[Row]]:
    """Rows of plain values, for ``report.json`` and its page.

    ``loops``: ``process``, ``loop``, ``interval`` (II), ``least`` and ``most`` iterations (of one
    step; None: no bound), ``distance`` (iterations to the nearest dependence through memory that
    is stated; None: there is none), ``reason``.
    ``fifos``: ``name``, ``words``, ``needed``, ``reason``.
    ``memories``: ``name``, ``rows``, ``bits`` of a row, ``storage`` asked for, ``reason``.
    """
    values = context(plan)
    return {
        "loops": list(_loops(plan, values)),
        "fifos": list(_fifos(values)),
        "memories": [row for layer in plan.layers.values() for row in _memories(layer, values)],
    }


def _loop(
    process: str, loop: str, least: int, most: int | None, reason: str, distance: int | None = None
) -> Row:
    return {
        "process": process,
        "loop": loop,
        "interval": 1,
        "least": least,
        "most": most,
        "distance": distance,
        "reason": reason,
    }


def _loops(plan: HlsPlan, values: Values) -> Iterator[Row]:
    steps = values["timesteps"]
    yield _loop(
        "read_packet", "words", steps, None, "one word a cycle; what it counts is in registers"
    )
    for layer in values["layers"]:
        name, rows = layer["name"], layer["rows"]
        for edge in layer["edges"]:
            yield _loop(
                name,
                edge["name"],
                1,
                None if edge["endless"] else edge["iterations"],
                _EVENTS + _adding(edge),
                None if edge["never"] else edge["distance"],
            )
        if layer["sweeps"]:
            reason = "each row is read and written once, in order: rows do not meet"
            if layer["division"]:
                compared = len(layer["division"])
                reason += f"; {compared} compared and subtracted one after another, each a row"
            yield _loop(name, "sweep", rows, rows, reason)
        yield _loop(name, "clear", rows, rows, "each row is written once")
        if layer["readout"]:
            most = rows * layer["lanes"]
            yield _loop(name, "report", most, most, "one value a cycle; rows are only read")
        else:
            most = layer["size"] + 1
            yield _loop(name, "send", 1, most, "one event a cycle, out of registers")
            if layer["expands"]:
                yield _loop(name, "hold", 1, most, "one burst a cycle; rows are only written")
                yield _loop(
                    name, "give", 1, most, "one burst looked at a cycle; rows are only read"
                )
    output = values["output"]
    most = output["most"] if output["spiking"] else output["size"]
    least = steps if output["spiking"] else most
    yield _loop("write_packet", "words", least, most, "one word a cycle; nothing is kept")


def _adding(edge: Values) -> str:
    if edge["never"]:
        return "no event reaches a neuron"
    if edge["forwards"]:
        return _FORWARDED
    return (
        f"every event visits all {edge['distance']} rows in order, so a row comes again after them"
    )


def _fifos(values: Values) -> Iterator[Row]:
    local = [s for process in values["processes"] for s in process["local"]]
    for fifo in (*values["streams"], *local):
        needed = fifo["needed"]
        told = f"proved to need {needed}: "
        if needed == 1:
            told += "its reader is ready for it whatever else it waits for"
        else:
            steps = needed // fifo["step"]
            told += f"all that {steps} of its source's steps can bring, before it is read"
        if fifo["depth"] > needed:
            told += "; more, so that a burst does not stop its source"
        yield {"name": fifo["name"], "words": fifo["depth"], "needed": needed, "reason": told}
    for process in values["processes"]:
        for member in process["members"]:
            if member["layer"]["readout"]:
                continue
            rows = max(member["rows"], 2)
            inside = process["loop"]
            yield {
                "name": f"{member['name']}_masks",
                "words": rows if inside else process["mask_depth"],
                "needed": rows if inside else 1,
                "reason": "one process writes all rows of a step before it reads them"
                if inside
                else "rows of spikes that wait while single events leave; any depth is correct",
            }


def _memories(layer: HlsLayer, values: Values) -> Iterator[Row]:
    name = layer.population.name
    shown = next(entry for entry in values["layers"] if entry["name"] == name)
    for state in shown["states"]:
        bits = shown["lanes"] * state["bits"]
        yield _memory(f"{name}_{state['name']}", shown["rows"], bits, state["ram"])
    if shown["expands"]:
        yield _memory(f"{name}_held", shown["size"], shown["end"] + 1, shown["held_ram"])
    for parameter, rom in parameters(layer):
        if rom is not None:
            yield _memory(f"{name}.{parameter.name}_table", len(rom.values), _row_bits(rom), "")
    for edge, told in zip(layer.edges, shown["edges"], strict=True):
        if told["never"]:
            continue
        rom = weights_of(name, edge)
        yield _memory(f"{name}.{rom.name}", len(rom.values), _row_bits(rom), rom.storage)
        for rom in tables_of(name, edge):
            yield _memory(f"{name}.{rom.name}", len(rom.values), _row_bits(rom), "")


def _row_bits(rom: Rom) -> int:
    return rom.bits * (rom.values.shape[1] if rom.wide else 1)


def _memory(name: str, rows: int, bits: int, storage: str) -> Row:
    side = "more than" if rows * bits > BLOCK_RAM_BITS else "no more than"
    return {
        "name": name,
        "rows": rows,
        "bits": bits,
        "storage": storage or "the tool's choice",
        "reason": f"{rows * bits:,} bits, {side} the {BLOCK_RAM_BITS:,} that LUTs hold well",
    }
