"""``nchw doctor``: which tools are here, which are missing, and how to get them."""

from __future__ import annotations

import click

from neurocuda_hw.commands.console import as_json, print_json, print_table, say
from neurocuda_hw.targets.table import TABLE

NEEDED = ("python", "torch", "numpy", "amaranth", "c++", "make", "verilator")


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check the tools: Python packages, a C++ compiler, make, Verilator, cocotb, yosys, ap_int.

    Then targets and extras: what can be used, and the command that brings the rest.

    \b
    nchw doctor

    \b
    Exit codes: 0 all that is needed is here   3 something needed is missing
    """
    from neurocuda_hw.ground.ap_headers import find_ap_headers
    from neurocuda_hw.ground.extras import find_extras
    from neurocuda_hw.ground.toolchain import doctor as look

    tools = [*look(), find_ap_headers()]
    extras = find_extras()
    lacking = {target.name: target.missing() for target in TABLE}
    missing = [tool for tool in tools if not tool.usable and tool.name in NEEDED]
    if as_json:
        print_json(
            {
                "ready": not missing,
                "tools": [
                    {
                        "name": tool.name,
                        "needed": tool.name in NEEDED,
                        "usable": tool.usable,
                        "version": tool.version,
                        "where": tool.where,
                        "problem": tool.problem,
                    }
                    for tool in tools
                ],
                "targets": [
                    {"name": name, "usable": not lacks, "problem": lacks}
                    for name, lacks in lacking.items()
                ],
                "extras": [
                    {
                        "name": extra.name,
                        "packages": extra.packages,
                        "missing": extra.missing,
                        "install": extra.install,
                    }
                    for extra in extras
                ],
            }
        )
    else:
        rows = [
            (
                tool.name,
                tool.version or "-",
                ("ready" if tool.usable else "MISSING" if tool in missing else "not there"),
                tool.problem or tool.where,
            )
            for tool in tools
        ]
        print_table("", ("tool", "version", "", "where, or how to get it"), rows)
        say(f"Targets: {', '.join(name for name, lacks in lacking.items() if not lacks)}.")
        for name, lacks in lacking.items():
            if lacks:
                say(f"Target {name} needs {lacks}")
        here = [extra.name for extra in extras if not extra.missing]
        say(f"Extras that are here: {', '.join(here) or 'none'}.")
        for extra in extras:
            if extra.missing:
                say(f"Extra {extra.name} lacks {', '.join(extra.missing)}; {extra.install}")
        optional = [t.name for t in tools if not t.usable and t not in missing]
        if missing:
            say(f"Missing: {', '.join(tool.name for tool in missing)}.")
        else:
            rest = f"; without {', '.join(optional)} some checks are left out" if optional else ""
            say(f"Ready to convert, build and verify{rest}.")
    raise SystemExit(3 if missing else 0)
