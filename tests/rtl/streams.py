"""Drives one stream into a component and gathers another, with random pauses on both."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from amaranth.sim import Simulator


def transfer(
    component: Any,
    source: Any,
    sink: Any,
    payloads: Sequence[Any],
    *,
    expected: int,
    stalls: float = 0.0,
    seed: int = 0,
    patience: int = 200,
    finish: Callable[[Any], None] = lambda context: None,
) -> list[Any]:
    """Sends `payloads` into `source`; returns what `sink` gave: `expected` payloads and any more.

    Waits `patience` cycles after the last transfer, so that surplus payloads are seen; `finish` can
    then look at the component.
    """
    chance = random.Random(seed)
    got: list[Any] = []

    async def drive(context: Any) -> None:
        sent, quiet, offered = 0, 0, False
        while quiet < patience:
            offered = offered or (sent < len(payloads) and chance.random() >= stalls)
            context.set(source.valid, int(offered))
            if offered:
                context.set(source.payload, payloads[sent])
            context.set(sink.ready, int(chance.random() >= stalls))
            quiet += 1
            if offered and context.get(source.ready):
                sent, quiet, offered = sent + 1, 0, False
            if context.get(sink.valid) and context.get(sink.ready):
                got.append(context.get(sink.payload))
                quiet = 0
            await context.tick()
        finish(context)
        assert sent == len(payloads), f"only {sent} of {len(payloads)} payloads were taken"
        assert len(got) >= expected, f"only {len(got)} of {expected} payloads came out"

    simulator = Simulator(component)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    return got
