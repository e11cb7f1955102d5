"""Round trips through frameworks that read and write NIR; each is skipped where not installed.

Weights lie on a grid of 1/8 and leaks are powers of two, so that float32 is exact and equal means
equal: 0 spikes of difference in every step.
"""

import copy

import nir
import numpy as np
import pytest
import torch

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.neurons import IF, LIF, Encoding, Input, Reset
from neurocuda_hw.nir import Executor, compare, from_nir, to_nir
from neurocuda_hw.reference import Reference
from neurocuda_hw.synapses import Conv2d, Dense, Diagonal

pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks' own code
STEPS, BATCH = 20, 3
IMAGES = (np.random.default_rng(1).random((BATCH, STEPS, 2, 8, 8)) < 0.3).astype(np.uint8)
FRAMES = torch.from_numpy(IMAGES).float().transpose(0, 1)  # (T, B, C, H, W)
DT = 2.0**-10


def on_a_grid(module):
    """The module with weights that float32 adds up exactly."""
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        low, high = (-9, 12) if parameter.ndim > 1 else (-1, 3)
        if parameter.ndim:
            values = torch.randint(low, high, parameter.shape, generator=generator)
            parameter.data = values.float() / 8
    return module


def comes_in_equal(graph, spikes, *, bits=8, **settings):
    """The graph, run in floating point and as integers, against the framework's `spikes`."""
    executor = Executor(graph, **settings)
    run = executor.run(FRAMES.transpose(0, 1), spikes=True)
    (last,) = executor.flat.sources[executor.flat.output]
    want = spikes.transpose(0, 1).to(torch.uint8)
    assert int(want.sum()) > 20
    assert int((run.spikes[last] != want).sum()) == 0
    settings["reset"] = "subtract" if settings.pop("subtract", False) else "nir"
    network = from_nir(graph, STEPS, weight_bits=bits, **settings)
    return compare(executor, network, IMAGES).agreement


class Residual(torch.nn.Module):
    """Two convolutions of one layer's spikes, added up."""

    def __init__(self, neuron):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(2, 4, 3, padding=1)
        self.fire1 = neuron()
        self.conv2 = torch.nn.Conv2d(4, 4, 3, padding=1)
        self.skip = torch.nn.Conv2d(4, 4, 1)
        self.fire2 = neuron()

    def forward(self, x):
        """One step."""
        spikes = self.fire1(self.conv1(x))
        return self.fire2(self.conv2(spikes) + self.skip(spikes))


def chain(*neurons, pool, flatten=torch.nn.Flatten):
    """A small convolutional network."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1),
        neurons[0],
        pool,
        flatten(),
        torch.nn.Linear(64, 5),
        neurons[1],
    )


@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_spikingjelly_comes_in(leaky, residual):
    pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed")
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    def make():
        return neuron.LIFNode(tau=2.0, v_reset=0.0) if leaky else neuron.IFNode(v_reset=0.0)

    if residual:
        module = Residual(make)
    else:
        module = chain(make(), make(), pool=layer.AvgPool2d(2), flatten=layer.Flatten)
    on_a_grid(module)
    with torch.no_grad():
        spikes = torch.stack([module(frame) for frame in FRAMES])
    functional.reset_net(module)
    graph = export_to_nir(module, FRAMES[0], dt=DT)
    agreement = comes_in_equal(graph, spikes, dt=DT, fires_at=True, integrate_dt=True)
    assert agreement == 1 or leaky


def test_snntorch_comes_in():
    snn = pytest.importorskip("snntorch", reason="snnTorch is not installed")
    from snntorch.export_nir import export_to_nir

    def leaky(*shape):
        return snn.Leaky(
            beta=torch.full(shape, 0.5),
            threshold=torch.ones(shape),
            init_hidden=True,
            reset_mechanism="zero",
            reset_delay=False,
        )

    module = chain(leaky(4, 8, 8), leaky(5), pool=torch.nn.AvgPool2d((2, 2), (2, 2)))
    for name in ("0", "4"):
        on_a_grid(module.get_submodule(name))
    with torch.no_grad():
        spikes = torch.stack([module(frame) for frame in FRAMES])
    for name in ("1", "5"):
        module.get_submodule(name).reset_mem()
    graph = export_to_nir(module, FRAMES[0], ignore_dims=[0])
    comes_in_equal(graph, spikes, dt=1e-4)


def test_norse_comes_in():
    norse = pytest.importorskip("norse.torch", reason="Norse is not installed")
    module = norse.SequentialState(
        torch.nn.Conv2d(2, 4, 3, padding=1),
        norse.IAFCell(),
        torch.nn.Conv2d(4, 5, 3),
        norse.IAFCell(),
    )
    on_a_grid(module)
    state, spikes = None, []
    with torch.no_grad():
        for frame in FRAMES:
            out, state = module(frame, state)
            spikes.append(out)
    graph = norse.to_nir(module, FRAMES[0][0])
    assert comes_in_equal(graph, torch.stack(spikes)) == 1


def test_sinabs_comes_in():
    pytest.importorskip("sinabs", reason="sinabs is not installed")
    import sinabs.layers
    import sinabs.nir

    def make():
        return sinabs.layers.IAFSqueeze(
            batch_size=BATCH, min_v_mem=None, spike_fn=sinabs.activation.SingleSpike
        )

    module = chain(make(), make(), pool=sinabs.layers.SumPool2d(2))
    on_a_grid(module)
    frames = FRAMES.transpose(0, 1).reshape(-1, 2, 8, 8)
    with torch.no_grad():
        spikes = module(frames).reshape(BATCH, STEPS, 5).transpose(0, 1)
    graph = sinabs.nir.to_nir(module, frames)
    assert comes_in_equal(graph, spikes, subtract=True, fires_at=True) == 1


def ours(reset, *, residual, head=True, kind=IF, **parameters):
    """An integer network: convolutions, perhaps a shortcut, perhaps a dense layer."""
    rng = np.random.default_rng(4)

    def population(name, shape, threshold):
        return Population(
            name=name, shape=shape, neuron=kind(threshold=threshold, reset=reset, **parameters)
        )

    def conv(out, into, kernel):
        weight = rng.integers(-6, 8, (out, into, kernel, kernel))
        return Conv2d(weight=weight, padding=(kernel // 2, kernel // 2))

    populations = [
        Population(name="image", shape=(2, 8, 8), neuron=Input(encoding=Encoding.SPIKES)),
        population("one", (4, 8, 8), 12),
        population("two", (4, 8, 8), 8),
    ]
    projections = [
        Projection(source="image", target="one", synapse=conv(4, 2, 3)),
        Projection(source="one", target="two", synapse=conv(4, 4, 3)),
    ]
    if residual:
        projections.append(Projection(source="one", target="two", synapse=conv(4, 4, 1)))
    if head:
        populations.append(population("last", (5,), 16))
        weight = rng.integers(-6, 7, (5, 256))
        projections.append(Projection(source="two", target="last", synapse=Dense(weight=weight)))
    return Network(populations=populations, projections=projections, timesteps=STEPS)


def runs_there(network, spikes):
    """Whether a framework's spikes (T, B, ...) are those of the network."""
    want = Reference(network).run(IMAGES, spikes=True).spikes[network.output.name].transpose(0, 1)
    assert int(want.sum()) > 20
    return int((spikes.reshape(want.shape) != want).sum()) == 0


@pytest.mark.parametrize("residual", [False, True])
def test_ours_runs_in_spikingjelly(residual):
    pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed")
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    network = ours(Reset.ZERO, residual=residual)
    graph = to_nir(network, dt=DT, fires_at=True, integrate_dt=True, float32=True)
    module = import_from_nir(graph, dt=DT)
    state, spikes = {}, []
    with torch.no_grad():
        for frame in FRAMES:
            out = module(frame, state) if state else module(frame)
            out, state = out if isinstance(out, tuple) else (out, state)
            spikes.append(out)
    assert runs_there(network, torch.stack(spikes))


def one_by_one(step):
    """Spikes (T, B, ...) of samples that are run without a batch axis."""
    return torch.stack([torch.stack(step(FRAMES[:, b])) for b in range(BATCH)], dim=1)


@pytest.mark.parametrize("head", [False, True])
def test_ours_runs_in_norse(head):
    norse = pytest.importorskip("norse.torch", reason="Norse is not installed")
    network = ours(Reset.ZERO, residual=False, head=head)
    module = norse.from_nir(to_nir(network, dt=1e-3), dt=1e-3)

    def step(frames):
        state, spikes = None, []
        for frame in frames:
            out, state = module(frame, state)
            spikes.append(out.detach())
        return spikes

    assert runs_there(network, one_by_one(step))


@pytest.mark.parametrize("residual", [False, True])
def test_ours_runs_in_snntorch(residual):
    pytest.importorskip("snntorch", reason="snnTorch is not installed")
    from snntorch.import_nir import import_from_nir

    # snnTorch reads an IF as a neuron that leaks; a LIF without a leak says the same
    network = ours(Reset.ZERO, residual=residual, kind=LIF, decay=0)
    module = import_from_nir(to_nir(network, export="annotated", dt=1e-4))

    def step(frames):
        fresh, state, spikes = copy.deepcopy(module), None, []
        for frame in frames:
            out = fresh(frame) if state is None else fresh(frame, state)
            out, state = out if isinstance(out, tuple) else (out, state)
            spikes.append(out.detach())
        return spikes

    assert runs_there(network, one_by_one(step))


def test_ours_runs_in_sinabs():
    pytest.importorskip("sinabs", reason="sinabs is not installed")
    import sinabs.nir

    network = ours(Reset.SUBTRACT, residual=False, head=False)
    graph = to_nir(network, export="annotated", fires_at=True)
    module = sinabs.nir.from_nir(graph, batch_size=BATCH)
    for layer in module.modules():
        if hasattr(layer, "spike_fn"):  # what its reader sets by itself: many spikes, and a floor
            layer.spike_fn, layer.min_v_mem = sinabs.activation.SingleSpike, None
    with torch.no_grad():
        out = module(FRAMES.transpose(0, 1).reshape(-1, 2, 8, 8))
    out = out[0] if isinstance(out, tuple) else out
    assert runs_there(network, out.reshape(BATCH, STEPS, -1).transpose(0, 1))


@pytest.mark.parametrize("reset", [Reset.ZERO, Reset.SUBTRACT])
def test_sc_neurocore_reads_our_file(tmp_path, reset):
    bridge = pytest.importorskip("sc_neurocore.nir_bridge", reason="sc-neurocore is not installed")
    rng = np.random.default_rng(6)

    def population(name, size, threshold):
        return Population(name=name, shape=(size,), neuron=IF(threshold=threshold, reset=reset))

    def dense(source, target, shape):
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
    export = "explicit" if reset is Reset.SUBTRACT else None
    nir.write(tmp_path / "ours.nir", to_nir(network, export=export))
    theirs = bridge.from_nir(tmp_path / "ours.nir", dt=1.0)
    inputs = (rng.random((BATCH, STEPS, 32)) < 0.3).astype(np.uint8)
    want = Reference(network).run(inputs, spikes=True).spikes["three"].numpy()
    assert want.sum() > 20
    for sample, spikes in zip(inputs, want, strict=True):
        theirs.reset()
        got = [theirs.step({"x": frame.astype(float)})["output"] for frame in sample]
        assert np.array_equal(np.stack(got), spikes)
