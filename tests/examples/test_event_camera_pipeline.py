"""The event camera example: its pixels, its words, and that every answer is the golden one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from event_formats import evt3_read
from tools import need

from neurocuda_hw.data.events import events_of, joined
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import event_camera  # noqa: E402 - the examples are no package
import event_camera_pipeline  # noqa: E402
from event_camera import Evt3Writer, Scene  # noqa: E402


def test_events_are_the_same_for_a_seed_and_in_order() -> None:
    first, second = (joined(Scene(2, 4).advance(60)) for _ in range(2))
    assert len(first) > 60
    for name in ("x", "y", "polarity", "time"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    scene = Scene(1, 4)
    parts = [scene.advance(20)[0] for _ in range(3)]
    assert all((np.diff(part.time) >= 0).all() for part in parts)
    times = joined(parts).time
    assert 0 <= times[0] < 20_000 < 40_000 < times[-1] < 60_000
    assert (np.diff(times) >= 0).all()
    assert scene.time_us == 60_000


def test_a_pixel_is_blind_after_an_event() -> None:
    """So no step of the pipeline holds more than its input does."""
    events = Scene(1, 5).advance(2000)[0]
    place = events.y * event_camera.WIDTH + events.x
    order = np.lexsort((events.time, place))
    same = np.diff(place[order]) == 0
    assert same.sum() > 100
    assert np.diff(events.time[order])[same].min() >= event_camera.REFRACTORY_US


def test_what_stands_still_sends_nothing_and_edges_have_their_sign(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_camera, "NOISE", 0.0)
    monkeypatch.setattr(event_camera, "PATTERN", 0.0)
    scene = Scene(1, 0)
    scene.shakes = scene.waves = tuple(np.zeros((1, 1)) for _ in range(3))
    scene.light = scene.memory = scene._light()
    assert len(scene.advance(50)[0]) == 0
    scene.steer = np.ones(1)  # the camera turns right, so the disc goes left
    events = scene.advance(200)[0]
    middle = (event_camera.WIDTH - 1) / 2 - event_camera.TURN * 0.1 / event_camera.PIXEL
    assert events.x[events.polarity == 1].mean() < middle < events.x[events.polarity == 0].mean()
    assert scene.off()[0] == pytest.approx(-event_camera.TURN * 0.2)
    assert scene.command().tolist() == [0]


def test_words_are_evt3() -> None:
    scene, writer = Scene(1, 1), Evt3Writer()
    words, events = [], []
    for _ in range(5):
        events += scene.advance(40)
        words += writer.words(events[-1]) + writer.clock(scene.time_us)
    whole = joined(events)
    rows = list(zip(whole.x, whole.y, whole.polarity, whole.time, strict=True))
    assert evt3_read(words) == rows
    assert len(rows) > 100
    again = [(3, 4, 1, time) for time in (5, 5, 4096 + 5, 3 * 4096 + 5)]  # one low part
    assert evt3_read(Evt3Writer().words(events_of(*np.array(again).T))) == again


@pytest.mark.slow
def test_the_verilog_steers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every logit is the golden model's; a word that is lost on the way is told by exit code 1."""
    need(find_verilator(), find_compiler(), find_make())
    words = ["--cameras", "6", "--windows", "15", "--epochs", "4", "--decisions", "12"]
    words += ["--stalls", "20", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["event_camera_pipeline.py", *words, "--json"])
    assert event_camera_pipeline.main() == 0
    told = json.loads(capsys.readouterr().out)
    assert told["decisions"] == 12
    assert told["events"] == told["counts"]["counted"] > 200
    assert told["logits_differ"] == told["decisions_differ"] == told["dropped"] == 0
    assert 1536 < told["latency_cycles"] <= told["most_latency_cycles"] < 20_000
    assert 0 < told["energy_nj"] < told["ann_energy_nj"]
    assert "<svg" in (tmp_path / "steering.svg").read_text()
    monkeypatch.setattr(Evt3Writer, "words", lambda self, events: self.clock(events.time[0]))
    monkeypatch.setattr(sys, "argv", ["event_camera_pipeline.py", *words])
    assert event_camera_pipeline.main() == 1
    assert "; 0 " not in capsys.readouterr().out
