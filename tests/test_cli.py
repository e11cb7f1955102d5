"""The command line: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import errno
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from tools import need
from torch import nn

from neurocuda_hw import cli, load, load_trace
from neurocuda_hw.commands import console
from neurocuda_hw.toolchain import find_compiler, find_make, find_verilator

SOURCE = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
    def forward(self, x):
        return self.last(self.first(x).relu())

class Strange(Small):
    def __init__(self):
        super().__init__()
        self.mid = nn.Tanh()
    def forward(self, x):
        return self.last(self.mid(self.first(x)))
"""
COMMANDS = ("convert", "inspect", "build", "verify", "synth", "report", "golden", "doctor")


@dataclass
class Result:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        """Standard output, which must be one JSON value."""
        return json.loads(self.out)  # type: ignore[no-any-return]


class Shell:
    """Runs ``nchw`` in this process, in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, *arguments: object) -> Result:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(a) for a in arguments])
        out, err = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, out, err)

    def refuses(self, message: str, *arguments: object, code: int = 2) -> None:
        """Asserts exit code, the one sentence, an empty stdout, and that no file came or went."""
        before = self.files()
        result = self(*arguments)
        assert (result.code, result.out) == (code, "")
        assert result.err == f"nchw: {message}\n"
        assert self.files() == before

    def files(self) -> list[Path]:
        """All files but Python's own caches."""
        return sorted(p for p in self.folder.rglob("*") if "__pycache__" not in p.parts)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small trained model, its data, and the network converted from it."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    x = rng.random((80, 6), dtype=np.float32)
    y = x[:, :6].reshape(-1, 3, 2).sum(axis=2).argmax(axis=1)
    np.savez(folder / "data.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    (folder / "small_model.py").write_text(SOURCE)
    torch.manual_seed(0)
    model = nn.ModuleDict({"first": nn.Linear(6, 8), "last": nn.Linear(8, 3)})
    torch.save(model.state_dict(), folder / "weights.pt")
    return folder


@pytest.fixture
def nchw(
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shell]:
    """A shell in a copy of the prepared folder."""
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    shell = Shell(folder, capsys)
    if not (prepared / "network.pt").exists():
        result = shell(
            "convert",
            "weights.pt",
            "--arch",
            "small_model:Small",
            "--data",
            "data.npz",
            "--levels",
            4,
            *("--qcfs-epochs", 0, "--if-epochs", 0),
            "-o",
            prepared / "network.pt",
        )
        assert result.code == 0, result.err
        shutil.copy(prepared / "network.pt", folder)
    yield shell
    sys.modules.pop("small_model", None)


@pytest.fixture
def built(nchw: Shell, prepared: Path) -> Path:
    """A build folder of the small network, in the shell's folder."""
    need(find_verilator(), find_compiler(), find_make())
    if not (prepared / "build").exists():
        result = nchw("build", "network.pt", "-o", prepared / "build", "--lanes", 16)
        assert result.code == 0, result.err
    shutil.copytree(prepared / "build", nchw.folder / "built", dirs_exist_ok=True)
    return nchw.folder / "built"


# --- help and usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(nchw: Shell, command: str) -> None:
    result = nchw(command, "--help")
    assert result.code == 0
    assert len(re.findall(rf"^  nchw {command}", result.out, re.MULTILINE)) >= 1
    assert max(map(len, result.out.splitlines())) <= 100


def test_help_lists_the_commands_in_their_order(nchw: Shell) -> None:
    listed = re.findall(r"^  (\w+)  ", nchw("--help").out.split("Commands:")[1], re.MULTILINE)
    assert listed == list(COMMANDS)


def test_version(nchw: Shell) -> None:
    assert re.fullmatch(r"nchw, version \d+\.\d+\.\d+\n", nchw("--version").out)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fly"], "No such command 'fly'"),
        (["build"], "Missing argument 'MODEL'"),
        (["convert", "weights.pt"], "Missing option '--data'"),
        (["build", "network.pt", "--target", "asic"], "'asic' is not"),
        (
            ["build", "network.pt", "--lanes", "many"],
            "must be 'auto' or a number of at least 1, not 'many'",
        ),
        (["build", "network.pt", "--lanes", "0"], "a number of at least 1, not '0'"),
        (
            ["golden", "network.pt", "--data", "a", "--inputs", "b", "-o", "t.npz"],
            "--data and --inputs exclude each other",
        ),
        (["verify"], "name a model or a build folder, or a golden folder with --golden"),
        (
            ["verify", "network.pt", "--golden", "t.npz", "--data", "d"],
            "--golden excludes --data and --inputs",
        ),
        (["convert", "m", "--data", "d", "-o", "o", "--weight-bits", "9"], "9 is not in the range"),
    ],
)
def test_wrong_usage(nchw: Shell, arguments: list[str], complaint: str) -> None:
    result = nchw(*arguments)
    assert result.code == 2
    assert complaint in result.err
    assert "Usage: nchw" in result.err
    assert result.out == ""


# --- convert


def test_convert(nchw: Shell) -> None:
    result = nchw(
        "convert",
        "weights.pt",
        "--arch",
        "small_model:Small",
        "--data",
        "data.npz",
        "--levels",
        4,
        *("--qcfs-epochs", 0, "--if-epochs", 0),
        "--name",
        "small",
        "-o",
        "new.pt",
    )
    assert result.code == 0
    assert "Accuracy on 20 test samples" in result.out
    assert "Wrote new.pt: 11 neurons, 72 weights, T = 4, exact." in result.out
    network = load("new.pt")
    assert (network.name, network.timesteps) == ("small", 4)
    assert network.hash == load("network.pt").hash


def test_convert_json(nchw: Shell) -> None:
    result = nchw(
        "convert",
        "weights.pt",
        "--arch",
        "small_model:Small",
        "--data",
        "data.npz",
        "--code",
        "rate",
        "--timesteps",
        5,
        "-o",
        "new.pt",
        "--json",
    )
    assert result.code == 0
    assert result.json["file"] == "new.pt"
    assert result.json["timesteps"] == load("new.pt").timesteps == 5
    assert result.json["hash"] == load("new.pt").hash
    assert result.json["tested_on_training_data"] is False
    assert 0 <= float(str(result.json["integer_accuracy"])) <= 100


def test_convert_draws_the_activity(nchw: Shell) -> None:
    small = ("convert", "weights.pt", "--arch", "small_model:Small", "--data", "data.npz")
    untrained = ("--qcfs-epochs", 0, "-o", "new.pt")
    result = nchw(*small, *untrained, "--plot", "activity.svg")
    assert result.code == 0
    assert "Drew activity.svg: activity of each layer in each step." in result.out
    drawing = Path("activity.svg").read_text()
    assert drawing.startswith("<?xml")
    assert "<svg" in drawing
    wrong = nchw(*small, *untrained, "--plot", "activity.doc")
    assert wrong.code == 2
    assert "the name must end in .svg, .png or .pdf, not 'activity.doc'" in wrong.err


def test_convert_a_program(nchw: Shell) -> None:
    from small_model import Small  # type: ignore[import-not-found]

    model = Small().eval()
    model.load_state_dict(torch.load("weights.pt", weights_only=True))
    shapes = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(model, (torch.zeros(2, 6),), dynamic_shapes=shapes)
    torch.export.save(program, "model.pt2")
    untrained = ("--qcfs-epochs", 0, "--if-epochs", 0)
    files = ("model.pt2", "--data", "data.npz", "-o", "new.pt")
    result = nchw("convert", *files, "--levels", 4, *untrained)
    assert result.code == 0
    assert load("new.pt").hash == load("network.pt").hash


def test_convert_says_when_it_tests_on_training_data(nchw: Shell) -> None:
    with np.load("data.npz") as data:
        np.savez("one.npz", x=data["x_train"], y=data["y_train"])
    result = nchw(
        "convert", "weights.pt", "--arch", "small_model:Small", "--data", "one.npz", "-o", "new.pt"
    )
    assert "Accuracy on 60 the training samples themselves" not in result.out
    assert "Accuracy on the 60 training samples themselves" in result.out


def test_convert_refuses_what_it_cannot_trust_or_do(nchw: Shell) -> None:
    def convert(*arguments: str) -> tuple[str, ...]:
        return ("convert", *arguments, "--data", "data.npz", "-o", "new.pt")

    small = ("--arch", "small_model:Small")
    content = Path("weights.pt").read_bytes()
    Path("cut.pt").write_bytes(content[:-100])
    nchw.refuses(
        "'cut.pt' is truncated or damaged; write or copy it again", *convert("cut.pt", *small)
    )
    torch.save(nn.Linear(2, 2), "module.pt")
    nchw.refuses(
        "'module.pt' holds pickled objects, which could run code; save a state_dict or a "
        "torch.export program instead, or read it with --unpickle if you trust it",
        *convert("module.pt"),
    )
    state = torch.load("weights.pt", weights_only=True)
    torch.save({**state, "first.weight": state["first.weight"] * float("nan")}, "nan.pt")
    nchw.refuses(
        "parameter 'first.weight' must be finite, but 48 of its 48 values are NaN or infinite",
        *convert("nan.pt", *small),
    )
    strange = nchw(*convert("weights.pt", "--arch", "small_model:Strange"))
    assert strange.code == 2
    assert re.fullmatch(r"nchw: layer 'mid' \(Tanh\) cannot be converted: .+\n", strange.err)
    nchw.refuses(
        "there is no data at 'nowhere'; name a folder of idx or CIFAR binary files, or a .npz "
        "with x and y",
        "convert",
        "weights.pt",
        *small,
        "--data",
        "nowhere",
        "-o",
        "new.pt",
    )
    nchw.refuses(
        "'network.pt' is a converted network already; go on with nchw build",
        *convert("network.pt"),
    )
    assert not Path("new.pt").exists()


# --- golden and inspect


def test_golden_takes_real_inputs_integers_and_data(nchw: Shell) -> None:
    network = load("network.pt")
    with np.load("data.npz") as data:
        real = data["x_test"]
    np.save("real.npy", real)
    scale = float(network.input.scale)
    integers = np.clip(np.rint(real / scale), 0, 255).astype(np.int64)
    np.savez("integers.npz", integers)
    for source in (["--inputs", "real.npy"], ["--inputs", "integers.npz"], ["--data", "data.npz"]):
        result = nchw("golden", "network.pt", *source, "-o", "trace.npz")
        assert result.code == 0
        trace = load_trace("trace.npz")
        assert trace.network_hash == network.hash
        assert trace.inputs[:, 0].tolist() == integers.tolist()
        assert trace.membranes == {}
    assert "of 20 samples are classified as their label says." in result.out


def test_golden_of_random_inputs_says_so(nchw: Shell) -> None:
    result = nchw("golden", "network.pt", "--samples", 5, "--membranes", "-o", "t.npz", "--json")
    assert result.json["inputs"] == "random inputs, seed 0"
    assert result.json["samples"] == load_trace("t.npz").samples == 5
    assert list(load_trace("t.npz").membranes) == ["first"]


def test_bad_inputs(nchw: Shell) -> None:
    def golden(name: str) -> tuple[str, ...]:
        return ("golden", "network.pt", "--inputs", name, "-o", "t.npz")

    np.save("wide.npy", np.zeros((4, 1, 7), int))
    nchw.refuses("inputs must have the shape (samples, 1, 6), not (4, 1, 7)", *golden("wide.npy"))
    np.save("wide_real.npy", np.zeros((4, 7)))
    nchw.refuses("inputs must have the shape (samples, 6), not (4, 7)", *golden("wide_real.npy"))
    np.save("high.npy", np.full((4, 6), 256))
    nchw.refuses("inputs must be 0 to 255, not 256 to 256", *golden("high.npy"))
    np.save("nan.npy", np.full((4, 6), np.nan))
    nchw.refuses("inputs must be finite, not NaN or infinite (24 of 24 values)", *golden("nan.npy"))
    np.save("text.npy", np.array([["a"]]))
    nchw.refuses("'text.npy' must hold numbers (samples, ...), not <U1 (1, 1)", *golden("text.npy"))
    Path("no.npy").write_bytes(b"123")
    result = nchw(*golden("no.npy"))
    assert result.code == 2
    assert result.err.startswith("nchw: 'no.npy' must be a .npy, or a .npz with x: ")
    nchw.refuses(
        "cannot read the inputs 'none.npy': No such file or directory", *golden("none.npy")
    )


def test_inspect(nchw: Shell) -> None:
    result = nchw("inspect", "network.pt", "--data", "data.npz", "--lanes", 2)
    assert result.code == 0
    for word in ("input", "first", "IF subtract", "Readout", "membrane bits", "Dense, 8x6"):
        assert word in result.out
    assert "mean of 20 samples (data.npz)" in result.out
    found = nchw("inspect", "network.pt", "--data", "data.npz", "--lanes", 2, "--json").json
    first = found["populations"][1]  # type: ignore[index]
    assert (first["neurons"], first["weights"], first["lanes"]) == (8, 48, 2)
    trace = nchw("golden", "network.pt", "--data", "data.npz", "-o", "t.npz", "--json").json
    assert first["events"] == trace["spikes"]["first"] / 20  # type: ignore[index]
    assert found["right"] == trace["right"]


# --- build and verify


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
    assert "golden spikes of 4 samples (t.npz)" in result.out
    golden = load_trace("new/golden/trace.npz")
    assert golden.to_bytes() == load_trace("t.npz").select(slice(0, 4)).to_bytes()
    mixed = Path(__file__).parents[1] / "golden" / "mixed.npz"
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


def test_verify_a_model(nchw: Shell, built: Path) -> None:
    result = nchw("verify", "network.pt", "--data", "data.npz", "--lanes", 16)
    assert result.code == 0, result.out
    assert re.search(r"network\.pt .* verilog .* 20 ", result.out)


def test_verify_a_golden_folder(nchw: Shell, built: Path) -> None:
    from neurocuda_hw.golden import MANIFEST, Entry, manifest_bytes

    golden = Path("golden")
    golden.mkdir()
    shutil.copy("network.pt", golden)
    shutil.copy(built / "golden" / "trace.npz", golden)
    entry = Entry(name="small", model="network.pt", trace="trace.npz")
    (golden / MANIFEST).write_bytes(manifest_bytes(golden, [entry]))
    assert nchw("verify", "--golden").code == 0
    assert nchw("verify", built, "--golden", golden / "trace.npz").code == 0


def flip(path: Path, line: int, bit: int) -> None:
    """Flips one bit of a memory file."""
    lines = path.read_text().splitlines()
    value = int(lines[line], 16) ^ (1 << bit)
    lines[line] = f"{value:0{len(lines[line])}x}"
    path.write_text("\n".join(lines) + "\n")


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


def test_a_flipped_golden_spike_is_found_and_located(nchw: Shell, built: Path) -> None:
    from dataclasses import replace

    trace = load_trace(built / "golden" / "trace.npz")
    spikes = trace.spikes["first"].copy()
    spikes[2, 1, 0] ^= 4
    (built / "golden" / "trace.npz").write_bytes(
        replace(trace, spikes={"first": spikes}).to_bytes()
    )
    result = nchw("verify", built)
    assert result.code == 1
    assert result.out.startswith(
        "built, reference: first divergence: sample 2, population 'first', step 1, neuron 2 (2,): "
    )


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
        f"{str(nchw.folder)!r} must be a folder that 'nchw build' wrote", "verify", nchw.folder
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


# --- what goes wrong outside


@pytest.mark.parametrize(
    ("arguments", "path", "reason"),
    [
        (["golden", "network.pt", "-o"], "data.npz/t.npz", "'data.npz': Not a directory"),
        (["golden", "network.pt", "-o"], "none/t.npz", "'none': there is no such folder"),
        (["golden", "network.pt", "-o"], ".", "Is a directory"),
        (
            ["convert", "weights.pt", "--data", "data.npz", "-o"],
            "data.npz/n.pt",
            "'data.npz': Not a directory",
        ),
        (["verify", "network.pt", "--json"], "none/f.json", "'none': there is no such folder"),
    ],
)
def test_outputs_that_cannot_be_written(
    nchw: Shell, arguments: list[str], path: str, reason: str
) -> None:
    nchw.refuses(f"cannot write {path!r}: {reason}", *arguments, path)


def test_a_missing_verilator(nchw: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCHW_VERILATOR", "/nowhere/verilator")
    nchw.refuses(
        "NCHW_VERILATOR must name a program, not '/nowhere/verilator'; unset it or correct it",
        "verify",
        "network.pt",
        code=3,
    )
    result = nchw("doctor")
    assert result.code == 3
    assert "Missing: verilator." in result.out


def test_an_old_verilator(nchw: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    old = nchw.folder / "verilator"
    old.write_text("#!/bin/sh\necho 'Verilator 5.006 2023-01-22'\n")
    old.chmod(0o755)
    monkeypatch.setenv("NCHW_VERILATOR", str(old))
    result = nchw("verify", "network.pt")
    assert result.code == 3
    assert result.err.startswith(f"nchw: Verilator must be 5.036 or newer, not 5.006 ({old})")


def test_doctor(nchw: Shell) -> None:
    result = nchw("doctor", "--json")
    tools = {tool["name"]: tool for tool in result.json["tools"]}  # type: ignore[attr-defined]
    needed = [tool for tool in tools.values() if tool["needed"]]
    assert result.json["ready"] == all(tool["usable"] for tool in needed)
    assert result.code == (0 if result.json["ready"] else 3)
    assert tools["python"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert tools["torch"]["version"].split("+")[0] == torch.__version__.split("+")[0]


def test_a_full_disk(nchw: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    nchw.refuses(
        "cannot write 't.npz': No space left on device", "golden", "network.pt", "-o", "t.npz"
    )
    result = nchw("build", "network.pt", "-o", "new")
    assert (result.code, result.out) == (2, "")
    assert "No space left on device" in result.err
    assert not Path("new").exists()


def test_an_unexpected_system_error(nchw: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", "disk")

    monkeypatch.setattr(console, "to_json", fails)
    nchw.refuses("Input/output error (disk)", "inspect", "network.pt", "--json")


def test_interrupt_is_one_line(nchw: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "to_json", interrupted)
    result = nchw("inspect", "network.pt", "--json")
    assert (result.code, result.out) == (130, "")
    assert result.err.strip() == "nchw: interrupted"


def test_a_real_interrupt(nchw: Shell) -> None:
    fifo = nchw.folder / "never"
    subprocess.run(["mkfifo", str(fifo)], check=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "neurocuda_hw", "inspect", "network.pt", "--inputs", str(fifo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(cli.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
        # a shell that runs the tests in the background has them ignore interrupts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process, fifo.open("wb"):  # opens when the command opens its end: then it is at work
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err.strip()) == (130, "", "nchw: interrupted")


def test_a_reader_that_goes_away(nchw: Shell) -> None:
    done = subprocess.run(
        f"{sys.executable} -m neurocuda_hw inspect network.pt --json | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(cli.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    assert (done.stdout, done.stderr) == ("{", "")
