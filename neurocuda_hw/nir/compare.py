"""How far the integers are from the graph in floating point, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network
from neurocuda_hw.nir.dynamics import Method
from neurocuda_hw.nir.executor import Executor
from neurocuda_hw.nir.to_network import from_nir, population_names
from neurocuda_hw.reference.reference import Reference, check_inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Spikes of one layer over all samples and steps.

    Parameters
    ----------
    population : str
    graph, integers, both : int
        Spikes in floating point, in integers, and at the same place and step in both.
    rate_error : float
        Mean difference of a neuron's spike count, over its mean count in floating point.
    """

    population: str
    graph: int
    integers: int
    both: int
    rate_error: float

    @property
    def agreement(self) -> float:
        """``2 both / (graph + integers)``: 1 where all spikes coincide."""
        total = self.graph + self.integers
        return 2 * self.both / total if total else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Layers in order, and the share of right answers where labels were given."""

    layers: tuple[Overlap, ...]
    graph_accuracy: float | None = None
    integer_accuracy: float | None = None

    @property
    def agreement(self) -> float:
        """The lowest agreement of a layer."""
        return min((layer.agreement for layer in self.layers), default=1.0)

    def __str__(self) -> str:
        rows = [f"{'layer':<16}{'float':>12}{'integer':>12}{'agreement':>12}{'rate error':>12}"]
        for layer in self.layers:
            rows.append(
                f"{layer.population:<16}{layer.graph:>12,}{layer.integers:>12,}"
                f"{layer.agreement:>12.2%}{layer.rate_error:>12.2%}"
            )
        if self.graph_accuracy is not None and self.integer_accuracy is not None:
            rows.append(
                f"{'accuracy':<16}{self.graph_accuracy:>12.2%}{self.integer_accuracy:>12.2%}"
            )
        return "\n".join(rows)


def compare(
    executor: Executor,
    network: Network,
    inputs: object,
    labels: np.ndarray | None = None,
    *,
    batch: int = 50,
) -> Comparison:
    """Runs both on the same inputs.

    Parameters
    ----------
    executor : Executor
        Of the graph that `network` was made from by `from_nir`, with the same settings.
    network : Network
    inputs : int array
        As the network takes them: see `reference.check_inputs`.
    labels : int array (samples,), optional
    """
    data = torch.as_tensor(inputs)  # of its own type: checked ones take eight bytes each
    check_inputs(network, data[:1])
    held = network.input_neuron.held
    scale = 1.0 if network.input.scale is None else torch.from_numpy(network.input.scale.copy())
    reference = Reference(network)
    names = population_names(executor.flat)
    tally: dict[str, np.ndarray] = {}
    right = np.zeros(2)
    for start in range(0, len(data), batch):
        part = check_inputs(network, data[start : start + batch])
        integer = reference.run(part, spikes=True)
        real = part.to(executor.dtype) * scale
        steps = network.timesteps if held else None
        graph = executor.run(
            real.reshape(
                *part.shape[: 1 if held else 2], *executor.flat.shapes[executor.flat.input]
            ),
            timesteps=steps,
            spikes=True,
        )
        for node, spikes in graph.spikes.items():
            name = names[node]
            one, two = spikes.flatten(2), integer.spikes[name].flatten(2)
            counts = one.sum(1, dtype=torch.int64), two.sum(1, dtype=torch.int64)
            sums = [counts[0].sum(), counts[1].sum(), (one & two).sum()]
            sums.append((counts[0] - counts[1]).abs().sum())
            tally[name] = tally.get(name, np.zeros(4)) + np.array([int(n) for n in sums])
        if labels is not None:
            want = torch.as_tensor(labels[start : start + batch])
            outputs = (graph.outputs.flatten(1), integer.outputs)
            right += [int((o.argmax(1) == want).sum()) for o in outputs]
    layers = tuple(
        Overlap(
            population=name,
            graph=int(n[0]),
            integers=int(n[1]),
            both=int(n[2]),
            rate_error=float(n[3] / n[0]) if n[0] else float(n[3] > 0),
        )
        for name, n in tally.items()
    )
    if labels is None:
        return Comparison(layers=layers)
    return Comparison(
        layers=layers,
        graph_accuracy=float(right[0] / len(data)),
        integer_accuracy=float(right[1] / len(data)),
    )


def choose_bits(
    graph: nir.NIRGraph,
    timesteps: int,
    inputs: object,
    *,
    agreement: float = 0.99,
    most: int = 24,
    **settings: Any,
) -> Network:
    """The network of the fewest weight bits whose spikes agree with the graph's.

    Parameters
    ----------
    inputs : int array
        Calibration data, as the network takes it.
    agreement : float
        The lowest that any layer may have; see `Overlap`.
    most : int
        Largest number of bits to try.
    settings
        Of `from_nir`, without `weight_bits`.

    Raises
    ------
    ModelError
        If even `most` bits agree less; the message says by how much.
    """
    if not 0 < agreement <= 1:
        raise ValueError(f"agreement must be above 0 and at most 1, not {agreement!r}")
    executor = Executor(
        graph,
        dt=settings.get("dt"),
        method=Method(settings.get("method", Method.EULER)),
        integrate_dt=settings.get("integrate_dt", False),
        subtract=settings.get("reset", "nir") == "subtract",
        fires_at=settings.get("fires_at", False),
    )
    best = 0.0
    for bits in range(2, most + 1):
        network = from_nir(graph, timesteps, weight_bits=bits, **settings)
        reached = compare(executor, network, inputs).agreement
        if reached >= agreement:
            return network
        best = max(best, reached)
    raise ModelError(
        f"agreement of spikes must be at least {agreement:.2%} with up to {most} weight bits, not "
        f"{best:.2%}; ask for less, or for more bits"
    )
