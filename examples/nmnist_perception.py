"""Recordings of an event camera to spiking hardware: an ANN by both codes, and LIF neurons.

    python examples/nmnist_perception.py --data FOLDER       (some 15 minutes per seed on one core)
    python examples/nmnist_perception.py --quick             (minutes; its accuracy says nothing)

The data are recordings of N-MNIST, a folder or its archive, or spike trains like those of SHD
(HDF5: spikes/times, spikes/units, labels). A set with a train and a test part is used so; else one
fifth is held out, another one for each seed. The rest trains, its events moved, turned and thinned
out anew in every epoch. The last epoch is kept: what tests is looked at once, after training. The
step of the training through time is one of --rates: the one that does best on a fifth of the
training recordings after an ANN and its conversion were trained on the others.

Of each seed: the accuracy of the ANN on the summed frames (``ann``), of its integer network under
the exact code (``exact``) and under the rate code, trained through time (``rate``); of LIF neurons
trained directly by surrogate gradients (``lif``), and of their integers (``lif_integer``); the part
of neuron steps without a spike, spikes, synaptic operations and their energy, counted per
recording. Then the first --hardware recordings go through the Verilog, the HLS C++ and the model of
Loihi of each network, and every spike is compared: ``unequal`` must be 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import event_data
import numpy as np
import torch
import torch.nn.functional as F
from event_data import Augmented, EventSet, Pair
from models import event_layers
from torch import nn

import neurocuda_hw as nc
from neurocuda_hw.conversion.modules import LIFNeuron, OverTime
from neurocuda_hw.ground.errors import NeurocudaError, ToolError
from neurocuda_hw.project.verify import verify
from neurocuda_hw.reference.metrics import ENERGY_SOURCE, energy_estimate, measure_sparsity
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.reference.snn import SpikingNetwork
from neurocuda_hw.targets.checks import Request

TARGETS = ("verilog", "hls", "loihi")
PUBLISHED = (
    "Published by others, second hand: ANN 99.70 %, spiking 99.88 %, 91.7 % silent, 13.02 µJ, 49 % "
    "less than the ANN.\nTheirs is the whole of N-MNIST, 60,000 recordings to train on and 10,000 "
    "to test: no figure above compares with those unless --data is that."
)
QUICK: dict[str, Any] = {
    "seeds": [0], "epochs": 2, "lif_epochs": 2, "qcfs_epochs": 1, "if_epochs": 1, "rates": [0.03],
    "levels": 4, "limit": 100, "hardware": 2,
}  # fmt: skip
Figures = dict[str, Any]


class Summed(nn.Module):
    """Classifies recordings ``(B, T, ...)`` by the sum of their frames."""

    def __init__(self, net: nn.Sequential) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits ``(B, classes)``."""
        return self.net(x.sum(1))


def layers(data: EventSet, activation: Callable[[int], nn.Module]) -> nn.Sequential:
    """Convolutions for a camera's frames; a hidden layer for spike trains."""
    if len(data.shape) == 3:
        return event_layers(activation, data.classes)
    return nn.Sequential(
        nn.Linear(data.shape[0], 128),
        activation(128),
        nn.Dropout(0.3),
        nn.Linear(128, data.classes),
    )


def ann_of(data: EventSet) -> nn.Module:
    """With ReLU."""
    return Summed(layers(data, lambda channels: nn.ReLU()))


def lif_of(data: EventSet) -> nn.Module:
    """The same layers with leaky neurons in the place of its activations."""
    return OverTime(
        layers(data, lambda channels: LIFNeuron(0.15, channels=channels, learn_decay=True))
    )


def train(model: nn.Module, data: Augmented, *, epochs: int, rate: float, name: str) -> None:
    """AdamW with a one-cycle rate; a line on standard error every ten epochs."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-3)
    steps = epochs * len(data)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    started = time.monotonic()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for x, y in data:
            loss = F.cross_entropy(model(x), y, label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        if (epoch + 1) % 10 == 0 or epoch + 1 == epochs:
            seconds = time.monotonic() - started
            say(f"{name} epoch {epoch + 1}/{epochs}: loss {total / len(data):.3f}, {seconds:.0f} s")
    model.eval()


def say(text: str) -> None:
    """On standard error: standard output is for the figures."""
    print(text, file=sys.stderr, flush=True)


def trained(
    kind: Callable[[EventSet], nn.Module],
    data: Augmented,
    arguments: argparse.Namespace,
    name: str,
    epochs: int,
    seed: int,
) -> nn.Module:
    """A trained model: from the folder of weights where it is there, else trained and put there."""
    torch.manual_seed(seed)
    model = kind(data.data)
    place = None if arguments.out is None else arguments.out / name
    if place is not None and place.exists():
        model.load_state_dict(torch.load(place, weights_only=True))
        return model.eval()
    train(model, data, epochs=epochs, rate=4e-3, name=name.removesuffix(".pt"))
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), place)
    return model


@torch.no_grad()
def accuracy(model: nn.Module, test: Pair) -> float:
    """Per cent of the recordings that are classified rightly."""
    right = sum(
        int((model(x).argmax(1) == y).sum())
        for x, y in zip(test[0].split(200), test[1].split(200), strict=True)
    )
    return 100 * right / len(test[1])


def activity(snn: SpikingNetwork, test: Pair) -> Figures:
    """Silence, spikes, synaptic operations and their energy per recording."""
    found, energy = measure_sparsity(snn, test), energy_estimate(snn, test)
    operations = energy.operations
    return {
        "sparsity": round(found.share, 4),
        "spikes": round(found.nonzero / len(test[1]), 1),
        "operations": round(operations.acs + operations.macs),
        "multiplications": round(operations.macs),
        "microjoule": round(energy.snn_nj / 1000, 4),
        "ann_microjoule": round(energy.ann_nj / 1000, 4),
        "timesteps": snn.timesteps,
    }


def on_hardware(snn: SpikingNetwork, x: torch.Tensor) -> Figures:
    """Each target against the golden trace: what differs, and the Verilog's cycles."""
    trace = Reference(snn.network).trace(snn.quantise(x))
    figures: Figures = {"recordings": len(x)}
    for target in TARGETS:
        try:
            (found,) = verify(snn.network, golden=trace, request=Request(targets=(target,)))
        except ToolError as error:
            figures[target] = str(error)
            continue
        (check,) = found.checks
        figures[f"{target}_unequal"] = sum(check.unequal.values()) or int(not check.same)
        if check.cycles_per_inference:
            figures["cycles"] = round(check.cycles_per_inference, 1)
    return figures


def through_time(arguments: argparse.Namespace, rate: float) -> Figures:
    """Options of the conversion to the rate code."""
    return {"strategy": "qcfs_if_ft", "if_epochs": arguments.if_epochs, "rate": rate}


def best_rate(data: Augmented, arguments: argparse.Namespace, seed: int) -> float:
    """The step of --rates with the most right on a fifth of the training data (the first such)."""
    if len(arguments.rates) == 1:
        return float(arguments.rates[0])
    order = np.random.default_rng(seed).permutation(len(data.chosen))
    out = data.chosen[np.array_split(order, 5)[0]]
    part = Augmented(data.data, np.setdiff1d(data.chosen, out), seed)
    name = f"nmnist_cnn_{seed}_part.pt"
    ann = trained(ann_of, part, arguments, name, arguments.epochs, seed)
    found = {}
    for rate in arguments.rates:
        _, stats = nc.convert(
            ann,
            part,
            test_loader=data.data.pair(out),
            qcfs_epochs=arguments.qcfs_epochs,
            seed=seed,
            verbose=False,
            **through_time(arguments, rate),
        )
        found[rate] = stats.integer_accuracy
    told = ", ".join(f"{rate:g}: {right:.2f} %" for rate, right in found.items())
    say(f"seed {seed}, validation of the step: {told}")
    return max(found, key=lambda rate: found[rate])


def one_seed(events: EventSet, arguments: argparse.Namespace, seed: int) -> Figures:
    """All figures of one seed."""
    training, testing = events.parts(seed)
    data, test = Augmented(events, training, seed), events.pair(testing)
    rate = best_rate(data, arguments, seed)
    ann = trained(ann_of, data, arguments, f"nmnist_cnn_{seed}.pt", arguments.epochs, seed)
    lif = trained(lif_of, data, arguments, f"nmnist_lif_{seed}.pt", arguments.lif_epochs, seed)
    figures: Figures = {"tested": len(testing), "rate_step": rate}
    figures |= {"ann": accuracy(ann, test), "lif": accuracy(lif, test)}
    for name, model, options in (
        ("exact", ann, {"strategy": "exact", "levels": arguments.levels, "rate": 0.003}),
        ("rate", ann, through_time(arguments, rate)),
        ("lif", lif, {"strategy": "qcfs_direct"}),
    ):
        snn, stats = nc.convert(
            model,
            data,
            test_loader=test,
            qcfs_epochs=arguments.qcfs_epochs,
            seed=seed,
            name=f"nmnist_{name}",
            verbose=False,
            **options,
        )
        figures["lif_integer" if name == "lif" else name] = stats.integer_accuracy
        if name == "exact":
            figures["exact_unequal"] = stats.unequal
        if name == "lif":
            figures["lif_agreement"] = round(min(stats.spike_agreement.values()), 5)
        figures[f"{name}_activity"] = activity(snn, test)
        if arguments.hardware:
            figures[f"{name}_hardware"] = on_hardware(snn, test[0][: arguments.hardware])
    return figures


def summary(seeds: dict[int, Figures]) -> Figures:
    """Mean and deviation of the accuracies."""
    found = {}
    for name in ("ann", "exact", "rate", "lif", "lif_integer"):
        values = [figures[name] for figures in seeds.values()]
        deviation = float(np.std(values, ddof=min(1, len(values) - 1)))
        found[name] = {"mean": round(float(np.mean(values)), 2), "std": round(deviation, 2)}
    return found


def table(figures: Figures) -> str:
    """For people: accuracies, and the first seed's activity, energy and hardware."""
    first = next(iter(figures["seeds"].values()))
    heads = ("", "accuracy %", "silent %", "spikes", "operations", "µJ", "cycles", "unequal")
    rows = [heads]
    for name, told in (("ann", "ANN"), ("exact", "exact code"), ("rate", "rate code"),
                       ("lif", "LIF in floats"), ("lif_integer", "LIF in integers")):  # fmt: skip
        right = figures[name]
        row = [told, f"{right['mean']:.2f} ± {right['std']:.2f}"]
        of = name.removesuffix("_integer")
        if name == "ann":
            row += ["", "", "", f"{first['exact_activity']['ann_microjoule']:.2f}", "", ""]
        elif name == "lif":
            row += [""] * 6
        else:
            act, run = first[f"{of}_activity"], first.get(f"{of}_hardware", {})
            wrong = [str(run.get(f"{target}_unequal", "-")) for target in TARGETS]
            row += [f"{100 * act['sparsity']:.1f}", f"{act['spikes']:,.0f}"]
            row += [f"{act['operations']:,}", f"{act['microjoule']:.2f}"]
            row += [f"{run.get('cycles', 0):,.0f}", " / ".join(wrong)]
        rows.append(tuple(row))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(
        [
            *lines,
            f"unequal: of {first.get('exact_hardware', {}).get('recordings', 0)} recordings in "
            "Verilog / HLS C++ / Loihi's model; cycles with up to 16 lanes",
            f"Energy of synaptic operations only, assumed constants: {ENERGY_SOURCE}",
            f"{figures['recordings']} recordings, {figures['held_out']} of them tested, "
            f"{len(figures['seeds'])} seeds. {PUBLISHED}",
        ]
    )


def main() -> int:
    """Parses, trains, prints; 1 if anything on hardware is unequal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/nmnist"),
                        help="folder or archive (%(default)s)")  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=100, help="of the ANN")
    parser.add_argument("--lif-epochs", type=int, default=60, help="of the LIF neurons")
    parser.add_argument("--qcfs-epochs", type=int, default=2)
    parser.add_argument("--if-epochs", type=int, default=40)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.03, 0.06],
                        help="steps of the training through time to choose from")  # fmt: skip
    parser.add_argument("--levels", type=int, default=16, help="of the exact code")
    parser.add_argument("--steps", type=int, help="of a sample (8; spike trains: 16)")
    parser.add_argument("--step-us", type=int, help="of a step (40000; spike trains: 60000)")
    parser.add_argument("--hardware", type=int, default=4, help="recordings; 0: none")
    parser.add_argument("--limit", type=int, help="take so many recordings, of all classes")
    parser.add_argument("--quick", action="store_true", help="a little of all of it")
    parser.add_argument("--out", type=Path, help="folder of trained weights: read or written")
    parser.add_argument("--json", action="store_true", help="print one JSON object of figures only")
    arguments = parser.parse_args()
    if arguments.quick:
        parser.set_defaults(**QUICK)
        arguments = parser.parse_args()
    try:
        events = event_data.load(
            arguments.data, arguments.limit, arguments.steps, arguments.step_us
        )
        seeds = {}
        for seed in arguments.seeds:
            started = time.monotonic()
            seeds[seed] = one_seed(events, arguments, seed)
            seeds[seed]["seconds"] = round(time.monotonic() - started)
            say(f"seed {seed}: {json.dumps(seeds[seed])}")
    except NeurocudaError as error:
        say(f"error: {error}")
        return error.exit_code
    last = seeds[arguments.seeds[-1]]
    figures = {"recordings": len(events.labels), "held_out": last["tested"], **summary(seeds)}
    figures["seeds"] = seeds
    print(json.dumps(figures, indent=1) if arguments.json else table(figures))
    runs = [run for found in seeds.values() for name, run in found.items() if "hardware" in name]
    return int(any(run.get(f"{target}_unequal") for run in runs for target in TARGETS))


if __name__ == "__main__":
    sys.exit(main())
