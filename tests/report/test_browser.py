"""The page in a browser: numbers as in report.json, fit for a phone, and nothing complains."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report.folders import NETWORK, folder_of, golden, noted
from tools import need

from neurocuda_hw.commands.folding import as_plain
from neurocuda_hw.ground.programs import Tool
from neurocuda_hw.passes.budget import Folder
from neurocuda_hw.passes.devices import find_device
from neurocuda_hw.passes.study import Study
from neurocuda_hw.project.build import folder_files, write_folder
from neurocuda_hw.report import read_facts, render
from neurocuda_hw.report.chip_page import CONSTANTS, EVENTS
from neurocuda_hw.targets.base import Options

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
WIDTHS = (1200, 390)
# what the wrapper asks each frame; same-origin, since the page stands in srcdoc
SCRIPT = """
const rows = (t) => [...t.rows].map((r) => [...r.cells].map((c) => c.innerText));
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument, view = frame.contentWindow;
    const size = (e) => {
      const svg = e.closest("svg"), px = parseFloat(view.getComputedStyle(e).fontSize);
      return svg ? px * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : px;
    };
    const words = [...page.querySelectorAll("p, td, th, dt, dd, svg text")];
    return {
      width: view.innerWidth,
      needed: page.documentElement.scrollWidth,
      paper: view.getComputedStyle(page.body).backgroundColor,
      smallest: Math.min(...words.map(size)),
      tiles: [...page.querySelectorAll(".tiles div")].map((d) => d.innerText),
      words: Object.fromEntries([...page.querySelectorAll("section")].map((s) =>
        [s.querySelector("h2").innerText, s.querySelector("p")?.innerText ?? ""])),
      tables: [...page.querySelectorAll("section")].flatMap((s) =>
        [...s.querySelectorAll("table")].map((t) => [s.querySelector("h2").innerText, rows(t)])),
    };
  });
  document.body.dataset.found = JSON.stringify(found);
});
"""


def browser() -> str:
    """A headless browser."""
    found = next((path for path in map(shutil.which, NAMES) if path), "")
    if not found and os.environ.get("NCHW_NO_BROWSER"):
        pytest.skip("no browser, and none could be installed")
    problem = f"none of {', '.join(NAMES)} is on PATH; Debian has packages of the first two"
    need(Tool(name="a browser", problem="" if found else problem))
    return found


def looked_at(page: str, place: Path, *options: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What the page is at each of `WIDTHS`, and what the console says."""
    frames = "".join(
        f'<iframe srcdoc="{html.escape(page)}" style="width: {width}px; height: 900px; border: 0">'
        "</iframe>"
        for width in WIDTHS
    )
    wrapper = place / "wrapper.html"
    wrapper.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><body><script>{SCRIPT}</script>{frames}</body>'
    )
    fixed = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr")
    command = [browser(), *fixed, f"--user-data-dir={place / 'profile'}", *options]
    done = subprocess.run(
        [*command, "--window-size=1400,1000", "--dump-dom", wrapper.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (told,) = re.findall(r'data-found="([^"]*)"', done.stdout)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(told)), console


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of Verilog for a device, with accuracies, and verified."""
    place = tmp_path_factory.mktemp("page") / "out"
    study = Study(NETWORK, trace=golden())
    folding = Folder(NETWORK, study.activity).fold(find_device("xc7a35t"), target=400)
    told = {
        "conversion": {
            "strategy": "exact",
            "ann_accuracy": 98.76,
            "qcfs_accuracy": 98.5,
            "integer_accuracy": 97.25,
            "unequal": 0,
            "data": "digits.npz",
            "samples": 1234,
        },
        "accuracy": {"samples": 3, "right": 2},
        "folding": as_plain(folding),
    }
    options = Options(inputs="digits.npz", told=told)
    files, _ = folder_files(study.laid_out(folding.lanes), "verilog", options)
    write_folder(files, place, network=NETWORK)
    noted(place, target="verilog", cycles_per_inference=1234.5, latency_cycles=2345)
    return place


def number(text: str) -> float:
    """A number as it stands on the page."""
    return float(text.replace(",", "").replace("\u2212", "-"))


@pytest.mark.slow
def test_every_number_is_that_of_the_report(folder: Path, tmp_path: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    pages, console = looked_at(render(read_facts(folder), clock=50.0), tmp_path)
    assert console == []
    assert [page["width"] for page in pages] == list(WIDTHS)
    for page in pages:
        check_numbers(page, report)
        assert page["needed"] <= page["width"]
        assert page["smallest"] >= 8
        assert page["paper"] == "rgb(255, 255, 255)"


def tables_of(page: dict[str, Any]) -> dict[str, list[list[list[str]]]]:
    """The tables of each section; those of golden spikes are held against the trace."""
    tables: dict[str, list[list[list[str]]]] = {}
    for title, rows in page["tables"]:
        tables.setdefault(title, []).append(rows)
    trace = golden()
    counts = {NETWORK.input.name: (trace.inputs != 0).reshape(trace.samples, -1).sum(axis=1)}
    counts |= {name: trace.counts(name) for name in trace.sizes}
    for name, *cells in tables["Activity"][0][1:]:
        found = counts.pop(name)
        told = [round(found.mean(), 1), found.min(), found.max()]
        assert [number(cell) for cell in cells[:3]] == told
    assert not counts
    return tables


def check_numbers(page: dict[str, Any], report: dict[str, Any]) -> None:
    """Every cell that report.json knows."""
    tables = tables_of(page)
    head, *rows = tables["Network"][0]
    cells = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    for layer in report["populations"]:
        row = cells.pop(layer["name"])
        assert row["shape"].replace("\u00a0", " ") == " \u00d7 ".join(map(str, layer["shape"]))
        assert number(row["neurons"]) == layer["neurons"]
        if layer["weights"]:
            for column, key in (("weights", "weights"), ("weight bits", "weight_bits")):
                assert number(row[column]) == layer[key]
            assert number(row["bits"]) == layer["membrane_bits"]
            assert [number(n) for n in row["membrane, proved"].split(" to ")] == layer["membrane"]
            assert number(row["lanes"]) == layer["lanes"]
    assert not cells
    found = [[number(n) for n in row[1:2]] for row in tables["Accuracy"][0][1:]]
    assert found == [[98.76], [98.5], [97.25]]
    assert [row[2] for row in tables["Accuracy"][0][1:]] == ["", "\u22120.26", "\u22121.51"]
    folding = report["folding"]
    heads, *rows = tables["Device: xc7a35t"][0]
    assert heads[3:] == ["LUT", folding["block"], "DSP"]
    parts = [*folding["layers"], folding["shared"], folding, folding["usable"]]
    for row, part in zip(rows, parts, strict=True):
        assert [number(n) for n in row[3:]] == [part[k] for k in ("luts", "blocks", "dsps")]
        if "cycles" in part:
            assert number(row[2]) == part["cycles"]
    tools, sizes = (dict(table[1:]) for table in tables["Made with"])
    assert tools == {name: str(version) for name, version in report["tools"].items()}
    found_sizes = {name.replace(" ", "_"): number(value) for name, value in sizes.items()}
    assert found_sizes == report["sizes"]
    times = {row[0]: row[1:] for row in tables["Time"][0][1:]}
    measured = times["between results, measured in simulation"]
    assert [number(n) for n in measured] == [1234.5, 0.0247, round(50e6 / 1234.5)]
    assert times["from first input to first result, measured"] == ["2,345.0", "0.0469", ""]
    tiles = [tile.split("\n") for tile in page["tiles"]]
    by_words = {words: value for value, words in tiles}
    assert by_words["accuracy on test data"] == "97.25 %"
    targets = [p for p in report["populations"] if p["weights"]]
    assert number(by_words["neurons"]) == sum(p["neurons"] for p in targets)
    assert number(by_words["weights"]) == sum(p["weights"] for p in targets)
    assert number(by_words["steps per inference"]) == report["network"]["timesteps"]
    assert number(by_words["cycles per inference, measured"]) == 1234.5
    assert by_words["per inference at 50 MHz, assumed"] == "0.0247 ms"
    assert by_words["of xc7a35t, predicted"] == f"{folding['luts']:,} LUT"


def told(value: Any, decimals: int = 2) -> str:
    """A value of report.json as it stands in a table."""
    if isinstance(value, float):
        return f"{value:,.{decimals}f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def check_schedule(page: dict[str, Any], report: dict[str, Any]) -> None:
    """The tables of a build of C++."""
    tables = dict(zip(("loops", "fifos", "memories"), tables_of(page)["Schedule"], strict=True))
    for what, (heads, *rows) in tables.items():
        assert rows == [[told(row[head]) for head in heads] for row in report["hls"][what]]


def check_chip(page: dict[str, Any], report: dict[str, Any]) -> None:
    """The tables, tiles and sentences of a build for Loihi; `report` is loihi/report.json."""
    tables = tables_of(page)
    plain = {"population": str, "neuron": str, "limited by": lambda text: text.replace("_", " ")}
    heads, *rows = tables["Fit"][0]
    for row, part in zip(rows, report["fit"], strict=True):
        cells = dict(zip(heads, row, strict=True))
        keys = {"neuron": "kind", "limited by": "limited_by"}
        for head, form in plain.items():
            assert cells[head] == form(part[keys.get(head, head)])
        assert number(cells["neurons"]) == part["neurons"]
        assert cells["cores"] == (str(part["cores"]) if part["cores"] else "")
        assert cells["fill"] == (f"{part['fill']:.0%}" if part["cores"] else "")
    events = report["events_per_inference"]
    found = dict(tables["Time and energy"][0][1:])
    assert found == {EVENTS[name]: told(value, 1) for name, value in events.items()}
    costs, limits = (list(table[1:]) for table in tables["Constants and limits"])
    assert costs[: len(report["constants"])] == [
        [CONSTANTS[name], told(c["ns"]), told(c["pj"]), c["label"], c["source"]]
        for name, c in report["constants"].items()
    ]
    assert [number(row[1]) for row in costs[len(report["constants"]) :]] == [
        ns for _, ns in report["barrier"]["points"]
    ]
    assert limits == [
        [name.replace("_", " "), told(x["value"]), x["unit"], x["label"], x["source"]]
        for name, x in report["limits"].items()
    ]
    us, uj = report["ns_per_inference"] / 1e3, report["pj_per_inference"] / 1e6
    assert (
        f"Mean of 3 inferences: {us:,.2f} µs and {uj:,.3f} µJ" in page["words"]["Time and energy"]
    )
    assert page["words"]["Fit"].startswith(f"{report['cores']} of {report['chip_cores']} cores")
    tiles = {words: value for value, words in (tile.split("\n") for tile in page["tiles"])}
    assert tiles["per inference, modelled"] == f"{us:,.1f} µs"
    assert tiles["dynamic energy, modelled"] == f"{uj:,.2f} µJ"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "path", "check"),
    [("hls", "report.json", check_schedule), ("loihi", "loihi/report.json", check_chip)],
)
def test_every_number_of_the_other_targets(
    target: str, path: str, check: Callable[[Any, Any], None], tmp_path: Path
) -> None:
    folder = folder_of(target, tmp_path / "out")
    noted(folder, target=target)
    pages, console = looked_at(render(read_facts(folder)), tmp_path)
    assert console == []
    for page in pages:
        check(page, json.loads((folder / path).read_text()))
        assert page["needed"] <= page["width"]
        assert page["smallest"] >= 8


@pytest.mark.slow
def test_dark_where_the_reader_wants_it(folder: Path, tmp_path: Path) -> None:
    dark = "--blink-settings=preferredColorScheme=0"
    pages, console = looked_at(render(read_facts(folder)), tmp_path, dark)
    assert [page["paper"] for page in pages] == ["rgb(26, 26, 26)"] * 2
    assert console == []


@pytest.mark.slow
def test_a_complaint_of_the_console_is_seen(tmp_path: Path) -> None:
    _, console = looked_at("<p>words</p><script>missing()</script>", tmp_path)
    assert len(console) == len(WIDTHS)
    assert "missing is not defined" in console[0]
