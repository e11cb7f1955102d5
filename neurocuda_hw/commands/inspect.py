"""``nchw inspect``: what a network is made of, and what hardware it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurocuda_hw.commands.build import lanes_option
from neurocuda_hw.commands.console import as_json, print_json, print_table, say, there
from neurocuda_hw.commands.folding import (
    Wish,
    bursts_option,
    check_streams,
    device_options,
    fold_for,
    parse_wish,
    show,
    streams_options,
)
from neurocuda_hw.commands.memory_table import memory_facts, show_memories
from neurocuda_hw.commands.networks import (
    Reading,
    comparison_facts,
    is_nir,
    load_network,
    network_options,
    show_comparison,
)
from neurocuda_hw.commands.recording import recorded, show_recording
from neurocuda_hw.commands.stimuli import Cut, Stimulus, stimulus, stimulus_options
from neurocuda_hw.ground.progress import Progress, progress_bar
from neurocuda_hw.ground.words import some
from neurocuda_hw.targets.table import BUILT

if TYPE_CHECKING:
    from neurocuda_hw.network import Network, Population
    from neurocuda_hw.network.trace import Trace
    from neurocuda_hw.passes.choice import Choice
    from neurocuda_hw.targets.built import Built

# share of zeros from which a line says so: a linear map that is no convolution has them
_MOSTLY = 0.5


@click.command()
@click.argument("model", metavar="MODEL", callback=there("model"))
@stimulus_options
@network_options
@click.option(
    "--plot",
    metavar="FILE",
    help="Of a recording: draw its rate over time and its frame: .svg, .png or .pdf.",
)
@lanes_option("Lanes to count cycles for; see 'nchw build'.")
@bursts_option
@streams_options
@click.option(
    "--target",
    type=click.Choice([t.name for t in BUILT.values() if t.scheduled]),
    help="Also show what it asks of the vendor's tool, and why: loops, FIFOs, memories.",
)
@device_options
@as_json
def inspect(
    model: str,
    data: str | None,
    inputs: str | None,
    samples: int | None,
    cut: Cut,
    reading: Reading,
    lanes: int | None,
    bursts: str,
    streams: str,
    input_order: str,
    plot: str | None,
    target: str | None,
    device: str | None,
    target_cycles: int | None,
    fit: bool,
    as_json: bool,
) -> None:
    """Show a network: populations, shapes, weights, proved widths, expected events and cycles.

    MODEL may be a recording of events instead: its rate over time and its frame are drawn.

    Events are measured by running the reference on the inputs named (16 random ones without any).
    Cycles are the bound of each layer at one row of lanes per cycle; layers work at the same time,
    so the slowest one sets the pace. Of a NIR graph a second table says what quantisation cost:
    how many spikes of each layer coincide with those of the graph in floating point.

    With --device, and of a build folder that was made with it, there follow the memories of each
    layer: states, weights, parameters, queues, lists of touched rows.

    \b
    nchw inspect network.pt
    nchw inspect network.pt --data mnist/ --device xczu7ev --target-cycles 90000
    nchw inspect build
    nchw inspect network.pt --data mnist/ --samples 100 --json
    nchw inspect network.pt --target hls
    nchw inspect net.nir --steps 300 --payload-bits 2 --data nmnist/
    nchw inspect recording.raw --step-us 5000 --plot recording.svg
    """
    if recorded(model):
        show_recording(model, cut, plot, as_json)
        return
    if plot is not None:
        raise click.UsageError("--plot is for recordings; 'nchw report' draws networks")
    from neurocuda_hw.project.verify import Subject

    opened = None if is_nir(Path(model)) else Subject.of(model)
    built = opened.built if opened else None
    wish = parse_wish(device, target_cycles, fit, lanes, built.target if built else None)
    if built is not None and (target_cycles or fit or lanes):
        raise click.UsageError(
            "a build has its lanes: --lanes, --target-cycles and --fit need a model"
        )
    loaded = load_network(model, reading, known=opened.network if opened else None)
    if built is not None and data is None and inputs is None:
        given = golden_of(built, samples)
    else:
        given = stimulus(loaded.network, data, inputs, samples, cut)
    loaded = loaded.adjusted(given.inputs)
    network = loaded.network
    check_streams(bursts, streams, input_order)
    with progress_bar(quiet=as_json) as progress:
        design = Design(
            lanes=lanes,
            bursts=bursts,
            streams=streams,
            order=input_order,
            wish=wish,
            built=built,
            progress=progress,
        )
        facts, choice = describe(network, given, design, target)
    compared = loaded.compared(given.inputs, given.labels)
    if compared is not None:
        facts["nir"] = comparison_facts(compared)
    if as_json:
        print_json(facts)
        return
    rows = [
        (
            p["name"],
            p["kind"],
            "x".join(map(str, p["shape"])),
            p["neurons"],
            p["weights"],
            p["weight_bits"],
            p["membrane_bits"],
            f"{p['window'][0]}-{p['window'][1] - 1}",
            _number(p["events"]),
            p["lanes"] or "",
            _number(p["cycles"]),
        )
        for p in facts["populations"]
    ]
    columns = (
        "population",
        "kind",
        "shape",
        ">neurons",
        ">weights",
        ">weight bits",
        ">membrane bits",
        ">steps",
        ">events",
        ">lanes",
        ">cycles",
    )
    print_table(f"{network.name} {network.hash[:12]}, T = {network.timesteps}", columns, rows)
    for projection in facts["projections"]:
        zeros = f", {projection['zeros']:.0%} zeros" if projection["zeros"] > _MOSTLY else ""
        say(f"{projection['from']} -> {projection['to']}: {projection['synapse']}{zeros}")
    say(
        f"Events and cycles: mean of {some(len(given.inputs), 'sample')} ({given.origin}); the "
        f"slowest layer is {facts['slowest']}, {facts['cycles']:,.0f} cycles per inference."
    )
    for told in (facts["bursts"], facts["bursts"].get("streams", {})):
        if told.get("says"):
            say(told["says"])
    if target is not None:
        from neurocuda_hw.report.page import schedule_tables

        for what, table in schedule_tables(facts[target]).items():
            print_table(f"{what} of {target}", table.heads, table.rows)
    if choice.folding is not None:
        show(choice.folding)
    if facts["memories"]:
        show_memories(facts["memories"])
    if compared is not None:
        show_comparison(compared)
    if facts["right"] is not None:
        say(f"{facts['right']} of {some(len(given.inputs), 'sample')} classified as labelled.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Which design of a network is asked for: that of a build folder, or of the options."""

    lanes: int | None
    bursts: str
    streams: str
    order: str
    wish: Wish
    built: Built | None
    progress: Progress

    @property
    def device(self) -> str | None:
        """The part whose memories are counted, if any."""
        told = self.built.report.get("folding") if self.built else None
        return self.wish.device or (told["device"] if told else None)

    def choose(self, network: Network, trace: Trace) -> Choice:
        """The design."""
        from neurocuda_hw.passes.choice import Choice, choose
        from neurocuda_hw.passes.folding import uniform_lanes
        from neurocuda_hw.passes.study import Study, balanced
        from neurocuda_hw.targets.verilog import study_of

        wanted = balanced if self.lanes is None else uniform_lanes(network, self.lanes)
        study = Study(network, trace=trace, lanes=wanted)
        if self.built is not None:
            return Choice(study=study_of(study, self.built))
        fold = partial(fold_for, wish=self.wish, progress=self.progress)
        return choose(
            study,
            self.bursts,
            fold if self.wish.device else None,
            streams=self.streams,
            order=self.order,
        )


def golden_of(built: Built, samples: int | None) -> Stimulus:
    """The inputs of a build's golden trace."""
    from neurocuda_hw.network.trace import load_trace
    from neurocuda_hw.project.build import TRACE

    trace = load_trace(built.path / TRACE).select(slice(0, samples))
    return Stimulus(inputs=trace.inputs, labels=None, origin=f"the folder's own{built.told_inputs}")


def describe(
    network: Network, given: Stimulus, design: Design, target: str | None = None
) -> tuple[dict[str, Any], Choice]:
    """All that the command prints, as plain values, and the design that it is about."""
    from neurocuda_hw.network.ranges import network_ranges
    from neurocuda_hw.network.trace import answers
    from neurocuda_hw.network.wire import address_bits
    from neurocuda_hw.passes.cycles import network_work, slowest
    from neurocuda_hw.passes.devices import find_device
    from neurocuda_hw.reference.reference import Reference

    trace = Reference(network).trace(given.inputs)
    choice, device = design.choose(network, trace), design.device
    study, ranges = choice.study, network_ranges(network)
    events, chosen = study.activity, study.lanes
    work = network_work(study.plans, events)
    pace = slowest(work)
    populations = []
    for population in network.populations:
        name = population.name
        incoming = [p.synapse for p in network.incoming(name)]
        window = network.window(name)
        populations.append(
            {
                "name": name,
                "kind": _kind(population),
                "shape": list(population.shape),
                "neurons": population.size,
                "weights": sum(s.weight.size for s in incoming),
                "weight_bits": max((s.weight_bits for s in incoming), default=0),
                "membrane": [ranges[name].membrane.lowest, ranges[name].membrane.highest],
                "membrane_bits": ranges[name].membrane.bits if incoming else 0,
                "address_bits": sum(address_bits(population)),
                "window": [window.start, window.stop],
                "events": float(events[name].sum()) if name in events else 0.0,
                "lanes": chosen.get(name, 0),
                "burst": study.bursts.counts.get(name, 0),
                "cycles": work[name].bound if name in work else 0.0,
            }
        )
    right = None
    if given.labels is not None:
        right = int((answers(trace.outputs) == given.labels).sum())
    asked = BUILT[target].facts(study) if target else {}
    facts = asked | {
        "name": network.name,
        "hash": network.hash,
        "timesteps": network.timesteps,
        "populations": populations,
        "projections": [
            {
                "from": p.source,
                "to": p.target,
                "delay": p.delay,
                "synapse": _synapse(p.synapse),
                "zeros": float((p.synapse.weight == 0).mean()),
            }
            for p in network.projections
        ],
        "inputs": given.origin,
        "samples": trace.samples,
        "right": right,
        "bursts": choice.facts,
        "slowest": pace,
        "cycles": work[pace].bound,
        "memories": memory_facts(study, find_device(device)) if device else {},
    }
    return facts, choice


def _kind(population: Population) -> str:
    neuron: Any = population.neuron
    name = type(neuron).__name__
    if population.spiking:
        return f"{name} {neuron.reset.value}"
    return f"{name} {neuron.encoding.value}" if hasattr(neuron, "encoding") else name


def _synapse(synapse: Any) -> str:
    parts = [type(synapse).__name__, "x".join(map(str, synapse.weight.shape))]
    if hasattr(synapse, "stride"):
        for what, plain in (("stride", (1, 1)), ("padding", (0, 0)), ("dilation", (1, 1))):
            value = getattr(synapse, what)
            parts += [f"{what} {value[0]}x{value[1]}"] if value != plain else []
        parts += [f"groups {synapse.groups}"] if synapse.groups > 1 else []
    if synapse.pool is not None:
        kernel, stride = synapse.pool.kernel, synapse.pool.stride
        parts.append(f"behind a sum pool {kernel[0]}x{kernel[1]}, stride {stride[0]}x{stride[1]}")
    return ", ".join(parts)


def _number(value: float) -> str:
    return f"{value:,.1f}" if value else ""
