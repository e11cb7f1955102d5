"""Measures the figures of the pages anew and compares them with ``results/``: `nchw reproduce`.

Each row of `rows.ROWS` runs in a process of its own, and what it measured is kept in the state
folder: a run that was broken off goes on with what is not there yet. It is measured again if the
command, the code, or the data is another. The comparison itself is always made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import ROOT, readme, rows, table
from benchmarks.command import as_json
from benchmarks.inputs import cpu_seconds
from benchmarks.row import Row, Run, flat
from benchmarks.rows import DATA, MADE
from benchmarks.table import say
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.files import write_file
from neurocuda_hw.ground.toolchain import find_compiler, find_verilator, find_yosys

PASS, CHECK, SKIPPED = "PASS", "CHECK", "SKIPPED"
_MISSING = 3
# what decides a figure: its hash is kept with what was measured
CODE = ("neurocuda_hw/**/*", "benchmarks/*.py", "examples/**/*", "golden/*", "sim/*", "tests/*.py")
_NOT_CODE = ("benchmarks/reproduce.py", "benchmarks/rows.py")


def _gpu() -> str:
    import torch

    return "" if torch.cuda.is_available() else "it takes an NVIDIA GPU, and hours of it"


def _history() -> str:
    done = subprocess.run(
        ["git", "cat-file", "-e", "f25c941"], cwd=ROOT, capture_output=True, check=False
    )
    told = "a shallow clone has no earlier commit to compare with: git fetch --unshallow"
    return told * bool(done.returncode)


ASKS: Mapping[str, Callable[[], str]] = {"": str, "gpu": _gpu, "history": _history}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One value beside the committed one."""

    key: str
    committed: Any
    measured: Any
    tolerance: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One row's verdict; `reason` of one that was skipped or went wrong."""

    name: str
    verdict: str
    reason: str = ""
    compared: tuple[Compared, ...] = ()
    command: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    hashes: Mapping[str, str]

    @property
    def line(self) -> str:
        """For people."""
        count = len(self.compared)
        told = self.reason or (f"{count} values" if count else "as results/ has it")
        spent = f", {self.seconds:.0f} s ({self.cpu_seconds:.0f} of CPU)" if self.command else ""
        wrong = [
            f"\n           {c.key}: {c.measured}, not {c.committed} ({c.tolerance})"
            for c in self.compared
            if not c.holds
        ]
        return f"{self.verdict:8} {self.name:24} {told}{spent}" + "".join(wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """Runs rows.

    Parameters
    ----------
    state : path
        Folder of what was measured and made.
    data : path
        Folder of data sets.
    quick : bool
        The quick command of each row, where it has one.
    """

    state: Path
    data: Path
    quick: bool

    def outcome(self, row: Row) -> Outcome:
        """The verdict of one row; measures what is not known yet."""
        if row.look is not None:
            wrong = row.look()
            return Outcome(name=row.name, verdict=CHECK if wrong else PASS, reason=wrong, hashes={})
        run = row.quick if self.quick else row.full
        if run is None:
            return Outcome(name=row.name, verdict=SKIPPED, reason="it takes --all", hashes={})
        hashes = {f"results/{row.result}.json": sha256(readme.RESULTS / f"{row.result}.json")}
        if missing := self._missing(run):
            return Outcome(name=row.name, verdict=SKIPPED, reason=missing, hashes=hashes)
        command = self.filled(run.words)
        hashes |= {f"{{data}}/{name}": sha256(self.data / name) for name in _named("data", run)}
        kept = self.state / f"{row.name}.{'quick' if self.quick else 'full'}.json"
        found = known(kept, command, hashes)
        if found is None:
            found = self._measured(run, command, hashes)
            if "figures" in found:
                write_file(kept, as_json(found).encode())
        if "figures" not in found:
            verdict = SKIPPED if found["code"] == _MISSING else CHECK
            told = {"verdict": verdict, "reason": found["reason"]}
        else:
            compared = comparison(row, run, flat(found["figures"]), whole=not self.quick)
            holds = compared and all(c.holds for c in compared)
            told = {"verdict": PASS if holds else CHECK, "compared": compared}
            told["reason"] = "" if compared else "it measured nothing that results/ has"
        return Outcome(
            name=row.name,
            command=command,
            hashes=hashes,
            seconds=found["seconds"],
            cpu_seconds=found["cpu_seconds"],
            **told,
        )

    def filled(self, words: str) -> str:
        """A command with its folders."""
        places = {"data": shlex.quote(str(self.data)), "made": shlex.quote(str(self.made))}
        return words.format_map(places)

    @property
    def made(self) -> Path:
        """Networks and checkpoints."""
        return self.state / "made"

    def _missing(self, run: Run) -> str:
        """Why a command cannot be run here, and the way out; makes what it takes from `made`."""
        name = run.words.split()[0]
        figure = next((f for f in table.FIGURES if f.name == name), None)
        if problem := ASKS[run.asks]() or (figure.missing() if figure else ""):
            return problem
        for entry in _named("data", run):
            if not (self.data / entry).exists():
                return f"{self.data / entry} is not there: {DATA[entry]} (--data FOLDER)"
        for entry in _named("made", run):
            if entry not in MADE or (self.made / entry).exists():
                continue
            maker = Run(MADE[entry], {})
            if maker.words.split()[0] not in (f.name for f in table.FIGURES):
                return f"{self.made / entry} is not there: {maker.words}"
            if problem := self._missing(maker):
                return problem
            found = self._measured(maker, self.filled(maker.words), {})
            if "figures" not in found:
                return str(found["reason"])
        return ""

    def _measured(self, run: Run, command: str, hashes: Mapping[str, str]) -> dict[str, Any]:
        """What a command prints, with the time that it took."""
        first, *rest = shlex.split(command)
        script = first.endswith(".py")
        words = [first, *rest, "--json"] if script else ["-m", "benchmarks", first, *rest]
        words += [] if script else ["--json", "-"]
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.made.mkdir(parents=True, exist_ok=True)
        say(f"running {command}")
        clock, cpu = time.monotonic(), cpu_seconds()
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "NCHW_DATA": str(self.data)},
            capture_output=True,
            text=True,
            check=False,
        )
        spent = {
            "seconds": round(time.monotonic() - clock, 1),
            "cpu_seconds": round(cpu_seconds() - cpu, 1),
        }
        try:
            figures = json.loads(done.stdout) if done.returncode in (0, 1) else None
        except ValueError:
            figures = None
        if figures is None:
            lines = done.stderr.strip().splitlines() or ["it printed nothing"]
            return {**spent, "code": done.returncode, "reason": lines[-1]}
        return {**spent, "command": command, "from": origin(hashes), "figures": figures}


def comparison(
    row: Row, run: Run, measured: Mapping[str, Any], *, whole: bool
) -> tuple[Compared, ...]:
    """Each committed value that the run is for, beside the measured one.

    A quick run need not have all of them; a whole one must have what the pages show.
    """
    shown = readme.named().get(row.result, set())
    found = []
    for key, committed in row.values.items():
        band = run.band(key)
        if band is None or not (key in measured or (whole and key in shown)):
            continue
        value = measured.get(key, "not measured")
        holds = key in measured and band.holds(committed, value)
        found.append(
            Compared(key=key, committed=committed, measured=value, tolerance=str(band), holds=holds)
        )
    return tuple(found)


def known(path: Path, command: str, hashes: Mapping[str, str]) -> dict[str, Any] | None:
    """What was measured before by the same command, code and data."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    try:
        same = (found["command"], found["from"]) == (command, origin(hashes))
        return found if same and found["seconds"] + found["cpu_seconds"] >= 0 else None
    except (KeyError, TypeError):
        return None


def origin(hashes: Mapping[str, str]) -> dict[str, str]:
    """Hashes of the code and the data that a figure comes from."""
    data = {name: value for name, value in hashes.items() if name.startswith("{data}")}
    return {"code": code_hash(), "yosys": find_yosys().version, **data}


@cache
def code_hash() -> str:
    """sha256 of all that decides a figure in this checkout."""
    paths = {path for pattern in CODE for path in ROOT.glob(pattern) if path.is_file()}
    names = sorted(str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts)
    told = [f"{name} {sha256(ROOT / name)}" for name in names if name not in _NOT_CODE]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Of a file, or of the names and contents of a folder's files."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(inner for inner in path.rglob("*") if inner.is_file())
    told = [f"{inner.relative_to(path)} {sha256(inner)}" for inner in files]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


@cache
def versions() -> dict[str, str]:
    """Of this package, its parts and tools."""
    found = {"python": platform.python_version(), "machine": platform.platform()}
    for name in ("neurocuda_hw", "torch", "numpy", "amaranth", "nir"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    for tool in (find_verilator(), find_yosys(), find_compiler()):
        found[tool.name] = tool.version or "not found"
    return found


def markdown(report: Mapping[str, Any]) -> str:
    """The table for people: versions, rows, values."""
    told = ["# Figures, reproduced", "", f"{report['when']}; code {report['code'][:16]}."]
    told += [", ".join(f"{name} {value}" for name, value in report["versions"].items()) + ".", ""]
    told += ["| figure | verdict | values | seconds (of CPU) | |", "|---|---|---|---|---|"]
    for row in report["rows"]:
        spent = f"{row['seconds']:.0f} ({row['cpu_seconds']:.0f})" if row["command"] else ""
        cells = (row["name"], row["verdict"], len(row["compared"]) or "", spent)
        told.append(f"| {' | '.join(map(str, cells))} | {row['reason'] or _code(row)} |")
    told += ["", "| value | committed | measured | tolerance | |", "|---|---|---|---|---|"]
    for row in report["rows"]:
        for c in row["compared"]:
            cells = (f"{row['name']} {c['key']}", c["committed"], c["measured"], c["tolerance"])
            told.append(f"| {' | '.join(map(str, cells))} | {'' if c['holds'] else CHECK} |")
    told += ["", "| file | sha256 |", "|---|---|"]
    hashes = {name: value for row in report["rows"] for name, value in row["hashes"].items()}
    told += [f"| {name} | {value} |" for name, value in sorted(hashes.items())]
    return "\n".join(told) + "\n"


def _code(row: Mapping[str, Any]) -> str:
    return f"`{row['command']}`" if row["command"] else ""


def _named(place: str, run: Run) -> list[str]:
    """The entries of ``{data}`` or ``{made}`` that a command names."""
    return re.findall(rf"\{{{place}\}}/(\S+)", run.words)


def data_folder(named: Path | None) -> Path:
    """The folder of data sets: the one that is named, else ``$NCHW_DATA``."""
    return named.resolve() if named else (ROOT / table.DATA).resolve()


def listed(named: Path | None) -> str:
    """A line for each row: its quick command, whether there is one, and what is missing."""
    told, data = [], data_folder(named)
    for row in rows.ROWS:
        if row.look is not None:
            told.append(f"{row.name:24} quick  README.md and docs/ show what results/ has")
            continue
        run = row.quick or row.full
        assert run is not None
        absent = [e for e in _named("data", run) if not (data / e).exists()]
        more = f" [{', '.join(absent)} missing]" if absent else ""
        told.append(f"{row.name:24} {'quick' if row.quick else '':5}  {run.words}{more}")
    return "\n".join(told)


def reproduce(
    only: Sequence[str], *, quick: bool, state: Path, data: Path | None, show: Callable[[str], None]
) -> int:
    """Runs the rows (those of `only`, or all), writes the table; gives the exit code.

    Raises
    ------
    DataError
        If `only` names a row that is not there.
    """
    names = [row.name for row in rows.ROWS]
    if unknown := [name for name in only if name not in names]:
        raise DataError(f"there is no figure {unknown[0]!r}; --list names them")
    runs = Reproduction(state=state.resolve(), data=data_folder(data), quick=quick)
    outcomes = []
    started, cpu = time.monotonic(), cpu_seconds()
    for row in rows.ROWS:
        if not only or row.name in only:
            outcomes.append(runs.outcome(row))
            show(outcomes[-1].line)
            report = {
                "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "quick": quick,
                "code": code_hash(),
                "versions": versions(),
                "rows": [asdict(outcome) for outcome in outcomes],
            }
            write_file(state / "reproduced.json", as_json(report).encode())
            write_file(state / "reproduced.md", markdown(report).encode())
    counts = [f"{sum(o.verdict == v for o in outcomes)} {v}" for v in (PASS, CHECK, SKIPPED)]
    spent = f"{time.monotonic() - started:.0f} s ({cpu_seconds() - cpu:.0f} of CPU)"
    show(f"{', '.join(counts)}; {spent}; {state / 'reproduced.md'}")
    return 1 if any(o.verdict == CHECK for o in outcomes) else 0
