"""Verilog that every reader takes: plain names instead of escaped ones, and what each module is.

Yosys writes what nobody named as ``\\$procmux$781_Y ``, calls functions by such names, which Icarus
refuses, and escapes what is a keyword. Here they become plain identifiers, the same in all modules
of a file; what the source names keeps its name.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

_ESCAPED = re.compile(r"\\(\S+)\s")
_PLAIN = re.compile(r"[A-Za-z_]\w*")
_MODULE = re.compile(r"^module (\w+)\(.*$", re.MULTILINE)
_FUNCTION = re.compile(r"^( *function) (?=\[)", re.MULTILINE)
# what Yosys makes of a choice: its value, a comparison with one of its cases, a function
_MADE = (
    (re.compile(r"\$procmux\$(\d+)_Y"), r"choice_\1"),
    (re.compile(r"\$procmux\$(\d+)_CMP(\d*)"), r"case_\1_\2"),
    (re.compile(r"\$procmux\$(\d+)"), r"choose_\1"),
    (re.compile(r"\$(\d+)"), r"n\1"),
)


def readable(verilog: str, told: Mapping[str, str]) -> str:
    """`verilog`, as Yosys writes it, with plain names; `told` says what modules are, by name."""
    escaped = dict.fromkeys(_ESCAPED.findall(verilog))
    taken = set(_PLAIN.findall(_ESCAPED.sub(" ", verilog)))
    names = {}
    for name in escaped:
        plain = _plain(name)
        while plain in taken:
            plain += "_"
        taken.add(plain)
        names[name] = plain
    text = _ESCAPED.sub(lambda found: names[found[1]], verilog)
    comments = {names.get(module, module): comment for module, comment in told.items()}

    def head(found: re.Match[str]) -> str:
        lines = textwrap.wrap(comments.get(found[1], ""), 97)
        lines = [f"// {line}" for line in lines]
        return "\n".join([*lines, *textwrap.wrap(found[0], 100, subsequent_indent="    ")])

    return _MODULE.sub(head, _FUNCTION.sub(r"\1 automatic ", text))


def _plain(name: str) -> str:
    """A plain identifier for an escaped one."""
    if _PLAIN.fullmatch(name):
        return f"{name}_"  # a keyword
    for made, plain in _MADE:
        if made.fullmatch(name):
            return made.sub(plain, name).rstrip("_")
    return re.sub(r"\W+", "_", name).strip("_") or "n"
