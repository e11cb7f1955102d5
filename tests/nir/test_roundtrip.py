"""Networks out to NIR and back: equal, spike for spike, through a file and in every style."""

import nir
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small import chain
from strategies import inputs_for, networks

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, LIF, CubaLIF, Encoding, Input, Readout, Reset, Window
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool
from neurocuda_hw.nir import Executor, from_nir, hdf5, nir_bytes, read, to_nir
from neurocuda_hw.nir.read import from_bytes
from neurocuda_hw.reference.reference import Reference


def exported(network, export):
    """The graph as `export`, or None where it says that NIR has no way to express it."""
    try:
        return to_nir(network, export=export)
    except ModelError as error:
        known = ("no reshape", "cannot say", "cannot add", "must be added up", "feeds back")
        if not any(text in str(error) for text in known):
            raise
        return None


def through_a_file(graph):
    """The graph as another process would read it."""
    return from_bytes(nir_bytes(graph), parser=lambda data: hdf5.filled(*hdf5.parse(data)))


@pytest.mark.slow
@settings(max_examples=60)
@given(networks())
def test_annotated_comes_back_equal(network):
    graph = exported(network, "annotated")
    assume(graph is not None)
    assert from_nir(through_a_file(graph)) == network


@pytest.mark.slow
@settings(max_examples=60)
@given(networks(windows=False, floors=False, signed=False))
def test_explicit_comes_back_equal(network):
    graph = exported(network, "explicit")
    assume(graph is not None)
    assert from_nir(through_a_file(graph)) == network


def float_spikes(graph, network, inputs):
    """Spikes of the graph in float64, which is exact on integers of this size."""
    held = network.input.neuron.encoding is Encoding.CURRENT
    return Executor(graph, dt=1.0).run(
        torch.as_tensor(inputs), timesteps=network.timesteps if held else None, spikes=True
    )


@settings(max_examples=60)
@given(
    networks(neurons=(IF,), windows=False, floors=False),
    st.data(),
)
def test_explicit_says_it_without_metadata(network, data):
    graph = exported(network, "explicit")
    assume(graph is not None)
    for node in (graph, *graph.nodes.values()):
        node.metadata = {}
    inputs = data.draw(inputs_for(network, samples=3))
    want = Reference(network).run(inputs, spikes=True)
    got = float_spikes(graph, network, inputs)
    for name, spikes in want.spikes.items():
        assert torch.equal(got.spikes[name], spikes), name
    if isinstance(network.output.neuron, Readout):
        units = 1.0 if network.output.scale is None else network.output.scale
        outputs = got.outputs.flatten(1) / torch.as_tensor(units)
        assert torch.equal(outputs.to(torch.int64), want.outputs)


def resnet(seed=0, steps=8):
    """Three stages of two residual blocks, 8, 16 and 32 channels, with downsampling shortcuts."""
    rng = np.random.default_rng(seed)

    def conv(out, into, kernel, stride=1):
        weight = rng.integers(-20, 24, (out, into, kernel, kernel))
        return Conv2d(weight=weight, stride=(stride, stride), padding=(kernel // 2, kernel // 2))

    def neuron(channels, level):
        threshold = rng.integers(level, 2 * level, channels)
        bias = rng.integers(-9, 10, channels)
        return IF(threshold=threshold, bias=bias, v_init=threshold // 2)

    populations = [
        Population(
            name="image",
            shape=(3, 16, 16),
            neuron=Input(encoding=Encoding.CURRENT, payload_bits=4),
        ),
        Population(name="stem", shape=(8, 16, 16), neuron=neuron(8, 900)),
    ]
    projections = [Projection(source="image", target="stem", synapse=conv(8, 3, 3))]
    last, channels, size = "stem", 8, 16
    for stage in range(3):
        for block in range(2):
            down = stage > 0 and block == 0
            out, stride = 8 * 2**stage, 2 if down else 1
            size //= stride
            first, second = f"s{stage}b{block}_a", f"s{stage}b{block}_b"
            shape = (out, size, size)
            populations.append(Population(name=first, shape=shape, neuron=neuron(out, 120)))
            populations.append(Population(name=second, shape=shape, neuron=neuron(out, 120)))
            shortcut = conv(out, channels, 1, 2) if down else Diagonal(weight=np.full(out, 120))
            projections += [
                Projection(source=last, target=first, synapse=conv(out, channels, 3, stride)),
                Projection(source=first, target=second, synapse=conv(out, out, 3)),
                Projection(source=last, target=second, synapse=shortcut),
            ]
            last, channels = second, out
    head = Dense(weight=rng.integers(-60, 60, (10, 32)), pool=SumPool(kernel=(size, size)))
    readout = Readout(bias=rng.integers(-9, 9, 10), v_init=rng.integers(-30, 30, 10))
    populations.append(Population(name="logits", shape=(10,), neuron=readout))
    projections.append(Projection(source=last, target="logits", synapse=head))
    return Network(name="resnet", populations=populations, projections=projections, timesteps=steps)


@pytest.mark.slow
def test_resnet_makes_the_round_trip_without_a_spike_of_difference(tmp_path):
    network = resnet()
    graph = to_nir(network, export="explicit")
    nir.write(tmp_path / "resnet.nir", graph)
    again = from_nir(read(tmp_path / "resnet.nir"))
    assert again == network
    inputs = np.random.default_rng(1).integers(0, 16, (100, 3, 16, 16))
    want = Reference(network).run(inputs, spikes=True)
    ours = Reference(again).run(inputs, spikes=True)
    graphs = float_spikes(read(tmp_path / "resnet.nir"), network, inputs)
    fired = [int(s.sum()) for s in want.spikes.values()]
    assert min(fired) > 1000
    for name, spikes in want.spikes.items():
        assert int((spikes != ours.spikes[name]).sum()) == 0, name
        assert int((spikes != graphs.spikes[name]).sum()) == 0, name
    assert torch.equal(want.outputs, ours.outputs)
    assert torch.equal(want.outputs, graphs.outputs.to(torch.int64))


def test_structure_alone_reads_back_as_the_same_network():
    network = resnet()
    graph = to_nir(network, export="explicit")
    for node in (graph, *graph.nodes.values()):
        node.metadata = {}
    again = from_nir(
        graph, 8, encoding=Encoding.CURRENT, payload_bits=4, weight_bits=12, name="resnet"
    )
    for want, got in zip(network.targets, again.targets, strict=True):
        assert want.shape == got.shape
        assert type(want.neuron) is type(got.neuron)
        for field in want.neuron.arrays:
            one, two = getattr(want.neuron, field), getattr(got.neuron, field)
            one, two = (np.broadcast_to(want.spread(v), want.shape) for v in (one, two))
            assert np.array_equal(one, two), (want.name, field)
    inputs = np.random.default_rng(2).integers(0, 16, (4, 3, 16, 16))
    assert torch.equal(Reference(network).run(inputs).outputs, Reference(again).run(inputs).outputs)


def small(neuron, **of_input):
    """One input and one population."""
    settings_ = {"encoding": Encoding.SPIKES, **of_input}
    return chain(
        5,
        {
            "x": ((3,), Input(**settings_)),
            "y": ((2,), neuron),
        },
        Dense(weight=np.arange(6).reshape(2, 3)),
    )


@pytest.mark.parametrize(
    ("neuron", "what"),
    [
        (IF(threshold=3), "reset by subtraction"),
        (IF(threshold=3, reset=Reset.ZERO, v_init=1), "an initial membrane"),
        (IF(threshold=3, reset=Reset.ZERO, v_floor=-1), "a floor of the membrane"),
        (IF(threshold=3, reset=Reset.ZERO, window=Window(start=0, stop=2)), "a window of steps"),
        (LIF(threshold=3, reset=Reset.ZERO, decay=9), "a step's length for its leak"),
        (
            LIF(threshold=3, decay=9, v_init=2),
            "reset by subtraction and a step's length for its leak and an initial membrane",
        ),
    ],
)
def test_refuses_without_a_style(neuron, what):
    with pytest.raises(
        ModelError,
        match=rf"^population 'y' needs {what}, which NIR cannot express: choose the export "
        r"'explicit' \(more nodes, any tool runs it\) or 'annotated' \(plain nodes, the rest in "
        r"metadata that other tools do not read\)$",
    ):
        to_nir(small(neuron))


def test_plain_nir_needs_no_style():
    network = small(IF(threshold=np.array([3, 4]), reset=Reset.TO_VALUE, v_reset=1))
    graph = to_nir(network)
    assert type(graph.nodes["y"]) is nir.IF
    assert graph.nodes["y"].v_threshold.tolist() == [2, 3]
    assert graph.nodes["y"].v_threshold.dtype.kind == "i"
    assert graph.nodes["y_from_x"].weight.dtype == np.int8
    assert from_nir(graph) == network
    assert to_nir(network, fires_at=True).nodes["y"].v_threshold.tolist() == [3, 4]


def test_annotated_thresholds_are_what_a_tool_subtracts():
    """Such a tool fires above the number that it subtracts: from 1 below 0 that is our rule."""
    for v_init, written in ((-1, 7), (0, 6)):
        graph = to_nir(small(IF(threshold=7, v_init=v_init)), export="annotated")
        assert graph.nodes["y"].v_threshold.tolist() == [written] * 2
    graph = to_nir(small(IF(threshold=7)), export="annotated", fires_at=True)
    assert graph.nodes["y"].v_threshold.tolist() == [7, 7]


def test_a_module_around_a_network_carries_its_export():
    class Module:
        network, nir_export = small(IF(threshold=7)), "auto"

    assert type(to_nir(Module()).nodes["y"]) is nir.Threshold
    assert type(to_nir(Module(), export="annotated").nodes["y"]) is nir.IF
    windowed = small(IF(threshold=7, window=Window(start=0, stop=2)))
    graph = to_nir(windowed, 9, "My SNN", export="auto")
    assert type(graph.nodes["y"]) is nir.IF
    assert (from_nir(graph).timesteps, from_nir(graph).name) == (9, "my_snn")
    plain = small(IF(threshold=7, reset=Reset.ZERO))
    assert to_nir(plain, export="auto").metadata["neurocuda_hw"]["export"] == "plain"
    with pytest.raises(
        ValueError, match=r"^export must be 'explicit', 'annotated' or 'auto', not 'soft'$"
    ):
        to_nir(plain, export="soft")


@pytest.mark.parametrize(
    ("neuron", "why"),
    [
        (IF(threshold=3, window=Window(start=0, stop=2)), "has a window of steps"),
        (IF(threshold=3, v_floor=0), "has a floor of the membrane"),
        (LIF(threshold=3, decay=9, v_init=2), "leaks and has an initial membrane"),
        (CubaLIF(threshold=3, du=9, dv=9), "subtracts behind a synaptic current"),
    ],
)
def test_explicit_refuses_what_nodes_cannot_say(neuron, why):
    with pytest.raises(
        ModelError,
        match=rf"^population 'y' {why}, which NIR nodes cannot say; choose the export 'annotated'$",
    ):
        to_nir(small(neuron), export="explicit")


def test_other_steps_and_name():
    network = small(IF(threshold=3))
    graph = to_nir(network, 9, "renamed", export="annotated")
    again = from_nir(graph)
    assert (again.timesteps, again.name) == (9, "renamed")
    assert from_nir(graph, 5) == network


def test_altered_files_are_noticed():
    graph = to_nir(small(IF(threshold=3)), export="annotated")
    graph.nodes["y_from_x"].weight = graph.nodes["y_from_x"].weight + 1
    with pytest.raises(
        ModelError,
        match=r"^the notes of neurocuda_hw in this NIR graph do not fit its nodes; export it "
        r"again, or remove its metadata to read it as any other graph$",
    ):
        from_nir(graph)
