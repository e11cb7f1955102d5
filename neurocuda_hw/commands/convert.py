"""``nchw convert``: a trained model to an integer spiking network."""

from __future__ import annotations

from typing import Any

import click

from neurocuda_hw.commands.console import (
    as_json,
    plot_kind,
    print_json,
    say,
    there,
    there_is_data,
)
from neurocuda_hw.commands.stimuli import cut_options
from neurocuda_hw.ground.progress import progress_bar

_PLOTTED = 200  # samples


@click.command()
@click.argument("model", metavar="MODEL", callback=there("model"))
@click.option(
    "--data",
    required=True,
    metavar="DATA",
    callback=there_is_data,
    help="Real samples: a folder of idx files (MNIST) or CIFAR-10 batches, or a .npz with x_train, "
    "y_train, x_test, y_test (or x, y). The training part calibrates; the test part is only "
    "reported on. Or a labelled set of recordings of events (a folder, a tar or zip file), counted "
    "per step: its parts train and test, or else every fifth recording tests.",
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
@cut_options
@click.option(
    "--size",
    metavar="W,H",
    help="Recordings: columns and rows of a frame, after --downsample; W alone for one row of "
    "units (SHD).  [default: 34,34]",
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
    callback=there("model"),
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
    from neurocuda_hw.commands.converting import converted
    from neurocuda_hw.ground.files import check_writable
    from neurocuda_hw.network.model_file import save

    check_writable(output)
    kind = None if plot is None else plot_kind(plot)
    with progress_bar(quiet=as_json) as progress:
        found = converted(model, data, progress, **options)
    save(found.snn, output, told=found.told)
    if plot is not None and kind is not None:
        from neurocuda_hw.ground.files import write_file
        from neurocuda_hw.report import activity_figure, figure_bytes

        trace = found.snn.trace(found.shown[:_PLOTTED])
        write_file(plot, figure_bytes(activity_figure(found.snn.network, trace), kind))
    if as_json:
        print_json({"file": output} | found.as_plain())
        return
    found.show()
    say(f"Wrote {output}: {found.sentence}")
    if plot is not None:
        say(f"Drew {plot}: activity of each layer in each step.")
    say(f"Next: nchw inspect {output}   nchw build {output} --target verilog -o build")
