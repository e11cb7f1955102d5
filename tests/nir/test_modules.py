"""Modules of PyTorch to NIR and back, through nirtorch."""

import nir
import numpy as np
import pytest
import torch
from nir_graphs import GRAPHS

from neurocuda_hw.ground.errors import UnsupportedLayerError
from neurocuda_hw.nir import Executor

pytest.importorskip("nirtorch", reason="nirtorch is not installed")
from neurocuda_hw.nir.modules import from_torch, to_torch

pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks' own code


class Fire(torch.nn.Module):
    """Integrate and fire, reset to 0, of any framework's making."""

    def __init__(self, threshold):
        super().__init__()
        self.threshold, self.v = threshold, 0

    def forward(self, x):
        """One step."""
        self.v = self.v + x
        spikes = (self.v > self.threshold).to(x.dtype)
        self.v = self.v * (1 - spikes)
        return spikes


def as_if(part, shape):
    part.v = 0
    return nir.IF(r=np.ones(shape), v_threshold=np.full(shape, part.threshold))


class Residual(torch.nn.Module):
    """A shortcut with weights, one without, a pool and a bias."""

    def __init__(self):
        super().__init__()
        self.stem, self.fire1 = torch.nn.Conv2d(2, 4, 3, padding=1), Fire(1.0)
        self.conv, self.skip = torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.Conv2d(4, 4, 1)
        self.fire2 = Fire(2.0)
        self.pool, self.flat = torch.nn.AvgPool2d(2), torch.nn.Flatten()
        self.head, self.fire3 = torch.nn.Linear(64, 5), Fire(1.0)
        for parameter in self.parameters():
            values = torch.randint(-10, 10, parameter.shape, generator=torch.manual_seed(2))
            parameter.data = values.float() / 8

    def forward(self, x):
        """One step."""
        a = self.fire1(self.stem(x))
        b = self.fire2(self.conv(a) + self.skip(a) + a)
        return self.fire3(self.head(self.flat(self.pool(b))))


def spikes_of(module, frames):
    with torch.no_grad():
        return torch.stack([module(frame) for frame in frames])


def frames_of(*shape):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(shape, generator=generator) < 0.3).float()


def test_a_residual_module_goes_out_and_back():
    frames = frames_of(20, 3, 2, 8, 8)
    want = spikes_of(Residual(), frames)
    assert 20 < int(want.sum()) < want.numel() - 20
    graph = from_torch(Residual(), frames[0], {Fire: as_if})
    assert {("fire1", "fire2"), ("conv", "fire2"), ("skip", "fire2")} <= set(graph.edges)
    assert graph.nodes["head"].bias.any()
    run = Executor(graph).run(frames.transpose(0, 1), spikes=True)
    assert torch.equal(run.spikes["fire3"].transpose(0, 1), want.to(torch.uint8))
    back, state = to_torch(graph), None
    for frame, spikes in zip(frames, want, strict=True):
        out, state = back(frame, state)
        assert torch.equal(out, spikes)


@pytest.mark.parametrize("name", [n for n in GRAPHS if "recurrent" not in n and "ring" not in n])
def test_graphs_run_as_modules(name):
    if "delay" in name or name == "subgraph":
        pytest.skip("runs in the executor alone")
    graph = GRAPHS[name]
    executor = Executor(graph)
    frames = frames_of(10, 3, *executor.flat.shapes[executor.flat.input])
    want = executor.run(frames.transpose(0, 1)).outputs
    module, state, total = to_torch(graph), None, 0
    for frame in frames:
        out, state = module(frame, state)
        total = out if name == "readout" else total + out
    assert torch.equal(total.double(), want)


def test_what_cannot_be_traced():
    class Twice(Residual):
        def forward(self, x):
            return self.fire1(self.fire1(self.stem(x)))

    with pytest.raises(
        UnsupportedLayerError,
        match=r"^layer 'fire1' \(Fire\) cannot be converted: it is called twice in one step; make "
        r"it two modules$",
    ):
        from_torch(Twice(), torch.zeros(1, 2, 8, 8), {Fire: as_if})

    class Functional(Residual):
        def forward(self, x):
            return self.fire1(torch.relu(self.stem(x)))

    with pytest.raises(
        UnsupportedLayerError,
        match=r"^layer 'Functional' \(function\) cannot be converted: only modules and additions "
        r"can be traced; use the module of each function \(",
    ):
        from_torch(Functional(), torch.zeros(1, 2, 8, 8), {Fire: as_if})


def test_recurrent_graphs_are_refused():
    with pytest.raises(
        UnsupportedLayerError,
        match=r"^layer 's' \(IF\) cannot be converted: nirtorch runs recurrent edges and delays in "
        r"another step; use Executor$",
    ):
        to_torch(GRAPHS["recurrent"])


@pytest.mark.parametrize("framework", ["norse", "snntorch", "sinabs"])
def test_residual_networks_of_frameworks(framework):
    """Their own exporters lose the edges behind an addition; the fx tracer keeps them."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    neuron, table, settings = NEURONS[framework]()

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.fire1 = torch.nn.Conv2d(2, 4, 3, padding=1), neuron()
            self.conv, self.skip = torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.Conv2d(4, 4, 1)
            self.fire2 = neuron()
            for part in (self.stem, self.conv, self.skip):
                values = torch.randint(-9, 13, part.weight.shape, generator=torch.manual_seed(2))
                part.weight.data = values.float() / 8
                part.bias.data.fill_(0.125)

        def forward(self, x):
            a = self.fire1(self.stem(x))
            return self.fire2(self.conv(a) + self.skip(a))

    frames = frames_of(20, 3, 2, 8, 8)
    graph = from_torch(Net(), frames[0], table)
    want = spikes_of(Net(), frames)
    run = Executor(graph, **settings).run(frames.transpose(0, 1), spikes=True)
    assert int(want.sum()) > 100
    assert torch.equal(run.spikes["fire2"].transpose(0, 1), want.to(torch.uint8))


def norse():
    """Norse's neurons return their state: here a module keeps it."""
    import norse.torch as nt

    class Keeping(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.state = nt.IAFCell(), None

        def forward(self, x):
            out, self.state = self.cell(x, self.state)
            return out

    return Keeping, {Keeping: lambda part, shape: nir.IF(np.ones(shape), np.ones(shape))}, {}


def snntorch():
    import snntorch as snn

    def make():
        return snn.Leaky(beta=0.5, init_hidden=True, reset_mechanism="zero", reset_delay=False)

    def node(part, shape):
        ones = np.ones(shape)
        return nir.LIF(tau=2 * ones, r=2 * ones, v_leak=0 * ones, v_threshold=ones)

    return make, {snn.Leaky: node}, {"dt": 1.0}


def sinabs():
    import sinabs.activation
    import sinabs.layers as sl

    class Stepped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = sl.IAF(min_v_mem=None, spike_fn=sinabs.activation.SingleSpike)

        def forward(self, x):
            return self.cell(x[:, None])[:, 0]

    table = {Stepped: lambda part, shape: nir.IF(np.ones(shape), np.ones(shape))}
    return Stepped, table, {"subtract": True, "fires_at": True}


NEURONS = {"norse": norse, "snntorch": snntorch, "sinabs": sinabs}
