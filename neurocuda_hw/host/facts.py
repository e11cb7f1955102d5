"""What a host has to know of a network."""

from __future__ import annotations

from neurocuda_hw.host.nchw_host import Facts
from neurocuda_hw.network import Network, wire


def facts_of(network: Network, value_bits: int, *, raster: bool = False) -> Facts:
    """The facts of a network whose readout has values of `value_bits` bits.

    Parameters
    ----------
    raster : bool
        Whether its input comes by lines.
    """
    source, out, arrivals = network.input, network.output, network.arrivals
    lowest, highest = wire.payload(source)
    out_bits = wire.event_bits(out) if out.spiking else value_bits
    return Facts(
        name=network.name,
        hash=network.hash,
        steps=network.timesteps,
        start=arrivals.start,
        frames=arrivals.stop - arrivals.start,
        shape=list(source.chw),
        bits=list(wire.address_bits(source)),
        value_bits=wire.payload_bits(source),
        lowest=lowest,
        highest=highest,
        scale=[] if source.scale is None else [float(s) for s in source.scale.reshape(-1)],
        raster=raster,
        spikes=out.spiking,
        out_shape=list(out.chw),
        out_bits=list(wire.address_bits(out)),
        input_bytes=-(-wire.event_bits(source) // 8),
        output_bytes=-(-out_bits // 8),
    )
