"""What one checkout makes of a network, in a process of its own: run by `benchmarks.clock`.

    PYTHONPATH=CHECKOUT python benchmarks/clock_side.py JOB OUTPUT

The job is JSON: ``network``, ``inputs`` (.npy, quantised), ``lanes`` by population or null (those
of ``nchw build``), ``bursts`` (auto, on, off), ``simulate``, ``files`` (a folder to write the
Verilog and memory files to, or null).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from neurocuda_hw.network.model_file import load
from neurocuda_hw.passes.choice import choose
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.study import Study, balanced
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.simulation.simulate import Simulator


def side(job: dict[str, Any]) -> dict[str, Any]:
    """Lanes, cycles, and what was unequal; raises RuntimeError on a broken protocol."""
    network = load(job["network"])
    trace = Reference(network).trace(np.load(job["inputs"], allow_pickle=False))
    study = choose(Study(network, trace=trace, lanes=job["lanes"] or balanced), job["bursts"]).study
    design = emit(study)
    if job["files"]:
        for path, content in design.files.items():
            (Path(job["files"]) / Path(path).name).write_bytes(content)
    found = {"lanes": dict(design.lanes), "bursts": len(design.bursts.counts), "unequal": 0}
    if not job["simulate"]:
        return found | {"cycles": predict(study.plans, study.activity).cycles}
    run = Simulator(network, design.files, design.tdata_bits, design.bursts).run(trace, jobs=1)
    if run.fault:
        raise RuntimeError(run.fault)
    unequal = max(*run.unequal_samples.values(), run.unequal_outputs)
    return found | {"cycles": run.cycles_per_inference, "unequal": unequal}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(side(json.loads(sys.argv[1]))))
