"""``nchw synth``: what a build takes of a device, by yosys, and its clock, by nextpnr."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurocuda_hw.commands.console import as_json, print_json, print_table, say, there
from neurocuda_hw.ground.progress import Progress, progress_bar

if TYPE_CHECKING:
    from neurocuda_hw.passes.devices import Device
    from neurocuda_hw.targets.built import Built


@click.command()
@click.argument("build_dir", metavar="BUILD_DIR", callback=there("build folder"))
@click.option(
    "--device",
    default="xc7a35t",
    show_default=True,
    metavar="NAME",
    help="The part whose family it is synthesised for, and whose share is told.",
)
@click.option(
    "--route",
    "routed",
    is_flag=True,
    help="Place and route it, too, with nextpnr: the clock that it takes, between registers, what "
    "limits that, and inferences per second. For ECP5, iCE40 and Gowin.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="How often --route places it; the median is told.",
)
@as_json
def synth(build_dir: str, device: str, routed: bool, seeds: int, as_json: bool) -> None:
    """Synthesise a build's Verilog with yosys and count its cells.

    The figures are those of yosys, before placement; --route adds the clock, after it. No power.

    \b
    nchw synth build
    nchw synth build --device lfe5u-25f
    nchw synth build --device lfe5u-25f --route --seeds 3

    \b
    Exit codes: 0 it fits the device   1 it does not   2 bad input   3 yosys is missing or failed
    """
    from neurocuda_hw.ground.errors import ModelError
    from neurocuda_hw.passes.devices import Family, find_device
    from neurocuda_hw.synth import synthesise
    from neurocuda_hw.synth.route import router
    from neurocuda_hw.targets.built import the_build
    from neurocuda_hw.targets.table import BUILT

    part = find_device(device)
    if routed:
        router(part)
    built = the_build(Path(build_dir))
    gates = [t.name for t in BUILT.values() if t.gates]
    if built.target not in gates:
        raise ModelError(
            f"{build_dir!r} must be a folder that 'nchw build --target {' or '.join(gates)}' "
            "wrote, not something else"
        )
    files = built.read(path for path in built.report["files"] if path.startswith("rtl/"))
    timed: dict[str, Any] = {}
    block = part.family.block_name
    with progress_bar(quiet=as_json) as progress:
        soft = part.family is Family.ICE40  # few of them have multipliers, and few those
        area = synthesise(files, part.family, use_dsps=not soft, progress=progress)
        rows = [
            ("LUT", area.luts, part.luts),
            ("flip-flops", area.flipflops, part.flipflops),
            (block, area.blocks, float(part.blocks)),
            ("multipliers", area.dsps, part.dsps),
        ]
        if part.ultras or area.ultras:
            rows.append(("UltraRAM", area.ultras, part.ultras))
        fits = all(used <= held for _, used, held in rows)
        if routed and fits:
            timed = clock(built, files, part, seeds, use_dsps=not soft, progress=progress)
    if as_json:
        print_json(
            {
                "device": part.name,
                "fits": fits,
                "luts": area.luts,
                "memory_luts": area.memory_luts,
                "flipflops": area.flipflops,
                "carries": area.carries,
                "blocks": area.blocks,
                "block": block,
                "dsps": area.dsps,
                "ultras": area.ultras,
                "cells": dict(area.cells),
                **({"route": timed} if timed else {}),
            }
        )
    else:
        print_table(
            f"{built.report['network']['name']} in {part.name} ({part.family.value}), by yosys",
            ("", ">used", ">there", ">share"),
            [
                (name, used, held, f"{used / held:.0%}" if held else "-")
                for name, used, held in rows
            ],
        )
        if not fits:
            say(f"It does not fit: see nchw build --device {part.name} --fit.")
        if timed:
            show_clock(timed)
    raise SystemExit(0 if fits else 1)


def clock(
    built: Built,
    files: dict[str, bytes],
    part: Device,
    seeds: int,
    *,
    use_dsps: bool,
    progress: Progress,
) -> dict[str, Any]:
    """The clock of a build in a part, and what that makes of its cycles."""
    from neurocuda_hw.synth.route import as_plain, route

    found = route(files, part, seeds=seeds, use_dsps=use_dsps, progress=progress)
    cycles, how = cycles_of(built)
    return as_plain(found) | {
        "cycles": round(cycles, 1),
        "cycles_are": how,
        "inferences_per_second": round(1e6 * found.median / cycles, 1),
        "ms_per_inference": round(cycles / found.median / 1e3, 5),
    }


def cycles_of(built: Built) -> tuple[float, str]:
    """Cycles per inference of a build on its golden inputs, and whether they were simulated."""
    from neurocuda_hw.ground.errors import NeurocudaError
    from neurocuda_hw.network.model_file import load
    from neurocuda_hw.network.trace import load_trace
    from neurocuda_hw.passes.pipeline import predict
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.project.build import TRACE
    from neurocuda_hw.project.record import read_record
    from neurocuda_hw.targets.verilog import study_of

    try:
        checks = read_record(built.path)["checks"].values()
    except NeurocudaError:  # none yet
        checks = ()
    for check in checks:
        if check["build"] == built.digest and check["equal"] and check.get("cycles_per_inference"):
            return float(check["cycles_per_inference"]), "simulated"
    trace = load_trace(built.path / TRACE, membranes=False)
    study = study_of(Study(load(built.path / "model.pt"), trace=trace), built)
    return predict(study.plans, study.activity).cycles, "predicted"


def show_clock(timed: dict[str, Any]) -> None:
    """The clock, what limits it, and inferences per second."""
    path, seeds = timed["critical_path"], timed["mhz_of_seeds"]
    spread = f"median of {len(seeds)} seeds, {seeds[0]:.1f} to {seeds[-1]:.1f}"
    say(f"Clock between registers: {timed['mhz']:.1f} MHz ({spread}; {timed['tool']}).")
    passed = ", ".join(dict.fromkeys(place for place in path["through"] if place))
    say(
        f"Critical path: {path['from']} -> {path['to']}, {path['ns']:.1f} ns: "
        f"{path['logic_ns']:.1f} in registers and {path['levels']} cells of logic, "
        f"{path['wires_ns']:.1f} in wires; by way of {passed}."
    )
    say(
        f"{timed['inferences_per_second']:,.0f} inferences per second, "
        f"{timed['ms_per_inference']:.4g} ms each, at {timed['cycles']:,.1f} cycles "
        f"({timed['cycles_are']}, on the golden inputs)."
    )
