"""The yosys of the pyosys wheel as a program: options ``-q``, ``-p COMMANDS`` and ``-s SCRIPT``."""

from __future__ import annotations

import argparse
import os
import sys


def main() -> None:
    """Parses, runs; yosys itself exits with 1 where a command fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-q", action="store_true", help="print errors only")
    parser.add_argument("-p", action="append", default=[], help="commands, parted by semicolons")
    parser.add_argument("-s", action="append", default=[], help="a file of commands")
    arguments = parser.parse_args()

    from pyosys import libyosys

    if arguments.q:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    design = libyosys.Design()
    for script in arguments.s:
        libyosys.run_pass(f"script {script}", design)
    for commands in arguments.p:
        libyosys.run_pass(commands, design)


if __name__ == "__main__":
    main()
