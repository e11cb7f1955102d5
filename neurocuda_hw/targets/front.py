"""A build's front block: its files, and its check against the software's binning.

``front/words.bin`` and ``front/ends.bin`` (where each recording ends, u64) are what a camera sent.
"""

from __future__ import annotations

import itertools
import struct

import numpy as np

from neurocuda_hw.network import Network
from neurocuda_hw.rtl.front_files import front_files
from neurocuda_hw.rtl.front_plan import FrontPlan
from neurocuda_hw.simulation.front import FrontBench, front_fault
from neurocuda_hw.targets.base import Options
from neurocuda_hw.targets.built import Built
from neurocuda_hw.targets.checks import Request

_WORDS, _ENDS = "front/words.bin", "front/ends.bin"
_WORD = {"evt3": "<u2", "aer": "<u8"}


def files_of(network: Network, tdata_bits: int, options: Options) -> dict[str, bytes]:
    """The block, the network behind it, and what `fault_of` sends."""
    assert options.front is not None
    plan = FrontPlan(network=network, tdata_bits=tdata_bits, **options.front)
    ends = itertools.accumulate(len(words) for words in options.words)
    return front_files(plan) | {
        _WORDS: b"".join(words.tobytes() for words in options.words),
        _ENDS: struct.pack(f"<{len(options.words)}Q", *ends),
    }


def fault_of(network: Network, built: Built, asked: Request) -> str:
    """Where a build's front block bins its recordings as the software does not; else nothing.

    Raises
    ------
    ModelError
        If its files are missing.
    ToolError
        If Verilator fails.
    """
    front = built.report["front"]
    files = built.read(["front/nchw_front.v", "rtl/nchw_ram.v", _WORDS, _ENDS])
    plan = FrontPlan(
        network=network,
        kind=front["kind"],
        crop=tuple(front["crop"]),
        downsample=front["downsample"],
        tdata_bits=built.report["stream"]["word_bits"],
    )
    try:
        words = np.frombuffer(files[_WORDS], _WORD[plan.kind])
        recordings = np.split(words, np.frombuffer(files[_ENDS], "<u8").astype(int))[:-1]
    except ValueError as error:  # no whole words
        raise built.damaged(error) from error
    return front_fault(
        FrontBench(plan, files),
        recordings[: asked.samples],
        step_us=front["step_us"],
        first=front["grid"] == "first",
        stalls=asked.stalls.percent,
    )
