"""What travels between layers: events and end-of-step markers.

In a stream payload ``end`` set means: all events of this step have passed; the address and value
are then without meaning. Coordinates are packed ``{c, y, x}``, x lowest: no division is needed.
"""

from __future__ import annotations

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data, stream

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Population
from neurocuda_hw.network.neurons import Input


def address_bits(population: Population) -> tuple[int, int, int]:
    """Bits of (c, y, x) in the address of an event of `population`."""
    c, h, w = population.chw
    return unsigned_bits(c - 1), unsigned_bits(h - 1), unsigned_bits(w - 1)


def value_shape(population: Population) -> Shape:
    """Shape of an event's payload; no bits at all for spikes, whose value is 1."""
    neuron = population.neuron
    if not isinstance(neuron, Input) or (neuron.payload_bits == 1 and not neuron.signed):
        return unsigned(0)
    return signed(neuron.payload_bits) if neuron.signed else unsigned(neuron.payload_bits)


def event_layout(population: Population) -> data.StructLayout:
    """``{end, value, c, y, x}``, x in the lowest bits."""
    c, y, x = address_bits(population)
    return data.StructLayout(
        {
            "x": unsigned(x),
            "y": unsigned(y),
            "c": unsigned(c),
            "value": value_shape(population),
            "end": unsigned(1),
        }
    )


def events_of(population: Population) -> stream.Signature:
    """The stream of events that `population` sends."""
    return stream.Signature(event_layout(population))
