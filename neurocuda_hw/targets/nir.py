"""A NIR graph, for other frameworks to read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neurocuda_hw.targets.base import Options, Target

if TYPE_CHECKING:
    from neurocuda_hw.passes.study import Study

GRAPH = "network.nir"


class Nir(Target):
    """The network as a graph; nothing here runs it."""

    name = "nir"
    builds = "a NIR graph for other frameworks"
    title = "NIR graph"
    place = GRAPH
    exports = True

    def files(self, study: Study, options: Options) -> dict[str, bytes]:
        """The graph."""
        from neurocuda_hw.nir import nir_bytes, to_nir

        return {GRAPH: nir_bytes(to_nir(study.network, **options.writing))}

    def joins(self, options: Options) -> bool:
        """Only where an export was asked for: most networks need one to be told how."""
        return options.writing.get("export") is not None

    def next_steps(self, folder: Path) -> str:
        """How to read it."""
        return f"Next: nir.read({str(folder / GRAPH)!r}) in any tool that reads NIR"
