"""A model of Loihi 2: the network's place on the chip, its spikes, time and energy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocuda_hw.targets.base import Bench, Options, Target
from neurocuda_hw.targets.built import Built

if TYPE_CHECKING:
    from neurocuda_hw.network.trace import Trace
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.targets.checks import Check, Request


def check_loihi(study: Study, built: Built | None, asked: Request) -> Check:
    """The chip's model against the golden trace, each layer shifted by its depth in steps."""
    from neurocuda_hw.loihi import spikes
    from neurocuda_hw.targets.checks import compared

    golden = study.trace
    graded = built is not None and bool(built.report.get("graded_counts"))
    stage = asked.stage("loihi")
    found = spikes(study.network, golden.inputs, progress=stage, graded_counts=graded)
    return compared("loihi", study.network, golden, found)


class Loihi(Target):
    """The model of Loihi."""

    name = "loihi"
    computes = "model of Loihi 2 in its published fixed-point arithmetic (no chip)"
    options = ("chip", "profile", "chips", "graded_counts")
    builds = "the network's place, time and energy on a Loihi 2 model"
    title = "Loihi model"
    product = "this mapping"
    place = "loihi"
    graded = True
    benches = (
        Bench(
            name="loihi",
            compares="the fixed-point model of Loihi 2, each layer shifted by its depth",
            check=check_loihi,
        ),
    )

    def prepare(self, study: Study, **options: Any) -> Any:
        """A `LoihiProgram`."""
        from neurocuda_hw.loihi import compile as map_network

        return map_network(study.network, **options)

    def observe(self, product: Any, expected: Trace) -> tuple[Trace, str]:
        """Runs the chip's model."""
        return product.run(expected.inputs, cost=False).trace, ""

    def files(self, study: Study, options: Options) -> dict[str, bytes]:
        """Mapping, limits, and the cost of the golden inputs."""
        program = self.prepare(study, chips=options.chips, graded_counts=options.graded_counts)
        found: dict[str, bytes] = program.files(study.trace.inputs, options.inputs)
        return found

    def next_steps(self, folder: Path) -> str:
        """The report on the chip."""
        return (folder / "loihi" / "report.txt").read_text()
