"""The host programs: words, frames, and what they do with a device that misbehaves."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from host.networks import NETWORKS, FakeDevice, refusal, spoken
from tools import need

from neurocuda_hw.data.stimulus import default_inputs, packets
from neurocuda_hw.ground.toolchain import find_compiler, find_make
from neurocuda_hw.host.facts import facts_of
from neurocuda_hw.host.files import host_files
from neurocuda_hw.host.nchw_host import (
    ANSWER,
    ESCAPE,
    MARK,
    WAITING,
    Device,
    Facts,
    Frames,
    HostError,
    Kind,
    NoAnswer,
    Reason,
    open_serial,
    read_facts,
    stuffed,
)
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.reference.reference import Reference

SAMPLES = 12


def golden(network: Network) -> Trace:
    """Inputs of all kinds and what the network makes of them."""
    return Reference(network).trace(default_inputs(network, SAMPLES))


def known(network: Network, *, raster: bool = False) -> Facts:
    """Its facts; values of a readout have 24 bits."""
    return facts_of(network, 24, raster=raster)


def travelling(facts: Facts, words: np.ndarray) -> bytes:
    """Words of a 32-bit stream as they travel, bit by bit."""
    out = b""
    for word in words.tolist():
        mark, low = word >> 31, word & ((1 << (8 * facts.input_bytes - 1)) - 1)
        out += (low | mark << (8 * facts.input_bytes - 1)).to_bytes(facts.input_bytes, "little")
    return out


@pytest.mark.parametrize("raster", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_words_are_those_of_the_test_benches(name: str, raster: bool) -> None:
    network = NETWORKS[name]
    facts, inputs = known(network, raster=raster), default_inputs(network, SAMPLES)
    assert facts.input_bytes < 4
    for sample in inputs[1:]:  # that of a silent one may differ: a mark, or an event of 0
        words, _ = packets(network, sample[None], 32, raster=raster)
        assert facts.encode(sample) == travelling(facts, words)
    assert facts.encode(inputs[0]) == travelling(facts, np.array([1 << 31], dtype=np.uint64))


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_read(name: str) -> None:
    trace = golden(NETWORKS[name])
    facts = known(NETWORKS[name])
    assert trace.outputs.any()
    for sample in range(SAMPLES):
        answer = spoken(facts, trace, sample)
        assert np.array_equal(facts.decode(answer), trace.outputs[sample])
        with pytest.raises(HostError, match="the answer must"):
            facts.decode(answer[: -facts.output_bytes])


def test_real_inputs_are_quantised_as_the_network_does() -> None:
    network = NETWORKS["current"]
    population = replace(network.input, scale=np.array([0.5, 0.01, 2.0]))
    network = replace(network, populations=(population, *network.populations[1:]))
    real = np.random.default_rng(0).normal(0, 100, (4, 3, 4, 4))
    assert np.array_equal(known(network).quantise(real), population.quantise(real))
    with pytest.raises(HostError, match="no input scale: give integers"):
        known(NETWORKS["current"]).quantise(real)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (np.zeros((3, 4, 4)), "an input must be integers"),
        (np.zeros((3, 4, 3), np.int8), "an input must be integers"),
        (np.full((3, 4, 4), 256), "inputs must be 0 to 255, not 256 to 256"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(given: np.ndarray, complaint: str) -> None:
    with pytest.raises(HostError, match=complaint):
        known(NETWORKS["current"]).encode(given)


def test_frames_come_whole_or_not_at_all() -> None:
    chance = random.Random(4)
    frames = Frames()
    for _ in range(300):
        content = bytes(
            chance.choice([MARK, ESCAPE, 0, 0x5E, chance.randrange(256)]) for _ in range(9)
        )
        head = bytes([3, chance.randrange(256), 0, 9]) + content
        sent = stuffed(head)
        assert [f for f in map(frames.take, sent) if f is not None] == [head]
        place = chance.randrange(len(sent))
        cut = sent[:place] + sent[place + 1 :]
        flipped = sent[:place] + bytes([sent[place] ^ 1 << chance.randrange(8)]) + sent[place + 1 :]
        for harmed in (cut, flipped):
            assert [f for f in map(frames.take, harmed) if f is not None] == []


@pytest.fixture(scope="module", params=["spikes", "signed", "current", "late"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host programs of a network, the one in C compiled."""
    need(find_compiler(), find_make())
    place: Path = tmp_path_factory.mktemp(request.param)
    for path, content in host_files(known(NETWORKS[request.param])).items():
        (place / path).parent.mkdir(exist_ok=True)
        (place / path).write_bytes(content)
    done = subprocess.run(
        ["make", "-C", str(place / "host")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def test_both_programs_print_the_outputs(folder: Path, tmp_path: Path) -> None:
    facts = read_facts(folder / "host" / "nchw_host.json")
    network = next(n for n in NETWORKS.values() if n.hash == facts.hash)
    trace = golden(network)
    np.save(tmp_path / "x.npy", trace.inputs)
    trace.inputs.astype(np.int32).tofile(tmp_path / "x.bin")
    want = "".join(f"{' '.join(map(str, row))}\n" for row in trace.outputs)
    for program, file in (
        ([sys.executable, folder / "host" / "nchw_host.py"], "x.npy"),
        ([folder / "host" / "nchw_host"], "x.bin"),
    ):
        with FakeDevice(facts, trace) as device:
            done = subprocess.run(
                [*program, "--serial", device.where, "--inputs", tmp_path / file],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert (done.returncode, done.stderr, done.stdout) == (0, "", want)


def asked(device: FakeDevice, facts: Facts, trace: Trace, patience: float = 5.0) -> Device:
    """A host that has run all golden samples, and found them equal."""
    line = open_serial(device.where, 115_200)
    host = Device(line, facts, baud=10_000_000, patience=patience)
    try:
        for given, want in zip(trace.inputs, trace.outputs, strict=True):
            assert np.array_equal(host.run(given), want)
    finally:
        line.close()
    return host


def test_a_host_takes_what_is_refused_and_lost_in_its_stride() -> None:
    network = NETWORKS["spikes"]
    facts, trace = known(network), golden(network)
    chance = random.Random(1)
    kinds = [Reason.CHECKSUM, Reason.HALF, Reason.EMPTY, Reason.RESTARTED, Reason.SEQUENCE]

    def harm(request: bytes) -> bytes | None:
        if chance.random() < 0.8:
            return None
        reason = chance.choice([*kinds, None])
        if reason is None:
            return b""
        if reason in kinds[3:] and request[0] not in (Kind.INPUT, Kind.OUTPUT):
            return None
        return refusal(reason, request[1])

    with FakeDevice(facts, trace, harm) as device:
        host = asked(device, facts, trace)
    assert host.retries > 5
    assert host.restarts > 2


def test_answers_to_other_requests_are_not_taken() -> None:
    network = NETWORKS["signed"]
    facts, trace = known(network), golden(network)

    def harm(request: bytes) -> bytes | None:
        if request[0] != Kind.OUTPUT or len(device.requests) % 3:
            return None
        size = facts.outputs * facts.output_bytes
        old = stuffed(bytes([ANSWER | Kind.OUTPUT, request[1] - 1 & 255, 0x80, size]) + bytes(size))
        other = stuffed(bytes([ANSWER | Kind.STATUS, request[1], 0x80, 0]))
        return old + other

    with FakeDevice(facts, trace, harm) as device:
        host = asked(device, facts, trace)
    assert host.retries >= SAMPLES // 4


def test_outputs_are_read_where_there_is_no_room_for_inputs() -> None:
    network = NETWORKS["signed"]
    facts, trace = known(network), golden(network).select(slice(1, 2))
    told: list[int] = []

    def harm(request: bytes) -> bytes | None:
        told.append(request[0])
        if request[0] == Kind.INPUT and told.count(Kind.INPUT) == 1:
            return refusal(Reason.BUSY, request[1], WAITING)
        if request[0] == Kind.OUTPUT and told.count(Kind.OUTPUT) == 1:
            return stuffed(bytes([ANSWER | Kind.OUTPUT, request[1], 0, 0]))
        return None

    with FakeDevice(facts, trace, harm) as device:
        asked(device, facts, trace)
    order = [Kind.HELLO, Kind.RESET, Kind.INPUT, Kind.OUTPUT, Kind.INPUT, Kind.OUTPUT]
    assert told == order


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", "the device does not answer HELLO: nothing came"),
        (
            refusal(Reason.CHECKSUM),
            "the device does not answer HELLO: the last answer was CHECKSUM",
        ),
        (b"noise", "the device does not answer HELLO: nothing came"),
    ],
)
def test_a_device_that_never_answers_is_given_up(answer: bytes, complaint: str) -> None:
    network = NETWORKS["signed"]
    facts, trace = known(network), golden(network)
    with (
        FakeDevice(facts, trace, lambda request: answer) as device,
        pytest.raises(NoAnswer, match=complaint),
    ):
        asked(device, facts, trace, patience=0.5)


def test_what_the_network_dropped_is_told() -> None:
    network = NETWORKS["signed"]
    facts, trace = known(network), golden(network)

    def harm(request: bytes) -> bytes | None:
        if request[0] != Kind.OUTPUT:
            return None
        size = facts.outputs * facts.output_bytes
        return stuffed(bytes([ANSWER | Kind.OUTPUT, request[1], 0x82, size]) + bytes(size))

    with (
        FakeDevice(facts, trace, harm) as device,
        pytest.raises(HostError, match="the network dropped words of the input: ADDRESS"),
    ):
        asked(device, facts, trace)
