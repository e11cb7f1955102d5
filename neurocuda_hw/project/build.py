"""Writes what a target emits into one self-contained folder, whole or not at all.

The folder holds the hardware (``rtl/``), an IP block around it (``ip/``), the test benches
(``sim/``), golden spikes (``golden/``), the network (``model.pt``), a ``Makefile`` (``make sim``,
``make cocotb``, ``make lint``) and ``report.json``. It needs nothing of this package to be
simulated.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.aside import aside, entries, restore, take_place
from neurocuda_hw.ground.errors import ModelError, OutputError
from neurocuda_hw.ground.words import RANDOM
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import save
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.choice import choose
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Progress, Reference
from neurocuda_hw.rtl.register_map import Registers
from neurocuda_hw.targets.base import Options
from neurocuda_hw.targets.built import REPORT, head, read_built
from neurocuda_hw.targets.table import BUILT, parts

RECORD = "verification.json"  # what `nchw verify` found: see `record`
PAGE = "report.html"  # what `nchw report` writes
TRACE = "golden/trace.npz"
GENERATED = ("obj_dir", "cocotb_build", "build")  # what `make` leaves in the folder
_ADDED = (REPORT, "model.pt", RECORD, PAGE, *GENERATED)


def build(
    network: Network,
    out_dir: str | Path,
    *,
    lanes: dict[str, int] | None = None,
    bursts: str = "auto",
    streams: str = "off",
    input_order: str = "any",
    trace: Trace | None = None,
    inputs: np.ndarray | None = None,
    registers: Registers = Registers.COUNTERS,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Builds the Verilog of `network` with everything that simulates and checks it.

    Parameters
    ----------
    out_dir : str or Path
        Made if missing; replaced if an earlier build is all it holds.
    lanes : dict of str to int, optional
        Lanes of each population; chosen by `passes.folding` where None.
    bursts : str
        ``auto``, ``on`` or ``off``: whether populations that can send bursts do so; ``auto``: where
        that pays, see `passes.choice`.
    streams : str
        ``off``, ``auto`` or ``on``: whether they send line by line; ``auto``: where that pays.
    input_order : str
        ``any`` or ``raster``: the input's words come by lines, so that streams begin there.
    trace : Trace, optional
        Golden trace to ship.
    inputs : int array, optional
        Inputs to record a golden trace of, where none is given; see `stimulus.default_inputs`.
    registers : Registers
        What the IP block in ``ip/`` has beside the network; NONE leaves ``ip/`` out. The core in
        ``rtl/`` is the same with each.
    force : bool
        Also replace an earlier build to which files were added.
    progress : callable, optional
        Called with (samples done, samples in all) while the golden trace is recorded.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        If the folder cannot be written or holds something else.
    ModelError, DataError
        If the network has no hardware, or trace or inputs are not of this network.
    """
    folder = Path(out_dir)
    check_folder(folder, force=force)
    options = Options(registers=registers.value)
    if trace is None:
        if inputs is None:
            options = replace(options, inputs=RANDOM)
            inputs = default_inputs(network)
        trace = Reference(network).trace(inputs, progress=progress)
    study = Study(network, trace=trace, lanes=lanes)
    choice = choose(study, bursts, streams=streams, order=input_order)
    if choice.facts:
        options = replace(options, told={"bursts": choice.facts})
    files, _ = folder_files(choice.study, next(iter(BUILT)), options)
    write_folder(files, folder, network=network, force=force)
    return folder


def folder_files(
    study: Study,
    target: str,
    options: Options | None = None,
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Every file but ``model.pt`` of a build, by path, and what ``report.json`` among them says.

    Parameters
    ----------
    target : str
        A name of `table.BUILT`, or ``all`` (see `table.parts`).

    Raises
    ------
    ModelError
        If the network does not suit the target, or the chip is too small for it.
    """
    options = options or Options()
    chosen = parts(target, options)
    files = {TRACE: study.trace.to_bytes()}
    for part in chosen:
        under = "" if part.name == target else part.subfolder
        files |= {f"{under}{path}": c for path, c in part.files(study, options).items()}
    report = head(study.network, target)
    for part in reversed(chosen):
        report |= part.facts(study)
    report["golden"] = {"samples": study.trace.samples, "inputs": options.inputs}
    report |= options.told
    report["files"] = {path: hashlib.sha256(files[path]).hexdigest() for path in sorted(files)}
    files[REPORT] = (json.dumps(report, indent=1) + "\n").encode()
    return files, report


def check_folder(folder: Path, *, force: bool = False) -> None:
    """Raises OutputError unless a build may be written to `folder`, replacing what is there."""
    try:
        place = Path(os.path.realpath(folder))
        restore(place)
        if not place.exists():
            return
        if not place.is_dir():
            raise OutputError(f"output folder {str(folder)!r} must be a folder, not a file")
        found = [path.name for path in entries(place)]
    except OSError as error:
        raise OutputError(f"cannot read {str(folder)!r}: {error.strerror}") from error
    if not found:
        return
    try:
        built = read_built(place)
    except ModelError:  # edited, or of another version: what in it is ours is not known
        built = None
    if built is None:
        raise OutputError(
            f"output folder {str(folder)!r} must be empty or an earlier build, not hold "
            f"{found[0]!r}; name another one"
        )
    ours = {path.split("/")[0] for path in built.report["files"]} | set(_ADDED)
    strangers = [name for name in found if name not in ours]
    if strangers and not force:
        raise OutputError(
            f"output folder {str(folder)!r} holds {strangers[0]!r}, which no build wrote; move it "
            "away, or replace the whole folder with --force"
        )


def write_folder(
    files: Mapping[str, bytes], folder: Path, *, network: Network, force: bool = False
) -> None:
    """Writes `files` and ``model.pt`` beside `folder`, then takes its place; links stay.

    Raises
    ------
    OutputError
        If something cannot be written; nothing is left behind then, and an earlier build stays.
    """
    check_folder(folder, force=force)
    folder = Path(os.path.realpath(folder))
    beside = not folder.exists() or os.access(folder.parent, os.W_OK)
    try:
        if folder.parent.is_file():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        folder.parent.mkdir(parents=True, exist_ok=True)
        with aside(folder.parent if beside else folder, folder.name) as part:
            for path, content in files.items():
                target = part / "new" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            save(network, part / "new" / "model.pt")
            take_place(part / "new", folder)
    except OSError as error:
        raise OutputError(f"cannot write {str(folder)!r}: {error.strerror}") from error
