"""Trains, converts and evaluates classifiers of N-MNIST: an ANN by both codes, and LIF neurons.

    python examples/train_nmnist.py --data FOLDER            (some 15 minutes per seed on one core)

The data are recordings of an event camera: a folder, or its archive, of N-MNIST. One fifth is held
out, another one for each seed; the rest trains, its events moved, turned and thinned out anew in
every epoch. The last epoch is kept: the held-out recordings are looked at once, after training. The
step of the training through time is one of --rates: the one that does best on a fifth of the
training recordings after an ANN and its conversion were trained on the others.

Of each seed: the accuracy of the ANN on the summed frames (``ann``), of its integer network under
the exact code (``exact``) and under the rate code, trained through time (``rate``); of LIF neurons
trained directly by surrogate gradients (``lif``), and of their integers (``lif_integer``); the part
of neuron steps without a spike, spikes, and synaptic operations, counted, per recording.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from models import NmnistCNN, event_layers
from torch import nn

import neurocuda_hw as nc
from neurocuda_hw.conversion.modules import LIFNeuron, OverTime
from neurocuda_hw.data.binning import bin_events
from neurocuda_hw.data.events import Events
from neurocuda_hw.data.labelled import load_recordings
from neurocuda_hw.ground.errors import NeurocudaError
from neurocuda_hw.reference.metrics import measure_sparsity, synaptic_operations
from neurocuda_hw.reference.snn import SpikingNetwork

STEPS, STEP_US = 8, 40_000
MOST = 15  # events of one pixel in one step: a 4-bit input
SIZE = 34
BATCH = 50
Pair = tuple[torch.Tensor, torch.Tensor]


class NmnistLIF(OverTime):
    """The layers of `NmnistCNN` with leaky neurons in the place of its activations."""

    def __init__(self) -> None:
        super().__init__(
            event_layers(lambda channels: LIFNeuron(0.15, channels=channels, learn_decay=True))
        )


def frames_of(recordings: list[Events]) -> torch.Tensor:
    """Counts of events ``(B, T, 2, 34, 34)``."""
    counts = [bin_events(r, steps=STEPS, step_us=STEP_US, highest=MOST) for r in recordings]
    return torch.from_numpy(np.stack(counts)).float()


class Augmented:
    """Batches of recordings, each time moved, turned, stretched and thinned out in another way."""

    def __init__(self, recordings: list[Events], labels: np.ndarray, seed: int) -> None:
        self.recordings, self.labels = recordings, torch.from_numpy(labels)
        self.generator = np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self.recordings) // BATCH)

    def __iter__(self) -> Iterator[Pair]:
        order = self.generator.permutation(len(self.recordings))
        for start in range(0, len(order), BATCH):
            picked = order[start : start + BATCH]
            yield frames_of([self._moved(self.recordings[i]) for i in picked]), self.labels[picked]

    def _moved(self, events: Events) -> Events:
        draw = self.generator.uniform
        angle = np.deg2rad(draw(-15, 15))
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = matrix @ np.array([[1 + draw(-0.12, 0.12), draw(-0.15, 0.15)], [0, 1]])
        matrix[1, 1] *= 1 + draw(-0.12, 0.12)
        place = np.stack([events.x, events.y]) - (SIZE - 1) / 2
        blur = draw(-0.3, 0.3, place.shape)
        place = np.rint(matrix @ place + draw(-3, 3, (2, 1)) + blur + (SIZE - 1) / 2).astype(int)
        moment = (events.time * draw(0.95, 1.05) + draw(-8000, 8000)).astype(int)
        kept = self.generator.random(len(moment)) > draw(0, 0.25)
        kept &= (place >= 0).all(0) & (place < SIZE).all(0) & (moment >= 0)
        return Events(
            x=place[0, kept], y=place[1, kept], polarity=events.polarity[kept], time=moment[kept]
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
            print(
                f"{name} epoch {epoch + 1}/{epochs}: loss {total / len(data):.3f}, {seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    model.eval()


def trained(
    kind: type[nn.Module],
    data: Augmented,
    arguments: argparse.Namespace,
    name: str,
    epochs: int,
    seed: int,
) -> nn.Module:
    """A trained model: from the folder of weights where it is there, else trained and put there."""
    torch.manual_seed(seed)
    model = kind()
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
    return 100 * float((model(test[0]).argmax(1) == test[1]).double().mean())


def activity(snn: SpikingNetwork, test: Pair) -> dict[str, float]:
    """Silence, spikes and synaptic operations per recording."""
    found = measure_sparsity(snn, test)
    operations = synaptic_operations(snn, test)
    return {
        "sparsity": round(found.share, 4),
        "spikes": round(found.nonzero / len(test[1]), 1),
        "operations": round(operations.acs + operations.macs),
        "timesteps": snn.timesteps,
    }


def parted(
    recordings: list[Events], labels: np.ndarray, order: np.ndarray, part: int, seed: int
) -> tuple[Augmented, Pair]:
    """Four fifths to train on; the frames and labels of fifth `part` of `order`."""
    out = np.array_split(order, 5)[part]
    rest = np.setdiff1d(order, out)
    test = frames_of([recordings[i] for i in out]), torch.from_numpy(labels[out])
    return Augmented([recordings[i] for i in rest], labels[rest], seed), test


def through_time(arguments: argparse.Namespace, rate: float) -> dict[str, object]:
    """Options of the conversion to the rate code."""
    return {"strategy": "qcfs_if_ft", "if_epochs": arguments.if_epochs, "rate": rate}


def best_rate(data: Augmented, arguments: argparse.Namespace, seed: int) -> float:
    """The step of --rates with the most right on a fifth of the training data (the first such)."""
    if len(arguments.rates) == 1:
        return arguments.rates[0]
    order = np.random.default_rng(seed).permutation(len(data.labels))
    part, values = parted(data.recordings, data.labels.numpy(), order, 0, seed)
    name = f"nmnist_cnn_{seed}_part.pt"
    ann = trained(NmnistCNN, part, arguments, name, arguments.epochs, seed)
    found = {}
    for rate in arguments.rates:
        _, stats = nc.convert(
            ann,
            part,
            test_loader=values,
            qcfs_epochs=arguments.qcfs_epochs,
            seed=seed,
            verbose=False,
            **through_time(arguments, rate),
        )
        found[rate] = stats.integer_accuracy
    told = ", ".join(f"{rate:g}: {right:.2f} %" for rate, right in found.items())
    print(f"seed {seed}, validation of the step: {told}", file=sys.stderr, flush=True)
    return max(found, key=lambda rate: found[rate])


def one_seed(
    recordings: list[Events], labels: np.ndarray, arguments: argparse.Namespace, seed: int
) -> dict[str, float | dict[str, float]]:
    """All figures of one seed."""
    order = np.random.default_rng(0).permutation(len(labels))
    data, test = parted(recordings, labels, order, seed % 5, seed)
    rate = best_rate(data, arguments, seed)
    figures: dict[str, float | dict[str, float]] = {"rate_step": rate}
    ann = trained(NmnistCNN, data, arguments, f"nmnist_cnn_{seed}.pt", arguments.epochs, seed)
    figures["ann"] = accuracy(ann, test)
    for name, options in (
        ("exact", {"strategy": "exact", "levels": arguments.levels, "rate": 0.003}),
        ("rate", through_time(arguments, rate)),
    ):
        snn, stats = nc.convert(
            ann,
            data,
            test_loader=test,
            qcfs_epochs=arguments.qcfs_epochs,
            seed=seed,
            name=f"nmnist_{name}",
            verbose=False,
            **options,
        )
        figures[name] = stats.integer_accuracy
        if name == "exact":
            figures["exact_unequal"] = stats.unequal
        figures[f"{name}_activity"] = activity(snn, test)
    lif = trained(NmnistLIF, data, arguments, f"nmnist_lif_{seed}.pt", arguments.lif_epochs, seed)
    figures["lif"] = accuracy(lif, test)
    snn, stats = nc.convert(
        lif,
        data,
        test_loader=test,
        strategy="qcfs_direct",
        name="nmnist_lif",
        verbose=False,
    )
    figures["lif_integer"] = stats.integer_accuracy
    figures["lif_agreement"] = round(min(stats.spike_agreement.values()), 5)
    figures["lif_activity"] = activity(snn, test)
    return figures


def main() -> int:
    """Parses, trains, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data/nmnist", help="folder or archive")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=100, help="of the ANN")
    parser.add_argument("--lif-epochs", type=int, default=60, help="of the LIF neurons")
    parser.add_argument("--qcfs-epochs", type=int, default=2)
    parser.add_argument("--if-epochs", type=int, default=40)
    parser.add_argument(
        "--rates",
        type=float,
        nargs="+",
        default=[0.01, 0.03, 0.06],
        help="steps of the training through time to choose from; one: no choice",
    )
    parser.add_argument("--levels", type=int, default=16, help="of the exact code")
    parser.add_argument("--limit", type=int, help="take so many recordings, of all classes")
    parser.add_argument("--out", type=Path, help="folder of trained weights: read or written")
    parser.add_argument("--json", action="store_true", help="print one JSON object of figures only")
    arguments = parser.parse_args()
    try:
        recordings, labels = load_recordings(arguments.data, arguments.limit)
    except NeurocudaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    seeds = {}
    for seed in arguments.seeds:
        started = time.monotonic()
        seeds[seed] = one_seed(recordings, labels, arguments, seed)
        seeds[seed]["seconds"] = round(time.monotonic() - started)
        print(f"seed {seed}: {json.dumps(seeds[seed])}", file=sys.stderr, flush=True)
    figures: dict[str, object] = {"recordings": len(labels), "held_out": len(labels) // 5}
    for name in ("ann", "exact", "rate", "lif", "lif_integer"):
        values = [figure[name] for figure in seeds.values()]
        figures[name] = {
            "mean": round(float(np.mean(values)), 2),
            "std": round(float(np.std(values, ddof=min(1, len(values) - 1))), 2),
        }
        if not arguments.json:
            print(f"{name}: {figures[name]['mean']:.2f} ± {figures[name]['std']:.2f} %")
    if arguments.json:
        print(json.dumps({**figures, "seeds": seeds}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
