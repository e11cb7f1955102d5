"""What a user's program looks like to a type checker: every public name, with the types it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

import neurocuda_hw as nc
from neurocuda_hw.build import build
from neurocuda_hw.datasets import load as load_data
from neurocuda_hw.verify import verify


def converted(ann: nn.Module, folder: Path) -> nc.SpikingNetwork:
    """Conversion, and what can be done with what it gives."""
    train, test = load_data(folder, "train"), load_data(folder, "test")
    folded: nn.Module = nc.fold_batchnorm(ann)
    levelled: nn.Module = nc.with_qcfs(folded, train, levels=8)
    snn, stats = nc.convert(levelled, train, test_loader=test, strategy="exact")
    kept: nc.Stats = stats
    accuracy: float | None = kept.integer_accuracy
    print(accuracy, stats["strategy"], len(stats["thresholds"]))
    sparsity, nonzero, total, layers = nc.measure_sparsity(snn, test, max_batches=2)
    print(f"{sparsity:.1f} {nonzero:,} {total:,} {layers['hidden']['nonzero'] + 1}")
    print(nc.energy_estimate(snn, test).ratio, nc.synaptic_operations(snn, test).acs)
    print(nc.neurobench_report(snn, test, backends=("cpu", "loihi")).table())
    print(nc.validate_snn(snn, test, ann=ann).agreement, nc.quantized_ann(snn).layers)
    print(len(nc.mismatch(snn, torch.zeros(1, 1, 28, 28))))
    tuned = nc.finetune(snn, train, epochs=1, lr=1e-4)
    longer = nc.recode(nc.average_weights([snn, tuned]), code="rate", steps=4)
    logits: torch.Tensor = longer(torch.zeros(1, 1, 28, 28))
    print(logits.argmax(1))
    return longer


def compiled(snn: nc.SpikingNetwork, x: torch.Tensor) -> torch.Tensor:
    """Backends."""
    for name, about in nc.list_backends().items():
        print(f"{name}: {about.upper()} {about.missing if not about.available else 'ready'}")
    result = nc.compile(snn, target="verilog", T=snn.timesteps)
    seconds: float = nc.benchmark(snn, x, ("cpu",))["cpu"]["seconds"]
    print(result["metadata"]["T"], result["target"], seconds)
    return result["backend"].run(result["compiled_model"], x)


def by_hand() -> nc.Network:
    """A network of integers."""
    window = nc.Window(start=0, stop=1)
    image = nc.Input(encoding=nc.Encoding.GRADED, payload_bits=4, window=window)
    neuron = nc.IF(threshold=9, reset=nc.Reset.ZERO)
    leaky, cuba = nc.LIF(threshold=9, decay=100), nc.CubaLIF(threshold=9, du=100, dv=200)
    ends = (nc.Readout(), nc.LeakyReadout(decay=7), nc.CubaReadout(du=7, dv=9))
    kernel = nc.Conv2d(weight=np.ones((2, 1, 3, 3), dtype=np.int64), pool=nc.SumPool(kernel=(2, 2)))
    each, full = nc.Diagonal(weight=np.ones(2)), nc.Dense(weight=np.ones((3, 8)))
    print(leaky, cuba, ends, each)
    return nc.Network(
        name="by_hand",
        populations=(
            nc.Population(name="image", shape=(1, 8, 8), neuron=image),
            nc.Population(name="hidden", shape=(2, 2, 2), neuron=neuron),
            nc.Population(name="out", shape=(3,), neuron=ends[0]),
        ),
        projections=(
            nc.Projection(source="image", target="hidden", synapse=kernel),
            nc.Projection(source="hidden", target="out", synapse=full),
        ),
        timesteps=4,
    )


def written(network: nc.Network, folder: Path) -> None:
    """Files and traces."""
    nc.save(network, folder / "network.pt")
    same: nc.Network = nc.load(folder / "network.pt")
    golden: nc.Trace = nc.Reference(same).trace(np.zeros((2, 1, 8, 8), dtype=np.int64))
    (folder / "trace.npz").write_bytes(golden.to_bytes())
    place = nc.first_divergence(network, golden, nc.load_trace(folder / "trace.npz"))
    print(place is None, nc.network_ranges(network)["out"].membrane.bits, network.neurons)
    print(nc.to_hls_cpp(network), nc.from_nir(nc.to_nir(network, T=4, model_name="n")).hash)
    try:
        (result,) = verify(build(network, folder / "build"))
        print(result.equal, result.inputs)
    except nc.NeurocudaError as error:
        print(error.exit_code, nc.__version__)


def trained_directly() -> nn.Module:
    """Spiking neurons as modules."""
    layers = (nn.Linear(4, 8), nc.IFNeuron(), nn.Linear(8, 8), nc.LIFNeuron(decay=0.1))
    levels: nn.Module = nc.QCFS(levels=4)
    print(levels)
    return nc.OverTime(nn.Sequential(*layers), timesteps=4)
