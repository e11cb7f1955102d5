"""Spikes and synaptic operations, counted against a naive count over every synapse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exact_small import exact_network
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle
from small import chain, small_network
from strategies import inputs_for, networks

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import IF, Encoding, Input, LeakyReadout
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.reference.metrics import (
    algorithm_metrics,
    energy_estimate,
    measure_sparsity,
    synaptic_operations,
)
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.reference.snn import SpikingNetwork


def naive_operations(network: Network, payload: np.ndarray) -> dict[str, int]:
    """Synapses that are not 0 and are reached by an event, by projection, one sample."""
    oracle = Oracle(network)
    recording = oracle.run(payload)
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    window = network.window(network.input.name)
    found = {}
    for projection, ends in oracle.taps:
        total = 0
        steps = range(network.timesteps - projection.delay)
        for step in steps:
            if projection.source != network.input.name:
                events = recording.spikes[projection.source][step]
            elif neuron.encoding is Encoding.CURRENT:
                events = payload.flatten().tolist() if step == 0 else []
            elif step in window:
                events = payload[step - window.start].flatten().tolist()
            else:
                events = []
            for taps in ends:
                total += sum(1 for at, weight in taps if weight and events and events[at])
        found[projection.label] = found.get(projection.label, 0) + total
    return found


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_operations_equal_a_count_over_every_synapse(data: st.DataObject) -> None:
    network = data.draw(networks(layers=3, timesteps=4, channels=3, extent=4))
    inputs = data.draw(inputs_for(network, samples=2))
    found = synaptic_operations(SpikingNetwork(network), inputs.astype(np.float64))
    wanted: dict[str, float] = {}
    for sample in inputs:
        for label, count in naive_operations(network, sample).items():
            wanted[label] = wanted.get(label, 0) + count / len(inputs)
    assert found.projections == pytest.approx(wanted)
    assert found.macs + found.acs == pytest.approx(sum(wanted.values()))
    assert found.macs + found.acs <= found.dense


def test_sparsity_counts_spikes() -> None:
    network = small_network()
    rng = np.random.default_rng(0)
    x = rng.integers(0, 16, (12, 2, 2, 5, 6)).astype(np.float32)
    snn = SpikingNetwork(network)
    spikes = snn.run(x, spikes=True).spikes
    found = measure_sparsity(snn, x)
    assert found.nonzero == sum(int(s.sum()) for s in spikes.values()) > 0
    assert found.total == sum(s.numel() for s in spikes.values())
    assert found.share == 1 - found.nonzero / found.total
    assert found.sparsity == 100 * found.share
    assert found.layers == {
        name: {"nonzero": int(s.sum()), "total": s.numel()} for name, s in spikes.items()
    }
    assert found.shares == {name: 1 - float(s.double().mean()) for name, s in spikes.items()}
    sparsity, nonzero, total, layers = found
    assert (sparsity, nonzero, total, layers) == tuple(found)
    parts = [x[:4], x[4:]]
    first = measure_sparsity(snn, [(p, None) for p in parts], device="cpu", max_batches=1)
    assert first == measure_sparsity(snn, x[:4])
    with pytest.raises(ValueError, match=r"^max_batches must be at least 1, not 0$"):
        measure_sparsity(snn, x, max_batches=0)


def test_energy_is_the_operations_times_the_constants() -> None:
    x = np.random.default_rng(0).integers(0, 16, (3, 2, 2, 5, 6)).astype(np.float32)
    snn = SpikingNetwork(small_network())
    operations = synaptic_operations(snn, x)
    found = energy_estimate(snn, x, e_ac=2.0, e_mac=5.0, source="a data sheet")
    assert found.snn_nj == (2.0 * operations.acs + 5.0 * operations.macs) / 1000
    conv = 2 * 4 * (3 * 5 - 2) * (3 * 6 - 2)  # all taps inside the image, of 3 x 3 around 5 x 6
    hidden, out = 4 * 2 * 3 * 6, 6 * 3  # the hidden layer sees pooled neurons
    assert found.ann_macs == conv + hidden + out
    assert found.ann_nj == 5.0 * found.ann_macs / 1000
    assert found.ratio == found.ann_nj / found.snn_nj
    assert found.source == "a data sheet"
    with pytest.raises(ValueError, match=r"^e_ac must be positive pJ, not 0$"):
        energy_estimate(snn, x, e_ac=0)


def test_neurobench_report_needs_labels() -> None:
    x = np.zeros((3, 2, 2, 5, 6), dtype=np.float32)
    snn = SpikingNetwork(small_network())
    with pytest.raises(DataError, match=r"^data must have labels for the accuracy$"):
        algorithm_metrics(snn, x)
    with pytest.raises(DataError, match=r"^data must hold at least one batch, not none$"):
        measure_sparsity(snn, [])


class Replay(torch.nn.Module):
    """The network as PyTorch layers that NeuroBench can hook: one call per step and projection.

    The spikes are those of the integer network; each layer sees exactly what the hardware sends.
    """

    def __init__(self, snn: SpikingNetwork) -> None:
        super().__init__()
        self.snn = snn
        self.connections = torch.nn.ModuleList()
        for projection in snn.network.projections:
            weight = torch.from_numpy(projection.synapse.weight.astype(np.float32))
            synapse = projection.synapse
            layer: torch.nn.Module
            if weight.ndim == 2:
                layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
            else:
                layer = torch.nn.Conv2d(
                    weight.shape[1] * synapse.groups,
                    weight.shape[0],
                    weight.shape[2:],
                    synapse.stride,
                    synapse.padding,
                    synapse.dilation,
                    synapse.groups,
                    bias=False,
                )
            layer.weight = torch.nn.Parameter(weight, requires_grad=False)
            self.connections.append(layer)
        self.activations = torch.nn.ModuleDict(
            {p.name: torch.nn.ReLU() for p in snn.network.populations if p.spiking}
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits; calls every layer with what it is sent in each step."""
        network = self.snn.network
        payload = torch.from_numpy(self.snn.quantise(x))
        run = self.snn.run(x, spikes=True)
        neuron = network.input.neuron
        assert isinstance(neuron, Input)
        for step in range(network.timesteps):
            for projection, layer in zip(network.projections, self.connections, strict=True):
                if projection.source != network.input.name:
                    sent = run.spikes[projection.source][:, step]
                elif step == 0:
                    sent = payload
                else:
                    continue  # a held or single input is multiplied once
                sent = sent.float()
                layer(sent.flatten(1) if isinstance(layer, torch.nn.Linear) else sent)
            for name, activation in self.activations.items():
                activation(run.spikes[name][:, step].float())
        return self.snn.logits(run.outputs)


@pytest.mark.parametrize("encoding", [Encoding.CURRENT, Encoding.GRADED])
def test_neurobench_agrees(encoding: Encoding) -> None:
    """The harness of the `neurobench` package, its hooks on the same spikes, counts the same."""
    benchmarks = pytest.importorskip("neurobench.benchmarks", reason="neurobench is not installed")
    from neurobench.metrics.static import ConnectionSparsity
    from neurobench.metrics.workload import (
        ActivationSparsity,
        ClassificationAccuracy,
        SynapticOperations,
    )
    from neurobench.models import TorchModel
    from torch.utils.data import DataLoader, TensorDataset

    snn = SpikingNetwork(unpooled_network(encoding))
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.integers(0, 8, (10, 2, 5, 5)).astype(np.float32))
    y = torch.from_numpy(rng.integers(0, 3, 10))
    loader = DataLoader(TensorDataset(x, y), batch_size=5)
    harness = benchmarks.Benchmark(
        TorchModel(Replay(snn)),
        loader,
        [],
        [lambda logits: logits.argmax(1)],
        [[ConnectionSparsity], [ActivationSparsity, ClassificationAccuracy, SynapticOperations]],
    )
    wanted = harness.run(quiet=True)
    found = algorithm_metrics(snn, (x, y))
    assert found["ActivationSparsity"] < 1
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value), key
    assert set(wanted) <= set(found)


def unpooled_network(encoding: Encoding) -> Network:
    """A convolution, a dense layer and a readout: NeuroBench counts pooled sums as numbers."""
    from neurocuda_hw.network.neurons import Readout, Window
    from neurocuda_hw.network.synapses import Conv2d, Dense

    rng = np.random.default_rng(3)
    window = None if encoding is Encoding.CURRENT else Window(start=0, stop=1)
    return chain(
        4,
        {
            "image": ((2, 5, 5), Input(encoding=encoding, payload_bits=3, window=window)),
            "conv": ((4, 5, 5), IF(threshold=20, v_init=9)),
            "hidden": ((6,), IF(threshold=9)),
            "out": ((3,), Readout()),
        },
        Conv2d(weight=rng.integers(-3, 4, (4, 2, 3, 3)), padding=(1, 1)),
        Dense(weight=rng.integers(-2, 3, (6, 100))),
        Dense(weight=rng.integers(-2, 3, (3, 6))),
        name="plain",
    )


def test_bursts_are_multiplications_and_never_added_to_additions() -> None:
    network = exact_network(o=LeakyReadout(decay=7))  # it gets the last layer's spikes one by one
    snn = SpikingNetwork(network)
    x = default_inputs(network, 20).astype(np.float64)
    plain = synaptic_operations(snn, x)
    found = synaptic_operations(snn, x, bursts=find_bursts(network))
    assert plain.multiplied == ("x -> a",)
    assert found.multiplied == ("x -> a", "a -> m", "a -> b", "m -> b")
    for operations in (plain, found):
        one = operations.projections
        assert operations.macs == pytest.approx(sum(one[n] for n in operations.multiplied))
        others = one.keys() - set(operations.multiplied)
        assert operations.acs == pytest.approx(sum(one[n] for n in others))
    trace = Reference(network).trace(default_inputs(network, 20))
    fired = np.stack([trace.bits("a", s) for s in range(20)])
    active, spikes = fired.any(axis=1).sum(), fired.sum()
    assert 0 < active < spikes
    assert found.projections["a -> b"] == 3 * active / 20
    assert plain.projections["a -> b"] == 3 * spikes / 20
    assert found.projections["b -> o"] == plain.projections["b -> o"] > 0
    energy = energy_estimate(snn, x, e_ac=2.0, e_mac=5.0, bursts=find_bursts(network))
    assert energy.operations == found
    assert energy.snn_nj == (2.0 * found.acs + 5.0 * found.macs) / 1000
