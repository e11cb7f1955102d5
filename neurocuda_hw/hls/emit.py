"""The HLS project of a network as files: C++, tables, test bench, Makefile, Vitis HLS script."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from neurocuda_hw.data.stimulus import expected_bytes, stimulus_bytes
from neurocuda_hw.hls.context import context, word_bits
from neurocuda_hw.hls.plan import HlsPlan, plan_network
from neurocuda_hw.hls.tables import roms
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.study import Study

if TYPE_CHECKING:
    from neurocuda_hw.reference.snn import SpikingNetwork

PART = "xc7z020clg400-1"
BOARDS = {
    "pynq-z2": "xc7z020clg400-1",
    "kv260": "xck26-sfvc784-2LV-c",
    "zcu102": "xczu9eg-ffvb1156-2-e",
    "zcu104": "xczu7ev-ffvc1156-2-e",
}
CLOCK_NS = 10
STIMULUS, EXPECTED = "golden/stimulus.bin", "golden/expected.bin"
_RENDERED = (
    "nchw_top.cpp",
    "nchw_top.h",
    "nchw_testbench.h",
    "run_hls.tcl",
    "board/board.tcl",
    "board/nchw_host.py",
)
_VERBATIM = (
    "nchw_types.h",
    "nchw_sim.h",
    "nchw_bounded.h",
    "bounded.sed",
    "Makefile",
)
_TEMPLATES = Path(__file__).resolve().parent / "templates"


def emit(subject: Network | Study, lanes: Mapping[str, int] | None = None) -> dict[str, bytes]:
    """The project of a network but the golden data (see `golden_files`), by relative path.

    Parameters
    ----------
    lanes : mapping of str to int, optional
        Lanes of each population; the widest up to 16 where None.

    Raises
    ------
    ModelError
        If a number of lanes does not suit its population, or a state is too wide.
    """
    return _files(plan_network(subject, lanes))


def bench_files(bursts: bool) -> dict[str, bytes]:
    """What is the same for every network, with or without bursts: types, test bench, Makefile."""
    bench = _environment().get_template("testbench.cpp.j2").render(bursts=bursts)
    verbatim = {name: (_TEMPLATES / name).read_bytes() for name in _VERBATIM}
    return verbatim | {"testbench.cpp": bench.encode()}


def golden_files(network: Network, trace: Trace) -> dict[str, bytes]:
    """The inputs and expected spikes of `trace` as the test bench reads them."""
    bits = word_bits(network)
    return {
        STIMULUS: stimulus_bytes(network, trace.inputs, bits),
        EXPECTED: expected_bytes(trace),
    }


def to_hls_cpp(snn: Network | SpikingNetwork, lanes: Mapping[str, int] | None = None) -> str:
    """The text of ``nchw_top.cpp``; it includes the tables that `emit` writes beside it.

    Parameters
    ----------
    snn : Network or SpikingNetwork
    lanes : mapping of str to int, optional
        See `emit`.
    """
    network = snn if isinstance(snn, Network) else snn.network
    plan = plan_network(network, lanes)
    return _environment().get_template("nchw_top.cpp.j2").render(context(plan))


def _files(plan: HlsPlan) -> dict[str, bytes]:
    environment = _environment()
    values = {**context(plan), "part": PART, "boards": BOARDS, "clock_ns": CLOCK_NS}
    files = {
        name: environment.get_template(f"{name}.j2").render(values).encode() for name in _RENDERED
    }
    files |= bench_files(bool(plan.bursts.counts))
    files |= {rom.file: rom.text().encode() for rom in roms(plan)}
    return files


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
