"""Folding for a device: the options of ``nchw build``, and the table of what each layer takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from neurocuda_hw.commands.console import print_table
from neurocuda_hw.ground.progress import Progress
from neurocuda_hw.targets.built import ALL
from neurocuda_hw.targets.table import BUILT

if TYPE_CHECKING:
    from neurocuda_hw.passes.area import LayerArea
    from neurocuda_hw.passes.devices import Device
    from neurocuda_hw.passes.fold import Folding
    from neurocuda_hw.passes.study import Study

Command = TypeVar("Command", bound=Callable[..., Any])
_COLUMNS = ("population", ">lanes", ">weight bits", ">cycles", ">LUT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What --device, --board, --target-cycles and --fit ask for; no part where none was named.

    `kept`: the lanes stay as they are if that fits.
    """

    part: Device | None
    target: int | None
    kept: bool = False

    @property
    def device(self) -> str | None:
        """The name of the part."""
        return self.part.name if self.part else None


def device_options(command: Command) -> Command:
    """Adds --device, --target-cycles and --fit."""
    for option in (
        click.option(
            "--fit",
            is_flag=True,
            help="The fastest that fits the device (what --device alone does, too).",
        ),
        click.option(
            "--target-cycles",
            type=click.IntRange(min=1),
            metavar="N",
            help="The least of the device that meets N cycles per inference.",
        ),
        click.option(
            "--device",
            metavar="NAME",
            help="Choose the lanes for this part: xc7a35t, xc7z020, lfe5u-25f, ice40up5k, ...",
        ),
    ):
        command = option(command)
    return command


def board_options(command: Command) -> Command:
    """Adds --board, --clock and --baud."""
    for option in (
        click.option(
            "--baud",
            type=click.IntRange(min=300),
            default=115_200,
            show_default=True,
            metavar="N",
            help="Of the board's serial line.",
        ),
        click.option(
            "--clock",
            type=click.FloatRange(min=0, min_open=True),
            metavar="MHZ",
            help="The clock that is wanted: a board gets the fastest of at most so much (if not "
            "said, the fastest that is met); with --device it is held against an estimate.",
        ),
        click.option(
            "--board",
            metavar="NAME",
            help="The board of --target ecp5 (ulx3s, ulx3s-85f, colorlight-i5, ...), ice40 "
            "(icebreaker, upduino, hx8k-breakout) or gowin (tangnano9k).",
        ),
    ):
        command = option(command)
    return command


def bursts_option(command: Command) -> Command:
    """Adds --bursts."""
    option = click.option(
        "--bursts",
        type=click.Choice(["auto", "on", "off"]),
        default="auto",
        show_default=True,
        help="Under the exact code, Verilog and C++ may send one event with a count for all spikes "
        "of a neuron: where that pays (in the Verilog), wherever it is possible, or nowhere.",
    )
    return option(command)


def streams_options(command: Command) -> Command:
    """Adds --streams and --input-order."""
    for option in (
        click.option(
            "--input-order",
            type=click.Choice(["any", "raster"]),
            default="any",
            show_default=True,
            help="How the input's words come: in any order within a step, or by lines from the "
            "top, so that streams begin at the input. It is for --streams auto and on.",
        ),
        click.option(
            "--streams",
            type=click.Choice(["auto", "on", "off"]),
            default="off",
            show_default=True,
            help="Bursts may be sent line by line, each as soon as it is complete, from a few "
            "lines of membranes instead of a whole map: where that pays, or wherever it can be.",
        ),
    ):
        command = option(command)
    return command


def check_streams(bursts: str, streams: str, order: str, build_for: str | None = None) -> None:
    """Checks --streams against the options that it goes with, and what is built."""
    gates = [t.name for t in BUILT.values() if t.gates] + [ALL]
    if streams != "off" and build_for not in (None, *gates):
        raise click.UsageError(f"--streams is for --target {' or '.join(gates)}, not {build_for}")
    if streams == "off" and order != "any":
        raise click.UsageError("--input-order needs --streams auto or on")
    if bursts == "off" and streams == "on":
        raise click.UsageError("--streams on excludes --bursts off: bursts are what it sends")


def parse_wish(
    device: str | None,
    target: int | None,
    fit: bool,
    lanes: int | None,
    build_for: str | None,
    room: Device | None = None,
) -> Wish:
    """Checks the options against one another; `room` is what a board has for the network."""
    from neurocuda_hw.passes.devices import find_device

    if room is not None:
        return Wish(part=room, target=target, kept=not (fit or target))
    if device is None and (target is not None or fit):
        raise click.UsageError("--target-cycles and --fit need --device")
    if target is not None and fit:
        raise click.UsageError("--target-cycles excludes --fit")
    if device is not None and lanes is not None:
        raise click.UsageError("--device chooses the lanes: it excludes --lanes")
    gates = [t.name for t in BUILT.values() if t.gates and not t.boards]
    if device is not None and build_for is not None and build_for not in gates:
        raise click.UsageError(f"--device is for --target {' or '.join(gates)}, not {build_for}")
    return Wish(part=find_device(device) if device else None, target=target)


def on_board(board: str | None, device: str | None, build_for: str) -> Device | None:
    """What of a board's FPGA is left to the network; None where nothing is built for a board."""
    if build_for == ALL:
        if board is not None:
            raise click.UsageError(f"--board is for bitstreams, not for --target {ALL}")
        return None
    room = BUILT[build_for].room(board)
    if room is not None and device is not None:
        raise click.UsageError(f"--board {board} has its own device: leave --device out")
    return room


def fold_for(study: Study, wish: Wish, progress: Progress) -> Folding:
    """The folding for a device."""
    from neurocuda_hw.passes.budget import Folder
    from neurocuda_hw.passes.fold import planned

    device = wish.part
    assert device is not None
    if wish.kept and (found := planned(study, device)).fits:
        return found
    folder = Folder(study.network, study.activity, bursts=study.bursts, progress=progress)
    return folder.fold(device, target=wish.target)


def show(folding: Folding, *, err: bool = False) -> None:
    """The table: every layer, what is there once, their sum, and what the device has."""
    device, shared = folding.device, folding.shared
    usable = replace(shared, **_usable(device))

    def taken(area: LayerArea) -> tuple[object, ...]:
        ultras = (area.ultras,) if device.ultras else ()
        return (round(area.luts), f"{area.blocks:g}", area.dsps, *ultras)

    rows: list[tuple[object, ...]] = [
        (layer.name, layer.lanes, layer.weight_bits, round(layer.cycles), *taken(layer.area))
        for layer in folding.layers
    ]
    rows += [
        ("(shared)", "", "", "", *taken(shared)),
        ("total", "", "", round(folding.cycles), *taken(folding.area)),
        (f"usable in {device.name}", "", "", "", *taken(usable)),
    ]
    title = f"Prediction for {device.name} ({device.family.value}, {device.source})"
    columns = (*_COLUMNS, f">{device.family.block_name}", ">DSP")
    print_table(title, (*columns, ">UltraRAM") if device.ultras else columns, rows, err=err)


def _usable(device: Device) -> dict[str, Any]:
    """What a design may take of a device."""
    from neurocuda_hw.passes.fold import LUT_SHARE

    found = {"luts": round(LUT_SHARE * device.luts), "blocks": device.blocks, "dsps": device.dsps}
    return found | {"ultras": device.ultras}


def as_plain(folding: Folding) -> Mapping[str, object]:
    """The folding as plain values, for JSON."""
    device = folding.device
    return {
        "device": device.name,
        "cycles": round(folding.cycles, 1),
        **_taken(folding.area),
        "block": device.family.block_name,
        "usable": _usable(device),
        "shared": _taken(folding.shared),
        "layers": [
            {
                "name": layer.name,
                "lanes": layer.lanes,
                "weight_bits": layer.weight_bits,
                "cycles": round(layer.cycles, 1),
                **_taken(layer.area),
            }
            for layer in folding.layers
        ],
    }


def _taken(area: LayerArea) -> dict[str, Any]:
    return {
        "luts": round(area.luts),
        "blocks": area.blocks,
        "dsps": area.dsps,
        "ultras": area.ultras,
    }


def clock_told(study: Study, part: Device | None, clock: float | None) -> str:
    """What an estimate says of a wanted clock; empty where none is, or no part is named."""
    from neurocuda_hw.passes.area import network_area, total
    from neurocuda_hw.passes.clocks import told

    if clock is None or part is None:
        return ""
    areas = network_area(study.network, study.plans, part.family, study.bursts)
    return told(part, total(areas).luts, clock)
