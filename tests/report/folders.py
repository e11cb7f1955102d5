"""Build folders to report on, and checks of them as `nchw verify` would note them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from small import small_network

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.study import Study
from neurocuda_hw.project.build import folder_files, write_folder
from neurocuda_hw.project.record import write_record
from neurocuda_hw.project.verify import Verification
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.targets.checks import Check

NETWORK = small_network()


def golden(network: Network = NETWORK, samples: int = 3) -> Trace:
    """Spikes of random inputs."""
    return Reference(network).trace(default_inputs(network, samples))


def folder_of(target: str, place: Path, network: Network = NETWORK) -> Path:
    """A build of the small network for `target`, in `place`."""
    lanes = {p.name: 1 for p in network.targets}
    files, _ = folder_files(Study(network, trace=golden(network), lanes=lanes), target)
    write_folder(files, place, network=network)
    return place


def noted(folder: Path, *mutants: Any, **fields: Any) -> None:
    """Notes one check, equal unless said otherwise, with spikes unless said otherwise."""
    told: dict[str, Any] = {
        "same": True,
        "samples": 3,
        "events": 9,
        "outputs": 3,
        "spikes": {"conv": 40},
        **fields,
    }
    found = Verification(
        name="n", network=NETWORK.hash, checks=(Check(**told),), mutants=tuple(mutants)
    )
    write_record(folder, found, golden="the folder's own golden trace")
