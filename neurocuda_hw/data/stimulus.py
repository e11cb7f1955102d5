"""What the test benches are fed with: AXI4-Stream packets and expected spikes, as binary files.

One packet is one inference. A word holds, from bit 0 up: the address {c, y, x} (x lowest), the
payload in two's complement (absent for SPIKES); its top bit marks the end of a step, and then
nothing else in it counts. Markers that are missing up to step T are implied by TLAST, which is on
the last word.

All files are little-endian::

    stimulus.bin   "NCHWSTM1"  u32 bytes per word (4 or 8)  u32 samples S  u64 words in all
                   u64[S] index of the word after each packet's last       the words
    expected.bin   "NCHWEXP1"  u32 samples S  u32 steps T  u32 populations P  u32 outputs M
                   u32[P] neurons of each population
                   per sample: for each population T x ceil(N / 8) bytes of spikes (first neuron in
                   bit 0 of the first byte), then i64[M] outputs
"""

from __future__ import annotations

import struct

import numpy as np

from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.network.wire import address_bits, event_bits, payload_bits

STIMULUS_MAGIC = b"NCHWSTM1"
EXPECTED_MAGIC = b"NCHWEXP1"


def addresses(shape: tuple[int, int, int], bits: tuple[int, int, int]) -> np.ndarray:
    """The packed address {c, y, x} of each neuron in C order, ``(C * H * W,)`` uint64."""
    c, y, x = np.indices(shape, dtype=np.uint64).reshape(3, -1)
    _, y_bits, x_bits = (np.uint64(b) for b in bits)
    return (c << (y_bits + x_bits)) | (y << x_bits) | x


def packets(
    network: Network, inputs: np.ndarray, word_bits: int, *, raster: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs as stream words.

    Parameters
    ----------
    inputs : int array, (S, steps of the input window, *shape), or (S, *shape) for CURRENT
        As in a `Trace`.
    word_bits : int
        Width of TDATA, 32 or 64.
    raster : bool
        The events of a step come by lines, from the top; else by channels.

    Returns
    -------
    (words, ends)
        uint64 words of all packets, and for each packet the index after its last word, ``(S,)``.

    Raises
    ------
    ModelError
        If address and payload do not fit under the top bit.
    """
    population = network.input
    bits, extra_bits = address_bits(population), payload_bits(population)
    if word_bits not in (32, 64):
        raise ValueError(f"word_bits must be 32 or 64, not {word_bits!r}")
    if event_bits(population) > word_bits:
        raise ModelError(
            f"population {population.name!r}: address ({sum(bits)} bits) and payload "
            f"({extra_bits} bits) must fit into {word_bits - 1} bits of a stream word"
        )
    samples = len(inputs)
    frames = np.ascontiguousarray(inputs).reshape(samples, -1, population.size)
    sends = frames != 0
    if extra_bits:  # an inference without an event says so by one of payload 0, which adds nothing
        sends[:, 0, 0] |= ~sends.any(axis=(1, 2))
    sample, step, neuron = np.nonzero(sends)
    if raster:
        _, height, width = population.chw
        by_line = np.lexsort((neuron // width % height, step, sample))
        sample, step, neuron = sample[by_line], step[by_line], neuron[by_line]
    payload = frames[sample, step, neuron].astype(np.int64)
    words = addresses(population.chw, bits)[neuron]
    if extra_bits:
        mask = np.int64((1 << extra_bits) - 1)
        words = words | ((payload & mask).astype(np.uint64) << np.uint64(sum(bits)))
    step = step + network.window(population.name).start
    events = np.bincount(sample, minlength=samples)
    last = np.full(samples, -1, dtype=np.int64)
    np.maximum.at(last, sample, step)
    markers = np.where(
        events == 0, 1, last
    )  # before the last event; an empty packet needs one word
    ends = np.cumsum(events + markers)
    before = np.concatenate(([0], np.cumsum(markers)[:-1]))  # markers of earlier packets
    stream = np.full(int(ends[-1]) if samples else 0, np.uint64(1) << np.uint64(word_bits - 1))
    stream[np.arange(len(words)) + before[sample] + step] = words
    return stream, ends.astype(np.uint64)


def stimulus_bytes(
    network: Network, inputs: np.ndarray, word_bits: int, *, raster: bool = False
) -> bytes:
    """The content of ``stimulus.bin``; see the head of this module, and `packets`."""
    return stimulus_file(*packets(network, inputs, word_bits, raster=raster), word_bits)


def stimulus_file(words: np.ndarray, ends: np.ndarray, word_bits: int) -> bytes:
    """The same of any packets, as `packets` gives them."""
    head = struct.pack("<8sIIQ", STIMULUS_MAGIC, word_bits // 8, len(ends), len(words))
    return head + ends.astype("<u8").tobytes() + words.astype(f"<u{word_bits // 8}").tobytes()


def expected_bytes(trace: Trace) -> bytes:
    """The content of ``expected.bin`` (and of what the bulk harness observed)."""
    outputs = np.ascontiguousarray(trace.outputs, dtype="<i8")
    head = struct.pack(
        "<8sIIII",
        EXPECTED_MAGIC,
        trace.samples,
        trace.timesteps,
        len(trace.sizes),
        outputs.shape[1],
    )
    sizes = np.array(list(trace.sizes.values()), dtype="<u4").tobytes()
    rows = [trace.spikes[name] for name in trace.sizes]
    parts = [r.reshape(trace.samples, r.shape[1] * r.shape[2]) for r in rows]
    records = np.concatenate([*parts, outputs.view(np.uint8)], axis=1)
    return head + sizes + records.tobytes()


def observed_trace(content: bytes, expected: Trace) -> Trace:
    """What the bulk harness observed, as a trace of the first samples of `expected`'s inputs.

    Raises
    ------
    DataError
        If the file is no such file, is truncated, or is of another network.
    """
    head = struct.Struct("<8sIIII")
    wrong = DataError("the harness's observed spikes must be of the expected network: run it again")
    if len(content) < head.size:
        raise wrong
    magic, samples, steps, populations, outputs = head.unpack_from(content)
    sizes = np.frombuffer(content, "<u4", count=populations, offset=head.size).tolist()
    if magic != EXPECTED_MAGIC or steps != expected.timesteps:
        raise wrong
    if sizes != list(expected.sizes.values()) or outputs != expected.outputs.shape[1]:
        raise wrong
    widths = [steps * ((size + 7) // 8) for size in sizes] + [8 * outputs]
    start = head.size + 4 * populations
    if len(content) != start + samples * sum(widths) or samples > expected.samples:
        raise wrong
    records = np.frombuffer(content, np.uint8, offset=start).reshape(samples, sum(widths))
    columns = np.split(records, np.cumsum(widths)[:-1], axis=1)
    return Trace(
        network_hash=expected.network_hash,
        timesteps=steps,
        sizes=expected.sizes,
        inputs=expected.inputs[:samples],
        spikes={
            name: np.ascontiguousarray(part).reshape(samples, steps, (size + 7) // 8)
            for (name, size), part in zip(expected.sizes.items(), columns, strict=False)
        },
        outputs=np.ascontiguousarray(columns[-1]).view("<i8").astype(np.int64),
    )


def default_inputs(network: Network, samples: int = 16, seed: int = 0) -> np.ndarray:
    """Inputs for a network without data: silence, extremes, corners, then random of many densities.

    A fault that only shows in the first neuron, the last, or at the range's end must not hide.
    """
    neuron = network.input_neuron
    low, high = neuron.payload
    shape = network.input.shape
    if not neuron.held:
        shape = (network.window(network.input.name).steps, *shape)
    silent = np.zeros(shape, dtype=np.int64)
    corners = silent.copy()
    for place in np.ndindex(*(2,) * len(network.input.shape)):
        corners[(..., *(-p for p in place))] = high
    cases = [silent, np.full(shape, high), corners]
    if low < 0:
        cases.insert(2, np.full(shape, low))
    rng = np.random.default_rng(seed)
    while len(cases) < samples:
        drawn = rng.integers(low, high + 1, size=shape)
        cases.append(np.where(rng.random(shape) < rng.uniform(0.02, 0.5), drawn, 0))
    return np.stack(cases[:samples])
