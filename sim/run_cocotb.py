#!/usr/bin/env python3
"""Builds and runs the cocotb benches of the build folder that holds this file.

    run_cocotb.py [top] [ip]

``top`` is test_top on the core, ``ip`` is test_registers on the IP block; without a name, those
that the folder has something for.

Exit codes: 0 all tests passed, 1 a test failed, 3 it could not be built.

cocotb's own runner makes every signal of the design public, which makes big designs several times
slower; this one leaves that out and names what has to be visible in ports.vlt and taps.vlt.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

try:
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import Verilator
except ImportError:
    print("cocotb was not found; pip install 'cocotb>=2.1,<2.2' numpy", file=sys.stderr)
    sys.exit(3)

# toplevel, test module, folders of Verilog
BENCHES = {
    "top": ("nchw_top", "test_top", ("rtl",)),
    "ip": ("nchw_ip", "test_registers", ("ip", "rtl")),
}
ROOT = Path(__file__).resolve().parent.parent
if (ROOT / "ip").is_dir() and importlib.util.find_spec("cocotbext.axi") is None:
    print("cocotbext-axi was not found; pip install 'cocotbext-axi>=0.1.28,<0.2'", file=sys.stderr)
    sys.exit(3)
RUN_FOLDER = ROOT / "rtl" / "mem"


class LeanVerilator(Verilator):
    """cocotb's runner without ``--public-flat-rw``, on the Verilator that verilator.sh finds."""

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(ROOT / "sim" / "verilator.sh")

    def _build_command(self) -> list[list[str]]:
        script, *words = super()._build_command()[0]
        # --build: Verilator calls make itself, with the settings that verilator.sh has put right
        return [
            ["sh", script, *(w for w in words if w != "--public-flat-rw"), "--build", "-j", "0"]
        ]


def build(runner: Verilator, work: Path, toplevel: str, folders: tuple[str, ...]) -> None:
    """Verilates and compiles the design."""
    runner.build(
        sources=[
            *(ROOT / "sim" / name for name in ("taps.vlt", "ports.vlt", "waivers.vlt")),
            *(path for folder in folders for path in sorted((ROOT / folder).glob("*.v"))),
        ],
        hdl_toplevel=toplevel,
        build_dir=work,
        build_args=[
            *("-Wfuture-PROCASSINIT", "-O3", "--no-timing"),
            *("--x-assign", "unique", "--x-initial", "unique"),
            *("-MAKEFLAGS", "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1"),
        ],
        timescale=("1ns", "1ns"),
    )


def bench(work: Path, toplevel: str, module: str, folders: tuple[str, ...]) -> tuple[int, int]:
    """Tests run and tests failed of one bench."""
    runner = LeanVerilator()
    build(runner, work, toplevel, folders)
    results = runner.test(
        test_module=module,
        hdl_toplevel=toplevel,
        hdl_toplevel_lang="verilog",
        build_dir=work,
        test_dir=RUN_FOLDER,
        test_args=["+verilator+rand+reset+2", "+verilator+seed+1"],
        results_xml=str(work / "results.xml"),
        seed=os.environ.get("NCHW_SEED", "1"),
    )
    return get_results(results)


def main() -> int:
    there = [
        n for n, (_, _, folders) in BENCHES.items() if all((ROOT / f).is_dir() for f in folders)
    ]
    names = sys.argv[1:] or there
    if any(name not in there for name in names):
        print(f"benches must be of {', '.join(there)}, not {', '.join(names)}", file=sys.stderr)
        return 3
    os.environ["PYTHON"] = sys.executable
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # results go to the named file, whoever calls
    work = Path(os.environ.get("NCHW_COCOTB_BUILD", ROOT / "cocotb_build"))
    os.environ["NCHW_BUILD"] = str(ROOT)
    sys.path.insert(0, str(ROOT / "sim"))
    try:
        results = [bench(work / name, *BENCHES[name]) for name in names]
    except RuntimeError as error:
        print(f"the design could not be built: {error}", file=sys.stderr)
        return 3
    tests, failed = (sum(numbers) for numbers in zip(*results, strict=True))
    print(f"cocotb: {tests} tests, {failed} failed")
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
