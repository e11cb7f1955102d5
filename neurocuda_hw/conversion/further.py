"""What can be done with a converted network: train it further, read its quantised ANN."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from neurocuda_hw.conversion import choices, spiking
from neurocuda_hw.conversion.qcfs import QcfsModel
from neurocuda_hw.conversion.quantize import Code, QuantizedAnn, silence, to_network
from neurocuda_hw.conversion.tasks import inferred
from neurocuda_hw.conversion.trainer import TEST_BATCH, Trainer
from neurocuda_hw.conversion.training import Progress, Training
from neurocuda_hw.data.batches import Batches, seeded
from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.ground.progress import progress_bar
from neurocuda_hw.reference.snn import SpikingNetwork


def finetune(
    snn: SpikingNetwork,
    train_loader: Any,
    *,
    epochs: int = 3,
    lr: float = 1e-4,
    rate: float | None = None,
    temperature: float = 1.0,
    teacher: nn.Module | ExportedProgram | None = None,
    val_loader: Any = None,
    batch: int = 128,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    verbose: bool = True,
    progress: Progress | None = None,
) -> SpikingNetwork:
    """Trains a converted network further, in its integers; `snn` itself stays as it is.

    Under the exact code the quantised ANN is trained, under the rate code the neurons through time.

    Parameters
    ----------
    snn : SpikingNetwork
        From `convert` or `finetune`.
    train_loader, val_loader
        As `convert` takes them. As there, what is not clearly better than `snn` on the validation
        data, else on samples that are held out, is thrown away, and `notes` of the network say so.
    lr : float
        Initial step of Adam; falls to 0 along a cosine.
    rate : float, optional
        The same relative to the size of the weights, as in `convert`; instead of `lr`.
    temperature, teacher
        As in `convert`.
    checkpoint : str or Path, optional
        As in `convert`: written after each epoch, and gone on from.

    Raises
    ------
    ModelError
        If `snn` was read from a file, which holds integers only.
    """
    samples = Batches(train_loader, "training data", batch)
    values = None if val_loader is None else Batches(val_loader, "validation data", TEST_BATCH)
    module = copy.deepcopy(trained_model(snn)).to(choices.device(device))
    _check_labels(module, samples, values)
    with ExitStack() as stack:
        stack.enter_context(seeded(seed, samples, values))
        if progress is None:
            progress = stack.enter_context(progress_bar(quiet=not verbose))
        training = Training(
            rate=lr if rate is None else rate,
            relative=rate is not None,
            seed=seed,
            temperature=choices.positive(temperature, "temperature"),
            checkpoint=None if checkpoint is None else Path(checkpoint),
            progress=progress,
        )
        trainer = Trainer(module, samples, values, training, teacher)
        stage = "spiking" if module.settings.code is Code.RATE else "qcfs"
        trainer.train(stage, choices.whole(epochs, "epochs", 0))
    if verbose:
        for note in trainer.notes:
            print(f"note: {note}", file=sys.stderr)
    return in_integers(module, snn.network.name, snn.device, trainer.notes)


def quantized_ann(snn: SpikingNetwork) -> QuantizedAnn:
    """The quantised ANN that `snn` was converted from, in plain integers.

    Raises
    ------
    ModelError
        If `snn` was read from a file, or made in another way.
    """
    return silence(trained_model(snn).quantized())


def in_integers(
    module: QcfsModel, name: str, device: torch.device, notes: Sequence[str] = ()
) -> SpikingNetwork:
    """The network of a trained `module`, on `device`."""
    network = to_network(silence(module.cpu().quantized()), name)
    return SpikingNetwork(network, trained=module, notes=notes).to(device)


def _check_labels(module: QcfsModel, *data: Batches | None) -> None:
    """Has labels checked as the task takes them; it is found by them where there had been none."""
    parts = [part for part in data if part is not None]
    outputs, inputs = math.prod(module.graph.shapes[-1]), math.prod(module.graph.input_shape)
    if module.assumed and any(part.first_labels() is not None for part in parts):
        module.task, _ = inferred(None, parts, outputs, inputs, module.graph.final)
        module.assumed = False
    for part in parts:
        part.check = partial(module.task.labels, outputs=outputs, what=part.what)


@torch.no_grad()
def judgement(module: QcfsModel, val_loader: Any, device: torch.device) -> torch.Tensor | None:
    """Scores (`Task.judged`) of the samples by which a change of a network is judged: of the
    validation data, else of those that were held out when it was converted; None without any."""
    module = module.to(device)
    forward = spiking.run if module.settings.code is Code.RATE else QcfsModel.forward
    if val_loader is None:
        kept = module.judged
        pairs: Any = [] if kept is None else [(kept.x, kept.wanted)]
    else:
        pairs = Batches(val_loader, "validation data", TEST_BATCH)
        _check_labels(module, pairs)
    found = []
    for x, wanted in pairs:
        if wanted is None:
            raise DataError("validation data must have labels")
        sharp = module.task.sharpness(wanted) if wanted.is_floating_point() else torch.ones(1)
        outputs = forward(module, x.to(device))
        found.append(module.task.judged(outputs, wanted.to(device), (sharp, sharp)))
    return torch.cat(found) if found else None


def trained_model(snn: SpikingNetwork) -> QcfsModel:
    """What `snn` was converted from, with trainable weights; a ModelError if it was not."""
    if not isinstance(snn, SpikingNetwork) or not isinstance(snn.trained, QcfsModel):
        raise ModelError(
            "the network must be what convert() returned: one that was read from a file, or made "
            "in another way, holds no trainable weights; convert the model again"
        )
    return snn.trained
