"""Folding for a device: the options of ``nchw build``, and the table of what each layer takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from neurocuda_hw.commands.console import print_table
from neurocuda_hw.ground.progress import Progress
from neurocuda_hw.targets.table import BUILT

if TYPE_CHECKING:
    from neurocuda_hw.passes.area import LayerArea
    from neurocuda_hw.passes.budget import Folding
    from neurocuda_hw.passes.devices import Device
    from neurocuda_hw.passes.study import Study

Command = TypeVar("Command", bound=Callable[..., Any])
_COLUMNS = ("population", ">lanes", ">weight bits", ">cycles", ">LUT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What --device, --target-cycles and --fit ask for; no device where none was named."""

    device: str | None
    target: int | None


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


def parse_wish(
    device: str | None, target: int | None, fit: bool, lanes: int | None, build_for: str | None
) -> Wish:
    """Checks the options against one another."""
    if device is None and (target is not None or fit):
        raise click.UsageError("--target-cycles and --fit need --device")
    if target is not None and fit:
        raise click.UsageError("--target-cycles excludes --fit")
    if device is not None and lanes is not None:
        raise click.UsageError("--device chooses the lanes: it excludes --lanes")
    gates = [t.name for t in BUILT.values() if t.gates]
    if device is not None and build_for is not None and build_for not in gates:
        raise click.UsageError(f"--device is for --target {' or '.join(gates)}, not {build_for}")
    return Wish(device=device, target=target)


def fold_for(study: Study, wish: Wish, progress: Progress) -> Folding:
    """The folding for a device."""
    from neurocuda_hw.passes.budget import Folder
    from neurocuda_hw.passes.devices import find_device

    assert wish.device is not None
    device = find_device(wish.device)
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
    from neurocuda_hw.passes.budget import LUT_SHARE

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
