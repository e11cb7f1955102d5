"""What a recording holds, against a loop."""

from __future__ import annotations

import numpy as np
import pytest
from data.test_binning import events_from
from event_formats import made

from neurocuda_hw.data.events import Tally
from neurocuda_hw.data.survey import survey
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.report.recording import frame_text, rate_text, recording_figure


@pytest.mark.parametrize("grid", ["zero", "first"])
def test_rate_and_frame(grid: str) -> None:
    rows = made(500, width=90, height=70)
    rows[3], rows[200] = rows[200], rows[3]
    events = events_from(rows)
    parts = [events[i : i + 60] for i in range(0, 500, 60)]
    found = survey(parts, Tally(), step_us=1000, grid=grid)
    start = rows[0][3] if grid == "first" else 0
    rate, frame = np.zeros_like(found.rate), np.zeros_like(found.frame)
    for x, y, p, t in rows:
        frame[p, y, x] += 1
        if t >= start:
            rate[(t - start) // 1000, p] += 1
    assert np.array_equal(found.rate, rate)
    assert np.array_equal(found.frame, frame)
    assert (found.first, found.last) == (min(r[3] for r in rows), max(r[3] for r in rows))
    assert found.tally.noted["times that go back"] == 2
    assert len(rate_text(found)) == 64
    lines = frame_text(found)
    assert {len(line) for line in lines} == {45}
    figure = recording_figure(found)
    drawn = [np.asarray(line.get_ydata()) for line in figure.axes[0].lines]
    assert [line.tolist() for line in drawn] == rate.T.tolist()


def test_nothing() -> None:
    found = survey([events_from([])], Tally(), step_us=1000)
    assert (found.events, found.frame.size, rate_text(found), frame_text(found)) == (0, 0, "", [])
    assert recording_figure(found).axes


def test_too_long() -> None:
    with pytest.raises(DataError, match=r"--step-us lengthens a step$"):
        survey([events_from([(0, 0, 0, 10**11)])], Tally(), step_us=1)
