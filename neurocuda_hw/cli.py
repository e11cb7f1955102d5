"""The command ``nchw``: one function per command in `commands`; torch and amaranth load when used.

Exit codes: 0 done and equal, 1 a divergence, 2 bad input or usage, 3 a tool is missing or failed, 4
too little was compared to say equal, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from neurocuda_hw.commands.build import build
from neurocuda_hw.commands.convert import convert
from neurocuda_hw.commands.doctor import doctor
from neurocuda_hw.commands.golden import golden
from neurocuda_hw.commands.inspect import inspect
from neurocuda_hw.commands.report import report
from neurocuda_hw.commands.reproduce import reproduce
from neurocuda_hw.commands.synth import synth
from neurocuda_hw.commands.verify import verify
from neurocuda_hw.ground.errors import NeurocudaError, missing_package
from neurocuda_hw.ground.programs import ended_by_signals

_BAD_INPUT = 2
_INTERRUPTED = 130


class _Group(click.Group):
    """Lists the commands in the order in which they are used, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of registration."""
        return list(self.commands)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="neurocuda_hw", prog_name="nchw")
def cli() -> None:
    """A trained PyTorch model in, verified spiking hardware out.

    \b
    nchw convert model.pt2 --data mnist/ -o network.pt     to an integer spiking network
    nchw inspect network.pt                                what it is made of
    nchw build network.pt --target verilog -o build        to Verilog with its test bench
    nchw verify build                                      every spike, or the first divergence
    nchw synth build --device xc7a35t                      what it takes of a device
    nchw report build                                      all of it on one page

    \b
    Exit codes: 0 done and equal   1 a divergence   2 bad input or usage
                3 a tool is missing or failed       4 too little was compared to say equal
                130 interrupted
    """


for _command in (convert, inspect, build, verify, synth, report, golden, reproduce, doctor):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits; whatever goes wrong is one sentence and an exit code.

    With the process's own arguments nobody comes after it, and Python need not take itself and
    torch to pieces, which would take 0.3 s.
    """
    try:
        with ended_by_signals(), warnings.catch_warnings():
            warnings.showwarning = _warn
            code = cli.main(arguments, prog_name="nchw", standalone_mode=False) or 0
        if sys.stdout:
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = _BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        code = _complain("interrupted", _INTERRUPTED)
    except NeurocudaError as error:
        code = _complain(str(error), error.exit_code)
    except ModuleNotFoundError as error:  # of an extra: what stands in the way is told, not raised
        told = missing_package(error)
        code = _complain(str(told), told.exit_code)
    except BrokenPipeError:  # the reader of our output went away; so do we
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        code = _complain(f"{error.strerror or error}{where}", _BAD_INPUT)
    except MemoryError:
        code = _complain("out of memory; take fewer samples, or a smaller model", _BAD_INPUT)
    if arguments is None:
        atexit._run_exitfuncs()
        os._exit(code)
    sys.exit(code)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one line for people, without the source that it comes from."""
    click.echo(f"nchw: note: {message}", err=True)


def _complain(sentence: str, code: int) -> int:
    click.echo(f"nchw: {sentence}", err=True)
    return code
