"""Accuracy of the rate code against the number of steps T: the trained ResNet-20 for CIFAR-10.

    python benchmarks/accuracy_rate.py --data FOLDER --weights FILE
    python benchmarks/accuracy_rate.py --data FOLDER --weights FILE --timesteps 2 4 8 \\
        --epochs 1 --if-epochs 1 --train 25000 --checkpoints FOLDER

For each T the classifier is converted anew, with 8-bit weights: calibrated, its QCFS activations
trained for --epochs, the means of its spikes corrected, and trained through time for --if-epochs,
on --train shifted and mirrored images. All 10,000 test images then run through the integers; they
choose nothing, and the last epoch is kept.

Beside it stands what Bu et al. (ICLR 2022, table of CIFAR-10) publish for QCFS and their ResNet-20,
trained for 300 epochs (ANN 91.77 %), in floating point; those figures are second hand.

Figures: ``ann``, ``rate<T>`` (per cent), ``rate<T>_spikes`` (per image), ``rate<T>_epochs``,
``rate<T>_if_epochs``, ``rate<T>_train``, ``images``. With --out they are added to those in a file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from neurocuda_hw.conversion import convert
from neurocuda_hw.conversion.choices import device
from neurocuda_hw.ground.errors import NeurocudaError
from neurocuda_hw.ground.progress import Progress, progress_bar
from neurocuda_hw.network.model_file import save
from neurocuda_hw.reference.snn import SpikingNetwork

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import cifar  # noqa: E402 - the examples are no package
from models import CifarResNet20  # noqa: E402

PUBLISHED = {1: 62.43, 2: 73.20, 4: 83.75, 8: 89.55, 16: 91.62, 32: 92.24}
_BATCH = 500


def evaluate(
    snn: SpikingNetwork, x: torch.Tensor, y: torch.Tensor, stage: str, progress: Progress
) -> tuple[float, float]:
    """Per cent that is right, and spikes per image."""
    right = spikes = 0
    for start in range(0, len(x), _BATCH):
        run = snn.run(x[start : start + _BATCH])
        right += int((run.outputs.argmax(1).cpu() == y[start : start + _BATCH]).sum())
        spikes += sum(int(counts.sum()) for counts in run.counts.values())
        progress(stage, min(start + _BATCH, len(x)), len(x))
    return 100 * right / len(x), spikes / len(x)


def measure(arguments: argparse.Namespace) -> dict[str, float | int]:
    """All figures."""
    model = CifarResNet20()
    cifar.load_weights(model, arguments.weights)
    model.eval()
    place = device(arguments.device)
    train = cifar.load(arguments.data, "train")
    chosen = torch.randperm(len(train[0]), generator=torch.Generator().manual_seed(arguments.seed))
    train = tuple(part[chosen[: arguments.train]].to(place) for part in train)
    x, y = (part[: arguments.images] for part in cifar.load(arguments.data, "test"))
    with torch.no_grad():
        right = [model(part).argmax(1) for part in torch.split(x, _BATCH)]
    figures: dict[str, float | int] = {
        "images": len(x),
        "ann": 100 * float((torch.cat(right) == y).double().mean()),
    }
    folder = arguments.checkpoints
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with progress_bar(quiet=arguments.json) as progress:
        for steps in arguments.timesteps:
            started = time.monotonic()
            snn, _ = convert(
                model,
                cifar.Augmented(
                    *train, batch=arguments.batch, batches=arguments.batches, seed=arguments.seed
                ),
                strategy="qcfs_if_ft",
                timesteps=steps,
                qcfs_epochs=arguments.epochs,
                if_epochs=arguments.if_epochs,
                rate=arguments.rate,
                temperature=arguments.temperature,
                seed=arguments.seed,
                device=place,
                checkpoint=None if folder is None else folder / f"rate{steps}.pt",
                verbose=False,
                progress=progress,
            )
            if arguments.networks is not None:
                arguments.networks.mkdir(parents=True, exist_ok=True)
                save(snn, arguments.networks / f"rate{steps}.pt")
            found, spikes = evaluate(snn, x, y, f"T = {steps}", progress)
            figures |= {
                f"rate{steps}": found,
                f"rate{steps}_spikes": round(spikes, 1),
                f"rate{steps}_epochs": arguments.epochs,
                f"rate{steps}_if_epochs": arguments.if_epochs,
                f"rate{steps}_train": len(train[0]),
            }
            spent = time.monotonic() - started
            print(f"T = {steps}: {found:.2f} %, {spent:.0f} s", file=sys.stderr, flush=True)
    return figures


def show(figures: dict[str, float | int], timesteps: list[int]) -> None:
    """A table for people."""
    print(
        f"ResNet-20, CIFAR-10, {figures['images']:,} test images, trained for "
        f"{figures[f'rate{timesteps[0]}_epochs']} + {figures[f'rate{timesteps[0]}_if_epochs']} "
        f"epoch(s); ANN {figures['ann']:.2f} %"
    )
    print(f"{'T':>4} {'SNN %':>7} {'published %':>12} {'spikes':>10}")
    for steps in timesteps:
        published = f"{PUBLISHED[steps]:.2f}" if steps in PUBLISHED else "-"
        print(
            f"{steps:4} {figures[f'rate{steps}']:7.2f} {published:>12} "
            f"{figures[f'rate{steps}_spikes']:10,.0f}"
        )


def main() -> int:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of the CIFAR-10 binary files")
    parser.add_argument("--weights", type=Path, required=True, help="of ResNet-20 (a state_dict)")
    parser.add_argument("--timesteps", nargs="+", type=int, default=[2, 4, 8, 16, 32], help="T")
    parser.add_argument("--images", type=int, help="test images to use (default: all)")
    parser.add_argument("--epochs", type=int, default=0, help="of QCFS training (%(default)s)")
    parser.add_argument("--if-epochs", type=int, default=0, help="through time (%(default)s)")
    parser.add_argument("--train", type=int, default=50_000, help="images to train on")
    parser.add_argument("--batch", type=int, default=128, help="(%(default)s)")
    parser.add_argument("--batches", type=int, help="of an epoch (default: all images)")
    parser.add_argument("--rate", type=float, default=0.01, help="of the training (%(default)s)")
    parser.add_argument(
        "--temperature", type=float, default=4.0, help="of the teacher (%(default)s)"
    )
    parser.add_argument("--checkpoints", type=Path, help="folder of states to go on from")
    parser.add_argument("--networks", type=Path, help="folder to write the networks to")
    parser.add_argument("--device", help="cpu or cuda (default: cuda if there is one)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="add the figures to this JSON file")
    parser.add_argument("--json", action="store_true", help="print one flat JSON object only")
    arguments = parser.parse_args()
    try:
        figures = measure(arguments)
    except NeurocudaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.out is not None:
        before = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        arguments.out.write_text(json.dumps({**before, **figures}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(figures))
    else:
        show(figures, arguments.timesteps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
