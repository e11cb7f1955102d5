"""``nchw convert`` of a trained classifier."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from shell import Shell
from torch import nn

from neurocuda_hw import load


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
    assert "Wrote new.pt: 6 inputs, 11 neurons, 72 weights, T = 4, exact." in result.out
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


def test_convert_learns_from_a_teacher(nchw: Shell) -> None:
    """Of the same weights in another order of classes: what it says is what is learnt."""
    state = torch.load("weights.pt", weights_only=True)
    rolled = {k: v.roll(1, 0) if "last" in k else v for k, v in state.items()}
    torch.save(rolled, "better.pt")
    x = np.random.default_rng(0).random((2000, 6), dtype=np.float32)
    y = (x.reshape(-1, 3, 2).sum(axis=2).argmax(axis=1) + 1) % 3
    np.savez("many.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])

    def network(*options: object) -> str:
        files = ("convert", "weights.pt", "--arch", "small_model:Small", "--data", "many.npz")
        trained = ("--strategy", "exact", "--qcfs-epochs", 20, "--validation", 0, "-o", "new.pt")
        assert nchw(*files, *trained, *options).code == 0
        return load("new.pt").hash

    better = ("--teacher", "better.pt", "--teacher-arch", "small_model:Small")
    taught = network(*better)
    assert network(*better) == taught
    assert len({network(), taught, network(*better, "--temperature", 4)}) == 3


def test_convert_says_what_is_wrong_with_a_teacher(nchw: Shell) -> None:
    small = ("weights.pt", "--arch", "small_model:Small", "--data", "data.npz", "-o", "new.pt")
    nchw.refuses(
        "'weights.pt' holds weights without their model; name its class with --teacher-arch "
        "module:Class",
        *("convert", *small, "--teacher", "weights.pt"),
    )
    nchw.refuses(
        "--teacher-arch must be module:Class, such as models:MnistMLP, not 'Small'",
        *("convert", *small, "--teacher", "weights.pt", "--teacher-arch", "Small"),
    )
    alone = nchw("convert", *small, "--teacher-arch", "small_model:Small")
    assert alone.code == 2
    assert "--teacher-arch must come with --teacher FILE, the weights" in alone.err
    cold = nchw("convert", *small, "--temperature", 0)
    assert cold.code == 2
    assert "0.0 is not in the range x>0" in cold.err
    assert not Path("new.pt").exists()


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


def test_build_converts_a_trained_model_first(nchw: Shell) -> None:
    model = ("weights.pt", "--arch", "small_model:Small", "--data", "data.npz")
    assert nchw("convert", *model, "-o", "new.pt").code == 0
    result = nchw("build", *model, "-o", "one", "--target", "loihi", "--samples", 3)
    assert result.code == 0, result.err
    assert "Accuracy on 20 test samples" in result.out
    assert "Converted weights.pt: 6 inputs, 11 neurons, 72 weights, T = 8, exact" in result.out
    taken = "data.npz, 3 of its 20 test samples, 3 classes, drawn by seed 0"
    assert f"Golden spikes are those of 3 samples of {taken}." in result.out
    assert f"Time and energy are those of {taken}." in result.out
    assert load("one/model.pt").hash == load("new.pt").hash
    again = nchw("build", *model, "-o", "one", "--target", "loihi", "--json")
    assert again.json["network"]["hash"] == load("new.pt").hash  # type: ignore[index]
    assert again.json["conversion"]
    assert again.json["golden"] == {"samples": 20, "inputs": "data.npz, its test samples"}


def test_build_of_a_program_needs_no_arch(nchw: Shell) -> None:
    program = torch.export.export(
        nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).eval(), (torch.zeros(2, 6),)
    )
    torch.export.save(program, "model.pt2")
    result = nchw("build", "model.pt2", "--data", "data.npz", "--target", "loihi")
    assert result.code == 0, result.err
    assert load("build/model/model.pt").neurons == 7
    for arguments, told in (
        ((), "a trained model is converted with real samples: give --data DATA"),
        (
            ("--data", "data.npz", "--steps", 3),
            "--steps is for .nir files, which 'model.pt2' is not",
        ),
    ):
        result = nchw("build", "model.pt2", *arguments, "-o", "none")
        assert (result.code, result.err.splitlines()[-1]) == (2, f"Error: {told}")
        assert not Path("none").exists()


def test_build_of_a_model_refuses_as_convert_does(nchw: Shell) -> None:
    for model in (
        ("weights.pt", "--arch", "small_model:Strange"),
        ("weights.pt", "--arch", "small_model:None"),
        ("data.npz", "--arch", "small_model:Small"),
    ):
        results = [
            nchw(command, *model, "--data", "data.npz", "-o", "none")
            for command in ("convert", "build")
        ]
        assert results[0] == results[1]
        assert results[0].code == 2
        assert not Path("none").exists()
