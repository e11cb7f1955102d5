"""``nchw run``: a build's network on a device, over a serial line."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neurocuda_hw.commands.console import as_json, print_json, say, there
from neurocuda_hw.commands.stimuli import Cut, stimulus, stimulus_options
from neurocuda_hw.ground.words import some

if TYPE_CHECKING:
    from neurocuda_hw.host.nchw_host import Line
    from neurocuda_hw.targets.built import Built

BAUD = 115_200


@click.command()
@click.argument("build_dir", metavar="BUILD_DIR", callback=there("build folder"))
@click.option("--serial", metavar="PORT", help="A serial port, such as /dev/ttyUSB0.")
@click.option("--tcp", metavar="HOST:PORT", help="A socket that leads to one.")
@click.option(
    "--simulate",
    is_flag=True,
    help="Verilator runs the folder's Verilog behind a bridge and a UART.",
)
@click.option("--baud", type=click.IntRange(min=1), default=BAUD, show_default=True, metavar="N")
@click.option("--golden", is_flag=True, help="The folder's own golden samples; the default.")
@stimulus_options
@click.option(
    "--patience",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Without an answer for so long the device is given up.",
)
@as_json
def run(
    build_dir: str,
    serial: str | None,
    tcp: str | None,
    simulate: bool,
    baud: int,
    golden: bool,
    data: str | None,
    inputs: str | None,
    samples: int | None,
    cut: Cut,
    patience: float,
    as_json: bool,
) -> None:
    """Run a build's network on a device and compare its outputs with the integer network's.

    The device holds the network with its serial bridge. It is asked for the network's hash first.
    What is damaged or lost on the line is asked for again, and told.

    \b
    nchw run build --serial /dev/ttyUSB0                   the folder's golden samples
    nchw run build --serial /dev/ttyUSB0 --data mnist/ --samples 100
    nchw run build --tcp 192.168.1.7:5000 --inputs x.npy
    nchw run build --simulate                              no device at hand

    \b
    Exit codes: 0 equal   1 an output differs, told first   2 bad input, or another network
                3 the device does not answer
    """
    from neurocuda_hw.ground.errors import DataError, ToolError
    from neurocuda_hw.host.nchw_host import Device, HostError, NoAnswer, read_facts, replay
    from neurocuda_hw.network.model_file import load
    from neurocuda_hw.network.trace import answers, load_trace
    from neurocuda_hw.reference.reference import Reference
    from neurocuda_hw.targets.built import the_build

    if (serial is not None) + (tcp is not None) + simulate != 1:
        raise click.UsageError("name the device by one of --serial, --tcp and --simulate")
    given = data is not None or inputs is not None
    if golden and given:
        raise click.UsageError("--golden excludes --data and --inputs")
    built = the_build(Path(build_dir))
    network, labels = load(built.path / "model.pt"), None
    if given:
        chosen = stimulus(network, data, inputs, samples, cut)
        labels, origin = chosen.labels, chosen.origin
        trace = Reference(network).trace(chosen.inputs)
    else:
        origin = "the golden trace"
        trace = load_trace(built.path / "golden" / "trace.npz").select(slice(0, samples))
        trace.check(network)
    try:
        with ExitStack() as open_things:
            facts = read_facts(built.path / "host" / "nchw_host.json")
            line = _line(built, serial, tcp, baud, open_things)
            open_things.callback(line.close)
            device = Device(line, facts, baud=baud, patience=patience)
            equal, wrong = replay(device, trace.inputs, trace.outputs)
    except NoAnswer as error:
        raise ToolError(str(error)) from error
    except HostError as error:
        raise DataError(str(error)) from error
    right = None if labels is None else int((answers(trace.outputs) == labels).sum())
    if as_json:
        told = {"equal": not wrong, "samples": equal, "inputs": origin, "divergence": wrong}
        print_json({**told, "right": right, "retries": device.retries, "resets": device.restarts})
    elif wrong:
        say(wrong)
    else:
        accuracy = f", {right} of them classified right" if right is not None else ""
        say(f"{some(equal, 'sample')} of {origin}: outputs equal{accuracy}.")
        if device.retries or device.restarts:
            say(
                f"Asked again {some(device.retries, 'time')}; the device was reset "
                f"{some(device.restarts, 'time')} meanwhile."
            )
    raise SystemExit(1 if wrong else 0)


def _line(
    built: Built, serial: str | None, tcp: str | None, baud: int, open_things: ExitStack
) -> Line:
    """The way to the device; a simulated one runs until the stack is closed."""
    from neurocuda_hw.host.nchw_host import open_serial, open_tcp

    if serial is not None:
        return open_serial(serial, baud)
    if tcp is None:
        from neurocuda_hw.simulation.serial import serial_device
        from neurocuda_hw.targets.verilog import serial_files

        device = serial_device(*serial_files(built))
        tcp = open_things.enter_context(device).where
    return open_tcp(tcp)
