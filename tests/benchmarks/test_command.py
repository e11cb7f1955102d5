"""``python -m benchmarks``: the table, its one command line, and what goes to which stream."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest

import benchmarks
from benchmarks import command, table
from benchmarks.options import number, option
from benchmarks.table import FIGURES, Figure

TOY = '''"""A toy: what it was given.

Key: ``given``.
"""

from benchmarks.table import say


def measure(given):
    """The figure."""
    say("measuring")
    print("a library's word")
    return {"given": given.size, "deep": [{"spikes_unequal": given.wrong}]}
'''


class Command:
    """Calls the command in this process; keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            command.main([str(a) for a in arguments])
        assert isinstance(ended.value.code, int)
        out, err = self.capsys.readouterr()
        return ended.value.code, out, err


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One more figure: one file and one row."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(benchmarks, "__path__", [*benchmarks.__path__, str(tmp_path)])
    options = (option("--size", default=3), option("--wrong", default=0))
    monkeypatch.setattr(table, "FIGURES", (*FIGURES, Figure("toy", (), options)))
    monkeypatch.delitem(sys.modules, "benchmarks.toy", raising=False)
    return tmp_path


def test_list_names_every_figure_once(call: Command, toy: Path) -> None:
    code, out, err = call("list")
    assert (code, err) == (0, "")
    rows = [line.split()[0] for line in out.splitlines()]
    assert rows == [figure.name for figure in FIGURES] + ["toy"]
    assert len(set(rows)) == len(rows)
    assert out.splitlines()[-1].split(maxsplit=1)[1] == "A toy: what it was given."


def test_list_says_what_is_missing(call: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "NEEDS", {**table.NEEDS, "yosys": lambda: "no yosys"})
    (line,) = (row for row in call("list")[1].splitlines() if row.startswith("registers "))
    assert line.endswith("[yosys (missing)]")


def test_every_file_of_a_figure_is_in_the_table() -> None:
    folder = Path(benchmarks.__path__[0])
    found = {path.stem for path in folder.glob("*.py") if "\ndef measure(" in path.read_text()}
    assert found == {figure.name for figure in FIGURES}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_each_row_can_be_loaded(figure: Figure) -> None:
    told = command.parser_of(figure).format_help()
    assert f"python -m benchmarks {figure.name}" in told
    assert "--json FILE" in told
    assert figure.text.splitlines()[0].endswith((".", "?"))
    assert set(figure.needs) <= table.NEEDS.keys()
    if "nir" not in figure.needs or not figure.missing():
        assert callable(figure.measure)


def test_unknown_name(call: Command) -> None:
    assert call("cycle") == (
        2,
        "",
        "cycle: there is no figure 'cycle'; python -m benchmarks list names them\n",
    )


def test_missing_need(call: Command, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = partial(table._package, "no_such_package", "peers")
    monkeypatch.setattr(table, "NEEDS", {"here": lambda: "", "absent": absent})
    monkeypatch.setattr(table, "FIGURES", (Figure("toy", ("here", "absent")),))
    code, out, err = call("toy", "--json", toy / "toy.json")
    assert (code, out) == (3, "")
    assert err == "toy: no_such_package is not installed: pip install 'neurocuda_hw[peers]'\n"
    assert not (toy / "toy.json").exists()


def test_a_package_without_its_own_needs(call: Command, toy: Path) -> None:
    (toy / "toy.py").write_text(TOY + "\n\nimport no_such_package\n")
    code, out, err = call("toy", "--json", "-")
    assert (code, out) == (3, "")
    assert err == "toy: the package 'no_such_package' is missing; pip install no_such_package\n"


def test_json_on_standard_output_and_nothing_else(call: Command, toy: Path) -> None:
    code, out, err = call("toy", "--json", "-", "--size", "5")
    assert code == 0
    assert json.loads(out) == {"given": 5, "deep": [{"spikes_unequal": 0}]}
    assert err == "measuring\na library's word\n"


def test_json_in_a_file(call: Command, toy: Path) -> None:
    path = toy / "toy.json"
    assert call("toy", "--json", path)[:2] == (0, "")
    assert json.loads(path.read_text())["given"] == 3
    path.write_text(json.dumps({"given": 1, "how": "by hand"}))
    assert call("toy", "--json", path, "--add")[0] == 0
    assert json.loads(path.read_text()) == {
        "given": 3,
        "how": "by hand",
        "deep": [{"spikes_unequal": 0}],
    }
    path.write_text("[]")
    code, _, err = call("toy", "--json", path, "--add")
    assert code == 2
    assert err.endswith("must hold one object to add figures to; leave --add out\n")


def test_a_place_that_cannot_be_written_is_said_before_the_work(call: Command, toy: Path) -> None:
    code, out, err = call("toy", "--json", toy / "nowhere" / "toy.json")
    assert (code, out) == (2, "")
    assert "there is no such folder" in err
    assert "measuring" not in err


def test_what_is_unequal_fails(call: Command, toy: Path) -> None:
    code, out, _ = call("toy", "--wrong", "2")
    assert code == 1
    assert out == "given  3\ndeep\n  spikes_unequal\n               2\n"


def test_wrong_options(call: Command, toy: Path) -> None:
    code, out, err = call("toy", "--size", "-1")
    assert (code, out) == (2, "")
    assert err.endswith("error: argument --size: must be at least 0, not '-1'\n")
    assert number(2, 4)("4") == 4
    with pytest.raises(Exception, match="must be 2 to 4, not '5'"):
        number(2, 4)("5")


def test_help_without_a_name(call: Command) -> None:
    code, out, err = call("--help")
    assert (code, err) == (0, "")
    assert "loihi_speed" in out
    assert "Exit codes: 0 measured" in out
