"""The examples of docs/loihi.md, run; and its figures of the model beside those it computes."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "loihi.md"


def test_the_examples_print_what_they_say() -> None:
    failed, tried = doctest.testfile(str(DOCS), module_relative=False)
    assert (failed, tried > 10) == (0, True)


@pytest.mark.parametrize("name", ["CubaNeuron", "GradedNeuron", "SoftResetNeuron", "WeightFormat"])
def test_what_is_named_is_there(name: str) -> None:
    from neurocuda_hw import loihi

    assert name in DOCS.read_text()
    assert hasattr(loihi, name)
