"""Legal packets between illegal ones, and what each has to give: after `sim.odd_packets`."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.data.stimulus import packets, stimulus_file
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import Encoding, Input
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.network.wire import address_bits, payload_bits
from neurocuda_hw.passes.queues import limits_input
from neurocuda_hw.reference.reference import Reference
from sim.odd_packets import Reader, Transfer


def reader_of(network: Network, word_bits: int) -> Reader:
    """What a packet means to `network`."""
    arrivals = network.arrivals
    return Reader(
        shape=network.input.chw,
        bits=address_bits(network.input),
        payload_bits=payload_bits(network.input),
        word_bits=word_bits,
        timesteps=network.timesteps,
        start=arrivals.start,
        stop=arrivals.stop,
        most=network.input.size if limits_input(network) else None,
    )


def meaning(network: Network, reader: Reader, transfers: list[Transfer]) -> np.ndarray | None:
    """A packet as an input of the reference; None where a neuron comes twice in a step."""
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    steps, _ = reader.read(transfers)
    frames = np.zeros((reader.stop - reader.start, *network.input.chw), dtype=np.int64)
    for frame, words in zip(frames, steps[reader.start : reader.stop], strict=True):
        places = [reader.place(word) for word in words]
        if len(set(places)) < len(places):
            return None
        for place, word in zip(places, words, strict=True):
            value = word >> sum(reader.bits) if reader.payload_bits else 1
            value -= (value > neuron.payload[1]) << reader.payload_bits
            frame[place] = value
    frames = frames.reshape(-1, *network.input.shape)
    return frames[0] if neuron.encoding is Encoding.CURRENT else frames


@dataclass(frozen=True)
class OddPackets:
    """For each input a packet of rubbish, then its own with transfers in it that are dropped.

    Parameters
    ----------
    sent : list of list of (word, keep)
    trace : Trace
        What the packets have to give; see `known`.
    known : list of int
        Those in which no neuron comes twice in a step: of the others nothing is promised.
    dropped : Counter
        Transfers by the reason for which they are dropped.
    word_bits : int
    """

    sent: list[list[Transfer]]
    trace: Trace
    known: list[int]
    dropped: Counter[str]
    word_bits: int

    @classmethod
    def of(
        cls, network: Network, inputs: np.ndarray, word_bits: int, chance: random.Random
    ) -> OddPackets:
        """From inputs ``(S, ...)``: 2 S packets."""
        reader = reader_of(network, word_bits)
        words, ends = packets(network, inputs, word_bits)
        sent = []
        for legal in np.split(words, ends[:-1].astype(np.int64)):
            sent += [reader.rubbish(chance), reader.spoiled(legal.tolist(), chance)]
        meant = [meaning(network, reader, transfers) for transfers in sent]
        for sample, frames in zip(inputs, meant[1::2], strict=True):
            assert frames is not None
            assert np.array_equal(frames, sample), "a spoiled packet must mean the same"
        samples = np.stack([np.zeros_like(inputs[0]) if x is None else x for x in meant])
        return cls(
            sent,
            Reference(network).trace(samples),
            [i for i, frames in enumerate(meant) if frames is not None],
            sum((reader.read(transfers)[1] for transfers in sent), start=Counter()),
            word_bits,
        )

    def stimulus(self) -> bytes:
        """The words as a file of the benches."""
        words = np.array([word for packet in self.sent for word, _ in packet], dtype=np.uint64)
        return stimulus_file(
            words, np.cumsum([len(packet) for packet in self.sent]), self.word_bits
        )

    def keep(self) -> bytes:
        """The TKEEP of each word, a byte each."""
        return bytes(keep for packet in self.sent for _, keep in packet)

    def unequal(self, got: Trace, say: Callable[[str], object] = lambda text: None) -> int:
        """Known packets that differ, in any spike or output; `say` is told of each."""
        found = 0
        for i in self.known:
            names = [
                name
                for name, spikes in self.trace.spikes.items()
                if i >= got.samples or not np.array_equal(got.spikes[name][i], spikes[i])
            ]
            if i >= got.samples or not np.array_equal(got.outputs[i], self.trace.outputs[i]):
                names.append("outputs")
            if names:
                found += 1
                say(f"packet {i}: {', '.join(names)}")
        return found
