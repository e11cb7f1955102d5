"""``nchw synth``: what a build takes of a device, by yosys."""

from __future__ import annotations

from pathlib import Path

import click

from neurocuda_hw.commands.console import as_json, print_json, print_table, say, there
from neurocuda_hw.ground.progress import progress_bar


@click.command()
@click.argument("build_dir", metavar="BUILD_DIR", callback=there("build folder"))
@click.option(
    "--device",
    default="xc7a35t",
    show_default=True,
    metavar="NAME",
    help="The part whose family it is synthesised for, and whose share is told.",
)
@as_json
def synth(build_dir: str, device: str, as_json: bool) -> None:
    """Synthesise a build's Verilog with yosys and count its cells.

    The figures are those of yosys, before placement: no clock rate, no power.

    \b
    nchw synth build
    nchw synth build --device lfe5u-25f

    \b
    Exit codes: 0 it fits the device   1 it does not   2 bad input   3 yosys is missing or failed
    """
    from neurocuda_hw.ground.errors import ModelError
    from neurocuda_hw.passes.devices import Family, find_device
    from neurocuda_hw.synth import synthesise
    from neurocuda_hw.targets.base import the_build
    from neurocuda_hw.targets.table import BUILT

    part = find_device(device)
    built = the_build(Path(build_dir))
    gates = [t.name for t in BUILT.values() if t.gates]
    if built.target not in gates:
        raise ModelError(
            f"{build_dir!r} must be a folder that 'nchw build --target {' or '.join(gates)}' "
            "wrote, not something else"
        )
    files = built.read(path for path in built.report["files"] if path.startswith("rtl/"))
    with progress_bar(quiet=as_json) as progress:
        soft = part.family is Family.ICE40  # few of them have multipliers, and few those
        area = synthesise(files, part.family, use_dsps=not soft, progress=progress)
    block = part.family.block_name
    rows = [
        ("LUT", area.luts, part.luts),
        ("flip-flops", area.flipflops, part.flipflops),
        (block, area.blocks, float(part.blocks)),
        ("multipliers", area.dsps, part.dsps),
    ]
    if part.ultras or area.ultras:
        rows.append(("UltraRAM", area.ultras, part.ultras))
    fits = all(used <= held for _, used, held in rows)
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
    raise SystemExit(0 if fits else 1)
