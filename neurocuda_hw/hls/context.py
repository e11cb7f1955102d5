"""The plain values that the templates show: names, types, numbers, tables; no decision is left."""

from __future__ import annotations

from collections.abc import Iterator

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.hls.plan import Edge, HlsLayer, HlsPlan
from neurocuda_hw.hls.streams import event_of, namespace, outs_of, stream_name, streams_of
from neurocuda_hw.hls.tables import (
    BLOCK_RAM_BITS,
    Values,
    constants,
    levels,
    lookup,
    parameters,
    read,
    summed,
    tables_of,
    terms,
    weights_of,
)
from neurocuda_hw.host.facts import facts_of
from neurocuda_hw.network import Network, Population, wire
from neurocuda_hw.network.neurons import Reset
from neurocuda_hw.network.ranges import population_ranges
from neurocuda_hw.passes.queues import limits_input

MASK_DEPTH = 8  # rows of spikes that wait while single events leave


def word_bits(network: Network) -> int:
    """Width of TDATA: 32, or 64 where an event or a value needs more."""
    return wire.word_bits(network, population_ranges(network, network.output).membrane.bits)


def context(plan: HlsPlan) -> Values:
    """All values of ``nchw_top.cpp`` and its companions."""
    network = plan.network
    numbers = {p.name: i for i, p in enumerate(p for p in network.populations if p.spiking)}
    streams = streams_of(plan)
    layers = {
        name: _layer(plan, layer, numbers.get(name, -1), streams)
        for name, layer in plan.layers.items()
    }
    processes = [_process(plan, process, streams, layers) for process in plan.processes]
    last = plan.layers[network.output.name]
    return {
        "hash": network.hash[:12],
        "network_id": network.hash[:16],
        "host": facts_of(network, word_bits(network)),
        "name": network.name,
        "steps": plan.steps,
        "timesteps": network.timesteps,
        "merged": plan.bursts.merged,
        "packet_steps": "PACKET_STEPS" if plan.bursts.merged else "STEPS",
        "bursts": bool(plan.bursts.counts),
        "word_bits": word_bits(network),
        "input": _events(network.input),
        "end_word": f"uint{word_bits(network)}_t(1) << {_events(network.input)['end']}",
        "sources": list(_senders(plan)),
        "layers": [layers[name] for process in plan.processes for name in process],
        "processes": processes,
        "streams": [s for s in streams if not s["local"]],
        "reader": _reader(network, outs_of(streams, network.input.name)),
        "output": _output(network, last),
        "most_words": network.timesteps * (network.input.size + 1),
        "spiking": [_tapped(plan, p) for p in network.populations if p.spiking],
    }


def _senders(plan: HlsPlan) -> Iterator[Values]:
    """Every kind of event that travels."""
    counts = plan.bursts.counts
    for population in plan.network.populations:
        if population.name in counts:
            yield _events(population, counts[population.name])
        if not population.readout and population.name not in set(counts) - plan.expanded:
            yield _events(population)


def _reader(network: Network, outs: list[Values]) -> Values:
    """What the input may send; see the rule for packets in docs/hardware.md."""
    source, arrivals = network.input, network.arrivals
    places = zip("cyx", source.chw, wire.address_bits(source), strict=True)
    outside = [f"step < {arrivals.start}"] if arrivals.start else []
    outside += [f"step >= {arrivals.stop}"] if arrivals.stop < network.timesteps else []
    return {
        "outs": outs,
        "keep": 2 ** (word_bits(network) // 8) - 1,
        "misses": [f"e.{name} >= {size}" for name, size, bits in places if size < 2**bits],
        "outside": outside,
        "window": f"steps {arrivals.start} to {arrivals.stop - 1}",
        "most": source.size if limits_input(network) else None,
    }


def _tapped(plan: HlsPlan, population: Population) -> Values:
    c, h, w = population.chw
    return {
        "burst": plan.bursts.counts.get(population.name, 0),
        "start": plan.network.window(population.name).start,
        "name": population.name,
        "flat": "true" if len(population.shape) == 1 else "false",
        "size": population.size,
        "chw": f"{c}, {h}, {w}",
    }


def _events(population: Population, burst: int = 0) -> Values:
    """An event's fields and their place in a word; above them its end."""
    c, y, x = wire.address_bits(population)
    bits, signed = wire.payload_bits(population, burst), wire.payload_signed(population)
    fields: list[Values] = []
    low = 0
    for name, width in (("x", x), ("y", y), ("c", c)):
        if width:
            unpacked = f"bits{f' >> {low}' if low else ''} & {2**width - 1}"
            kind = f"wire_u<{width}>"
            fields.append({"name": name, "type": kind, "low": low, "unpacked": unpacked})
        low += width
    if bits:
        kind = f"wire_s<{bits}>" if signed else f"wire_u<{bits}>"
        held = f"int_w<{bits}>" if signed else f"uint_w<{bits}>"
        unpacked = f"{held}(bits >> {low})"
        fields.append({"name": "value", "type": kind, "low": low, "unpacked": unpacked})
        low += bits
    names = ["end", *(field["name"] for field in reversed(fields))]
    return {
        "name": population.name,
        "namespace": namespace(population.name),
        "event": event_of(burst),
        "burst": burst,
        "shape": " x ".join(map(str, population.shape)),
        "size": population.size,
        "fields": fields,
        "end": low,
        "layout": f"{{{', '.join(names)}}}",
    }


def _output(network: Network, layer: HlsLayer) -> Values:
    population = network.output
    c, h, w = population.chw
    return {
        "name": population.name,
        "namespace": namespace(population.name),
        "spiking": population.spiking,
        "events": _events(population),
        "size": population.size,
        "most": network.timesteps * (population.size + 1),
        "flat": "true" if len(population.shape) == 1 else "false",
        "chw": f"{c}, {h}, {w}",
        "bits": ", ".join(map(str, wire.address_bits(population))),
    }


def _layer(whole: HlsPlan, layer: HlsLayer, number: int, streams: list[Values]) -> Values:
    population, plan, layout = layer.population, layer.plan, layer.plan.layout
    neuron = population.neuron
    found = parameters(layer)
    members = layout.channels - (layout.groups - 1) * layout.lanes
    cuba = neuron.current_leak is not None
    states: list[Values] = [{"type": "v_t", "name": "v", "bits": layer.v_bits}]
    if cuba:
        states.append({"type": "u_t", "name": "u", "bits": layer.u_bits})
    if layer.held_bits:
        states.append({"type": "held_t", "name": "held", "bits": layer.held_bits})
    for state in states:
        large = layout.rows * layout.lanes * state["bits"] > BLOCK_RAM_BITS
        state["ram"] = "bram" if large else "lutram"
    masked = members < layout.lanes
    return {
        **_events(population, plan.burst),
        **_bursts(whole, layer),
        "kind": type(neuron).__name__,
        "number": number,
        "outs": outs_of(streams, population.name),
        "expands": outs_of(streams, population.name, expanded=True),
        "index": _index(population),
        "readout": neuron.readout,
        "cuba": cuba,
        "channels": layout.channels,
        "groups": layout.groups,
        "lanes": layout.lanes,
        "rows": layout.rows,
        "row_bits": unsigned_bits(layout.rows),
        "lane_bits": max(1, unsigned_bits(layout.lanes - 1)),
        "v_bits": layer.v_bits,
        "u_bits": layer.u_bits,
        "states": states,
        "roms": [rom for _, rom in found if rom is not None],
        **{
            p.name: f"{p.name.upper()}" if rom is None else lookup(rom, layout.groups)
            for p, rom in found
        },
        "constants": constants(layer),
        "members": members,
        "masked": masked,
        "resets_to_zero": plan.reset is Reset.ZERO,
        "subtracts": plan.reset is Reset.SUBTRACT,
        "biased": bool(plan.bias.rows.any()),
        "leaks_v": plan.keep is not None,
        "leaks_u": plan.keep_synaptic is not None,
        "floored": plan.v_floor is not None,
        "held": layer.held_bits > 0,
        "sweeps": layer.sweeps > 0,
        "first_sweep": layer.first_sweep,
        "last_sweep": plan.last_sweep,
        "fire_start": plan.fire_start,
        "fire_stop": plan.fire_stop,
        **_mask(layer),
        **_counters(layer),
        "edges": [_edge(layer, edge) for edge in layer.edges],
    }


def _bursts(whole: HlsPlan, layer: HlsLayer) -> Values:
    """How a layer divides, and what its expander holds."""
    plan, population = layer.plan, layer.population
    window = whole.network.window(population.name)
    counted = sum(plan.division) or plan.burst
    multiple = plan.threshold.bits + unsigned_bits(max(plan.division, default=1))
    held = population.size * wire.event_bits(population, plan.burst)
    return {
        "maximum": plan.maximum,
        "division": plan.division,
        "rest_bits": max(layer.v_bits, multiple) + 1,
        "counted_bits": unsigned_bits(counted),
        "count_bits": unsigned_bits(plan.burst),
        "clips": counted > plan.burst,
        "window": f"step >= {window.start} && step < {window.stop}",
        "since": f"step - {window.start}" if window.start else "step",
        "event_end": sum(wire.address_bits(population)),
        "held_ram": "bram" if held > BLOCK_RAM_BITS else "lutram",
    }


def _index(population: Population) -> str:
    """The flat index of the neuron of an event `e`, in C++."""
    c, y, x = (
        f"int(e.{axis})" if size > 1 else "0"
        for axis, size in zip("cyx", population.chw, strict=True)
    )
    _, height, width = population.chw
    return c if height * width == 1 else f"({c} * {height} + {y}) * {width} + {x}"


def _counters(layer: HlsLayer) -> Values:
    """What counts beside the rows of a sweep, innermost first, and the step to the next row."""
    layout, readout = layer.plan.layout, layer.population.readout
    sizes = {"g": layout.groups}
    if not readout:  # which has no masks to place
        sizes |= {"x": layout.width, "y": layout.height}
    counted = {name: size for name, size in sizes.items() if size > 1}
    advance = ""
    for name, size in reversed(counted.items()):
        advance = f"if (++{name} == {size}) {{ {name} = 0; {advance}}} "
    return {"counted": list(counted), "advance": advance.rstrip()}


def _mask(layer: HlsLayer) -> Values:
    """Where a row's neurons stand, as one word, and the event of a lane made of it."""
    population, layout = layer.population, layer.plan.layout
    c_bits, y_bits, x_bits = wire.address_bits(population)
    g_bits, within = unsigned_bits(layout.groups - 1), x_bits + y_bits
    places = [(n, bits) for n, bits in (("x", x_bits), ("y", y_bits), ("g", g_bits)) if bits]
    terms_of = []
    low = 0
    for name, bits in places:
        terms_of.append(f"place_t({name})" + (f" << {low}" if low else ""))
        low += bits
    group = f"(place >> {within} & {2**g_bits - 1}) * LANES + " if g_bits else ""
    words = [f"word_t(c) << {within}"] if c_bits else []
    words += [f"word_t(place & {2**within - 1})"] if within else []
    names = ["end", *(name for name, _ in reversed(places))]
    return {
        "place_bits": low + 1,
        "place_layout": f"{{{', '.join(names)}}}",
        "place": " | ".join(terms_of) if terms_of else "place_t(0)",
        "place_end": f"uint_w<{low + 1}>(1) << {low}",
        "channel": f"{group}lane" if c_bits else "",
        "channel_bits": c_bits,
        "word": " | ".join(words) if words else "0",
    }


def _edge(layer: HlsLayer, edge: Edge) -> Values:
    part = edge.fanout
    tables = {rom.name: rom for rom in tables_of(layer.population.name, edge)}
    weights = weights_of(layer.population.name, edge)
    value_bits = wire.payload_bits(edge.source, edge.burst)
    product_bits = weights.bits + value_bits + (not wire.payload_signed(edge.source))
    delay = edge.projection.delay
    state = _state(layer, edge)
    distance = _distance(layer, edge)
    return {
        "name": f"add_{edge.source.name}_{edge.number}",
        "stream": stream_name(edge),
        "source": edge.source.name,
        "namespace": namespace(edge.source.name),
        "event": event_of(edge.burst),
        "kind": str(edge.projection.synapse),
        "state": state,
        "state_bits": layer.held_bits if edge.held else (layer.u_bits or layer.v_bits),
        "delay": delay,
        "words": edge.words,
        "iterations": edge.iterations,
        "endless": edge.endless,
        "most_rows": int(part.visits().max()),
        "weights": weights,
        "weight_row_bits": max(1, unsigned_bits(len(part.weights) - 1)),
        "tables": list(tables.values()),
        "value": value_bits > 0,
        "maximum": layer.plan.maximum,
        "product_bits": layer.v_bits if layer.plan.maximum else product_bits,
        "first_row": summed(terms(edge, tables, "row")),
        "first_weight": summed(terms(edge, tables, "weight")),
        "misses": [
            f"{read(rom, axis)} == 0"
            for axis in ("y", "x")
            if (rom := tables.get(f"{axis}_count_{edge.number}")) and not rom.values.all()
        ],
        "never": bool((part.visits() == 0).all()),
        "levels": levels(edge, tables),
        "forwards": distance is None,
        "distance": 3 if distance is None else distance,
    }


def _state(layer: HlsLayer, edge: Edge) -> str:
    """The state that events of `edge` add to."""
    return "held" if edge.held else "u" if layer.u_bits else "v"


def _distance(layer: HlsLayer, edge: Edge) -> int | None:
    """Rows between two visits of one row, where every event visits all rows in order."""
    rows = layer.plan.layout.rows
    all_rows = bool((edge.fanout.visits() == rows).all())
    return rows if all_rows and rows >= 3 else None


def _process(
    plan: HlsPlan,
    process: tuple[str, ...],
    streams: list[Values],
    layers: dict[str, Values],
) -> Values:
    """One box of the data flow: a layer, or the members of a recurrent loop."""
    readout = plan.network[process[0]].readout
    ins = [s for s in streams if s["target"] in process and not s["local"]]
    outs = [s for s in outs_of(streams, *process) if not s["local"]]
    local = [s for s in streams if s["source"] in process and s["local"]]
    members = [
        {
            "name": name,
            "namespace": namespace(name),
            "ins": [
                {
                    "name": stream_name(e),
                    "add": f"add_{e.source.name}_{e.number}",
                    "delay": e.projection.delay,
                    "state": _state(plan.layers[name], e),
                }
                for e in plan.layers[name].edges
            ],
            "outs": outs_of(streams, name),
            "rows": plan.layers[name].plan.layout.rows,
            "layer": layers[name],
        }
        for name in process
    ]
    return {
        "name": process[0],
        "readout": readout,
        "loop": plan.loops(process),
        "members": members,
        "expands": outs_of(streams, *process, expanded=True),
        "ins": ins,
        "outs": outs,
        "local": local,
        "late": [s for s in (*ins, *local) if s["delay"]],
        "mask_depth": MASK_DEPTH,
    }
