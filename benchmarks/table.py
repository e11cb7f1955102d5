"""Every figure: its name, its options, and what must be installed for it.

A figure is one file here and one row below. The file ``NAME.py`` has a function
``measure(given) -> Figures`` that takes the parsed options and returns plain values for JSON; the
first line of its docstring is what ``list`` prints, the whole of it is the text of ``--help``. What
it says on the way goes to `say`. Equality is part of a figure: where a value whose key has the word
``unequal`` is not 0, the exit code is 1.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.options import Option, flag, number, option
from neurocuda_hw.ground.toolchain import find_compiler, find_verilator, find_yosys

Figures = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def say(text: str) -> None:
    """A line about the work that goes on; standard output is for the figures."""
    print(text, file=sys.stderr, flush=True)


def _package(name: str, extra: str) -> str:
    if importlib.util.find_spec(name) is not None:
        return ""
    return f"{name} is not installed: pip install 'neurocuda_hw[{extra}]'"


def _ap_int() -> str:
    from neurocuda_hw.hls import find_ap_headers  # with it comes all that emits C++

    return find_ap_headers().problem


def _git() -> str:
    return "" if shutil.which("git") else "git is not on PATH: install it, and use a clone"


# What a figure may need: a function that says what is missing and how to get it, or nothing.
NEEDS: Mapping[str, Callable[[], str]] = {
    "verilator": lambda: find_verilator().problem,
    "yosys": lambda: find_yosys().problem,
    "compiler": lambda: find_compiler().problem,
    "ap_int": _ap_int,
    "git": _git,
    "hypothesis": partial(_package, "hypothesis", "test"),
    "nir": partial(_package, "nir", "nir"),
    "faery": partial(_package, "faery", "events"),
    "spikingjelly": partial(_package, "spikingjelly", "peers"),
    "sinabs": partial(_package, "sinabs", "peers"),
    "snntorch": partial(_package, "snntorch", "peers"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A row: the module of the same name measures it."""

    name: str
    needs: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()

    @property
    def text(self) -> str:
        """The module's docstring, read without loading it or what it needs."""
        spec = importlib.util.find_spec(f"benchmarks.{self.name}")
        assert spec is not None
        assert spec.origin is not None
        return ast.get_docstring(ast.parse(Path(spec.origin).read_text())) or ""

    @property
    def measure(self) -> Callable[[argparse.Namespace], Figures]:
        """The function, with its module loaded."""
        found: Callable[[argparse.Namespace], Figures]
        found = importlib.import_module(f"benchmarks.{self.name}").measure
        return found

    def missing(self) -> str:
        """What this machine lacks and how to get it, in one sentence; empty if nothing."""
        return next((problem for need in self.needs if (problem := NEEDS[need]())), "")


# public data sets and checkpoints: mnist/, nir/, nmnist/, checkpoints/
DATA = os.environ.get("NCHW_DATA", "../shared/data")

MLP_CNN, EXACT_RATE = ("mlp", "cnn"), ("exact", "rate")

MNIST = option("--data", "folder of MNIST's idx files", default=f"{DATA}/mnist")
CIFAR = option("--data", "folder of the CIFAR-10 binary files", required=True)
CIFAR_TOO = option("--cifar", "the same of CIFAR-10", metavar="FOLDER")
RESNET20 = f"{DATA}/checkpoints/akamaster_resnet20-12fca82f.th"
WEIGHTS = option("--weights", "of the trained ResNet-20 (a state_dict)", default=RESNET20)
NMNIST = option("--nmnist", "those of nir_nmnist", nargs=2, metavar=("GRAPH", "RECORDINGS"))
SAVED = option(
    "--files",
    "a network as nchw convert writes it, and its quantised inputs: x of an .npz",
    nargs=2,
    action="append",
    metavar=("MODEL", "INPUTS"),
)
NETWORKS = option(
    "--network", "of MNIST; may be said twice; both", choices=MLP_CNN, action="append"
)
CODES = option("--code", "may be said twice; both", choices=EXACT_RATE, action="append")
SAMPLES = partial(option, "--samples", "inferences, 2 to 500", type=number(2, 500))
LANES = option("--lanes", "most lanes of a layer", default=16, type=number(1))
EPOCHS = option("--epochs", "of fine-tuning, with QCFS", default=0)
IMAGES = option("--images", "of the test set; all", type=number(1))
TRAIN = option("--train", "images to train on; all", type=number(1))
RATE = partial(option, "--rate", "of the training")
TEMPERATURE = partial(option, "--temperature", "of the teacher")
BATCH = option("--batch", "of the training", default=128)
BITS = option("--weight-bits", "2 to 8", default=8)
SEED = option("--seed", default=0)
ROUNDS = option("--rounds", default=3, type=number(1))
AGAINST = option("--against", "what to compare with", default="2ad39ec", metavar="COMMIT")
DEVICE = option("--device", "cpu or cuda; cuda if there is one")
STATES = option("--checkpoints", "folder of states to go on from after a break", type=Path)
KEPT = option("--networks", "folder to write the networks to", type=Path)
PEERS = option("--peers", "Python with nengo-loihi and sanafe", default=sys.executable)
SENT = ("convolutions", "loops", "currents", "mixed", "mnist_mlp", "mnist_cnn")
LANES_784 = tuple(1 << n for n in range(8))

FIGURES: tuple[Figure, ...] = (
    Figure("accuracy", (), (
        option("networks", nargs="+", choices=(*MLP_CNN, "resnet20")),
        option("--codes", choices=(*EXACT_RATE, "rate_direct"), default=["exact"]),
        option("--levels", "L and T", default=[8]), option("--seeds", default=[0]),
        MNIST, CIFAR_TOO, WEIGHTS, TRAIN, BITS, EPOCHS, RATE(default=0.01), STATES, DEVICE,
        option("--qcfs-epochs", "before training through time", default=0),
        TEMPERATURE(default=1.0),
        option("--out", "folder of the figures of finished runs", type=Path),
        flag("--verbose", "progress bars and figures"),
    )),
    Figure("accuracy_resnet20", (), (
        CIFAR, WEIGHTS, IMAGES, BATCH, KEPT,
        option("--qcfs", "the same trained with QCFS, to go on from", type=Path),
        option("--checkpoints", "folder of states to go on from", type=Path, required=True),
        option("--epochs", "of each training", default=[4]),
        option("--rates", "the step of each training", default=[0.005, 0.002]),
        option("--batches", "of an epoch of each training; all", nargs="+", type=number(1)),
        option("--temperatures", "of the teacher in each training", default=[1.0]),
        option("--seeds", default=[0, 1, 2]), option("--levels", "L of the tests", default=[8, 16]),
    )),
    Figure("accuracy_rate", (), (
        CIFAR, WEIGHTS, TRAIN, IMAGES, BATCH, EPOCHS, SEED, STATES, KEPT, DEVICE,
        option("--timesteps", "T", default=[2, 4, 8, 16, 32]),
        option("--if-epochs", "through time", default=0),
        option("--batches", "of an epoch; all images", type=number(1)),
        RATE(default=0.01), TEMPERATURE(default=4.0),
    )),
    Figure("harm", (), (option("--problems", "small ones", default=100, type=number(1)),)),
    Figure("peers", ("spikingjelly", "sinabs"), (
        MNIST, EPOCHS, option("--train", "images to train on", default=60_000),
        option("--networks", choices=MLP_CNN, default=[*MLP_CNN]),
    )),
    Figure("sinabs_checkpoint", (), (
        option("--weights", default=f"{DATA}/checkpoints/sinabs_mnist_params.pt"),
        MNIST, BITS, RATE(default=0.001), SEED,
        flag("--train", "also fine-tune on the 1,000 images"),
    )),
    Figure("mnist_784_128_10", ("verilator", "yosys"), (
        option("--lanes", "of the hidden layer", default=32, choices=LANES_784),
        option("--pareto", "each of these lanes", nargs="+", type=int, choices=LANES_784),
        option("--weight-bits", "2 to 8", default=4), option("--pixel-bits", default=1),
        option("--levels", "L", default=8), option("--epochs", "of fine-tuning", default=3),
        option("--samples", "images to simulate", default=1000, type=number(2, 10_000)),
        flag("--core", "leave the AXI4-Lite block's area out: half the time"), MNIST, SEED,
    )),
    Figure("cover", (), (
        NETWORKS, SEED, option("--faults", "single bits", default=2000, type=number(1)),
        option("--checked", "of them, by the reference", default=100),
    )),
    Figure("cycles", ("verilator",), (NETWORKS, CODES, NMNIST, SAVED, SAMPLES(default=200), LANES)),
    Figure("prediction", ("verilator", "yosys"), (
        option("--only", "these cases", nargs="+"),
        flag("--fit", "say the LUT costs fitted to the cases, too"),
        option("--measured", "JSON of an earlier run, for designs that are the same", type=Path),
    )),
    Figure("elaboration", (), (
        option("--network", "one of them", choices=("resnet20", "resnet18"), action="append"),
        option("--files", "a saved network instead", action="append", metavar="MODEL"), LANES,
    )),
    Figure("start_speed", ("git",), (AGAINST, ROUNDS)),
    Figure("build_speed", ("git",), (
        AGAINST,
        option("--only", choices=("resnet20", "cnn_all"), default=["resnet20", "cnn_all"]),
        option("--network", "ResNet-20 in integers; made where there is none",
               default=Path("build/resnet20.pt"), metavar="FILE"),
        WEIGHTS, CIFAR_TOO, ROUNDS,
    )),
    Figure("bursts", ("verilator", "git", "compiler", "ap_int"), (
        option("--only", choices=("cnn", "resnet20", "hls"), default=["cnn", "resnet20", "hls"]),
        option("--network", "ResNet-20 in integers, L = 8", metavar="FILE"),
        option("--network16", "the same at L = 16", metavar="FILE"),
        CIFAR_TOO, option("--images", "of CIFAR-10's test set", default=20, type=number(2)),
        option("--target-cycles", "pace at which memories are compared", default=231_484),
        option("--against", "the commit before bursts", default="f25c941"),
        flag("--planned", "predict cycles, simulate nothing"),
    )),
    Figure("networks", (), (
        option("folder", "where to"), replace(CIFAR_TOO, settings=CIFAR.settings), WEIGHTS,
    )),
    Figure("design", ("verilator",), (
        option("network", "a saved one of CIFAR-10"), replace(CIFAR_TOO, settings=CIFAR.settings),
        SAMPLES(default=2),
    )),
    Figure("registers", ("yosys",), (option("model", nargs="?", default="golden/mnist_mlp.pt"),)),
    Figure("spike_words", (), (SAVED, SAMPLES(default=100), LANES)),
    Figure("events", ("faery",), (
        option("--events", "of the recording", default=10_000_000, type=number(1000)), ROUNDS,
    )),
    Figure("front", ("verilator", "yosys"), (
        option("--data", "recordings", default=f"{DATA}/nmnist/train1000.tar.gz"),
        option("--recordings", "so many of them", default=300, type=number(1)),
        option("--events", "of the fast camera", default=1_000_000, type=number(1)),
    )),
    Figure("reference_speed", (), (
        option("model", "a converted network (.pt)"),
        option("--inputs", ".npz with integer inputs x", required=True),
        option("--images", "per round", default=20), ROUNDS,
    )),
    Figure("convert_speed", ("spikingjelly", "snntorch"), (
        MNIST, ROUNDS, option("--threads", default=1),
        option("--images", "two batches of 128 or more", default=2560, type=number(129)),
        option("--epochs", "of each stage", default=1),
    )),
    Figure("hls_csim", ("compiler", "ap_int"), (
        option("--network", choices=MLP_CNN, default="cnn"),
        option("--code", choices=EXACT_RATE, default="exact"),
        SAMPLES(default=500), option("--runs", "of each model", default=3, type=number(1)),
    )),
    Figure("hls_bounded", ("compiler", "hypothesis"), (
        option("--random", "networks", default=150), option("--seeds", default=[1, 2, 3]), SEED,
        SAMPLES(default=8),
        option("--networks", "saved ones, beside those of golden/", nargs="*", default=()),
        flag("--skip-committed", "leave golden/ out"),
    )),
    Figure("packets", ("verilator", "compiler"), (
        option("--packets", "of each network", default=10_000, type=number(2)),
        option("--networks", choices=SENT, default=[*SENT[:-1]]),
    )),
    Figure("hls_cycles", ("verilator",), (NETWORKS, CODES, SAMPLES(default=100))),
    Figure("loihi_equality", (), (
        option("--samples", "inputs of each network", default=100, type=number(1)),
        NMNIST, CIFAR_TOO, WEIGHTS, SAVED, flag("--skip-mnist", "only what is named"),
        option("--calibration", "ResNet-20's images", default=256),
        option("--code", "of MNIST's networks", choices=EXACT_RATE, default="exact"),
    )),
    Figure("loihi_speed", (), (
        PEERS, RATE(default=0.1), option("--repeats", default=3, type=number(1)),
    )),
    Figure("loihi_sanafe", (), (PEERS,)),
    Figure("nir_nmnist", ("nir",), (
        option("graph", nargs="?", default=f"{DATA}/nir/cnn_sinabs.nir"),
        option("recordings", nargs="?", default=f"{DATA}/nmnist/train1000.tar.gz"),
        option("--bits", "of a weight", default=8),
        option("--reset", choices=("nir", "subtract"), default="nir"),
        option("--limit", "the first so many recordings only", type=number(1)),
    )),
    Figure("nir_roundtrip", ("nir",), (
        option("model"), option("inputs"),
        option("--export", choices=("explicit", "annotated"), default="explicit"),
        option("--samples", default=100), option("--batch", default=10, type=number(1)),
    )),
    Figure("nir_frameworks", ("nir",)),
)  # fmt: skip
