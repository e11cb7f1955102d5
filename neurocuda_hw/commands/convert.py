"""``nchw convert``: a trained model to an integer spiking network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import click

from neurocuda_hw.commands.console import as_json, print_json, print_table, say
from neurocuda_hw.ground.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np

    from neurocuda_hw.conversion import Stats
    from neurocuda_hw.network import Network

    Pair: TypeAlias = tuple[np.ndarray, np.ndarray]

_PLOTTED = 200  # samples


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--data",
    required=True,
    metavar="DATA",
    help="Real samples: a folder of idx files (MNIST) or CIFAR-10 batches, or a .npz with x_train, "
    "y_train, x_test, y_test (or x, y). The training part calibrates; the test part is only "
    "reported on. Or recordings of N-MNIST (a folder or a tar file), counted per step: folders "
    "Train and Test, or else every fifth recording tests.",
)
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to write the network.")
@click.option(
    "--arch",
    metavar="MODULE:CLASS",
    help="Class of the model, where MODEL holds only "
    "its weights; imported from the working folder and made without arguments.",
)
@click.option(
    "--unpickle",
    is_flag=True,
    help="Read a pickled module. This runs whatever code the "
    "file's maker put in: only for files you trust.",
)
@click.option(
    "--strategy",
    type=click.Choice(["auto", "exact", "qcfs_direct", "qcfs_if_ft"]),
    default="auto",
    show_default=True,
    help="exact: layer after layer, every count as in the quantised ANN. qcfs_direct: all layers "
    "fire from step 0 (rate code). qcfs_if_ft: the same, then trained through time. auto: as "
    "--code says, trained only where it falls short.",
)
@click.option(
    "--code",
    type=click.Choice(["exact", "rate"]),
    help="Which code 'auto' takes.  [default: exact]",
)
@click.option(
    "--levels",
    type=click.IntRange(1, 255),
    default=8,
    show_default=True,
    help="Most spikes of a neuron per inference (exact code).",
)
@click.option(
    "--timesteps",
    type=click.IntRange(1, 65535),
    help="Steps of an inference (rate code); of recordings, steps that they are cut into.  "
    "[default: 8]",
)
@click.option(
    "--step-us",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Microseconds of a recording that make one step.",
)
@click.option(
    "--frames",
    type=click.Choice(["sum", "mean", "each"]),
    help="What a model of single frames sees of samples (steps, ...): their sum, their mean, or "
    "each of them, its answers averaged (rate code).",
)
@click.option("--weight-bits", type=click.IntRange(2, 8), default=8, show_default=True)
@click.option(
    "--input-bits",
    type=click.IntRange(1, 16),
    default=8,
    show_default=True,
    help="Of one input value.",
)
@click.option(
    "--qcfs-epochs",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Epochs of training the quantised ANN on the training data.",
)
@click.option(
    "--if-epochs",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Epochs of training the spiking neurons through time (rate code).",
)
@click.option(
    "--teacher",
    metavar="FILE",
    help="A better model of the same inputs and classes, in any of the forms of MODEL, which need "
    "not be convertible: its answers are learnt in the training.  [default: MODEL's own]",
)
@click.option(
    "--teacher-arch",
    metavar="MODULE:CLASS",
    help="Its class, where FILE holds only its weights.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="At which those answers are learnt; 4 for a teacher that is sure of all its training "
    "data.",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 0.5),
    default=0.1,
    show_default=True,
    help="Share of the training data that is not trained on, and chooses the epoch.",
)
@click.option(
    "--task",
    type=click.Choice(["classify", "binary", "regress"]),
    help="What the outputs are: classes, a yes or no by the sign of each, or values.  [default: as "
    "the labels and the outputs say]",
)
@click.option(
    "--mean",
    metavar="M,...",
    help="What the training subtracted from its inputs: one number, or one per channel. The first "
    "layer absorbs it, so that data stays as it is.",
)
@click.option("--std", metavar="S,...", help="What it divided them by, after --mean.")
@click.option(
    "--scale",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="What it multiplied them by before: 255 where it saw 0 to 255 and DATA is 0 to 1.",
)
@click.option(
    "--device",
    metavar="DEVICE",
    help="Where to train: cpu, cuda, cuda:1, ...  [default: a GPU, if there is one]",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--plot",
    metavar="FILE",
    help="Draw which share of each layer fires in each step, over up to 200 samples: .svg, .png or "
    ".pdf.",
)
@click.option(
    "--name",
    default="network",
    show_default=True,
    help="Name of the network: lower case letters, digits, underscores.",
)
@as_json
def convert(
    model: str,
    data: str,
    output: str,
    arch: str | None,
    unpickle: bool,
    step_us: int,
    teacher: str | None,
    teacher_arch: str | None,
    validation: float,
    mean: str | None,
    std: str | None,
    scale: float,
    plot: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Convert a trained model of ReLUs to an integer spiking network.

    MODEL is a torch.export program (.pt2), or a state_dict (.pt) together with --arch. Batch
    normalisation is folded, weights become integers, and the result runs on spikes alone.

    \b
    nchw convert model.pt2 --data mnist/ -o network.pt
    nchw convert weights.pt --arch models:Net --data digits.npz --levels 4 -o network.pt
    nchw convert model.pt2 --data mnist/ --code rate --timesteps 16 --if-epochs 2 -o network.pt
    nchw convert model.pt2 --data mnist/ --teacher better.pt2 --qcfs-epochs 20 -o network.pt
    nchw convert cnn.pt --arch models:Net --data nmnist/ --timesteps 8 --step-us 40000 -o network.pt
    """
    from neurocuda_hw import conversion as converter
    from neurocuda_hw.conversion.trained import load_trained
    from neurocuda_hw.ground.files import check_writable
    from neurocuda_hw.network.model_file import save

    check_writable(output)
    kind = None if plot is None else _kind(plot)
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
    train, test = _samples(data, step_us, options)
    trains = options["qcfs_epochs"] or options["if_epochs"]
    kept, held_out = _split(train, validation if trains else 0.0)
    with progress_bar(quiet=as_json) as progress:
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
    save(snn, output)
    if plot is not None and kind is not None:
        from neurocuda_hw.ground.files import write_file
        from neurocuda_hw.report import activity_figure, figure_bytes

        trace = snn.trace((train if test is None else test)[0][:_PLOTTED])
        write_file(plot, figure_bytes(activity_figure(snn.network, trace), kind))
    seen = (
        test is not None and test[0].shape == train[0].shape and bool((test[0] == train[0]).all())
    )
    if as_json:
        print_json(_figures(snn.network, stats, output) | {"tested_on_training_data": seen})
        return
    _show(snn.network, stats, output, 0 if test is None else len(test[0]), seen, plot)


def _samples(data: str, step_us: int, options: dict[str, Any]) -> tuple[Pair, Pair | None]:
    """Training and test data; `timesteps` of `options` is what recordings are cut into, if any."""
    from neurocuda_hw.data import datasets
    from neurocuda_hw.data.events import is_nmnist
    from neurocuda_hw.ground.errors import DataError

    if is_nmnist(data):
        steps, options["timesteps"] = options["timesteps"] or 8, None
        return _recordings(data, steps, step_us, options["input_bits"])
    train = datasets.load(data, "train")
    try:
        return train, datasets.load(data, "test")
    except DataError:  # a folder may hold the training part only
        return train, None


def _numbers(option: str, text: str) -> list[float]:
    """Numbers between commas."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{option} must be numbers between commas, not {text!r}") from None


def _kind(plot: str) -> str:
    """The format that the name of a figure's file asks for."""
    from neurocuda_hw.ground.files import check_writable

    kind = plot.rpartition(".")[2].lower()
    if kind not in ("svg", "png", "pdf"):
        raise click.BadParameter(f"the name must end in .svg, .png or .pdf, not {plot!r}")
    check_writable(plot)
    return kind


def _split(train: tuple[Any, Any], share: float) -> tuple[Any, Any]:
    """Training data without its last `share`, and that share; None where it would be empty."""
    count = int(len(train[0]) * share)
    if not count:
        return train, None
    return tuple(part[:-count] for part in train), tuple(part[-count:] for part in train)


def _recordings(data: str, steps: int, step_us: int, bits: int) -> tuple[Pair, Pair]:
    """Training and test recordings as counts of events ``(N, steps, 2, H, W)``, with labels.

    Training recordings are shuffled: their files are sorted by class.
    """
    from pathlib import Path

    import numpy as np

    from neurocuda_hw.data.events import load_frames

    highest = min(255, 2**bits - 1)
    parts = [Path(data) / name for name in ("Train", "Test")]
    if not all(part.is_dir() for part in parts):
        parts = [Path(data)]
    found = [load_frames(part, steps=steps, step_us=step_us, highest=highest) for part in parts]
    (x, y), test = found[0], found[-1]
    kept = np.arange(len(y))
    if len(found) == 1:
        test = (x[4::5], y[4::5])
        kept = np.delete(kept, np.s_[4::5])
    kept = np.random.default_rng(0).permutation(kept)
    return (x[kept], y[kept]), test


def _figures(network: Network, stats: Stats, output: str) -> dict[str, Any]:
    return {
        "file": output,
        "hash": network.hash,
        "timesteps": network.timesteps,
        "neurons": sum(p.size for p in network.targets),
        "weights": sum(p.synapse.weight.size for p in network.projections),
        **stats.as_dict(),
    }


def _show(
    network: Network, stats: Stats, output: str, tested: int, seen: bool, plot: str | None
) -> None:
    figures = _figures(network, stats, output)
    data = f"the {tested:,} training samples themselves" if seen else f"{tested:,} test samples"
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
        rows = [(who, f"{value:.2f} %") for who, value in accuracies.items() if value is not None]
        print_table(f"Accuracy on {data}", ("", ">accuracy"), rows)
    if stats.sparsity is not None:
        same = f"{stats.unequal:,} of them with any spike count or logit that is not the quantised "
        same = "" if stats.unequal is None else f"{same}ANN's; "
        say(f"{same}{100 * stats.sparsity:.1f} % of neurons and steps without a spike.")
        activity = [
            (name, network[name].size, count, count / network[name].size)
            for name, count in stats.spikes.items()
        ]
        columns = ("population", ">neurons", ">events per inference", ">per neuron")
        print_table("Activity", columns, activity)
    for note in stats.notes:
        say(f"Note: {note}.")
    for layer, count in stats.silent_channels.items():
        say(f"Note: {count} channels of {layer} never fired on the calibration data.")
    say(
        f"Wrote {output}: {figures['neurons']:,} neurons, {figures['weights']:,} weights, "
        f"T = {figures['timesteps']}, {stats.strategy}."
    )
    if plot is not None:
        say(f"Drew {plot}: activity of each layer in each step.")
    say(f"Next: nchw inspect {output}   nchw build {output} --target verilog -o build")
