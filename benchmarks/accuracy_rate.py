"""Accuracy of the rate code against the number of steps: one trained ResNet-20, many T.

    python benchmarks/accuracy_rate.py --data FOLDER --weights FILE --epochs 4 --checkpoint STATE

The classifier is converted to the exact code with L levels and fine-tuned there (with --checkpoint,
what `accuracy.py` or this script trained before is taken up), then run under the rate code at each
T, all in integers and over all test images: no training through time.

Beside it stands what Bu et al. (ICLR 2022) publish for QCFS and their ResNet-20, trained for 300
epochs (ANN 91.77 %), in floating point; those figures are second hand.

Figures: ``ann``, ``rate<T>`` (per cent), ``rate<T>_spikes`` (per image), ``images``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from neurocuda_hw.conversion import convert
from neurocuda_hw.conversion.recoding import recode
from neurocuda_hw.errors import NeurocudaError
from neurocuda_hw.progress import Progress, progress_bar
from neurocuda_hw.snn import SpikingNetwork

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import cifar  # noqa: E402 - the examples are no package
from models import CifarResNet20  # noqa: E402

PUBLISHED = {2: 73.20, 4: 83.75, 8: 89.55, 16: 91.62, 32: 92.24}
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
    train = cifar.load(arguments.data, "train")
    x, y = (part[: arguments.images] for part in cifar.load(arguments.data, "test"))
    snn, _ = convert(
        model.eval(),
        cifar.Augmented(*train, seed=arguments.seed),
        strategy="exact",
        levels=arguments.levels,
        qcfs_epochs=arguments.epochs,
        rate=arguments.rate,
        temperature=arguments.temperature,
        seed=arguments.seed,
        device=arguments.device,
        checkpoint=arguments.checkpoint,
        verbose=not arguments.json,
    )
    with torch.no_grad():
        right = [model(part).argmax(1) for part in torch.split(x, _BATCH)]
    figures: dict[str, float | int] = {
        "images": len(x),
        "levels": arguments.levels,
        "epochs": arguments.epochs,
        "ann": 100 * float((torch.cat(right) == y).double().mean()),
    }
    with progress_bar(quiet=arguments.json) as progress:
        for steps in arguments.timesteps:
            started = time.monotonic()
            network = recode(snn, code="rate", steps=steps)
            found, spikes = evaluate(network, x, y, f"T = {steps}", progress)
            figures[f"rate{steps}"], figures[f"rate{steps}_spikes"] = found, round(spikes, 1)
            spent = time.monotonic() - started
            print(f"T = {steps}: {found:.2f} %, {spent:.0f} s", file=sys.stderr, flush=True)
    return figures


def show(figures: dict[str, float | int], timesteps: list[int]) -> None:
    """A table for people."""
    print(
        f"ResNet-20, CIFAR-10, {figures['images']:,} test images, trained with "
        f"L = {figures['levels']} for {figures['epochs']} epoch(s); ANN {figures['ann']:.2f} %"
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
    parser.add_argument("--levels", type=int, default=8, help="L of the training (%(default)s)")
    parser.add_argument("--epochs", type=int, default=0, help="of fine-tuning (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.005, help="of fine-tuning (%(default)s)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of the teacher (%(default)s)"
    )
    parser.add_argument("--checkpoint", type=Path, help="state of the fine-tuning, to go on from")
    parser.add_argument("--device", help="cpu or cuda (default: cuda if there is one)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one flat JSON object only")
    arguments = parser.parse_args()
    try:
        figures = measure(arguments)
    except NeurocudaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.json:
        print(json.dumps(figures))
    else:
        show(figures, arguments.timesteps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
