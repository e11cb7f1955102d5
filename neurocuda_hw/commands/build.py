"""``nchw build``: a self-contained folder of hardware, test benches and golden spikes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from neurocuda_hw.commands.console import as_json, print_json, print_table, say
from neurocuda_hw.commands.stimuli import Command, stimulus, stimulus_options
from neurocuda_hw.progress import progress_bar


def lanes_option(help_text: str) -> Callable[[Command], Command]:
    """Adds --lanes: None stands for ``auto``."""

    def parse(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
        if value != "auto" and not (value.isdecimal() and int(value) >= 1):
            raise click.BadParameter(f"must be 'auto' or a number of at least 1, not {value!r}")
        return None if value == "auto" else int(value)

    return click.option(
        "--lanes",
        default="auto",
        show_default=True,
        metavar="auto|N",
        callback=parse,
        help=help_text,
    )


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--target",
    type=click.Choice(["verilog", "hls", "loihi"]),
    default="verilog",
    show_default=True,
    help="Verilog; C++ for Vitis HLS; or the network's place, time and energy on a Loihi 2 model.",
)
@click.option("-o", "--output", metavar="DIR", help="The folder; default: build/NAME-OF-MODEL.")
@lanes_option(
    "Neurons per cycle in each layer: at most N, or as few as do not slow the network down for "
    "these inputs."
)
@click.option("--golden", metavar="TRACE", help="Golden trace to ship, as 'nchw golden' wrote it.")
@stimulus_options
@click.option("--force", is_flag=True, help="Replace an earlier build even if files were added.")
@as_json
def build(
    model: str,
    target: str,
    output: str | None,
    lanes: int | None,
    golden: str | None,
    data: str | None,
    inputs: str | None,
    samples: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Build hardware from a network that 'nchw convert' wrote.

    The folder holds Verilog, memory files, test benches, golden spikes and a Makefile: 'make sim'
    in it compares every spike of every layer. Without --data, --inputs or --golden the golden
    spikes are those of random inputs.

    \b
    nchw build network.pt --target verilog -o build --data mnist/ --samples 100
    nchw build network.pt --lanes 4
    nchw build network.pt --target hls -o build-hls
    make -C build sim
    """
    from neurocuda_hw.build import build as write_build
    from neurocuda_hw.build import (
        check_folder,
        check_trace,
        read_report,
        target_files,
        write_folder,
    )
    from neurocuda_hw.model_file import load
    from neurocuda_hw.passes.cycles import mean_events
    from neurocuda_hw.passes.folding import balanced_lanes, uniform_lanes
    from neurocuda_hw.reference import Reference
    from neurocuda_hw.trace import load_trace

    network = load(model)
    folder = Path(output) if output else Path("build") / Path(model).stem
    check_folder(folder, force=force)
    with progress_bar(quiet=as_json) as progress:
        if golden is not None:
            if data is not None or inputs is not None:
                raise click.UsageError("--golden excludes --data and --inputs")
            trace, origin = load_trace(golden).select(slice(0, samples)), golden
            check_trace(network, trace)
        else:
            given = stimulus(network, data, inputs, samples)
            trace = Reference(network).trace(
                given.inputs, progress=lambda done, total: progress("reference", done, total)
            )
            origin = given.origin
        if lanes is None:
            chosen = balanced_lanes(network, mean_events(network, trace))
        else:
            chosen = uniform_lanes(network, lanes)
        progress(target, 0, 1)
        if target == "verilog":
            write_build(network, folder, lanes=chosen, trace=trace, force=force)
        else:
            files = target_files(network, target, trace, chosen)
            write_folder(files, folder, network=network, force=force)
        progress(target, 1, 1)
    report = read_report(folder) or {}
    if as_json:
        print_json({"folder": str(folder), "inputs": origin} | report)
        return
    if target != "verilog":
        show_files(folder, target, report)
        return
    rows = [
        (
            p["name"],
            "x".join(map(str, p["shape"])),
            p["neurons"],
            p["weights"],
            p["weight_bits"],
            p["membrane_bits"],
            p["lanes"],
        )
        for p in report["populations"]
        if p["lanes"]
    ]
    columns = ("population", "shape", ">neurons", ">weights", ">weight bits", ">membrane bits")
    print_table(f"{network.name} in {folder}", (*columns, ">lanes"), rows)
    sizes = report["sizes"]
    say(
        f"Verilog {sizes['verilog_bytes']:,} bytes, memory files {sizes['memory_file_bytes']:,} "
        f"bytes; golden spikes of {trace.samples} samples ({origin})."
    )
    say(f"Next: make -C {folder} sim   nchw verify {folder}")


def show_files(folder: Path, target: str, report: dict[str, Any]) -> None:
    """What a folder for another target than Verilog holds, and what to do with it."""
    for path in report["files"]:
        if "/" not in path or not path.startswith("tables/"):
            say(f"  {folder / path}")
    if target == "hls":
        say(f"Next: make -C {folder} csim   (or: vitis_hls -f run_hls.tcl, which nobody here ran)")
    else:
        say((folder / "loihi" / "report.txt").read_text())
