"""What was compared with a build folder, kept in the folder: ``verification.json``.

`nchw verify` writes it, `nchw report` reads it. The latest check of each target is kept, with the
time and the sha256 of the ``report.json`` of the build that it was made on.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.ground.files import read_file, write_file
from neurocuda_hw.project.build import RECORD
from neurocuda_hw.project.verify import Verification
from neurocuda_hw.targets.built import REPORT

FORMAT = "neurocuda_hw.verification"
FORMAT_VERSION = 1


def build_digest(folder: Path) -> str:
    """sha256 of the folder's ``report.json``, which holds that of every other file."""
    return hashlib.sha256(read_file(folder / REPORT, "report")).hexdigest()


def write_record(
    folder: Path, result: Verification, *, golden: str, digest: str | None = None
) -> None:
    """Adds the checks of `result` to the folder's record; `golden` says which trace they used.

    `digest` is that of the build that was verified; of what is in the folder now where None.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    try:
        record = read_record(folder)
    except (DataError, ModelError):  # none yet, or damaged: what is known now is worth more
        record = {"format": FORMAT, "version": FORMAT_VERSION, "checks": {}, "mutants": None}
    stamp = {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "build": digest or build_digest(folder),
        "network": result.network,
        "golden": golden,
    }
    for check in result.checks:
        record["checks"][check.target] = stamp | check.to_json()
    if result.mutants:
        outcomes = ("caught", "missed", "not exercised")
        record["mutants"] = stamp | {outcome: result.count(outcome) for outcome in outcomes}
    content = json.dumps(record, indent=1, default=_plain) + "\n"
    write_file(folder / RECORD, content.encode())


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a build folder.

    Raises
    ------
    DataError
        If there is none.
    ModelError
        If it is damaged.
    """
    content = read_file(folder / RECORD, "verification record")
    try:
        record = json.loads(content)
        if record["format"] != FORMAT or record["version"] != FORMAT_VERSION:
            raise ValueError(f"its format is {record['format']!r} {record['version']!r}")
        for check in record["checks"].values():
            known = isinstance(check["equal"], bool) and isinstance(check["samples"], int)
            if not known or not all(isinstance(check[key], str) for key in ("when", "build")):
                raise ValueError("a check has no verdict or no time")
        if record["mutants"] is not None:
            int(record["mutants"]["missed"] + record["mutants"]["caught"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{str(folder / RECORD)!r} is damaged ({type(error).__name__}: {error}); "
            "verify the folder again"
        ) from error
    found: dict[str, Any] = record
    return found


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if hasattr(value, "item") else str(value)
