"""From a trained PyTorch classifier to an integer spiking network.

from neurocuda_hw.conversion import convert
conversion = convert(model, (x_train, y_train), test=(x_test, y_test), code="exact", levels=8)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from neurocuda_hw.conversion import spiking
from neurocuda_hw.conversion.calibrate import clip_values, input_range
from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.data import Batches
from neurocuda_hw.conversion.finetune import Progress, finetune, float_graph
from neurocuda_hw.conversion.graph import Graph, evaluate
from neurocuda_hw.conversion.qcfs import QcfsModel, Settings
from neurocuda_hw.conversion.quantize import Code, QuantizedAnn, silence, to_network
from neurocuda_hw.errors import DataError
from neurocuda_hw.network import Network
from neurocuda_hw.reference import Reference, Run

_CALIBRATION_SAMPLES = 1024
_TEST_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What a conversion cost and what came of it.

    Accuracies are per cent of the test data (None without any): of the trained model, of the
    quantised ANN, and of the integer spiking network run step by step.

    Parameters
    ----------
    strategy : str
        ``exact`` or ``rate``, and how it was fine-tuned.
    unequal : int, optional
        Test samples of which any spike count or logit differs from the quantised ANN's: none under
        the exact code.
    thresholds : dict
        Integer thresholds of each spiking population: lowest, median, highest.
    sparsity : float, optional
        Share of neurons and steps without a spike, over the test data.
    spikes : dict
        Mean spikes per sample and population (events of the input).
    silent_channels : dict
        Channels that never fired on the calibration data, where there are any.
    notes : tuple of str
        What was left to the host.
    conversion_time : float
        Seconds, without the evaluation.
    """

    strategy: str
    ann_accuracy: float | None
    qcfs_accuracy: float | None
    integer_accuracy: float | None
    unequal: int | None
    thresholds: dict[str, tuple[int, int, int]]
    sparsity: float | None
    spikes: dict[str, float]
    silent_channels: dict[str, int]
    notes: tuple[str, ...]
    conversion_time: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A converted classifier: the spiking network, the quantised ANN it was built from, figures."""

    network: Network
    quantized: QuantizedAnn
    stats: Stats

    def quantise(self, x: np.ndarray | torch.Tensor) -> np.ndarray:
        """Real inputs as the integers that the network takes."""
        return self.quantized.quantise(x)


def convert(
    model: nn.Module | ExportedProgram,
    train: Any,
    *,
    test: Any = None,
    code: str | Code = "exact",
    levels: int = 8,
    timesteps: int = 8,
    weight_bits: int | Sequence[int] = 8,
    input_bits: int = 8,
    epochs: int = 0,
    qcfs_epochs: int = 0,
    rate: float = 0.01,
    batch: int = 128,
    channel_wise: bool = True,
    seed: int = 0,
    name: str = "network",
    progress: Progress | None = None,
) -> Conversion:
    """Converts a trained classifier.

    Parameters
    ----------
    model : torch.nn.Module or torch.export.ExportedProgram
        In evaluation mode; inputs ``(B, ...)``, outputs ``(B, classes)``.
    train : (x, y), x, or an iterable of batches (x, y) such as a DataLoader
        Real training data: the first 1,024 samples calibrate, all of it fine-tunes.
    test : the same, optional
        Only to report accuracies; nothing is chosen by it.
    code : "exact" or "rate"
        EXACT: every spike count equals the quantised ANN's; RATE: all layers fire from step 0.
    levels : int
        L of the exact code: spikes of a neuron per inference.
    timesteps : int
        T of the rate code.
    weight_bits : int or sequence of int
        2 to 8; one for all layers or one for each.
    input_bits : int
        Of an input value; unsigned if the training data is never negative.
    epochs : int
        Of fine-tuning on `train`: of the quantised ANN (exact code), or of the spiking neurons
        through time (rate code).
    qcfs_epochs : int
        Of fine-tuning the quantised ANN before, which is cheaper (rate code only).
    rate : float
        Step of the fine-tuning, relative to the size of the weights.
    channel_wise : bool
        One clip value per channel, or one per layer.
    progress : callable, optional
        Called with (stage, done, total).

    Returns
    -------
    Conversion

    Raises
    ------
    ModelError, UnsupportedLayerError
        If the model cannot be converted; the message names the layer and the way out.
    DataError
        If the data is empty, of the wrong shape, or holds NaN.
    """
    started = time.monotonic()
    wanted = _code(code)
    _whole(input_bits, "input_bits", 1, 16)
    samples = Batches(train, "training data", batch)
    tests = None if test is None else Batches(test, "test data", _TEST_BATCH)
    calibration = samples.head(_CALIBRATION_SAMPLES)
    graph = capture(model, calibration[:8])
    low, high = input_range([calibration])
    if low < 0 and input_bits < 2:
        raise DataError("input_bits must be at least 2 where inputs are negative")
    settings = Settings(
        code=wanted,
        levels=_whole(levels, "levels", 1, 255)
        if wanted is Code.EXACT
        else _whole(timesteps, "timesteps", 1, 65535),
        weight_bits=_weight_bits(weight_bits, graph),
        payload_bits=input_bits,
        signed=low < 0,
        input_scale=_input_scale(low, high, input_bits),
    )
    if qcfs_epochs and wanted is Code.EXACT:
        raise ValueError(
            "qcfs_epochs must be 0 under the exact code: there, epochs are of that kind"
        )
    clips, silent = clip_values(
        graph,
        torch.split(calibration, 128),
        settings.levels,
        channel_wise=channel_wise,
        seed=seed,
    )
    module = QcfsModel(graph, settings, clips)
    module.fit_shrink()
    rated = wanted is Code.RATE
    for stage, count, forward in (
        ("qcfs", qcfs_epochs if rated else epochs, QcfsModel.forward),
        ("spiking", epochs if rated else 0, spiking.run),
    ):
        if count:
            finetune(
                module,
                samples,
                forward=forward,
                epochs=count,
                rate=rate,
                seed=seed,
                stage=stage,
                progress=progress,
            )
    quantized = silence(module.quantized())
    network = to_network(quantized, name)
    elapsed = time.monotonic() - started
    scores = _Scores() if tests is None else _evaluate(graph, quantized, network, tests, progress)
    spiking_layers = [layer for layer in graph.layers if layer.spiking]
    stats = Stats(
        strategy=_strategy(wanted, epochs, qcfs_epochs),
        ann_accuracy=scores.ann,
        qcfs_accuracy=scores.qcfs,
        integer_accuracy=scores.integer,
        unequal=scores.unequal,
        thresholds={
            layer.name: _summary(layer.threshold)
            for layer in quantized.layers
            if layer.threshold is not None
        },
        sparsity=scores.sparsity,
        spikes=scores.spikes,
        silent_channels={
            layer.name: count for layer, count in zip(spiking_layers, silent, strict=True) if count
        },
        notes=graph.notes,
        conversion_time=elapsed,
    )
    return Conversion(network=network, quantized=quantized, stats=stats)


@dataclass(slots=True, kw_only=True)
class _Scores:
    ann: float | None = None
    qcfs: float | None = None
    integer: float | None = None
    unequal: int | None = None
    sparsity: float | None = None
    spikes: dict[str, float] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.spikes = self.spikes or {}


def _evaluate(
    graph: Graph,
    quantized: QuantizedAnn,
    network: Network,
    tests: Batches,
    progress: Progress | None,
) -> _Scores:
    reference, floats = Reference(network), float_graph(graph)
    right = np.zeros(3, dtype=np.int64)
    spikes: dict[str, int] = {
        p.name: 0 for p in network.populations if p.name != network.output.name
    }
    total = fired = unequal = 0
    for number, (x, y) in enumerate(tests):
        if y is None:
            raise DataError("test data must have labels")
        payload = quantized.quantise(x)
        run = reference.run(payload)
        wanted = quantized.counts(payload)
        unequal += _unequal(quantized, wanted, run)
        answers = (evaluate(floats, x)[-1].flatten(1), wanted[-1].flatten(1), run.outputs)
        right += [int((answer.argmax(1) == y).sum()) for answer in answers]
        total += len(x)
        for name in run.events:
            spikes[name] = spikes.get(name, 0) + int(run.events[name].sum())
        fired += sum(int(counts.sum()) for counts in run.counts.values())
        if progress:
            progress("test", number + 1, tests.count())
    slots = total * sum(
        p.size * network.window(p.name).steps for p in network.populations if p.spiking
    )
    ann, qcfs, integer = (100 * int(n) / total for n in right)
    return _Scores(
        ann=ann,
        qcfs=qcfs,
        integer=integer,
        unequal=unequal,
        sparsity=1 - fired / slots,
        spikes={name: count / total for name, count in spikes.items()},
    )


def _unequal(quantized: QuantizedAnn, wanted: list[torch.Tensor], run: Run) -> int:
    """Samples of which any spike count or logit is not the one wanted."""
    wrong = torch.zeros(len(run.outputs), dtype=torch.bool)
    for layer, counts in zip(quantized.layers, wanted, strict=True):
        got = run.outputs if layer.threshold is None else run.counts[layer.name]
        wrong |= (got.flatten(1) != counts.flatten(1)).any(1)
    return int(wrong.sum())


def _code(code: str | Code) -> Code:
    try:
        return Code(code)
    except ValueError:
        raise ValueError(f"code must be 'exact' or 'rate', not {code!r}") from None


def _whole(value: int, what: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{what} must be a whole number from {low} to {high}, not {value!r}")
    return value


def _weight_bits(bits: int | Sequence[int], graph: Graph) -> tuple[int, ...]:
    each = [bits] * len(graph.layers) if isinstance(bits, int) else list(bits)
    if len(each) != len(graph.layers):
        raise ValueError(
            f"weight_bits must be one number or {len(graph.layers)}, one per layer, not {bits!r}"
        )
    return tuple(_whole(b, "weight_bits", 2, 8) for b in each)


def _input_scale(low: float, high: float, bits: int) -> float:
    largest = (1 << (bits - 1)) - 1 if low < 0 else (1 << bits) - 1
    return max(-low, high) / largest


def _strategy(code: Code, epochs: int, qcfs_epochs: int) -> str:
    kind = "through time" if code is Code.RATE else "of the quantised ANN"
    parts = [code.value]
    parts += [f"{qcfs_epochs} epochs of the quantised ANN"] if qcfs_epochs else []
    parts += [f"{epochs} epochs {kind}"] if epochs else []
    return ", ".join(parts)


def _summary(threshold: np.ndarray) -> tuple[int, int, int]:
    return int(threshold.min()), int(np.median(threshold)), int(threshold.max())


__all__ = [
    "Code",
    "Conversion",
    "QuantizedAnn",
    "Settings",
    "Stats",
    "capture",
    "convert",
    "to_network",
]
