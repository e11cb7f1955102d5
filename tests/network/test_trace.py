"""Trace files, and the first place where two traces part ways."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import SPIKES, chain
from strategies import inputs_for, networks

from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import IF, Readout
from neurocuda_hw.network.synapses import Conv2d, Dense
from neurocuda_hw.network.trace import Trace, first_divergence, load_trace, pack
from neurocuda_hw.reference.reference import Reference


def example() -> Network:
    """Two spiking populations and a readout."""
    rng = np.random.default_rng(3)
    return chain(
        4,
        {
            "input": ((1, 5, 5), SPIKES),
            "conv": ((2, 3, 3), IF(threshold=4)),
            "hidden": ((11,), IF(threshold=3)),
            "out": ((3,), Readout()),
        },
        Conv2d(weight=rng.integers(-3, 5, (2, 1, 3, 3))),
        Dense(weight=rng.integers(-3, 4, (11, 18))),
        Dense(weight=rng.integers(-5, 5, (3, 11))),
    )


def recorded(membranes: bool = False) -> Trace:
    """Four samples of the example."""
    inputs = np.random.default_rng(0).integers(0, 2, (4, 4, 1, 5, 5))
    return Reference(example()).trace(inputs, membranes=membranes)


def flipped(trace: Trace, name: str, *places: tuple[int, int, int]) -> Trace:
    """The trace with the bits at (sample, step, neuron) flipped."""
    bits = trace.bits(name).copy()
    for place in places:
        bits[place] ^= 1
    return replace(trace, spikes={**trace.spikes, name: pack(bits)})


@settings(max_examples=50)
@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    network = data.draw(networks())
    inputs = data.draw(inputs_for(network, samples=2))
    membranes = data.draw(st.booleans())
    trace = Reference(network).trace(inputs, membranes=membranes)
    content = trace.to_bytes()
    read = Trace.from_bytes(content)
    assert read.to_bytes() == content
    assert (read.network_hash, read.timesteps) == (network.hash, network.timesteps)
    assert read.inputs.tolist() == trace.inputs.tolist()
    assert read.outputs.tolist() == trace.outputs.tolist()
    assert list(read.sizes.items()) == list(trace.sizes.items())
    for name in trace.sizes:
        assert read.bits(name).tolist() == trace.bits(name).tolist()
        assert not membranes or read.membranes[name].tolist() == trace.membranes[name].tolist()
    assert first_divergence(network, trace, read) is None


def test_same_trace_same_bytes() -> None:
    assert recorded(membranes=True).to_bytes() == recorded(membranes=True).to_bytes()


def test_bits_and_counts() -> None:
    network, trace = example(), recorded()
    run = Reference(network).run(trace.inputs, spikes=True)
    for name in ("conv", "hidden"):
        spikes = run.spikes[name].flatten(2).numpy()
        assert trace.bits(name).tolist() == spikes.tolist()
        assert trace.bits(name, 2).tolist() == spikes[2].tolist()
        assert trace.counts(name).tolist() == spikes.sum(axis=(1, 2)).tolist()
    assert trace.counts("hidden").sum() > 0


def test_pack_puts_the_first_neuron_into_bit_0() -> None:
    assert pack(np.array([1, 0, 0, 1, 0, 0, 0, 0, 0, 1])).tolist() == [0b1001, 0b10]


def test_select() -> None:
    trace = recorded(membranes=True)
    part = trace.select(slice(1, 3))
    assert part.samples == 2
    assert part.inputs.tolist() == trace.inputs[1:3].tolist()
    assert part.outputs.tolist() == trace.outputs[1:3].tolist()
    assert part.bits("conv").tolist() == trace.bits("conv")[1:3].tolist()
    assert part.membranes["conv"].tolist() == trace.membranes["conv"][1:3].tolist()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_truncated(tmp_path: Path, kept: float) -> None:
    content = recorded().to_bytes()
    path = tmp_path / "trace.npz"
    path.write_bytes(content[: int(len(content) * kept)])
    message = (
        f"{str(path)!r} is not a readable trace (File is not a zip file); make it again with "
        "'nchw golden'"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        load_trace(path)


def test_any_flipped_bit_is_refused_or_harmless() -> None:
    trace, rng, refused = recorded(), np.random.default_rng(0), 0
    content = trace.to_bytes()
    for place in rng.integers(0, len(content), 300):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        try:
            assert Trace.from_bytes(bytes(damaged)).to_bytes() == content
        except ModelError:
            refused += 1
    assert refused > 50


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.npz"
    message = f"cannot read the trace {str(path)!r}: No such file or directory"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        load_trace(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b'"version": 1',
            b'"version": 9',
            "trace must be a trace of version 1, not 9; make it again with 'nchw golden'",
        ),
        (
            b"neurocuda_hw.trace",
            b"another.framework.",
            "trace is not a readable trace ('another.framework.'); make it again with "
            "'nchw golden'",
        ),
        (
            b'"hidden": 11',
            b'"hidden": 99',
            "trace is not a readable trace (spikes of hidden have the shape (4, 4, 2)); make it "
            "again with 'nchw golden'",
        ),
    ],
)
def test_refuses_other_files(old: bytes, new: bytes, message: str) -> None:
    with np.load(io.BytesIO(recorded().to_bytes())) as archive:
        arrays = {name: archive[name] for name in archive.files}
    meta = arrays["meta"].tobytes()
    assert old in meta
    arrays["meta"] = np.frombuffer(meta.replace(old, new), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        Trace.from_bytes(buffer.getvalue())


def test_never_unpickles() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelError, match="Object arrays cannot be loaded when allow_pickle=False"):
        Trace.from_bytes(buffer.getvalue())


def test_equal_traces_do_not_diverge() -> None:
    assert first_divergence(example(), recorded(), recorded()) is None


@pytest.mark.parametrize(
    ("places", "population", "sample", "step", "neuron", "coordinates"),
    [
        ({"conv": [(0, 0, 0)]}, "conv", 0, 0, 0, (0, 0, 0)),
        ({"conv": [(3, 3, 17)]}, "conv", 3, 3, 17, (1, 2, 2)),
        ({"hidden": [(2, 1, 10)]}, "hidden", 2, 1, 10, (10,)),
        # by sample first, then by step, then in the order of the populations, then by neuron
        ({"conv": [(1, 0, 0)], "hidden": [(0, 3, 9)]}, "hidden", 0, 3, 9, (9,)),
        ({"conv": [(1, 2, 0)], "hidden": [(1, 1, 9)]}, "hidden", 1, 1, 9, (9,)),
        ({"conv": [(1, 1, 5)], "hidden": [(1, 1, 0)]}, "conv", 1, 1, 5, (0, 1, 2)),
        ({"conv": [(1, 1, 12), (1, 1, 7), (1, 2, 0)]}, "conv", 1, 1, 7, (0, 2, 1)),
    ],
)
def test_first_divergence(
    places: dict[str, list[tuple[int, int, int]]],
    population: str,
    sample: int,
    step: int,
    neuron: int,
    coordinates: tuple[int, ...],
) -> None:
    expected = got = recorded()
    for name, flips in places.items():
        got = flipped(got, name, *flips)
    found = first_divergence(example(), expected, got)
    assert found is not None
    assert (found.population, found.sample, found.step) == (population, sample, step)
    assert (found.neuron, found.coordinates) == (neuron, coordinates)
    assert found.expected == expected.bits(population)[sample, step, neuron]
    assert found.got == 1 - found.expected
    assert str(found) == (
        f"first divergence: sample {sample}, population {population!r}, step {step}, neuron "
        f"{neuron} {coordinates}: expected spike {found.expected}, got {found.got}"
    )


def test_outputs_are_compared_last() -> None:
    expected = recorded()
    outputs = expected.outputs.copy()
    outputs[2, 1] += 5
    got = replace(expected, outputs=outputs)
    found = first_divergence(example(), expected, got)
    assert found is not None
    assert str(found) == (
        "first divergence: sample 2, population 'out', neuron 1 (1,): expected output "
        f"{expected.outputs[2, 1]}, got {outputs[2, 1]}"
    )
    same_sample = first_divergence(example(), expected, flipped(got, "hidden", (2, 3, 0)))
    assert same_sample is not None
    assert same_sample.population == "hidden"
    later = first_divergence(example(), expected, flipped(got, "hidden", (3, 0, 0)))
    assert later is not None
    assert later.population == "out"


def test_traces_of_different_networks_or_samples_are_not_compared() -> None:
    trace = recorded()
    for other in (replace(trace, network_hash="f" * 64), trace.select(slice(0, 2))):
        message = (
            "traces must be of one network and the same samples, not "
            f"{trace.network_hash[:12]} x 4 and {other.network_hash[:12]} x {other.samples}"
        )
        with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
            first_divergence(example(), trace, other)
