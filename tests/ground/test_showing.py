"""Lines that are short whatever an object holds, and tables whose values are escaped."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

import neurocuda_hw as nc
from neurocuda_hw.conversion.stats import Stats
from neurocuda_hw.ground.showing import Brief, brief, html_table, outline
from neurocuda_hw.project.verify import Verification
from neurocuda_hw.simulation.mutate import MutantResult
from neurocuda_hw.targets.checks import Check

GOLDEN = Path(__file__).parents[2] / "golden"
EVIL = '<script>alert("1")</script> & <b>'
STATS = Stats(
    strategy="exact",
    ann_accuracy=98.123,
    replaced_accuracy=None,
    qcfs_accuracy=98.0,
    if_accuracy=None,
    integer_accuracy=97.5,
    unequal=0,
    thresholds=[[1, 20, 3000]],
    threshold_ranges={"conv": (1, 20, 3000)},
    sparsity=75.0,
    spikes={"input": 12.25, "conv": 5.0},
    spike_agreement={},
    notes=(EVIL,),
    conversion_time=2.5,
)


class Cells(HTMLParser):
    """What stands in the cells of tables, by row; elements must nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.captions: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        assert tag in ("table", "caption", "thead", "tbody", "tr", "th", "td")
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "caption":
            self.captions.append(data)
        else:
            self.rows[-1][-1] += data


def test_arrays_are_told_by_shape_and_range() -> None:
    assert brief(np.array([[3, -4]])) == "int64[1, 2] -4 to 3"
    assert brief(np.array(7)) == "7"
    assert brief(np.zeros((0, 3), dtype=np.uint8)) == "uint8[0, 3]"
    assert brief(torch.tensor([0.5, 2.0])) == "float32[2] 0.5 to 2"
    assert brief({"a": np.array([1, 2])}) == "{'a': int64[2] 1 to 2}"
    assert brief(nc.Reset.ZERO) == "Reset.ZERO"


def test_a_line_leaves_out_what_is_as_by_default() -> None:
    @dataclass(repr=False)
    class Thing(Brief):
        values: np.ndarray
        bias: object = 0
        hidden: int = field(default=3, repr=False)

    assert repr(Thing(np.arange(3))) == "Thing(values=int64[3] 0 to 2)"
    assert repr(Thing(np.arange(3), np.array(0), 4)) == "Thing(values=int64[3] 0 to 2)"
    assert repr(Thing(np.arange(3), np.array([0, 0]))) == (
        "Thing(values=int64[3] 0 to 2, bias=int64[2] 0 to 0)"
    )


def test_long_rows_of_names_lose_their_middle() -> None:
    assert outline(["a", "b", "c"]) == "a -> b -> c"
    assert outline(list("abcdefgh")) == "a -> b -> c -> d -> (3 more) -> h"


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "mixed"])
def test_objects_of_a_network_are_short(name: str) -> None:
    network, trace = nc.load(GOLDEN / f"{name}.pt"), nc.load_trace(GOLDEN / f"{name}.npz")
    snn = nc.SpikingNetwork(network)
    shown = [network, trace, snn, *network.populations, *network.projections]
    shown += [p.neuron for p in network.populations] + [q.synapse for q in network.projections]
    for thing in [*shown, snn.reference().run(trace.inputs[:1])]:
        assert len(repr(thing)) < 500, repr(thing)
        assert "array(" not in repr(thing)
        assert "\n" not in repr(thing)
    assert repr(network).startswith(f"Network('{name}', T={network.timesteps}: ")
    total = sum(int(trace.counts(n).sum()) for n in trace.sizes)
    layers = {1: "1 population)"}.get(len(trace.sizes), f"{len(trace.sizes)} populations)")
    assert f"{total:,} spikes of {layers}" in repr(trace)


def test_tables_hold_what_the_objects_hold() -> None:
    network, trace = nc.load(GOLDEN / "mnist_cnn.pt"), nc.load_trace(GOLDEN / "mnist_cnn.npz")
    table = Cells(network._repr_html_())
    assert nc.SpikingNetwork(network)._repr_html_() == network._repr_html_()
    assert [row[0] for row in table.rows[1:]] == [p.name for p in network.populations]
    first = network.incoming("features_0")[0].synapse
    shape, weights = " \u00d7 ".join(["16", "28", "28"]), f"{first.weight.size:,}"
    assert table.rows[2][1:] == ["IF", shape, "12,544", weights, "8", "0 to 7"]
    spikes = {row[0]: row[2:] for row in Cells(trace._repr_html_()).rows[1:]}
    for name in trace.sizes:
        counts = trace.counts(name)
        told = [f"{counts.mean():,.1f}", f"{counts.min():,}", f"{counts.max():,}"]
        assert spikes[name] == told
    assert Cells(trace.select(slice(0, 0))._repr_html_()).rows[1][2:] == ["", "", ""]


def test_stats_are_told_and_escaped() -> None:
    assert repr(STATS) == (
        "Stats(exact, trained model 98.12 %, quantised ANN 98.00 %, integer network 97.50 %, 2 s)"
    )
    text = STATS._repr_html_()
    assert "<script>" not in text
    rows = [row for row in Cells(text).rows if row[0]]
    assert ["note", EVIL] in rows
    assert ["trained model, accuracy", "98.12 %"] in rows
    assert ["neuron steps without a spike", "75.0 %"] in rows
    assert ["conv", "5.0", "1 to 3,000"] in rows


def test_verdicts_are_told_and_escaped() -> None:
    equal = Check(target="verilog", same=True, samples=3, events=9, spikes={"a": 4000}, outputs=1)
    wrong = Check(target="hls", same=False, samples=2, fault=EVIL)
    mutants = tuple(
        MutantResult(kind="bit", place="m", outcome=o, detail="") for o in ("caught", "caught")
    )
    found = Verification(name="n", network="f" * 64, checks=(equal, wrong), mutants=mutants)
    assert repr(found) == (
        "Verification('n', network ffffffffffff: verilog equal, hls different, 2 mutants)"
    )
    text = found._repr_html_()
    assert "<script>" not in text
    rows = Cells(text).rows[1:]
    assert rows[0] == ["verilog", "equal", "3", "4,000", "", ""]
    assert rows[1] == ["hls", "different", "2", "0", "", EVIL]
    assert rows[2][:2] == ["mutants", "2 caught, 0 missed, 0 not exercised"]
    assert Cells(wrong._repr_html_()).rows[1] == rows[1]


def test_every_part_of_a_table_is_escaped() -> None:
    text = html_table(EVIL, (EVIL, ">number"), [(EVIL, 3)])
    assert re.findall(r"<(?!/?(?:table|caption|thead|tbody|tr|th|td)\b)", text) == []
    table = Cells(text)
    assert "".join(table.captions) == EVIL
    assert table.rows == [[EVIL, "number"], [EVIL, "3"]]
    assert text.count("text-align: right") == 2
    with pytest.raises(ValueError, match="zip"):
        html_table("", ("a", "b"), [("only one",)])
