"""What the folding pass predicts beside what is measured: cycles, look-up tables, block memories.

    python -m benchmarks prediction                     every case: an hour on two cores, or less
    python -m benchmarks prediction --only lif8 skip4
    python -m benchmarks prediction --fit               also says LUT costs fitted to the cases

A case is a network and a number of lanes for each layer. Cycles are predicted by
`passes.pipeline` from the golden trace and measured by Verilator on the same inputs, in a run in
which every spike was equal. LUTs and block memories are predicted by `passes.area` and measured by
yosys: ``synth_xilinx`` for the 7 series, every component by itself, as passes.area counts them. The
networks have random weights and inputs from fixed seeds. ``--fit`` solves for the costs in
`passes.costs` by least squares on relative errors, held to the present ones, without the cases that
are held out: designs of bursts with other sizes, lanes, L, pools and skip connections.
"""

from __future__ import annotations

import hashlib
import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.inputs import simulated
from benchmarks.prediction_cases import CASES, Case
from benchmarks.table import say
from neurocuda_hw import Reference
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network import (
    Input,
    Network,
)
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.area import layer_parts, network_area, total
from neurocuda_hw.passes.costs import LUT_COSTS, Part
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.passes.memories import branches_of
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.synth import synthesise

FAMILY = Family.SERIES7
SAMPLES = 20
HOLD = 0.02  # how strongly --fit holds on to the present costs


def inputs_of(network: Network, density: float) -> np.ndarray:
    """Random inputs, so many of them not 0."""
    random = np.random.default_rng(3)
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    window = network.window(network.input.name)
    shape = (SAMPLES, window.stop - window.start, *network.input.shape)
    values = random.integers(1, neuron.payload[1] + 1, shape)
    return np.where(random.random(shape) < density, values, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case: what was predicted and what was measured."""

    name: str
    lanes: str
    design: str
    cycles: float
    predicted_cycles: float
    luts: int
    predicted_luts: float
    blocks: float
    predicted_blocks: float
    dsps: int
    predicted_dsps: int

    @property
    def errors(self) -> tuple[float, float]:
        """Relative errors of cycles and LUTs."""
        return self.predicted_cycles / self.cycles - 1, self.predicted_luts / self.luts - 1


def predicted_and_measured(name: str, case: Case, before: Mapping[str, Any]) -> Row:
    """Predicts, simulates and synthesises; all spikes must be equal.

    Simulation and synthesis are left out where `before` holds their figures for the same design.
    """
    study = case.study()
    network, plans = study.network, study.plans
    trace = Reference(network).trace(inputs_of(network, case.density))
    predicted = predict(plans, Activity(network, trace)).cycles
    area = total(network_area(network, plans, FAMILY, study.bursts))
    files = emit(study).files
    design = hashlib.sha256(b"".join(files[path] for path in sorted(files))).hexdigest()[:16]
    if before.get("design") == design:
        figures = {key: before[key] for key in ("cycles", "luts", "blocks", "dsps")}
    else:
        check = simulated(network, trace, study.lanes, study.bursts, study.ways)
        found = synthesise(files, FAMILY)
        figures = {"cycles": check.cycles_per_inference, "luts": found.luts}
        figures |= {"blocks": found.blocks, "dsps": found.dsps}
    return Row(
        name=name,
        lanes=" ".join(f"{n}" for n in study.lanes.values()),
        design=design,
        predicted_cycles=predicted,
        predicted_luts=area.luts,
        predicted_blocks=area.blocks,
        predicted_dsps=area.dsps,
        **figures,
    )


def parts_of(network: Network, plans: Mapping[str, LayerPlan]) -> dict[Part, float]:
    """What a design is made of, in all."""
    found = dict.fromkeys(Part, 0.0)
    for name, plan in plans.items():
        for part, count in layer_parts(plan, branches_of(network, name)).items():
            found[part] += count
    found[Part.DESIGN] = 1.0
    return found


def fitted(rows: list[Row]) -> dict[Part, float]:
    """Costs that make the relative errors least of all cases that are not held out.

    Those of ROM and PRODUCT, whose shares are no counts here, stay.
    """
    rows = [row for row in rows if not CASES[row.name].held]
    parts = [part for part in Part if part not in (Part.ROM, Part.PRODUCT)]
    present = np.array([LUT_COSTS[FAMILY][part] for part in parts])
    counts, missing, sizes = [], [], []
    for row in rows:
        study = CASES[row.name].study()
        count = parts_of(study.network, study.plans)
        counts.append([count[part] / row.luts for part in parts])
        missing.append((row.luts - row.predicted_luts) / row.luts)
        sizes.append(row.luts)
    # change of the costs, in shares of the present ones
    matrix = np.vstack([np.array(counts) * present, HOLD * np.eye(len(parts))])
    wanted = np.concatenate([missing, np.zeros(len(parts))])
    change = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    costs = np.maximum(present * (1 + change), 0)
    return dict(zip(parts, costs.tolist(), strict=True))


def summary(rows: list[Row]) -> dict[str, object]:
    """Flat figures, then the cases."""
    cycles, luts = (sorted(abs(row.errors[i]) for row in rows) for i in (0, 1))
    held = [[abs(e) for e in row.errors] for row in rows if CASES[row.name].held]
    worst = [round(100 * max(errors), 2) for errors in zip(*held, strict=True)] or [None, None]
    return {
        "cases": len(rows),
        "held_out": len(held),
        "held_out_worst_cycles_percent": worst[0],
        "held_out_worst_luts_percent": worst[1],
        "worst_cycles_percent": round(100 * cycles[-1], 2),
        "next_cycles_percent": round(100 * cycles[-2], 2) if len(rows) > 1 else None,
        "worst_luts_percent": round(100 * luts[-1], 1),
        "blocks_unequal": sum(row.blocks != row.predicted_blocks for row in rows),
        "dsps_unequal": sum(row.dsps != row.predicted_dsps for row in rows),
        "rows": [
            {name: getattr(row, name) for name in Row.__slots__}  # type: ignore[attr-defined]
            for row in rows
        ],
    }


def measure(given: Namespace) -> dict[str, object]:
    """All cases, or those of --only."""
    unknown = set(given.only or ()) - set(CASES)
    if unknown:
        raise DataError(f"--only must name some of {', '.join(CASES)}, not {min(unknown)!r}")
    before = {}
    if given.measured:
        before = {row["name"]: row for row in json.loads(given.measured.read_text())["rows"]}
    rows = []
    for name in given.only or CASES:
        rows.append(predicted_and_measured(name, CASES[name], before.get(name, {})))
        cycles, luts = rows[-1].errors
        say(f"{name}: cycles {cycles:+.2%}, LUT {luts:+.1%}")
    if given.fit:
        for part, cost in fitted(rows).items():
            say(f"    Part.{part.name}: {cost:.2f},")
    return summary(rows)
