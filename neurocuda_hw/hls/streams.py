"""The FIFOs of events between processes, who writes and who reads them, and their depths."""

from __future__ import annotations

from neurocuda_hw.hls.plan import Edge, HlsPlan
from neurocuda_hw.hls.tables import Values
from neurocuda_hw.passes.queues import Read, loop_depth, reading_depths

EVENT_DEPTH = 32  # events that a FIFO between two layers holds: a burst, not a whole step


def namespace(name: str) -> str:
    return f"layer_{name}"  # a population may be called `double`


def event_of(burst: int) -> str:
    return "burst" if burst else "event"


def stream_name(edge: Edge) -> str:
    return f"{edge.source.name}_to_{edge.projection.target}_{edge.number}"


def streams_of(plan: HlsPlan) -> list[Values]:
    """The FIFOs of events in the order of their reading; those inside a loop are local to it."""
    found: list[Values] = [
        _stream(plan, f"{name}_bursts", name, plan.bursts.counts[name])
        for name in sorted(plan.expanded)
    ]
    for process in plan.processes:
        edges = [(i, edge) for i, n in enumerate(process) for edge in plan.layers[n].edges]
        outer = [(i, edge) for i, edge in edges if not edge.inside]
        reads = [
            Read(rank=e.rank, delay=e.projection.delay, words=e.words, later=i > 0)
            for i, e in outer
        ]
        depths = {e.number: d for (_, e), d in zip(outer, reading_depths(reads), strict=True)}
        for place, edge in edges:
            if edge.inside:
                start = process.index(edge.source.name)
                depth = loop_depth(edge.words, edge.projection.delay, start, place)
            else:
                depth = depths[edge.number]
            told = {
                "target": edge.projection.target,
                "local": edge.inside,
                "delay": edge.projection.delay,
                "needed": depth,
                "step": edge.words,
                "depth": max(depth, 2 if edge.inside else EVENT_DEPTH),
            }
            found.append(_stream(plan, stream_name(edge), edge.source.name, edge.burst) | told)
    out = plan.network.output
    if out.spiking:
        found.append(_stream(plan, "result", out.name))
    return found


def _stream(plan: HlsPlan, name: str, source: str, burst: int = 0) -> Values:
    """A FIFO that is read whatever else waits, and of which one word is enough."""
    return {
        "name": name,
        "source": source,
        "expanded": source in plan.expanded and not burst,
        "namespace": namespace(source),
        "event": event_of(burst),
        "target": "",
        "local": False,
        "delay": 0,
        "needed": 1,
        "depth": EVENT_DEPTH,
    }


def outs_of(streams: list[Values], *sources: str, expanded: bool = False) -> list[Values]:
    """Those that `sources` write, or their expanders, in the order that needs most room, as
    hardware writes all at once: the one that is waited for last."""
    found = [s for s in reversed(streams) if s["source"] in sources and s["expanded"] == expanded]
    return sorted(found, key=lambda s: -s["delay"])
