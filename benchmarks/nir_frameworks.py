"""Which networks go between this package and other frameworks by NIR, and which do not, and why.

    python benchmarks/nir_frameworks.py [--write results/nir_frameworks.json] [--docs docs/nir.md]

Runs where snnTorch, Norse, sinabs, SpikingJelly and sc-neurocore are installed (the extra
`frameworks`); what is not installed is left out. Each case is a small network, convolutional or
residual, whose spikes there are compared with ours in every step: exact means 0 differences.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import json
import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # when it is imported and not run
from nir_framework_runs import (
    norse_in,
    norse_out,
    norse_soft,
    sc_neurocore_out,
    sinabs_in,
    sinabs_out,
    snntorch_in,
    snntorch_out,
    spikingjelly_in,
    spikingjelly_out,
)
from nir_small_networks import Outcome

START, END = "<!-- frameworks: start -->", "<!-- frameworks: end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One network in one direction.

    Parameters
    ----------
    package : str
        What has to be installed.
    direction : str
        ``in``: from the framework to us; ``out``: from us to it.
    what : str
        The network: convolutional or residual, its neurons and reset.
    settings : str
        What has to be said beside the file.
    why : str
        The cause, where it is not exact.
    run : callable
    """

    package: str
    direction: str
    what: str
    settings: str
    run: Callable[[], Outcome]
    why: str = ""


CONV, RES = "convolutional", "residual"
ADDITION = (
    "its exporter (nirtorch.extract_nir_graph) loses the module behind an addition; "
    "neurocuda_hw.nir.modules.from_torch traces it"
)
REFUSED = "its exporter refuses a soft reset (v_reset=None); from_torch takes it"
LATE = (
    "a membrane that a subtraction leaves above the threshold is subtracted from before the next "
    "comparison, not after it"
)
DEPTH_FIRST = (
    "its loader (nirtorch.load) runs nodes depth first, so that a sum runs before its second "
    "branch; neurocuda_hw.nir.modules.to_torch runs it with the framework's own neurons"
)


def cases() -> tuple[Case, ...]:
    """All of them, in the order of the table."""
    rows: list[tuple[str, str, str, str, Callable[[], Outcome], str]] = []
    for subtract, rule in ((False, "resets to 0"), (True, "subtracts")):
        reset = ", --reset subtract" if subtract else ""
        given = f"dt 1e-4{reset}; reset_delay=False in it"
        for own, shape in ((True, CONV), (True, RES), (False, RES)):
            residual = shape == RES
            rows.append(
                (
                    "snntorch",
                    "in",
                    f"{shape}, Leaky, {rule}",
                    given if own else f"{given}; through from_torch",
                    partial(snntorch_in, residual=residual, subtract=subtract, own=own),
                    ADDITION if own and residual else LATE if subtract else "",
                )
            )
    for shape in (CONV, RES):
        residual = shape == RES
        rows += [
            (
                "snntorch",
                "out",
                f"{shape}, LIF without leak, resets to 0",
                "annotated, dt 1e-4",
                partial(snntorch_out, residual=residual, subtract=False),
                "",
            ),
            (
                "snntorch",
                "out",
                f"{shape}, LIF without leak, subtracts, v_init -1",
                "annotated, dt 1e-4; then set to subtract",
                partial(snntorch_out, residual=residual, subtract=True, v_init=-1),
                "",
            ),
            (
                "snntorch",
                "out",
                f"{shape}, LIF without leak, subtracts, v_init 0",
                "annotated, dt 1e-4; then set to subtract",
                partial(snntorch_out, residual=residual, subtract=True),
                "it fires above the very number that it subtracts; integers fire at it",
            ),
        ]
    rows.append(
        (
            "snntorch",
            "out",
            f"{CONV}, IF, resets to 0",
            "dt 1e-4",
            partial(snntorch_out, residual=False, subtract=False, leaks=False),
            "its loader makes an IF a Leaky of beta 0.9 that gives a pair, which the next layer "
            "cannot take; write a LIF without leak",
        )
    )
    for own, shape in ((True, CONV), (True, RES), (False, RES)):
        rows.append(
            (
                "norse",
                "in",
                f"{shape}, IAFCell, resets to 0",
                "none" if own else "through from_torch",
                partial(norse_in, residual=shape == RES, own=own),
                ADDITION if own and shape == RES else "",
            )
        )
    for own, shape in ((True, CONV), (True, RES), (False, RES)):
        rows.append(
            (
                "norse",
                "out",
                f"{shape}, IF, resets to 0",
                "dt 1e-3" if own else "through to_torch",
                partial(norse_out, residual=shape == RES, own=own),
                DEPTH_FIRST if own and shape == RES else "",
            )
        )
    rows.append(
        (
            "norse",
            "out",
            f"{CONV}, IF, subtracts",
            "annotated, dt 1e-3",
            norse_soft,
            "IAFParameters knows no reset but to v_reset",
        )
    )
    for own, shape in ((True, CONV), (True, RES), (False, RES)):
        given = "--reset subtract --fires at"
        rows.append(
            (
                "sinabs",
                "in",
                f"{shape}, IAF, subtracts",
                given if own else f"{given}; through from_torch",
                partial(sinabs_in, residual=shape == RES, own=own),
                ADDITION if own and shape == RES else "",
            )
        )
    undone = "annotated, fires_at, affine; then spike_fn=SingleSpike, min_v_mem=None"
    rows += [
        (
            "sinabs",
            "out",
            f"{CONV}, IF, subtracts",
            undone,
            partial(sinabs_out, residual=False),
            "",
        ),
        (
            "sinabs",
            "out",
            f"{CONV}, IF, subtracts",
            undone.replace(", affine", ""),
            partial(sinabs_out, residual=False, affine=False),
            "its loader drops Linear nodes without a word: affine writes Affine with a bias of 0",
        ),
        (
            "sinabs",
            "out",
            f"{RES}, IF, subtracts",
            undone,
            partial(sinabs_out, residual=True),
            DEPTH_FIRST,
        ),
        (
            "sinabs",
            "out",
            f"{RES}, IF, subtracts",
            "annotated, fires_at; through to_torch",
            partial(sinabs_out, residual=True, own=False),
            "",
        ),
    ]
    for leaks, kind in ((False, "IFNode"), (True, "LIFNode")):
        for subtract, rule in ((False, "resets to 0"), (True, "subtracts")):
            for shape in (CONV, RES):
                rows.append(
                    (
                        "spikingjelly",
                        "in",
                        f"{shape}, {kind}, {rule}",
                        "dt as exported, --integrate-dt --fires at",
                        partial(
                            spikingjelly_in, residual=shape == RES, leaks=leaks, subtract=subtract
                        ),
                        REFUSED if subtract else "",
                    )
                )
    rows.append(
        (
            "spikingjelly",
            "in",
            f"{RES}, IFNode, subtracts",
            "--reset subtract --integrate-dt --fires at; through from_torch",
            partial(spikingjelly_in, residual=True, leaks=False, subtract=True, own=False),
            "",
        )
    )
    for subtract, rule in ((False, "resets to 0"), (True, "subtracts")):
        for shape in (CONV, RES):
            given = "fires_at, integrate_dt, float32"
            rows.append(
                (
                    "spikingjelly",
                    "out",
                    f"{shape}, IF, {rule}",
                    f"annotated, {given}; then v_reset=None" if subtract else given,
                    partial(spikingjelly_out, residual=shape == RES, subtract=subtract),
                    "",
                )
            )
    rows += [
        ("sc-neurocore", "out", "dense and residual, IF, resets to 0", "none",
         partial(sc_neurocore_out, subtract=False), ""),
        ("sc-neurocore", "out", "dense and residual, IF, subtracts", "explicit",
         partial(sc_neurocore_out, subtract=True), ""),
    ]  # fmt: skip
    return tuple(
        Case(package=p, direction=d, what=w, settings=s, run=r, why=y) for p, d, w, s, r, y in rows
    )


def outcome(case: Case) -> Outcome:
    """Runs one case; what the framework raises is its answer."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return case.run()
        except Exception as error:  # a framework may raise anything at all
            text = (str(error).strip() or type(error).__name__).splitlines()[0]
            return Outcome(error=f"{type(error).__name__}: {text[:120]}")
        finally:
            logging.disable(logging.NOTSET)


def installed(package: str) -> str | None:
    """Its version, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def record(case: Case, found: Outcome) -> dict[str, Any]:
    """What is kept of a case."""
    return {
        "package": case.package,
        "version": installed(case.package),
        "direction": case.direction,
        "network": case.what,
        "settings": case.settings,
        "verdict": found.verdict,
        "spikes": found.spikes,
        "differences": found.differences,
        "integers": found.integers,
        "why": case.why,
        "error": found.error,
    }


def table(records: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| framework | direction | network | said beside the file | spikes | result | why |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in records:
        differ = f"approximate: {r['differences']:,} differ"
        result = {"exact": "exact", "approximate": differ}.get(r["verdict"], "cannot")
        spikes = f"{r['spikes']:,}" if r["spikes"] else ""
        direction = "to us" if r["direction"] == "in" else "from us"
        name = f"{r['package']} {r['version']}"
        cells = (name, direction, r["network"], r["settings"], spikes, result, r["why"])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def written_into(text: str, records: list[dict[str, Any]]) -> str:
    """A document with the table between its two marks."""
    head, rest = text.split(START)
    return f"{head}{START}\n{table(records)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", metavar="FILE", help="keep the results as JSON")
    parser.add_argument("--docs", metavar="FILE", help="put the table into this document")
    parser.add_argument("--json", action="store_true", help="print flat figures as JSON")
    arguments = parser.parse_args()
    here = [case for case in cases() if installed(case.package) is not None]
    records = [record(case, outcome(case)) for case in here]
    if arguments.write:
        Path(arguments.write).write_text(json.dumps(records, indent=1) + "\n")
    if arguments.docs:
        path = Path(arguments.docs)
        path.write_text(written_into(path.read_text(), records))
    if arguments.json:
        verdicts = [r["verdict"] for r in records]
        print(json.dumps({f"cases_{v}": verdicts.count(v) for v in sorted(set(verdicts))}))
        return
    print(table(records))


if __name__ == "__main__":
    main()
