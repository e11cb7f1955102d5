"""An external tool, and how it is run: a failure is one sentence and what was printed last."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Timer

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
    purpose = f" ({what})" if what else ""
    lines: list[str] = []
    tail: deque[str] = deque(maxlen=20)
    take, late = on_line or lines.append, Event()
    try:
        process = subprocess.Popen(
            [*tool.command, *arguments],
            cwd=cwd,
            env={**os.environ, **tool.environment, **(extra or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # so that what it started ends with it
        )
    except OSError as error:
        raise ToolError(
            f"{tool.name} ({tool.where}) cannot be started: {error.strerror}"
        ) from error

    def stop() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def expire() -> None:
        late.set()
        stop()

    clock = Timer(timeout or 0, expire)
    if timeout:
        clock.start()
    with process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.strip():
                    tail.append(line.rstrip())
                take(line)
            process.wait()
        except BaseException:
            stop()
            raise
        finally:
            clock.cancel()
    if late.is_set():
        raise ToolError(f"{tool.name}{purpose} was stopped after {timeout:.0f} s without an answer")
    if process.returncode not in accept:
        last = "\n".join(tail)
        raise ToolError(f"{tool.name}{purpose} failed with exit code {process.returncode}:\n{last}")
    return subprocess.CompletedProcess(process.args, process.returncode, "".join(lines))
