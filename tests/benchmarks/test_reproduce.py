"""`nchw reproduce`: every figure of the pages has a row, and one that is changed says CHECK."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from shell import Shell

from benchmarks import readme, reproduce, rows
from benchmarks.row import Band, Row, Run, flat
from neurocuda_hw.commands import reproduce as command

TOY = """
import json, pathlib, sys
calls = pathlib.Path(sys.argv[1])
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
assert sys.argv[2:] == ["--json"]
print(json.dumps({"cycles": 100, "rows": [{"name": "one", "luts": 7.04}], "more": 1}))
"""


@pytest.fixture
def nchw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """The command."""
    return Shell(tmp_path, capsys)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows of a script's figures, and of data that is not there; a copy of ``results/``."""
    shutil.copytree(readme.RESULTS, tmp_path / "results")
    monkeypatch.setattr(readme, "RESULTS", tmp_path / "results")
    committed = {"cycles": 100, "rows": [{"name": "one", "luts": 7}], "more": 2}
    (tmp_path / "results" / "toy.json").write_text(json.dumps(committed))
    (tmp_path / "toy.py").write_text(TOY)
    bands = {"cycles": Band(), "*.luts": Band(share=0.01)}
    run = Run(f"{tmp_path / 'toy.py'} {tmp_path / 'calls'}", bands)
    absent = Run("accuracy mlp --data {data}/mnist", bands)
    found = (Row("toy", "toy", run, run), Row("absent", "toy", absent), Row("long", "toy", run))
    monkeypatch.setattr(rows, "ROWS", found)
    return tmp_path


def change(toy: Path, **values: object) -> None:
    path = toy / "results" / "toy.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_every_figure_of_the_pages_has_a_row() -> None:
    shown = readme.named()
    assert sum(map(len, shown.values())) > 100
    for name in readme.EXACT:  # what `unequal` is the sum of
        shown[name] |= {key for key in flat(readme.read(name)) if key.endswith("unequal")}
    assert shown.pop("unequal") == {""}
    shown["nir_frameworks"] = {
        key for key in flat(readme.read("nir_frameworks")) if "verdict" in key
    }
    for name, keys in shown.items():
        runs = [row.full for row in rows.ROWS if row.result == name and row.full]
        assert keys <= flat(readme.read(name)).keys()
        assert not {key for key in keys if not any(run.band(key) for run in runs)}, name


@pytest.mark.parametrize("row", rows.ROWS, ids=lambda row: row.name)
def test_each_command_can_be_read(row: Row) -> None:
    from benchmarks.command import parser_of
    from benchmarks.table import FIGURES

    for run in filter(None, (row.full, row.quick)):
        assert run.asks in reproduce.ASKS
        assert set(reproduce._named("data", run)) <= rows.DATA.keys()
        first, *words = run.words.split()
        if not first.endswith(".py"):
            (figure,) = (figure for figure in FIGURES if figure.name == first)
            parser_of(figure).parse_args(words)
        assert any(run.band(key) for key in row.values), "it compares something"


def test_equal_skipped_and_kept(nchw: Shell, toy: Path) -> None:
    result = nchw("reproduce", "--all", "--state", toy / "state", "--data", toy)
    assert result.code == 0
    lines = [line.split()[:2] for line in result.out.splitlines()]
    assert lines[:3] == [["PASS", "toy"], ["SKIPPED", "absent"], ["PASS", "long"]]
    assert f"{toy / 'mnist'} is not there: the four idx files of MNIST" in result.out
    assert (toy / "calls").read_text() == "xx"
    told = json.loads((toy / "state" / "reproduced.json").read_text())
    assert [c["key"] for c in told["rows"][0]["compared"]] == ["cycles", "rows.one.luts"]
    assert {"python", "torch", "yosys"} <= told["versions"].keys()
    page = (toy / "state" / "reproduced.md").read_text()
    assert "| toy rows.one.luts | 7 | 7.04 | ± 1 % |  |" in page
    assert told["rows"][0]["hashes"]["results/toy.json"] in page
    nchw("reproduce", "--all", "--state", toy / "state", "--data", toy)
    assert (toy / "calls").read_text() == "xx", "what is measured is kept"
    (toy / "state" / "toy.full.json").write_text("{")
    nchw("reproduce", "--all", "--state", toy / "state", "--data", toy)
    assert (toy / "calls").read_text() == "xxx"


def test_a_figure_changed_by_hand(nchw: Shell, toy: Path) -> None:
    only = ("reproduce", "--only", "toy", "--quick", "--state", toy / "state")
    assert nchw(*only).code == 0
    change(toy, cycles=101)
    result = nchw(*only)
    assert result.code == 1
    assert result.out.startswith("CHECK    toy")
    assert "cycles: 100, not 101 (exact)" in result.out
    assert "luts" not in result.out
    change(toy, cycles=100, rows=[{"name": "one", "luts": 7.2}])
    assert nchw(*only).code == 1


def test_a_page_that_shows_something_else(
    nchw: Shell, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROWS", (Row("pages", look=rows.pages),))
    only = ("reproduce", "--quick", "--state", toy / "state")
    assert nchw(*only).code == 0
    path = toy / "results" / "cycles.json"
    path.write_text(path.read_text().replace("1187", "1178"))
    result = nchw(*only)
    assert result.code == 1
    assert "figures.md: not what results/ has" in result.out


def test_a_command_that_fails(nchw: Shell, toy: Path) -> None:
    (toy / "toy.py").write_text("import sys; sys.exit('no such thing')")
    result = nchw("reproduce", "--only", "toy", "--state", toy / "state")
    assert result.code == 1
    assert result.out.splitlines()[0].startswith("CHECK    toy                      no such thing")
    (toy / "toy.py").write_text(
        "import sys; print('a tool is missing', file=sys.stderr); sys.exit(3)"
    )
    assert nchw("reproduce", "--only", "toy", "--state", toy / "state").code == 0


def test_what_the_pages_show_must_be_measured(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme, "named", lambda: {"toy": {"cycles"}})
    (row, *_) = rows.ROWS
    assert row.full is not None
    found = reproduce.comparison(row, row.full, {"rows.one.luts": 7}, whole=True)
    assert [(c.key, c.holds) for c in found] == [("cycles", False), ("rows.one.luts", True)]
    quick = reproduce.comparison(row, row.full, {"rows.one.luts": 7}, whole=False)
    assert [c.key for c in quick] == ["rows.one.luts"]


def test_bands() -> None:
    assert Band().holds(3, 3)
    assert not Band().holds(3, 3.001)
    assert not Band().holds(True, 1)
    assert Band(points=0.1).holds(98.97, 99.07)
    assert not Band(points=0.1).holds(98.97, 99.08)
    assert Band(share=0.01).holds(-200, -202)
    assert Band(times=2).holds(10, 5)
    assert not Band(times=2).holds(10, 4.9)
    assert not Band(times=2).holds(10, 0)
    assert str(Band(points=0.1, share=0.01)) == "± 0.1 and 1 %"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "say --list, --quick, --all or --only NAME"),
        (["--quick", "--all"], "one of --quick and --all"),
        (["--only", "nothing"], "there is no figure 'nothing'; --list names them"),
    ],
)
def test_wrong_usage(nchw: Shell, arguments: list[str], complaint: str) -> None:
    result = nchw("reproduce", *arguments, "--state", nchw.folder / "state")
    assert result.code == 2
    assert complaint in result.err


def test_it_needs_the_checkout(
    nchw: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "CHECKOUT", tmp_path)
    nchw.refuses(
        "nchw reproduce needs the project's checkout, where benchmarks/ and results/ are; run "
        "'python reproduce.py' there",
        *("reproduce", "--quick"),
    )


def test_the_list(nchw: Shell) -> None:
    result = nchw("reproduce", "--list")
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()] == [row.name for row in rows.ROWS]
