"""What docs/loihi.md names is there; its examples run in tests/docs/test_pages.py."""

from __future__ import annotations

from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "loihi.md"


@pytest.mark.parametrize("name", ["CubaNeuron", "GradedNeuron", "SoftResetNeuron", "WeightFormat"])
def test_what_is_named_is_there(name: str) -> None:
    from neurocuda_hw import loihi

    assert name in DOCS.read_text()
    assert hasattr(loihi, name)
