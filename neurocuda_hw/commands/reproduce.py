"""``nchw reproduce``: the figures of the pages, measured anew on this machine."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from neurocuda_hw.commands.console import say, there_is_data
from neurocuda_hw.ground.errors import DataError

CHECKOUT = Path(__file__).resolve().parents[2]


@click.command()
@click.option(
    "--list", "listing", is_flag=True, help="Name every figure and its command; run none."
)
@click.option("--quick", is_flag=True, help="What takes a minute or two of each, where it can be.")
@click.option("--all", "whole", is_flag=True, help="All of each: full test sets, all seeds; days.")
@click.option("--only", multiple=True, metavar="NAME", help="This figure; may be said twice.")
@click.option(
    "--state",
    default="build/reproduce",
    show_default=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where it keeps what it measured, to go on from after a break, and writes its table.",
)
@click.option(
    "--data",
    metavar="DIR",
    callback=there_is_data,
    help="Folder of mnist/, cifar10/, nmnist/, nir/, checkpoints/; default: $NCHW_DATA.",
)
def reproduce(
    listing: bool, quick: bool, whole: bool, only: tuple[str, ...], state: Path, data: str | None
) -> None:
    """Measure the figures of README.md and docs/ again and compare them with results/.

    Each figure says PASS, CHECK (a value is farther from the committed one than its tolerance
    allows) or SKIPPED, with what is missing and where to get it. The table, with versions and
    hashes, is in DIR/reproduced.md and .json. It needs the project's checkout.

    \b
    nchw reproduce --list
    nchw reproduce --quick
    nchw reproduce --only cycles --only front
    nchw reproduce --all --state repro

    \b
    Exit codes: 0 all pass or are skipped   1 a figure says CHECK   2 bad input
    """
    if not (CHECKOUT / "benchmarks" / "reproduce.py").is_file():
        raise DataError(
            "nchw reproduce needs the project's checkout, where benchmarks/ and results/ are; "
            "run 'python reproduce.py' there"
        )
    if not (listing or quick or whole or only) or (quick and whole):
        raise click.UsageError(
            "say --list, --quick, --all or --only NAME; one of --quick and --all"
        )
    sys.path.insert(0, str(CHECKOUT))
    run = importlib.import_module("benchmarks.reproduce")
    place = None if data is None else Path(data)
    if listing:
        say(run.listed(place))
        return
    state.mkdir(parents=True, exist_ok=True)
    raise SystemExit(run.reproduce(only, quick=quick, state=state, data=place, show=say))
