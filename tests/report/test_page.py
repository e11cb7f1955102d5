"""The page: complete, self-contained, the same every time, and drawn from the true numbers."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from report.folders import NETWORK, folder_of, golden, noted

from neurocuda_hw import NeurocudaError
from neurocuda_hw.cli import cli
from neurocuda_hw.ground.errors import DataError, OutputError
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.trace import load_trace
from neurocuda_hw.passes.study import Study
from neurocuda_hw.project.build import build, folder_files, write_folder
from neurocuda_hw.report import (
    activity_figure,
    figure_bytes,
    raster_figure,
    read_facts,
    render,
    report,
)
from neurocuda_hw.report.chip import busy_map, core_map, energy_figure, step_figure
from neurocuda_hw.report.cost_page import burst_sections
from neurocuda_hw.report.figures import BAND, cycles_figure, states_figure
from neurocuda_hw.report.style import inline_svg, short
from neurocuda_hw.targets.base import Options

VOID = {"meta", "img", "path", "rect", "use", "image", "stop", "br", "link", "circle", "line"}


class Page(HTMLParser):
    """Checks that elements nest, and collects what refers to the world and what is written."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images = 0
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]
        self.images += given.get("role") == "img" or (tag == "img" and bool(given.get("alt")))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data.strip())


@pytest.fixture(scope="module")
def loihi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of("loihi", tmp_path_factory.mktemp("loihi") / "out")


@pytest.fixture(scope="module")
def chip(loihi: Path) -> dict[str, Any]:
    data = read_facts(loihi).loihi
    assert data is not None
    return data


@pytest.mark.parametrize("png", [False, True])
def test_a_page_needs_no_other_file(loihi: Path, png: bool) -> None:
    text = render(read_facts(loihi), png=png)
    page = Page(text)
    assert page.images == 7
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert "url(" not in text.replace("url(#", "")
    words = " ".join(page.words)
    for expected in ("conv", "hidden", "IF, reset subtract", "modelled", "scaled", "assumed"):
        assert expected in words
    for constant in read_facts(loihi).loihi["constants"].values():  # type: ignore[index]
        assert constant["source"] in words
    assert "Verified" not in words


def test_the_same_folder_gives_the_same_page(loihi: Path) -> None:
    assert render(read_facts(loihi)) == render(read_facts(loihi))


def test_verilog_and_its_measured_cycles(tmp_path: Path) -> None:
    folder = folder_of("verilog", tmp_path / "out")
    before = " ".join(Page(render(read_facts(folder))).words)
    assert "Nothing has been measured on this build yet." in before
    assert "cycles per inference, predicted" in before
    activity = {"conv": {"events": 5, "integrating": 90, "starved": 30}}
    noted(
        folder,
        target="verilog",
        cycles_per_inference=1234.5,
        latency_cycles=99,
        activity=activity,
    )
    page = Page(render(read_facts(folder)))
    after = " ".join(page.words)
    assert page.images == 5
    assert "Measured in simulation: 1,234.5 cycles per inference, " in after
    assert "cycles per inference, measured" in after
    assert "Verified: every spike of every layer is equal on 3 inferences." in after
    noted(folder, target="verilog", same=False, cycles_per_inference=1234.5)
    wrong = " ".join(Page(render(read_facts(folder))).words)
    assert "measured" not in wrong.replace("Nothing has been measured", "")


def test_what_a_build_was_told_is_on_its_page(tmp_path: Path) -> None:
    conversion = {"strategy": "exact", "ann_accuracy": 98.5, "qcfs_accuracy": None}
    conversion |= {"integer_accuracy": 97.0, "unequal": 3, "data": "<b>", "samples": 4321}
    told = {"conversion": conversion, "accuracy": {"samples": 3, "right": 1}}
    study = Study(NETWORK, trace=golden())
    files, _ = folder_files(study, "hls", Options(inputs="a & b", told=told))
    write_folder(files, tmp_path / "out", network=NETWORK)
    facts = read_facts(tmp_path / "out")
    text = render(facts, clock=200)
    words = " ".join(Page(text).words)
    assert "Test data: 4,321 samples of <b>. In 3 of them some spike count or logit is" in words
    assert "<b>" not in text
    assert "Of the 3 inferences in this folder 1 answer their label (33.33\u00a0%)." in words
    assert "trained model 98.50 integer network 97.00 \u22121.50" in " ".join(words.split())
    assert "(inputs: a & b)" in words
    assert "a clock of 200 MHz, which is an assumption" in words
    assert facts.pace is not None
    assert f"{facts.pace / 200e3:,.4f} ms" in words
    for clock in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(DataError) as error:
            render(facts, clock=clock)
        assert str(error.value) == f"clock must be positive MHz, not {clock!r}"


def test_words_of_a_model_are_not_markup(loihi: Path) -> None:
    noted(loihi, target="loihi", same=False, fault="<script>alert(1)</script>")
    text = render(read_facts(loihi))
    (loihi / "verification.json").unlink()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    svg = inline_svg(activity_figure(NETWORK, golden()), 'a "b" <c> & d')
    assert "aria-label=\"a 'b' c and d\"" in svg


def test_a_sample_that_is_not_there_is_told(loihi: Path) -> None:
    with pytest.raises(DataError) as error:
        render(read_facts(loihi), sample=3)
    assert str(error.value) == "sample must be 0 to 2, those of the trace, not 3"


def test_a_page_that_cannot_be_written_is_told(loihi: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError) as error:
        report(loihi, tmp_path / "no" / "page.html")
    assert str(error.value) == (
        f"cannot write {str(tmp_path / 'no' / 'page.html')!r}: {str(tmp_path / 'no')!r}: "
        "there is no such folder"
    )


def test_the_command_writes_into_the_folder(tmp_path: Path) -> None:
    folder = folder_of("loihi", tmp_path / "out")
    done = CliRunner().invoke(cli, ["report", str(folder)])
    page = folder / "report.html"
    assert done.output.splitlines() == [
        f"Wrote {page}: {page.stat().st_size:,} bytes.",
        "Not verified: nothing has compared this mapping with the golden trace.",
    ]
    folder_of("loihi", folder)  # an earlier report does not keep a folder from being built again
    assert not page.exists()
    failed = CliRunner().invoke(cli, ["report", str(tmp_path)])
    assert isinstance(failed.exception, NeurocudaError)


def test_activity_is_that_of_the_trace() -> None:
    trace = golden()
    figure = activity_figure(NETWORK, trace)
    left, right = figure.axes[:2]
    share = left.images[0].get_array()
    assert share is not None
    conv = trace.bits("conv").mean(axis=(0, 2)) * 100
    assert share[1].tolist() == pytest.approx(conv.tolist())
    assert np.ma.getmaskarray(share)[0].tolist() == [False, False, True, True, True]
    assert [bar.get_width() for bar in right.patches] == pytest.approx(
        [
            np.count_nonzero(trace.inputs) / 3,
            trace.counts("conv").mean(),
            trace.counts("hidden").mean(),
        ]
    )
    assert [label.get_text() for label in left.get_yticklabels()] == ["image", "conv", "hidden"]


def test_the_raster_is_one_inference() -> None:
    trace = golden()
    figure = raster_figure(NETWORK, trace, 1)
    panels = figure.axes
    conv, hidden = (np.ma.getdata(p.images[0].get_array()) for p in panels[1:])
    assert np.array_equal(hidden, trace.bits("hidden", 1).T)
    assert conv.shape == (BAND, 5)
    sizes = [len(part) for part in np.array_split(np.arange(120), BAND)]
    assert (conv * np.array(sizes)[:, None]).sum(axis=0) == pytest.approx(
        trace.bits("conv", 1).sum(axis=1)
    )
    image = np.ma.getmaskarray(panels[0].images[0].get_array())
    assert image.all(axis=0).tolist() == [False, False, True, True, True]


def test_bars_of_cycles_are_those_given() -> None:
    axes = cycles_figure({"a": 10.0, "b": 30.0}, 33.0).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [10.0, 30.0]
    assert axes.lines[0].get_xdata()[0] == 33.0  # type: ignore[index]
    assert len(cycles_figure({"a": 10.0}, None).axes[0].lines) == 0


def test_cycles_of_a_layer_are_stacked_by_what_it_did() -> None:
    activity = {"a": {"integrating": 3.0, "starved": 9.0, "events": 7.0}, "b": {"sweeping": 12.0}}
    axes = states_figure(activity, {"a": 4.0}).axes[0]
    ends: dict[float, float] = {}
    for bar in axes.patches:
        row = bar.get_y() + bar.get_height() / 2
        ends[row] = max(ends.get(row, 0.0), bar.get_x() + bar.get_width())
    assert ends == pytest.approx({0.0: 12.0, 1.0: 12.0})
    widths = {bar.get_width() for bar in axes.patches}
    assert widths == {0.0, 3.0, 9.0, 12.0}
    assert axes.collections[0].get_offsets()[0].tolist() == [4.0, 0.0]  # type: ignore[index]


def test_core_maps_show_every_core_in_its_place(chip: dict[str, Any]) -> None:
    figure = core_map(chip)
    grids = [np.ma.masked_invalid(a.images[0].get_array()) for a in figure.axes if a.images]
    grids = [grid for grid in grids if grid.shape == (8, 16)]
    assert len(grids) == 4
    for core, (x, y) in enumerate(chip["core_place"]):
        assert grids[3][y, x] == pytest.approx(chip["core_synaptic_ops"][core])
        neurons = chip["core_fill"]["limits"].index("neurons")
        assert grids[2][y, x] == pytest.approx(100 * chip["core_fill"]["cores"][core][neurons])
    assert all(grid.count() == chip["cores"] for grid in grids)
    assert len(busy_map(chip).axes[0].get_yticks()) == 3


def test_stacks_add_up_to_the_step(chip: dict[str, Any]) -> None:
    upper, lower = step_figure(chip).axes[:2]
    steps = len(chip["ns_per_step"])
    for axes, total in (
        (upper, np.array(chip["ns_per_step"]) / 1e3),
        (lower, np.sum(list(chip["pj_per_step_by_class"].values()), axis=0) / 1e6),
    ):
        heights = np.array([bar.get_height() for bar in axes.patches]).reshape(-1, steps)
        assert heights.sum(axis=0) == pytest.approx(total)
        tops = [bar.get_y() + bar.get_height() for bar in axes.patches][-steps:]
        assert tops == pytest.approx(total.tolist())
    widths = [bar.get_width() for bar in energy_figure(chip).axes[0].patches]
    assert sum(widths) == pytest.approx(chip["pj_per_inference"] / 1e6)


def test_figures_are_bytes_of_a_known_kind() -> None:
    trace = golden()
    figure = activity_figure(NETWORK, trace)
    assert figure_bytes(figure) == figure_bytes(activity_figure(NETWORK, trace))
    assert figure_bytes(figure, "png").startswith(b"\x89PNG")
    assert figure_bytes(figure, "pdf").startswith(b"%PDF")
    message = "kind must be svg, png or pdf, not 'gif'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        figure_bytes(figure, "gif")


def test_numbers_are_short() -> None:
    assert [short(n) for n in (0, 7, 999, 1234, 5.6e6, 7.89e9)] == [
        "0",
        "7",
        "999",
        "1.23k",
        "5.6M",
        "7.89G",
    ]


def test_matplotlib_waits_until_something_is_drawn() -> None:
    code = (
        "import sys, neurocuda_hw.report, neurocuda_hw.cli; "
        "sys.exit(any(n.split('.')[0] == 'matplotlib' for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("wish", ["auto", "on"])
def test_the_page_shows_both_designs_where_bursts_are_declined(tmp_path: Path, wish: str) -> None:
    root = Path(__file__).parents[2] / "golden"
    trace = load_trace(root / "mnist_mlp.npz").select(slice(0, 2))
    folder = build(load(root / "mnist_mlp.pt"), tmp_path / wish, bursts=wish, trace=trace)
    facts = read_facts(folder)
    (section,) = burst_sections(facts)
    told = facts.report["bursts"]
    assert section.lead == told["says"]
    rows = {row[0]: row[1:] for row in section.tables[0].rows}
    names = (
        {"with bursts, built here"}
        if wish == "on"
        else {"with bursts", "without bursts, built here"}
    )
    assert rows.keys() == names
    for name, (cycles, luts, blocks, dsps) in rows.items():
        found = told[name.split(" ")[0]]
        assert (cycles, luts) == (f"{found['cycles']:,.1f}", f"{found['luts']:,}")
        assert (blocks, dsps) == (f"{found['blocks']:,g}", f"{found['dsps']:,}")
    words = Page(render(facts)).words
    assert told["says"] in words
    assert burst_sections(read_facts(folder_of("verilog", tmp_path / "none"))) == []
