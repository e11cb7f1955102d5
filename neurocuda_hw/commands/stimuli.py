"""The options that say what a network is fed with, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from neurocuda_hw.commands.console import say, there, there_is_data
from neurocuda_hw.ground.progress import Progress
from neurocuda_hw.ground.words import COVER, RANDOM, some

if TYPE_CHECKING:
    import numpy as np

    from neurocuda_hw.coverage.table import Coverage
    from neurocuda_hw.data.binning import Binning
    from neurocuda_hw.data.events import Events, Tally
    from neurocuda_hw.network import Network, Population
    from neurocuda_hw.network.trace import Trace

_MOST = 100_000
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stimulus:
    """Integer inputs ``(S, ...)``, their labels where there are any, and where they come from.

    `recordings` are the first of those whose events the inputs count, up to 100,000 events in all.
    """

    inputs: np.ndarray
    labels: np.ndarray | None
    origin: str
    recordings: Sequence[Events] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How recordings of events are cut into steps and frames; see `Binning`."""

    step_us: int = 1000
    step_events: int | None = None
    advance: int | None = None
    grid: str = "zero"
    crop: tuple[int, int] = (0, 0)
    downsample: int = 1

    def binning(self, steps: int, shape: tuple[int, int, int], highest: int) -> Binning:
        """The same for an input."""
        from neurocuda_hw.data.binning import Binning

        if self.advance is not None and self.advance > steps:
            raise click.UsageError(f"--advance must be 1 to {steps}, the steps of a window")
        options = {f.name: getattr(self, f.name) for f in fields(self)}
        return Binning(steps=steps, shape=shape, highest=highest, **options)


def _corner(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int]:
    """Two whole numbers between a comma."""
    parts = (value or "0,0").split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise click.BadParameter(f"must be X,Y of the corner, not {value!r}")
    return int(parts[0]), int(parts[1])


_CUT = (
    click.option(
        "--step-us",
        type=click.IntRange(min=1),
        default=1000,
        show_default=True,
        metavar="N",
        help="Recordings: microseconds that make one step.",
    ),
    click.option(
        "--step-events",
        type=click.IntRange(min=1),
        metavar="N",
        help="Recordings: events that make one step, instead of a time.",
    ),
    click.option(
        "--advance",
        type=click.IntRange(min=1),
        metavar="N",
        help="One recording: a window of steps starts every N steps; default: after the last one.",
    ),
    click.option(
        "--grid",
        type=click.Choice(["zero", "first"]),
        default="zero",
        show_default=True,
        help="Recordings: step 0 starts at the time 0, or at the first event.",
    ),
    click.option(
        "--crop",
        callback=_corner,
        metavar="X,Y",
        help="Recordings: the pixel that is the input's upper left corner; default: 0,0.",
    ),
    click.option(
        "--downsample",
        type=click.IntRange(min=1),
        default=1,
        metavar="N",
        help="Recordings: N x N pixels are one of the input.",
    ),
)


def cut_options(command: Command) -> Command:
    """Adds the options on recordings, and gives them to the command as one `cut`."""
    names = [f.name for f in fields(Cut)]

    @wraps(command)
    def gathered(**arguments: Any) -> Any:
        cut = Cut(**{name: arguments.pop(name) for name in names})
        return command(cut=cut, **arguments)

    found: Any = gathered
    for option in reversed(_CUT):
        found = option(found)
    return found  # type: ignore[no-any-return]


def stimulus_options(command: Command) -> Command:
    """Adds --data, --inputs, --samples and the options on recordings."""
    for option in (
        cut_options,
        click.option(
            "--samples",
            type=click.IntRange(min=1),
            metavar="N",
            help="Take N samples only: of labelled data as many of each class, drawn by a fixed "
            "seed; else the first N.",
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
            "recordings of events, counted per step: a labelled set (folder, tar, zip, SHD's "
            "HDF5), or one recording, of which every window of steps is a sample.",
        ),
    ):
        command = option(command)
    return command


def recorded(network: Network, inputs: np.ndarray, progress: Progress) -> Trace:
    """The golden trace of some inputs."""
    from neurocuda_hw.reference.reference import Reference

    return Reference(network).trace(
        inputs, progress=lambda done, total: progress("reference", done, total)
    )


def covered(
    network: Network, given: Stimulus | None, samples: int | None, progress: Progress
) -> tuple[Stimulus, Coverage]:
    """Inputs `given`, and behind them those that show what they leave open, at most `samples`."""
    from neurocuda_hw.coverage.search import cover
    from neurocuda_hw.network.inputs import check_inputs

    known = None if given is None else given.inputs
    found = cover(network, known, samples, lambda done, all: progress("coverage", done, all))
    inputs = check_inputs(network, found.inputs).numpy()
    if given is None:
        return Stimulus(inputs=inputs, labels=None, origin=COVER), found.coverage
    origin = f"{given.origin}, and {some(found.made, 'sample')} of {COVER}"
    return Stimulus(inputs=inputs, labels=given.labels, origin=origin), found.coverage


def stimulus(
    network: Network,
    data: str | None,
    inputs: str | None,
    samples: int | None,
    cut: Cut | None = None,
) -> Stimulus:
    """What the options ask for; random inputs of a fixed seed where they name nothing.

    Raises
    ------
    DataError
        If the data is missing, damaged, of the wrong shape or range.
    """
    from neurocuda_hw.data.labelled import is_labelled
    from neurocuda_hw.data.recordings import is_recording
    from neurocuda_hw.data.stimulus import default_inputs
    from neurocuda_hw.reference.reference import check_inputs

    if data is not None and inputs is not None:
        raise click.UsageError("--data and --inputs exclude each other")
    labels: np.ndarray | None = None
    events: list[Events] = []
    if data is not None:
        if is_labelled(data):
            found, labels, origin, events = recordings(network, data, samples, cut or Cut())
        elif is_recording(data):
            found, events = one_recording(network, data, samples, cut or Cut())
            origin = data
        else:
            found, labels, origin = images(network, data, samples)
    elif inputs is not None:
        found, origin = read_array(inputs)[:samples], inputs
        if found.dtype.kind == "f":
            found = quantised(network, found)
    else:
        found = default_inputs(network, samples or 16)
        origin = RANDOM
    inputs_found = check_inputs(network, found).numpy()
    return Stimulus(inputs=inputs_found, labels=labels, origin=origin, recordings=_first_of(events))


def _first_of(recordings: Iterable[Events]) -> list[Events]:
    """As many of them as hold `_MOST` events; of the last one its first."""
    found, left = [], _MOST
    for events in recordings:
        found += [events[:left]] if left > 0 else []
        left -= len(events)
    return found


def recordings(
    network: Network, data: str, samples: int | None, cut: Cut
) -> tuple[np.ndarray, np.ndarray, str, list[Events]]:
    """A labelled set of recordings, of each the first window; its classes, what was taken, and
    their events."""
    import numpy as np

    from neurocuda_hw.data.events import Tally
    from neurocuda_hw.data.labelled import open_labelled

    binning, tally = _binning(network, cut), Tally()
    chosen, origin = open_labelled(data).part("test").taken(samples)
    found = chosen.recordings(tally)
    _check_rows(network, found)
    frames = np.stack([binning.frames([events], tally) for events in found])
    tell(chosen.notes, tally)
    frames = frames.reshape(*frames.shape[:2], *network.input.shape)
    return frames, chosen.labels, origin, found


def one_recording(
    network: Network, data: str, samples: int | None, cut: Cut
) -> tuple[np.ndarray, list[Events]]:
    """The windows of one recording, one after the other; and its first events."""
    from itertools import islice

    import numpy as np

    from neurocuda_hw.data.events import Tally, joined
    from neurocuda_hw.data.recordings import stream_events
    from neurocuda_hw.ground.errors import DataError

    binning, tally = _binning(network, cut), Tally()
    parts: list[Events] = []

    def noted() -> Iterable[Events]:
        for part in stream_events(data, tally):
            if sum(map(len, parts)) < _MOST:
                parts.append(part)
            yield part

    found = list(islice(binning.windows(noted(), tally), samples))
    if not found:
        raise DataError(f"the recording {data!r} must hold an event that the input can see")
    tell((), tally)
    frames = np.stack(found).reshape(len(found), binning.steps, *network.input.shape)
    return frames, [joined(parts)]


def tell(notes: Iterable[str], tally: Tally) -> None:
    """What must be known of recordings that were read, on standard error."""
    for sentence in (*notes, *tally.sentences()):
        say(f"nchw: note: {sentence}", err=True)


def _binning(network: Network, cut: Cut) -> Binning:
    """How recordings are cut for a network's input."""
    from neurocuda_hw.network.neurons import Encoding

    population = network.input
    neuron: Any = population.neuron
    shape = population.shape if len(population.shape) == 3 else (1, 1, *population.shape)
    held = neuron.encoding is Encoding.CURRENT
    if held or len(shape) != 3 or shape[0] > 2 or neuron.payload[1] < 1:
        raise _no_recordings(population)
    return cut.binning(network.window(population.name).steps, shape, neuron.payload[1])


def _check_rows(network: Network, found: Iterable[Events]) -> None:
    """Flat inputs take events of one row, such as SHD's."""
    flat = len(network.input.shape) == 1
    if flat and any(len(events) and int(events.y.max()) > 0 for events in found):
        raise _no_recordings(network.input)


def _no_recordings(population: Population) -> Exception:
    from neurocuda_hw.ground.errors import DataError

    neuron: Any = population.neuron
    return DataError(
        "recordings of events need an input (1 or 2, H, W), or (N,) for one row of them, that gets "
        f"events in every step, not {population.shape} of {neuron.encoding.name}; see --encoding"
    )


def images(network: Network, data: str, samples: int | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Labelled data of `datasets.load`; the integers of a .npz as they are where nothing scales."""
    from neurocuda_hw.data import datasets
    from neurocuda_hw.data.choosing import chosen_text, spread

    whole = network.input.scale is None and data.endswith(".npz")
    found, labels = datasets.load(data, "test", raw=whole)
    taken = spread(labels, samples)
    origin = chosen_text(data, labels, taken, datasets.part_of(data))
    found = found[taken]
    if not whole or found.dtype.kind not in "iu":
        found = quantised(network, found)
    return found, labels[taken], origin


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
