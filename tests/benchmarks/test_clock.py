"""clock: figures of both checkouts, kept from run to run; the tools do not run here."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import ROOT, clock


def given(folder: Path, *only: str, **more: Any) -> Namespace:
    return Namespace(only=[*only], seeds=3, keep=folder / "keep.json", cases=None, **more)


def test_what_is_finished_is_not_measured_again(tmp_path: Path) -> None:
    asked: list[int] = []

    def measure() -> int:
        asked.append(1)
        return 7

    for _ in range(2):
        runs = clock.Runs(tmp_path, tmp_path, given(tmp_path))
        assert runs.once("a design", measure) == 7
    assert len(asked) == 1


def test_rates_are_clocks_over_cycles_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "before"

    def of(self: clock.Runs, checkout: Path, name: str) -> dict[str, Any]:
        assert name == "mlp"
        mhz, cycles = {ROOT: (120.0, 1010.0), before: (60.0, 1000.0)}[checkout]
        return {
            "mhz": mhz,
            "mhz_of_seeds": [mhz],
            "cycles": cycles,
            "unequal": 0,
            "lanes": {"hidden": 16},
            "critical_path": {"from": "a", "to": "b"},
            "rate": mhz / cycles,
        }

    monkeypatch.setattr(clock.Runs, "clock", of)
    runs = clock.Runs(before, tmp_path, given(tmp_path))
    found = dict(clock.clocks(given(tmp_path, "mlp", "luts"), runs))
    assert (found["mlp_ecp5_mhz"], found["mlp_ecp5_mhz_before"]) == (120.0, 60.0)
    assert found["mlp_rate_ratio"] == pytest.approx(2 / 1.01, abs=1e-3)
    assert found["mlp_path"] == "a -> b"
    assert "cnn_ecp5_mhz" not in found


def test_cycles_are_the_worst_of_all_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def side(self: clock.Runs, checkout: Path, case: str, **job: Any) -> dict[str, Any]:
        more = checkout == ROOT and case == "cnn rate"
        return {"cycles": 102.0 if more else 100.0, "unequal": int(more)}

    monkeypatch.setattr(clock, "mnist_case", lambda kind, code, samples: f"{kind} {code}")
    monkeypatch.setattr(clock.Runs, "side", side)
    runs = clock.Runs(tmp_path, tmp_path, given(tmp_path))
    found = dict(clock.cycles(given(tmp_path, samples=4), runs))
    assert found["worst_cycles_increase"] == 2.0
    assert (found["cnn_rate_off_unequal"], found["mlp_exact_on_unequal"]) == (1, 0)


def test_predicted_luts_are_held_against_those_of_yosys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"ECP5": 1000, "ICE40": 500}
    monkeypatch.setattr(
        clock,
        "synthesise",
        lambda files, family, use_dsps: SimpleNamespace(luts=made[family.name]),
    )
    monkeypatch.setattr(clock, "total", lambda areas: SimpleNamespace(luts=900.0))
    options = given(tmp_path)
    options.cases = ["held_deep4"]
    found = dict(clock.luts(options, clock.Runs(tmp_path, tmp_path, options)))
    assert found["lut_errors"] == {"held_deep4 ECP5": -10.0, "held_deep4 ICE40": 80.0}
    assert found["worst_lut_error"] == found["worst_lut_error_held_out"] == 80.0
