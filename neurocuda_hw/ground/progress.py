"""Progress of long work: bars on a terminal's standard error, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[str, int, int], None]


EVERY = 15.0  # seconds


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress]:
    """Gives a function ``(stage, done, total)`` that draws one bar for each stage.

    Where standard error is no terminal, it says every `EVERY` seconds how far the work is.
    """
    if quiet:
        yield lambda stage, done, total: None
        return
    if not sys.stderr.isatty():
        with _lines() as told:
            yield told
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield show


@contextmanager
def _lines() -> Iterator[Progress]:
    """The lines: from a thread of their own, since some stages take long and call nothing."""
    started, ended, last = time.monotonic(), threading.Event(), ["at work"]

    def show(stage: str, done: int, total: int) -> None:
        last[0] = f"{stage}, {done:,} of {total:,}" if total else stage

    def speak() -> None:
        while not ended.wait(EVERY):
            print(f"{time.monotonic() - started:.0f} s: {last[0]}", file=sys.stderr, flush=True)

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield show
    finally:
        ended.set()
        speaker.join()
