"""Whether a converted network still answers as what it was converted from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from neurocuda_hw.conversion.further import quantized_ann
from neurocuda_hw.conversion.qcfs import QcfsModel
from neurocuda_hw.conversion.stats import differing
from neurocuda_hw.conversion.tasks import Task
from neurocuda_hw.conversion.trainer import TEST_BATCH
from neurocuda_hw.conversion.training import Progress
from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.reference.snn import SpikingNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What was found; None where there was nothing to compare with.

    Parameters
    ----------
    samples : int
    accuracy : float, optional
        Per cent of the labelled samples that the spiking network gets right.
    ann_accuracy : float, optional
        The same of `ann`.
    agreement : float, optional
        Per cent of samples in which both answer the same class.
    unequal : int, optional
        Samples with any spike count or logit that is not the quantised ANN's.
    """

    samples: int
    accuracy: float | None
    ann_accuracy: float | None
    agreement: float | None
    unequal: int | None


@torch.no_grad()
def validate_snn(
    snn: SpikingNetwork,
    test_loader: Any,
    *,
    ann: nn.Module | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Runs the samples of `test_loader` through `snn`, its quantised ANN, and `ann`.

    Parameters
    ----------
    snn : SpikingNetwork
        If it was read from a file, its quantised ANN is not known, and `unequal` is None.
    test_loader
        As `convert` takes it; labels are optional.
    ann : torch.nn.Module, optional
        The trained model, in evaluation mode.

    Raises
    ------
    DataError
        If there are no samples, they do not fit, or `ann` does not take them.
    """
    batches = Batches(test_loader, "test data", TEST_BATCH)
    quantized = quantized_ann(snn) if isinstance(snn.trained, QcfsModel) else None
    samples = labelled = unequal = 0
    right = ann_right = same = 0.0
    for number, (x, y) in enumerate(batches):
        run = snn.run(x)
        task = _task(snn, run.outputs.shape[1])
        answers = task.answers(snn.logits(run.outputs)).cpu()
        samples += len(x)
        if quantized is not None:
            unequal += differing(quantized, quantized.counts(snn.quantise(x)), run)
        wanted = None if ann is None else task.answers(_outputs(ann, x))
        if wanted is not None:
            same += _alike(wanted, answers)
        if y is not None:
            y = task.labels(y, run.outputs.shape[1], batches.what)
            labelled += len(x)
            right += _alike(answers, y)
            ann_right += 0 if wanted is None else _alike(wanted, y)
        if progress:
            progress("validating", number + 1, batches.count())
    return Validation(
        samples=samples,
        accuracy=100 * right / labelled if labelled else None,
        ann_accuracy=100 * ann_right / labelled if labelled and ann is not None else None,
        agreement=None if ann is None else 100 * same / samples,
        unequal=None if quantized is None else unequal,
    )


def _task(snn: SpikingNetwork, outputs: int) -> Task:
    """What its outputs are; one by itself is a yes or no, if nothing else is known."""
    if isinstance(snn.trained, QcfsModel) and not snn.trained.assumed:
        if snn.trained.task is Task.REGRESS:
            raise DataError(
                "validate_snn counts right answers, but this network gives values (task "
                "'regress'); compare snn(x) with them"
            )
        return snn.trained.task
    return Task.BINARY if outputs == 1 else Task.CLASSIFY


def _alike(one: torch.Tensor, other: torch.Tensor) -> float:
    """Samples that are answered alike."""
    same = (one == other).float()
    return float(same.mean(1).sum() if same.ndim > 1 else same.sum())


def _outputs(ann: nn.Module, x: torch.Tensor) -> torch.Tensor:
    device = next((p.device for p in ann.parameters()), x.device)
    try:
        found: torch.Tensor = ann(x.to(device)).flatten(1).cpu()
    except (RuntimeError, ValueError, IndexError) as error:
        raise DataError(
            f"the model does not take inputs of the shape {tuple(x.shape[1:])}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return found
