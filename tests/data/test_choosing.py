"""Samples are taken of every class, in an order that a seed draws."""

from __future__ import annotations

import numpy as np

from neurocuda_hw.data.choosing import chosen_text, spread


def test_sorted_classes_are_all_taken() -> None:
    labels = np.repeat([0, 3, 7], [50, 20, 2])
    taken = spread(labels, 9)
    assert sorted(labels[taken].tolist()) == [0, 0, 0, 0, 3, 3, 3, 7, 7]
    assert len(set(taken.tolist())) == 9
    assert np.array_equal(spread(labels, 4), taken[:4])
    assert not np.array_equal(spread(labels, 9, seed=1), taken)
    assert np.array_equal(spread(labels, 9), taken)


def test_all_stay_in_their_order() -> None:
    labels = np.array([2, 1, 0])
    for count in (None, 3, 10):
        assert spread(labels, count).tolist() == [0, 1, 2]


def test_what_is_said() -> None:
    labels = np.repeat([0, 1], 1000)
    taken = spread(labels, 5)
    said = "d, 5 of its 2,000 test samples, 2 classes, drawn by seed 0"
    assert chosen_text("d", labels, taken, "test") == said
    assert chosen_text("d", labels, np.arange(2000), "test") == "d, its test samples"
    assert chosen_text("d", labels, np.arange(2000), "") == "d"
    one = "d, 1 of its 2,000 samples, 1 class, drawn by seed 0"
    assert chosen_text("d", labels, taken[:1], "") == one
