"""An external tool, and how it is run: a failure is one sentence and what was printed last."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from neurocuda_hw.ground.errors import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that was looked for.

    Parameters
    ----------
    name : str
    command : tuple of str
        What to run; empty where it was not found.
    version : str
        As people write it, or empty.
    problem : str
        Why it cannot be used and how to get it, in one sentence; empty where it can be used.
    environment : dict of str
        Variables that it needs.
    """

    name: str
    command: tuple[str, ...] = ()
    version: str = ""
    problem: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether it was found and is new enough."""
        return not self.problem

    @property
    def where(self) -> str:
        """The program's path, or an empty string."""
        return self.command[-1] if self.command else ""


def require(tool: Tool) -> Tool:
    """`tool` itself, if it can be used.

    Raises
    ------
    ToolError
        With what is missing and how to get it.
    """
    if not tool.usable:
        raise ToolError(tool.problem)
    return tool


_running: set[subprocess.Popen[str]] = set()


@contextmanager
def _started(
    command: Sequence[str], cwd: Path | None, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own; whatever ends the context early ends the whole group, so
    that no compiler goes on alone."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    _running.add(process)
    with process:
        try:
            yield process
        except BaseException:
            _end(process)
            raise
        finally:
            _running.discard(process)


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Signals that end us end all tools too, also those that other threads wait for; then
    KeyboardInterrupt, or SystemExit with the code that shells give, clears up."""

    def stop(number: int, frame: object) -> NoReturn:
        for process in tuple(_running):
            _end(process)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    tool: Tool,
    arguments: Sequence[str],
    *,
    cwd: Path | None = None,
    extra: Mapping[str, str] | None = None,
    what: str = "",
    accept: Sequence[int] = (0,),
    timeout: float | None = None,
    on_line: Callable[[str], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a tool and returns its output (stderr joined to stdout).

    Parameters
    ----------
    extra : mapping, optional
        More environment variables.
    what : str
        What it was run for, for the message.
    accept : sequence of int
        Exit codes that are answers, not failures.
    on_line : callable, optional
        Takes each line as it is printed; then none is kept for the result.

    Raises
    ------
    ToolError
        If it is missing, cannot be started, takes too long, or fails; the last lines of its output
        follow.
    """
    require(tool)
    environment = {**os.environ, **tool.environment, **(extra or {})}
    purpose = f" ({what})" if what else ""
    lines: list[str] = []
    tail: deque[str] = deque(maxlen=20)
    take, late = on_line or lines.append, threading.Event()
    try:
        with _started([*tool.command, *arguments], cwd, environment) as process:

            def expire() -> None:
                late.set()
                _end(process)

            clock = threading.Timer(timeout or 0, expire)
            if timeout:
                clock.start()
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if line.strip():
                        tail.append(line.rstrip())
                    take(line)
                process.wait()
            finally:
                clock.cancel()
    except OSError as error:
        raise ToolError(
            f"{tool.name} ({tool.where}) cannot be started: {error.strerror}"
        ) from error
    if late.is_set():
        raise ToolError(f"{tool.name}{purpose} was stopped after {timeout:.0f} s without an answer")
    if process.returncode not in accept:
        last = "\n".join(tail)
        raise ToolError(f"{tool.name}{purpose} failed with exit code {process.returncode}:\n{last}")
    return subprocess.CompletedProcess(process.args, process.returncode, "".join(lines))
