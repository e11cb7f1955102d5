"""What one checkout makes of a network, in a process of its own: run by `benchmarks.bursts`.

    PYTHONPATH=CHECKOUT python benchmarks/bursts_side.py JOB OUTPUT

It only uses what the package had before it knew of bursts, so both sides of a ratio are measured by
this file. The job is JSON: ``network``, ``inputs`` (.npy, quantised), ``device`` to fold for or
null (then at most 16 lanes), ``simulate``, ``bursts`` (left out where the checkout has none), and
``streams``: by lines, from the input on.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurocuda_hw.network.model_file import load
from neurocuda_hw.passes.budget import Folder
from neurocuda_hw.passes.devices import find_device
from neurocuda_hw.passes.folding import uniform_lanes
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.simulation.simulate import Simulator


def side(job: dict[str, Any]) -> dict[str, Any]:
    """Cycles, area, and what was unequal; raises RuntimeError on a broken protocol."""
    network = load(job["network"])
    trace = Reference(network).trace(np.load(job["inputs"], allow_pickle=False))
    sent: dict[str, Any] = {}
    if job.get("bursts"):
        from neurocuda_hw.passes.bursts import find_bursts

        sent = {"bursts": find_bursts(network)}
    if job.get("streams"):
        sent = {"bursts": replace(sent["bursts"], streams=True, raster=True)}
    study = Study(network, trace=trace, lanes=uniform_lanes(network), **sent)
    found: dict[str, Any] = {}
    if job["device"]:
        folder = Folder(network, study.activity, **sent)
        folding = folder.fold(find_device(job["device"]), target=job.get("target"))
        told = {"ways": folding.ways} if hasattr(folding, "ways") else {}
        study, area = study.laid_out(folding.lanes, **told), folding.area
        found |= {"luts": round(area.luts), "blocks": area.blocks, "dsps": area.dsps}
        found["ultras"] = getattr(area, "ultras", 0)
    predicted = predict(study.plans, study.activity)
    found |= {"cycles": predicted.cycles, "latency": predicted.latency}
    found["predicted"] = predicted.cycles
    if not job["simulate"]:
        return found
    design = emit(study)
    known = [design.bursts] if sent else []
    simulator = Simulator(network, design.files, design.tdata_bits, *known)
    before = os.times()
    run = simulator.run(trace, jobs=1)
    after = os.times()
    if run.fault:
        raise RuntimeError(run.fault)
    spent = sum(
        getattr(after, w) - getattr(before, w) for w in ("children_user", "children_system")
    )
    return found | {
        "cycles": run.cycles_per_inference,
        "latency": run.latency_cycles,
        "unequal": max(*run.unequal_samples.values(), run.unequal_outputs),
        "spikes": sum(run.spikes.values()),
        "images": run.samples,
        "per_cpu_second": run.samples / spent,
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(side(json.loads(sys.argv[1]))))
