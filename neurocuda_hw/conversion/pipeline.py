"""`convert`: from a trained classifier to an integer spiking network, and `finetune`: further."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from neurocuda_hw.batches import Batches
from neurocuda_hw.conversion.approximate import approximate
from neurocuda_hw.conversion.calibrate import clip_values, input_range
from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.correction import correct
from neurocuda_hw.conversion.direct import capture_neurons, spike_agreement, thresholds
from neurocuda_hw.conversion.graph import Graph
from neurocuda_hw.conversion.maximum import warn_of_maxima
from neurocuda_hw.conversion.modules import OverTime
from neurocuda_hw.conversion.qcfs import QcfsModel, Settings
from neurocuda_hw.conversion.quantize import Code, QuantizedAnn, silence, to_network
from neurocuda_hw.conversion.stats import Stats, score, summary
from neurocuda_hw.conversion.temporal import frames_of, payload_of
from neurocuda_hw.conversion.trainer import Plan, Trainer
from neurocuda_hw.conversion.training import Progress
from neurocuda_hw.errors import DataError, ModelError
from neurocuda_hw.progress import progress_bar
from neurocuda_hw.snn import SpikingNetwork

STRATEGIES = ("auto", "exact", "qcfs_direct", "qcfs_if_ft")
_CALIBRATION_SAMPLES = 1024
_AGREEMENT_SAMPLES = 64
_TEST_BATCH = 500
_RATE = 0.01


def convert(
    ann: nn.Module | ExportedProgram,
    train_loader: Any,
    *,
    test_loader: Any = None,
    val_loader: Any = None,
    qcfs_epochs: int = 5,
    if_epochs: int = 5,
    strategy: str = "auto",
    code: str | None = None,
    levels: int = 8,
    timesteps: int | None = None,
    weight_bits: int | Sequence[int] = 8,
    input_bits: int = 8,
    channel_wise: bool = True,
    frames: str | None = None,
    rate: float = _RATE,
    temperature: float = 1.0,
    batch: int = 128,
    seed: int = 0,
    device: str | torch.device | None = None,
    checkpoint: str | Path | None = None,
    name: str = "network",
    verbose: bool = True,
    progress: Progress | None = None,
) -> tuple[SpikingNetwork, Stats]:
    """Converts a trained classifier to an integer spiking network.

    Parameters
    ----------
    ann : torch.nn.Module or torch.export.ExportedProgram
        In evaluation mode; inputs ``(B, ...)``, outputs ``(B, classes)``. A model of recordings
        ``(B, T, C, H, W)`` first adds up or averages their frames, ``x.sum(1)``, ``x.mean(1)``, or
        goes through its layers for each frame and averages the answers. An `OverTime` of spiking
        neurons is taken as it is, in the rate code, and trained for `if_epochs` in its integers.
    train_loader : DataLoader of (x, y), any iterable of such batches, (x, y) arrays, or x alone
        Real training data: the first 1,024 samples calibrate, all of it fine-tunes.
    test_loader : the same, optional
        Only reported on; nothing is chosen by it.
    val_loader : the same, optional
        Chooses the epoch. Without, the last epoch is kept.
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
    code : "exact" or "rate", optional
        Narrows ``auto``.
    levels : int
        L of the exact code: spikes of a neuron per inference, 1 to 255.
    timesteps : int
        T of the rate code; default 8. Recordings bring their own: one step for each frame.
    weight_bits : int or sequence of int
        2 to 8; one for all layers or one for each.
    input_bits : int
        Of an input value; unsigned if the training data is never negative.
    channel_wise : bool
        One clip value (threshold) per channel, or one per layer.
    frames : "sum", "mean" or "each", optional
        Inputs are recordings ``(B, T, ...)`` and the model takes single frames: what it is to see
        of a recording, or EACH frame with its answers averaged (rate code only).
    rate : float
        Step of the training, relative to the size of the weights.
    temperature : float
        At which the trained model teaches; 4 for one that is sure of all its training data.
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
    plan = _plan(strategy, code, qcfs_epochs, if_epochs)
    if isinstance(ann, OverTime):
        plan = _plan_of_neurons(plan, strategy, code, if_epochs)
    _whole(input_bits, "input_bits", 1, 16)
    where = _device(device)
    samples = Batches(train_loader, "training data", batch)
    tests = None if test_loader is None else Batches(test_loader, "test data", _TEST_BATCH)
    values = None if val_loader is None else Batches(val_loader, "validation data", _TEST_BATCH)
    with ExitStack() as stack:
        if progress is None:
            progress = stack.enter_context(progress_bar(quiet=not verbose))
        started = time.monotonic()
        calibration = samples.head(_CALIBRATION_SAMPLES)
        if isinstance(ann, OverTime):
            graph = capture_neurons(ann, calibration[:8])
        else:
            graph = capture(_on_cpu(ann), calibration[:8], frames_of(frames, calibration))
            graph = approximate(graph, calibration)
        low = input_range([calibration])[0]
        if low < 0 and input_bits < 2:
            raise DataError("input_bits must be at least 2 where inputs are negative")
        exact = plan.code is Code.EXACT
        if not exact:
            warn_of_maxima(graph)
        timesteps = _timesteps(timesteps, graph)
        payload_bits, input_scale = payload_of(graph.frames, calibration, input_bits)
        settings = Settings(
            code=plan.code,
            levels=_whole(levels, "levels", 1, 255) if exact else timesteps,
            weight_bits=_weight_bits(weight_bits, graph),
            payload_bits=payload_bits,
            signed=low < 0,
            input_scale=input_scale,
        )
        if graph.steps is not None:
            clips = thresholds(graph)
            silent = [0] * len(clips)
        else:
            clips, silent = clip_values(
                graph,
                torch.split(calibration, 128),
                settings.levels,
                channel_wise=channel_wise,
                seed=seed,
            )
        module = QcfsModel(graph, settings, clips)
        module.fit_shrink()
        correct(module, calibration, channel_wise=channel_wise, seed=seed)
        module.to(where)
        trainer = Trainer(
            module,
            samples,
            values,
            rate,
            seed,
            progress,
            temperature=_positive(temperature, "temperature"),
            checkpoint=checkpoint,
        )
        done = trainer.carry_out(plan, tests)
        quantized = silence(module.cpu().quantized())
        snn = SpikingNetwork(to_network(quantized, name), trained=module).to(where)
        elapsed = time.monotonic() - started
        scores = None if tests is None else score(quantized, snn, tests, progress)
        spiking_layers = [layer for layer in graph.layers if layer.clipped]
        integer = None if scores is None else scores.integer
        stats = Stats(
            strategy=done,
            ann_accuracy=None if tests is None else trainer.ann_accuracy(tests),
            replaced_accuracy=None if tests is None else trainer.replaced_accuracy(tests),
            qcfs_accuracy=trainer.qcfs_accuracy,
            if_accuracy=integer if exact else trainer.if_accuracy,
            integer_accuracy=integer,
            unequal=None if scores is None else scores.unequal,
            thresholds={
                layer.name: summary(layer.threshold)
                for layer in quantized.layers
                if layer.threshold is not None
            },
            sparsity=None if scores is None else scores.sparsity,
            spikes=scores.spikes if scores else {},
            spike_agreement=spike_agreement(graph, snn, calibration[:_AGREEMENT_SAMPLES]),
            silent_channels={
                layer.name: count
                for layer, count in zip(spiking_layers, silent, strict=True)
                if count
            },
            notes=graph.notes,
            conversion_time=elapsed - trainer.evaluation_time,
        )
    if verbose:
        _tell(stats)
    return snn, stats


def finetune(
    snn: SpikingNetwork,
    train_loader: Any,
    *,
    epochs: int = 3,
    lr: float = 1e-4,
    rate: float | None = None,
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
        As `convert` takes them; with validation data the best epoch is kept, else the last.
    lr : float
        Initial step of Adam; falls to 0 along a cosine.
    rate : float, optional
        The same relative to the size of the weights, as in `convert`; instead of `lr`.
    checkpoint : str or Path, optional
        As in `convert`: written after each epoch, and gone on from.

    Raises
    ------
    ModelError
        If `snn` was read from a file, which holds integers only.
    """
    where = _device(device)
    samples = Batches(train_loader, "training data", batch)
    values = None if val_loader is None else Batches(val_loader, "validation data", _TEST_BATCH)
    module = copy.deepcopy(_trained(snn)).to(where)
    with ExitStack() as stack:
        if progress is None:
            progress = stack.enter_context(progress_bar(quiet=not verbose))
        trainer = Trainer(
            module,
            samples,
            values,
            lr if rate is None else rate,
            seed,
            progress,
            relative=rate is not None,
            checkpoint=checkpoint,
        )
        trainer.train(
            "spiking" if module.settings.code is Code.RATE else "qcfs", _whole(epochs, "epochs", 0)
        )
    network = to_network(silence(module.cpu().quantized()), snn.network.name)
    return SpikingNetwork(network, trained=module).to(snn.device)


def quantized_ann(snn: SpikingNetwork) -> QuantizedAnn:
    """The quantised ANN that `snn` was converted from, in plain integers.

    Raises
    ------
    ModelError
        If `snn` was read from a file, or made in another way.
    """
    return silence(_trained(snn).quantized())


def _trained(snn: SpikingNetwork) -> QcfsModel:
    if not isinstance(snn, SpikingNetwork) or not isinstance(snn.trained, QcfsModel):
        raise ModelError(
            "the network must be what convert() returned: one that was read from a file, or made "
            "in another way, holds no trainable weights; convert the model again"
        )
    return snn.trained


def _plan(strategy: str, code: str | None, qcfs_epochs: int, if_epochs: int) -> Plan:
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, not {strategy!r}")
    try:
        wanted = None if code is None else Code(code)
    except ValueError:
        raise ValueError(f"code must be 'exact' or 'rate', not {code!r}") from None
    auto = strategy == "auto"
    chosen = (wanted or Code.EXACT) if auto else Code.EXACT if strategy == "exact" else Code.RATE
    if wanted not in (None, chosen):
        raise ValueError(f"code must be {chosen.value!r} under strategy {strategy!r}, not {code!r}")
    through_time = strategy == "qcfs_if_ft" or (auto and chosen is Code.RATE)
    return Plan(
        code=chosen,
        qcfs_epochs=_whole(qcfs_epochs, "qcfs_epochs", 0),
        if_epochs=_whole(if_epochs, "if_epochs", 0) if through_time else 0,
        auto=auto,
    )


def _plan_of_neurons(plan: Plan, strategy: str, code: str | None, if_epochs: int) -> Plan:
    """A model that spikes already: there is no quantised ANN to train, nor an exact code of it."""
    if strategy == "exact" or code == "exact":
        raise ModelError(
            "a model of spiking neurons has its own code, which is no exact one; use strategy "
            "'auto', 'qcfs_if_ft' or 'qcfs_direct'"
        )
    epochs = 0 if strategy == "qcfs_direct" else _whole(if_epochs, "if_epochs", 0)
    return replace(plan, code=Code.RATE, qcfs_epochs=0, if_epochs=epochs)


def _timesteps(given: int | None, graph: Graph) -> int:
    """T of the rate code: what the model or its recordings bring, or what is given, or 8."""
    own = graph.steps if graph.frames is None else graph.frames.steps
    if own is not None and given not in (None, own):
        raise ModelError(
            f"timesteps must be {own}, as the model or its recordings say, not {given!r}"
        )
    return _whole(own or (8 if given is None else given), "timesteps", 1, 65535)


def _on_cpu(ann: nn.Module | ExportedProgram) -> nn.Module | ExportedProgram:
    """The model on the CPU, where it is captured; a copy if it is elsewhere."""
    if isinstance(ann, nn.Module) and any(p.device.type != "cpu" for p in ann.parameters()):
        return copy.deepcopy(ann).cpu()
    return ann


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        text = str(error).splitlines()[0]
        raise DataError(f"device {str(device)!r} cannot be used: {text}") from error
    return found


def _positive(value: float, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise ValueError(f"{what} must be a number above 0, not {value!r}")
    return float(value)


def _whole(value: int, what: str, low: int, high: int | None = None) -> int:
    bounded = f"from {low} to {high}" if high is not None else f"from {low} on"
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        raise ValueError(f"{what} must be a whole number {bounded}, not {value!r}")
    return value


def _weight_bits(bits: int | Sequence[int], graph: Graph) -> tuple[int, ...]:
    """Bits of each layer; a maximum has no weights of its own, and takes any."""
    weighted = [not layer.maximum for layer in graph.layers]
    each = [bits] * sum(weighted) if isinstance(bits, int) else list(bits)
    if len(each) != sum(weighted):
        raise ValueError(
            f"weight_bits must be one number or {sum(weighted)}, one per layer, not {bits!r}"
        )
    left = iter(_whole(b, "weight_bits", 2, 8) for b in each)
    return tuple(next(left) if own else 8 for own in weighted)


def _tell(stats: Stats) -> None:
    """One line of figures on standard error."""
    named = {
        "trained model": stats.ann_accuracy,
        "quantised ANN": stats.qcfs_accuracy,
        "integer network": stats.integer_accuracy,
    }
    told = [f"{name} {value:.2f} %" for name, value in named.items() if value is not None]
    if stats.sparsity is not None:
        told.append(f"{100 * stats.sparsity:.1f} % of neuron steps silent")
    line = ", ".join([*told, f"{stats.conversion_time:.0f} s"])
    print(f"{stats.strategy}: {line}", file=sys.stderr)
    for note in stats.notes:
        print(f"note: {note}", file=sys.stderr)
