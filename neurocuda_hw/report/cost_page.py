"""The sections on what a build answers and costs: accuracy, time, bursts, the device."""

from __future__ import annotations

from neurocuda_hw.ground.words import some
from neurocuda_hw.report.elements import Section, Table
from neurocuda_hw.report.facts import Facts
from neurocuda_hw.report.verdict import CheckRow

CLOCK = 100.0  # MHz that are assumed where the user says nothing


def accuracy_sections(facts: Facts) -> list[Section]:
    """The trained model beside its integers, and how many golden inferences are right."""
    found, golden = facts.report.get("conversion", {}), facts.report.get("accuracy", {})
    tables, told = [], []
    trained = found.get("ann_accuracy")
    rows = []
    for name, key in (
        ("trained model", "ann_accuracy"),
        ("quantised ANN", "qcfs_accuracy"),
        ("integer network", "integer_accuracy"),
    ):
        value = found.get(key)
        if value is not None:
            off = "" if key == "ann_accuracy" or trained is None else f"{value - trained:+.2f}"
            rows.append((name, f"{value:.2f}", off.replace("-", "\u2212")))
    if rows:
        heads = ("network", ">accuracy, %", ">beside the trained model")
        tables.append(Table(heads=heads, rows=tuple(rows)))
        told.append(f"Test data: {some(found['samples'], 'sample')} of {found['data']}.")
        if found.get("unequal") is not None:
            told.append(
                f"In {found['unequal']:,} of them some spike count or logit is not the quantised "
                f"ANN's ({found['strategy']})."
                if found["unequal"]
                else f"Every spike count and logit is the quantised ANN's ({found['strategy']})."
            )
    if golden:
        told.append(
            f"Of the {some(golden['samples'], 'inference')} in this folder {golden['right']:,} "
            f"answer their label ({100 * golden['right'] / golden['samples']:.2f}\u00a0%)."
        )
    if not told:
        return []
    return [Section(title="Accuracy", lead=" ".join(told), tables=tuple(tables))]


def time_table(facts: Facts, measured: CheckRow | None, clock: float) -> Table:
    """Cycles as milliseconds at a clock."""
    between = {"between results, predicted": facts.pace or 0.0}
    single = {}
    if measured is not None:
        between["between results, measured in simulation"] = measured.cycles
        single["from first input to first result, measured"] = float(measured.latency)
    rows = tuple(
        (
            name,
            f"{cycles:,.1f}",
            f"{cycles / clock / 1e3:,.4f}",
            f"{1e6 * clock / cycles:,.0f}" if name in between else "",
        )
        for name, cycles in (between | single).items()
        if cycles
    )
    return Table(heads=("time", ">cycles", f">ms at {clock:g} MHz", ">per second"), rows=rows)


def clock_words(clock: float) -> str:
    """That the clock is an assumption."""
    return (
        f" Milliseconds are for a clock of {clock:g} MHz, which is an assumption (nchw report "
        "--clock): nothing here has timed this design on a part."
    )


def device_sections(facts: Facts) -> list[Section]:
    """What each layer takes of the device that was named; of a build without one, none."""
    found = facts.report.get("folding")
    if found is None:
        return []
    total = {"name": "total", "lanes": "", "cycles": found["cycles"]} | {
        key: found[key] for key in ("luts", "blocks", "dsps")
    }
    shared = {"name": "shared", "lanes": "", "cycles": None} | found["shared"]
    usable = {"name": f"usable in {found['device']}", "lanes": "", "cycles": None}
    rows = tuple(
        (
            str(row["name"]),
            str(row["lanes"]),
            "" if row["cycles"] is None else f"{row['cycles']:,.1f}",
            f"{row['luts']:,}",
            f"{row['blocks']:,g}",
            f"{row['dsps']:,}",
        )
        for row in (*found["layers"], shared, total, usable | found["usable"])
    )
    heads = ("layer", ">lanes", ">cycles", ">LUT", f">{found['block']}", ">DSP")
    return [
        Section(
            title=f"Device: {found['device']}",
            lead="Predicted when the lanes were chosen for this part, before any tool ran; "
            "'nchw synth' counts what yosys makes of it.",
            tables=(Table(heads=heads, rows=rows),),
        )
    ]


def burst_sections(facts: Facts) -> list[Section]:
    """Whether layers send bursts, and what the design would take with and without them."""
    found = facts.report.get("bursts")
    if not found:
        return []
    rows = tuple(
        (
            f"{way} bursts" + (", built here" if found["chosen"] == (way == "with") else ""),
            f"{found[way]['cycles']:,.1f}",
            f"{found[way]['luts']:,}",
            f"{found[way]['blocks']:,g}",
            f"{found[way]['dsps']:,}",
        )
        for way in ("with", "without")
        if way in found
    )
    heads = ("design", ">cycles", ">LUT", ">block memories", ">DSP")
    return [Section(title="Bursts", lead=found["says"], tables=(Table(heads=heads, rows=rows),))]
