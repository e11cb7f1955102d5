"""The runs behind `nir_frameworks`: one function for each framework and direction."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch

from benchmarks.nir_small_networks import (
    BATCH,
    DT,
    FRAMES,
    OFF_GRID,
    STEPS,
    Keeping,
    Outcome,
    Residual,
    ResidualState,
    chain,
    comes_in,
    goes_out,
    on_a_grid,
    ours,
    settled,
    stateful,
    stepped,
)
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, LIF, Encoding, Input, Reset
from neurocuda_hw.network.synapses import Dense, Diagonal
from neurocuda_hw.nir import to_nir
from neurocuda_hw.nir.modules import from_torch, to_torch
from neurocuda_hw.reference.reference import Reference

# ---------------------------------------------------------------- snnTorch


def snntorch_in(*, residual: bool, subtract: bool, own: bool = True) -> Outcome:
    """Leaky neurons, beta 1/2, at snnTorch's own dt of 1e-4."""
    import snntorch
    from snntorch.export_nir import export_to_nir

    def leaky(*shape: int) -> torch.nn.Module:
        return snntorch.Leaky(
            beta=torch.full(shape, 0.5),
            threshold=torch.full(shape, OFF_GRID),
            init_hidden=True,
            reset_mechanism="subtract" if subtract else "zero",
            reset_delay=False,
        )

    def node(part: Any, shape: tuple[int, ...]) -> nir.NIRNode:
        part.reset_mem()
        tau, zero = np.full(shape, 2e-4), np.zeros(shape)
        return nir.LIF(tau=tau, r=tau / 1e-4, v_leak=zero, v_threshold=zero + OFF_GRID)

    pool = torch.nn.AvgPool2d((2, 2), (2, 2))
    module = on_a_grid(Residual(leaky) if residual else chain(leaky, pool))
    spikes = stepped(module)
    for part in module.modules():
        if isinstance(part, snntorch.Leaky):
            part.reset_mem()
    if own:
        graph = export_to_nir(module, FRAMES[0], ignore_dims=[0])
    else:
        graph = from_torch(module, FRAMES[0], {snntorch.Leaky: node})
    return comes_in(graph, spikes, dt=1e-4, subtract=subtract)


def snntorch_out(*, residual: bool, subtract: bool, leaks: bool = True, v_init: int = 0) -> Outcome:
    """A LIF without a leak, since snnTorch reads an IF as a neuron that leaks."""
    import snntorch
    from snntorch.import_nir import import_from_nir

    kind: dict[str, Any] = {"kind": LIF, "decay": 0} if leaks else {}
    reset = Reset.SUBTRACT if subtract else Reset.ZERO
    network = ours(reset, residual=residual, v_init=v_init, **kind)
    export = "annotated" if subtract or leaks else None
    module = import_from_nir(to_nir(network, export=export, dt=1e-4))
    if subtract:
        settled(module, reset_mechanism="subtract", reset_delay=True)
        for part in module.modules():
            if isinstance(part, snntorch.Leaky):
                part.state_function = part._base_sub
    return goes_out(network, stateful(module, batched=False))


# ---------------------------------------------------------------- Norse


def norse_in(*, residual: bool, own: bool = True) -> Outcome:
    """Integrate-and-fire cells."""
    import norse.torch as norse

    def make(*shape: int) -> torch.nn.Module:
        return norse.IAFCell()

    def node(part: Keeping, shape: tuple[int, ...]) -> nir.NIRNode:
        part.state = None
        return nir.IF(r=np.ones(shape), v_threshold=np.ones(shape))

    if residual:
        module = on_a_grid(Residual(lambda *shape: Keeping(make(*shape))))
        spikes = stepped(module)
        bare = on_a_grid(ResidualState(make))
        graph = norse.to_nir(bare, FRAMES[0][0]) if own else None
    else:
        parts = torch.nn.Conv2d(2, 4, 3, padding=1), make(), torch.nn.Conv2d(4, 5, 3), make()
        module = on_a_grid(norse.SequentialState(*parts))
        spikes = stateful(module)
        graph = norse.to_nir(module, FRAMES[0][0])
    if graph is None:
        for part in module.modules():
            if isinstance(part, Keeping):
                part.state = None
        graph = from_torch(module, FRAMES[0], {Keeping: node})
    return comes_in(graph, spikes)


def norse_out(*, residual: bool, own: bool = True) -> Outcome:
    """Integrate-and-fire cells."""
    import norse.torch as norse

    network = ours(Reset.ZERO, residual=residual)
    graph = to_nir(network, dt=1e-3)
    if own:
        return goes_out(network, stateful(norse.from_nir(graph, dt=1e-3), batched=False))

    def cell(node: nir.IF, shape: tuple[int, ...]) -> torch.nn.Module:
        return norse.IAFCell(norse.IAFParameters(v_th=torch.tensor(node.v_threshold).float()))

    return goes_out(network, stateful(to_torch(graph, neurons={nir.IF: cell})))


def norse_soft() -> Outcome:
    """Whether its IF can subtract at all."""
    import norse.torch as norse
    from norse.torch.functional.reset import reset_subtract

    network = ours(Reset.SUBTRACT, residual=False)
    module = norse.from_nir(to_nir(network, export="annotated", dt=1e-3), dt=1e-3)
    for part in module.modules():
        if isinstance(part, norse.IAFCell):
            part.p = part.p._replace(reset_method=reset_subtract)
    return goes_out(network, stateful(module, batched=False))


# ---------------------------------------------------------------- sinabs


def sinabs_in(*, residual: bool, own: bool = True) -> Outcome:
    """Integrate-and-fire layers that subtract, fire once a step, and have no floor."""
    import sinabs.activation
    import sinabs.layers
    import sinabs.nir

    single = {"min_v_mem": None, "spike_fn": sinabs.activation.SingleSpike}

    class Stepped(torch.nn.Module):
        """A layer that gets one step."""

        def __init__(self, *shape: int) -> None:
            super().__init__()
            self.cell = sinabs.layers.IAF(**single)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.cell(x[:, None])[:, 0]

    def make(*shape: int) -> torch.nn.Module:
        return sinabs.layers.IAFSqueeze(batch_size=BATCH, **single)

    def node(part: torch.nn.Module, shape: tuple[int, ...]) -> nir.NIRNode:
        return nir.IF(r=np.ones(shape), v_threshold=np.ones(shape))

    if not own:
        spikes = stepped(on_a_grid(Residual(Stepped)))
        graph = from_torch(on_a_grid(Residual(Stepped)), FRAMES[0], {Stepped: node})
        return comes_in(graph, spikes, subtract=True, fires_at=True)
    module = on_a_grid(Residual(make) if residual else chain(make, sinabs.layers.SumPool2d(2)))
    frames = FRAMES.transpose(0, 1).reshape(-1, 2, 8, 8)
    with torch.no_grad():
        out = module(frames)
    spikes = out.reshape(BATCH, STEPS, *out.shape[1:]).transpose(0, 1)
    return comes_in(sinabs.nir.to_nir(module, frames), spikes, subtract=True, fires_at=True)


def sinabs_out(*, residual: bool, affine: bool = True, own: bool = True) -> Outcome:
    """Integrate-and-fire layers; two settings of its loader are undone."""
    import sinabs.activation
    import sinabs.layers
    import sinabs.nir

    single = {"min_v_mem": None, "spike_fn": sinabs.activation.SingleSpike}
    network = ours(Reset.SUBTRACT, residual=residual)
    graph = to_nir(network, export="annotated", fires_at=True, affine=affine)
    frames = FRAMES.transpose(0, 1).reshape(-1, 2, 8, 8)

    def layer(node: nir.IF, shape: tuple[int, ...]) -> torch.nn.Module:
        level = torch.tensor(node.v_threshold).float()
        return sinabs.layers.IAFSqueeze(batch_size=BATCH, spike_threshold=level, **single)

    if own:
        module = settled(sinabs.nir.from_nir(graph, batch_size=BATCH), **single)
    else:
        module = to_torch(graph, neurons={nir.IF: layer})
    with torch.no_grad():
        out = module(frames)
    out = out[0] if isinstance(out, tuple) else out
    return goes_out(network, out.reshape(BATCH, STEPS, -1).transpose(0, 1))


# ---------------------------------------------------------------- SpikingJelly


def spikingjelly_in(
    *, residual: bool, leaks: bool, subtract: bool = False, own: bool = True
) -> Outcome:
    """IF or LIF nodes; the file has r = 1 / dt."""
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    v_reset = None if subtract else 0.0

    def make(*shape: int) -> torch.nn.Module:
        if leaks:
            return neuron.LIFNode(tau=2.0, v_threshold=OFF_GRID, v_reset=v_reset)
        return neuron.IFNode(v_reset=v_reset)

    def node(part: Any, shape: tuple[int, ...]) -> nir.NIRNode:
        return nir.IF(r=np.full(shape, 1 / DT), v_threshold=np.full(shape, part.v_threshold))

    if residual:
        module: torch.nn.Module = Residual(make)
    else:
        module = chain(make, layer.AvgPool2d(2), layer.Flatten)
    on_a_grid(module)
    spikes = stepped(module)
    functional.reset_net(module)
    if own:
        graph = export_to_nir(module, FRAMES[0], dt=DT)
    else:
        graph = from_torch(module, FRAMES[0], {neuron.IFNode: node})
    return comes_in(graph, spikes, dt=DT, fires_at=True, integrate_dt=True, subtract=subtract)


def spikingjelly_out(*, residual: bool, subtract: bool) -> Outcome:
    """IF nodes."""
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    network = ours(Reset.SUBTRACT if subtract else Reset.ZERO, residual=residual)
    graph = to_nir(
        network,
        export="annotated" if subtract else None,
        dt=DT,
        fires_at=True,
        integrate_dt=True,
        float32=True,
    )
    module = import_from_nir(graph, dt=DT)
    if subtract:
        settled(module, v_reset=None)
    return goes_out(network, stateful(module, batched=True))


# ---------------------------------------------------------------- sc-neurocore


def sc_neurocore_out(*, subtract: bool) -> Outcome:
    """Dense layers with a shortcut, as it steps flat vectors."""
    from sc_neurocore import nir_bridge

    rng = np.random.default_rng(6)
    reset = Reset.SUBTRACT if subtract else Reset.ZERO

    def population(name: str, size: int, threshold: int) -> Population:
        return Population(name=name, shape=(size,), neuron=IF(threshold=threshold, reset=reset))

    def dense(source: str, target: str, shape: tuple[int, int]) -> Projection:
        weight = rng.integers(-6, 8, shape)
        return Projection(source=source, target=target, synapse=Dense(weight=weight))

    network = Network(
        populations=(
            Population(name="x", shape=(32,), neuron=Input(encoding=Encoding.SPIKES)),
            population("one", 20, 12),
            population("two", 20, 9),
            population("three", 6, 7),
        ),
        projections=(
            dense("x", "one", (20, 32)),
            dense("one", "two", (20, 20)),
            Projection(source="one", target="two", synapse=Diagonal(weight=np.full(20, 9))),
            dense("two", "three", (6, 20)),
        ),
        timesteps=STEPS,
    )
    inputs = (rng.random((BATCH, STEPS, 32)) < 0.3).astype(np.uint8)
    want = Reference(network).run(inputs, spikes=True).spikes["three"].numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ours.nir"
        nir.write(path, to_nir(network, export="explicit" if subtract else None))
        theirs = nir_bridge.from_nir(path, dt=1.0)
    got = []
    for sample in inputs:
        theirs.reset()
        got.append([theirs.step({"x": frame.astype(float)})["output"] for frame in sample])
    return Outcome(spikes=int(want.sum()), differences=int((np.array(got) != want).sum()))
