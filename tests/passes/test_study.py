"""What is worked out of a network is worked out once, whatever is built of it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from small import small_network

from neurocuda_hw.commands.build import build
from neurocuda_hw.commands.verify import verify
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.network import ranges
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.trace import load_trace
from neurocuda_hw.passes.planner import Planner
from neurocuda_hw.passes.study import Study, balanced
from neurocuda_hw.reference.reference import Reference

GOLDEN = Path(__file__).parents[2] / "golden"
MODEL, TRACE = GOLDEN / "mixed.pt", GOLDEN / "mixed.npz"  # four layers, five populations
LAYERS = ["first", "second", "third", "out"]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, Counter[Any]]:
    """What was planned (by layer), laid out (by layer and lanes) and proved (by population)."""
    found: dict[str, Counter[Any]] = {n: Counter() for n in ("planned", "laid out", "proved")}
    begin, plan, prove = Planner.__init__, Planner.plan, ranges._prove

    def counted_begin(self: Planner, network: Any, population: Any, *more: Any) -> None:
        found["planned"][population.name] += 1
        begin(self, network, population, *more)

    def counted_plan(self: Planner, lanes: int, **options: Any) -> Any:
        found["laid out"][self.population.name, lanes] += 1
        return plan(self, lanes, **options)

    def counted_prove(network: Any, population: Any) -> Any:
        found["proved"][population.name] += 1
        return prove(network, population)

    monkeypatch.setattr(Planner, "__init__", counted_begin)
    monkeypatch.setattr(Planner, "plan", counted_plan)
    monkeypatch.setattr(ranges, "_prove", counted_prove)
    ranges._PROVED.clear()  # equal networks of earlier tests may still be there
    return found


def built(target: str, folder: Path) -> None:
    """Builds the network for a target, with lanes of its own choice."""
    arguments = [MODEL, "--golden", TRACE, "--samples", 4, "--target", target, "-o", folder]
    done = CliRunner().invoke(build, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output


def test_a_build_for_all_targets_works_everything_out_once(
    tmp_path: Path, work: dict[str, Counter[Any]]
) -> None:
    built("all", tmp_path / "all")
    assert work["planned"] == dict.fromkeys(LAYERS, 1)
    assert max(work["laid out"].values()) == 1
    assert work["proved"] == dict.fromkeys(["input", *LAYERS], 1)


def test_a_build_for_loihi_plans_nothing(tmp_path: Path, work: dict[str, Counter[Any]]) -> None:
    built("loihi", tmp_path / "loihi")
    assert work["planned"] == {}
    assert work["laid out"] == {}
    assert work["proved"] == dict.fromkeys(["input", *LAYERS], 1)


OPENED: list[str] = []
WATCHED = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if WATCHED and event == "open" and isinstance(arguments[0], str):
        OPENED.append(arguments[0])


sys.addaudithook(_watch)  # which cannot be taken away again


def test_verify_reads_the_report_and_the_model_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "loihi"
    built("loihi", folder)
    monkeypatch.setattr(sys.modules[__name__], "WATCHED", True)
    done = CliRunner().invoke(verify, [str(folder), "--samples", "3"])
    assert done.exit_code == 0, done.output
    inside = (Path(path) for path in OPENED if path.startswith(str(folder)))
    read = Counter(path.relative_to(folder).as_posix() for path in inside)
    assert read["report.json"] == read["model.pt"] == 1
    assert read["golden/trace.npz"] == 2  # held against its recorded hash, then loaded
    record = json.loads((folder / "verification.json").read_text())
    assert set(record["checks"]) == {"reference", "loihi"}


def test_lanes_are_those_given_or_chosen_when_asked_for() -> None:
    network = load(MODEL)
    trace = load_trace(TRACE).select(slice(0, 4))
    given = dict.fromkeys(LAYERS, 1)
    study = Study(network, trace=trace, lanes=given)
    assert {name: plan.layout.lanes for name, plan in study.plans.items()} == given
    assert study.plan("first", 1) is study.plans["first"]
    assert Study.of(study) is study
    assert study.laid_out(None).lanes == Study(network).lanes != given
    assert study.laid_out(None).plan("first", 1) is study.plans["first"]
    chosen = study.laid_out(balanced)
    assert chosen.lanes == balanced(chosen)
    with pytest.raises(ModelError, match=r"^lanes must name every population, not leave out 'out'"):
        Study(network, lanes=dict.fromkeys(LAYERS[:-1], 1)).plans  # noqa: B018
    with pytest.raises(ValueError, match=r"^the study must have a golden trace$"):
        Study(network).activity  # noqa: B018


def test_what_is_made_of_a_study_is_made_once() -> None:
    study, calls = Study(load(MODEL)), []

    def make(of: Study, place: str | None) -> str:
        calls.append((of, place))
        return f"made {place}"

    assert [study.once(make, p) for p in (None, "a", None)] == ["made None", "made a", "made None"]
    assert calls == [(study, None), (study, "a")]


def test_a_trace_that_does_not_fit_is_refused_before_any_target_runs() -> None:
    """Each has the right hash: what it says that it recorded is what is wrong."""
    network = small_network()
    good = Reference(network).trace(default_inputs(network, 3))
    spikes, sizes = good.spikes, good.sizes
    extra = {**sizes, "extra": 1}
    cases = {
        "steps must be 5, not 3": {
            "timesteps": 3,
            "spikes": {n: s[:, :3] for n, s in spikes.items()},
        },
        "spiking layers must be conv, hidden, not conv": {"sizes": {"conv": 120}},
        "spiking layers must be conv, hidden, not hidden, conv": {
            "sizes": dict(reversed(sizes.items()))
        },
        "spiking layers must be conv, hidden, not conv, hidden, extra": {
            "sizes": extra,
            "spikes": {**spikes, "extra": spikes["hidden"]},
        },
        "neurons of 'conv' must be 120, not 112": {
            "sizes": {**sizes, "conv": 112},
            "spikes": {**spikes, "conv": spikes["conv"][..., :14]},
        },
        "outputs must be 3, not 2": {"outputs": good.outputs[:, :2]},
    }
    for told, changed in cases.items():
        with pytest.raises(ModelError) as error:
            Study(network, trace=replace(good, **changed))
        assert str(error.value) == (f"the trace's {told}; record it again with 'nchw golden'")
    empty = good.select(slice(0, 0))
    none = {"inputs": empty.inputs, "spikes": empty.spikes, "outputs": empty.outputs}
    stray = {**spikes, "hidden": spikes["hidden"] | np.uint8(128)}
    for told, changed in {
        "the trace must hold at least one sample, not none": none,
        "the trace is inconsistent (outputs have the shape (2, 3))": {"outputs": good.outputs[:2]},
        "the trace is inconsistent (spikes of conv have the shape (3, 5, 14))": {
            "spikes": {**spikes, "conv": spikes["conv"][..., :14]}
        },
        "the trace is inconsistent (spikes of hidden are of more than 6 neurons)": {
            "spikes": stray
        },
        "the trace is inconsistent (inputs are float64, no integers)": {
            "inputs": good.inputs.astype(float)
        },
    }.items():
        with pytest.raises(ModelError) as error:
            Study(network, trace=replace(good, **changed))
        assert str(error.value) == f"{told}; record it again with 'nchw golden'"
    with pytest.raises(DataError, match=r"^inputs must have the shape \(samples, 2, 2, 5, 6\)"):
        Study(network, trace=replace(good, inputs=good.inputs[:, :1]))
    with pytest.raises(DataError, match=r"^inputs must be 0 to 15, not "):
        Study(network, trace=replace(good, inputs=good.inputs + 1))
