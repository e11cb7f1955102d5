"""A small table that is looked up within a cycle: logic, not a memory."""

from __future__ import annotations

import numpy as np
from amaranth import Elaboratable, Module, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits


class Table(Component):
    """A small read-only table of unsigned numbers, looked up in the same cycle.

    Members
    -------
    key : In
    data : Out
        The columns of the addressed row, first column in the lowest bits.
    """

    def __init__(self, columns: list[np.ndarray]) -> None:
        self.widths = [max(1, unsigned_bits(int(c.max()))) for c in columns]
        self.columns = columns
        depth = len(columns[0])
        super().__init__(
            {"key": In(max(1, unsigned_bits(depth - 1))), "data": Out(sum(self.widths))}
        )

    def column(self, index: int) -> Value:
        """One column of the addressed row."""
        start = sum(self.widths[:index])
        return self.data[start : start + self.widths[index]]

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        init = []
        for row in zip(*self.columns, strict=True):
            value = 0
            for number, width in reversed(list(zip(row, self.widths, strict=True))):
                value = value << width | int(number)
            init.append(value)
        m.submodules.memory = memory = Memory(shape=sum(self.widths), depth=len(init), init=init)
        port = memory.read_port(domain="comb")
        m.d.comb += [port.addr.eq(self.key), self.data.eq(port.data)]
        return m
