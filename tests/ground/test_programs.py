"""Tools end with what started them, and with all that they started."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neurocuda_hw.ground import programs
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.programs import Tool, run

SHELL = Tool(name="shell", command=("sh", "-c"))
# a tool that starts another, as make starts compilers; both numbers are noted
BREEDING = "sleep 60 & echo $$ $! > {0}.new; mv {0}.new {0}; wait"
SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has none
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nor nohup
import sys
from concurrent.futures import ThreadPoolExecutor
from neurocuda_hw.ground.programs import Tool, ended_by_signals, run
tool = Tool(name="shell", command=("sh", "-c"))
with ended_by_signals(), ThreadPoolExecutor(2) as pool:
    for one in [pool.submit(run, tool, [text]) for text in sys.argv[1:]]:
        one.result()
"""


def numbers(*files: Path) -> list[int]:
    """The process numbers in some files, once they are there."""
    end = time.monotonic() + 30
    while not all(file.exists() for file in files):
        assert time.monotonic() < end
        time.sleep(0.02)
    return [int(word) for file in files for word in file.read_text().split()]


def gone(number: int) -> bool:
    """Whether a process has ended within two seconds (or only waits to be counted)."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(("number", "code"), [(15, 143), (1, 129), (2, 1)])
def test_a_signal_ends_all_tools_of_all_threads(tmp_path: Path, number: int, code: int) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    texts = [BREEDING.format(file) for file in files]
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *texts], stderr=subprocess.DEVNULL)
    found = numbers(*files)
    assert len(found) == 4
    begin = time.monotonic()
    process.send_signal(number)
    assert process.wait(20) in (code, -signal.SIGINT)
    assert time.monotonic() - begin < 10
    assert all(map(gone, found))


def test_what_takes_too_long_ends_with_what_it_started(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"^shell was stopped after 1 s without an answer$"):
        run(SHELL, [BREEDING.format(tmp_path / "n")], timeout=1)
    assert all(map(gone, numbers(tmp_path / "n")))
    assert programs._running == set()


def test_a_listener_that_fails_ends_the_tool(tmp_path: Path) -> None:
    def fail(line: str) -> None:
        raise KeyError(line)

    with pytest.raises(KeyError):
        run(SHELL, [f"echo one; {BREEDING.format(tmp_path / 'n')}"], on_line=fail)
    if (tmp_path / "n").exists():
        assert all(map(gone, numbers(tmp_path / "n")))


def test_other_threads_leave_signals_as_they_are() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as pool:

        def inside() -> object:
            with programs.ended_by_signals():
                return signal.getsignal(signal.SIGTERM)

        assert pool.submit(inside).result() is before
    with programs.ended_by_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
