"""Recordings of events on the command line: what is taken, what is told, what is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from event_formats import dat, evt3, made, nmnist
from shell import Shell
from small import chain
from tools import need

from neurocuda_hw.ground import extras
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.network import IF, Input, Readout
from neurocuda_hw.network.model_file import save
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.network.trace import load_trace

STEPS, STEP_US = 4, 20_000
ROWS = made(400, last=75_000)


@pytest.fixture
def camera(nchw: Shell) -> Shell:
    """A shell in a folder with a network that never says anything but class 0."""
    network = chain(
        STEPS,
        {
            "pixels": ((2, 34, 34), Input(encoding=Encoding.GRADED, payload_bits=2)),
            "hidden": ((2,), IF(threshold=1000)),
            "out": ((10,), Readout()),
        },
        Dense(weight=np.zeros((2, 2 * 34 * 34), np.int64)),
        Dense(weight=np.zeros((10, 2), np.int64)),
    )
    save(network, "camera.pt")
    return nchw


def folders(*parts: str, each: int = 2) -> None:
    """Recordings of ten classes, in class after class, of so many parts."""
    for part in parts:
        for label in range(10):
            place = Path("set", part, str(label))
            place.mkdir(parents=True)
            for i in range(each):
                rows = made(30, seed=label + 10 * i, last=STEPS * STEP_US)
                (place / f"{i:05}.bin").write_bytes(nmnist(rows))


GIVEN = ("--step-us", STEP_US)


def test_samples_are_of_all_classes_of_the_test_part(camera: Shell) -> None:
    """What never fires is right once in ten; taken class after class it was right always."""
    folders("Train", "Test", each=3)
    run = camera("inspect", "camera.pt", "--data", "set", "--samples", 20, *GIVEN, "--json")
    assert (run.json["right"], run.json["samples"]) == (2, 20)
    told = "set, 20 of its 30 test samples, 10 classes, drawn by seed 0"
    assert run.json["inputs"] == told
    run = camera("golden", "camera.pt", "--data", "set", "--samples", 10, *GIVEN, "-o", "t.npz")
    assert "Wrote t.npz: 10 samples of set, 10 of its 30 test samples, 10 classes, " in run.out
    assert "1 of 10 samples classified as labelled." in run.out
    run = camera(
        "verify", "camera.pt", "--target", "loihi", "--data", "set", "--samples", 10, *GIVEN
    )
    assert "set, 10 of its 30 test samples, 10 classes, drawn by seed 0" in run.out + run.err
    run = camera("build", "camera.pt", "--target", "loihi", "--data", "set", "--samples", 10,
                 *GIVEN, "-o", "out")  # fmt: skip
    assert "set, 10 of its 30 test samples, 10 classes, drawn by seed 0" in run.out


def test_images_too(nchw: Shell) -> None:
    x, y = np.random.default_rng(0).random((40, 6), dtype=np.float32), np.repeat([0, 1, 2, 3], 10)
    np.savez("sorted.npz", x=x, y=y)
    run = nchw("golden", "network.pt", "--data", "sorted.npz", "--samples", 8, "-o", "t.npz")
    told = "sorted.npz, 8 of its 40 samples, 4 classes, drawn by seed 0"
    assert f"8 samples of {told}" in run.out
    quantised = load_trace("t.npz").inputs.reshape(8, 6)
    whole = nchw("golden", "network.pt", "--data", "sorted.npz", "-o", "all.npz")
    assert "40 samples of sorted.npz, " in whole.out
    every = load_trace("all.npz").inputs.reshape(40, 6)
    found = [int(np.flatnonzero((every == row).all(axis=1))[0]) for row in quantised]
    assert sorted(y[found].tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_what_is_left_out_is_told(camera: Shell) -> None:
    rows = [(3, 4, 1, 10)] * 5 + [(33, 33, 0, 79_999), (34, 0, 0, 5), (0, 0, 0, 80_000)]
    Path("set/1").mkdir(parents=True)
    Path("set/1/a.raw").write_bytes(evt3(rows))
    Path("set/1/b.bin").write_bytes(b"")
    run = camera("golden", "camera.pt", "--data", "set", *GIVEN, "-o", "t.npz")
    assert (run.code, run.err.splitlines()) == (
        0,
        [
            "nchw: note: of 8 events 4 are counted; left out: 1 outside the 34 x 34 pixels "
            "(12.5%), 1 after the 4 steps of an inference (12.5%), 2 above the 3 that one input "
            "holds (25.0%)",
            "nchw: note: times that go back: 1",
        ],
    )
    inputs = load_trace("t.npz").inputs
    assert inputs.shape == (2, STEPS, 2, 34, 34)
    assert (inputs[0, 0, 1, 4, 3], inputs[0, 3, 0, 33, 33], inputs[1].any()) == (3, 1, False)


def test_windows_of_one_recording(camera: Shell) -> None:
    rows = sorted(made(900, last=200_000) + [(3, 4, 1, 100_000)] * 9, key=lambda row: row[3])
    Path("r.dat").write_bytes(dat(rows))
    run = camera("golden", "camera.pt", "--data", "r.dat", *GIVEN, "-o", "t.npz")
    assert run.code == 0, run.err
    inputs = load_trace("t.npz").inputs
    want = np.zeros((3 * STEPS, 2, 34, 34), np.int64)
    for x, y, p, t in rows:
        want[t // STEP_US, p, y, x] += 1
    assert np.array_equal(inputs.reshape(want.shape), np.minimum(want, 3))
    assert f"{(np.maximum(want, 3) - 3).sum()} above the 3 that one input holds" in run.err
    assert "steps after a recording's last event, empty" in run.err


def test_other_grids_and_frames(camera: Shell) -> None:
    shifted = [(2 * x + 5, 2 * y + 7, p, t + 123_456_789) for x, y, p, t in ROWS]
    Path("r.dat").write_bytes(dat(shifted))
    options = ("--grid", "first", "--crop", "5,7", "--downsample", 2)
    camera("golden", "camera.pt", "--data", "r.dat", *GIVEN, *options, "-o", "t.npz")
    inputs = load_trace("t.npz").inputs
    want = np.zeros((STEPS, 2, 34, 34), np.int64)
    for x, y, p, t in ROWS:
        want[(t - ROWS[0][3]) // STEP_US, p, y, x] += 1
    assert np.array_equal(inputs[0], np.minimum(want, 3))
    camera("golden", "camera.pt", "--data", "r.dat", "--step-events", 100, *options, "-o", "n.npz")
    inputs = load_trace("n.npz").inputs
    want = np.zeros((STEPS, 2, 34, 34), np.int64)
    for number, (x, y, p, _) in enumerate(ROWS):
        want[number // 100, p, y, x] += 1
    assert np.array_equal(inputs[0], np.minimum(want, 3))
    run = camera("golden", "camera.pt", "--data", "r.dat", "--crop", "5", "-o", "x.npz")
    assert (run.code, "must be X,Y of the corner, not '5'" in run.err) == (2, True)


def test_a_damaged_recording_is_named(camera: Shell) -> None:
    Path("set/1").mkdir(parents=True)
    Path("set/1/00007.bin").write_bytes(b"1234567")
    run = camera("golden", "camera.pt", "--data", "set", *GIVEN, "-o", "t.npz")
    assert (run.code, run.err) == (
        2,
        "nchw: 'set/1/00007.bin' must be whole events of 5 bytes, not 7 bytes; copy it again\n",
    )


def test_inspect_draws_a_recording(nchw: Shell) -> None:
    Path("r.raw").write_bytes(evt3(ROWS))
    run = nchw("inspect", "r.raw", "--step-us", 5000, "--plot", "r.svg")
    lines = run.out.splitlines()
    times = [t for *_, t in ROWS]
    assert (run.code, run.err) == (0, "")
    assert lines[0] == f"r.raw: 400 events, {min(times)} to {max(times):,} µs"
    assert lines[1].startswith("pixels heard: 34 x 34; brighter: ")
    assert len(lines) == 2 + 17 + 2
    assert lines[-1] == "15 steps of 5,000 µs from 0 µs: mean 26.7 events, most " + str(
        max(np.bincount(np.array(times) // 5000))
    )
    assert Path("r.svg").read_text().count("brighter") >= 1
    facts = nchw("inspect", "r.raw", "--step-us", 5000, "--json").json
    assert facts["rate"] == np.bincount(np.array(times) // 5000).tolist()
    assert (facts["events"], facts["width"], facts["brighter"]) == (
        400, 34, sum(p for _, _, p, _ in ROWS),
    )  # fmt: skip
    assert nchw("inspect", "network.pt", "--plot", "r.svg").code == 2


def test_a_missing_package_ends_with_the_line_that_brings_it(
    nchw: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("r.es").write_bytes(b"Event Stream\2\0\0\1\1\0\1\0")
    monkeypatch.setitem(__import__("sys").modules, "faery", None)
    monkeypatch.setattr(extras, "extra_of", lambda package: f"[{package}]")
    run = nchw("inspect", "r.es")
    assert (run.code, run.err) == (
        3,
        "nchw: the package 'faery' is missing; pip install 'neurocuda_hw[faery]'\n",
    )


def test_convert_says_which_part_tests(camera: Shell) -> None:
    """Parts in an archive are kept apart as in folders."""
    import tarfile

    import torch
    from torch import nn

    folders("Train", "Test")
    with tarfile.open("set.tar", "w") as archive:
        archive.add("set")
    Path("events_net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.net = nn.Sequential(nn.Flatten(), nn.Linear(2312, 8), nn.ReLU(), "
        "nn.Linear(8, 10))\n\n    def forward(self, x):\n        return self.net(x.sum(1))\n"
    )
    net = nn.Sequential(nn.Flatten(), nn.Linear(2312, 8), nn.ReLU(), nn.Linear(8, 10))
    torch.save({f"net.{name}": value for name, value in net.state_dict().items()}, "net.pt")
    run = camera(
        "convert", "net.pt", "--arch", "events_net:Net", "--data", "set.tar", "-o", "n.pt",
        "--timesteps", STEPS, *GIVEN, "--qcfs-epochs", 0,
    )  # fmt: skip
    assert run.code == 0, run.err
    assert "20 test samples" in run.out
    assert "nchw: note: set.tar: 20 train and 20 test recordings\n" in run.err


def test_a_front_block_is_built(camera: Shell) -> None:
    options = ("--samples", 2, "--crop", "3,4", "--downsample", 2)
    run = camera("build", "camera.pt", "-o", "out", "--front", "evt3", *options)
    assert run.code == 0, run.err
    report = json.loads(Path("out/report.json").read_text())
    assert report["front"] == {
        "kind": "evt3", "crop": [3, 4], "downsample": 2, "step_us": 1000, "grid": "zero",
        "recordings": 1,  # the other one is silent
    }  # fmt: skip
    assert {"front/nchw_front.v", "front/nchw_camera.v"} <= set(report["files"])
    camera("build", "camera.pt", "-o", "plain", *options)
    for name in ("rtl/nchw_top.v", "rtl/nchw_ram.v"):
        assert Path("out", name).read_bytes() == Path("plain", name).read_bytes()
    assert not Path("plain/front").exists()
    run = camera("build", "camera.pt", "-o", "x", "--front", "aer", "--target", "loihi", *options)
    assert (run.code, "--front is for Verilog: --target verilog" in run.err) == (2, True)
    run = camera("build", "network.pt", "-o", "x", "--front", "aer", "--samples", 2)
    assert run.code == 2
    assert "a front block needs an input (1 or 2, H, W) that gets events in every step" in run.err
    for option in ("--step-events", "--advance"):
        run = camera("build", "camera.pt", "-o", "x", "--front", "aer", option, 2)
        assert (run.code, "--front bins by time" in run.err) == (2, True)


@pytest.mark.slow
def test_a_front_block_is_verified(camera: Shell) -> None:
    """On the recordings that the build was made with; a block that bins otherwise is found."""
    need(find_verilator(), find_compiler(), find_make())
    folders("Test", each=1)
    options = ("--data", "set", "--samples", 3, *GIVEN, "--crop", "1,0", "--grid", "first")
    run = camera("build", "camera.pt", "-o", "out", "--front", "evt3", *options)
    assert run.code == 0, run.err
    run = camera("verify", "out", "--allow-little", "--stalls", 30)
    assert run.code == 0, run.out + run.err
    place = Path("out/report.json")
    report = json.loads(place.read_text())
    report["front"]["crop"] = [0, 0]
    place.write_text(json.dumps(report))
    run = camera("verify", "out", "--allow-little")
    assert run.code == 1
    assert "front block: recording 0, packet 0, step" in run.out + run.err
    assert "as the software bins them" in run.out + run.err
    report["front"]["crop"] = [1]
    place.write_text(json.dumps(report))
    run = camera("verify", "out")
    assert (run.code, "is damaged" in run.err) == (2, True)


def test_windows_of_a_recording_may_overlap(camera: Shell) -> None:
    Path("moving.dat").write_bytes(dat(ROWS))
    frames = {}
    for name, more in (("apart", ()), ("sliding", ("--advance", 1))):
        run = camera(
            "golden", "camera.pt", "--data", "moving.dat", "-o", f"{name}.npz", "--step-us", 5000,
            *more,
        )  # fmt: skip
        assert run.code == 0, run.err
        frames[name] = load_trace(f"{name}.npz").inputs
    apart, sliding = frames["apart"], frames["sliding"]
    assert np.array_equal(sliding[::STEPS], apart[: len(sliding[::STEPS])])
    assert np.array_equal(sliding[1][:-1], apart[0][1:])
    assert len(sliding) == 75_000 // 5000 - STEPS + 1
    run = camera("golden", "camera.pt", "--data", "moving.dat", "-o", "x.npz", "--advance", 5)
    assert (run.code, "--advance must be 1 to 4, the steps of a window" in run.err) == (2, True)
