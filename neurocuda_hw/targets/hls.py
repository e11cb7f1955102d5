"""C++ for Vitis HLS, compiled here with the vendor's integer types and without its tool."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocuda_hw.targets.base import Bench, Options, Target, unusable
from neurocuda_hw.targets.built import Built

if TYPE_CHECKING:
    from neurocuda_hw.network.trace import Trace
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.targets.checks import Check, Request


_BOUNDED_SAMPLES = 20


class Hls(Target):
    """The generated C++."""

    name = "hls"
    computes = "generated HLS C++, C simulation with g++ (no vendor tool)"
    options = ("lanes", "model", "bursts")
    builds = "C++ for Vitis HLS"
    title = "C++ for Vitis HLS"
    product = "this C++"
    bursts = True
    scheduled = True
    subfolder = "hls/"
    place = "hls"

    def __init__(self) -> None:
        self.benches = (
            Bench(
                name="hls",
                compares="the C++ for Vitis HLS, compiled with the vendor's integer types",
                check=self.check,
            ),
        )

    def missing(self) -> str:
        """A C++ compiler, where there is none."""
        from neurocuda_hw.ground.toolchain import find_compiler

        return unusable(find_compiler())

    def prepare(self, study: Study, **options: Any) -> Any:
        """A `CSimulation` of the C++ that `build` writes for these options."""
        from neurocuda_hw.hls import CSimulation
        from neurocuda_hw.targets.verilog import chosen

        return CSimulation(chosen(study.network, options), model=options.get("model"))

    def observe(self, product: Any, expected: Trace) -> tuple[Trace, str]:
        """Runs the compiled C++."""
        return product.run(expected.inputs), ""

    def files(self, study: Study, options: Options) -> dict[str, bytes]:
        """The project, with the golden data that its test bench reads."""
        from neurocuda_hw.hls import emit, golden_files

        return emit(study) | golden_files(study.network, study.trace)

    def facts(self, study: Study) -> dict[str, Any]:
        """The lanes, and what is asked of the vendor's tool."""
        from neurocuda_hw.hls.plan import plan_network
        from neurocuda_hw.hls.schedule import schedule

        return {"lanes": study.lanes, "hls": schedule(study.once(plan_network))}

    def next_steps(self, folder: Path) -> str:
        """How to simulate it."""
        return f"Next: make -C {folder} csim   (or: make synth, with Vitis, which nobody here ran)"

    def cycles(self, study: Study, built: Built) -> tuple[dict[str, float], float]:
        """Those of its own schedule."""
        from neurocuda_hw.hls.cycles import bound, predicted_cycles
        from neurocuda_hw.hls.plan import plan_network
        from neurocuda_hw.targets.verilog import bursts_of

        study = study.laid_out(built.report.get("lanes"), bursts_of(built))
        parts = predicted_cycles(study)
        return {n: p.total for n, p in parts.items()}, bound(study.once(plan_network), parts)

    def check(self, study: Study, built: Built | None, asked: Request) -> Check:
        """The C++ against the golden trace, and again between FIFOs of the declared depths: that of
        the build folder where it holds some."""
        from neurocuda_hw.hls import Model, emit, verify_hls
        from neurocuda_hw.hls.emit import bench_files
        from neurocuda_hw.hls.plan import bursts_sent
        from neurocuda_hw.targets.checks import compared
        from neurocuda_hw.targets.verilog import bursts_of

        golden, under = study.trace, self.within(built)
        if built is None or under is None:
            files = emit(study)
        else:
            names = [n for n in built.report["files"] if n.startswith(under)]
            read = built.read(n for n in names if not n.startswith("golden/"))
            files = {name.removeprefix(under): content for name, content in read.items()}
            sent = bursts_sent(study.network, bursts_of(built))
            files |= bench_files(bool(sent.counts))  # the package's own, not the folder's
        asked.tell("hls", 0, golden.samples)
        with tempfile.TemporaryDirectory(prefix="nchw_") as name:
            found = verify_hls(study.network, golden, name, files=files)
            if found.equal:
                short = golden.select(slice(0, _BOUNDED_SAMPLES))
                model = Model.BOUNDED
                bounded = verify_hls(
                    study.network, short, name, files=files, model=model, optimise=1
                )
                found = found if bounded.equal else bounded
        asked.tell("hls", golden.samples, golden.samples)
        seen, fault = found.observed, found.fault
        return compared("hls", study.network, golden, seen, fault=fault, seconds=found.seconds)
