"""What the commands share: tables on standard output, JSON alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from neurocuda_hw.ground.errors import no_data
from neurocuda_hw.ground.files import check_there

as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else, to stdout."
)


def there(what: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """A callback: the file or folder that is named must be there, or the command ends at once."""

    def check(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value:
            check_there(value, what)
        return value

    return check


def there_is_data(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The same for a data set."""
    if value and not os.path.exists(value):
        raise no_data(value)
    return value


def plot_kind(plot: str) -> str:
    """The format that the name of a figure's file asks for; it can be written."""
    from neurocuda_hw.ground.files import check_writable

    kind = plot.rpartition(".")[2].lower()
    if kind not in ("svg", "png", "pdf"):
        raise click.BadParameter(f"the name must end in .svg, .png or .pdf, not {plot!r}")
    check_writable(plot)
    return kind


def print_json(value: object) -> None:
    """One JSON value on standard output."""
    click.echo(to_json(value))


def to_json(value: object) -> str:
    """Any plain value as JSON."""
    return json.dumps(value, indent=1, default=_plain)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if hasattr(value, "item") else str(value)


def say(text: str = "", *, err: bool = False) -> None:
    """One line for people."""
    click.echo(text, err=err)


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, err: bool = False
) -> None:
    """A table; columns whose name starts with ``>`` are aligned to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in columns:
        justify: Any = "right" if name.startswith(">") else "left"
        table.add_column(name.removeprefix(">"), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console = Console(stderr=err)
    if not console.is_terminal:
        console.width = 160  # a pipe has no width: do not fold what will be searched
    if title:
        console.print(title, style="bold", markup=False, highlight=False)
    console.print(table, markup=False)


def _cell(value: object) -> Any:
    from rich.text import Text

    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else Text(str(value))
