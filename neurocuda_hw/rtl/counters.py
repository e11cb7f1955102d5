"""Many 32-bit counters for the price of one: short ones that count, a memory that adds them up.

::

    increments -> short counters -> one after another -> (+) <-> memory -> reads

Each counter has a few bits of its own. A scan visits them one per cycle, moves what it finds to the
counter's word in a memory, and leaves 0. So there is one adder and no multiplexer of 32-bit words,
whatever the number of counters. Totals wrap at 2**32.
"""

from __future__ import annotations

from amaranth import Elaboratable, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.rtl.memory import Ram

BITS = 32


class Counters(Component):
    """Counters at some addresses of a memory.

    Parameters
    ----------
    highest : dict of int to int
        By address: the most that this counter can grow in one cycle.
    depth : int
        Addresses, 2 or more; those without a counter hold 0.

    Members
    -------
    count : In
        Increments count in this cycle.
    clear : In
        Everything starts from 0 with the next cycle.
    increments : In
        Of every counter, by growing address, the first in the lowest bits.
    address, read : In
        `read` asks for a counter's total, at most once in `READ_CYCLES` cycles and not while
        `busy`; `address` must stay until the total is there.
    data : Out
        The total, two cycles after `read`. It lacks what the scan has not collected yet: at most
        the last 2 * depth + 2 cycles, nothing once `settled`.
    busy : Out
        A clear, or the one after a reset, is under way: depth cycles.
    settled : Out
        Nothing has been counted for so long that totals are complete.
    """

    READ_CYCLES = 4

    def __init__(self, *, highest: dict[int, int], depth: int) -> None:
        if depth < 2:
            raise ValueError(f"depth must be at least 2, not {depth!r}")
        self.highest, self.depth = dict(sorted(highest.items())), depth
        # a read takes two visits away in four cycles at most
        longest = 2 * depth + 2
        self.short_bits = {a: (longest * most).bit_length() for a, most in self.highest.items()}
        super().__init__(
            {
                "count": In(1),
                "clear": In(1),
                "increments": In(sum(most.bit_length() for most in self.highest.values())),
                "address": In((depth - 1).bit_length()),
                "read": In(1),
                "data": Out(BITS),
                "busy": Out(1, init=1),
                "settled": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.totals = totals = Ram(width=BITS, depth=self.depth)
        place = Signal(range(self.depth))
        reading = Signal()
        visit, wraps = Signal(), Signal()
        m.d.comb += [
            # the cycle before a read lets the last visit's sum get into the memory
            visit.eq(~self.read & ~reading),
            wraps.eq(visit & (place == self.depth - 1)),
            totals.read_address.eq(Mux(reading, self.address, place)),
            self.data.eq(totals.read_data),
        ]
        m.d.sync += reading.eq(self.read)
        found = self._short_counters(m, place, visit)
        # one cycle later: the memory's word and what was found are added
        added, added_to = Signal(len(found)), Signal.like(place)
        adds, fresh = Signal(), Signal()
        m.d.sync += [added.eq(found), added_to.eq(place), fresh.eq(self.busy)]
        m.d.sync += adds.eq(visit & ~self.clear)
        m.d.comb += [
            totals.write.eq(adds),
            totals.write_address.eq(added_to),
            totals.write_data.eq(Mux(fresh, 0, totals.read_data) + added),
        ]
        with m.If(self.clear):
            m.d.sync += [place.eq(0), self.busy.eq(1)]
        with m.Elif(visit):
            m.d.sync += place.eq(place + 1)
            with m.If(wraps):
                m.d.sync += [place.eq(0), self.busy.eq(0)]
        still = Signal(2)  # ends of scans since anything last could count
        m.d.comb += self.settled.eq(still == 2)
        with m.If(self.count | self.clear | self.busy):
            m.d.sync += still.eq(0)
        with m.Elif(wraps & ~self.settled):
            m.d.sync += still.eq(still + 1)
        return m

    def _short_counters(self, m: Module, place: Signal, visit: Signal) -> Signal:
        """Lets the short counters count; returns what stands in the one at `place`."""
        found = Signal(max(self.short_bits.values()))
        shorts, at = {}, 0
        for address, bits in self.short_bits.items():
            shorts[address] = short = Signal(bits, name=f"short_{address}")
            width = self.highest[address].bit_length()
            grows = Mux(self.count, self.increments[at : at + width], 0)
            taken = visit & (place == address)
            m.d.sync += short.eq(Mux(self.clear, 0, Mux(taken, 0, short) + grows))
            at += width
        with m.Switch(place):
            for address, short in shorts.items():
                with m.Case(address):
                    m.d.comb += found.eq(short)
        return found
