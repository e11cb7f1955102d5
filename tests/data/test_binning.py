"""Frames of counts: against a loop, and what is left out of them."""

from __future__ import annotations

import numpy as np
import pytest
from event_formats import made

from neurocuda_hw.data.binning import Binning, bin_events
from neurocuda_hw.data.events import Events, Tally, events_of
from neurocuda_hw.ground.errors import DataError


def events_from(rows) -> Events:
    """Rows (x, y, polarity, time) as `Events`."""
    return events_of(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)


def naive(rows, binning: Binning, windows: int) -> np.ndarray:
    """A loop over events, each put where the head of `binning` says."""
    channels, height, width = binning.shape
    found = np.zeros((windows * binning.steps, channels, height, width), np.int64)
    start = rows[0][3] if binning.grid == "first" else 0
    number = 0
    for x, y, p, t in rows:
        column = (x - binning.crop[0]) // binning.downsample
        row = (y - binning.crop[1]) // binning.downsample
        if not (0 <= column < width and 0 <= row < height):
            continue
        step = (t - start) // binning.step_us
        if binning.step_events is not None:
            step = number // binning.step_events
        number += 1
        if 0 <= step < len(found):
            found[step, p if channels == 2 else 0, row, column] += 1
    return np.minimum(found, binning.highest).reshape(windows, binning.steps, *binning.shape)


CASES = {
    "plain": Binning(steps=5, step_us=10_000, shape=(2, 34, 34)),
    "clipped": Binning(steps=5, step_us=50_000, shape=(2, 34, 34), highest=2),
    "first": Binning(steps=7, step_us=3_000, shape=(2, 34, 34), grid="first"),
    "merged": Binning(steps=5, step_us=10_000, shape=(1, 34, 34), highest=1000),
    "cropped": Binning(steps=5, step_us=10_000, shape=(2, 10, 12), crop=(4, 9)),
    "coarse": Binning(steps=5, step_us=10_000, shape=(2, 6, 7), crop=(3, 2), downsample=4),
    "by count": Binning(steps=4, step_events=50, shape=(2, 20, 20), crop=(5, 5)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("part", [37, 10_000])
def test_windows_are_those_of_a_loop(name: str, part: int) -> None:
    binning, rows = CASES[name], made(3000, seed=4)
    events, tally = events_from(rows), Tally()
    parts = [events[i : i + part] for i in range(0, len(events), part)]
    found = np.stack(list(binning.windows(parts, tally)))
    assert np.array_equal(found, naive(rows, binning, len(found)))
    assert tally.events == len(rows)
    assert tally.counted == found.sum(dtype=np.int64) > 0
    assert tally.counted + sum(tally.left_out.values()) == len(rows)
    first = Tally()
    assert np.array_equal(binning.frames(parts, first), found[0])
    assert first.counted == found[0].sum(dtype=np.int64)
    assert first.counted + sum(first.left_out.values()) == len(rows)


def test_every_reason_is_told() -> None:
    rows = [
        (0, 0, 1, 100), (0, 0, 1, 100), (0, 0, 1, 110), (9, 0, 0, 150), (-1, 0, 0, 150),
        (1, 1, 0, -5), (1, 1, 0, 2500), (1, 1, 1, 1500), (1, 1, 0, 40_000),
    ]  # fmt: skip
    binning = Binning(steps=3, step_us=1000, shape=(2, 4, 4), highest=2)
    tally = Tally()
    frames = binning.frames([events_from(rows)], tally)
    assert tally.left_out == {
        "outside the 4 x 4 pixels": 2,
        "before the first step": 1,
        "after the 3 steps of an inference": 1,
        "above the 2 that one input holds": 1,
    }
    assert tally.noted["times that go back"] == 2
    assert (frames.sum(), frames[0, 1, 0, 0], frames[1, 1, 1, 1], frames[2, 0, 1, 1]) == (
        4,
        2,
        1,
        1,
    )
    assert tally.sentences() == [
        "of 9 events 4 are counted; left out: 2 outside the 4 x 4 pixels (22.2%), 1 before the "
        "first step (11.1%), 1 after the 3 steps of an inference (11.1%), 1 above the 2 that one "
        "input holds (11.1%)",
        "times that go back: 2",
    ]


def test_an_event_of_a_window_that_is_over() -> None:
    rows = [(0, 0, 0, 10), (0, 0, 0, 1010), (1, 0, 0, 20), (1, 0, 0, 1900)]
    binning = Binning(steps=1, step_us=1000, shape=(1, 1, 2))
    for parts in ([events_from(rows)], [events_from([row]) for row in rows]):
        tally = Tally()
        found = list(binning.windows(parts, tally))
        assert [w.ravel().tolist() for w in found] == [[1, 0], [1, 1]]
        assert tally.left_out == {"of a window that is over": 1}
    # alone, a window takes events in any order: nothing comes after it
    assert binning.frames([events_from(rows)], Tally()).ravel().tolist() == [1, 1]


def test_empty_windows_and_a_last_one_that_is_not_full() -> None:
    tally = Tally()
    binning = Binning(steps=2, step_us=100, shape=(1, 1, 1))
    found = list(binning.windows([events_from([(0, 0, 0, 5), (0, 0, 0, 450)])], tally))
    assert [w.ravel().tolist() for w in found] == [[1, 0], [0, 0], [1, 0]]
    assert tally.noted == {"steps after a recording's last event, empty": 1}


def test_no_events() -> None:
    binning = Binning(steps=2, shape=(2, 3, 3))
    nothing = events_from([])
    assert list(binning.windows([nothing], Tally())) == []
    assert binning.frames([nothing]).shape == (2, 2, 3, 3)
    assert not binning.frames([]).any()


@pytest.mark.parametrize(("highest", "kind"), [(1, "u1"), (255, "u1"), (256, "u2"), (1000, "u2")])
def test_counts_hold_what_they_must(highest: int, kind: str) -> None:
    events = events_from([(2, 1, 1, 7)] * 300)
    frames = bin_events(events, steps=1, highest=highest)
    assert frames.dtype == np.dtype(kind)
    assert frames.max() == min(300, highest)


def test_a_time_far_off() -> None:
    binning = Binning(steps=1, step_us=1, shape=(1, 1, 1))
    with pytest.raises(DataError, match=r"^the time 9000000 µs is more than 1,000,000 windows"):
        list(binning.windows([events_from([(0, 0, 0, 1), (0, 0, 0, 9_000_000)])], Tally()))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"step_events": 0}, "step_events must be at least 1, not 0"),
        ({"shape": (3, 2, 2)}, r"shape must be \(1 or 2, H, W\), not \(3, 2, 2\)"),
        ({"grid": "last"}, "grid must be 'zero' or 'first', not 'last'"),
        ({"crop": (-1, 0)}, r"crop must be \(left, top\) of at least 0, not \(-1, 0\)"),
    ],
)
def test_what_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Binning(**{"steps": 1, "shape": (2, 2, 2)} | wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("steps", "advance"), [(4, 1), (4, 2), (4, 3), (4, 4), (5, 3), (1, 1)])
@pytest.mark.parametrize("count", [1, 7, 400])
def test_windows_that_overlap(steps: int, advance: int, count: int) -> None:
    """Window i has the steps from i times `advance` on; one holds the last event, none follows."""
    rng = np.random.default_rng(count)
    time = np.sort(rng.integers(0, 20 * count, count))
    where = rng.integers(0, 3, (2, count))
    events = events_of(*where, rng.integers(0, 2, count), time)
    options = {"step_us": 10, "shape": (2, 3, 3)}
    blocks = -(-(int(time[-1]) // 10 + 1) // advance) * advance
    whole = Binning(steps=blocks + steps, **options).frames([events])
    number = 1 + max(0, -(-(blocks - steps) // advance))
    tally = Tally()
    found = list(Binning(steps=steps, advance=advance, **options).windows([events], tally))
    assert len(found) == number
    for i, window in enumerate(found):
        assert np.array_equal(window, whole[i * advance : i * advance + steps])
    assert tally.counted == count


def test_an_advance_that_leaves_steps_out() -> None:
    with pytest.raises(ValueError, match="advance must be 1 to 4 steps, not 5"):
        Binning(steps=4, advance=5, shape=(2, 3, 3))
