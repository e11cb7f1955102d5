"""What came of a conversion: accuracies on test data, spikes, thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import torch

from neurocuda_hw.conversion.graph import Graph
from neurocuda_hw.conversion.inputs import beyond, coarse
from neurocuda_hw.conversion.quantize import QuantizedAnn
from neurocuda_hw.conversion.tasks import Task
from neurocuda_hw.conversion.training import Progress
from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.showing import html_table
from neurocuda_hw.reference.reference import Run
from neurocuda_hw.reference.snn import SpikingNetwork

# share of test values beyond the calibrated range, and share of the way from one answer for all to
# a hundred per cent, that give doubts about the data
_SATURATED, _LITTLE = 0.001, 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Stats(Mapping[str, Any]):
    """What a conversion cost and what came of it; fields are read as attributes or as keys.

    Accuracies are per cent of the test data, None without any, and of values.

    Parameters
    ----------
    strategy : str
        What ``auto`` came to, or what was asked for: ``exact``, ``qcfs_direct`` or ``qcfs_if_ft``.
    course : str
        The code, and how it was fine-tuned, in words.
    ann_accuracy : float, optional
        Of the trained model.
    replaced_accuracy : float, optional
        Of the trained model after SiLU, GELU and their kin were replaced by a ReLU fitted to them:
        the cost of that, before any training. None where nothing was replaced.
    qcfs_accuracy : float, optional
        Of the quantised ANN, before spiking neurons were trained through time.
    if_accuracy : float, optional
        Of the integrate-and-fire neurons as they were trained, step by step (rate code); under the
        exact code, of the network itself.
    integer_accuracy : float, optional
        Of the integer network that the hardware computes.
    unequal : int, optional
        Test samples of which any spike count or logit differs from the quantised ANN's: none under
        the exact code.
    thresholds : list
        Integer thresholds of each spiking population in turn: one per channel, or a single one.
    threshold_ranges : dict
        The same by population: lowest, median, highest.
    sparsity : float, optional
        Per cent of the neurons' steps without a spike over the test data, as `measure_sparsity`
        counts them: of those steps in which a neuron may fire.
    spikes : dict
        Mean spikes per sample and population (events of the input).
    spike_agreement : dict
        For a model of spiking neurons: share of equal spikes, of all neurons and steps, between the
        model and its integers, by population, over calibration samples.
    silent_channels : dict
        Channels that never fired on the calibration data, where there are any.
    notes : tuple of str
        What was left to the host, replaced, tried and thrown away; what is odd about the data.
    conversion_time : float
        Seconds, without the evaluation.
    task : str
        ``classify``, ``binary`` or ``regress``.
    ann_mse, integer_mse, ann_r2, integer_r2 : float, optional
        Of a regression, instead of accuracies: mean squared error, and the share of the labels'
        variance that is explained.
    weight_factor : float, optional
        Weights that the network stores, over those of the trained model.
    """

    strategy: str
    course: str = ""
    ann_accuracy: float | None
    replaced_accuracy: float | None
    qcfs_accuracy: float | None
    if_accuracy: float | None
    integer_accuracy: float | None
    unequal: int | None
    thresholds: list[list[int]]
    threshold_ranges: dict[str, tuple[int, int, int]]
    sparsity: float | None
    spikes: dict[str, float]
    spike_agreement: dict[str, float]
    silent_channels: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...]
    conversion_time: float = 0.0
    task: str = "classify"
    ann_mse: float | None = None
    integer_mse: float | None = None
    ann_r2: float | None = None
    integer_r2: float | None = None
    weight_factor: float | None = None

    def __getitem__(self, key: str) -> Any:
        if key not in list(self):
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(f.name for f in fields(self))

    def __len__(self) -> int:
        return len(fields(self))

    @property
    def accuracies(self) -> dict[str, float]:
        """Those that are known, in per cent, by what they are of."""
        named = {
            "trained model": self.ann_accuracy,
            "quantised ANN": self.qcfs_accuracy,
            "integer network": self.integer_accuracy,
        }
        return {name: value for name, value in named.items() if value is not None}

    def __repr__(self) -> str:
        told = [
            self.course or self.strategy,
            *(f"{n} {v:.2f} %" for n, v in self.accuracies.items()),
        ]
        return f"Stats({', '.join([*told, f'{self.conversion_time:.0f} s'])})"

    def _repr_html_(self) -> str:
        """Accuracies, and spikes of each population, as tables for notebooks."""
        rows = [(f"{name}, accuracy", f"{value:.2f} %") for name, value in self.accuracies.items()]
        if self.unequal is not None:
            rows.append(("samples unlike the quantised ANN", f"{self.unequal:,}"))
        if self.sparsity is not None:
            rows.append(("neuron steps without a spike", f"{self.sparsity:.1f} %"))
        rows.append(("time to convert", f"{self.conversion_time:.1f} s"))
        rows += [("note", note) for note in self.notes]
        head = html_table(f"Conversion: {self.course or self.strategy}", ("", ">"), rows)
        heads = ("population", ">spikes per sample", ">thresholds, lowest to highest")
        layers = [
            (
                name,
                f"{self.spikes[name]:,.1f}" if name in self.spikes else "",
                f"{self.threshold_ranges[name][0]:,} to {self.threshold_ranges[name][2]:,}"
                if name in self.threshold_ranges
                else "",
            )
            for name in {**self.spikes, **self.threshold_ranges}
        ]
        return head + html_table("Populations", heads, layers)

    def told(self, data: str, samples: int) -> dict[str, str | float | None]:
        """What a report of the network says of the conversion.

        Parameters
        ----------
        data : str
            The test data's name.
        samples : int
            Of it.
        """
        names = ("strategy", "ann_accuracy", "qcfs_accuracy", "integer_accuracy", "unequal")
        return {name: self[name] for name in names} | {"data": data, "samples": samples}

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(slots=True, kw_only=True)
class Scores:
    """Figures of the finished network on test data; None without any."""

    figures: Figures = field(default_factory=lambda: Figures())
    unequal: int | None = None
    outside: float = 0.0
    sparsity: float | None = None
    spikes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How well outputs fit labels: of classes the accuracy in per cent, of values the mean squared
    error and R², the share of the labels' variance that they explain."""

    accuracy: float | None = None
    mse: float | None = None
    r2: float | None = None


class _Tally:
    """Adds up figures batch by batch."""

    def __init__(self, task: Task) -> None:
        self.task, self.total, self.scores = task, 0, 0.0
        self.sums = self.squares = torch.zeros(())

    def add(self, outputs: torch.Tensor, y: torch.Tensor | None, what: str) -> None:
        """One batch."""
        if y is None:
            raise DataError(f"{what} must have labels")
        y = y.to(outputs.device)
        self.scores += float(self.task.score(outputs, y).double().sum())
        self.total += len(y)
        if self.task is Task.REGRESS:
            self.sums = self.sums + y.double().sum(0).cpu()
            self.squares = self.squares + y.double().square().sum(0).cpu()

    def figures(self) -> Figures:
        """What came of it."""
        if self.task is not Task.REGRESS:
            return Figures(accuracy=100 * self.scores / self.total)
        mse = -self.scores / self.total
        spread = (self.squares / self.total - (self.sums / self.total).square()).mean()
        return Figures(mse=mse, r2=1 - mse / max(float(spread), 1e-12))


@torch.no_grad()
def figures(
    task: Task,
    forward: Any,
    data: Batches,
    device: torch.device | str,
    stage: str,
    progress: Progress | None,
) -> Figures:
    """Of labelled samples and ``forward(x) -> (B, K)``.

    Raises
    ------
    DataError
        If there are no labels.
    """
    tally = _Tally(task)
    for number, (x, y) in enumerate(data):
        tally.add(forward(x.to(device)), y, data.what)
        if progress:
            progress(stage, number + 1, data.count())
    return tally.figures()


def score(
    task: Task, quantized: QuantizedAnn, snn: SpikingNetwork, tests: Batches, progress: Any
) -> Scores:
    """Runs the test data through the integer network, and compares it with the quantised ANN."""
    network = snn.network
    tally, fired, unequal, outside, seen = _Tally(task), 0, 0, 0, 0
    spikes = {p.name: 0 for p in network.populations if p.name != network.output.name}
    for number, (x, y) in enumerate(tests):
        payload = snn.quantise(x)
        outside += beyond(x, quantized.input_scale, quantized.payload, network.input.shape)
        seen += x.numel()
        run = snn.reference().run(payload)
        if quantized.timeless:
            wanted = quantized.counts(torch.as_tensor(payload, device=snn.device))
            unequal += differing(quantized, wanted, run)
        tally.add(snn.logits(run.outputs), y, tests.what)
        for name in run.events:
            spikes[name] = spikes.get(name, 0) + int(run.events[name].sum())
        fired += sum(int(counts.sum()) for counts in run.counts.values())
        if progress:
            progress("integer network on test data", number + 1, tests.count())
    slots = tally.total * sum(
        p.size * network.window(p.name).steps for p in network.populations if p.spiking
    )
    return Scores(
        figures=tally.figures(),
        unequal=unequal if quantized.timeless else None,
        sparsity=100 * (1 - fired / slots),
        spikes={name: count / tally.total for name, count in spikes.items()},
        outside=outside / seen,
    )


def doubts(
    trained: Figures,
    outside: float,
    tests: Batches,
    task: Task,
    graph: Graph,
    quantized: QuantizedAnn,
) -> list[str]:
    """Warnings where the test data is not what the model was trained, or calibrated, on."""
    found = []
    x, y = next(iter(tests))
    scale, shape = quantized.input_scale, graph.input_shape
    found += coarse(x, scale, quantized.payload, shape, tests.what)
    if outside > _SATURATED:
        found.append(
            f"WARNING: {100 * outside:.1f} % of the values of the test data lie outside of what "
            "the training data reached, and are clipped: both must be in the same range"
        )
    way_out = "is the data prepared as for its training (--mean, --std, --scale)?"
    if trained.r2 is not None and trained.r2 <= 0:
        found.append(
            f"WARNING: the trained model explains nothing of the test data (R² {trained.r2:.2f}): "
            f"{way_out}"
        )
    if trained.accuracy is not None and y is not None:
        labels = torch.cat([y.flatten() for _, y in tests if y is not None])
        chance = 100 * int(labels.bincount().max()) / len(labels)
        if trained.accuracy < chance + _LITTLE * (100 - chance):
            found.append(
                f"WARNING: the trained model gets {trained.accuracy:.1f} % of the test data right, "
                f"hardly more than one answer for all would ({chance:.1f} %): {way_out}"
            )
    return found


def differing(quantized: QuantizedAnn, wanted: list[torch.Tensor], run: Run) -> int:
    """Samples of which any spike count or logit is not the one wanted."""
    wrong = torch.zeros(len(run.outputs), dtype=torch.bool, device=run.outputs.device)
    for layer, counts in zip(quantized.layers, wanted, strict=True):
        got = run.outputs if layer.threshold is None else run.counts[layer.name]
        wrong |= (got.flatten(1) != counts.flatten(1).to(got.device)).any(1)
    return int(wrong.sum())


def summary(threshold: np.ndarray) -> tuple[int, int, int]:
    """Lowest, median, highest."""
    return int(threshold.min()), int(np.median(threshold)), int(threshold.max())
