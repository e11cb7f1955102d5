"""Speed of `convert` against the same training in other libraries.

    python -m benchmarks convert_speed --data FOLDER [--images 60000 --epochs 5]

`convert` of the MNIST CNN trains the quantised ANN for some epochs and then its integrate-and-fire
neurons through T = 8 steps for as many, all integer rounding inside. A peer does the same work with
its own neurons: it trains the network with QCFS activations in plain PyTorch, then with IF neurons
through T steps (soft reset, arctangent), in floating point. Same layers, batch, optimiser, images,
threads. Seconds are those of the processor, so that other programs disturb little. Rounds are
interleaved; the ratios are of medians. Accuracy is no matter here.

Keys: ``images_per_second_<who>`` (images x epochs of both kinds over all seconds), ``<peer>_ratio``
(our speed over the peer's: above 1 we are faster), and the same of each stage, ``..._qcfs`` and
``..._bptt``.
"""

from __future__ import annotations

import importlib
import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.inputs import mnist
from benchmarks.table import say
from neurocuda_hw import conversion
from neurocuda_hw.data import datasets

T = 8
BATCH = 128
Data = tuple[torch.Tensor, torch.Tensor]


def spiking_cnn(activation: Callable[[], nn.Module]) -> nn.Sequential:
    """The layers of the classifier without batch normalisation, with `activation` after each."""
    folded = dict(conversion.fold_batchnorm(mnist("cnn")).named_modules())
    layers: list[nn.Module] = []
    for name in ("features.0", "features.3", "features.4", "flatten"):
        if name == "features.3":
            layers.append(nn.AvgPool2d(2))
        elif name == "flatten":
            layers.append(nn.Flatten())
        else:
            layers += [folded[name], activation()]
    return nn.Sequential(*layers, folded["classifier.1"], activation(), folded["classifier.4"])


def epochs(
    parameters: Any, step: Callable[[torch.Tensor], torch.Tensor], data: Data, count: int
) -> float:
    """Seconds of `count` epochs of training with Adam."""
    optimiser = torch.optim.Adam(parameters, lr=1e-4)
    order = torch.randperm(len(data[0]))
    started = time.process_time()
    for _ in range(count):
        for picked in order.split(BATCH):
            loss = F.cross_entropy(step(data[0][picked]), data[1][picked])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return time.process_time() - started


def ours(data: Data, count: int) -> dict[str, float]:
    """Seconds of the stages of `convert`, by its own progress."""
    marks: dict[str, list[float]] = {}
    conversion.convert(
        mnist("cnn"),
        data,
        strategy="qcfs_if_ft",
        qcfs_epochs=count,
        if_epochs=count,
        timesteps=T,
        batch=BATCH,
        verbose=False,
        progress=lambda stage, done, total: marks.setdefault(stage, []).append(time.process_time()),
    )
    found = {}
    for stage, key in (("qcfs", "qcfs"), ("spiking", "bptt")):
        seen = marks[stage]  # ends of the batches: the first has no beginning, so it counts as mean
        found[key] = (seen[-1] - seen[0]) * len(seen) / (len(seen) - 1)
    return found


class Qcfs(nn.Module):
    """QCFS as published, in plain PyTorch: one learnt clip, rounding straight through."""

    def __init__(self) -> None:
        super().__init__()
        self.clip = nn.Parameter(torch.tensor(4.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """clip * floor(x T / clip + 1/2) / T, between 0 and clip."""
        scaled = (x / self.clip).clamp(0, 1) * T
        rounded = scaled + ((scaled + 0.5).floor() - scaled).detach()
        return rounded * (self.clip / T)


def qcfs_epochs(data: Data, count: int) -> float:
    """Seconds of training with QCFS activations, no integers inside."""
    model = spiking_cnn(Qcfs).train()
    return epochs(model.parameters(), model, data, count)


def spikingjelly(data: Data, count: int) -> dict[str, float]:
    """QCFS, then IF neurons through time, multi-step."""
    base = "spikingjelly.activation_based"
    neuron, surrogate, functional, layer = (
        importlib.import_module(f"{base}.{name}")
        for name in ("neuron", "surrogate", "functional", "layer")
    )
    seconds = {"qcfs": qcfs_epochs(data, count)}
    model = spiking_cnn(
        lambda: neuron.IFNode(surrogate_function=surrogate.ATan(), v_reset=None, step_mode="m")
    ).train()
    parts = [m if isinstance(m, neuron.IFNode) else layer.SeqToANNContainer(m) for m in model]
    model = nn.Sequential(*parts)

    def step(x: torch.Tensor) -> torch.Tensor:
        functional.reset_net(model)
        return model(x.expand(T, *x.shape)).mean(0)

    return seconds | {"bptt": epochs(model.parameters(), step, data, count)}


def snntorch(data: Data, count: int) -> dict[str, float]:
    """QCFS, then snnTorch's neurons without leak through time."""
    snn = importlib.import_module("snntorch")
    surrogate = importlib.import_module("snntorch.surrogate")
    utils = importlib.import_module("snntorch.utils")
    seconds = {"qcfs": qcfs_epochs(data, count)}
    model = spiking_cnn(
        lambda: snn.Leaky(
            beta=1.0,
            spike_grad=surrogate.atan(),
            init_hidden=True,
            reset_mechanism="subtract",
        )
    ).train()

    def step(x: torch.Tensor) -> torch.Tensor:
        utils.reset(model)
        return sum((model(x) for _ in range(T)), torch.zeros(())) / T

    return seconds | {"bptt": epochs(model.parameters(), step, data, count)}


def measure(given: Namespace) -> dict[str, Any]:
    """All figures; progress goes to standard error."""
    images, labels = datasets.load(given.data, "train")
    data = torch.as_tensor(images)[: given.images], torch.as_tensor(labels)[: given.images]
    torch.set_num_threads(given.threads)
    who: dict[str, Callable[[Data, int], dict[str, float]]] = {
        "ours": ours,
        "spikingjelly": spikingjelly,
        "snntorch": snntorch,
    }
    times: dict[str, list[dict[str, float]]] = {name: [] for name in who}
    for number in range(given.rounds):
        for name, run in who.items():
            times[name].append(run(data, given.epochs))
            shown = {k: round(v, 1) for k, v in times[name][-1].items()}
            say(f"round {number + 1}, {name}: {shown} s")
    figures: dict[str, Any] = {
        "images": len(data[1]),
        "epochs": given.epochs,
        "threads": given.threads,
        "rounds": given.rounds,
        "spikingjelly": version("spikingjelly"),
        "snntorch": version("snntorch"),
    }
    work = len(data[1]) * given.epochs
    for stages, suffix in ((("qcfs", "bptt"), ""), (("qcfs",), "_qcfs"), (("bptt",), "_bptt")):
        speed = {
            name: work * len(stages) / statistics.median(sum(r[s] for s in stages) for r in runs)
            for name, runs in times.items()
        }
        figures |= {f"images_per_second_{n}{suffix}": round(v, 1) for n, v in speed.items()}
        for peer in ("spikingjelly", "snntorch"):
            figures[f"{peer}{suffix}_ratio"] = round(speed["ours"] / speed[peer], 3)
    return figures
