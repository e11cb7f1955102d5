"""Words of a camera: against the formats' own definition, and what they cannot say."""

from __future__ import annotations

import numpy as np
import pytest
from event_formats import dat, evt3_read, made

from neurocuda_hw.data.binning import Binning
from neurocuda_hw.data.camera import decoded, events_of_frames, words_of
from neurocuda_hw.data.events import Tally, events_of
from neurocuda_hw.ground.errors import DataError

NAMES = ("x", "y", "polarity", "time")


@pytest.mark.parametrize("last", [300_000, 90_000_000])
@pytest.mark.parametrize("seed", range(3))
def test_words_say_every_event(seed: int, last: int) -> None:
    """Times that go round included."""
    rows = made(500, seed=seed, last=last)
    events = events_of(*np.array(rows).T)
    words = words_of("evt3", events)
    assert evt3_read(words.tolist()) == rows
    addresses = words_of("aer", events)
    assert addresses.tobytes() == dat(rows).partition(b"\x0c\x08")[2]
    for kind, found in (("evt3", words), ("aer", addresses)):
        again = decoded(kind, found, Tally())
        assert all(np.array_equal(getattr(again, n), getattr(events, n)) for n in NAMES)


@pytest.mark.parametrize("channels", [1, 2])
def test_events_of_frames_are_counted_as_them(channels: int) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 3, (4, channels, 5, 6))
    how = {"step_us": 100, "crop": (3, 1), "downsample": 2}
    events = events_of_frames(frames, **how)
    binning = Binning(steps=4, shape=(channels, 5, 6), **how)
    assert np.array_equal(binning.frames([events]), frames)


def test_what_words_cannot_say() -> None:
    wide = events_of(*(np.array([n]) for n in (2048, 0, 1, 5)))
    with pytest.raises(DataError, match="evt3 words hold columns and rows of 0 to 2,047"):
        words_of("evt3", wide)
    assert len(words_of("aer", wide)) == 1
    early = events_of(*(np.array([n]) for n in (0, 0, 1, -5)))
    with pytest.raises(DataError, match="times of 0 to"):
        words_of("aer", early)
