"""The sections on a chip: how the network fits, what it costs, and where each constant is from."""

from __future__ import annotations

from typing import Any

from neurocuda_hw.ground.words import some
from neurocuda_hw.loihi.program import DISCLAIMER
from neurocuda_hw.report import chip
from neurocuda_hw.report.elements import Draw, Section, Table
from neurocuda_hw.report.facts import Facts

EVENTS = {
    "neuron_updates": "neuron updates",
    "active": "of these, of neurons with a bias, state or input",
    "spikes": "spikes",
    "synaptic_ops": "synaptic operations (weights added)",
    "words": "64-bit words of weights read",
    "messages_out": "messages sent",
    "messages_in": "messages received",
    "hops_ew": "hops between tiles, east or west",
    "hops_ns": "hops between tiles, north or south",
}
CONSTANTS = {
    "neuron": "update of an active neuron",
    "idle": "update of an inactive neuron",
    "spike": "spike, on top of the update",
    "dense": "weight added, dense",
    "conv": "weight added, convolution",
    "word": "64-bit word of weights read",
    "send": "message sent",
    "receive": "message received",
    "tile": "message within its last tile",
    "east_west": "hop east or west",
    "north_south": "hop north or south",
}


def chip_sections(facts: Facts, draw: Draw) -> list[Section]:
    """Fit, cost and constants of a build for Loihi; of another build, none."""
    data = facts.loihi
    if data is None:
        return []
    total = data["chip_cores"] * data["chips"]
    chips = f"{data['chips']} chip" + ("s" if data["chips"] > 1 else "")
    fit = Table(
        heads=("population", ">neurons", ">cores", "neuron", "limited by", ">fill"),
        rows=tuple(
            (
                f["population"],
                f"{f['neurons']:,}",
                str(f["cores"] or ""),
                f["kind"],
                f["limited_by"].replace("_", " "),
                f"{f['fill']:.0%}" if f["cores"] else "",
            )
            for f in data["fit"]
        ),
    )
    events = Table(
        heads=("event", ">per inference"),
        rows=tuple(
            (EVENTS.get(name, name), f"{value:,.1f}")
            for name, value in data["events_per_inference"].items()
        ),
    )
    return [
        Section(
            title="Fit",
            lead=f"{data['cores']} of {total} cores of {chips} ({data['chip']}). Each layer takes "
            "as few cores as its limits allow; fill is that of its fullest core.",
            tables=(fit,),
            plots=(
                draw(
                    chip.core_map(data),
                    "Each square is a core, four make a tile; grey cores are free.",
                ),
                draw(
                    chip.busy_map(data),
                    "Modelled time that each core works, over the time of the step.",
                ),
            ),
        ),
        Section(
            title="Time and energy",
            lead=f"{DISCLAIMER[0].upper()}{DISCLAIMER[1:]}. Every event of every core in every "
            "step is counted exactly; its cost is a constant of the profile "
            f"{data['profile']}: {data['structure']}. Mean of "
            f"{some(data['samples'], 'inference')}: {data['ns_per_inference'] / 1e3:,.2f} µs and "
            f"{data['pj_per_inference'] / 1e6:,.3f} µJ dynamic energy each.{_graded(data)}",
            plots=(
                draw(chip.step_figure(data), "Modelled time and dynamic energy of each step."),
                draw(
                    chip.energy_figure(data),
                    "Modelled dynamic energy of an inference, by class of event.",
                ),
            ),
            tables=(events,),
        ),
        Section(
            title="Constants and limits",
            lead="Published: printed by the maker or in a paper of the chip. Fitted: to silicon, "
            "by somebody who had it. Scaled: times a published factor. Assumed: nothing is public.",
            tables=(_constants(data), _limits(data)),
        ),
    ]


def _graded(data: dict[str, Any]) -> str:
    """What graded counts change; empty where there are none."""
    told = data.get("graded_counts")
    if told is None:
        return ""
    without = told["without"]
    return (
        f" {some(len(told['counts']), 'layer')} with one graded spike for all spikes of a neuron "
        f"({told['label']}); without: {without['ns_per_inference'] / 1e3:,.2f} µs and "
        f"{without['pj_per_inference'] / 1e6:,.3f} µJ."
    )


def _constants(data: dict[str, Any]) -> Table:
    rows = [
        (CONSTANTS.get(n, n), f"{c['ns']:.2f}", f"{c['pj']:.2f}", c["label"], c["source"])
        for n, c in data["constants"].items()
    ]
    barrier = data["barrier"]
    for tiles, ns in barrier["points"]:
        what = f"barrier over {tiles:g} tile" + ("s" if tiles != 1 else "")
        rows.append((what, f"{ns:,.2f}", "", barrier["label"], barrier["source"]))
    return Table(heads=("cost of one", ">ns", ">pJ", "label", "source"), rows=tuple(rows))


def _limits(data: dict[str, Any]) -> Table:
    rows = tuple(
        (name.replace("_", " "), f"{x['value']:,}", x["unit"], x["label"], x["source"])
        for name, x in data["limits"].items()
    )
    return Table(heads=("limit", ">value", "unit", "label", "source"), rows=rows)
