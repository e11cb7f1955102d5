"""Event counts against the naive chip, time and energy from counts by hand, `compile`, verify."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from loihi.naive_network import NaiveNetworkChip
from loihi.test_mapping import dense, limited
from loihi.test_simulator import can_keep_time, residual
from small import SPIKES, chain
from strategies import inputs_for, networks

from neurocuda_hw import loihi
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.loihi.events import EventCounter, Events
from neurocuda_hw.loihi.lower import lower
from neurocuda_hw.loihi.mapping import map_network
from neurocuda_hw.loihi.profiles import LOIHI1_DAVIES, LOIHI1_SILICON, LOIHI2_SCALED, PROFILES
from neurocuda_hw.loihi.simulator import ChipSimulator
from neurocuda_hw.loihi.timing import barrier_ns, core_work, step_times
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import IF, Reset
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.network.trace import first_divergence, pack
from neurocuda_hw.reference.reference import Reference

CLASSES = ("active", "spikes", "synaptic_ops", "messages_in", "messages_out")


@pytest.mark.slow
@settings(max_examples=80)
@given(st.data())
def test_every_event_of_every_core_and_step_is_counted(data: st.DataObject) -> None:
    network = data.draw(
        networks(
            channels=4,
            extent=4,
            resets=(Reset.SUBTRACT, Reset.TO_VALUE),
            weight_bits=data.draw(st.sampled_from([5, 10])),  # 10 bits take two synapses
        )
    )
    assume(can_keep_time(network))
    largest = max(p.size for p in network.populations)
    chip = limited(neurons=max(1, largest // data.draw(st.integers(1, 3))), cores=64)
    lowered = lower(network, chip)
    try:
        mapping = map_network(lowered, input_on_chip=data.draw(st.booleans()))
    except loihi.MappingError:
        assume(False)
    inputs = data.draw(inputs_for(network, samples=2))
    counter = EventCounter(mapping)
    ChipSimulator(lowered).run(inputs, observe=counter.observe)
    events = counter.events()
    naive = NaiveNetworkChip(network, mapping)
    for sample, single in enumerate(inputs):
        naive.run(single)
        for step, counts in enumerate(naive.events):
            for name in CLASSES:
                got = getattr(events, name)[sample, step].tolist()
                assert got == [counts[name, core] for core in range(mapping.cores)], (name, step)
            for name in ("hops_ew", "hops_ns"):
                assert getattr(events, name)[sample, step] == counts[name, 0], (name, step)


def counts(**values: Any) -> Events:
    """One sample, one step, two cores of 10 neurons; everything not given is 0."""
    zeros: dict[str, Any] = {
        name: np.zeros((1, 1, 2), dtype=np.int64)
        for name in (*CLASSES[:2], "dense_ops", "conv_ops", "words", *CLASSES[3:])
    }
    zeros |= {n: np.zeros((1, 1), np.int64) for n in ("hops_ew", "hops_ns", "busiest_link")}
    zeros["neurons"] = np.array([10, 10])
    for name, value in values.items():
        zeros[name] = np.array(value).reshape(zeros[name].shape)
    return Events(**zeros)


def test_time_of_a_loihi1_step_by_hand() -> None:
    """10 neurons, 3 of them active, 2 spikes, 100 weights, 5 messages; one tile's barrier."""
    events = counts(active=[3, 0], spikes=[2, 0], dense_ops=[100, 0], messages_in=[5, 0])
    timing = step_times(events, LOIHI1_SILICON, tiles=1)
    core = 3 * 9.7 + 7 * 6.0 + 2 * 30.0 + 100 * 3.8 + 5 * 16.0
    assert timing.core[0, 0].tolist() == pytest.approx([core, 60.0])
    assert timing.step[0, 0] == pytest.approx(core + 600.0)
    assert {name: float(part[0, 0]) for name, part in timing.parts.items()} == pytest.approx(
        {
            "neurons": 3 * 9.7 + 7 * 6.0 + 2 * 30.0,
            "synapses": 380.0,
            "reads": 0.0,
            "messages": 80.0,
            "links": 0.0,
            "barrier": 600.0,
        }
    )


def test_time_of_a_loihi2_step_is_its_slowest_resource() -> None:
    slow = counts(active=[10, 10], dense_ops=[1000, 0], words=[125, 0])
    timing = step_times(slow, LOIHI2_SCALED, tiles=1)
    assert timing.step[0, 0] == pytest.approx(700.0)
    assert timing.limited_by[0, 0] == "core"
    waiting = step_times(counts(active=[10, 10]), LOIHI2_SCALED, tiles=1)
    assert (waiting.step[0, 0], waiting.limited_by[0, 0]) == (200.0, "barrier")
    jam = step_times(counts(busiest_link=100), LOIHI2_SCALED, tiles=1)
    assert (jam.step[0, 0], jam.limited_by[0, 0]) == (650.0, "link")
    for found, part in ((timing, "synapses"), (waiting, "barrier"), (jam, "links")):
        times = {name: float(t[0, 0]) for name, t in found.parts.items()}
        assert times.pop(part) == pytest.approx(found.step[0, 0])
        assert not any(times.values())


def test_barrier_grows_with_the_tiles() -> None:
    assert [barrier_ns(LOIHI1_SILICON, n) for n in (1, 2, 3, 4, 29, 32)] == [
        600.0,
        1000.0,
        1200.0,
        1400.0,
        1800.0,
        1800.0,
    ]


def test_energy_of_a_step_by_hand() -> None:
    events = counts(
        active=[3, 0],
        spikes=[2, 0],
        dense_ops=[100, 7],
        conv_ops=[0, 10],
        messages_out=[4, 0],
        messages_in=[1, 3],
        hops_ew=6,
        hops_ns=2,
    )
    energy = loihi.program.step_energy(events, LOIHI1_SILICON)
    assert {name: float(e[0, 0]) for name, e in energy.items()} == pytest.approx(
        {
            "neurons": 3 * 72.8 + 17 * 51.2,
            "spikes": 2 * 69.3,
            "synapses": 107 * 35.5 + 10 * 24.0,
            "reads": 0.0,
            "messages": 4 * 111.0,
            "hops": 6 * 3.0 + 2 * 4.2,
        }
    )
    by_core = loihi.program.core_energy(events, LOIHI1_SILICON)
    without_hops = sum(float(e[0, 0]) for name, e in energy.items() if name != "hops")
    assert by_core.sum() == pytest.approx(without_hops)
    arrivals = loihi.program.step_energy(events, LOIHI1_DAVIES)["messages"]
    assert arrivals[0, 0] == pytest.approx(4 * 1.7)  # within the last tile, which SANA-FE has not
    assert core_work(events, LOIHI1_DAVIES)["messages"][0, 0].tolist() == [2.1, 3 * 2.1]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_constant_is_printed_with_label_and_source(profile: loihi.Profile) -> None:
    table = profile.table()
    for name, constant in profile.constants().items():
        row = next(row for row in table.splitlines() if row.startswith(f"{name} "))
        assert constant.label in row
        assert constant.source
        assert row.endswith(constant.source)


def test_a_label_must_be_known() -> None:
    message = "label must be one of published, fitted, scaled, assumed, not 'measured'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        loihi.Constant(ns=1.0, pj=1.0, label="measured", source="")


def example() -> tuple[Network, np.ndarray]:
    """A network with residual sums, and inputs."""
    network = residual()
    return network, np.random.default_rng(3).integers(0, 2, (4, 5, 2, 3, 3))


def test_compile_runs_and_reports() -> None:
    network, inputs = example()
    run = loihi.compile(network).run(inputs)
    assert np.array_equal(run.trace.outputs, Reference(network).trace(inputs).outputs)
    assert run.report is not None
    text = run.report.text()
    assert "modelled, not measured" in text
    for word in ("published", "scaled", "assumed"):
        assert word in text
    data = run.report.data()
    assert len(data["ns_per_step"]) == 5 + 4
    assert np.shape(data["core_utilisation"]) == (9, data["cores"])
    assert np.shape(data["core_fill"]["cores"]) == (data["cores"], 6)
    assert data["ns_per_inference"] == pytest.approx(sum(data["ns_per_step"]))
    parts = np.array(list(data["ns_per_step_by_part"].values()))
    assert parts.sum(axis=0) == pytest.approx(np.array(data["ns_per_step"]))
    classes = {name: sum(steps) for name, steps in data["pj_per_step_by_class"].items()}
    assert classes == pytest.approx(data["pj_by_class"])
    operations = data["events_per_inference"]["synaptic_ops"]
    assert sum(data["core_synaptic_ops"]) == pytest.approx(operations)
    assert len({tuple(place) for place in data["core_place"]}) == data["cores"]
    assert (data["fit"][0]["population"], data["fit"][0]["kind"]) == ("input", "host")
    assert data["limits"]["cores"]["value"] == 128
    assert json.loads(json.dumps(data)) == json.loads(json.dumps(data, allow_nan=False))
    assert data["pj_per_inference"] == pytest.approx(sum(data["pj_by_class"].values()))
    assert loihi.compile(network).run(inputs, cost=False).report is None


def test_files_are_bytes() -> None:
    network, inputs = example()
    files = loihi.compile(network).files(inputs)
    assert set(files) == {
        f"loihi/{name}" for name in ("mapping.txt", "limits.txt", "report.txt", "report.json")
    }
    assert json.loads(files["loihi/report.json"])["chip"] == "loihi2"


def test_verify_says_equal_for_every_population() -> None:
    network, inputs = example()
    results = loihi.verify_loihi(network, Reference(network).trace(inputs))
    assert [(r.population, r.shift, r.equal) for r in results] == [
        ("a", 1, True),
        ("b", 2, True),
        ("sum", 3, True),
        ("out", 4, True),
    ]
    assert all(r.spikes > 0 for r in results[:3])
    assert str(results[-1]).endswith("4 samples x 1 steps x 2 neurons, 0 spikes: equal")


@pytest.mark.parametrize("name", ["a", "b", "sum"])
def test_verify_finds_one_changed_spike(name: str) -> None:
    network, inputs = example()
    golden = Reference(network).trace(inputs)
    bits = golden.bits(name).copy()
    bits[2, 3, 17] ^= 1
    changed = replace(golden, spikes=golden.spikes | {name: pack(bits)})
    results = {r.population: r for r in loihi.verify_loihi(network, changed)}
    assert [n for n, r in results.items() if not r.equal] == [name]
    first = results[name].first
    assert first is not None
    assert (first.sample, first.step, first.neuron) == (2, 3, 17)


def test_verify_refuses_the_trace_of_another_network() -> None:
    network, inputs = example()
    other = dense(3, 2, 2)
    message = (
        f"the trace must be of network {other.hash[:12]}, not of {network.hash[:12]}; record it "
        "again with 'nchw golden'"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        loihi.verify_loihi(other, Reference(network).trace(inputs))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chip": "loihi3"}, "chip must be one of loihi1, loihi2, not 'loihi3'"),
        (
            {"profile": "silicon"},
            f"profile must be one of {', '.join(PROFILES)}, not 'silicon'",
        ),
    ],
)
def test_unknown_chips_and_profiles(options: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        loihi.compile(dense(3, 2, 2), **options)  # type: ignore[arg-type]


def test_spikes_do_not_need_a_chip_that_is_large_enough() -> None:
    """They do not depend on the mapping: a network that fits no core can still be verified."""
    rng = np.random.default_rng(1)
    network = chain(
        2,
        {
            "x": ((60_000,), SPIKES),
            "y": ((20,), IF(threshold=300)),
        },
        Dense(weight=rng.integers(-9, 12, (20, 60_000))),
    )
    inputs = rng.integers(0, 2, (1, 2, 60_000))
    golden = Reference(network).trace(inputs)
    with pytest.raises(loihi.MappingError):
        loihi.compile(network)
    found = loihi.spikes(network, inputs, "loihi2")
    assert first_divergence(network, golden, found) is None
    assert golden.counts("y").sum() > 0
    with pytest.raises(ModelError, match=r"^chip must be one of loihi1, loihi2, not 'loihi3'$"):
        loihi.spikes(network, inputs, "loihi3")


def test_run_is_compile_and_run() -> None:
    network, inputs = example()
    found, apart = loihi.run(network, inputs), loihi.compile(network).run(inputs)
    assert first_divergence(network, apart.trace, found.trace) is None
    assert found.report is not None
    assert apart.report is not None
    summary = found.report.summary()
    assert summary == apart.report.summary()
    assert summary["ns_per_inference"] == pytest.approx(9 * float(summary["ns_per_step"]))
    assert (summary["chip"], summary["samples"], summary["steps"]) == ("loihi2", 4, 9)
