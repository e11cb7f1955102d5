"""The tables of constants that the C++ includes, and the expressions that look them up.

A fan-out is three nested loops (lines, columns, channel groups) that are walked one row a cycle;
small tables say for each coordinate of an event where they start and how often they turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocuda_hw.ground.fixed import signed_bits, unsigned_bits
from neurocuda_hw.hls.plan import Edge, HlsLayer, HlsPlan
from neurocuda_hw.network.neurons import Reset
from neurocuda_hw.passes.plan import Parameter
from neurocuda_hw.passes.taps import AxisTaps

Values = dict[str, Any]

BLOCK_RAM_BITS = 4096  # smaller memories go to LUTs


@dataclass(frozen=True, slots=True, kw_only=True)
class Rom:
    """A table of constants of one width, ``[rows][lanes]`` or ``[rows]``, kept in a file."""

    name: str
    file: str
    kind: str
    bits: int
    dimensions: str
    storage: str
    values: np.ndarray

    @property
    def wide(self) -> bool:
        """Whether a row holds several lanes."""
        return self.values.ndim == 2

    def text(self) -> str:
        """The table as C++ initialisers, one row a line."""
        if self.wide:
            return (
                ",\n".join("{" + ",".join(map(str, row)) + "}" for row in self.values.tolist())
                + "\n"
            )
        return ",".join(map(str, self.values.tolist())) + "\n"


def roms(plan: HlsPlan) -> list[Rom]:
    """Every table of the network; each is a file that the C++ includes."""
    found = []
    for name, layer in plan.layers.items():
        found += [rom for _, rom in parameters(layer) if rom is not None]
        for edge in layer.edges:
            found.append(weights_of(name, edge))
            found += tables_of(name, edge)
    return found


def parameters(layer: HlsLayer) -> list[tuple[Parameter, Rom | None]]:
    """The neurons' parameters that the C++ needs, each with its table unless all share a value."""
    plan = layer.plan
    found = [plan.initial]
    if plan.fires:
        found.append(plan.threshold)
    if plan.bias.rows.any():
        found.append(plan.bias)
    if plan.reset is Reset.TO_VALUE:
        found.append(plan.reset_value)
    found += [keep for keep in (plan.keep, plan.keep_synaptic) if keep is not None]
    return [(p, _parameter(layer, p)) for p in found]


def _parameter(layer: HlsLayer, parameter: Parameter) -> Rom | None:
    if parameter.uniform:
        return None
    name = parameter.name
    return _rom(f"{name}_table", f"{layer.population.name}_{name}", parameter.rows, signed=True)


def lookup(rom: Rom, groups: int) -> str:
    rows = len(rom.values)
    index = "0" if rows == 1 else "g" if rows == groups else "row"
    return f"rom_value<{rom.bits}>({rom.name}[{index}][l])"


def read(rom: Rom, axis: str) -> str:
    """The value of a table for a coordinate of event `e`."""
    return f"rom_value<{rom.bits}>({rom.name}[e.{axis}])"


def _literal(value: int) -> str:
    return str(value) if abs(value) < 2**31 else f"{value}LL"


def _rom(name: str, file: str, values: np.ndarray, *, signed: bool = False) -> Rom:
    """A ROM; `signed` where its values meet signed ones: C++ converts a mixed pair to unsigned."""
    low, high = min(0, int(values.min())), max(0, int(values.max()))
    signed = signed or low < 0
    bits = signed_bits(low, high) if signed else max(1, unsigned_bits(high))
    return Rom(
        name=name,
        file=f"tables/{file}.inc",
        kind="rom_s" if signed else "rom_u",
        bits=bits,
        dimensions=f"[{len(values)}]" + ("[LANES]" if values.ndim == 2 else ""),
        storage="bram" if values.size * bits > BLOCK_RAM_BITS else "lutram",
        values=values,
    )


def weights_of(target: str, edge: Edge) -> Rom:
    name = f"weights_{edge.number}"
    return _rom(name, f"{target}_{edge.number}_weights", edge.fanout.weights, signed=True)


def tables_of(target: str, edge: Edge) -> list[Rom]:
    """Per coordinate of an event: how many rows it visits, and the first ones."""
    part, source = edge.fanout, edge.source
    found = []
    axes: list[tuple[str, AxisTaps, int, int]] = [
        ("y", part.y, part.row_y, part.kernel_width * part.rows_per_tap),
        ("x", part.x, part.row_x, part.rows_per_tap),
    ]
    for axis, taps, rows, weights in axes:
        if len(taps.count) > 1:
            columns = (
                ("count", taps.count),
                ("row", taps.out * rows),
                ("weight", taps.tap * weights),
            )
            found += [
                _rom(
                    f"{axis}_{what}_{edge.number}", f"{target}_{edge.number}_{axis}_{what}", column
                )
                for what, column in columns
                if (column != column[0]).any()
            ]
    if source.chw[0] > 1 and not part.uniform:
        columns = (
            ("count", part.channel_rows),
            ("row", part.channel_first),
            ("weight", part.channel_base),
        )
        found += [
            _rom(f"c_{what}_{edge.number}", f"{target}_{edge.number}_c_{what}", column)
            for what, column in columns
            if (column != column[0]).any()
        ]
    return found


def terms(edge: Edge, tables: dict[str, Rom], what: str) -> list[str]:
    """What an event's coordinates add to the first state row or weight row."""
    part = edge.fanout
    found, constant = [], 0
    line = part.kernel_width * part.rows_per_tap
    firsts = {
        "y": part.y.out * part.row_y if what == "row" else part.y.tap * line,
        "x": part.x.out * part.row_x if what == "row" else part.x.tap * part.rows_per_tap,
        "c": part.channel_first if what == "row" else part.channel_base,
    }
    for axis, column in firsts.items():
        table = f"{axis}_{what}_{edge.number}"
        if table in tables:
            found.append(read(tables[table], axis))
        elif axis == "c" and what == "weight" and part.uniform and len(column) > 1:
            found.append(f"e.c * {int(part.channel_rows[0])}")
        else:
            constant += int(column[0])
    return [*found, str(constant)] if constant else found


def levels(edge: Edge, tables: dict[str, Rom]) -> list[Values]:
    """The nested loops of a fan-out that ever run more than once, innermost first."""
    part = edge.fanout
    tap = part.rows_per_tap
    steps = (
        ("c", "group", part.channel_rows, 1, 1),
        ("x", "column", part.x.count, part.x.out_step * part.row_x, -part.x.tap_step * tap),
        (
            "y",
            "line",
            part.y.count,
            part.y.out_step * part.row_y,
            -part.y.tap_step * tap * part.kernel_width,
        ),
    )
    found: list[Values] = []
    for axis, name, counts, row_step, weight_step in steps:
        most = int(counts.max())
        if most > 1:
            table = f"{axis}_count_{edge.number}"
            found.append(
                {
                    "name": name,
                    "bits": unsigned_bits(most),
                    "count": read(tables[table], axis) if table in tables else str(int(counts[0])),
                    "row_step": row_step,
                    "weight_step": _signed(weight_step),
                    "inner": [level["name"] for level in found],
                }
            )
    if found:
        found[-1]["outermost"] = True
    return found


def summed(found: list[str]) -> str:
    """The sum of expressions."""
    return " + ".join(found) if found else "0"


def _signed(step: int) -> str:
    return f"+ {step}" if step >= 0 else f"- {-step}"


def constants(layer: HlsLayer) -> list[Values]:
    """Parameters that all neurons share."""
    found: list[Values] = []
    for parameter, rom in parameters(layer):
        if rom is None:
            value = int(parameter.rows.flat[0])
            bits = max(signed_bits(min(0, value), max(0, value)), 2)
            found.append({"name": parameter.name.upper(), "bits": bits, "value": _literal(value)})
    floor = layer.plan.v_floor
    if floor is not None:
        bits = signed_bits(min(0, floor), max(0, floor))
        found.append({"name": "FLOOR", "bits": bits, "value": _literal(floor)})
    return found
