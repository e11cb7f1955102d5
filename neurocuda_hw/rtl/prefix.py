"""Names that begin with something else than ``nchw``, so that two networks fit one project.

Modules, files and memory files are renamed, and whatever names them: a simulator and Vivado know a
memory file by its bare name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from neurocuda_hw.ground.errors import ModelError

PLAIN = "nchw"
_BINARY = (".bin", ".npz")


def check_prefix(prefix: str) -> str:
    """`prefix` itself; raises ModelError unless it can begin a name in Verilog and in C."""
    if not re.fullmatch(r"[a-z][a-z0-9]*", prefix):
        raise ModelError(f"prefix must be small letters and digits, a letter first, not {prefix!r}")
    return prefix


def prefixed(files: Mapping[str, bytes], prefix: str, before: str = PLAIN) -> dict[str, bytes]:
    """`files` with names of `prefix` where those of `before` are."""
    if prefix == before:
        return dict(files)
    lead = {name: "" if name == PLAIN else f"{name}." for name in (prefix, before)}
    memories = {
        name: f"{lead[prefix]}{name.removeprefix(lead[before])}"
        for name in (PurePosixPath(path).name for path in files)
        if name.endswith(".mem")
    }
    quoted = re.compile(
        "|".join(rf"\b{re.escape(name)}\b" for name in sorted(memories, key=len)[::-1])
    )
    word = re.compile(rf"\b{before}_(?=[a-z])")

    def renamed(text: str) -> str:
        text = word.sub(f"{prefix}_", text)
        return quoted.sub(lambda found: memories[found[0]], text) if memories else text

    return {
        renamed(path): content
        if path.endswith((*_BINARY, ".mem"))
        else renamed(content.decode()).encode()
        for path, content in files.items()
    }
