"""`convert`: from a trained classifier to an integer spiking network."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from neurocuda_hw.conversion import choices
from neurocuda_hw.conversion.approximate import approximate
from neurocuda_hw.conversion.calibrate import clip_values, input_range
from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.correction import correct
from neurocuda_hw.conversion.direct import capture_neurons, spike_agreement, thresholds
from neurocuda_hw.conversion.equalise import equalise
from neurocuda_hw.conversion.further import in_integers, quantized_ann
from neurocuda_hw.conversion.graph import Graph
from neurocuda_hw.conversion.inputs import centre, coarse, payload_of, within
from neurocuda_hw.conversion.maximum import warn_of_maxima
from neurocuda_hw.conversion.modules import OverTime
from neurocuda_hw.conversion.qcfs import QcfsModel, Settings
from neurocuda_hw.conversion.quantize import Code
from neurocuda_hw.conversion.stats import Figures, Scores, Stats, doubts, score, summary
from neurocuda_hw.conversion.tasks import Task, inferred
from neurocuda_hw.conversion.temporal import frames_of
from neurocuda_hw.conversion.trainer import JUDGED, TEST_BATCH, Trainer, judged
from neurocuda_hw.conversion.training import Progress, Training
from neurocuda_hw.data.batches import Batches, seeded
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.progress import progress_bar
from neurocuda_hw.reference.snn import SpikingNetwork

_CALIBRATION_SAMPLES = 1024
_AGREEMENT_SAMPLES = 64
_RATE = 0.01
# times the trained model's weights from which a note says so
_MANY = 1.05


def convert(
    ann: nn.Module | ExportedProgram,
    train_loader: Any,
    *,
    test_loader: Any = None,
    val_loader: Any = None,
    qcfs_epochs: int = 5,
    if_epochs: int = 5,
    strategy: str = "auto",
    task: str | None = None,
    code: str | None = None,
    levels: int = 8,
    timesteps: int | None = None,
    weight_bits: int | Sequence[int] = 8,
    input_bits: int = 8,
    channel_wise: bool = True,
    frames: str | None = None,
    rate: float = _RATE,
    temperature: float = 1.0,
    teacher: nn.Module | ExportedProgram | None = None,
    batch: int = 128,
    seed: int = 0,
    device: str | torch.device | None = None,
    checkpoint: str | Path | None = None,
    name: str = "network",
    verbose: bool = True,
    progress: Progress | None = None,
) -> tuple[SpikingNetwork, Stats]:
    """Converts a trained model to an integer spiking network.

    What it trains is never worse than what it had: judged by the validation data, else by samples
    that it holds out of the training (of a loader: its first ones), training that is not clearly
    better is thrown away, and a note says so.

    Parameters
    ----------
    ann : torch.nn.Module or torch.export.ExportedProgram
        In evaluation mode; inputs ``(B, ...)``, outputs ``(B, K)``. A model of recordings
        ``(B, T, C, H, W)`` first adds up or averages their frames, ``x.sum(1)``, ``x.mean(1)``, or
        goes through its layers for each frame and averages the answers. An `OverTime` of spiking
        neurons is taken as it is, in the rate code, and trained for `if_epochs` in its integers.
        Clip values of `QCFS` activations are taken as they were learnt.
    train_loader : DataLoader of (x, y), any iterable of such batches, (x, y) arrays, or x alone
        Real training data: the first 1,024 samples calibrate, all of it fine-tunes.
    test_loader : the same, optional
        Only reported on; nothing is chosen by it.
    val_loader : the same, optional
        Chooses the epoch, and whether training is kept at all.
    qcfs_epochs : int
        Of training the quantised ANN (QCFS activations, all integer rounding inside).
    if_epochs : int
        Of training the integrate-and-fire neurons through time (rate code only).
    strategy : str
        ``exact``: layer after layer; every spike count and logit equals the quantised ANN's.
        ``qcfs_direct``: all layers at once (rate code), after `qcfs_epochs`.
        ``qcfs_if_ft``: the same, then trained through time for `if_epochs`.
        ``auto``: the exact code (with ``code="rate"`` the rate code), and trains only what scores
        more than 0.1 points under the trained model on the validation data, or without any on the
        calibration samples.
    task : "classify", "binary" or "regress", optional
        What the outputs are: classes, of which the largest output counts; yes or no by the sign of
        each output (one logit); values. Found from labels and outputs, where it is not said.
    code : "exact" or "rate", optional
        Narrows ``auto``.
    levels : int
        L of the exact code: spikes of a neuron per inference, 1 to 255.
    timesteps : int
        T of the rate code; default 8. Recordings bring their own: one step for each frame.
    weight_bits : int or sequence of int
        2 to 8; one for all layers or one for each.
    input_bits : int
        Of an input value; unsigned if the training data is never negative. Channels whose ranges
        are far apart have a scale each.
    channel_wise : bool
        One clip value (threshold) per channel, or one per layer.
    frames : "sum", "mean" or "each", optional
        Inputs are recordings ``(B, T, ...)`` and the model takes single frames: what it is to see
        of a recording, or EACH frame with its answers averaged (rate code only).
    rate : float
        Step of the training, relative to the size of the weights.
    temperature : float
        At which the trained model teaches; 4 for one that is sure of all its training data.
    teacher : nn.Module or ExportedProgram, optional
        A better model of the same inputs and classes, whose answers are learnt in the place of
        those of `ann`. In evaluation mode; it need not be convertible.
    device : str or torch.device, optional
        Where to train and evaluate; default the first GPU, if there is one. Spikes are the same.
    checkpoint : str or Path, optional
        Training writes its state there after each epoch (the name of the stage is added), and goes
        on from what is there: it ends as it would have without the break.
    verbose : bool
        Bars while it works, and a line of figures at the end, on standard error.
    progress : callable, optional
        Called with (stage, done, total), instead of the bars.

    Returns
    -------
    snn : SpikingNetwork
        A module that computes in exact integer steps what the hardware computes.
    stats : Stats
        A mapping: ``strategy``, ``ann_accuracy``, ``integer_accuracy``, ...

    Raises
    ------
    ModelError, UnsupportedLayerError
        If the model cannot be converted; the message names the layer and the way out.
    DataError
        If the data is empty, of the wrong shape, or holds NaN.
    """
    neurons = isinstance(ann, OverTime)
    course = choices.course(strategy, code, qcfs_epochs, if_epochs, neurons=neurons)
    aims = Aims(
        code=course.code,
        levels=levels,
        timesteps=timesteps,
        weight_bits=weight_bits,
        input_bits=choices.whole(input_bits, "input_bits", 1, 16),
        channel_wise=channel_wise,
        frames=frames,
        seed=seed,
        task=task,
    )
    where = choices.device(device)
    samples = Batches(train_loader, "training data", batch)
    tests = None if test_loader is None else Batches(test_loader, "test data", TEST_BATCH)
    values = None if val_loader is None else Batches(val_loader, "validation data", TEST_BATCH)
    with ExitStack() as stack:
        stack.enter_context(seeded(seed, samples, tests, values))
        if progress is None:
            progress = stack.enter_context(progress_bar(quiet=not verbose))
        training = Training(
            rate=rate,
            seed=seed,
            temperature=choices.positive(temperature, "temperature"),
            checkpoint=None if checkpoint is None else Path(checkpoint),
            progress=progress,
        )
        started = time.monotonic()
        calibration = samples.head(_CALIBRATION_SAMPLES).cpu()
        progress("calibration", 0, 0)
        graph = _read(ann, calibration, aims)
        found, notes = _task(graph, aims, samples, values, tests)
        module, silent, told = _module(graph, calibration, aims, found)
        known = [part for part in (samples, values, tests) if part is not None]
        module.assumed = task is None and all(part.first_labels() is None for part in known)
        trainer = Trainer(module.to(where), samples, values, training, teacher)
        trainer.notes += [*notes, *told]
        done = trainer.carry_out(course, tests)
        if module.judged is None:
            module.judged = judged(calibration[:JUDGED], trainer.answer, where)
        snn = in_integers(module, name, where)
        elapsed = time.monotonic() - started
        stats = _stats(trainer, snn, calibration, tests)
        stats = replace(
            stats,
            course=done,
            silent_channels=silent,
            conversion_time=elapsed - trainer.evaluation_time,
        )
    if verbose:
        _tell(stats)
    return snn, stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """What the integers are to be, as the caller of `convert` said."""

    code: Code
    levels: int
    timesteps: int | None
    weight_bits: int | Sequence[int]
    input_bits: int
    channel_wise: bool
    frames: str | None
    seed: int
    task: str | None

    def settings(self, graph: Graph, calibration: torch.Tensor) -> tuple[Settings, list[str]]:
        """The same for the model as it was read, and notes on its inputs."""
        low = input_range([calibration])[0]
        if low < 0 and self.input_bits < 2:
            raise DataError("input_bits must be at least 2 where inputs are negative")
        timesteps = choices.timesteps(self.timesteps, graph)
        payload_bits, input_scale, notes = payload_of(
            graph.frames, calibration, self.input_bits, graph.input_shape
        )
        exact = self.code is Code.EXACT
        settings = Settings(
            code=self.code,
            levels=choices.whole(self.levels, "levels", 1, 255) if exact else timesteps,
            weight_bits=choices.weight_bits(self.weight_bits, graph),
            payload_bits=payload_bits,
            signed=low < 0,
            input_scale=input_scale,
        )
        shape = graph.input_shape
        rough = coarse(calibration, input_scale, settings.payload, shape, "training data")
        return settings, [*notes, *rough]


def _read(ann: nn.Module | ExportedProgram, calibration: torch.Tensor, aims: Aims) -> Graph:
    """The model's layers, of neurons or clipped ReLUs."""
    if isinstance(ann, OverTime):
        return capture_neurons(ann, calibration[:8])
    graph = capture(ann, calibration[:8], frames_of(aims.frames, calibration))
    return equalise(approximate(graph, calibration), calibration)


def _task(
    graph: Graph, aims: Aims, samples: Batches, values: Batches | None, tests: Batches | None
) -> tuple[Task, list[str]]:
    """What the model is for, after which all labels are checked; and notes."""
    outputs, inputs = math.prod(graph.shapes[-1]), math.prod(graph.input_shape)
    task, note = inferred(aims.task, (samples, values, tests), outputs, inputs, graph.final)
    for part in (samples, values, tests):
        if part is not None:
            part.check = partial(task.labels, outputs=outputs, what=part.what)
            first = part.first_labels()
            if first is not None:  # whether anything is trained or not
                part.check(first)
    return task, [] if note is None else [note]


def _module(
    graph: Graph, calibration: torch.Tensor, aims: Aims, task: Task
) -> tuple[QcfsModel, dict[str, int], list[str]]:
    """The quantised ANN before any training, how many channels of each layer never fired, and
    notes."""
    if aims.code is Code.RATE:
        warn_of_maxima(graph)
    settings, notes = aims.settings(graph, calibration)
    calibration = within(calibration, settings.input_scale, settings.payload, graph.input_shape)
    clips, silent = thresholds(graph), {}
    if graph.steps is None:
        batches = torch.split(calibration, 128)
        clips, counts = clip_values(
            graph, batches, settings.levels, channel_wise=aims.channel_wise, seed=aims.seed
        )
        layers = [layer.name for layer in graph.layers if layer.clipped]
        silent = {name: count for name, count in zip(layers, counts, strict=True) if count}
    seen = calibration if graph.frames is None else graph.frames.enter(calibration)
    module = QcfsModel(graph, settings, clips, centre=centre(seen, graph.input_shape), task=task)
    module.fit_shrink()
    correct(module, calibration, channel_wise=aims.channel_wise, seed=aims.seed)
    return module, silent, notes


def _stats(
    trainer: Trainer, snn: SpikingNetwork, calibration: torch.Tensor, tests: Batches | None
) -> Stats:
    """What came of it."""
    graph, settings, task = trainer.module.graph, trainer.module.settings, trainer.task
    quantized = quantized_ann(snn)
    scores, trained, replaced = Scores(), Figures(), None
    notes = [*graph.notes, *choices.notes_on_levels(graph, settings.levels), *trainer.notes]
    if tests is not None:
        scores = score(task, quantized, snn, tests, trainer.how.progress)
        trained = trainer.figures(trainer.answer, tests, "trained model")
        replaced = trainer.replaced(tests)
        notes += doubts(trained, scores.outside, tests, task, graph, quantized)
    weights = sum(p.synapse.weight.size for p in snn.network.projections)
    factor = weights / graph.weights if graph.weights else None
    if factor is not None and factor > _MANY:
        notes.append(
            f"the network stores {factor:.1f} times the weights of the trained model: {weights:,}; "
            "nchw inspect shows in which layers"
        )
    integer, own = scores.figures, trainer.spiking or Figures()
    found = {n.name: n.threshold for n in quantized.layers if n.threshold is not None}
    rate = "qcfs_if_ft" if trainer.through_time else "qcfs_direct"
    return Stats(
        strategy="exact" if settings.code is Code.EXACT else rate,
        task=task.value,
        ann_accuracy=trained.accuracy,
        replaced_accuracy=None if replaced is None else replaced.accuracy,
        qcfs_accuracy=None if trainer.qcfs is None else trainer.qcfs.accuracy,
        if_accuracy=integer.accuracy if settings.code is Code.EXACT else own.accuracy,
        integer_accuracy=integer.accuracy,
        ann_mse=trained.mse,
        integer_mse=integer.mse,
        ann_r2=trained.r2,
        integer_r2=integer.r2,
        unequal=scores.unequal,
        thresholds=[np.ravel(threshold).tolist() for threshold in found.values()],
        threshold_ranges={name: summary(threshold) for name, threshold in found.items()},
        sparsity=scores.sparsity,
        spikes=scores.spikes,
        spike_agreement=spike_agreement(graph, snn, calibration[:_AGREEMENT_SAMPLES]),
        weight_factor=factor,
        notes=tuple(notes),
    )


def _tell(stats: Stats) -> None:
    """One line of figures on standard error."""
    told = [f"{name} {value:.2f} %" for name, value in stats.accuracies.items()]
    if stats.integer_r2 is not None:
        told.append(f"R² of the trained model {stats.ann_r2:.4f}, integers {stats.integer_r2:.4f}")
    if stats.sparsity is not None:
        told.append(f"{stats.sparsity:.1f} % of neuron steps silent")
    line = ", ".join([*told, f"{stats.conversion_time:.0f} s"])
    print(f"{stats.course}: {line}", file=sys.stderr)
    for note in stats.notes:
        print(f"note: {note}", file=sys.stderr)
