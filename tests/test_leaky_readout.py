"""Readouts that leak: the same membranes in the reference, Verilog, C++ and on the chip's model."""

import numpy as np
import pytest
from oracle import Oracle
from rtl.bench import Bench
from tools import need

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.hls import verify_hls
from neurocuda_hw.loihi import compile as compile_loihi
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.model_file import load, save
from neurocuda_hw.network.neurons import IF, CubaReadout, Encoding, Input, LeakyReadout
from neurocuda_hw.network.ranges import network_ranges
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.network.trace import first_divergence
from neurocuda_hw.reference.reference import Reference

READOUTS = {
    "leaky": LeakyReadout(decay=400),
    "leaky, all parameters": LeakyReadout(
        decay=np.array([0, 1, 700, 2048, 4096]), bias=np.arange(-2, 3), v_init=np.arange(5) * 9 - 20
    ),
    "leaky, beyond what float32 multiplies": LeakyReadout(
        decay=3, v_init=np.array([1048577, -999999, 777777, 1234567, -654321])
    ),
    "current": CubaReadout(du=1000, dv=300),
    "current, all parameters": CubaReadout(
        du=np.array([0, 4096, 300, 5, 900]),
        dv=np.array([100, 0, 4096, 0, 17]),
        bias=np.arange(5) - 1,
        v_init=30 - 17 * np.arange(5),
    ),
}
ENCODINGS = {"spikes": (Encoding.SPIKES, 1), "current": (Encoding.CURRENT, 3)}


def network(neuron, encoding=Encoding.SPIKES, bits=1):
    """Two populations; the input reaches the readout too."""
    rng = np.random.default_rng(2)

    def dense(source, target, shape, delay=0):
        weight = rng.integers(-9, 12, shape)
        return Projection(source=source, target=target, synapse=Dense(weight=weight), delay=delay)

    return Network(
        populations=(
            Population(name="x", shape=(7,), neuron=Input(encoding=encoding, payload_bits=bits)),
            Population(name="hidden", shape=(6,), neuron=IF(threshold=14)),
            Population(name="out", shape=(5,), neuron=neuron),
        ),
        projections=(
            dense("x", "hidden", (6, 7)),
            dense("hidden", "out", (5, 6)),
            dense("x", "out", (5, 7)),
            dense("hidden", "out", (5, 6), 1),
        ),
        timesteps=9,
    )


def cases():
    for name, neuron in READOUTS.items():
        for kind, (encoding, bits) in ENCODINGS.items():
            quick = kind == "spikes" and name == "leaky, all parameters"
            yield pytest.param(
                network(neuron, encoding, bits),
                id=f"{name}, {kind}",
                marks=[] if quick else [pytest.mark.slow],
            )


def inputs_of(found, samples=6):
    low, high = found.input.neuron.payload
    held = found.input.neuron.encoding is Encoding.CURRENT
    shape = found.input.shape if held else (found.timesteps, *found.input.shape)
    return np.random.default_rng(5).integers(low, high + 1, (samples, *shape))


@pytest.mark.parametrize("found", list(cases()))
def test_every_target_reads_the_same_membranes(found, tmp_path):
    need(find_compiler())
    inputs = inputs_of(found)
    trace = Reference(found).trace(inputs)
    assert len(np.unique(trace.outputs)) > 10
    assert trace.outputs.tolist() == [Oracle(found).run(x).outputs for x in inputs]
    lanes = {"hidden": 2, "out": 1 if found.input.neuron.payload_bits == 1 else 5}
    verilog = Bench(found, lanes=lanes, stalls=0.3, seed=1).run(inputs[:4])
    assert first_divergence(found, trace.select(slice(0, 4)), verilog) is None
    assert verify_hls(found, trace, tmp_path, optimise=0).equal
    chip = compile_loihi(found).run(inputs, cost=False).trace
    assert first_divergence(found, trace, chip) is None


@pytest.mark.parametrize("name", READOUTS)
def test_files_and_hashes(name, tmp_path):
    found = network(READOUTS[name])
    save(found, tmp_path / "network.pt")
    assert load(tmp_path / "network.pt") == found
    assert found != network(LeakyReadout(decay=399))
    assert found != network(CubaReadout(du=1000, dv=301))


def test_ranges_of_what_leaks_are_narrower():
    still = network_ranges(network(LeakyReadout(decay=0)))["out"].membrane
    leaking = network_ranges(network(LeakyReadout(decay=2048)))["out"].membrane
    assert 2 * leaking.highest < still.highest
    assert leaking.lowest > still.lowest


def test_decays_have_bounds():
    with pytest.raises(ModelError, match=r"^decay must be 0 to 4096 \(12 fractional bits\), not "):
        LeakyReadout(decay=4097)
    with pytest.raises(ModelError, match=r"^du must be 0 to 4096 \(12 fractional bits\), not "):
        CubaReadout(du=-1, dv=0)
