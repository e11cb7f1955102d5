"""Designs whose taps say other than what was sent."""

from __future__ import annotations

from neurocuda_hw.rtl.emit import Design

TOP = "rtl/nchw_top.v"


def tapped(design: Design, wire: str, change: str) -> dict[str, bytes]:
    """The files of `design`, where the tap's `wire` (``a_data``) is its value with a `change`."""
    lines = design.files[TOP].decode().splitlines()
    (at,) = [i for i, line in enumerate(lines) if line.startswith(f"  assign tap_{wire} = ")]
    head, value = lines[at].rstrip(";").split(" = ")
    lines[at] = f"{head} = ({value}) {change};"
    return {**design.files, TOP: "\n".join([*lines, ""]).encode()}
