"""``nchw build`` and ``nchw verify``: what they write, find and refuse."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from shell import Shell
from tools import need
from torch import nn

from neurocuda_hw import load, load_trace
from neurocuda_hw.ground.toolchain import find_compiler, find_verilator
from neurocuda_hw.hls import find_ap_headers


def test_build_writes_all_or_says_why_not(nchw: Shell) -> None:
    result = nchw("build", "network.pt", "--data", "data.npz", "--samples", 3, "--json")
    assert result.code == 0
    folder = nchw.folder / "build" / "network"
    assert result.json["folder"] == "build/network"
    assert load(folder / "model.pt") == load("network.pt")
    assert load_trace(folder / "golden" / "trace.npz").samples == 3
    assert {p.name for p in folder.iterdir()} == {
        "Makefile",
        "golden",
        "host",
        "ip",
        "model.pt",
        "report.json",
        "rtl",
        "sim",
    }
    Path("full").mkdir()
    Path("full/diary.txt").write_text("")
    nchw.refuses(
        "output folder 'full' must be empty or an earlier build, not hold 'diary.txt'; name "
        "another one",
        "build",
        "network.pt",
        "-o",
        "full",
    )
    nchw.refuses(
        "output folder 'data.npz' must be a folder, not a file",
        "build",
        "network.pt",
        "-o",
        "data.npz",
    )
    result = nchw("build", "network.pt", "-o", "data.npz/below")
    assert (result.code, result.out) == (2, "")
    assert "Not a directory" in result.err


def test_build_with_a_golden_trace(nchw: Shell) -> None:
    nchw("golden", "network.pt", "--data", "data.npz", "-o", "t.npz")
    result = nchw("build", "network.pt", "--golden", "t.npz", "--samples", 4, "-o", "new")
    assert "Golden spikes are those of 4 samples of t.npz." in result.out
    golden = load_trace("new/golden/trace.npz")
    assert golden.to_bytes() == load_trace("t.npz").select(slice(0, 4)).to_bytes()
    mixed = Path(__file__).parents[2] / "golden" / "mixed.npz"
    nchw.refuses(
        f"the trace must be of network {load('network.pt').hash[:12]}, not of "
        f"{load_trace(mixed).network_hash[:12]}; record it again with 'nchw golden'",
        "build",
        "network.pt",
        "--golden",
        mixed,
        "-o",
        "other",
    )


@pytest.mark.slow
def test_verify_a_build(nchw: Shell, built: Path) -> None:
    result = nchw("verify", built, "--json", "facts.json")
    assert result.code == 0, result.out
    assert result.out.endswith("Equal, every spike of every layer.\n")
    (facts,) = json.loads(Path("facts.json").read_text())
    assert [c["target"] for c in facts["checks"]] == ["reference", "verilog"]
    assert facts["equal"] is True
    result = nchw("verify", built, "--stalls", 40, "--samples", 7, "--json", "-")
    assert result.code == 0
    (facts,) = json.loads(result.out)
    assert [c["samples"] for c in facts["checks"]] == [7, 7]


@pytest.mark.slow
def test_verify_a_model(nchw: Shell, built: Path) -> None:
    result = nchw("verify", "network.pt", "--data", "data.npz", "--lanes", 16)
    assert result.code == 0, result.out
    assert re.search(r"network\.pt .* verilog .* 20 ", result.out)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["hls", "loihi"])
def test_verify_what_the_folder_was_built_for(nchw: Shell, target: str) -> None:
    need(find_compiler(), find_verilator(), *([find_ap_headers()] if target == "hls" else []))
    assert nchw("build", "network.pt", "--target", target, "-o", "other").code == 0
    result = nchw("verify", "other", "--samples", 4, "--json", "-")
    assert result.code == 0, result.err
    (facts,) = json.loads(result.out)
    assert [c["target"] for c in facts["checks"]] == ["reference", target]
    # Verilog is made on the fly, as of a network
    result = nchw("verify", "other", "--samples", 4, "--target", "verilog", "--json", "-")
    assert result.code == 0, result.err
    (facts,) = json.loads(result.out)
    assert [c["target"] for c in facts["checks"]] == ["reference", "verilog"]


def golden_of_the_model(built: Path) -> None:
    """Writes ./golden, with the model and the trace of a build."""
    from neurocuda_hw.network.golden import MANIFEST, Entry, manifest_bytes

    golden = Path("golden")
    golden.mkdir()
    shutil.copy("network.pt", golden)
    shutil.copy(built / "golden" / "trace.npz", golden)
    entry = Entry(name="small", model="network.pt", trace="trace.npz")
    (golden / MANIFEST).write_bytes(manifest_bytes(golden, [entry]))


def test_verify_a_golden_folder(nchw: Shell, built: Path) -> None:
    golden_of_the_model(built)
    golden = Path("golden")
    assert nchw("verify", "--golden").code == 0
    assert nchw("verify", built, "--golden", golden / "trace.npz").code == 0


def flip(path: Path, line: int, bit: int) -> None:
    """Flips one bit of a memory file."""
    lines = path.read_text().splitlines()
    value = int(lines[line], 16) ^ (1 << bit)
    lines[line] = f"{value:0{len(lines[line])}x}"
    path.write_text("\n".join(lines) + "\n")


def flip_golden_spike(path: Path) -> None:
    """Flips a spike of sample 2 of a trace."""
    trace = load_trace(path)
    spikes = trace.spikes["first"].copy()
    spikes[2, 1, 0] ^= 4
    path.write_bytes(replace(trace, spikes={"first": spikes}).to_bytes())


@pytest.mark.slow
def test_a_flipped_weight_bit_is_found_and_located(nchw: Shell, built: Path) -> None:
    memory = next((built / "rtl" / "mem").glob("*first*weight*.mem"))
    flip(memory, 0, 8 + 6)  # input 0, lane 1: a high bit of neuron 1's weight
    result = nchw("verify", built)
    assert result.code == 1
    assert re.match(
        r"built, verilog: first divergence: sample \d+, population 'first', step \d+, "
        r"neuron 1 \(1,\): expected spike [01], got [01]\n"
        r"  membrane before the step: -?\d+\n  events that reached it in this step: input\(",
        result.out,
    )
    assert result.out.endswith("NOT equal.\n")


@pytest.mark.slow
def test_too_little_is_not_called_equal(nchw: Shell, built: Path) -> None:
    flip(next((built / "rtl" / "mem").glob("*first*weight*.mem")), 0, 8 + 6)
    np.save("silent.npy", np.zeros((2, 1, 6), int))
    result = nchw("verify", built, "--inputs", "silent.npy")
    assert result.code == 4
    why = "every input was 0 in the 2 samples compared"
    assert "Equal" not in result.out
    assert " ".join(result.out.split()).endswith(
        "Nothing differs, but too little was compared to say equal: built, "
        f"reference: {why}; verilog: {why}; compare more samples, or samples that make it fire "
        "(--data DATA), or accept it with --allow-little."
    )
    page = nchw("report", built, "-o", "page.html")
    assert page.code == 0
    assert f"Not verified: {why}, which shows nothing." in Path("page.html").read_text()
    result = nchw("verify", built, "--inputs", "silent.npy", "--allow-little")
    assert result.code == 0
    assert "Equal" not in result.out
    assert result.out.endswith("; accepted.\n")
    result = nchw("verify", built, "--inputs", "silent.npy", "--json", "-")
    assert result.code == 4
    (facts,) = json.loads(result.out)
    assert (facts["equal"], facts["exit_code"]) == (False, 4)
    assert [(c["equal"], c["verdict"]) for c in facts["checks"]] == [(False, "too little")] * 2


@pytest.mark.slow
def test_a_folder_that_is_named_is_what_is_verified(nchw: Shell, built: Path) -> None:
    golden_of_the_model(built)
    assert nchw("verify", "network.pt", "--golden").code == 0
    for arguments in ((built, "--golden"), ("--golden", built)):
        assert nchw("verify", *arguments).code == 0
    own = built / "golden" / "trace.npz"
    good = own.read_bytes()
    flip_golden_spike(own)
    for arguments in ((built, "--golden"), ("--golden", built)):
        result = nchw("verify", *arguments)
        assert result.code == 1
        assert result.out.startswith("built, reference: first divergence: sample 2, ")
    own.write_bytes(good)
    flip(next((built / "rtl" / "mem").glob("*first*weight*.mem")), 0, 8 + 6)
    for arguments in ((built, "--golden"), ("--golden", built)):
        assert nchw("verify", *arguments).code == 1
    nchw.refuses(
        f"{str(nchw.folder)!r} must be a folder that 'nchw build' wrote: it has no report.json",
        *("verify", nchw.folder, "--golden"),
    )
    assert nchw("verify", "--golden").code == 0  # no folder is named: the one of committed traces
    shutil.rmtree("golden")
    for arguments in (("network.pt",), ()):
        nchw.refuses(
            "--golden without a value needs a folder 'golden' here, which is missing; name a build "
            "folder, or --golden TRACE",
            *("verify", *arguments, "--golden"),
        )


@pytest.mark.slow
def test_a_flipped_golden_spike_is_found_and_located(nchw: Shell, built: Path) -> None:
    flip_golden_spike(built / "golden" / "trace.npz")
    result = nchw("verify", built)
    assert result.code == 1
    assert result.out.startswith(
        "built, reference: first divergence: sample 2, population 'first', step 1, neuron 2 (2,): "
    )


@pytest.mark.slow
def test_a_damaged_build(nchw: Shell, built: Path) -> None:
    (built / "model.pt").write_bytes(b"")
    nchw.refuses(
        f"{str(built / 'model.pt')!r} must be a PyTorch file, not something else or empty",
        "verify",
        built,
    )
    shutil.rmtree(built / "rtl")
    assert nchw("verify", built).code == 2
    nchw.refuses(
        f"{str(nchw.folder)!r} must be a folder that 'nchw build' wrote: it has no report.json",
        "verify",
        nchw.folder,
    )


@pytest.mark.parametrize("command", ["inspect", "build", "verify", "golden"])
def test_unusable_models(nchw: Shell, command: str) -> None:
    more = {"golden": ["-o", "t.npz"], "build": ["-o", "new"]}.get(command, [])
    content = Path("network.pt").read_bytes()
    Path("cut.pt").write_bytes(content[: len(content) // 2])
    nchw.refuses(
        "'cut.pt' is truncated or damaged; write or copy it again", command, "cut.pt", *more
    )
    torch.save(nn.Linear(2, 2), "module.pt")
    nchw.refuses(
        "'module.pt' holds pickled objects, which could run code; save a state_dict or a "
        "torch.export program instead",
        command,
        "module.pt",
        *more,
    )
    nchw.refuses(
        "cannot read the model 'none.pt': No such file or directory", command, "none.pt", *more
    )
    nchw.refuses(
        "'weights.pt' is no neurocuda_hw network; make one with 'nchw convert MODEL --data DATA "
        "-o FILE'",
        command,
        "weights.pt",
        *more,
    )


def test_the_report_tells_of_the_conversion_and_the_labels(nchw: Shell) -> None:
    result = nchw("build", "network.pt", "--target", "hls", "-o", "told", "--data", "data.npz")
    assert result.code == 0, result.err
    report = json.loads(Path("told/report.json").read_text())
    assert report["golden"] == {"samples": 20, "inputs": "data.npz, its test samples"}
    found = report["conversion"]
    assert (found["strategy"], found["samples"], found["data"]) == ("exact", 20, "data.npz")
    assert report["accuracy"] == {
        "samples": 20,
        "right": round(20 * found["integer_accuracy"] / 100),
    }
    assert nchw("report", "told", "--clock", "50").code == 0
    page = Path("told/report.html").read_text()
    assert f'<td class="number">{found["integer_accuracy"]:.2f}</td>' in page
    assert "at 50 MHz, assumed" in page
    nothing = nchw("build", "network.pt", "--target", "hls", "-o", "random")
    assert nothing.code == 0
    assert "accuracy" not in json.loads(Path("random/report.json").read_text())
