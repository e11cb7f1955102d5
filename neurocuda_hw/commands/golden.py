"""``nchw golden``: records what a network must do."""

from __future__ import annotations

import click

from neurocuda_hw.commands.console import as_json, print_json, say, there
from neurocuda_hw.commands.covering import cover_option, show_coverage
from neurocuda_hw.commands.networks import Reading, load_network, network_options
from neurocuda_hw.commands.stimuli import Cut, covered, stimulus, stimulus_options
from neurocuda_hw.ground.progress import progress_bar
from neurocuda_hw.ground.words import some


@click.command()
@click.argument("model", metavar="MODEL", callback=there("model"))
@stimulus_options
@network_options
@click.option("-o", "--output", required=True, metavar="TRACE", help="Where to write the trace.")
@click.option("--membranes", is_flag=True, help="Record every membrane too: large.")
@cover_option
@as_json
def golden(
    model: str,
    data: str | None,
    inputs: str | None,
    samples: int | None,
    cut: Cut,
    reading: Reading,
    output: str,
    membranes: bool,
    cover: bool,
    as_json: bool,
) -> None:
    """Record the golden trace of a network: every spike of every layer.

    The integer reference runs MODEL on the inputs; without any, on random ones of a fixed seed.
    MODEL is what 'nchw convert' wrote, a build folder, or a .nir file.

    \b
    nchw golden network.pt --inputs images.npy -o trace.npz
    nchw golden network.pt --data mnist/ --samples 100 -o trace.npz
    nchw golden network.pt --cover -o trace.npz
    """
    from neurocuda_hw.ground.files import check_writable, write_file
    from neurocuda_hw.network.trace import answers
    from neurocuda_hw.reference.reference import Reference

    check_writable(output)
    loaded = load_network(model, reading)
    given = stimulus(loaded.network, data, inputs, samples, cut)
    network = loaded.adjusted(given.inputs).network
    coverage = None
    with progress_bar(quiet=as_json) as progress:
        if cover:
            named = data is not None or inputs is not None
            most = None if named else samples
            given, coverage = covered(network, given if named else None, most, progress)
        trace = Reference(network).trace(
            given.inputs,
            membranes=membranes,
            progress=lambda done, total: progress("reference", done, total),
        )
    content = trace.to_bytes()
    write_file(output, content)
    spikes = {name: int(trace.counts(name).sum()) for name in trace.sizes}
    right = None
    if given.labels is not None:
        labelled = trace.outputs[: len(given.labels)]
        right = int((answers(labelled) == given.labels).sum())
    if as_json:
        print_json(
            {
                "file": output,
                "network": network.hash,
                "inputs": given.origin,
                "samples": trace.samples,
                "timesteps": trace.timesteps,
                "spikes": spikes,
                "right": right,
            }
            | ({"coverage": coverage.to_json()} if coverage else {})
        )
        return
    say(
        f"Wrote {output}: {some(trace.samples, 'sample')} of {given.origin}, "
        f"{some(trace.timesteps, 'step')}, {some(sum(spikes.values()), 'spike')}, "
        f"{len(content):,} bytes."
    )
    if given.labels is not None:
        say(f"{right} of {some(len(given.labels), 'sample')} classified as labelled.")
    if coverage is not None:
        show_coverage(coverage)
