"""Trains the two MNIST classifiers of the examples on the full training set.

    python examples/train_mnist.py --data FOLDER            (a few minutes on two cores)

Writes ``mnist_mlp.pt`` and ``mnist_cnn.pt`` (float32 state dicts) and, with --sample, the small
sample of the data that travels with the repository. The last epoch is kept, whatever the test set
says: it is looked at once, after training.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from models import MnistCNN, MnistMLP
from torch import nn

from neurocuda_hw.data import datasets
from neurocuda_hw.ground.errors import NeurocudaError

HERE = Path(__file__).resolve().parent


def augment(
    x: torch.Tensor, generator: torch.Generator, *, pixels: int, degrees: float
) -> torch.Tensor:
    """Images shifted by up to `pixels`, turned by up to `degrees` and scaled by up to 8 %."""
    count, size = len(x), x.shape[-1]
    draw = torch.rand((4, count), generator=generator) * 2 - 1
    angle, zoom = draw[0] * (degrees * torch.pi / 180), 1 + 0.08 * draw[1]
    shift = draw[2:] * (2 * pixels / size)
    matrix = torch.stack(
        [
            torch.stack([zoom * angle.cos(), -zoom * angle.sin(), shift[0]], dim=1),
            torch.stack([zoom * angle.sin(), zoom * angle.cos(), shift[1]], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def train(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    epochs: int,
    rate: float,
    pixels: int,
    degrees: float,
    quiet: float,
    seed: int,
    batch: int = 128,
) -> None:
    """Adam with a one-cycle rate; prints one line per epoch.

    `quiet` weighs the mean activation of the first ReLU: what is silent on the blank background
    costs no spikes later.
    """
    activations: list[torch.Tensor] = []
    first = next(m for m in model.modules() if isinstance(m, nn.ReLU))
    first.register_forward_hook(lambda module, inputs, output: activations.append(output))
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for epoch in range(epochs):
        model.train()
        started, total = time.monotonic(), 0.0
        order = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x) - batch + 1, batch):
            picked = order[start : start + batch]
            images = augment(x[picked], generator, pixels=pixels, degrees=degrees)
            activations.clear()
            loss = F.cross_entropy(model(images), y[picked], label_smoothing=0.02)
            loss = loss + quiet * activations[0].mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        print(
            f"{type(model).__name__} epoch {epoch + 1}/{epochs}: "
            f"loss {total / (len(x) // batch):.4f}, {time.monotonic() - started:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Per cent of the images that are classified rightly."""
    right = sum(
        int((model(x[i : i + 1000]).argmax(1) == y[i : i + 1000]).sum())
        for i in range(0, len(x), 1000)
    )
    return 100 * right / len(x)


def save_sample(path: Path, data: str) -> None:
    """The first 1,000 training and the first 500 test images, as bytes."""
    arrays = {}
    for split, count in (("train", 1000), ("test", 500)):
        x, y = datasets.load(data, split)
        arrays[f"x_{split}"] = np.rint(x[:count, 0] * 255).astype(np.uint8)
        arrays[f"y_{split}"] = y[:count].astype(np.uint8)
    np.savez_compressed(path, **arrays)


def main() -> int:
    """Parses, trains, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data/mnist", help="folder of the idx files")
    parser.add_argument("--out", type=Path, default=HERE / "checkpoints", help="where to write")
    parser.add_argument("--only", choices=["mlp", "cnn"], help="train one of the two")
    parser.add_argument(
        "--epochs", type=int, help="epochs (default: 40 for the MLP, 16 for the CNN)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", action="store_true", help="also write data/mnist_sample.npz")
    parser.add_argument("--json", action="store_true", help="print one JSON object of figures only")
    arguments = parser.parse_args()
    try:
        x, y = (torch.from_numpy(a) for a in datasets.load(arguments.data, "train"))
        x_test, y_test = (torch.from_numpy(a) for a in datasets.load(arguments.data, "test"))
    except NeurocudaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.sample:
        save_sample(HERE / "data" / "mnist_sample.npz", arguments.data)
    figures = {}
    plans = {
        "mlp": (MnistMLP, {"epochs": 40, "rate": 3e-3, "pixels": 1, "degrees": 4, "quiet": 0.0}),
        "cnn": (MnistCNN, {"epochs": 16, "rate": 6e-3, "pixels": 2, "degrees": 10, "quiet": 0.2}),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, (kind, plan) in plans.items():
        if arguments.only in (None, name):
            if arguments.epochs:
                plan["epochs"] = arguments.epochs
            torch.manual_seed(arguments.seed)
            model = kind()
            train(model, x, y, seed=arguments.seed, **plan)
            torch.save(model.state_dict(), arguments.out / f"mnist_{name}.pt")
            figures[f"{name}_accuracy"] = accuracy(model, x_test, y_test)
            if not arguments.json:
                print(f"{name}: {figures[f'{name}_accuracy']:.2f} % of {len(x_test)} test images")
    if arguments.json:
        print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
