"""Reads and writes single files: whole or not at all, and one sentence when it cannot be done."""

from __future__ import annotations

import os
from pathlib import Path

from neurocuda_hw.ground.errors import DataError, OutputError


def read_file(path: str | Path, what: str) -> bytes:
    """Content of a file; `what` names it in messages, such as ``"trace"``.

    Raises
    ------
    DataError
        If there is none or it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"cannot read the {what} {str(path)!r}: {reason}") from error


def write_file(path: str | Path, content: bytes) -> None:
    """Writes beside `path`, then takes its place: an earlier file stays until the new one is whole.

    Raises
    ------
    OutputError
        If it cannot be written, with the system's reason.
    """
    target = Path(path)
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            aside.write_bytes(content)
            aside.replace(target)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"cannot write {str(path)!r}: {reason}") from error


def check_writable(path: str | Path) -> None:
    """Raises OutputError where `write_file` would surely fail: before hours of work, not after."""
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"cannot write {str(path)!r}: Is a directory")
    folder = target.parent
    if not folder.is_dir():
        reason = "Not a directory" if folder.exists() else "there is no such folder"
        raise OutputError(f"cannot write {str(path)!r}: {str(folder)!r}: {reason}")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {str(path)!r}: Permission denied")
