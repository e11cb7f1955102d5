"""Reading and binning beside faery, at small size."""

from __future__ import annotations

from argparse import Namespace

import pytest

from benchmarks import events


def test_both_count_alike_and_every_time_is_right() -> None:
    pytest.importorskip("faery", reason="pip install 'neurocuda_hw[events]'")
    found = events.measure(Namespace(events=20_000, rounds=1))
    assert found["unequal"] == 0
    assert {"evt3", "evt2", "dat2", "lz4", "read_bin_ratio"} <= set(found)
    assert 10 < found["mib"] < 1000
