"""Max pooling: the maximum itself under the exact code, an OR of spikes under the rate code."""

from __future__ import annotations

import pytest
import torch
from conversion.integers import integers, read
from conversion.models import settle
from oracle import Oracle
from torch import nn

from neurocuda_hw.conversion import convert
from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.quantize import Code
from neurocuda_hw.ground.errors import UnsupportedLayerError
from neurocuda_hw.network.neurons import IF, Reset
from neurocuda_hw.network.synapses import Conv2d, Diagonal


def model() -> nn.Module:
    """Two max poolings, one of which overlaps and pads."""
    return settle(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 5, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            nn.Flatten(),
            nn.Linear(20, 3),
        )
    )


def inputs(count: int = 40) -> torch.Tensor:
    """Real inputs of both signs."""
    return torch.randn((count, 2, 8, 8), generator=torch.Generator().manual_seed(3))


def test_the_exact_code_counts_the_maximum() -> None:
    x = inputs()
    found = integers(read(model(), x), x, levels=5)
    assert found.unequal() == 0
    counts = found.run.counts
    wanted = torch.nn.functional.max_pool2d(counts["layer0"].double(), 2)
    assert torch.equal(counts["layer2"].double(), wanted)
    assert int(counts["layer2"].max()) == 5
    average = torch.nn.functional.avg_pool2d(counts["layer0"].double(), 2)
    assert not torch.equal(wanted, average)


def test_a_neuron_of_n_spikes_fires_in_the_first_n_steps_of_its_window() -> None:
    x = inputs(8)
    found = integers(read(model(), x), x, levels=5)
    for name in ("layer0", "layer2", "layer3", "layer5"):
        window = found.network.window(name)
        spikes = found.run.spikes[name][:, window.start : window.stop].long()
        steps = torch.arange(window.steps).reshape(1, -1, *[1] * (spikes.ndim - 2))
        assert torch.equal(spikes, (steps < spikes.sum(1, keepdim=True)).long())
        assert int(found.run.spikes[name].sum()) == int(spikes.sum())


def test_its_neurons_and_synapses() -> None:
    x = inputs(8)
    network = integers(read(model(), x), x, levels=5).network
    for name, source, kind in (("layer2", "layer0", Diagonal), ("layer5", "layer3", Conv2d)):
        neuron = network[name].neuron
        assert isinstance(neuron, IF)
        assert (int(neuron.threshold), neuron.reset, int(neuron.v_init)) == (1, Reset.ZERO, 0)
        assert network.window(name) == network.window(source)
        (projection,) = network.incoming(name)
        assert isinstance(projection.synapse, kind)
        assert (projection.synapse.weight == 1).all()


def test_the_naive_oracle_agrees() -> None:
    x = inputs(2)
    found = integers(read(model(), x), x, levels=3)
    for number, sample in enumerate(found.payload):
        recording = Oracle(found.network).run(sample[None])
        for name in ("layer2", "layer5"):
            assert recording.spikes[name] == (found.run.spikes[name][number].flatten(1).tolist())


def test_the_rate_code_is_the_or_of_its_window() -> None:
    x = inputs()
    found = integers(read(model(), x), x, code=Code.RATE, levels=6)
    spikes = found.run.spikes
    wanted = torch.nn.functional.max_pool2d(spikes["layer0"].flatten(0, 1).double(), 2)
    assert torch.equal(spikes["layer2"].flatten(0, 1).double(), wanted)
    pooled = torch.nn.functional.max_pool2d(found.run.counts["layer0"].double(), 2)
    more = found.run.counts["layer2"].double() - pooled
    assert float(more.min()) >= 0  # spikes in different steps add up
    assert float(more.max()) > 0


def test_rate_code_warns_and_exact_code_does_not() -> None:
    x = inputs(16)
    convert(model(), x, strategy="exact", qcfs_epochs=0, verbose=False)
    with pytest.warns(UserWarning, match="^max pooling at") as caught:
        convert(model(), x, strategy="qcfs_direct", qcfs_epochs=0, verbose=False)
    assert [str(w.message) for w in caught] == [
        "max pooling at '2', '5' becomes an OR of spikes under the rate code: spikes of a window "
        "that come in different steps add up, so it gives more than the maximum, which costs "
        "accuracy that training through time recovers in part; under the exact code it is the "
        "maximum itself"
    ]


def test_weight_bits_are_not_asked_for_a_maximum() -> None:
    snn, _ = convert(
        model(), inputs(16), strategy="exact", qcfs_epochs=0, weight_bits=[8, 4, 3], verbose=False
    )
    bits = {p.target: p.synapse.weight_bits for p in snn.network.projections}
    assert [bits["layer0"], bits["layer3"], bits["layer7"]] == [8, 4, 3]


def test_it_is_the_maximum_of_the_trained_model() -> None:
    x, trained = inputs(), model().double()
    with torch.no_grad():
        wanted = trained(x.double())
    graph = read(trained.float(), x)
    assert torch.allclose(evaluate(graph, x.double())[-1].flatten(1), wanted)


@pytest.mark.parametrize(
    ("pool", "way_out"),
    [
        (
            nn.AdaptiveMaxPool2d(3),
            "its output size (3, 3) must divide its input size (8, 8): use MaxPool2d",
        ),
    ],
)
def test_what_is_refused(pool: nn.Module, way_out: str) -> None:
    trained = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), pool, nn.Flatten()).eval()
    with pytest.raises(UnsupportedLayerError) as caught:
        read(trained, inputs(4))
    kind = type(pool).__name__
    assert str(caught.value) == f"layer '2' ({kind}) cannot be converted: {way_out}"
