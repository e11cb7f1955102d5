"""``nchw convert``: a trained model to an integer spiking network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from neurocuda_hw.commands.console import as_json, print_json, print_table, say
from neurocuda_hw.progress import progress_bar

if TYPE_CHECKING:
    from neurocuda_hw.conversion import Conversion


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--data",
    required=True,
    metavar="DATA",
    help="Real samples: a folder of idx files (MNIST) or CIFAR-10 batches, or a .npz with x_train, "
    "y_train, x_test, y_test (or x, y). The training part calibrates; the test part is only "
    "reported on.",
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
    "--code",
    type=click.Choice(["exact", "rate"]),
    default="exact",
    show_default=True,
    help="exact: layer after layer, every count as in the quantised ANN. rate: all "
    "layers fire from step 0.",
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
    default=8,
    show_default=True,
    help="Steps of an inference (rate code).",
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
    "--epochs",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Epochs of quantisation-aware fine-tuning on the training data.",
)
@click.option("--seed", type=int, default=0, show_default=True)
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
    code: str,
    levels: int,
    timesteps: int,
    weight_bits: int,
    input_bits: int,
    epochs: int,
    seed: int,
    name: str,
    as_json: bool,
) -> None:
    """Convert a trained ReLU classifier to an integer spiking network.

    MODEL is a torch.export program (.pt2), or a state_dict (.pt) together with --arch. Batch
    normalisation is folded, weights become integers, and the result runs on spikes alone.

    \b
    nchw convert model.pt2 --data mnist/ -o network.pt
    nchw convert weights.pt --arch models:Net --data digits.npz --levels 4 -o network.pt
    nchw convert model.pt2 --data mnist/ --code rate --timesteps 16 --epochs 2 -o network.pt
    """
    from neurocuda_hw import conversion as converter
    from neurocuda_hw import datasets
    from neurocuda_hw.errors import DataError
    from neurocuda_hw.files import check_writable
    from neurocuda_hw.model_file import save
    from neurocuda_hw.trained import load_trained

    check_writable(output)
    trained = load_trained(model, arch=arch, unpickle=unpickle)
    train = datasets.load(data, "train")
    try:
        test = datasets.load(data, "test")
    except DataError:  # a folder may hold the training part only
        test = None
    with progress_bar(quiet=as_json) as progress:
        conversion = converter.convert(
            trained,
            train,
            test=test,
            code=code,
            levels=levels,
            timesteps=timesteps,
            weight_bits=weight_bits,
            input_bits=input_bits,
            epochs=epochs,
            seed=seed,
            name=name,
            progress=progress,
        )
    save(conversion.network, output)
    seen = (
        test is not None and test[0].shape == train[0].shape and bool((test[0] == train[0]).all())
    )
    if as_json:
        print_json(_figures(conversion, output) | {"tested_on_training_data": seen})
        return
    _show(conversion, output, 0 if test is None else len(test[0]), seen)


def _figures(conversion: Conversion, output: str) -> dict[str, Any]:
    network = conversion.network
    return {
        "file": output,
        "hash": network.hash,
        "timesteps": network.timesteps,
        "neurons": sum(p.size for p in network.targets),
        "weights": sum(p.synapse.weight.size for p in network.projections),
        **conversion.stats.as_dict(),
    }


def _show(conversion: Conversion, output: str, tested: int, seen: bool) -> None:
    stats, figures = conversion.stats, _figures(conversion, output)
    if stats.integer_accuracy is not None:
        data = f"the {tested:,} training samples themselves" if seen else f"{tested:,} test samples"
        rows = [
            ("trained model", f"{stats.ann_accuracy:.2f} %"),
            ("quantised ANN", f"{stats.qcfs_accuracy:.2f} %"),
            ("integer spiking network", f"{stats.integer_accuracy:.2f} %"),
        ]
        print_table(f"Accuracy on {data}", ("", ">accuracy"), rows)
        per_sample = ", ".join(f"{name} {count:,.0f}" for name, count in stats.spikes.items())
        say(f"Events per inference: {per_sample}.")
    for note in stats.notes:
        say(f"Note: {note}.")
    for layer, count in stats.silent_channels.items():
        say(f"Note: {count} channels of {layer} never fired on the calibration data.")
    say(
        f"Wrote {output}: {figures['neurons']:,} neurons, {figures['weights']:,} weights, "
        f"T = {figures['timesteps']}, {stats.strategy}."
    )
    say(f"Next: nchw inspect {output}   nchw build {output} --target verilog -o build")
