r"""Trains a ResNet on CIFAR-10, converts it to an integer spiking network, and tests both.

    python examples/train_cifar.py resnet18 --data FOLDER --epochs 50 --batch 512 --rate 0.4
    python examples/train_cifar.py resnet20 --data FOLDER --weights FILE --qcfs-epochs 4
    python examples/train_cifar.py resnet20 --data FOLDER --weights FILE --qcfs --epochs 55 \
        --half --compile

The first is for a GPU. The last teaches a trained network to do with the levels that it will have,
its weights still real, before it becomes integers. Everything is written to --out: the weights, and
after every few hundred steps the state of the training, from which the same command goes on after a
break. The last epoch is kept, whatever the test set says: it is looked at once, after training.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from cifar import Augmented, load, load_weights
from models import CifarResNet18, CifarResNet20
from torch import nn

from neurocuda_hw.conversion import convert, with_qcfs
from neurocuda_hw.ground.errors import DataError, ModelError, NeurocudaError
from neurocuda_hw.ground.files import write_file
from neurocuda_hw.ground.progress import Progress, progress_bar
from neurocuda_hw.network.model_file import load_plain, save

MODELS = {"resnet18": CifarResNet18, "resnet20": CifarResNet20}
# a loss is looked at in every so many steps: a GPU is waited for then
_LOOKED_AT = 20


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a classifier is trained: SGD with Nesterov momentum, its step along one cosine."""

    epochs: int
    batch: int
    rate: float
    weight_decay: float
    smoothing: float
    cutout: int
    half: bool
    compiled: bool
    seed: int


class Training:
    """A training that can be cut off at any time.

    Parameters
    ----------
    model : nn.Module
        On the device where it is to be trained.
    data : Augmented
        On the same device.
    plan : Plan
    file : Path
        The state, written every `save_every` steps and read if it is there.

    Raises
    ------
    DataError
        If `file` is of another training.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Augmented,
        plan: Plan,
        file: Path,
        *,
        save_every: int,
    ) -> None:
        self.model, self.data, self.plan = model, data, plan
        self.compute: Callable[[torch.Tensor], torch.Tensor] = (
            torch.compile(model) if plan.compiled else model
        )
        self.file, self.save_every = file, save_every
        self.total = plan.epochs * len(data)
        clips = [p for name, p in model.named_parameters() if name.endswith("log_clip")]
        others = [p for name, p in model.named_parameters() if not name.endswith("log_clip")]
        self.optimiser = torch.optim.SGD(
            [{"params": others}, {"params": clips, "weight_decay": 0.0}],
            lr=plan.rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=plan.weight_decay,
        )
        self.step = 0
        if file.exists():
            self._resume()

    def _resume(self) -> None:
        state = load_plain(self.file)
        if not isinstance(state, dict) or state.get("plan") != repr(self.plan):
            raise DataError(
                f"{str(self.file)!r} must be of a training with {self.plan}; name another folder "
                "with --out, or delete it to begin anew"
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def save(self) -> None:
        """Writes the state."""
        content = io.BytesIO()
        state = {
            "plan": repr(self.plan),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, content)
        write_file(self.file, content.getvalue())

    def run(self, progress: Progress, limit: int | None = None) -> float:
        """Trains to the end, or up to step `limit`; returns images per second."""
        self.model.train()
        first, started = self.step, time.monotonic()
        stop = self.total if limit is None else min(limit, self.total)
        while self.step < stop:
            epoch, seen = divmod(self.step, len(self.data))
            self.data.set_epoch(epoch, seen)
            for x, y in self.data:
                loss = self._learn(x, y)
                self.step += 1
                saves = self.step % self.save_every == 0
                if self.step % _LOOKED_AT == 0 or saves or self.step == stop:
                    self._look_at(loss)
                progress("training", self.step, self.total)
                if saves:
                    self.save()
                    spent = time.monotonic() - started
                    print(
                        f"step {self.step}/{self.total}: loss {float(loss):.4f}, {spent:.0f} s",
                        file=sys.stderr,
                        flush=True,
                    )
                if self.step == stop:
                    break
        self.save()
        self.model.eval()
        return (self.step - first) * self.plan.batch / (time.monotonic() - started)

    def _look_at(self, loss: torch.Tensor) -> None:
        if not math.isfinite(float(loss)):
            raise ModelError(f"training diverged before step {self.step}; use a smaller --rate")

    def _learn(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        share = 0.5 * (1 + math.cos(math.pi * self.step / self.total))
        warm = min(1.0, (self.step + 1) / max(1, self.total // 20))
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate * share * warm
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.plan.half):
            loss = F.cross_entropy(self.compute(x), y, label_smoothing=self.plan.smoothing)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.detach()


def file_name(arguments: argparse.Namespace) -> str:
    """Of all that belongs to one model and seed."""
    return f"{arguments.model}{'_qcfs' if arguments.qcfs else ''}_seed{arguments.seed}"


def train(arguments: argparse.Namespace, model: nn.Module, device: torch.device) -> dict[str, Any]:
    """Trains `model`, or goes on with it; figures of the training."""
    x, y = (part[: arguments.train].to(device) for part in load(arguments.data, "train"))
    plan = Plan(
        epochs=arguments.epochs,
        batch=arguments.batch,
        rate=arguments.rate,
        weight_decay=5e-4,
        smoothing=arguments.smoothing,
        cutout=arguments.cutout,
        half=device.type == "cuda" or arguments.half,
        compiled=arguments.compile,
        seed=arguments.seed,
    )
    name = file_name(arguments)
    model.to(device, memory_format=torch.channels_last)
    training = Training(
        model,
        Augmented(x, y, batch=plan.batch, cutout=plan.cutout, seed=plan.seed),
        plan,
        arguments.out / f"{name}_training.pt",
        save_every=arguments.save_every,
    )
    with progress_bar() as progress:
        speed = training.run(progress, arguments.max_steps)
    if training.step == training.total:
        content = io.BytesIO()
        torch.save(model.state_dict(), content)
        write_file(arguments.out / f"{name}.pt", content.getvalue())
    return {
        "steps": training.step,
        "of_steps": training.total,
        "images_per_second": round(speed, 1),
        "device": str(device),
    }


@torch.no_grad()
def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor, device: torch.device) -> float:
    """Per cent of the images that are classified rightly."""
    right = 0
    for images, labels in zip(x.split(500), y.split(500), strict=True):
        right += int((model(images.to(device)).argmax(1).cpu() == labels).sum())
    return 100 * right / len(x)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains, tests, converts, tests."""
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    torch.backends.cudnn.benchmark = True  # all batches are alike
    arguments.out.mkdir(parents=True, exist_ok=True)
    test = tuple(part[: arguments.test] for part in load(arguments.data, "test"))
    torch.manual_seed(arguments.seed)
    model = MODELS[arguments.model]()
    figures: dict[str, Any] = {"model": arguments.model, "seed": arguments.seed}
    if arguments.weights is not None:
        load_weights(model, arguments.weights)
    if arguments.qcfs:
        images = Augmented(
            *load(arguments.data, "train"), batch=arguments.qcfs_batch, seed=arguments.seed
        )
        model = with_qcfs(model.eval(), images, levels=arguments.levels)
    if arguments.weights is None or arguments.qcfs:
        figures |= train(arguments, model, device)
    model.to(device).eval()
    figures["test_images"] = len(test[0])
    figures["ann"] = accuracy(model, *test, device)
    if arguments.no_convert:
        return figures
    x, y = (part[: arguments.train].to(device) for part in load(arguments.data, "train"))
    name = f"{file_name(arguments)}_L{arguments.levels}_w{arguments.weight_bits}"
    snn, stats = convert(
        model.cpu(),
        Augmented(x, y, batch=arguments.qcfs_batch, seed=arguments.seed),
        test_loader=test,
        strategy="exact",
        levels=arguments.levels,
        weight_bits=arguments.weight_bits,
        qcfs_epochs=arguments.qcfs_epochs,
        rate=arguments.qcfs_rate,
        temperature=arguments.temperature,
        seed=arguments.seed,
        device=device,
        checkpoint=arguments.out / f"{name}.pt",
        name=arguments.model,
        verbose=not arguments.json,
    )
    save(snn, arguments.out / f"{name}_network.pt")
    figures |= {
        "levels": arguments.levels,
        "weight_bits": arguments.weight_bits,
        "qcfs_epochs": arguments.qcfs_epochs,
        "snn": stats.integer_accuracy,
        "unequal": stats.unequal,
        "sparsity": (stats.sparsity or 0) / 100,
        "spikes": round(sum(n for layer, n in stats.spikes.items() if layer != "input"), 1),
        "conversion_seconds": round(stats.conversion_time, 1),
    }
    return figures


def main() -> int:
    """Parses, runs, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", choices=list(MODELS))
    parser.add_argument("--data", required=True, help="folder of the CIFAR-10 binary files")
    parser.add_argument("--out", type=Path, default=Path("cifar"), help="folder (%(default)s)")
    parser.add_argument(
        "--weights", type=Path, help="trained weights: no training, but with --qcfs"
    )
    parser.add_argument(
        "--qcfs",
        action="store_true",
        help="train with QCFS of --levels in the place of each ReLU, from --weights on if given",
    )
    parser.add_argument(
        "--half", action="store_true", help="train in bfloat16 on a CPU too (AVX512-BF16 pays)"
    )
    parser.add_argument(
        "--compile", action="store_true", help="with torch.compile: a minute first, then faster"
    )
    parser.add_argument("--epochs", type=int, default=200, help="of training (%(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="(%(default)s)")
    parser.add_argument("--rate", type=float, default=0.1, help="highest step (%(default)s)")
    parser.add_argument("--smoothing", type=float, default=0.1, help="of the labels (%(default)s)")
    parser.add_argument("--cutout", type=int, default=8, help="its side, 0: none (%(default)s)")
    parser.add_argument("--max-steps", type=int, help="stop the training there, for now")
    parser.add_argument("--save-every", type=int, default=200, help="steps (%(default)s)")
    parser.add_argument("--levels", type=int, default=8, help="L (%(default)s)")
    parser.add_argument("--weight-bits", type=int, default=8, help="2 to 8 (%(default)s)")
    parser.add_argument("--qcfs-epochs", type=int, default=4, help="of fine-tuning (%(default)s)")
    parser.add_argument("--qcfs-rate", type=float, default=0.005, help="its step (%(default)s)")
    parser.add_argument("--qcfs-batch", type=int, default=128, help="its batch (%(default)s)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of the teacher (%(default)s)"
    )
    parser.add_argument("--train", type=int, help="training images to use (default: all)")
    parser.add_argument("--test", type=int, help="test images to use (default: all)")
    parser.add_argument("--device", help="cpu or cuda (default: cuda if there is one)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-convert", action="store_true", help="only train and test")
    parser.add_argument("--json", action="store_true", help="print one JSON object of figures only")
    arguments = parser.parse_args()
    try:
        figures = run(arguments)
    except NeurocudaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:20} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
