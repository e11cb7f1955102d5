"""What came of a conversion: accuracies on test data, spikes, thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import torch

from neurocuda_hw.conversion.quantize import QuantizedAnn
from neurocuda_hw.conversion.training import Progress
from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.showing import html_table
from neurocuda_hw.reference.reference import Run
from neurocuda_hw.reference.snn import SpikingNetwork


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Stats(Mapping[str, Any]):
    """What a conversion cost and what came of it; fields are read as attributes or as keys.

    Accuracies are per cent of the test data, None without any.

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
        What was left to the host, what was replaced.
    conversion_time : float
        Seconds, without the evaluation.
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

    integer: float | None = None
    unequal: int | None = None
    sparsity: float | None = None
    spikes: dict[str, float] = field(default_factory=dict)


def accuracy(
    forward: Any, data: Batches, device: torch.device | str, stage: str, progress: Progress | None
) -> float:
    """Per cent of labelled samples that ``forward(x) -> (B, classes)`` gets right.

    Raises
    ------
    DataError
        If there are no labels.
    """
    right = total = 0
    with torch.no_grad():
        for number, (x, y) in enumerate(data):
            if y is None:
                raise DataError(f"{data.what} must have labels")
            right += int((forward(x.to(device)).argmax(1).cpu() == y.cpu()).sum())
            total += len(x)
            if progress:
                progress(stage, number + 1, data.count())
    return 100 * right / total


def score(
    quantized: QuantizedAnn, snn: SpikingNetwork, tests: Batches, progress: Progress | None
) -> Scores:
    """Runs the test data through the integer network, and compares it with the quantised ANN."""
    network = snn.network
    right = total = fired = unequal = 0
    spikes = {p.name: 0 for p in network.populations if p.name != network.output.name}
    for number, (x, y) in enumerate(tests):
        if y is None:
            raise DataError(f"{tests.what} must have labels")
        payload = snn.quantise(x)
        run = snn.reference().run(payload)
        if quantized.timeless:
            wanted = quantized.counts(torch.as_tensor(payload, device=snn.device))
            unequal += differing(quantized, wanted, run)
        right += int((run.outputs.argmax(1).cpu() == y.cpu()).sum())
        total += len(x)
        for name in run.events:
            spikes[name] = spikes.get(name, 0) + int(run.events[name].sum())
        fired += sum(int(counts.sum()) for counts in run.counts.values())
        if progress:
            progress("integer network on test data", number + 1, tests.count())
    slots = total * sum(
        p.size * network.window(p.name).steps for p in network.populations if p.spiking
    )
    return Scores(
        integer=100 * right / total,
        unequal=unequal if quantized.timeless else None,
        sparsity=100 * (1 - fired / slots),
        spikes={name: count / total for name, count in spikes.items()},
    )


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
