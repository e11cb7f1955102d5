"""The files of the serial bridge: what stands in them for a network."""

from __future__ import annotations

import pytest
from small import small_network

from neurocuda_hw.host.nchw_host import IDENTITY_BYTES, MAGIC, VERSION
from neurocuda_hw.rtl.bridge import bridge_files


def test_the_network_says_its_hash_and_its_widths() -> None:
    network = small_network()
    files = bridge_files(network, divisor=16)
    assert sorted(files) == ["serial/nchw_bridge.v", "serial/nchw_serial.v"]
    text = files["serial/nchw_serial.v"].decode()
    told = text.partition("256'h")[2].partition(")")[0]
    identity = bytes.fromhex(told)[::-1]
    assert len(identity) == IDENTITY_BYTES
    assert identity[:8] == MAGIC + bytes([VERSION, 2, 1, 0])
    assert identity[8:].hex() == network.hash[:48]
    assert "wire [31:0] in_data, out_data;" in text


def test_divisors_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="the divisor must be 4 to 65535 cycles a bit, not 3"):
        bridge_files(small_network(), divisor=3)
