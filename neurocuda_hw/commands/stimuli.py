"""The options that say what a network is fed with, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from neurocuda_hw.commands.console import there, there_is_data
from neurocuda_hw.ground.words import RANDOM

if TYPE_CHECKING:
    import numpy as np

    from neurocuda_hw.network import Network

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stimulus:
    """Integer inputs ``(S, ...)``, their labels where there are any, and where they come from."""

    inputs: np.ndarray
    labels: np.ndarray | None
    origin: str


def stimulus_options(command: Command) -> Command:
    """Adds --data, --inputs, --samples and --step-us."""
    for option in (
        click.option(
            "--samples",
            type=click.IntRange(min=1),
            metavar="N",
            help="Take the first N samples only.",
        ),
        click.option(
            "--inputs",
            metavar="FILE",
            callback=there("inputs"),
            help="Inputs from a .npy or .npz array (samples first): integers as they are, real "
            "numbers quantised with the model's input scale.",
        ),
        click.option(
            "--data",
            metavar="DATA",
            callback=there_is_data,
            help="Test images from a folder of idx files (MNIST) or CIFAR-10 batches, or a .npz "
            "with x_test and y_test, or x and y; quantised with the model's input scale. Or "
            "recordings of N-MNIST (a folder or a tar file), counted per step.",
        ),
        click.option(
            "--step-us",
            type=click.IntRange(min=1),
            default=1000,
            show_default=True,
            metavar="N",
            help="Microseconds of a recording that make one step.",
        ),
    ):
        command = option(command)
    return command


def stimulus(
    network: Network,
    data: str | None,
    inputs: str | None,
    samples: int | None,
    step_us: int = 1000,
) -> Stimulus:
    """What the options ask for; random inputs of a fixed seed where they name nothing.

    Raises
    ------
    DataError
        If the data is missing, damaged, of the wrong shape or range.
    """
    from neurocuda_hw.data.events import is_nmnist
    from neurocuda_hw.data.stimulus import default_inputs
    from neurocuda_hw.reference.reference import check_inputs

    if data is not None and inputs is not None:
        raise click.UsageError("--data and --inputs exclude each other")
    labels = None
    if data is not None:
        load = recordings if is_nmnist(data) else images
        found, labels = load(network, data, samples, step_us)
        origin = data
    elif inputs is not None:
        found, origin = read_array(inputs)[:samples], inputs
        if found.dtype.kind == "f":
            found = quantised(network, found)
    else:
        found = default_inputs(network, samples or 16)
        origin = RANDOM
    return Stimulus(inputs=check_inputs(network, found).numpy(), labels=labels, origin=origin)


def recordings(
    network: Network, data: str, samples: int | None, step_us: int
) -> tuple[np.ndarray, np.ndarray]:
    """Recordings of N-MNIST as counts of events in each step of the network's input."""
    import numpy as np

    from neurocuda_hw.data.events import bin_events, load_nmnist
    from neurocuda_hw.ground.errors import DataError
    from neurocuda_hw.network.neurons import Encoding

    population = network.input
    neuron: Any = population.neuron
    if (
        neuron.encoding is Encoding.CURRENT
        or len(population.shape) != 3
        or population.shape[0] != 2
    ):
        raise DataError(
            "recordings of events need an input (2, H, W) that gets events in every step, not "
            f"{population.shape} of {neuron.encoding.name}; see --encoding"
        )
    found, labels = load_nmnist(data, samples)
    steps = network.window(population.name).steps
    highest = min(neuron.payload[1], 255)
    shape = (2, *population.shape[1:])
    frames = [
        bin_events(r, steps=steps, step_us=step_us, shape=shape, highest=highest) for r in found
    ]
    return np.stack(frames), labels


def images(
    network: Network, data: str, samples: int | None, step_us: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labelled data of `datasets.load`; the integers of a .npz as they are where nothing scales."""
    from neurocuda_hw.data import datasets

    whole = network.input.scale is None and data.endswith(".npz")
    found, labels = datasets.load(data, "test", raw=whole)
    found, labels = found[:samples], labels[:samples]
    return (found if whole and found.dtype.kind in "iu" else quantised(network, found)), labels


def quantised(network: Network, real: np.ndarray) -> np.ndarray:
    """Real inputs as integer payloads, by the scale that the converter found."""
    from neurocuda_hw.ground.errors import DataError

    population = network.input
    if population.scale is None:
        raise DataError(
            "the model has no input scale to quantise real inputs with; give integers with --inputs"
        )
    if real[0].size == population.size:
        real = real.reshape(-1, *population.shape)
    if real.shape[-len(population.shape) :] != population.shape:
        raise DataError(
            f"inputs must have the shape (samples, {', '.join(map(str, population.shape))}), "
            f"not {real.shape}"
        )
    return population.quantise(real)


def read_array(path: str) -> np.ndarray:
    """The array of a .npy, or of a .npz that holds ``x`` or only one array."""
    import numpy as np

    from neurocuda_hw.ground.archives import npz_names, read_npy, read_npz
    from neurocuda_hw.ground.errors import DataError
    from neurocuda_hw.ground.files import read_file

    content = read_file(path, "inputs")
    try:
        if content.startswith(b"PK"):
            names = npz_names(content)
            name = "x" if "x" in names or len(names) != 1 else names[0]
            found = read_npz(content, (name,))[name]
        else:
            found = read_npy(content)
    except Exception as error:  # damaged bytes break zip and numpy in any way they can
        reason = (str(error) or type(error).__name__).splitlines()[0][:80]
        raise DataError(f"{path!r} must be a .npy, or a .npz with x: {reason}") from error
    if found.dtype.kind not in "biuf" or found.ndim < 2 or len(found) == 0:
        raise DataError(
            f"{path!r} must hold numbers (samples, ...), not {found.dtype} {found.shape}"
        )
    return np.asarray(found)
