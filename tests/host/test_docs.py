"""docs/host.md says what the protocol is."""

from __future__ import annotations

import re
from pathlib import Path

from neurocuda_hw.host import nchw_host
from neurocuda_hw.host.nchw_host import Kind, Reason

PAGE = (Path(__file__).parents[2] / "docs" / "host.md").read_text()


def test_kinds_reasons_and_numbers_are_those_of_the_programs() -> None:
    rows = {name: int(number) for number, name in re.findall(r"^\| (\d) \| ([A-Z]+)", PAGE, re.M)}
    assert rows == {kind.name: kind.value for kind in (*Kind, *Reason)}
    for number in (nchw_host.MARK, nchw_host.ESCAPE, nchw_host.FLIP, nchw_host.LAST):
        assert f"0x{number:02X}" in PAGE
    assert f"0x{nchw_host.REFUSED:02X} and one of" in PAGE
    assert f"2^{nchw_host.PATIENCE_BITS} bit times" in PAGE
    assert f"the first {nchw_host.IDENTITY_BYTES - 8} bytes of the network's hash" in PAGE
    assert ", ".join(nchw_host.FAULTS) in PAGE.replace("\n", " ")
