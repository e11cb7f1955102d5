"""The values of ``board/nchw_host.py``: what a driver has to know of a network's packets."""

from __future__ import annotations

from typing import Any

from neurocuda_hw.network import Network, wire


def host(network: Network) -> dict[str, Any]:
    """Plain values that look in Python as in the template."""
    source, out, arrivals = network.input, network.output, network.arrivals
    lowest, highest = wire.payload(source)
    return {
        "start": arrivals.start,
        "frames": arrivals.stop - arrivals.start,
        "shape": source.chw,
        "bits": wire.address_bits(source),
        "value_bits": wire.payload_bits(source),
        "lowest": lowest,
        "highest": highest,
        "out_spikes": out.spiking,
        "out_shape": out.chw,
        "out_bits": wire.address_bits(out),
    }
