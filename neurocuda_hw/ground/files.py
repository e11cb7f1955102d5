"""Reads and writes single files: whole or not at all, and one sentence when it cannot be done."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from neurocuda_hw.ground.aside import aside
from neurocuda_hw.ground.errors import DataError, OutputError, first_line


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


def check_there(path: str | Path, what: str) -> None:
    """Raises the DataError of `read_file` where there is nothing."""
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"cannot read the {what} {str(path)!r}: {reason}") from error


def write_file(path: str | Path, content: bytes) -> None:
    """Writes beside `path`, then takes its place: an earlier file stays until the new one is whole.

    Links stay: what they lead to is written.

    Raises
    ------
    OutputError
        If it cannot be written, with the system's reason.
    """
    target = _regular(path)
    try:
        with aside(target.parent, target.name) as part:
            whole = part / target.name
            whole.write_bytes(content)
            try:
                whole.replace(target)
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.EXDEV):
                    raise
                shutil.copyfile(whole, target)  # it is mounted there, and must stay
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"cannot write {str(path)!r}: {reason}") from error


def check_writable(path: str | Path) -> None:
    """Raises OutputError where `write_file` would surely fail: before hours of work, not after."""
    target = _regular(path)
    folder = target.parent
    if not folder.is_dir():
        reason = "Not a directory" if folder.exists() else "there is no such folder"
        raise OutputError(f"cannot write {str(path)!r}: {str(Path(path).parent)!r}: {reason}")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {str(path)!r}: Permission denied")


def _regular(path: str | Path) -> Path:
    """Where all links of `path` lead; raises OutputError if that is there and is no file."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OutputError(f"cannot write {str(path)!r}: Is a directory")
    if target.is_symlink() or (target.exists() and not target.is_file()):
        raise OutputError(
            f"cannot write {str(path)!r}: it must be a regular file, not a device, a pipe or a "
            "circle of links"
        )
    return target
