"""The bulk harness on a small hand-written design, whole and broken in every way it must notice."""

from __future__ import annotations

import subprocess
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from tiny_design import FAULTS, tiny_design, tiny_network
from tools import need

from neurocuda_hw.data.stimulus import default_inputs, expected_bytes, stimulus_bytes
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace, first_divergence
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.simulation.benches import BLOCK
from neurocuda_hw.simulation.simulate import SimulationResult, Simulator, Stalls

SAMPLES = 12


class Case:
    """A network with a readout, or with spiking outputs; its golden trace; its compiled design."""

    def __init__(self, spiking: bool) -> None:
        need(find_verilator(), find_compiler(), find_make())
        self.network: Network = tiny_network(spiking=spiking)
        self.golden: Trace = Reference(self.network).trace(default_inputs(self.network, SAMPLES))
        self.simulator = Simulator(self.network, tiny_design(self.network), 32)
        self.memories = self.simulator.memories

    def broken(self, fault: str) -> dict[str, bytes]:
        return {"fault.mem": tiny_design(self.network, fault)["rtl/mem/fault.mem"]}


@pytest.fixture(scope="module", params=[False, True], ids=["readout", "spiking"])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_right_design_is_equal(case: Case) -> None:
    assert case.golden.counts("a__b").sum() > 20
    result = case.simulator.run(case.golden, jobs=1)
    assert result.equal
    assert result.fault == ""
    assert result.samples == SAMPLES
    assert result.spikes == {name: case.golden.counts(name).sum() for name in case.golden.sizes}
    assert set(result.unequal_samples.values()) == {0}
    assert result.unequal_outputs == 0
    assert first_divergence(case.network, case.golden, result.observed) is None
    assert result.latency_cycles < result.cycles_per_inference * 2 < result.cycles


def test_stalls_cost_cycles_and_change_nothing(case: Case) -> None:
    quick = case.simulator.run(case.golden, jobs=1)
    for seed in range(3):
        slow = case.simulator.run(case.golden, stalls=Stalls(percent=60, seed=seed), jobs=1)
        assert slow.equal
        assert slow.cycles > 1.2 * quick.cycles


@pytest.fixture(scope="module")
def long(case: Case) -> Trace:
    """Enough for four blocks, the last of them short."""
    inputs = default_inputs(case.network, 3 * BLOCK + 3)
    return Reference(case.network).trace(inputs)


def counted(result: SimulationResult) -> dict[str, object]:
    """All that a run tells, but how long it took."""
    found = {f.name: getattr(result, f.name) for f in fields(result) if f.name != "seconds"}
    return found | {"observed": result.observed.to_bytes()}


@pytest.mark.parametrize("percent", [0, 30])
def test_nothing_depends_on_the_number_of_processes(case: Case, long: Trace, percent: int) -> None:
    one, *others = (
        counted(case.simulator.run(long, jobs=jobs, stalls=Stalls(percent=percent)))
        for jobs in (1, 2, 3, 7)
    )
    assert one["equal"]
    assert one["samples"] == 3 * BLOCK + 3
    assert others == [one] * 3


def test_cycles_per_inference_are_those_within_blocks(
    case: Case, long: Trace, tmp_path: Path
) -> None:
    found = case.simulator.run(long, jobs=2)
    blocks = [case.simulator.run(long.select(slice(i, i + BLOCK))) for i in range(0, 153, BLOCK)]
    assert [block.samples for block in blocks] == [BLOCK, BLOCK, BLOCK, 3]
    assert found.cycles == sum(block.cycles for block in blocks)
    gaps = [block.samples - 1 for block in blocks]
    within = sum(b.cycles_per_inference * gap for b, gap in zip(blocks, gaps, strict=True))
    assert found.cycles_per_inference == pytest.approx(within / sum(gaps), rel=1e-12)
    assert found.latency_cycles == blocks[0].latency_cycles
    # 'make sim' calls the harness once, for all samples
    (tmp_path / "stimulus.bin").write_bytes(stimulus_bytes(case.network, long.inputs, 32))
    (tmp_path / "expected.bin").write_bytes(expected_bytes(long))
    said = harness(case, tmp_path).stdout
    assert f"{found.cycles} cycles, {found.cycles_per_inference:.1f} per inference, " in said


def test_one_inference_takes_all_cycles(case: Case) -> None:
    found = case.simulator.run(case.golden.select(slice(1, 2)))
    assert found.cycles_per_inference == found.cycles == found.latency_cycles > 0


def test_wrong_spike_is_found_where_it_is(case: Case) -> None:
    for sample, step, neuron in ((3, 2, 4), (5, 0, 0), (SAMPLES - 1, 3, 1)):
        spikes = {name: bits.copy() for name, bits in case.golden.spikes.items()}
        spikes["a__b"][sample, step, 0] ^= 1 << neuron
        wrong = changed(case.golden, spikes=spikes)
        result = case.simulator.run(wrong)
        place = first_divergence(case.network, wrong, result.observed)
        assert not result.equal
        assert place is not None
        assert (place.sample, place.population, place.step, place.neuron) == (
            *(sample, "a__b", step, neuron),
        )
        assert result.unequal_samples["a__b"] == 1
        assert result.unequal_outputs == 0


def test_wrong_output_is_found(case: Case) -> None:
    outputs = case.golden.outputs.copy()
    outputs[7, 2] += 1
    result = case.simulator.run(changed(case.golden, outputs=outputs))
    assert (result.equal, result.unequal_outputs, result.samples) == (False, 1, SAMPLES)
    stopped = case.simulator.run(changed(case.golden, outputs=outputs), stop=True)
    assert (stopped.equal, stopped.samples) == (False, 8)


def changed(trace: Trace, **parts: object) -> Trace:
    fields = ("network_hash", "timesteps", "sizes", "inputs", "spikes", "outputs")
    return Trace(**{name: parts.get(name, getattr(trace, name)) for name in fields})


FAULT_MESSAGES = {
    "hang": "no transfer for ",
    "twice": "neuron 0 fired twice",
    "extra_marker": "population 'a__b' sent more than 12 inferences of 4 steps",
    "no_tlast": "TLAST must come with ",
    "early_tlast": "TLAST must come with ",
    "bad_address": "population 'a__b', sample 1, step 0: address 7 is of no neuron",
    "dirty_start": "",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_design_is_caught(case: Case, fault: str) -> None:
    result = case.simulator.run(case.golden, memories=case.broken(fault), jobs=1)
    assert not result.equal
    assert FAULT_MESSAGES[fault] in result.fault
    if fault == "dirty_start":  # membranes that the last inference left behind
        assert first_divergence(case.network, case.golden, result.observed) is not None


def test_deadlock_tells_where_everything_stands(case: Case) -> None:
    result = case.simulator.run(case.golden, memories=case.broken("hang"), jobs=1)
    assert "(inference 1), 'a__b' at inference 1 step 1" in result.fault
    assert "output at inference 1 " in result.fault
    assert result.samples == 1


def test_fault_in_one_part_ends_the_result_there(case: Case, long: Trace) -> None:
    one, many = (
        counted(case.simulator.run(long, memories=case.broken("hang"), jobs=jobs))
        for jobs in (1, 3)
    )
    assert one == many
    assert (one["equal"], one["samples"]) == (False, 1)
    assert str(one["fault"]).startswith("cycle ")
    spikes = {name: bits.copy() for name, bits in long.spikes.items()}
    spikes["a__b"][BLOCK + 7, 2, 0] ^= 1
    wrong = changed(long, spikes=spikes)
    stopped = case.simulator.run(wrong, stop=True)
    assert (stopped.equal, stopped.samples, stopped.fault) == (False, BLOCK + 8, "")


def harness(case: Case, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The harness as a user calls it, on files in `folder`."""
    for name, content in case.memories.items():
        (folder / name).write_bytes(content)
    stimulus = folder / "stimulus.bin"
    if not stimulus.exists():
        stimulus.write_bytes(stimulus_bytes(case.network, case.golden.inputs, 32))
    expected = folder / "expected.bin"
    if not expected.exists():
        expected.write_bytes(expected_bytes(case.golden))
    return subprocess.run(
        [case.simulator.binary, "stimulus.bin", "expected.bin", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_line_reports_the_first_divergence(case: Case, tmp_path: Path) -> None:
    assert harness(case, tmp_path).returncode == 0
    assert harness(case, tmp_path).stdout.endswith("EQUAL: 12 inferences\n")
    spikes = {name: bits.copy() for name, bits in case.golden.spikes.items()}
    spikes["a__b"][4, 1, 0] ^= 1 << 3
    got = int(case.golden.bits("a__b", 4)[1, 3])
    (tmp_path / "expected.bin").write_bytes(expected_bytes(changed(case.golden, spikes=spikes)))
    done = harness(case, tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == (
        "first divergence: sample 4, population 'a__b', step 1, neuron 3 (3,): "
        f"expected spike {1 - got}, got {got}"
    )
    assert done.stdout.endswith("NOT EQUAL: 12 inferences\n")


@pytest.mark.parametrize(
    ("file", "cut", "message"),
    [
        ("stimulus.bin", -1, "bulk: stimulus.bin is truncated\n"),
        ("stimulus.bin", 5, "bulk: stimulus.bin is no stimulus file\n"),
        ("expected.bin", -1, "bulk: expected.bin is truncated\n"),
        ("expected.bin", 9, "bulk: expected.bin is no file of expected spikes\n"),
    ],
)
def test_truncated_files(case: Case, tmp_path: Path, file: str, cut: int, message: str) -> None:
    harness(case, tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:cut])
    done = harness(case, tmp_path)
    assert (done.returncode, done.stderr) == (2, message)


def test_a_count_of_words_that_wraps_around(case: Case, tmp_path: Path) -> None:
    harness(case, tmp_path)
    raw = bytearray((tmp_path / "stimulus.bin").read_bytes())
    raw[23] += 1 << 6  # 2**62 words of 4 bytes more: nothing more, modulo 2**64
    (tmp_path / "stimulus.bin").write_bytes(raw)
    done = harness(case, tmp_path)
    assert (done.returncode, done.stderr) == (2, "bulk: stimulus.bin is truncated\n")


def test_a_folder_in_the_place_of_a_file(case: Case, tmp_path: Path) -> None:
    (tmp_path / "stimulus.bin").mkdir()
    done = harness(case, tmp_path)
    assert (done.returncode, done.stderr) == (2, "bulk: cannot read all of stimulus.bin\n")


@pytest.mark.parametrize(("digit", "more"), [(b"g", b""), (b"", b"0\n" * 9999)])
def test_a_memory_file_that_cannot_be_read(case: Case, digit: bytes, more: bytes) -> None:
    file, content = next(iter(case.memories.items()))
    damaged = digit + content[len(digit) :] + more
    with pytest.raises(DataError, match=rf"ended before .*{file}.*; build the folder again$"):
        case.simulator.run(case.golden, memories={file: damaged})


@pytest.mark.slow
def test_a_cache_below_a_space(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCHW_CACHE", str(tmp_path / "my cache"))
    again = Simulator(case.network, tiny_design(case.network), 32)
    assert again.run(case.golden).equal
    assert again.binary.parent == tmp_path / "my cache"
    assert not list((tmp_path / "my cache").glob(".*"))


def test_files_of_other_networks(case: Case, tmp_path: Path) -> None:
    harness(case, tmp_path)
    raw = bytearray((tmp_path / "expected.bin").read_bytes())
    raw[12] += 1
    (tmp_path / "expected.bin").write_bytes(raw)
    done = harness(case, tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "bulk: expected.bin is of another network than the design\n",
    )
    wide = stimulus_bytes(case.network, case.golden.inputs, 64)
    (tmp_path / "stimulus.bin").write_bytes(wide)
    done = harness(case, tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "bulk: stimulus.bin has words of another width than the design\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--samples",), "bulk: --samples needs a value\n"),
        (("--samples", "x"), "bulk: --samples must be a number, not x\n"),
        (("--samples", "0"), "bulk: stimulus.bin must hold at least one sample\n"),
        (("--first", "12"), "bulk: stimulus.bin must hold at least one sample\n"),
        (("--first", "7"), "bulk: --first must be a multiple of 50\n"),
        (("--stall-percent", "96"), "bulk: --stall-percent must be 0 to 95\n"),
        (("--fast", "1"), "bulk: there is no option --fast\n"),
        (("third",), "bulk: give the stimulus file and the file of expected spikes\n"),
    ],
)
def test_bad_arguments(
    case: Case, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = harness(case, tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (2, message)


def test_fewer_samples(case: Case, tmp_path: Path) -> None:
    done = harness(case, tmp_path, "--samples", "5")
    assert done.stdout.endswith("EQUAL: 5 inferences\n")
    assert not np.array_equal(case.golden.outputs[4], case.golden.outputs[5])
