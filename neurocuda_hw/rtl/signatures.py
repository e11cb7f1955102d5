"""What travels between layers: events and end-of-step markers.

In a stream payload ``end`` set means: all events of this step have passed; the address and value
are then without meaning. Coordinates are packed ``{c, y, x}``, x lowest: no division is needed.
"""

from __future__ import annotations

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data, stream

from neurocuda_hw.network import Population
from neurocuda_hw.network.wire import address_bits, payload_bits, payload_signed


def value_shape(population: Population, burst: int = 0) -> Shape:
    """Shape of an event's payload; no bits at all for spikes, whose value is 1."""
    bits = payload_bits(population, burst)
    return signed(bits) if payload_signed(population) else unsigned(bits)


def event_layout(population: Population, burst: int = 0) -> data.StructLayout:
    """``{end, value, c, y, x}``, x in the lowest bits."""
    c, y, x = address_bits(population)
    place = {"x": unsigned(x), "y": unsigned(y), "c": unsigned(c)}
    return data.StructLayout({**place, "value": value_shape(population, burst), "end": unsigned(1)})


def events_of(population: Population, burst: int = 0) -> stream.Signature:
    """The stream of events that `population` sends; of up to `burst` spikes each, if not 0."""
    return stream.Signature(event_layout(population, burst))
