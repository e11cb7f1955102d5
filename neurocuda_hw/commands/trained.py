"""``nchw build`` of a trained model: it is converted first."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neurocuda_hw.commands.networks import is_nir
from neurocuda_hw.commands.stimuli import Cut
from neurocuda_hw.ground.progress import Progress

if TYPE_CHECKING:
    from neurocuda_hw.commands.converting import Converted


def is_trained(model: str, arch: str | None, unpickle: bool) -> bool:
    """Whether MODEL is to be converted first."""
    from neurocuda_hw.conversion.trained import is_program

    return arch is not None or unpickle or (not is_nir(Path(model)) and is_program(model))


def convert_first(
    model: str, data: str | None, progress: Progress, arch: str | None, unpickle: bool, cut: Cut
) -> Converted:
    """What ``nchw convert MODEL --data DATA`` makes, with its defaults."""
    from neurocuda_hw.commands.convert import convert
    from neurocuda_hw.commands.converting import converted

    if data is None:
        raise click.UsageError("a trained model is converted with real samples: give --data DATA")
    options = convert.make_context("convert", [model, "--data", data, "--output", ""]).params
    apart = ("model", "data", "output", "plot", "as_json", *(f.name for f in fields(Cut)))
    options = {name: value for name, value in options.items() if name not in apart}
    return converted(
        model, data, progress, **options | {"arch": arch, "unpickle": unpickle, "cut": cut}
    )
