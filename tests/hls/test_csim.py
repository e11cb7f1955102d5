"""The compiled C++ against the reference, spike for spike; and that it notices every fault."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from exact_networks import exact_networks
from hls.cases import PROJECTS, case, project
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from strategies import inputs_for, networks
from tools import need

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.toolchain import find_compiler, find_make
from neurocuda_hw.hls import Model, emit, find_ap_headers, golden_files, verify_hls
from neurocuda_hw.hls.csim import write
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace, first_divergence
from neurocuda_hw.passes.bursts import NO_BURSTS, find_bursts
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference

pytestmark = pytest.mark.slow

# g++ takes two seconds for each, ap_int six; more: NCHW_HLS_NETWORKS=150
NETWORKS = int(os.environ.get("NCHW_HLS_NETWORKS", "25"))
MODEL = Model(os.environ.get("NCHW_HLS_MODEL", "bounded"))


@cache
def golden(name: str) -> Trace:
    network = project(name).network
    return Reference(network).trace(default_inputs(network, samples=10))


# ap_int takes g++ several seconds: "loops" is compiled with it for the sanitizers, "single" by make
@pytest.mark.parametrize(
    ("name", "model"),
    [
        *((name, Model.FAST) for name in PROJECTS),
        ("convolutions", Model.AP_INT),
        ("currents", Model.AP_INT),
        ("wide", Model.EXACT),
        ("maxima, bursts", Model.AP_INT),
        ("partly, bursts", Model.EXACT),
        ("maxima, bursts", Model.BOUNDED),
        ("partly, bursts", Model.BOUNDED),
    ],
)
def test_equals_the_reference(name: str, model: Model, tmp_path: Path) -> None:
    need(find_compiler(), *((find_ap_headers(),) if model.vendor else ()))
    trace = golden(name)
    assert sum(int(trace.counts(p).sum()) for p in trace.sizes) > 10
    files = emit(project(name))
    network = project(name).network
    result = verify_hls(network, trace, tmp_path, model=model, optimise=0, files=files)
    assert result.equal, result
    assert (result.samples, result.model) == (trace.samples, model)
    assert result.observed.samples == trace.samples


@settings(max_examples=NETWORKS, phases=[Phase.explicit, Phase.generate])
@given(networks() | exact_networks(odd=True), st.booleans(), st.data())
def test_equals_the_reference_on_random_networks(
    network: Network, sends: bool, data: st.DataObject
) -> None:
    """At the declared depths and with random stalls, with 1 to 64 lanes, bursts or none."""
    need(find_compiler(), *((find_ap_headers(),) if MODEL.vendor else ()))
    trace = Reference(network).trace(data.draw(inputs_for(network, samples=3)))
    lanes = {p.name: data.draw(st.sampled_from(lane_choices(p, 64))) for p in network.targets}
    bursts = find_bursts(network) if sends else NO_BURSTS
    files = emit(Study(network, lanes=lanes, bursts=bursts))
    with TemporaryDirectory() as folder:
        result = verify_hls(network, trace, folder, files=files, model=MODEL, optimise=0)
    assert result.equal, result


@pytest.mark.parametrize("turn", range(3))
def test_lanes_change_nothing(turn: int, tmp_path: Path) -> None:
    need(find_compiler())
    network = case("convolutions")
    lanes = {}
    for population in network.targets:
        choices = lane_choices(population, 64)
        lanes[population.name] = choices[min(turn, len(choices) - 1)]
    result = verify_hls(
        network, golden("convolutions"), tmp_path, lanes=lanes, model=Model.FAST, optimise=0
    )
    assert result.equal, result


@pytest.mark.parametrize("model", [Model.AP_INT, Model.FAST])
def test_sanitizers_find_nothing(model: Model, tmp_path: Path) -> None:
    need(find_compiler(), *((find_ap_headers(),) if model.vendor else ()))
    for name in ("loops", "partly, bursts"):
        study, trace = project(name), golden(name)
        result = verify_hls(
            study.network,
            trace,
            tmp_path,
            files=emit(study),
            model=model,
            optimise=0,
            sanitize=True,
        )
        assert result.equal, result


def _changed(text: str, pattern: str, replacement: str) -> str:
    changed = re.sub(pattern, replacement, text, count=1)
    assert changed != text
    return changed


@pytest.mark.parametrize(
    ("name", "file", "pattern", "replacement"),
    [
        ("convolutions", "tables/first_0_weights.inc", r"\{-?\d+", "{100"),
        (
            "convolutions",
            "tables/out_4_weights.inc",
            r"((?:\{[^}]*\},\n){6}\{)-?\d+",
            r"\g<1>100",
        ),
        ("convolutions", "tables/first_threshold.inc", r"\{-?\d+", "{1"),
        ("convolutions", "tables/second_1_y_row.inc", r"^4", "0"),
        ("loops", "nchw_types.h", r"product >> 12", "product >> 11"),
        ("loops", "nchw_top.cpp", r"THRESHOLD = \d+", "THRESHOLD = 3"),
        ("loops", "nchw_top.cpp", r"if \(step > 0\) ", ""),
        ("currents", "nchw_top.cpp", r"bits >> 7", "bits >> 6"),
        ("currents", "nchw_top.cpp", r"FLOOR = -40", "FLOOR = -1"),
        ("currents", "nchw_top.cpp", r"restore = step == 5", "restore = step == 4"),
        ("maxima, bursts", "nchw_top.cpp", r"rest = rest - threshold \* 4;", ""),
        ("maxima, bursts", "nchw_top.cpp", r"count = count \+ 2", "count = count + 1"),
        (
            "maxima, bursts",
            "nchw_top.cpp",
            r"if \(count > 5\) count = 5",
            "if (count > 5) count = 4",
        ),
        ("maxima, bursts", "nchw_top.cpp", r"now\[l\] < value", "now[l] > value"),
        ("maxima, bursts", "nchw_top.cpp", r"since < int\(b.value\)", "since <= int(b.value)"),
        ("partly, bursts", "nchw_top.cpp", r"since < int\(b.value\)", "since + 1 < int(b.value)"),
        ("partly, bursts", "nchw_top.cpp", r"step >= 2 && step < 6", "step >= 3 && step < 6"),
        ("convolutions, bursts", "nchw_top.cpp", r"\) \* value;", ");"),
    ],
)
def test_one_wrong_value_is_found(
    name: str, file: str, pattern: str, replacement: str, tmp_path: Path
) -> None:
    need(find_compiler())
    network, trace = project(name).network, golden(name)
    files = dict(emit(project(name)))
    files[file] = _changed(files[file].decode(), pattern, replacement).encode()
    result = verify_hls(network, trace, tmp_path, model=Model.FAST, optimise=0, files=files)
    assert not result.equal
    where = result.divergence
    assert where is not None or "stream" in result.fault
    program = tmp_path / "build" / "fast"
    done = subprocess.run(
        [program, "golden/stimulus.bin", "golden/expected.bin"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    if where is not None:
        assert str(where).splitlines()[0] in done.stdout


@pytest.mark.parametrize(
    ("name", "pattern", "replacement", "told"),
    [
        ("maxima", r"if \(count > 5\) count = 5;", "", "spikes, not of 1 to 5"),
        ("partly", r"step >= 2 && step <= 2", "step == 3", "a burst in step 3, not in step 2"),
        ("maxima", r"counts\[l\] != 0", "true", "of 0 spikes, not of 1 to 5"),
        (
            "maxima",
            r"rest = rest & \(rest - 1\);",
            "static bool one = true; if (one && rest) one = false; else rest = rest & (rest - 1);",
            "sent a burst twice",
        ),
    ],
)
def test_a_burst_that_cannot_be_is_a_fault(
    name: str, pattern: str, replacement: str, told: str, tmp_path: Path
) -> None:
    """Though all spikes may come out right, since those of a burst are implied by its count."""
    need(find_compiler())
    study, trace = project(f"{name}, bursts"), golden(name)
    files = dict(emit(study))
    files["nchw_top.cpp"] = _changed(files["nchw_top.cpp"].decode(), pattern, replacement).encode()
    result = verify_hls(study.network, trace, tmp_path, model=Model.FAST, optimise=0, files=files)
    assert not result.equal
    assert "population 'a', neuron " in result.fault
    assert told in result.fault


def test_a_wide_state_wraps_as_ap_int_does(tmp_path: Path) -> None:
    """A membrane narrowed by hand below its proved width differs, and both models differ alike."""
    need(find_compiler(), find_ap_headers())
    network, trace = case("convolutions"), golden("convolutions")
    files = dict(emit(network))
    text = files["nchw_top.cpp"].decode()
    files["nchw_top.cpp"] = _changed(
        text, r"typedef row_w<LANES, \d+> v_row", "typedef row_w<LANES, 6> v_row"
    ).encode()
    found = [
        verify_hls(network, trace, tmp_path, model=model, optimise=0, files=files)
        for model in (Model.AP_INT, Model.FAST)
    ]
    assert not found[0].equal
    assert found[0].divergence == found[1].divergence
    assert first_divergence(network, found[0].observed, found[1].observed) is None


@pytest.mark.parametrize("model", Model)  # which compiles all four
def test_make(model: Model, tmp_path: Path) -> None:
    need(find_compiler(), find_make(), *((find_ap_headers(),) if model.vendor else ()))
    network = case("single")
    write({**emit(network), **golden_files(network, golden("single"))}, tmp_path)
    target = "csim" if model is Model.AP_INT else model.value
    arguments = [find_make().where, target, "CXXFLAGS=-O0"]
    if model.vendor:
        arguments.append(f"AP_INCLUDE={find_ap_headers().where}")
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "10 samples equal, every spike of 1 populations and every output" in done.stdout


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("golden/stimulus.bin", b"", "golden/stimulus.bin must be a file of NCHWSTM1"),
        ("golden/expected.bin", b"NCHWSTM1" + bytes(99), "expected.bin must be a file of NCHWEXP1"),
        (
            "golden/expected.bin",
            b"NCHWEXP1" + bytes(99),
            "the expected spikes must be whole, of this network and these samples",
        ),
    ],
)
def test_unusable_files(file: str, content: bytes, message: str, built: Path) -> None:
    write({**golden_files(case("single"), golden("single")), file: content}, built)
    done = subprocess.run(
        [built / "build" / "fast", "golden/stimulus.bin", "golden/expected.bin"],
        cwd=built,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need(find_compiler())
    folder = tmp_path_factory.mktemp("built")
    assert verify_hls(case("single"), golden("single"), folder, model=Model.FAST, optimise=0).equal
    return folder


def test_a_warning_is_an_error(tmp_path: Path) -> None:
    need(find_compiler())
    files = dict(emit(case("single")))
    files["nchw_top.cpp"] += b"static int unused;\n"
    with pytest.raises(ToolError, match="compiling the HLS project"):
        verify_hls(case("single"), golden("single"), tmp_path, model=Model.FAST, files=files)


def test_missing_headers_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need(find_compiler())
    monkeypatch.setenv("NCHW_AP_INCLUDE", str(tmp_path))
    with pytest.raises(ToolError, match=r"^NCHW_AP_INCLUDE must name a folder with ap_int.h, not "):
        verify_hls(case("single"), golden("single"), tmp_path)
