"""What inferences cost, counted: spikes, synaptic operations, energy, and NeuroBench's metrics.

Nothing here assumes a rate: samples are run, and every event is counted with the synapses that it
reaches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network import Network, Projection
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.trace import answers
from neurocuda_hw.reference.delivery import Delivery
from neurocuda_hw.reference.snn import SpikingNetwork
from neurocuda_hw.reference.stepping import Run

Progress = Callable[[str, int, int], None]
_BATCH = 250
# one 32-bit floating-point operation in 45 nm CMOS at 0.9 V: M. Horowitz, "Computing's energy
# problem", ISSCC 2014: addition 0.9 pJ, multiplication 3.7 pJ
E_AC, E_MAC = 0.9, 4.6
ENERGY_SOURCE = "Horowitz, ISSCC 2014: 45 nm, 32-bit float; addition 0.9 pJ, multiplication 3.7 pJ"


class Sparsity(NamedTuple):
    """Silence over all neurons and the steps in which they may fire.

    `sparsity` is the per cent without a spike, `nonzero` the spikes, `total` the neuron steps, and
    `layers` says ``nonzero`` and ``total`` of each spiking population. NeuroBench's
    ``ActivationSparsity`` counts all T steps instead, so it is higher under the exact code, where
    each layer may fire in its window only.
    """

    sparsity: float
    nonzero: int
    total: int
    layers: dict[str, dict[str, int]]

    @property
    def share(self) -> float:
        """`sparsity` as a share, 0 to 1."""
        return 1 - self.nonzero / self.total if self.total else 1.0

    @property
    def shares(self) -> dict[str, float]:
        """The same of each spiking population."""
        return {name: 1 - n["nonzero"] / n["total"] for name, n in self.layers.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SynapticOperations:
    """Synaptic operations per sample, counted.

    Parameters
    ----------
    macs : float
        Of events that carry a number (graded or held inputs, bursts): multiply and accumulate.
    acs : float
        Of spikes: accumulate. Another operation than a multiplication: there is no sum of the two.
    dense : float
        If every neuron sent an event in every step through every synapse, zero weights too
        (NeuroBench's ``Dense``); of both kinds, so neither `macs` nor `acs` compares with it.
    projections : dict of str to float
        Operations of each projection, ``"source -> target"``; all of one kind.
    multiplied : tuple of str
        Those projections whose operations are `macs`.
    """

    macs: float
    acs: float
    dense: float
    projections: dict[str, float]
    multiplied: tuple[str, ...]


class Carries(Protocol):
    """What is sent as bursts: `passes.bursts.Bursts`."""

    def received(self, network: Network, projection: Projection) -> int:
        """The most spikes of an event that the target gets; 0: single spikes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyEstimate:
    """Energy of the synaptic operations of one inference, in nJ; memory and leakage not included.

    Parameters
    ----------
    snn_nj, ann_nj : float
        Of the spiking network, and of the same layers without spikes: one multiply and accumulate
        for each synapse.
    operations : SynapticOperations
    ann_macs : int
    e_ac, e_mac : float
        pJ per operation.
    source : str
        Of the two constants.
    """

    snn_nj: float
    ann_nj: float
    operations: SynapticOperations
    ann_macs: int
    e_ac: float
    e_mac: float
    source: str

    @property
    def ratio(self) -> float:
        """How many times more the network without spikes takes."""
        return self.ann_nj / self.snn_nj if self.snn_nj else float("inf")


@dataclass(slots=True)
class _Counts:
    """Sums over all samples."""

    samples: int
    right: int
    labelled: int
    spikes: dict[str, int]
    macs: float
    acs: float
    projections: dict[str, float]


def measure_sparsity(
    snn: SpikingNetwork,
    loader: Any,
    *,
    device: str | torch.device | None = None,
    max_batches: int | None = None,
    progress: Progress | None = None,
) -> Sparsity:
    """Runs the samples of `loader` and counts spikes.

    Parameters
    ----------
    loader : DataLoader of (x, y), any iterable of such batches, (x, y) arrays, or x alone
    device : str or torch.device, optional
        Where to run; default where `snn` is. Spikes are the same.
    max_batches : int, optional
        Runs the first so many batches only; of arrays, batches of 250 samples.

    Raises
    ------
    DataError
        If there are no samples, or they do not fit the network.
    """
    if max_batches is not None and max_batches < 1:
        raise ValueError(f"max_batches must be at least 1, not {max_batches!r}")
    if device is not None:
        snn = SpikingNetwork(snn.network).to(device)
    counts = _count(snn, loader, progress, operations=False, batches=max_batches)
    layers = {
        p.name: {
            "nonzero": counts.spikes[p.name],
            "total": counts.samples * p.size * snn.network.window(p.name).steps,
        }
        for p in snn.network.populations
        if p.spiking
    }
    nonzero, total = (sum(n[key] for n in layers.values()) for key in ("nonzero", "total"))
    share = 1 - nonzero / total if total else 1.0
    return Sparsity(sparsity=100 * share, nonzero=nonzero, total=total, layers=layers)


def synaptic_operations(
    snn: SpikingNetwork,
    loader: Any,
    *,
    bursts: Carries | None = None,
    progress: Progress | None = None,
) -> SynapticOperations:
    """Runs the samples of `loader` and counts, for each event, the synapses that it reaches.

    Weights of 0 are no synapses, and padding has none. A current is multiplied once per inference,
    as the hardware does it; so is a burst, where `bursts` (`passes.bursts.find_bursts(network)`)
    says that a projection carries one. Takes what `measure_sparsity` takes.
    """
    counts = _count(snn, loader, progress, bursts=bursts)
    return SynapticOperations(
        macs=counts.macs / counts.samples,
        acs=counts.acs / counts.samples,
        dense=float(_dense(snn.network)),
        projections={n: total / counts.samples for n, total in counts.projections.items()},
        multiplied=tuple(
            q.label for q in snn.network.projections if _multiplied(snn.network, q, bursts)
        ),
    )


def energy_estimate(
    snn: SpikingNetwork,
    loader: Any,
    *,
    e_ac: float = E_AC,
    e_mac: float = E_MAC,
    source: str = ENERGY_SOURCE,
    bursts: Carries | None = None,
    progress: Progress | None = None,
) -> EnergyEstimate:
    """Energy of the counted synaptic operations at `e_ac` and `e_mac` pJ each.

    An estimate for comparing algorithms: neurons, memories and wires cost more. For Loihi see
    `loihi`, whose model knows them. `bursts` as in `synaptic_operations`: fewer operations, each a
    multiplication.
    """
    for name, value in (("e_ac", e_ac), ("e_mac", e_mac)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive pJ, not {value!r}")
    operations = synaptic_operations(snn, loader, bursts=bursts, progress=progress)
    ann_macs = sum(_synapses(snn.network, q, pooled=True) for q in snn.network.projections)
    return EnergyEstimate(
        snn_nj=(operations.acs * e_ac + operations.macs * e_mac) / 1000,
        ann_nj=ann_macs * e_mac / 1000,
        operations=operations,
        ann_macs=ann_macs,
        e_ac=e_ac,
        e_mac=e_mac,
        source=source,
    )


def algorithm_metrics(
    snn: SpikingNetwork, loader: Any, *, progress: Progress | None = None
) -> dict[str, Any]:
    """NeuroBench's metrics of the integer network; see `targets.neurobench`.

    Weights count their own bits, rounded up to whole bytes each. Sums over a pooling window count
    each spike of the window, as the hardware adds them.

    Raises
    ------
    DataError
        If the samples have no labels.
    """
    network = snn.network
    counts = _count(snn, loader, progress)
    if counts.labelled != counts.samples:
        raise DataError("data must have labels for the accuracy")
    weights = [q.synapse.weight for q in network.projections]
    slots = sum(p.size for p in network.populations if p.spiking) * network.timesteps
    return {
        "Footprint": _footprint(network),
        "ParameterCount": sum(w.size for w in weights),
        "ConnectionSparsity": round(  # to four digits, as the harness does
            sum(int((w == 0).sum()) for w in weights) / sum(w.size for w in weights), 4
        ),
        "ClassificationAccuracy": counts.right / counts.samples,
        "ActivationSparsity": 1 - sum(counts.spikes.values()) / (counts.samples * slots),
        "SynapticOperations": {
            "Effective_MACs": counts.macs / counts.samples,
            "Effective_ACs": counts.acs / counts.samples,
            "Dense": float(_dense(network)),
        },
    }


def _count(
    snn: SpikingNetwork,
    loader: Any,
    progress: Progress | None,
    *,
    operations: bool = True,
    batches: int | None = None,
    bursts: Carries | None = None,
) -> _Counts:
    data = Batches(loader, "data", _BATCH)
    network = snn.network
    counts = _Counts(
        samples=0,
        right=0,
        labelled=0,
        spikes={p.name: 0 for p in network.populations if p.spiking},
        macs=0.0,
        acs=0.0,
        projections={q.label: 0.0 for q in network.projections},
    )
    reach = []  # weights of 1 where there is a synapse
    for projection in network.projections:
        synapse = replace(projection.synapse, weight=projection.synapse.weight != 0)
        counting = replace(projection, synapse=synapse)
        reach.append(Delivery(network, counting, torch.device("cpu"), network.timesteps))
    delayed = any(q.delay for q in network.projections)
    for number, (x, y) in enumerate(islice(data, batches)):
        payload = snn.quantise(x)
        run = snn.reference().run(payload, spikes=delayed and operations)
        counts.samples += len(x)
        if y is not None:
            counts.labelled += len(x)
            counts.right += int((answers(run.outputs).cpu() == y).sum())
        for name, fired in run.counts.items():
            counts.spikes[name] += int(fired.sum())
        if operations:
            for projection, one in zip(network.projections, reach, strict=True):
                events = _events(network, projection, payload, run)
                if bursts is not None and bursts.received(network, projection):
                    events = (events > 0).to(events.dtype)
                reached = float(one.deliver(events).sum(dtype=torch.float64))
                if _multiplied(network, projection, bursts):
                    counts.macs += reached
                else:
                    counts.acs += reached
                counts.projections[projection.label] += reached
        if progress:
            progress("counting", number + 1, data.count())
    return counts


def _multiplied(network: Network, projection: Projection, bursts: Carries | None) -> bool:
    """Whether the events of a projection carry a number."""
    if projection.source == network.input.name:
        return network.input_neuron.encoding is not Encoding.SPIKES
    return bursts is not None and bursts.received(network, projection) > 1


def _events(
    network: Network, projection: Projection, payload: np.ndarray, run: Run
) -> torch.Tensor:
    """How many events each neuron sends through `projection` in an inference, ``(B, *shape)``."""
    source = network[projection.source]
    late = network.window(source.name).stop + projection.delay > network.timesteps
    if source.name == network.input.name:
        sent = torch.from_numpy(payload != 0).to(torch.int64)
        if source.neuron.held:
            return sent * int(network.timesteps > projection.delay)
        frames = sent.reshape(len(sent), -1, *source.shape)
        return (frames[:, :-1] if late else frames).sum(1)
    counts = run.counts[source.name]
    if late:  # what is sent in the last step arrives in none
        counts = counts - run.spikes[source.name][:, -1]
    return counts.cpu()


def _synapses(network: Network, projection: Projection, *, pooled: bool = False) -> int:
    """Synapses of a projection, zero weights too: pairs of a source and a target neuron, or with
    `pooled` of a pooling window and a target neuron."""
    one = replace(projection, synapse=projection.synapse.counting())
    everything = torch.ones((1, *network[projection.source].shape))
    sums = Delivery(network, one, torch.device("cpu")).deliver(everything)
    pool = projection.synapse.pool
    cells = 1 if pool is None or not pooled else pool.cells
    return round(float(sums.sum(dtype=torch.float64)) / cells)


def _dense(network: Network) -> int:
    neuron = network.input_neuron
    total = 0
    for projection in network.projections:
        window = network.window(projection.source)
        steps = min(window.stop, network.timesteps - projection.delay) - window.start
        if projection.source == network.input.name and neuron.held:
            steps = min(steps, 1)
        total += steps * _synapses(network, projection)
    return total


def _footprint(network: Network) -> int:
    """Bytes of all weights, each in whole bytes."""
    return sum(-(-q.synapse.weight_bits // 8) * q.synapse.weight.size for q in network.projections)
