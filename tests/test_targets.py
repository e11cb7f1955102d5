"""Targets beside Verilog on the command line: what is built, and that a difference is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tools import need

from neurocuda_hw.cli import main
from neurocuda_hw.commands.build import build
from neurocuda_hw.commands.verify import verify
from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.hls import find_ap_headers
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.trace import Trace, load_trace
from neurocuda_hw.passes.study import Study
from neurocuda_hw.targets.checks import Check, Request
from neurocuda_hw.targets.table import BENCHES

GOLDEN = Path(__file__).parents[1] / "golden"
MODEL, TRACE = GOLDEN / "mixed.pt", GOLDEN / "mixed.npz"


def run(command: object, *arguments: object) -> Result:
    """Runs one command; its exit code and its output."""
    return CliRunner().invoke(command, [str(a) for a in arguments])  # type: ignore[arg-type]


def altered(trace: Trace) -> Trace:
    """The trace with the last step of one neuron turned over."""
    name = list(trace.sizes)[-1]
    spikes = {n: s.copy() for n, s in trace.spikes.items()}
    spikes[name][1, -1, 0] ^= 1
    return replace(trace, spikes=spikes)


def checked(bench: str, trace: Trace) -> Check:
    """What one bench finds of the model."""
    return BENCHES[bench].check(Study(load(MODEL), trace=trace), None, Request())


def test_builds_for_hls_and_loihi_are_whole_folders(tmp_path: Path) -> None:
    for target, some in (("hls", {"nchw_top.cpp", "Makefile"}), ("loihi", {"loihi/report.json"})):
        folder = tmp_path / target
        done = run(build, MODEL, "--target", target, "--golden", TRACE, "-o", folder)
        assert done.exit_code == 0, done.output
        report = json.loads((folder / "report.json").read_text())
        assert report["target"] == target
        assert report["network"]["hash"] == load(MODEL).hash
        assert some <= set(report["files"])
        assert all((folder / path).is_file() for path in report["files"])
        # built again over itself, as an earlier build is
        again = run(build, MODEL, "--target", target, "--golden", TRACE, "-o", folder, "--json")
        assert json.loads(again.output)["files"] == report["files"]


def test_verify_names_its_targets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(MODEL), "--golden", str(TRACE), "--target", "verilog,paper"])
    assert ended.value.code == 2
    assert (
        "--target must be of verilog, icarus, netlist, hls, loihi, not 'paper'"
        in capsys.readouterr().err
    )


def test_verify_loihi_by_the_command_line() -> None:
    done = run(verify, MODEL, "--golden", TRACE, "--target", "loihi", "--json", "-")
    assert done.exit_code == 0, done.output
    (facts,) = json.loads(done.stdout)
    assert [(c["target"], c["equal"]) for c in facts["checks"]] == [
        ("reference", True),
        ("loihi", True),
    ]


def test_loihi_notices_one_spike() -> None:
    trace = load_trace(TRACE)
    check = checked("loihi", altered(trace))
    assert not check.equal
    assert check.divergence is not None
    assert (check.divergence.sample, check.divergence.neuron) == (1, 0)
    assert sum(check.unequal.values()) == 1


@pytest.mark.slow
def test_hls_equals_the_trace_and_notices_one_spike() -> None:
    need(find_compiler(), find_ap_headers())
    trace = load_trace(TRACE).select(slice(0, 4))
    check = checked("hls", trace)
    assert check.equal, check.message
    assert check.samples == 4
    check = checked("hls", altered(trace))
    assert not check.equal
    assert check.divergence is not None
    assert (check.divergence.sample, check.divergence.neuron) == (1, 0)
