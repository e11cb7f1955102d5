"""``--bursts`` of ``nchw build``, ``inspect`` and ``verify``, and of `nc.compile`."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import neurocuda_hw as nc
from neurocuda_hw import hls, targets
from neurocuda_hw.commands.build import build
from neurocuda_hw.commands.inspect import inspect
from neurocuda_hw.commands.report import report as report_page
from neurocuda_hw.commands.verify import verify
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.hls import emit as emit_hls
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.trace import load_trace
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.choice import choose
from neurocuda_hw.passes.study import Study, balanced
from neurocuda_hw.project.verify import verify as verified
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.targets.built import read_built
from neurocuda_hw.targets.checks import Request
from neurocuda_hw.targets.table import BUILT
from neurocuda_hw.targets.verilog import bursts_of

GOLDEN = Path(__file__).parents[2] / "golden"
SAMPLES = 2


def built(folder: Path, name: str, *options: str) -> tuple[dict[str, Any], str]:
    """The report of a build, and what it said."""
    arguments = [str(GOLDEN / f"{name}.pt"), "--golden", str(GOLDEN / f"{name}.npz")]
    done = CliRunner().invoke(
        build, [*arguments, "--samples", str(SAMPLES), "-o", str(folder), *options]
    )
    assert done.exit_code == 0, done.output
    return json.loads((folder / "report.json").read_text()), done.output


def study(name: str) -> Study:
    trace = load_trace(GOLDEN / f"{name}.npz").select(slice(0, SAMPLES))
    return Study(load(GOLDEN / f"{name}.pt"), trace=trace, lanes=balanced)


def test_auto_takes_what_pays_and_a_folder_knows_it(tmp_path: Path) -> None:
    report, said = built(tmp_path / "cnn", "mnist_cnn")
    found = report["bursts"]
    assert found["chosen"]
    assert found["with"]["cycles"] < 0.3 * found["without"]["cycles"]
    assert f"{found['with']['cycles']:,.0f} cycles" in said
    folder = read_built(tmp_path / "cnn")
    assert folder is not None
    network = load(GOLDEN / "mnist_cnn.pt")
    assert bursts_of(folder) == find_bursts(network)
    assert {p["name"]: p["burst"] for p in report["populations"] if p["burst"]} == {
        p.name: 8 for p in network.populations if p.spiking
    }


def test_auto_declines_with_the_figures_of_both(tmp_path: Path) -> None:
    report, said = built(tmp_path / "mlp", "mnist_mlp")
    found = report["bursts"]
    assert not found["chosen"]
    assert found["counts"] == {}
    assert found["with"]["luts"] > found["without"]["luts"] > 0
    assert "No bursts: they would take " in said
    forced, _ = built(tmp_path / "forced", "mnist_mlp", "--bursts", "on")
    assert forced["bursts"]["counts"] == {"hidden": 8}
    assert forced["bursts"]["with"] == found["with"]


@pytest.mark.parametrize("name", ["mnist_cnn", "mixed"])
def test_off_is_what_there_was_before(tmp_path: Path, name: str) -> None:
    report, _ = built(tmp_path / "off", name, "--bursts", "off")
    assert "bursts" not in report
    assert not any("burst" in p for p in report["populations"])
    for path, content in emit(study(name)).files.items():
        assert (tmp_path / "off" / path).read_bytes() == content
    header = (tmp_path / "off" / "ip" / "nchw.h").read_text()
    assert "BURSTS" not in header
    assert "VERSION_VALUE 0x00010001" in header


def test_streams_are_built_with_the_order_of_the_input(tmp_path: Path) -> None:
    options = ("--streams", "on", "--input-order", "raster")
    report, said = built(tmp_path / "cnn", "mnist_cnn", *options)
    found = report["bursts"]["streams"]
    assert (found["chosen"], found["order"]) == (True, "raster")
    assert found["with"]["blocks"] < found["without"]["blocks"]
    assert f"Streams: {found['with']['cycles']:,.0f} cycles" in said
    assert report["stream"]["order"] == "raster"
    lines = {p["name"]: p["line"] for p in report["populations"] if "line" in p}
    assert set(lines) == {"features_0", "features_4"}
    folder = read_built(tmp_path / "cnn")
    assert folder is not None
    again = bursts_of(folder)
    assert (again.streams, again.raster, again.lines) == (True, True, lines)
    packets = (tmp_path / "cnn" / "golden" / "stimulus.bin").read_bytes()
    _, samples, words = struct.unpack_from("<IIQ", packets, 8)
    ends = struct.unpack_from(f"<{samples}Q", packets, 24)
    first = struct.unpack_from(f"<{words}I", packets, 24 + 8 * samples)[: ends[0]]
    rows = [word >> 5 & 31 for word in first if not word >> 31]  # five bits of x below
    assert rows == sorted(rows)
    assert len(set(rows)) > 5


def test_auto_says_what_streams_would_take(tmp_path: Path) -> None:
    report, said = built(tmp_path / "cnn", "mnist_cnn", "--streams", "auto")
    found = report["bursts"]["streams"]
    assert not found["chosen"]
    assert "No streams: they would take " in said
    assert not any("line" in p for p in report["populations"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--input-order", "raster"), "--input-order needs --streams auto or on"),
        (("--streams", "on", "--bursts", "off"), "--streams on excludes --bursts off"),
        (
            ("--streams", "on", "--target", "hls"),
            "--streams is for --target verilog or ecp5",
        ),
    ],
)
def test_options_that_exclude_one_another(options: tuple[str, ...], said: str) -> None:
    command = build if "--target" in options else inspect
    done = CliRunner().invoke(command, [str(GOLDEN / "mnist_cnn.pt"), *options])
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mnist_mlp", "no population behind another has more than one line"),
        ("mixed", "no population sends bursts"),
    ],
)
def test_what_cannot_stream_is_told_why(name: str, why: str) -> None:
    arguments = [str(GOLDEN / f"{name}.pt"), "--streams"]
    assert f"No streams: {why}." in CliRunner().invoke(inspect, [*arguments, "auto"]).output
    refused = CliRunner().invoke(inspect, [*arguments, "on"])
    assert f"cannot stream: {why}; leave '--streams on' out" in str(refused.exception)


def test_the_cpp_takes_the_same(tmp_path: Path) -> None:
    report, said = built(tmp_path / "on", "mnist_mlp", "--target", "hls", "--bursts", "on")
    assert report["bursts"]["counts"] == {"hidden": 8}
    assert "Bursts from 1 population: " in said
    assert "(Figures of the Verilog.)" in said
    assert b"struct burst" in (tmp_path / "on" / "nchw_top.cpp").read_bytes()
    found = read_built(tmp_path / "on")
    assert found is not None
    sent = study("mnist_mlp").relaid(find_bursts(load(GOLDEN / "mnist_mlp.pt")))
    parts, pace = BUILT["hls"].cycles(sent, found)
    assert BUILT["hls"].cycles(study("mnist_mlp"), found) == (parts, pace)
    plain, _ = built(tmp_path / "off", "mnist_mlp", "--target", "hls", "--bursts", "off")
    assert "bursts" not in plain
    for path, content in emit_hls(study("mnist_mlp")).items():
        assert (tmp_path / "off" / path).read_bytes() == content
        assert b"burst" not in content or path == "nchw_sim.h"


def test_graded_counts_are_remembered_and_their_spikes_compared(tmp_path: Path) -> None:
    options = ("--target", "loihi", "--graded-counts")
    report, said = built(tmp_path / "graded", "mnist_mlp", *options)
    assert report["graded_counts"] is True
    assert "graded counts: 1 population, up to 8 spikes in one" in said
    (result,) = verified(tmp_path / "graded", request=Request(targets=("loihi",)))
    assert result.equal
    page = CliRunner().invoke(report_page, [str(tmp_path / "graded")])
    assert page.exit_code == 0, page.output
    told = (tmp_path / "graded" / "report.html").read_text()
    assert "1 layer with one graded spike for all spikes of a neuron (payloads of 32" in told
    refused = CliRunner().invoke(build, [str(GOLDEN / "mnist_mlp.pt"), "--graded-counts"])
    assert refused.exit_code == 2
    assert "--graded-counts is for --target loihi or all, not verilog" in refused.output


def test_what_has_none_says_nothing_of_them(tmp_path: Path) -> None:
    report, said = built(tmp_path / "mixed", "mixed")
    assert "bursts" not in report
    assert "ursts" not in said


def test_inspect_shows_what_the_cpp_asks_for() -> None:
    arguments = [str(GOLDEN / "mnist_mlp.pt"), "--target", "hls", "--bursts", "on"]
    asked = json.loads(CliRunner().invoke(inspect, [*arguments, "--json"]).output)["hls"]
    text = CliRunner().invoke(inspect, arguments).output
    for what, key in (("loops", "loop"), ("fifos", "name"), ("memories", "name")):
        assert f"{what} of hls" in text
        assert all(row[key] in text for row in asked[what])
    sweep = next(row for row in asked["loops"] if row["loop"] == "sweep")
    assert "4 compared and subtracted one after another" in sweep["reason"]


def test_inspect_tells_the_same() -> None:
    arguments = [str(GOLDEN / "mnist_mlp.pt"), "--json"]
    facts = json.loads(CliRunner().invoke(inspect, [*arguments, "--bursts", "on"]).output)
    assert facts["bursts"]["counts"] == {"hidden": 8}
    assert {p["name"]: p["burst"] for p in facts["populations"]}["hidden"] == 8
    assert (
        json.loads(CliRunner().invoke(inspect, [*arguments, "--bursts", "off"]).output)["bursts"]
        == {}
    )


class Seen(Exception):
    """What a simulator was to be made of."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def simulator_of(study: Study, built: object) -> None:
        raise Seen(study, built)

    monkeypatch.setattr(targets.verilog, "simulator_of", simulator_of)
    monkeypatch.setattr(hls, "emit", lambda study: simulator_of(study, None))
    monkeypatch.setattr(hls, "CSimulation", lambda study, **_: simulator_of(study, None))


@pytest.mark.parametrize("wish", [None, "on", "off"])
@pytest.mark.parametrize(
    ("name", "target"), [("mnist_cnn", "verilog"), ("mnist_mlp", "verilog"), ("mnist_mlp", "hls")]
)
def test_verify_of_a_model_chooses_as_build_does(
    name: str, target: str, wish: str | None, asked: None
) -> None:
    model, trace = (str(GOLDEN / f"{name}.{end}") for end in ("pt", "npz"))
    options = ["--target", target, *(["--bursts", wish] if wish else [])]
    done = CliRunner().invoke(
        verify, [model, "--golden", trace, "--samples", str(SAMPLES), *options]
    )
    assert isinstance(done.exception, Seen), done.output
    made, built = done.exception.args
    wanted = choose(study(name), wish or "auto").study
    assert built is None
    assert (made.bursts, made.lanes) == (wanted.bursts, wanted.lanes)
    assert bool(made.bursts.counts) == (wish == "on" or (wish is None and name == "mnist_cnn"))


@pytest.mark.parametrize("wish", ["auto", "on", "off"])
@pytest.mark.parametrize(
    ("name", "target"), [("mnist_cnn", "verilog"), ("mnist_mlp", "verilog"), ("mnist_mlp", "hls")]
)
def test_compile_chooses_as_build_does(name: str, target: str, wish: str, asked: None) -> None:
    network = load(GOLDEN / f"{name}.pt")
    with pytest.raises(Seen) as seen:
        nc.compile(network, target=target, **({} if wish == "auto" else {"bursts": wish}))
    trace = Reference(network).trace(default_inputs(network))
    wanted = choose(Study(network, trace=trace), wish).study  # of `build.build` without inputs
    made, _ = seen.value.args
    assert (made.bursts, made.lanes) == (wanted.bursts, wanted.lanes)
    assert bool(made.bursts.counts) == (wish == "on" or (wish == "auto" and name == "mnist_cnn"))
