"""Which networks go between this package and other frameworks by NIR, and which do not, and why.

    python -m benchmarks nir_frameworks --json results/nir_frameworks.json

Runs where snnTorch, Norse, sinabs, SpikingJelly and sc-neurocore are installed (the extra
`frameworks`); what is not installed is left out. Each case is a small network, convolutional or
residual, whose spikes there are compared with ours in every step: exact means 0 differences.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import warnings
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.nir_framework_runs import (
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
from benchmarks.nir_small_networks import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One network in one direction: ``in`` from the framework to us, ``out`` from us to it.

    `settings` is what has to be said beside the file, `why` the cause where it is not exact.
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


# fmt: off
def cases() -> tuple[Case, ...]:
    """All of them, in the order of the table."""
    found: list[Case] = []

    def add(package: str, direction: str, what: str, settings: str, run: Callable[[], Outcome],
            why: str = "") -> None:
        found.append(Case(package=package, direction=direction, what=what, settings=settings,
                          run=run, why=why))

    # the framework's own reader or writer, and for residual networks also ours over its modules
    ways = ((True, CONV), (True, RES), (False, RES))
    for subtract, rule in ((False, "resets to 0"), (True, "subtracts")):
        given = f"dt 1e-4{', --reset subtract' if subtract else ''}; reset_delay=False in it"
        for own, shape in ways:
            run = partial(snntorch_in, residual=shape == RES, subtract=subtract, own=own)
            add("snntorch", "in", f"{shape}, Leaky, {rule}",
                given if own else f"{given}; through from_torch", run,
                ADDITION if own and shape == RES else LATE if subtract else "")
    for shape in (CONV, RES):
        run = partial(snntorch_out, residual=shape == RES)
        lif, soft = f"{shape}, LIF without leak", "annotated, dt 1e-4; then set to subtract"
        add("snntorch", "out", f"{lif}, resets to 0", "annotated, dt 1e-4",
            partial(run, subtract=False))
        add("snntorch", "out", f"{lif}, subtracts, v_init -1", soft,
            partial(run, subtract=True, v_init=-1))
        add("snntorch", "out", f"{lif}, subtracts, v_init 0", soft, partial(run, subtract=True),
            "it fires above the very number that it subtracts; integers fire at it")
    add("snntorch", "out", f"{CONV}, IF, resets to 0", "dt 1e-4",
        partial(snntorch_out, residual=False, subtract=False, leaks=False),
        "its loader makes an IF a Leaky of beta 0.9 that gives a pair, which the next layer cannot "
        "take; write a LIF without leak")
    for own, shape in ways:
        add("norse", "in", f"{shape}, IAFCell, resets to 0",
            "none" if own else "through from_torch",
            partial(norse_in, residual=shape == RES, own=own),
            ADDITION if own and shape == RES else "")
    for own, shape in ways:
        add("norse", "out", f"{shape}, IF, resets to 0", "dt 1e-3" if own else "through to_torch",
            partial(norse_out, residual=shape == RES, own=own),
            DEPTH_FIRST if own and shape == RES else "")
    add("norse", "out", f"{CONV}, IF, subtracts", "annotated, dt 1e-3", norse_soft,
        "IAFParameters knows no reset but to v_reset")
    for own, shape in ways:
        given = "--reset subtract --fires at"
        add("sinabs", "in", f"{shape}, IAF, subtracts",
            given if own else f"{given}; through from_torch",
            partial(sinabs_in, residual=shape == RES, own=own),
            ADDITION if own and shape == RES else "")
    undone = "annotated, fires_at, affine; then spike_fn=SingleSpike, min_v_mem=None"
    add("sinabs", "out", f"{CONV}, IF, subtracts", undone, partial(sinabs_out, residual=False))
    add("sinabs", "out", f"{CONV}, IF, subtracts", undone.replace(", affine", ""),
        partial(sinabs_out, residual=False, affine=False),
        "its loader drops Linear nodes without a word: affine writes Affine with a bias of 0")
    add("sinabs", "out", f"{RES}, IF, subtracts", undone, partial(sinabs_out, residual=True),
        DEPTH_FIRST)
    add("sinabs", "out", f"{RES}, IF, subtracts", "annotated, fires_at; through to_torch",
        partial(sinabs_out, residual=True, own=False))
    for leaks, kind in ((False, "IFNode"), (True, "LIFNode")):
        for subtract, rule in ((False, "resets to 0"), (True, "subtracts")):
            for shape in (CONV, RES):
                add("spikingjelly", "in", f"{shape}, {kind}, {rule}",
                    "dt as exported, --integrate-dt --fires at",
                    partial(spikingjelly_in, residual=shape == RES, leaks=leaks, subtract=subtract),
                    REFUSED if subtract else "")
    add("spikingjelly", "in", f"{RES}, IFNode, subtracts",
        "--reset subtract --integrate-dt --fires at; through from_torch",
        partial(spikingjelly_in, residual=True, leaks=False, subtract=True, own=False))
    for subtract, rule in ((False, "resets to 0"), (True, "subtracts")):
        for shape in (CONV, RES):
            given = "fires_at, integrate_dt, float32"
            add("spikingjelly", "out", f"{shape}, IF, {rule}",
                f"annotated, {given}; then v_reset=None" if subtract else given,
                partial(spikingjelly_out, residual=shape == RES, subtract=subtract))
    add("sc-neurocore", "out", "dense and residual, IF, resets to 0", "none",
        partial(sc_neurocore_out, subtract=False))
    add("sc-neurocore", "out", "dense and residual, IF, subtracts", "explicit",
        partial(sc_neurocore_out, subtract=True))
    return tuple(found)
# fmt: on


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


def measure(given: Namespace) -> list[dict[str, Any]]:
    """A record for each case of a framework that is here."""
    here = [case for case in cases() if installed(case.package) is not None]
    return [record(case, outcome(case)) for case in here]
