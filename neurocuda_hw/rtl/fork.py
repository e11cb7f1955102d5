"""The fork: one stream to several, each of which takes every payload when it can."""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out


class Fork(Component):
    """Eager fork: a branch need not wait for the others to take the same payload.

    Members
    -------
    events : In, stream
    branch_0, branch_1, ... : Out, stream
        In the same cycle; the payload is held until every branch has taken it.
    """

    def __init__(self, *, signature: stream.Signature, branches: int) -> None:
        self.branches = branches
        outs = {f"branch_{i}": Out(signature) for i in range(branches)}
        super().__init__({"events": In(signature), **outs})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        taken = Signal(self.branches)
        served = Signal(self.branches)
        for i in range(self.branches):
            branch = getattr(self, f"branch_{i}")
            m.d.comb += [
                branch.payload.eq(self.events.payload),
                branch.valid.eq(self.events.valid & ~taken[i]),
                served[i].eq(taken[i] | branch.ready),
            ]
        m.d.comb += self.events.ready.eq(Cat(served).all())
        with m.If(self.events.valid):
            m.d.sync += taken.eq(served)
            with m.If(self.events.ready):
                m.d.sync += taken.eq(0)
        return m
