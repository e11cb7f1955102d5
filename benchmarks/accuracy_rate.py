"""Accuracy of the rate code against the number of steps T: the trained ResNet-20 for CIFAR-10.

    python -m benchmarks accuracy_rate --data FOLDER --weights FILE
    python -m benchmarks accuracy_rate --data FOLDER --weights FILE --timesteps 2 4 8 \\
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

import time
from argparse import Namespace

import cifar
import torch

from benchmarks.inputs import resnet20
from benchmarks.table import say
from neurocuda_hw.conversion import convert
from neurocuda_hw.conversion.choices import device
from neurocuda_hw.ground.progress import Progress, progress_bar
from neurocuda_hw.network.model_file import save
from neurocuda_hw.reference.snn import SpikingNetwork

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


def measure(given: Namespace) -> dict[str, float | int]:
    """All figures."""
    model = resnet20(given.weights)
    place = device(given.device)
    train = cifar.load(given.data, "train")
    chosen = torch.randperm(len(train[0]), generator=torch.Generator().manual_seed(given.seed))
    train = tuple(part[chosen[: given.train]].to(place) for part in train)
    x, y = (part[: given.images] for part in cifar.load(given.data, "test"))
    with torch.no_grad():
        right = [model(part).argmax(1) for part in torch.split(x, _BATCH)]
    figures: dict[str, float | int] = {
        "images": len(x),
        "ann": 100 * float((torch.cat(right) == y).double().mean()),
    }
    folder = given.checkpoints
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with progress_bar() as progress:
        for steps in given.timesteps:
            started = time.monotonic()
            snn, _ = convert(
                model,
                cifar.Augmented(*train, batch=given.batch, batches=given.batches, seed=given.seed),
                strategy="qcfs_if_ft",
                timesteps=steps,
                qcfs_epochs=given.epochs,
                if_epochs=given.if_epochs,
                rate=given.rate,
                temperature=given.temperature,
                seed=given.seed,
                device=place,
                checkpoint=None if folder is None else folder / f"rate{steps}.pt",
                verbose=False,
                progress=progress,
            )
            if given.networks is not None:
                given.networks.mkdir(parents=True, exist_ok=True)
                save(snn, given.networks / f"rate{steps}.pt")
            found, spikes = evaluate(snn, x, y, f"T = {steps}", progress)
            figures |= {
                f"rate{steps}": found,
                f"rate{steps}_spikes": round(spikes, 1),
                f"rate{steps}_epochs": given.epochs,
                f"rate{steps}_if_epochs": given.if_epochs,
                f"rate{steps}_train": len(train[0]),
            }
            if steps in PUBLISHED:
                figures[f"published{steps}"] = PUBLISHED[steps]
            spent = time.monotonic() - started
            say(f"T = {steps}: {found:.2f} %, {spent:.0f} s")
    return figures
