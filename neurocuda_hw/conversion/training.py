"""Trains the quantised ANN, in its integers, to answer as the trained model answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from neurocuda_hw.conversion.checkpoint import Best, Checkpoint
from neurocuda_hw.conversion.graph import Graph, evaluate
from neurocuda_hw.conversion.qcfs import QcfsModel
from neurocuda_hw.conversion.tasks import Sharpness, Task
from neurocuda_hw.conversion.teacher import Teacher
from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.errors import ModelError

SHARPENED_BY = 256  # samples
# a loss is looked at in every so many batches: a GPU is waited for then
_LOOKED_AT = 16

Forward = Callable[[QcfsModel, torch.Tensor], torch.Tensor]
Progress = Callable[[str, int, int], None]


def float_graph(graph: Graph, device: torch.device | str = "cpu") -> Graph:
    """The same graph in float32 on `device`, to be evaluated fast."""

    def ready(values: torch.Tensor) -> torch.Tensor:
        return values.to(device=device, dtype=torch.float32)

    layers = tuple(
        replace(
            layer,
            bias=ready(layer.bias),
            terms=tuple(replace(term, weight=ready(term.weight)) for term in layer.terms),
        )
        for layer in graph.layers
    )
    return replace(graph, layers=layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How to train.

    Parameters
    ----------
    rate : float
        Initial step of Adam.
    seed : int
    relative : bool
        Whether `rate` is relative to the mean size of each tensor's values.
    temperature : float
        Above 1 the trained model also teaches how it ranks what it rules out (Hinton et al., 2015),
        which says more where it is sure of all its training data.
    checkpoint : Path, optional
        Written after each epoch. If it is there already, training goes on from it and ends as it
        would have without the break; a loader that shuffles should have ``set_epoch(epoch)``.
    progress : callable, optional
        Called with (stage, done, total).
    """

    rate: float
    seed: int
    relative: bool = True
    temperature: float = 1.0
    checkpoint: Path | None = None
    progress: Progress | None = None


def train(
    model: QcfsModel,
    data: Batches,
    how: Training,
    *,
    forward: Forward,
    epochs: int,
    stage: str,
    teacher: Teacher | None = None,
    score: Callable[[], torch.Tensor] | None = None,
) -> int:
    """Adam with a cosine rate over `epochs`.

    With `score`, the state after whichever epoch scored highest is kept, the earliest of equals;
    the one before training unless that is clearly better. Without, the last one.

    The loss is the task's: the distance to the (softened) answers of the trained model, or of
    `teacher`, and to the labels where there are any. Answers of a classifier that are hardly sure
    of anything, of a model that was trained by another loss, are sharpened before: else training
    would begin by making all weights larger.

    Parameters
    ----------
    forward : callable
        Real logits of the model for real inputs: the quantised ANN, or its IF neurons through time.
    teacher : Teacher, optional
        A better model to learn from than the trained one.
    score : callable, optional
        Of the model as it stands, what each sample is judged by (`Task.judged`); higher is better.

    Returns
    -------
    int
        The epoch that was kept, from 0 (as it was) to `epochs`.

    Raises
    ------
    DataError
        If the checkpoint is that of another model or another training.
    """
    device = model.biases[0].device
    own = float_graph(model.graph.teacher, device)

    def answer(x: torch.Tensor) -> torch.Tensor:
        return evaluate(own, x)[-1].flatten(1)

    first = data.head(SHARPENED_BY).to(device)
    answers = answer(first)
    task = model.task
    sharpness, wanted_sharpness = sharpnesses(task, answers, teacher, first)
    generator = torch.Generator().manual_seed(how.seed)
    groups = []
    for parameter in (*model.weights, *model.biases):
        if parameter.requires_grad:
            peak = how.rate * _size(parameter) if how.relative else how.rate
            groups.append({"params": [parameter], "lr": peak, "peak": peak})
    groups += [{"params": [p], "lr": how.rate, "peak": how.rate} for p in model.log_clips]
    best = Best(model, score)
    optimiser = torch.optim.Adam(groups, lr=how.rate)
    per_epoch = max(1, data.count())
    settings: dict[str, str | int | float] = {
        "stage": stage,
        "epochs": epochs,
        "rate": how.rate,
        "seed": how.seed,
        "temperature": how.temperature,
        "batches": per_epoch,
        "network": repr(model.settings),
    }
    if teacher is not None:
        settings["teacher"] = teacher.fingerprint
    saved = Checkpoint(how.checkpoint, settings, best, optimiser, generator)

    def look_at(loss: torch.Tensor) -> None:
        if not math.isfinite(float(loss.detach())):
            raise ModelError(
                f"fine-tuning ({stage}) diverged in epoch {epoch + 1}; use a smaller rate than "
                f"{how.rate:g}"
            )

    for epoch in range(saved.resume(), epochs):
        data.set_epoch(epoch, how.seed)
        for number, (x, y) in enumerate(data.epoch(generator)):
            x, y = x.to(device), None if y is None else y.to(device)
            done = min(1.0, (epoch + number / per_epoch) / epochs)
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * 0.5 * (1 + math.cos(math.pi * done))
            wanted = (answer if teacher is None else teacher)(x) * wanted_sharpness
            if y is not None and task is Task.REGRESS:
                y = y * sharpness
            loss = task.loss(forward(model, x) * sharpness, wanted, y, how.temperature)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if number % _LOOKED_AT == 0:
                look_at(loss)
            if how.progress:
                how.progress(stage, epoch * per_epoch + number + 1, epochs * per_epoch)
        look_at(loss)
        best.see(epoch + 1)
        saved.write(epoch + 1)
    return best.restore(epochs)


def sharpnesses(
    task: Task, answers: torch.Tensor, teacher: Teacher | None, x: torch.Tensor
) -> Sharpness:
    """What the model's own outputs are multiplied with, and those that it learns from.

    Parameters
    ----------
    answers : tensor (B, K)
        The trained model's, to inputs `x`.

    Raises
    ------
    ModelError
        If the teacher does not answer as it must.
    """
    own = task.sharpness(answers)
    if teacher is None:
        return own, own
    better = teacher.first_answers(x, answers.shape[1])
    return own, own if task is Task.REGRESS else task.sharpness(better)


def _size(parameter: torch.Tensor) -> float:
    return float(parameter.detach().abs().mean().clamp(min=1e-3))
