"""``nchw verify``: equal, bit for bit, or the first divergence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from neurocuda_hw.commands.build import lanes_option
from neurocuda_hw.commands.console import print_table, say, there, to_json
from neurocuda_hw.commands.covering import not_covered
from neurocuda_hw.commands.folding import bursts_option
from neurocuda_hw.commands.networks import Reading, is_nir, load_network, network_options
from neurocuda_hw.commands.stimuli import Cut, stimulus, stimulus_options
from neurocuda_hw.ground.progress import progress_bar
from neurocuda_hw.ground.words import GIVEN, some
from neurocuda_hw.targets.built import REPORT
from neurocuda_hw.targets.families import NETLISTS
from neurocuda_hw.targets.table import VERIFIED, parts, verified_by

if TYPE_CHECKING:
    from neurocuda_hw.project.verify import Verification
    from neurocuda_hw.targets.built import Built
    from neurocuda_hw.targets.checks import Check

GOLDEN = "golden"  # the folder that `--golden` without a value means


@click.command()
@click.argument("subject", metavar="[MODEL|BUILD_DIR]", required=False, callback=there("model"))
@click.option(
    "--golden",
    is_flag=False,
    flag_value="",
    metavar="[TRACE|DIR]",
    callback=there("trace"),
    help="A trace, or a folder of them with a manifest; without a value: the build folder's own, "
    "or for a model the folder 'golden'.",
)
@stimulus_options
@click.option(
    "--allow-little",
    is_flag=True,
    help="Exit 0, not 4, where nothing differs but too little was compared to say equal: all "
    "inputs or outputs 0, no spike, or no mutant caught.",
)
@click.option(
    "--mutate",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Also break the design on purpose: N flipped bits, swapped lanes, changed "
    "thresholds, of bursts counts and dividers, of streams marks of lines. Each must be caught.",
)
@click.option(
    "--target",
    "targets",
    metavar="NAMES",
    help=f"What to verify, separated by commas: {', '.join(VERIFIED)}; 'nchw doctor' says what "
    f"each needs.  [default: what the folder was built for, else {next(iter(VERIFIED))}]",
)
@click.option("--cocotb", is_flag=True, help="Also run the cocotb bench: stalls and resets.")
@click.option(
    "--stalls",
    type=click.IntRange(0, 95),
    default=0,
    metavar="PERCENT",
    help="Random pauses on both streams of the bulk harness.",
)
@click.option(
    "--family",
    type=click.Choice([*NETLISTS]),
    default=next(iter(NETLISTS)),
    show_default=True,
    help="Of target netlist: the FPGAs of whose cells yosys makes it.",
)
@network_options
@lanes_option("Lanes of the Verilog, where a MODEL is verified; see 'nchw build'.")
@bursts_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of mutants and stalls.")
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write all results as JSON; '-' is standard output, which then holds nothing else.",
)
def verify(
    subject: str | None,
    golden: str | None,
    data: str | None,
    inputs: str | None,
    samples: int | None,
    allow_little: bool,
    mutate: int,
    targets: str | None,
    cocotb: bool,
    stalls: int,
    family: str,
    cut: Cut,
    reading: Reading,
    lanes: int | None,
    bursts: str,
    seed: int,
    json_file: str | None,
) -> None:
    """Compare every spike of every layer, and every output, with the golden trace.

    Verifies a build folder, a network (whose Verilog is made on the fly), or every entry of a
    golden folder. The Verilog is compiled with Verilator. A golden trace is recorded of what --data
    or --inputs names.

    \b
    nchw verify build                        the folder's own golden spikes
    nchw verify build --mutate 20            and that broken hardware would be caught
    nchw verify network.pt --data mnist/ --samples 1000
    nchw verify network.pt --target verilog,hls,loihi
    nchw verify build --target icarus,netlist --family ecp5
    nchw verify net.nir --steps 100          a NIR graph, as integers
    nchw verify --golden                     all of ./golden

    The folder's hardware is compiled and run here: Verilog and C++ can run any program. Test
    benches and Makefiles are this package's own, never the folder's. Verify a folder of somebody
    you do not trust where it can do no harm, such as in a container.

    \b
    Exit codes: 0 equal   1 a divergence, printed first   2 bad input   3 a tool is missing
                4 too little was compared to say equal
    """
    from neurocuda_hw.ground.files import check_writable, write_file
    from neurocuda_hw.passes.folding import uniform_lanes
    from neurocuda_hw.passes.study import balanced
    from neurocuda_hw.project.verify import Subject, exit_code
    from neurocuda_hw.project.verify import verify as run_verify
    from neurocuda_hw.simulation.simulate import Stalls
    from neurocuda_hw.targets.checks import Request

    if json_file not in (None, "-"):
        check_writable(str(json_file))
    if golden is not None and (data is not None or inputs is not None):
        raise click.UsageError("--golden excludes --data and --inputs")
    if subject is None and golden is None:
        raise click.UsageError("name a model or a build folder, or a golden folder with --golden")
    subject, golden = _named(subject, golden)
    names = [name.strip() for name in targets.split(",")] if targets else []
    wrong = [name for name in names if name not in VERIFIED]
    if wrong:
        raise click.UsageError(f"--target must be of {', '.join(VERIFIED)}, not {wrong[0]!r}")
    opened, given, origin = None, None, GIVEN
    if subject is not None:
        opened = None if is_nir(Path(subject)) else Subject.of(subject)
        loaded = load_network(subject, reading, known=opened.network if opened else None)
        if data is not None or inputs is not None or loaded.reading.agreement is not None:
            chosen = stimulus(loaded.network, data, inputs, samples, cut)
            given, origin = chosen.inputs, chosen.origin
            loaded = loaded.adjusted(given)
        opened = opened or Subject.of(loaded.network)
    elif data is not None or inputs is not None or lanes or reading.given():
        raise click.UsageError("--data, --inputs and --lanes need a model or a build folder")
    built = opened.built if opened else None
    if built is not None and built.changed:
        told = f"{len(built.changed)} of its files are not as built, first {built.changed[0]!r}"
        say(f"{built.path}: {told}; they are verified as they are.", err=True)
    names = names or [verified_by(built.target if built else None)]
    to_stdout = json_file == "-"
    with progress_bar(quiet=to_stdout) as progress:
        results = run_verify(
            opened,
            golden=golden,
            inputs=given,
            request=Request(
                targets=("reference", *names, *(("cocotb",) if cocotb else ())),
                samples=samples,
                allow_little=allow_little,
                mutate=mutate,
                seed=seed,
                lanes=uniform_lanes(opened.network, lanes) if opened and lanes else balanced,
                bursts=bursts,
                stalls=Stalls(percent=stalls, seed=seed),
                family=family,
                origin=origin,
                progress=progress,
            ),
        )
    own = built is not None and golden is None and given is None and not exit_code(results)
    if built is not None and own and (left_open := not_covered(built.report)):
        say(f"Of single-bit faults in memory: {left_open}.", err=to_stdout)
    show(results, left=_left(built, names), err=to_stdout)
    _keep(built, results)
    if json_file is not None:
        content = to_json([result.to_json() for result in results])
        if to_stdout:
            click.echo(content)
        else:
            write_file(json_file, f"{content}\n".encode())
    raise SystemExit(exit_code(results))


def _named(subject: str | None, golden: str | None) -> tuple[str | None, str | None]:
    """Subject and golden trace, where a folder that is named is what is verified: ``--golden``
    without a value is the trace of a build folder, if one is named, else the folder `GOLDEN`."""
    from neurocuda_hw.ground.errors import DataError

    if subject is None and golden and (Path(golden) / REPORT).is_file():
        return golden, None
    if golden != "":
        return subject, golden
    if subject is not None and Path(subject).is_dir():
        return subject, None
    if not Path(GOLDEN).is_dir():
        raise DataError(
            f"--golden without a value needs a folder {GOLDEN!r} here, which is missing; name a "
            "build folder, or --golden TRACE"
        )
    return subject, GOLDEN


def _left(built: Built | None, names: list[str]) -> str:
    """The targets of a build folder that can be verified and were not, and how to."""
    if built is None:
        return ""
    left = [t.name for t in parts(built.target) if t.benches and t.name not in names]
    if not left:
        return ""
    return (
        f"Not compared: {', '.join(left)}, which this folder holds too: "
        f"nchw verify {built.path} --target {','.join(left)}"
    )


def _keep(built: Built | None, results: list[Verification]) -> None:
    """Notes what was found in the build folder, for 'nchw report'; says so where it cannot."""
    from neurocuda_hw.ground.errors import OutputError
    from neurocuda_hw.project.record import write_record

    if built is None:
        return
    try:
        for result in results:
            write_record(built.path, result, golden=result.inputs, digest=built.digest)
    except OutputError as error:
        say(f"Not noted for 'nchw report': {error}", err=True)


def show(results: list[Verification], *, left: str = "", err: bool = False) -> None:
    """Divergences first, then a table, then the verdict, and what was `left` out."""
    for result in results:
        for check in result.checks:
            if not check.same:
                say(f"{result.name}, {check.target}: {check.message}", err=err)
        for mutant in result.mutants:
            if mutant.outcome == "missed":
                say(f"{result.name}: mutant {mutant.place} was missed: {mutant.detail}", err=err)
    rows = [
        (
            result.name,
            check.target,
            check.samples,
            check.events,
            sum(check.spikes.values()),
            check.outputs,
            _cycles(check),
            check.verdict.upper() if check.verdict == "different" else check.verdict,
        )
        for result in results
        for check in result.checks
    ]
    columns = (
        "network",
        "target",
        ">samples",
        ">inputs not 0",
        ">golden spikes",
        ">outputs not 0",
        ">cycles per inference",
        "verdict",
    )
    print_table("", columns, rows, err=err)
    for result in results:
        say(f"{result.name}: inputs are those of {result.inputs}.", err=err)
        if result.mutants:
            caught, missed = result.count("caught"), result.count("missed")
            idle = result.count("not exercised")
            say(
                f"{result.name}: {some(caught, 'mutant')} caught, {missed} missed, {idle} not "
                "shown by these inputs.",
                err=err,
            )
        for names, targets in _silent(result).items():
            say(
                f"{result.name}: {', '.join(map(repr, names))} never fired ({', '.join(targets)}); "
                "a fault in what leads there may not show.",
                err=err,
            )
    say(_conclusion(results), err=err)
    if left:
        say(left, err=err)


def _silent(result: Verification) -> dict[tuple[str, ...], list[str]]:
    """The layers that never fired in a comparison that is evidence otherwise; and in which."""
    found: dict[tuple[str, ...], list[str]] = {}
    for check in result.checks:
        if check.equal and check.silent:
            found.setdefault(tuple(check.silent), []).append(check.target)
    return found


def _conclusion(results: list[Verification]) -> str:
    """The verdict on all."""
    from neurocuda_hw.targets.evidence import WAY_OUT

    if any(result.different for result in results):
        return "NOT equal."
    little = [f"{result.name}, {result.little}" for result in results if result.little]
    if not little:
        return "Equal, every spike of every layer."
    accepted = all(result.allow_little for result in results)
    then = "accepted" if accepted else f"{WAY_OUT}, or accept it with --allow-little"
    why = ". ".join(little)
    return f"Nothing differs, but too little was compared to say equal: {why}; {then}."


def _cycles(check: Check) -> str:
    return f"{check.cycles_per_inference:,.1f}" if check.cycles_per_inference else "-"
