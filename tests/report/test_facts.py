"""What is read of a build folder, and what is said of one that cannot be read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from report.folders import NETWORK, folder_of, golden
from small import chain
from tiny_design import tiny_network

from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.hls.cycles import bound, predicted_cycles
from neurocuda_hw.hls.plan import plan_network
from neurocuda_hw.network import IF
from neurocuda_hw.network.model_file import save
from neurocuda_hw.network.neurons import Encoding, Input
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.report import read_facts
from neurocuda_hw.report.facts import sent
from neurocuda_hw.targets.built import REPORT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of("loihi", tmp_path / "out")


def test_layers_tell_what_the_network_and_the_trace_hold(folder: Path) -> None:
    facts, trace = read_facts(folder), golden()
    assert [a.name for a in facts.layers] == ["image", "conv", "hidden", "out"]
    image, conv, _, out = facts.layers
    counts = trace.counts("conv")
    assert (conv.kind, conv.shape, conv.neurons) == ("IF, reset subtract", (4, 5, 6), 120)
    assert (conv.weights, conv.weight_bits, conv.window) == (4 * 2 * 3 * 3, 4, (0, 5))
    assert conv.membrane_bits > 4
    assert (conv.least, conv.most) == (counts.min(), counts.max())
    assert conv.spikes == pytest.approx(counts.mean())
    assert conv.rate == pytest.approx(counts.mean() / (120 * 5))
    assert image.kind == "Input, graded"
    assert image.spikes == pytest.approx(np.count_nonzero(trace.inputs) / 3)
    assert (out.sends, out.spikes, image.membrane_bits) == (False, 0.0, 0)
    assert facts.changed == ()
    assert facts.loihi is not None
    assert facts.pace is None


def test_events_of_inputs_that_are_held_count_in_every_step() -> None:
    network = chain(
        4,
        {
            "x": ((3,), Input(encoding=Encoding.CURRENT)),
            "y": ((2,), IF(threshold=1)),
        },
        Dense(weight=np.ones((2, 3), dtype=int)),
    )
    trace = Reference(network).trace(np.array([[1, 0, 1], [0, 0, 1]]))
    assert sent(network, trace, network["x"]).tolist() == [[2] * 4, [1] * 4]
    assert sent(network, trace, network["y"]).tolist() == [[2] * 4, [2] * 4]


def test_hls_cycles_are_those_of_its_own_schedule(tmp_path: Path) -> None:
    facts, lanes = (
        read_facts(folder_of("hls", tmp_path / "out")),
        {"conv": 1, "hidden": 1, "out": 1},
    )
    parts = predicted_cycles(NETWORK, golden(), lanes)
    found = {a.name: a.cycles for a in facts.layers if a.cycles is not None}
    assert found == {name: part.total for name, part in parts.items()}
    assert facts.pace == bound(plan_network(NETWORK, lanes), parts)
    assert [a.lanes for a in facts.layers] == [0, 1, 1, 1]


def test_what_is_no_build_folder_is_told(tmp_path: Path) -> None:
    for place, reason in (
        (tmp_path, "it has no report.json"),
        (tmp_path / "nothing", "there is no such folder"),
        (tmp_path / "file", "it is a file"),
    ):
        if reason == "it is a file":
            place.write_text("")
        with pytest.raises(ModelError) as error:
            read_facts(place)
        assert str(error.value) == (
            f"{str(place)!r} must be a folder that 'nchw build' wrote: {reason}"
        )


def _empty(report: Path) -> None:
    report.write_text("")


def _cut(report: Path) -> None:
    report.write_text(report.read_text()[:200])


def _foreign(report: Path) -> None:
    report.write_text('{"format": "something else", "version": 1}')


def _list(report: Path) -> None:
    report.write_text("[1, 2]")


def _without_files(report: Path) -> None:
    found = json.loads(report.read_text())
    report.write_text(json.dumps(found | {"files": []}))


def _without_network(report: Path) -> None:
    found = json.loads(report.read_text())
    report.write_text(json.dumps(found | {"network": "small"}))


def _bytes(report: Path) -> None:
    report.write_bytes(b"\xff\xfe\x00{")


def _told(**told: object) -> Callable[[Path], None]:
    """A report with more in it."""

    def damage(report: Path) -> None:
        report.write_text(json.dumps(json.loads(report.read_text()) | told))

    return damage


_TOLD = (
    _told(accuracy={"samples": 0, "right": 0}),
    _told(accuracy={"samples": "3", "right": 0}),
    _told(accuracy={"samples": 3}),
    _told(golden=[]),
    _told(conversion={"ann_accuracy": "high"}),
    _told(conversion="exact"),
    _told(folding={"luts": 1}),
    _told(folding=None),
    _told(bursts={"says": "none", "chosen": True, "with": {"cycles": 1}}),
)


@pytest.mark.parametrize(
    "damage", [*_TOLD, _empty, _cut, _list, _without_files, _without_network, _bytes]
)
def test_a_damaged_report_is_one_sentence(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder / REPORT)
    with pytest.raises(ModelError) as error:
        read_facts(folder)
    start = re.escape(f"{str(folder / REPORT)!r} is damaged (")
    assert re.fullmatch(rf"{start}[^\n]*\); build the folder again", str(error.value))


def test_a_report_of_something_else_is_one_sentence(folder: Path) -> None:
    _foreign(folder / REPORT)
    with pytest.raises(ModelError, match=r"wrote: its report.json is of something else$"):
        read_facts(folder)


def test_a_damaged_report_of_the_chip_is_one_sentence(folder: Path) -> None:
    path = folder / "loihi" / "report.json"
    good = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in good.items() if k != "core_place"}))
    with pytest.raises(ModelError) as error:
        read_facts(folder)
    assert str(error.value) == (
        f"{str(path)!r} is damaged or of another version (it has no core_place); "
        "build the folder again"
    )
    path.unlink()
    with pytest.raises(DataError) as missing:
        read_facts(folder)
    assert str(missing.value) == (
        f"cannot read the report of the chip {str(path)!r}: No such file or directory"
    )


def test_another_network_in_the_folder_is_told(folder: Path) -> None:
    other = tiny_network(spiking=False)
    save(other, folder / "model.pt")
    with pytest.raises(ModelError) as error:
        read_facts(folder)
    assert str(error.value) == (
        f"build folder {str(folder)!r} is damaged: model.pt is network {other.hash[:12]}, "
        f"report.json tells of {NETWORK.hash[:12]}; build it again"
    )


def test_a_trace_of_another_network_is_told(folder: Path) -> None:
    other = golden(tiny_network(spiking=False))
    (folder / "golden" / "trace.npz").write_bytes(other.to_bytes())
    with pytest.raises(ModelError) as error:
        read_facts(folder)
    assert str(error.value).startswith(
        f"build folder {str(folder)!r} is damaged: golden/trace.npz: the trace must be of network "
    )
