"""``nchw report``: a build folder as one page of HTML."""

from __future__ import annotations

import click

from neurocuda_hw.commands.console import say, there


@click.command()
@click.argument("folder", metavar="BUILD_DIR", callback=there("build folder"))
@click.option(
    "-o", "--output", metavar="FILE", help="Where to write the page; default: in the folder."
)
@click.option("--png", is_flag=True, help="Plots as PNG, for viewers that show no SVG.")
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="The golden inference whose every spike is drawn.",
)
@click.option(
    "--clock",
    type=click.FloatRange(min=0, min_open=True),
    default=100.0,
    show_default=True,
    metavar="MHZ",
    help="Assumed clock of the hardware, at which cycles are told as milliseconds.",
)
def report(folder: str, output: str | None, png: bool, sample: int, clock: float) -> None:
    """Write one page of HTML about a build: network, accuracy, activity, time, verdict.

    The page needs no other file. Of a build for Loihi it also shows what fills and busies each
    core, time and energy of each step, and where every constant comes from. It says "verified"
    only after 'nchw verify BUILD_DIR' found every spike equal on this very build.

    \b
    nchw build network.pt --data mnist/ -o build
    nchw verify build
    nchw report build --clock 150 -o report.html
    """
    from neurocuda_hw.report import judge, read_facts
    from neurocuda_hw.report import report as write_report

    path = write_report(folder, output, png=png, sample=sample, clock=clock)
    say(f"Wrote {path}: {path.stat().st_size:,} bytes.")
    say(judge(read_facts(folder)).sentence)
