"""What MODEL may be: a network that ``nchw convert`` wrote, or a NIR graph and how to read it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from neurocuda_hw.commands.console import print_table, say

if TYPE_CHECKING:
    import numpy as np

    from neurocuda_hw.network import Network
    from neurocuda_hw.nir import Comparison, Executor

Command = TypeVar("Command", bound=Callable[..., Any])
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a NIR graph becomes integers; None where the user said nothing."""

    steps: int | None = None
    dt: float | None = None
    method: str | None = None
    reset: str | None = None
    fires: str | None = None
    integrate_dt: bool | None = None
    weight_bits: int | None = None
    agreement: float | None = None
    encoding: str | None = None
    payload_bits: int | None = None
    signed: bool | None = None
    input_scale: float | None = None

    def given(self, *apart: str) -> list[str]:
        """The options that were given, but for those `apart`."""
        names = [f.name for f in fields(self) if f.name not in apart]
        return [f"--{n.replace('_', '-')}" for n in names if getattr(self, n) is not None]

    def writing(self, style: str | None) -> dict[str, Any]:
        """Arguments of `to_nir`."""
        return {
            "export": style,
            "dt": 1.0 if self.dt is None else self.dt,
            "fires_at": self.fires == "at",
            "integrate_dt": bool(self.integrate_dt),
        }

    def settings(self) -> dict[str, Any]:
        """Arguments of `from_nir`, but for the weights' bits."""
        from neurocuda_hw.network.neurons import Encoding

        bits = self.payload_bits or 1
        encoding = self.encoding or ("spikes" if bits == 1 and not self.signed else "graded")
        return {
            "dt": self.dt,
            "method": self.method or "euler",
            "integrate_dt": bool(self.integrate_dt),
            "reset": self.reset or "nir",
            "fires_at": self.fires == "at",
            "encoding": Encoding(encoding),
            "payload_bits": bits,
            "signed": bool(self.signed),
            "input_scale": 1.0 if self.input_scale is None else self.input_scale,
        }


def finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuses what is not positive and finite."""
    if value is not None and not 0 < value < math.inf:
        raise click.BadParameter(f"must be a positive number, not {value}")
    return value


_OPTIONS = (
    click.option("--steps", type=click.IntRange(1), help="NIR: steps of one inference."),
    click.option(
        "--dt",
        type=float,
        callback=finite,
        metavar="SECONDS",
        help="NIR: length of a step.",
    ),
    click.option(
        "--method",
        type=click.Choice(["euler", "exact"]),
        help="NIR: how leaks are discretised, as the graph's framework does it; default: euler "
        "(snnTorch, Norse), not exact (sinabs).",
    ),
    click.option(
        "--reset",
        type=click.Choice(["subtract", "nir"]),
        help="NIR: what a spike does. NIR means a reset to v_reset, the default; frameworks that "
        "subtract the threshold do not say so in the file.",
    ),
    click.option(
        "--fires",
        type=click.Choice(["above", "at"]),
        help="NIR: fire above the threshold (NIR, snnTorch, Norse), the default, or at it (sinabs, "
        "SpikingJelly).",
    ),
    click.option(
        "--integrate-dt",
        is_flag=True,
        default=None,
        help="NIR: IF and I integrate over dt seconds, as SpikingJelly writes them.",
    ),
    click.option(
        "--weight-bits", type=click.IntRange(2, 32), help="NIR: bits of a weight; default: 8."
    ),
    click.option(
        "--agreement",
        type=click.FloatRange(0, 1, min_open=True),
        metavar="SHARE",
        help="NIR: as many bits as make this share of spikes coincide in every layer, on the data "
        "that --data or --inputs names.",
    ),
    click.option(
        "--encoding",
        type=click.Choice(["spikes", "graded", "current"]),
        help="NIR: inputs are binary events per step, small integers per step, or one integer "
        "held for all steps; default: spikes, or graded where --payload-bits is above 1.",
    ),
    click.option(
        "--payload-bits", type=click.IntRange(1, 16), help="NIR: bits of one input; default: 1."
    ),
    click.option("--signed", is_flag=True, default=None, help="NIR: inputs have a sign."),
    click.option(
        "--input-scale",
        type=float,
        callback=finite,
        metavar="UNITS",
        help="NIR: what one unit of input is worth in the graph's units; default: 1.",
    ),
)


def network_options(command: Command) -> Command:
    """Adds the options on NIR graphs, and gives them to the command as one `reading`."""
    names = [f.name for f in fields(Reading)]

    @wraps(command)
    def gathered(**arguments: Any) -> Any:
        reading = Reading(**{name: arguments.pop(name) for name in names})
        return command(reading=reading, **arguments)

    found: Any = gathered
    for option in reversed(_OPTIONS):
        found = option(found)
    return found  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    """A network, and what it was made from.

    Parameters
    ----------
    network : Network
    graph : nir.NIRGraph, optional
        What other tools wrote; None for a network of this package.
    reading : Reading
    told : mapping
        What ``nchw convert`` noted of it.
    """

    network: Network
    graph: Any
    reading: Reading
    told: Mapping[str, Any] = field(default_factory=dict)

    def executor(self) -> Executor | None:
        """The graph itself in floating point."""
        if self.graph is None:
            return None
        import torch

        from neurocuda_hw.nir import Executor, Method

        settings = self.reading.settings()
        return Executor(
            self.graph,
            dt=settings["dt"],
            method=Method(settings["method"]),
            integrate_dt=settings["integrate_dt"],
            subtract=settings["reset"] == "subtract",
            fires_at=settings["fires_at"],
            dtype=torch.float32,
        )

    def compared(self, inputs: np.ndarray, labels: np.ndarray | None) -> Comparison | None:
        """The integers against the graph in floating point; None where there is no graph."""
        executor = self.executor()
        if executor is None:
            return None
        from neurocuda_hw.nir import compare

        return compare(executor, self.network, inputs, labels)

    def adjusted(self, inputs: np.ndarray) -> Loaded:
        """The network with as many weight bits as the agreement asked for needs on `inputs`."""
        if self.graph is None or self.reading.agreement is None:
            return self
        from neurocuda_hw.nir import choose_bits

        network = choose_bits(
            self.graph,
            self.network.timesteps,
            inputs,
            agreement=self.reading.agreement,
            name=self.network.name,
            **self.reading.settings(),
        )
        return Loaded(network=network, graph=self.graph, reading=self.reading)


def is_nir(path: Path) -> bool:
    """Whether a file is named or begins as NIR files do."""
    if path.suffix == ".nir":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(_HDF5)) == _HDF5
    except OSError:
        return False


def load_network(
    model: str, reading: Reading, *, exports: bool = False, known: Network | None = None
) -> Loaded:
    """The network of a file or of a build folder.

    Parameters
    ----------
    exports : bool
        Whether --dt, --fires and --integrate-dt also say how a graph shall be written.
    known : Network, optional
        The network, where the file was read already.

    Raises
    ------
    ModelError, DataError
        If the file cannot be used.
    """
    from neurocuda_hw.network.model_file import load, read_told

    path = Path(model)
    path = path / "model.pt" if path.is_dir() else path
    if known is None and is_nir(path):
        return _from_graph(path, reading, exports)
    refuse(reading, path, exports)
    network = known or load(path)
    told = {} if known else read_told(path)
    return Loaded(network=network, graph=None, reading=reading, told=told)


def refuse(reading: Reading, path: Path, exports: bool) -> None:
    """Refuses options on NIR graphs for a file that is none."""
    given = reading.given(*(("dt", "fires", "integrate_dt") if exports else ()))
    if given:
        raise click.UsageError(f"{given[0]} is for .nir files, which {str(path)!r} is not")


def _from_graph(path: Path, reading: Reading, exports: bool) -> Loaded:
    from neurocuda_hw.nir import from_nir, is_noted, network_name, read, reset_hint

    graph = read(path)
    if is_noted(graph):
        given = reading.given("steps", *(("dt", "fires", "integrate_dt") if exports else ()))
        if given:
            raise click.UsageError(
                f"{given[0]} is for graphs of other tools: {str(path)!r} says itself which integers"
                " it stands for"
            )
        return Loaded(network=from_nir(graph, reading.steps), graph=None, reading=reading)
    if reading.weight_bits is not None and reading.agreement is not None:
        raise click.UsageError("--weight-bits and --agreement exclude each other")
    if reading.integrate_dt and reading.dt is None:
        raise click.UsageError("--integrate-dt needs the length of a step: give --dt")
    hint = reset_hint(graph)
    if hint is not None and reading.reset is None:
        say(f"nchw: note: {hint}", err=True)
    network = from_nir(
        graph,
        reading.steps,
        weight_bits=reading.weight_bits or 8,
        name=network_name(path.stem),
        **reading.settings(),
    )
    return Loaded(network=network, graph=graph, reading=reading)


def show_comparison(found: Comparison) -> None:
    """The table of what quantisation cost."""
    rows: list[tuple[object, ...]] = [
        (
            layer.population,
            layer.graph,
            layer.integers,
            f"{layer.agreement:.2%}",
            f"{layer.rate_error:.2%}",
        )
        for layer in found.layers
    ]
    if found.graph_accuracy is not None and found.integer_accuracy is not None:
        accuracies = f"{found.graph_accuracy:.2%}", f"{found.integer_accuracy:.2%}"
        rows.append(("accuracy", *accuracies, "", ""))
    columns = ("layer", ">spikes of floats", ">spikes of integers", ">agreement", ">rate error")
    print_table("The NIR graph in floating point, and in integers", columns, rows)


def comparison_facts(found: Comparison) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "layers": {
            layer.population: {
                "float_spikes": layer.graph,
                "integer_spikes": layer.integers,
                "agreement": layer.agreement,
                "rate_error": layer.rate_error,
            }
            for layer in found.layers
        },
        "float_accuracy": found.graph_accuracy,
        "integer_accuracy": found.integer_accuracy,
    }
