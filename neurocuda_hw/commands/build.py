"""``nchw build``: a self-contained folder of hardware, test benches and golden spikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurocuda_hw.commands.camera import camera_words
from neurocuda_hw.commands.console import as_json, print_json, print_table, say, there
from neurocuda_hw.commands.covering import cover_option
from neurocuda_hw.commands.folding import (
    as_plain,
    board_options,
    bursts_option,
    check_streams,
    clock_told,
    device_options,
    fold_for,
    on_board,
    parse_wish,
    show,
    streams_options,
)
from neurocuda_hw.commands.networks import (
    Reading,
    comparison_facts,
    load_network,
    network_options,
    refuse,
    show_comparison,
)
from neurocuda_hw.commands.stimuli import (
    Command,
    Cut,
    covered,
    recorded,
    stimulus,
    stimulus_options,
)
from neurocuda_hw.commands.trained import convert_first, is_trained
from neurocuda_hw.ground.collecting import uncollected
from neurocuda_hw.ground.progress import progress_bar
from neurocuda_hw.ground.words import some
from neurocuda_hw.targets.base import Options
from neurocuda_hw.targets.built import ALL
from neurocuda_hw.targets.table import BUILT, parts

if TYPE_CHECKING:
    pass


MADE = 16  # inputs without --data and --cover


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
@click.argument("model", metavar="MODEL", callback=there("model"))
@click.option(
    "--target",
    type=click.Choice([*BUILT, ALL]),
    default=next(iter(BUILT)),
    show_default=True,
    help="; ".join(t.builds for t in BUILT.values()) + "; or all of them (NIR with --export only).",
)
@click.option(
    "--export",
    "style",
    type=click.Choice(["explicit", "annotated", "auto"]),
    help="How the NIR graph says what plain NIR cannot, such as reset by subtraction: with more "
    "nodes, which any tool runs, in metadata, which only this one reads, or the first where it "
    "can. --dt, --fires and --integrate-dt then say what the reading tool expects.",
)
@click.option("-o", "--output", metavar="DIR", help="The folder; default: build/NAME-OF-MODEL.")
@lanes_option(
    "Neurons per cycle in each layer: at most N, or as few as do not slow the network down for "
    "these inputs."
)
@device_options
@bursts_option
@streams_options
@click.option(
    "--registers",
    type=click.Choice(["none", "control", "counters"]),
    default="counters",
    show_default=True,
    help="What the IP block in ip/ has on its AXI4-Lite port: no block at all; identification, "
    "control, status and an interrupt; or also counters of every layer. The core in rtl/ is the "
    "same with each.",
)
@board_options
@click.option(
    "--prefix",
    default="nchw",
    show_default=True,
    help="Verilog: what the names of modules and files begin with, so that two networks fit one "
    "project.",
)
@click.option(
    "--front",
    type=click.Choice(["evt3", "aer"]),
    help="Verilog: a block in front that takes a camera's words, EVT3 or addresses with times, and "
    "bins them as --crop and --downsample say.",
)
@click.option(
    "--serial",
    "divisor",
    type=click.IntRange(4, 65535),
    metavar="N",
    help="Verilog: also the network behind a serial line with N clock cycles per bit; see 'nchw "
    "run'.",
)
@click.option(
    "--chips",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Chips of Loihi 2 that the network may take.",
)
@click.option(
    "--graded-counts",
    is_flag=True,
    help="On Loihi 2, one graded spike with a count for all spikes of a neuron, wherever that is "
    "exact; its report says what that changes.",
)
@click.option(
    "--golden",
    metavar="TRACE",
    callback=there("trace"),
    help="Golden trace to ship, as 'nchw golden' wrote it.",
)
@click.option(
    "--arch",
    metavar="MODULE:CLASS",
    help="MODEL holds a trained model's weights, and this is its class: it is converted first.",
)
@click.option("--unpickle", is_flag=True, help="Read a pickled module; see 'nchw convert'.")
@stimulus_options
@cover_option
@network_options
@click.option("--force", is_flag=True, help="Replace an earlier build even if files were added.")
@as_json
@uncollected()
def build(
    model: str,
    target: str,
    style: str | None,
    output: str | None,
    lanes: int | None,
    device: str | None,
    target_cycles: int | None,
    fit: bool,
    bursts: str,
    streams: str,
    input_order: str,
    registers: str,
    board: str | None,
    clock: float | None,
    baud: int,
    prefix: str,
    front: str | None,
    divisor: int | None,
    chips: int,
    graded_counts: bool,
    golden: str | None,
    arch: str | None,
    unpickle: bool,
    data: str | None,
    inputs: str | None,
    samples: int | None,
    cover: bool,
    cut: Cut,
    reading: Reading,
    force: bool,
    as_json: bool,
) -> None:
    """Build hardware from a network that 'nchw convert' wrote, a trained model, or a NIR graph.

    The folder holds Verilog, memory files, test benches, golden spikes and a Makefile: 'make sim'
    in it compares every spike of every layer. Without --data, --inputs or --golden the golden
    spikes are those of inputs that are made to show single-bit faults. A trained model (.pt2, or a
    state_dict with --arch) is converted first, with the samples of --data, as 'nchw convert' does
    it. A .nir file of another tool becomes integers first, and a table says what that changes.

    \b
    nchw build network.pt --target verilog -o build --data mnist/ --samples 100
    nchw build model.pt2 --data mnist/ --target verilog
    nchw build weights.pt --arch models:Net --data mnist/
    nchw build network.pt --lanes 4
    nchw build network.pt --data mnist/ --device xc7a35t --target-cycles 600
    nchw build network.pt --data mnist/ --target ecp5 --board ulx3s
    nchw build network.pt --target hls -o build-hls
    nchw build network.pt --target nir --export explicit -o build-nir
    nchw build net.nir --steps 300 --payload-bits 2 --reset nir --data nmnist/ --target all
    make -C build sim
    """
    from neurocuda_hw.network.trace import load_trace
    from neurocuda_hw.passes.budget import DoesNotFit
    from neurocuda_hw.passes.choice import choose
    from neurocuda_hw.passes.folding import uniform_lanes
    from neurocuda_hw.passes.study import Study, balanced
    from neurocuda_hw.project.build import check_folder, folder_files, write_folder
    from neurocuda_hw.rtl.prefix import PLAIN, check_prefix

    exporting = [t.name for t in BUILT.values() if t.exports] + [ALL]
    exports = target in exporting
    if style is not None and not exports:
        raise click.UsageError(f"--export is for --target {' or '.join(exporting)}")
    grading = [t.name for t in BUILT.values() if t.graded] + [ALL]
    if graded_counts and target not in grading:
        raise click.UsageError(
            f"--graded-counts is for --target {' or '.join(grading)}, not {target}"
        )
    named = data is not None or inputs is not None
    if golden is not None and (named or cover):
        raise click.UsageError("--golden excludes --data, --inputs and --cover")
    if front is not None and (cut.step_events is not None or cut.advance is not None):
        raise click.UsageError(
            "--front bins by time, into windows that follow one another: leave --step-events and "
            "--advance out"
        )
    check_streams(bursts, streams, input_order, target)
    if board is not None and divisor is not None:
        raise click.UsageError("--serial is for boards of your own: --board has --baud")
    if clock is not None and device is None and board is None:
        raise click.UsageError("--clock needs --device or --board")
    wish = parse_wish(device, target_cycles, fit, lanes, target, on_board(board, device, target))
    folder = Path(output) if output else Path("build") / Path(model).stem
    check_folder(folder, force=force)
    made = None
    with progress_bar(quiet=as_json) as progress:
        if is_trained(model, arch, unpickle):
            refuse(reading, Path(model), exports)
            made = convert_first(model, data, progress, arch, unpickle, cut)
        loaded = load_network(
            model, reading, exports=exports, known=made.snn.network if made else None
        )
        if golden is not None:
            trace, origin = load_trace(golden).select(slice(0, samples)), golden
            labels, recordings, coverage = None, [], None
            usual = trace
            loaded = loaded.adjusted(trace.inputs)
        else:
            given = stimulus(loaded.network, data, inputs, samples, cut)
            loaded = loaded.adjusted(given.inputs)
            usual = recorded(loaded.network, given.inputs, progress)
            trace, labels, coverage = usual, given.labels, None
            recordings = list(given.recordings)
            if cover or not named:
                most = None if named else samples or (None if cover else MADE)
                given, coverage = covered(loaded.network, given if named else None, most, progress)
                trace = recorded(loaded.network, given.inputs, progress)
            origin = given.origin
        network = loaded.network
        writing = loaded.reading.writing(style)
        camera, words = None, []
        if front is not None:
            camera = {"kind": front, "crop": cut.crop, "downsample": cut.downsample}
            words = camera_words(network, front, cut, recordings, trace.inputs)
        options = Options(
            registers=registers,
            prefix=check_prefix(prefix),
            chips=chips,
            graded_counts=graded_counts,
            writing=writing,
            inputs=origin,
            front=camera,
            board=board,
            clock=clock,
            baud=baud,
            progress=progress,
            divisor=divisor,
            words=words,
        )
        study = Study(
            network, trace=usual, lanes=uniform_lanes(network, lanes) if lanes else balanced
        )
        fold = None if wish.part is None else partial(fold_for, wish=wish, progress=progress)
        for wanted, option in ((camera, "--front"), (divisor, "--serial")):
            if wanted is not None and not any(t.gates for t in parts(target, options)):
                raise click.UsageError(f"{option} is for Verilog: --target verilog")
        sends = any(t.bursts for t in parts(target, options))
        try:
            choice = choose(
                study,
                bursts if sends else "off",
                fold,
                streams=streams if sends else "off",
                order=input_order,
            )
        except DoesNotFit as error:
            show(error.folding, err=True)
            raise
        study, folding = choice.study.shipping(trace), choice.folding
        progress(target, 0, 1)
        noted = made.told if made else loaded.told
        told: dict[str, Any] = {"conversion": noted} if noted else {}
        if graded_counts:
            told["graded_counts"] = True
        if labels is not None:
            right = int((usual.outputs.argmax(axis=1) == labels).sum())
            told["accuracy"] = {"samples": usual.samples, "right": right}
        if coverage is not None:
            told["coverage"] = coverage.to_json()
        if folding is not None:
            told["folding"] = as_plain(folding)
        if choice.facts:
            told["bursts"] = choice.facts
        if camera is not None:
            told["front"] = camera | {"step_us": cut.step_us, "grid": cut.grid}
            told["front"]["recordings"] = len(words)
        if prefix != PLAIN:
            told["prefix"] = prefix
        files, report = folder_files(study, target, replace(options, told=told))
        write_folder(files, folder, network=network, force=force)
        progress(target, 1, 1)
        expected = clock_told(study, wish.part, clock) if not board else ""
        compared = loaded.compared(usual.inputs, labels)
    if as_json:
        facts: dict[str, Any] = {"folder": str(folder), "inputs": origin}
        if compared is not None:
            facts["nir"] = comparison_facts(compared)
        if expected:
            facts["clock"] = expected
        print_json(facts | report)
        return
    if made is not None:
        made.show()
        say(f"Converted {model}: {made.sentence}")
    if compared is not None:
        show_comparison(compared)
    chosen = parts(target, options)
    if "populations" in report:
        show_populations(folder, report)
        if folding is not None:
            show(folding)
        if str(choice):
            say(str(choice))
        sizes = report["sizes"]
        say(
            f"Verilog {sizes['verilog_bytes']:,} bytes, memory files "
            f"{sizes['memory_file_bytes']:,} bytes."
        )
    else:
        for path in report["files"]:
            if "/" not in path or not path.startswith("tables/"):
                say(f"  {folder / path}")
        if str(choice):
            say(f"{choice} (Figures of the Verilog.)")
    told_samples = usual.samples if named else trace.samples
    say(f"Golden spikes are those of {some(told_samples, 'sample')} of {origin}.")
    if coverage is not None:
        hint = "'nchw golden --cover' tells of which" if cover else "--cover shows more"
        say(f"In all {coverage}; {hint}.")
    if expected:
        say(expected, err=True)
    if len(chosen) == 1:
        say(chosen[0].next_steps(folder))
        return
    say(f"In it: {', '.join(str(folder / part.place) for part in chosen[1:])}")
    checked = ",".join(part.name for part in chosen if part.benches)
    say(f"Next: nchw verify {folder} --target {checked}")


def show_populations(folder: Path, report: dict[str, Any]) -> None:
    """The table of what each population takes."""
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
    print_table(f"{report['network']['name']} in {folder}", (*columns, ">lanes"), rows)
