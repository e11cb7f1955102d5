"""Which samples are taken of a labelled set: as many of each class as there are, in seeded order.

Sets are often stored class after class, so that their first samples are all of one class, and a
network that always says that class looks right.
"""

from __future__ import annotations

import numpy as np

SEED = 0


def spread(labels: np.ndarray, count: int | None, seed: int = SEED) -> np.ndarray:
    """Indices of `count` samples, class by class in turn, drawn with `seed`: ``(count,)`` int64.

    Fewer are the beginning of more; all of them stay in their own order.
    """
    if count is None or count >= len(labels):
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    drawn = np.asarray(labels)[order]
    by_class = np.argsort(drawn, kind="stable")
    starts = np.searchsorted(drawn[by_class], drawn[by_class])
    turn = np.empty(len(drawn), np.int64)
    turn[by_class] = np.arange(len(drawn)) - starts
    return order[np.argsort(turn, kind="stable")[:count]]


def chosen_text(where: str, labels: np.ndarray, taken: np.ndarray, part: str) -> str:
    """What was taken of a set, for people; `part` names the part of it, such as ``test``."""
    if len(taken) == len(labels):
        return f"{where}, its {part} samples" if part else where
    count = len(np.unique(np.asarray(labels)[taken]))
    classes = f"{count} class{'es' * (count != 1)}"
    of = f"{part} samples" if part else "samples"
    return f"{where}, {len(taken):,} of its {len(labels):,} {of}, {classes}, drawn by seed {SEED}"
