"""Breaks the marks of lines on their way to the next population, behind the taps.

A design that sends by lines is built once more, with a `Spoiler` in each stream of lines. A memory
file says which mark it breaks and how, so all mutants of a design share one build::

    dropped   the line ends with the mark of the next one
    doubled   a second mark comes, without a row
    early     the mark comes before its line
    row lost  the mark comes, the events of the row that it ends do not
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from amaranth import Elaboratable, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Network, Population
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import marks_needed
from neurocuda_hw.rtl.memory import Rom
from neurocuda_hw.rtl.signatures import events_of
from neurocuda_hw.rtl.top import Top

KIND_BITS = 3


class Spoil(IntEnum):
    """What becomes of a mark in each inference; none where it is 0."""

    DROPPED = 1
    DOUBLED = 2
    EARLY = 3
    ROW_LOST = 4


class Spoiler(Component):
    """Lets a stream of lines pass, but for what its memory file says.

    Parameters
    ----------
    population : Population
        Who sends.
    burst : int
        The most spikes of one of its events.
    lines : int
        Marks of an inference.
    row : (int, int)
        First channel and column of a line's last row.

    Members
    -------
    events : In, stream
    spoilt : Out, stream
    """

    def __init__(
        self, *, population: Population, burst: int, lines: int, row: tuple[int, int]
    ) -> None:
        self.population, self.lines, self.row = population, lines, row
        signature = events_of(population, burst)
        super().__init__({"events": In(signature), "spoilt": Out(signature)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        bits, none = spoil_bits(self.lines), np.zeros((1, 1), dtype=np.int64)
        m.submodules.said = said = Rom(words=none, bits=bits, file=spoil_file(self.population.name))
        event, end = self.events.payload, self.events.payload.end
        line, added, here, put, lost = Signal(bits - KIND_BITS), *(Signal() for _ in range(4))
        is_kind = {kind: said.data[:KIND_BITS] == kind for kind in Spoil}
        in_row = (event.c >= self.row[0]) & (event.x >= self.row[1]) & ~end
        m.d.comb += [
            here.eq(line == said.data[KIND_BITS:]),
            put.eq(here & ~added & (is_kind[Spoil.EARLY] | (is_kind[Spoil.DOUBLED] & end))),
            lost.eq(
                here
                & (
                    (end & is_kind[Spoil.DROPPED])
                    | (end & is_kind[Spoil.EARLY] & added)
                    | (in_row & is_kind[Spoil.ROW_LOST])
                )
            ),
            self.spoilt.payload.eq(event),
            self.spoilt.payload.end.eq(end | put),
            self.spoilt.valid.eq(self.events.valid & ~lost),
            self.events.ready.eq(lost | (self.spoilt.ready & ~put)),
        ]
        with m.If(self.events.valid & self.spoilt.ready & put):
            m.d.sync += added.eq(1)
        with m.If(self.events.valid & self.events.ready & end):
            m.d.sync += [added.eq(0), line.eq(line + 1)]
            with m.If(line == self.lines - 1):
                m.d.sync += line.eq(0)
        return m


class SpoiltTop(Top):
    """The network with a `Spoiler` in each stream of lines."""

    def passed(self, m: Module, name: str, branch: int, sent: stream.Interface) -> stream.Interface:
        needs = marks_needed_of(self.network, self.plans).get(name)
        if needs is None:
            return sent
        plan, row, burst = self.plans.get(name), (0, 0), 0
        if plan is not None:
            layout, burst = plan.layout, plan.burst
            row = ((layout.groups - 1) * layout.lanes, (layout.columns - 1) * layout.block[1])
        spoiler = Spoiler(population=self.network[name], burst=burst, lines=max(needs), row=row)
        m.submodules[f"spoiler_{name}_{branch}"] = spoiler
        connect(m, sent, spoiler.events)
        return spoiler.spoilt


def marks_needed_of(network: Network, plans: Mapping[str, LayerPlan]) -> dict[str, list[int]]:
    """How many marks of a population complete a line of a target, where there is more than one."""
    found: dict[str, set[int]] = {p.name: set() for p in network.populations}
    for plan in plans.values():
        for projection, needs in zip(plan.projections, marks_needed(plan), strict=True):
            found[projection.source] |= set(needs.tolist())
    return {name: sorted(needs) for name, needs in found.items() if max(needs, default=1) > 1}


def spoil_bits(lines: int) -> int:
    """Bits of a spoiler's memory: the kind, above it the line."""
    return KIND_BITS + max(1, unsigned_bits(lines - 1))


def spoil_file(name: str) -> str:
    """The memory file of the spoilers of a population."""
    return f"{name}.marks.mem"
