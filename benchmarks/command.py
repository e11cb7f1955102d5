"""``python -m benchmarks``: one command line for every figure of the table.

    python -m benchmarks list                          every figure, and what it needs
    python -m benchmarks NAME --help                   what it measures, its keys, its options
    python -m benchmarks NAME [options] --json FILE    the figures into a file; '-': to stdout
    python -m benchmarks readme                        README.md and docs/nir.md from results/

Exit codes: 0 measured, 1 something that must be equal is not, 2 bad input or usage, 3 a tool or a
package is missing, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import readme, table
from benchmarks.table import Figure, Figures
from neurocuda_hw.ground.errors import DataError, NeurocudaError, ToolError
from neurocuda_hw.ground.files import check_writable, write_file

_UNEQUAL, _BAD_INPUT, _MISSING, _INTERRUPTED = 1, 2, 3, 130


class _Help(argparse.RawDescriptionHelpFormatter):
    """Says each default that says anything."""

    def _get_help_string(self, action: argparse.Action) -> str:
        told = action.help or ""
        default = action.default
        if default is None or default is False or default is argparse.SUPPRESS:
            return told
        shown = " ".join(map(str, default)) if isinstance(default, list) else default
        return f"{told} ({shown})".strip()


def parser_of(figure: Figure) -> argparse.ArgumentParser:
    """The command line of one figure: its own options and those that all have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {figure.name}",
        description=figure.text,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    for argument in figure.options:
        parser.add_argument(argument.name, **argument.settings)
    parser.add_argument("--json", metavar="FILE", help="write the figures there; '-': print JSON")
    parser.add_argument("--add", action="store_true", help="add them to those in FILE")
    return parser


def measured(figure: Figure, arguments: Sequence[str]) -> int:
    """Runs one figure; gives the exit code."""
    given = parser_of(figure).parse_args(arguments)
    to_file = given.json not in (None, "-")
    if to_file:
        check_writable(given.json)
    if problem := figure.missing():
        raise ToolError(problem)
    with contextlib.redirect_stdout(sys.stderr):  # whatever libraries print
        figures = figure.measure(given)
    if to_file and given.add:
        figures = added(Path(given.json), figures)
    if given.json is None:
        print("\n".join(lines(figures)))
    elif to_file:
        write_file(given.json, as_json(figures).encode())
    else:
        print(as_json(figures), end="")
    return _UNEQUAL if unequal(figures) else 0


def as_json(figures: Figures) -> str:
    """What stands in ``results/``."""
    return json.dumps(figures, indent=1) + "\n"


def added(path: Path, figures: Figures) -> Figures:
    """The figures in a file with these in their place or beside them."""
    before = json.loads(path.read_text()) if path.exists() else {}
    if not isinstance(before, dict) or not isinstance(figures, Mapping):
        raise DataError(f"{str(path)!r} must hold one object to add figures to; leave --add out")
    return {**before, **figures}


def unequal(figures: Any, key: str = "") -> bool:
    """Whether a figure at any depth says ``unequal``, and not 0."""
    if isinstance(figures, Mapping):
        return any(unequal(value, name) for name, value in figures.items())
    if isinstance(figures, list | tuple):
        return any(unequal(value, key) for value in figures)
    return "unequal" in key.split("_") and bool(figures)


def lines(figures: Figures, indent: str = "") -> list[str]:
    """The figures for people: a line for each, a table for rows."""
    if not isinstance(figures, Mapping):
        return rows(figures, indent)
    told, width = [], max(map(len, figures), default=0)
    for name, value in figures.items():
        if isinstance(value, Mapping) or (isinstance(value, list) and _are_rows(value)):
            told += [f"{indent}{name}", *lines(value, f"{indent}  ")]
        else:
            told.append(f"{indent}{name:{width}}  {_shown(value)}")
    return told


def rows(found: Sequence[Mapping[str, Any]], indent: str) -> list[str]:
    """A table with a column for every key that any row has."""
    names = list(dict.fromkeys(name for row in found for name in row))
    cells = [names] + [[_shown(row.get(name, "-")) for name in names] for row in found]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        indent + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]


def _are_rows(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(row, Mapping) for row in value)


def _shown(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def listed() -> str:
    """A line for each figure: name, what it measures, what it needs and is not here."""
    width = max(len(figure.name) for figure in table.FIGURES)
    told = []
    for figure in table.FIGURES:
        needs = ", ".join(
            need if not table.NEEDS[need]() else f"{need} (missing)" for need in figure.needs
        )
        about = figure.text.splitlines()[0]
        told.append(f"{figure.name:{width}}  {about}" + (f" [{needs}]" if needs else ""))
    return "\n".join(told)


def run(arguments: Sequence[str]) -> int:
    """One call of the command; gives the exit code."""
    name, *rest = arguments or ("--help",)
    if name in ("-h", "--help"):
        print(f"{__doc__ or ''}\n{listed()}")
        return 0
    if name == "list":
        argparse.ArgumentParser(prog="python -m benchmarks list").parse_args(rest)
        print(listed())
        return 0
    if name == "readme":
        argparse.ArgumentParser(
            prog="python -m benchmarks readme", description=readme.__doc__
        ).parse_args(rest)
        return readme.write()
    for figure in table.FIGURES:
        if figure.name == name:
            return measured(figure, rest)
    raise DataError(f"there is no figure {name!r}; python -m benchmarks list names them")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs and exits; whatever goes wrong is one sentence and an exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = run(given)
    except NeurocudaError as error:
        code = _complain(given[0], str(error), error.exit_code)
    except ModuleNotFoundError as error:  # a package is here, but not all that it needs
        package = (error.name or "?").split(".")[0]
        told = f"the package {package!r} is missing; pip install {package}"
        code = _complain(given[0], told, _MISSING)
    except KeyboardInterrupt:
        code = _complain(given[0], "interrupted", _INTERRUPTED)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        code = _complain(given[0], f"{error.strerror or error}{where}", _BAD_INPUT)
    sys.exit(code)


def _complain(name: str, sentence: str, code: int) -> int:
    table.say(f"{name}: {sentence}")
    return code
