"""The same trained classifiers through our converter and through those of other libraries.

    python -m benchmarks peers --data FOLDER [--networks mlp cnn] --json FILE --add

Accuracy on the full MNIST test set after T = 1, 2, 4, 8, 16, 32 steps:

ours, rate
    Integers, 8-bit weights, all layers from step 0. Each T is a conversion of its own, trained
    through time for --epochs (0: none, as the others).
ours, exact
    Integers; L = T levels, T steps in each layer, one layer after another: more steps in all. The
    quantised ANN is trained for as many epochs.
SpikingJelly
    LocalThresholdBalancingRecipe (channel-wise thresholds, half-threshold start) and
    RateCodingRecipe (``99.9%``), floating point, answers of one run after T steps.
sinabs
    from_model on weights normalised at the 99th percentile, floating point, single spikes and
    several a step.

We train on the first --train images, shifted, turned and scaled as when the classifiers were
trained; SpikingJelly calibrates on as many, as they are. Keys: ``<network>_<method>_<T>`` and
``<network>_ann`` in per cent; ``<network>_best_ours_<T>``, ``<network>_best_peer_<T>``, and their
difference ``<network>_margin_<T>``.
"""

from __future__ import annotations

import copy
import importlib
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import torch
from torch import nn
from train_mnist import augment

from benchmarks.inputs import mnist
from benchmarks.table import say
from neurocuda_hw import conversion
from neurocuda_hw.data import datasets

# with how far images are shifted and turned in training, in pixels and degrees
NETWORKS = {"mlp": (1, 4), "cnn": (2, 10)}
STEPS = (1, 2, 4, 8, 16, 32)
CALIBRATION = 1024
BATCH = 500
Data = tuple[torch.Tensor, torch.Tensor]


class Augmented:
    """Batches of images that are shifted, turned and scaled, in each epoch in another way."""

    def __init__(
        self, x: torch.Tensor, y: torch.Tensor, pixels: int, degrees: int, batch: int = 128
    ) -> None:
        self.x, self.y, self.batch, self.epoch = x, y, batch, 0
        self.pixels, self.degrees = pixels, degrees

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.x) // self.batch

    def __iter__(self) -> Iterator[Data]:
        generator = torch.Generator().manual_seed(self.epoch)
        order = torch.randperm(len(self.x), generator=generator)
        for picked in order.split(self.batch)[: len(self)]:
            images = augment(self.x[picked], generator, pixels=self.pixels, degrees=self.degrees)
            yield images, self.y[picked]


def right(logits: torch.Tensor, y: torch.Tensor) -> int:
    """Samples that are classified right."""
    return int((logits.argmax(1) == y).sum())


def after_steps(
    start: Callable[[], None], step: Callable[[torch.Tensor], torch.Tensor], test: Data
) -> dict[int, float]:
    """Per cent after each of STEPS, of outputs that are added up step by step."""
    found = dict.fromkeys(STEPS, 0)
    with torch.no_grad():
        for x, y in zip(test[0].split(BATCH), test[1].split(BATCH), strict=True):
            start()
            total: Any = 0
            for t in range(1, max(STEPS) + 1):
                total = total + step(x)
                if t in found:
                    found[t] += right(total, y)
    return {t: 100 * n / len(test[1]) for t, n in found.items()}


def spikingjelly(model: nn.Module, images: torch.Tensor, test: Data) -> dict[str, dict[int, float]]:
    """Its two recipes for classifiers with ReLU."""
    ann2snn = importlib.import_module("spikingjelly.activation_based.ann2snn")
    functional = importlib.import_module("spikingjelly.activation_based.functional")
    recipes = importlib.import_module("spikingjelly.activation_based.ann2snn.recipes")
    loader = [(part, None) for part in images.split(128)]
    found = {}
    for name, recipe in (
        ("spikingjelly_balanced", recipes.LocalThresholdBalancingRecipe(dataloader=loader)),
        ("spikingjelly_rate", recipes.RateCodingRecipe(dataloader=loader, mode="99.9%")),
    ):
        converter = ann2snn.FXConverter if hasattr(ann2snn, "FXConverter") else ann2snn.Converter
        snn = converter(recipe=recipe).convert(copy.deepcopy(model)).eval()
        found[name] = after_steps(lambda s=snn: functional.reset_net(s), snn, test)
    return found


def sinabs(model: nn.Module, images: torch.Tensor, test: Data) -> dict[str, dict[int, float]]:
    """Its converter, on weights that it normalised."""
    from_torch = importlib.import_module("sinabs.from_torch")
    utils = importlib.import_module("sinabs.utils")
    activation = importlib.import_module("sinabs.activation")
    folded = conversion.fold_batchnorm(model)
    leaves = [m for m in folded.modules() if not list(m.children())]  # in the order of the calls
    plain = nn.Sequential(*(m for m in leaves if not isinstance(m, nn.Identity)))
    modules = dict(plain.named_children())
    outputs = [name for name, m in modules.items() if isinstance(m, nn.ReLU)]
    weighted = [name for name, m in modules.items() if isinstance(m, nn.Conv2d | nn.Linear)]
    normalised = copy.deepcopy(plain)
    utils.normalize_weights(normalised, images, outputs, weighted[: len(outputs)], percentile=99)
    found = {}
    for name, fire in (
        ("sinabs_single", activation.SingleSpike),
        ("sinabs_multi", activation.MultiSpike),
    ):
        snn = from_torch.from_model(
            copy.deepcopy(normalised), batch_size=BATCH, spike_fn=fire, min_v_mem=-1.0
        ).spiking_model
        found[name] = after_steps(lambda s=snn: utils.reset_states(s), snn, test)
    return found


def ours(
    model: nn.Module, train: Data | Augmented, test: Data, code: str, t: int, epochs: int
) -> dict[str, float]:
    """Our converter at one T (or L)."""
    exact = code == "exact"
    _, stats = conversion.convert(
        model,
        train,
        test_loader=test,
        strategy="exact" if exact else "qcfs_if_ft",
        levels=t,
        timesteps=t,
        qcfs_epochs=epochs if exact else 0,
        if_epochs=0 if exact else epochs,
        verbose=False,
    )
    return {"accuracy": stats.integer_accuracy, "ann": stats.ann_accuracy}


def measure(given: Namespace) -> dict[str, Any]:
    """All figures; progress goes to standard error."""
    train, test = (
        tuple(torch.as_tensor(part) for part in datasets.load(given.data, split))
        for split in ("train", "test")
    )
    subset = tuple(part[: given.train] for part in train)
    images = train[0][:CALIBRATION]
    figures: dict[str, Any] = {
        "images": len(test[1]),
        "spikingjelly": version("spikingjelly"),
        "sinabs": version("sinabs"),
    }
    for name in given.networks:
        figures |= {f"{name}_epochs": given.epochs, f"{name}_train": given.train}
        pixels, degrees = NETWORKS[name]
        model = mnist(name)
        ours_train = Augmented(*subset, pixels, degrees) if given.epochs else subset
        rows: dict[str, dict[int, float]] = {}
        for peer, seen in ((spikingjelly, subset[0]), (sinabs, images)):
            started = time.monotonic()
            rows |= peer(model, seen, test)
            say(f"{name} {peer.__name__}: {time.monotonic() - started:.0f} s")
        for code in ("exact", "rate"):
            rows[f"ours_{code}"] = {}
            for t in STEPS:
                started = time.monotonic()
                found = ours(model, ours_train, test, code, t, given.epochs)
                rows[f"ours_{code}"][t] = found["accuracy"]
                figures[f"{name}_ann"] = found["ann"]
                seconds = time.monotonic() - started
                say(f"{name} ours {code} {t}: {seconds:.0f} s")
        peers = [row for method, row in rows.items() if not method.startswith("ours")]
        ours_rows = [rows["ours_exact"], rows["ours_rate"]]
        for t in STEPS:
            figures |= {f"{name}_{method}_{t}": round(row[t], 2) for method, row in rows.items()}
            best, theirs = max(row[t] for row in ours_rows), max(row[t] for row in peers)
            figures[f"{name}_best_ours_{t}"] = round(best, 2)
            figures[f"{name}_best_peer_{t}"] = round(theirs, 2)
            figures[f"{name}_margin_{t}"] = round(best - theirs, 2)
            figures[f"{name}_margin_rate_{t}"] = round(rows["ours_rate"][t] - theirs, 2)
    return figures
