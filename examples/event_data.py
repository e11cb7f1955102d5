"""Labelled recordings of events as the examples train on them: moved, turned and thinned out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from neurocuda_hw.data.binning import Binning
from neurocuda_hw.data.events import Events, events_of
from neurocuda_hw.data.labelled import Labelled, open_labelled

BATCH = 50
_AT_ONCE = 2000  # recordings that are read at a time
Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventSet:
    """Recordings, their classes, and how they become frames ``(T, *shape)``.

    Parameters
    ----------
    recordings : list of Events
    labels : int array (N,)
    shape : tuple of int
        (2, H, W) of a camera, (N,) of spike trains.
    steps, step_us, highest : int
        Of a sample, of a step, and what one count holds.
    tested : int array
        Indices of the set's own test part; empty where it has none.
    """

    recordings: list[Events]
    labels: np.ndarray
    shape: tuple[int, ...]
    steps: int
    step_us: int
    highest: int = 15
    tested: np.ndarray

    @property
    def classes(self) -> int:
        """How many."""
        return int(self.labels.max()) + 1

    @property
    def binning(self) -> Binning:
        """Of one recording."""
        frame = self.shape if len(self.shape) == 3 else (1, 1, *self.shape)
        return Binning(steps=self.steps, step_us=self.step_us, shape=frame, highest=self.highest)  # type: ignore[arg-type]

    def frames(self, recordings: list[Events]) -> torch.Tensor:
        """Counts of events ``(B, T, *shape)``."""
        binning = self.binning
        counts = np.stack([binning.frames([events]) for events in recordings])
        return torch.from_numpy(counts.reshape(len(counts), self.steps, *self.shape)).float()

    def pair(self, chosen: np.ndarray) -> Pair:
        """Frames and labels."""
        return self.frames([self.recordings[i] for i in chosen]), torch.from_numpy(
            self.labels[chosen]
        )

    def parts(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """What trains and what tests: the set's own parts, else another fifth for each seed."""
        if len(self.tested):
            return np.setdiff1d(np.arange(len(self.labels)), self.tested), self.tested
        order = np.random.default_rng(0).permutation(len(self.labels))
        out = np.array_split(order, 5)[seed % 5]
        return np.setdiff1d(order, out), out


def load(path: Path, limit: int | None, steps: int | None, step_us: int | None) -> EventSet:
    """A labelled set: a folder or archive of a camera's recordings, or SHD's HDF5.

    Raises
    ------
    DataError
        If there is none, or it is damaged.
    """
    found, _ = open_labelled(path).taken(limit)
    trains = found.path.suffix.lower() in (".h5", ".hdf5")
    recordings = [smaller(events) for part in _parts(found) for events in part.recordings()]
    units = 1 + max((int(events.x.max()) for events in recordings if len(events)), default=0)
    both = {"train", "test"} <= set(found.parts)
    tested = [i for i, entry in enumerate(found.entries) if both and entry.part == "test"]
    return EventSet(
        recordings=recordings,
        labels=found.labels,
        shape=(units,) if trains else (2, 34, 34),
        steps=steps or (16 if trains else 8),
        step_us=step_us or (60_000 if trains else 40_000),
        tested=np.array(tested, np.int64),
    )


def _parts(found: Labelled) -> Iterator[Labelled]:
    """Some recordings at a time; an archive would be read anew for each part."""
    size = _AT_ONCE if found.path.is_dir() else max(1, len(found.entries))
    for at in range(0, len(found.entries), size):
        yield replace(found, entries=found.entries[at : at + size])


def smaller(events: Events) -> Events:
    """The same in 9 bytes an event: a whole N-MNIST stays in memory."""
    kinds = (np.int16, np.int16, np.int8, np.int32)
    columns = (events.x, events.y, events.polarity, events.time)
    return events_of(*(c.astype(kind) for c, kind in zip(columns, kinds, strict=True)))


class Augmented:
    """Batches of recordings, each time moved, turned, stretched and thinned out in another way."""

    def __init__(self, data: EventSet, chosen: np.ndarray, seed: int) -> None:
        self.data, self.chosen = data, chosen
        self.generator = np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self.chosen) // BATCH)

    def __iter__(self) -> Iterator[Pair]:
        order = self.generator.permutation(self.chosen)
        for start in range(0, len(order), BATCH):
            picked = order[start : start + BATCH]
            moved = [self._moved(self.data.recordings[i]) for i in picked]
            yield self.data.frames(moved), torch.from_numpy(self.data.labels[picked])

    def _moved(self, events: Events) -> Events:
        draw, shape = self.generator.uniform, self.data.shape
        place = np.stack([events.x, events.y])
        if len(shape) == 1:  # units in a row: higher or lower, as another voice has it
            size = np.array([[shape[0]], [1]])
            place = place + np.array([[round(draw(-0.03, 0.03) * shape[0])], [0]])
        else:
            size = np.array([[shape[2]], [shape[1]]])
            angle = np.deg2rad(draw(-15, 15))
            matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            matrix = matrix @ np.array([[1 + draw(-0.12, 0.12), draw(-0.15, 0.15)], [0, 1]])
            matrix[1, 1] *= 1 + draw(-0.12, 0.12)
            middle = (size - 1) / 2
            blur = draw(-0.3, 0.3, place.shape)
            moved = matrix @ (place - middle) + draw(-3, 3, (2, 1)) + blur + middle
            place = np.rint(moved).astype(int)
        moment = (events.time * draw(0.95, 1.05) + draw(-8000, 8000)).astype(int)
        kept = self.generator.random(len(moment)) > draw(0, 0.25)
        kept &= (place >= 0).all(0) & (place < size).all(0) & (moment >= 0)
        return events_of(place[0, kept], place[1, kept], events.polarity[kept], moment[kept])
