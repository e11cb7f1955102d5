"""Converts a trained model and says how well: of ``nchw convert``, and of ``nchw build``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import click
import numpy as np

from neurocuda_hw.commands.console import print_table, say
from neurocuda_hw.commands.stimuli import Cut, tell
from neurocuda_hw.data.nmnist import SHAPE as NMNIST_SHAPE
from neurocuda_hw.ground.progress import Progress
from neurocuda_hw.ground.words import some

if TYPE_CHECKING:
    from neurocuda_hw.conversion import Stats
    from neurocuda_hw.reference.snn import SpikingNetwork

Pair: TypeAlias = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Converted:
    """A converted network, and what it was tested on.

    Parameters
    ----------
    snn : SpikingNetwork
    stats : Stats
    shown : (S, ...) array
        Inputs to show it with: the test data's, or else those it was trained on.
    tested : int
        Samples of the test data; 0 without any.
    seen : bool
        Whether the test data is the training data.
    data : str
        Name of the data.
    """

    snn: SpikingNetwork
    stats: Stats
    shown: np.ndarray
    tested: int
    seen: bool
    data: str

    @property
    def sentence(self) -> str:
        """Its size, and how it was made."""
        network = self.snn.network
        return (
            f"{some(network.input.size, 'input')}, {some(network.neurons, 'neuron')}, "
            f"{some(network.weights, 'weight')}, T = {network.timesteps}, {self.stats.course}."
        )

    @property
    def told(self) -> dict[str, Any]:
        """What a report of the network says of the conversion."""
        return self.stats.told(self.data + " (trained on)" * self.seen, self.tested)

    def as_plain(self) -> dict[str, Any]:
        """All of it as plain values."""
        network = self.snn.network
        return {
            "hash": network.hash,
            "timesteps": network.timesteps,
            "inputs": network.input.size,
            "neurons": network.neurons,
            "weights": network.weights,
            **self.stats.as_dict(),
            "tested_on_training_data": self.seen,
        }

    def show(self) -> None:
        """Accuracy, activity, and what there is to note."""
        stats, network = self.stats, self.snn.network
        whose = "training samples themselves" if self.seen else "test samples"
        data = f"{'the ' if self.seen else ''}{self.tested:,} {whose}"
        if stats.integer_r2 is not None:
            fits = [
                ("trained model", f"{stats.ann_mse:.4g}", f"{stats.ann_r2:.4f}"),
                ("integer spiking network", f"{stats.integer_mse:.4g}", f"{stats.integer_r2:.4f}"),
            ]
            print_table(f"Values on {data}", ("", ">squared error", ">R²"), fits)
        if stats.integer_accuracy is not None:
            accuracies = {
                "trained model": stats.ann_accuracy,
                "quantised ANN": stats.qcfs_accuracy,
                "integer spiking network": stats.integer_accuracy,
            }
            rows = [(who, f"{per:.2f} %") for who, per in accuracies.items() if per is not None]
            print_table(f"Accuracy on {data}", ("", ">accuracy"), rows)
        if stats.sparsity is not None:
            say(_compared(stats, self.tested))
            say(
                f"{stats.sparsity:.1f} % of the neurons' steps in which they may fire are "
                "without a spike."
            )
            activity = [
                (name, network[name].size, count, count / network[name].size)
                for name, count in stats.spikes.items()
            ]
            columns = ("population", ">neurons", ">events per inference", ">per neuron")
            print_table("Activity", columns, activity)
        for note in stats.notes:
            say(f"Note: {note}.")
        for layer, count in stats.silent_channels.items():
            say(f"Note: {some(count, 'channel')} of {layer} never fired on the calibration data.")


def converted(
    model: str,
    data: str,
    progress: Progress,
    *,
    arch: str | None,
    unpickle: bool,
    cut: Cut,
    size: str | None,
    teacher: str | None,
    teacher_arch: str | None,
    validation: float,
    mean: str | None = None,
    std: str | None = None,
    scale: float = 1.0,
    **options: Any,
) -> Converted:
    """Converts a trained model from a file with the data that is named; see ``nchw convert``."""
    from neurocuda_hw import conversion as converter
    from neurocuda_hw.conversion.trained import load_trained

    trained = load_trained(model, arch=arch, unpickle=unpickle)
    if teacher is None and teacher_arch is not None:
        raise click.UsageError("--teacher-arch must come with --teacher FILE, the weights")
    better = None
    if teacher is not None:
        better = load_trained(
            teacher, arch=teacher_arch, unpickle=unpickle, option="--teacher-arch"
        )
    if mean is not None or std is not None or scale != 1:
        from neurocuda_hw.conversion.prepare import Prepared

        if options["frames"] is not None:
            raise click.UsageError("--mean, --std and --scale are for inputs without --frames")
        given: dict[str, Any] = {
            "mean": _numbers("--mean", mean or "0"),
            "std": _numbers("--std", std or "1"),
            "scale": scale,
        }
        trained = Prepared(trained, **given)
        better = None if better is None else Prepared(better, **given)
    train, test = _samples(data, cut, size, options)
    trains = options["qcfs_epochs"] or options["if_epochs"]
    kept, held_out = _split(train, validation if trains else 0.0)
    snn, stats = converter.convert(
        trained,
        kept,
        test_loader=test,
        val_loader=held_out,
        teacher=better,
        verbose=False,
        progress=progress,
        **options,
    )
    return Converted(
        snn=snn,
        stats=stats,
        shown=(train if test is None else test)[0],
        tested=0 if test is None else len(test[0]),
        seen=test is not None
        and test[0].shape == train[0].shape
        and bool((test[0] == train[0]).all()),
        data=data,
    )


def _numbers(option: str, text: str) -> list[float]:
    """Numbers between commas."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{option} must be numbers between commas, not {text!r}") from None


def _compared(stats: Stats, tested: int) -> str:
    """Integers against the quantised ANN: equal under the exact code."""
    if stats.unequal is None:
        return "A model of spiking neurons: there is no quantised ANN to compare counts with."
    if not stats.unequal:
        return "Every spike count and logit is the quantised ANN's."
    if stats.strategy == "exact":
        return f"{some(stats.unequal, 'sample')} NOT as the quantised ANN has it: report this."
    return (
        f"The rate code approximates the quantised ANN: in {stats.unequal:,} of the {tested:,} "
        "samples some spike count or logit is another one, as is to be expected of it."
    )


def _samples(
    data: str, cut: Cut, size: str | None, options: dict[str, Any]
) -> tuple[Pair, Pair | None]:
    """Training and test data; `timesteps` of `options` is what recordings are cut into, if any."""
    from neurocuda_hw.data import datasets
    from neurocuda_hw.data.labelled import is_labelled
    from neurocuda_hw.ground.errors import DataError

    if is_labelled(data):
        steps, options["timesteps"] = options["timesteps"] or 8, None
        return _recordings(data, steps, cut, _frame(size), options["input_bits"])
    train = datasets.load(data, "train")
    try:
        return train, datasets.load(data, "test")
    except DataError:  # a folder may hold the training part only
        return train, None


def _split(train: tuple[Any, Any], share: float) -> tuple[Any, Any]:
    """Training data without its last `share`, and that share; None where it would be empty."""
    count = int(len(train[0]) * share)
    if not count:
        return train, None
    return tuple(part[:-count] for part in train), tuple(part[-count:] for part in train)


def _frame(size: str | None) -> tuple[int, ...]:
    """The shape of a frame that ``--size`` asks for."""
    if size is None:
        return NMNIST_SHAPE
    parts = size.split(",")
    if len(parts) > 2 or not all(part.strip().isdecimal() and int(part) for part in parts):
        raise click.BadParameter(f"--size must be W,H or W, not {size!r}")
    return (2, *(int(part) for part in reversed(parts))) if len(parts) == 2 else (int(size),)


def _recordings(
    data: str, steps: int, cut: Cut, shape: tuple[int, ...], bits: int
) -> tuple[Pair, Pair]:
    """Training and test recordings as counts of events ``(N, steps, *shape)``, with labels.

    Training recordings are shuffled: their files are sorted by class.
    """
    from neurocuda_hw.data.events import Tally
    from neurocuda_hw.data.labelled import open_labelled

    whole, tally = open_labelled(data), Tally()
    named = {"train", "test"} <= set(whole.parts)
    parts = [whole.part(name) for name in ("train", "test")] if named else [whole]
    width = shape[-1]
    frame = (shape[0], shape[1], width) if len(shape) == 3 else (1, 1, width)
    binning = cut.binning(steps, frame, 2**bits - 1)
    found = []
    for part in parts:
        frames = [binning.frames([events], tally) for events in part.recordings(tally)]
        found.append((np.stack(frames).reshape(len(frames), steps, *shape), part.labels))
    counts = " and ".join(f"{len(part.entries):,} {part.parts[0]}" for part in parts)
    what = f"{counts} recordings" if named else "every fifth recording tests, the others train"
    tell([*whole.notes, f"{data}: {what}"], tally)
    (x, y), test = found[0], found[-1]
    kept = np.arange(len(y))
    if not named:
        test = (x[4::5], y[4::5])
        kept = np.delete(kept, np.s_[4::5])
    kept = np.random.default_rng(0).permutation(kept)
    return (x[kept], y[kept]), test
