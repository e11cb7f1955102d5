"""How wide everything is that travels as a stream: addresses, payloads, events, words.

An event is ``{end, value, c, y, x}``, x in the lowest bits; `end` marks the end of a step, and then
nothing else in it counts. A stream word holds the same fields from bit 0 up, and the mark in its
top bit. There is a payload wherever the encoding of an input is not SPIKES, of 1 bit too: a payload
of 0 is an event that adds 0. The events of all other populations are spikes, each worth 1, or
bursts (see `passes.bursts`): the payload is then how many spikes the event stands for, up to
`burst`, which is 0 for populations that send spike by spike.
"""

from __future__ import annotations

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network.network import Network, Population
from neurocuda_hw.network.neurons import Encoding, Input


def address_bits(population: Population) -> tuple[int, int, int]:
    """Bits of (c, y, x) in the address of an event of `population`; 0 where there is one place."""
    c, y, x = (unsigned_bits(n - 1) for n in population.chw)
    return c, y, x


def payload_bits(population: Population, burst: int = 0) -> int:
    """Bits of the payload of an event of `population`; 0 where every event is worth 1."""
    neuron = population.neuron
    if not isinstance(neuron, Input):
        return unsigned_bits(burst) if burst > 1 else 0
    if neuron.encoding is Encoding.SPIKES:
        return 0
    return neuron.payload_bits


def payload(population: Population) -> tuple[int, int]:
    """Lowest and highest value of an event of `population` (0 is no event, or one that adds 0)."""
    neuron = population.neuron
    return neuron.payload if isinstance(neuron, Input) else (0, 1)


def payload_signed(population: Population) -> bool:
    """Whether payloads are two's complement."""
    return payload(population)[0] < 0


def event_bits(population: Population, burst: int = 0) -> int:
    """Bits of an event of `population`, its end mark included: what a word must have room for."""
    return sum(address_bits(population)) + payload_bits(population, burst) + 1


def word_bits(network: Network, value_bits: int) -> int:
    """Width of TDATA, 32 or 64: for an input event, and an output event or a readout's value."""
    out = network.output
    need = event_bits(out) if out.spiking else value_bits
    return 32 if max(event_bits(network.input), need) <= 32 else 64
