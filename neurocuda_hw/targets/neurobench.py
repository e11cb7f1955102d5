"""NeuroBench's report of a network, and of several backends in one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from neurocuda_hw.targets.backends import compile

if TYPE_CHECKING:
    from neurocuda_hw.reference.snn import SpikingNetwork

Progress = Callable[[str, int, int], None]
_BATCH = 250
_COLUMNS = {  # of `NeuroBenchReport.table`: head, where it stands, how it is written
    "accuracy": ("ClassificationAccuracy", ".2%"),
    "samples/s here": ("SamplesPerSecond", ",.1f"),
    "footprint, bytes": ("Footprint", ",d"),
    "activation sparsity": ("ActivationSparsity", ".2%"),
    "effective MACs": ("Effective_MACs", ",.0f"),
    "effective ACs": ("Effective_ACs", ",.0f"),
}


class NeuroBenchReport(dict[str, Any]):
    """Metrics by their names in NeuroBench; ``Backends`` holds those of each backend."""

    def table(self) -> str:
        """All backends in one table of Markdown, one row each."""
        rows = [["backend", *_COLUMNS], ["---"] * (1 + len(_COLUMNS))]
        for name, own in self["Backends"].items():
            found = self | self["SynapticOperations"] | own
            rows.append([name, *(format(found[key], how) for key, how in _COLUMNS.values())])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def neurobench_report(
    snn: SpikingNetwork,
    loader: Any,
    *,
    backends: Sequence[str] = (),
    progress: Progress | None = None,
) -> NeuroBenchReport:
    """NeuroBench's metrics of the integer network, in the form of its harness's results.

    Weights count their own bits, rounded up to whole bytes each. Sums over a pooling window count
    each spike of the window, as the hardware adds them. ``ActivationSparsity`` is over all T steps;
    `measure_sparsity` leaves out those in which a neuron cannot fire.

    Parameters
    ----------
    loader
        Labelled samples, as `measure_sparsity` takes them.
    backends : sequence of str
        Names of `list_backends` to run the same samples on: ``Backends`` adds accuracy and samples
        per second of each on this machine. Simulated hardware is compared with the reference spike
        by spike on the way, so what is counted of the network holds for it too; it takes its time.

    Returns
    -------
    NeuroBenchReport
        A dict; its `table` shows the backends in one table of Markdown.

    Raises
    ------
    DataError
        If the samples have no labels.
    ModelError, ToolError, DivergenceError
        If a backend cannot compute the network, its tools are missing, or it computes another one.
    """
    from neurocuda_hw.data.batches import Batches
    from neurocuda_hw.reference.metrics import algorithm_metrics

    compiled = {name: compile(snn, name) for name in dict.fromkeys(backends)}
    report = NeuroBenchReport(algorithm_metrics(snn, loader, progress=progress))
    if compiled:
        report["Backends"] = {}
    for name, made in compiled.items():
        right = total = 0
        seconds = 0.0
        data = Batches(loader, "data", _BATCH)
        for number, (x, y) in enumerate(data):
            started = time.perf_counter()
            logits = made["backend"].run(made["compiled_model"], x)
            seconds += time.perf_counter() - started
            assert y is not None  # or there would be no accuracy above
            right += int((logits.argmax(1).cpu() == y).sum())
            total += len(x)
            if progress:
                progress(name, number + 1, data.count())
        report["Backends"][name] = {
            "ClassificationAccuracy": right / total,
            "SamplesPerSecond": total / seconds,
        }
    return report
