"""Writes figures into README.md, docs/figures.md and docs/nir.md, as results/ has them.

The rows, with their words and commands, are in ``headline.md`` and ``figures.md`` here;
``{file[key]:format}`` in them takes a value of ``results/file.json``. Nothing else writes a figure
into these documents, and a test says when they differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from benchmarks import ROOT
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.files import write_file

README, RESULTS = ROOT / "README.md", ROOT / "results"
FIGURES, NIR = ROOT / "docs" / "figures.md", ROOT / "docs" / "nir.md"

# those whose every spike count and logit was compared with the quantised ANN's
EXACT = (
    "accuracy_mnist_w8",
    "accuracy_mnist_w4",
    "accuracy_resnet20",
    "accuracy_resnet20_qcfs",
    "resnet18",
)

HEADLINE, ROWS = (Path(__file__).with_name(name) for name in ("headline.md", "figures.md"))


def read(name: str) -> Any:
    """One file of ``results/``, by its name without the suffix."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def results(folder: Path | None = None) -> dict[str, Any]:
    """What the rows may name: every file, the rows of the Pareto front by lanes, ``unequal``."""
    found = {
        path.stem: json.loads(path.read_text())
        for path in sorted((folder or RESULTS).glob("*.json"))
    }
    network = found["mnist_784_128_10"]
    network |= {row["lanes"]: row for row in network["front"]}
    found["unequal"] = sum(_unequal(found[name]) for name in EXACT)
    return found


def named() -> dict[str, set[str]]:
    """What the pages show: by file, the keys with dots in the place of brackets."""
    found: dict[str, set[str]] = {}
    for rows in (HEADLINE, ROWS):
        for _, name, _, _ in Formatter().parse(rows.read_text()):
            if name:
                file, *keys = re.findall(r"[^][]+", name)
                keys = ["front", *keys] if keys and keys[0].isdigit() else keys
                found.setdefault(file, set()).add(".".join(keys))
    return found


def _unequal(figures: Mapping[str, Any]) -> int:
    return sum(
        _unequal(value) if isinstance(value, Mapping) else value
        for key, value in figures.items()
        if isinstance(value, Mapping) or key.endswith("unequal")
    )


def figures(found: Mapping[str, Any], rows: Path = ROWS) -> str:
    """The table of README.md or docs/figures.md.

    Raises
    ------
    DataError
        If a row names what no file has.
    """
    try:
        return rows.read_text().rstrip().format_map(found)
    except (LookupError, ValueError, TypeError) as error:
        raise DataError(f"results/ must have all that {rows.name} names: {error}") from None


def frameworks(records: list[dict[str, Any]]) -> str:
    """The table of docs/nir.md, of what `nir_frameworks` found."""
    lines = [
        "| framework | direction | network | said beside the file | spikes | result | why |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in records:
        differ = f"approximate: {r['differences']:,} differ"
        result = {"exact": "exact", "approximate": differ}.get(r["verdict"], "cannot")
        spikes = f"{r['spikes']:,}" if r["spikes"] else ""
        direction = "to us" if r["direction"] == "in" else "from us"
        name = f"{r['package']} {r['version']}"
        cells = (name, direction, r["network"], r["settings"], spikes, result, r["why"])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def put(text: str, mark: str, table: str) -> str:
    """A document with the table between its two marks.

    Raises
    ------
    DataError
        If it has not both of them once.
    """
    start, end = f"<!-- {mark}: start -->\n", f"\n<!-- {mark}: end -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise DataError(f"a document must have the marks {start.strip()!r} and {end.strip()!r}")
    return f"{text.split(start)[0]}{start}{table}{end}{text.split(end)[1]}"


def documents() -> dict[Path, str]:
    """All of them as they must be."""
    found = results()
    return {
        README: put(README.read_text(), "figures", figures(found, HEADLINE)),
        FIGURES: put(FIGURES.read_text(), "figures", figures(found)),
        NIR: put(NIR.read_text(), "frameworks", frameworks(found["nir_frameworks"])),
    }


def write() -> int:
    """Writes what differs, and says what it was."""
    for path, text in documents().items():
        if path.read_text() != text:
            write_file(path, text.encode())
            print(f"{path.relative_to(ROOT)}: written")
    return 0
