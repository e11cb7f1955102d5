"""Golden folders: small committed models and traces, with a manifest that vouches for every file.

``manifest.json`` holds ``format``, ``version``, free metadata (how the files were made), and
``entries``, each with ``name``, ``model``, ``trace`` (paths in the folder), ``sha256`` of both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neurocuda_hw.ground.errors import ModelError

MANIFEST = "manifest.json"
FORMAT = "neurocuda_hw.golden"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model with its golden trace; both are paths in the golden folder."""

    name: str
    model: str
    trace: str


def manifest_bytes(folder: Path, entries: Sequence[Entry], **made_with: object) -> bytes:
    """The manifest of files that lie in `folder` already; `made_with` is kept as metadata."""
    rows = [
        {
            "name": entry.name,
            "model": entry.model,
            "trace": entry.trace,
            "sha256": {
                "model": _sha256(folder / entry.model),
                "trace": _sha256(folder / entry.trace),
            },
        }
        for entry in entries
    ]
    head = {"format": FORMAT, "version": FORMAT_VERSION, **made_with}
    return (json.dumps({**head, "entries": rows}, indent=1) + "\n").encode()


def read_manifest(folder: Path) -> list[Entry]:
    """Entries of a golden folder; every file is checked against its sha256.

    Raises
    ------
    ModelError
        If the manifest or a file is missing or altered.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
        if (manifest["format"], manifest["version"]) != (FORMAT, FORMAT_VERSION):
            raise ValueError(f"format {manifest['format']!r} version {manifest['version']!r}")
        entries = []
        for row in manifest["entries"]:
            entry = Entry(name=str(row["name"]), model=row["model"], trace=row["trace"])
            for file, wanted in (
                (entry.model, row["sha256"]["model"]),
                (entry.trace, row["sha256"]["trace"]),
            ):
                found = _sha256(folder / file)
                if found != wanted:
                    raise ModelError(
                        f"golden file {str(folder / file)!r} must have the sha256 {wanted[:12]} of "
                        f"the manifest, not {found[:12]}; make the golden folder again"
                    )
            entries.append(entry)
    except FileNotFoundError as error:
        raise ModelError(
            f"golden folder {str(folder)!r} lacks the file {error.filename!r}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{str(path)!r} must be a manifest of golden traces ({error!r}); make it again"
        ) from error
    if not entries:
        raise ModelError(f"{str(path)!r} must list at least one golden trace, not none")
    return entries


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
