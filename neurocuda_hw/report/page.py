"""The page: facts and figures made into values, which the template only sets in type."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.files import check_writable, write_file
from neurocuda_hw.ground.words import some
from neurocuda_hw.project.build import PAGE
from neurocuda_hw.report import figures
from neurocuda_hw.report.chip_page import chip_sections
from neurocuda_hw.report.cost_page import (
    CLOCK,
    accuracy_sections,
    burst_sections,
    clock_words,
    device_sections,
    time_table,
)
from neurocuda_hw.report.drawing import network_figure
from neurocuda_hw.report.elements import Draw, Plot, Section, Table
from neurocuda_hw.report.facts import Facts, LayerFacts, read_facts
from neurocuda_hw.report.style import figure_bytes, inline_svg, shared
from neurocuda_hw.report.verdict import CheckRow, Verdict, judge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS = {
    "verified": "\u2713",
    "different": "\u2717",
    "outdated": "!",
    "partial": "!",
    "unverified": "?",
}
TIMES, MINUS, DASH = "\u00a0\u00d7\u00a0", "\u2212", "\u2013"


def report(
    folder: str | Path,
    output: str | Path | None = None,
    *,
    png: bool = False,
    sample: int = 0,
    clock: float = CLOCK,
) -> Path:
    """Writes the page of a build folder.

    Parameters
    ----------
    folder : path
        What `build` wrote, for any target.
    output : path, optional
        Default: ``report.html`` in the folder.
    png : bool
        Plots as PNG instead of SVG.
    sample : int
        The golden inference whose every spike is drawn.
    clock : float
        MHz at which cycles are told as milliseconds: an assumption, and the page says so.

    Raises
    ------
    ModelError, DataError
        If it is no build folder, or is damaged; if it has no such sample.
    OutputError
        If the page cannot be written.
    """
    path = Path(folder) / PAGE if output is None else Path(output)
    facts = read_facts(folder)
    check_writable(path)
    write_file(path, render(facts, png=png, sample=sample, clock=clock).encode())
    return path


def render(facts: Facts, *, png: bool = False, sample: int = 0, clock: float = CLOCK) -> str:
    """The page as HTML, the same for the same folder."""
    if facts.trace is not None:
        figures.chosen_sample(facts.trace, sample)
    if not 0 < clock < float("inf"):
        raise DataError(f"clock must be positive MHz, not {clock!r}")
    draw = _drawer(png)
    verdict = judge(facts)
    sections = [_network(facts, draw), *accuracy_sections(facts)]
    sections += [*_activity(facts, draw, sample), *_cycles(facts, verdict, draw, clock)]
    sections += [
        *burst_sections(facts),
        *device_sections(facts),
        *_schedule(facts),
        *chip_sections(facts, draw),
        _verification(facts, verdict),
        *_origin(facts),
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("neurocuda_hw.report"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        name=facts.network.name,
        target=", ".join(part.title for part in facts.parts) or facts.target,
        network_hash=facts.network.hash[:16],
        verdict=verdict,
        mark=MARKS[verdict.state],
        tiles=_tiles(facts, verdict, clock),
        sections=sections,
    )


def _drawer(png: bool) -> Draw:
    def draw(figure: Figure, caption: str) -> Plot:
        if not png:
            return Plot(element=Markup(inline_svg(figure, caption)), caption=caption)
        data = base64.b64encode(figure_bytes(figure, "png")).decode()
        element = Markup('<img alt="{}" style="{}" src="data:image/png;base64,{}">').format(
            caption, shared(figure), data
        )
        return Plot(element=element, caption=caption)

    return draw


def _tiles(facts: Facts, verdict: Verdict, clock: float) -> list[tuple[str, str, str]]:
    """The few numbers on top: value, unit, what it is."""
    layers = facts.layers
    found = []
    accuracy = facts.report.get("conversion", {}).get("integer_accuracy")
    if accuracy is not None:
        found.append((f"{accuracy:.2f}", "%", "accuracy on test data"))
    found += [
        (f"{sum(p.size for p in facts.network.targets):,}", "", "neurons"),
        (f"{sum(a.weights for a in layers):,}", "", "weights"),
        (f"{facts.network.timesteps}", "", "steps per inference"),
    ]
    if facts.trace is not None:
        spikes = sum(a.spikes for a in layers if a.sends and a.weights)
        found.append((f"{spikes:,.0f}", "", f"spikes per inference, of {facts.trace.samples}"))
    measured = _measured(verdict)
    pace = measured.cycles if measured else facts.pace
    if pace:
        how = "measured" if measured else "predicted"
        found.append((f"{pace:,.1f}", "", f"cycles per inference, {how}"))
        found.append(
            (f"{pace / clock / 1e3:,.4f}", "ms", f"per inference at {clock:g} MHz, assumed")
        )
    folding = facts.report.get("folding")
    if folding is not None:
        found.append((f"{folding['luts']:,}", "LUT", f"of {folding['device']}, predicted"))
        found.append((f"{folding['blocks']:,g}", folding["block"], "predicted"))
    if facts.loihi is not None:
        found.append(
            (f"{facts.loihi['ns_per_inference'] / 1e3:,.1f}", "µs", "per inference, modelled")
        )
        found.append(
            (f"{facts.loihi['pj_per_inference'] / 1e6:,.2f}", "µJ", "dynamic energy, modelled")
        )
    return found


def _measured(verdict: Verdict) -> CheckRow | None:
    """The equal run of this build in which cycles were counted."""
    for row in verdict.rows:
        if row.verdict == "equal" and row.cycles:
            return row
    return None


def _network(facts: Facts, draw: Draw) -> Section:
    heads = ("population", "neuron", "shape", ">neurons", ">weights", ">weight bits")
    heads += (">membrane, proved", ">bits", ">steps", *((">lanes",) if _lanes(facts) else ()))
    rows = tuple(_layer(a) + ((str(a.lanes or ""),) if _lanes(facts) else ()) for a in facts.layers)
    return Section(
        title="Network",
        lead=f"{facts.network.name}, {some(facts.network.timesteps, 'step')} per inference. The "
        "membrane's range is proved for every input, and its width follows from it: "
        "nothing can overflow.",
        plots=(
            draw(
                network_figure(facts.network),
                "Populations from input to output, and the synapses between them.",
            ),
        ),
        tables=(Table(heads=heads, rows=rows),),
    )


def _lanes(facts: Facts) -> bool:
    return any(a.lanes for a in facts.layers)


def _layer(layer: LayerFacts) -> tuple[str, ...]:
    low, high = layer.membrane
    return (
        layer.name,
        layer.kind,
        TIMES.join(map(str, layer.shape)),
        f"{layer.neurons:,}",
        f"{layer.weights:,}" if layer.weights else "",
        str(layer.weight_bits or ""),
        f"{low:,} to {high:,}".replace("-", MINUS) if layer.membrane_bits else "",
        str(layer.membrane_bits or ""),
        _steps(layer),
    )


def _steps(layer: LayerFacts) -> str:
    first, last = layer.window[0], layer.window[1] - 1
    return str(first) if first == last else f"{first}{DASH}{last}"


def _activity(facts: Facts, draw: Draw, sample: int) -> list[Section]:
    if facts.trace is None:
        return []
    heads = ("population", ">events per inference", ">fewest", ">most", ">neurons that send, %")
    rows = tuple(
        (a.name, f"{a.spikes:,.1f}", f"{a.least:,}", f"{a.most:,}", f"{100 * a.rate:.2f}")
        for a in facts.layers
        if a.sends
    )
    network, trace = facts.network, facts.trace
    return [
        Section(
            title="Activity",
            lead=f"Events of the golden trace's {some(trace.samples, 'inference')}: spikes, and "
            f"inputs that are not zero{_of_inputs(facts)}. The last column counts the steps in "
            "which a layer may fire.",
            plots=(
                draw(
                    figures.activity_figure(network, trace),
                    "Share of each layer that sends an event in each step, mean of "
                    f"{some(trace.samples, 'inference')}; and events per inference.",
                ),
                draw(
                    figures.raster_figure(network, trace, sample),
                    f"Every event of golden inference {sample}; its largest output is number "
                    f"{int(trace.outputs[sample].argmax())}.",
                ),
            ),
            tables=(Table(heads=heads, rows=rows),),
        )
    ]


def _of_inputs(facts: Facts) -> str:
    """Where the golden inputs came from, where the build says so."""
    inputs = facts.report.get("golden", {}).get("inputs")
    return f" (inputs: {inputs})" if inputs else ""


def _cycles(facts: Facts, verdict: Verdict, draw: Draw, clock: float) -> list[Section]:
    predicted = {a.name: a.cycles for a in facts.layers if a.cycles is not None}
    if not predicted or facts.pace is None:
        return []
    measured = _measured(verdict)
    lead = (
        "Predicted from the golden trace: rows of weights that events visit and rows of state that "
        "sweeps walk, one a cycle. Layers work at the same time, so the slowest sets the pace: "
        f"{facts.pace:,.0f} cycles per inference."
    )
    caption = "Predicted cycles per inference of each layer"
    if measured is None:
        lead += " Nothing has been measured on this build yet." + clock_words(clock)
        figure = figures.cycles_figure(predicted, None)
        return [_time(lead, [draw(figure, f"{caption}.")], time_table(facts, None, clock))]
    lead += (
        f" Measured in simulation: {measured.cycles:,.1f} cycles per inference, "
        f"{measured.cycles / facts.pace:.2f} times that; {measured.latency:,} from the first input "
        "to the first result." + clock_words(clock)
    )
    figure = figures.cycles_figure(predicted, measured.cycles)
    plots = [draw(figure, f"{caption}; the dashed line is the whole network, measured.")]
    if measured.activity:
        plots.append(
            draw(
                figures.states_figure(measured.activity, predicted),
                "Starved: waits for its source. Stalled: what follows has no room. Bubble: neither "
                "works nor waits.",
            )
        )
    return [_time(lead, plots, time_table(facts, measured, clock))]


def _time(lead: str, plots: list[Plot], table: Table) -> Section:
    return Section(title="Time", lead=lead, plots=tuple(plots), tables=(table,))


def _schedule(facts: Facts) -> list[Section]:
    """What the C++ asks of the vendor's tool, and why."""
    asked = facts.report.get("hls")
    if asked is None:
        return []
    tables = tuple(schedule_tables(asked).values())
    lead = (
        "What the C++ asks of Vitis HLS: cycles from one iteration of a loop to the next, "
        "iterations in a step, and to the nearest dependence through memory; FIFOs; memories. "
        "No vendor tool has been run."
    )
    return [Section(title="Schedule", lead=lead, tables=tables)]


def schedule_tables(asked: dict[str, Any]) -> dict[str, Table]:
    """The tables of `hls.schedule`."""
    heads = {
        "loops": ("process", "loop", ">interval", ">least", ">most", ">distance", "reason"),
        "fifos": ("name", ">words", ">needed", "reason"),
        "memories": ("name", ">rows", ">bits", "storage", "reason"),
    }
    return {
        what: Table(
            heads=names,
            rows=tuple(
                tuple(_told(row[n.removeprefix(">")]) for n in names) for row in asked[what]
            ),
        )
        for what, names in heads.items()
    }


def _told(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _verification(facts: Facts, verdict: Verdict) -> Section:
    heads = ("check", "what was compared", "verdict", ">inferences", ">spikes", ">cycles", "inputs")
    rows: tuple[tuple[str, ...], ...] = tuple(
        (
            row.target,
            row.what,
            row.verdict,
            f"{row.samples:,}",
            f"{row.spikes:,}",
            f"{row.cycles:,.1f}" if row.cycles else "",
            row.golden,
            row.when,
        )
        for row in verdict.rows
    )
    if verdict.broken:
        told = "designs that were broken on purpose, in the Verilog's bench"
        rows += (("mutants", told, verdict.broken, *[""] * 5),)
    lead = "Each check compares every spike of every layer, and every output, with a golden trace."
    if not rows:
        lead = "No check of this folder is on record."
    tables = (Table(heads=(*heads, "when"), rows=rows),) if rows else ()
    return Section(title="Verification", lead=lead, tables=tables)


def _origin(facts: Facts) -> list[Section]:
    tables = []
    tools = facts.report.get("tools")
    if isinstance(tools, dict) and tools:
        rows = tuple((str(k), str(v)) for k, v in tools.items())
        tables.append(Table(heads=("tool", "version"), rows=rows))
    sizes = facts.report.get("sizes")
    if isinstance(sizes, dict) and sizes:
        rows = tuple(
            (str(k).replace("_", " "), f"{v:,}")
            for k, v in sizes.items()
            if isinstance(v, (int, float))
        )
        tables.append(Table(heads=("size", ">value"), rows=rows))
    if not tables:
        return []
    return [Section(title="Made with", tables=tuple(tables))]
