"""The clock of designs after place and route, and inferences per second, beside an earlier commit.

    python -m benchmarks clock --json FILE         all: an hour of a processor, or two
    python -m benchmarks clock --only mlp --seeds 1
    python -m benchmarks clock --only luts --cases lif8
    python -m benchmarks clock --only fit

The baseline is the commit before the clock was worked at (--against), unpacked into a folder of its
own; Verilog and cycles are each checkout's own, yosys and nextpnr the same, run by this one.
``mlp`` and ``cnn`` are the MNIST networks of ``golden/`` with the lanes that ``nchw build``
chooses, ``w4`` is 784-128-10 with weights of 4 bits and pixels of one (32 + 4 lanes, not
fine-tuned), all in ECP5 of speed grade 6 (25F; 85F for the CNN); ``small`` is 49-32-10 with 4 + 1
lanes in an iCE40 HX8K. Clocks are the median of --seeds seeds, between registers (see
`synth.harness`). What is finished is kept in --keep and not measured again.

Keys: ``mlp_ecp5_mhz``, ``w4_ecp5_mhz``, ``cnn_ecp5_mhz``, ``small_ice40_mhz``, each with
``..._before``, its cycles and its critical path; ``mlp_rate_ratio`` (inferences per second over
those of the baseline); ``worst_cycles_increase`` (per cent, simulated cycles over the baseline's:
MNIST, both networks and codes, bursts on and off; every spike compared); ``worst_lut_error`` (per
cent, prediction over yosys, ECP5 and iCE40), ``worst_lut_error_held_out`` of the cases that no cost
is fitted to; ``..._unequal``. ``fit`` prints the parameters of `passes.clocks` fitted anew to the
same cases, with ``fit_ecp5_error`` and ``fit_ice40_error`` (per cent).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import ROOT, mnist_784_128_10
from benchmarks.build_speed import answer_of, git, unpacked
from benchmarks.inputs import SAMPLE, mnist_case
from benchmarks.prediction_cases import CASES
from benchmarks.table import say
from neurocuda_hw.conversion import convert
from neurocuda_hw.data import datasets
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import load, save
from neurocuda_hw.network.trace import load_trace
from neurocuda_hw.passes.area import network_area, total
from neurocuda_hw.passes.clocks import fitted
from neurocuda_hw.passes.devices import Family, find_device
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.synth import synthesise
from neurocuda_hw.synth.route import as_plain, route

Figures = dict[str, Any]
SIDE = Path(__file__).with_name("clock_side.py")
# cases of the prediction that look-up tables are counted of: the second half is held out there
LUT_CASES = ("lif8", "skip4", "burst_conv4", "burst_deep8")
LUT_CASES += ("held_conv2", "held_skip2", "held_pool2", "held_deep4")


def golden(name: str) -> tuple[Network, np.ndarray]:
    """A committed network and its golden inputs."""
    path = ROOT / "golden" / f"{name}.pt"
    return load(path), load_trace(path.with_suffix(".npz"), membranes=False).inputs


def four_bits() -> tuple[Network, np.ndarray]:
    """784-128-10 as in `mnist_784_128_10`, without its training."""
    given = Namespace(data=SAMPLE, levels=8, weight_bits=4, pixel_bits=1, epochs=0, seed=0)
    snn = mnist_784_128_10.converted(given)
    return snn.network, snn.quantise(datasets.load(SAMPLE, "test")[0][:20])


def small() -> tuple[Network, np.ndarray]:
    """49-32-10 with the weights that it starts from, on images of 7 x 7."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(49, 32), nn.ReLU(), nn.Linear(32, 10))
    images = [
        torch.as_tensor(datasets.load(SAMPLE, part)[0]).float().reshape(-1, 1, 28, 28)
        for part in ("train", "test")
    ]
    x, test = (nn.functional.avg_pool2d(part, 4) for part in images)
    snn, _ = convert(
        model.eval(), (x, torch.zeros(len(x)).long()), strategy="exact", levels=8, qcfs_epochs=0,
        name="small", verbose=False,
    )  # fmt: skip
    return snn.network, snn.quantise(test[:20].numpy())


# name of the figure, network with inputs, lanes in order (none: those of nchw build), part,
# whether multipliers of the device may be taken: 4 bits times one want none
CLOCKS = {
    "mlp": ("mlp_ecp5_mhz", lambda: golden("mnist_mlp"), (), "lfe5u-25f", True),
    "w4": ("w4_ecp5_mhz", four_bits, (32, 4), "lfe5u-25f", False),
    "cnn": ("cnn_ecp5_mhz", lambda: golden("mnist_cnn"), (), "lfe5u-85f", True),
    "small": ("small_ice40_mhz", small, (4, 1), "ice40hx8k", False),
}


def design_of(files: Mapping[str, bytes]) -> str:
    """A short name of a design: what its files hash to."""
    return hashlib.sha256(b"".join(files[path] for path in sorted(files))).hexdigest()[:16]


class Runs:
    """Measures what is not kept yet."""

    def __init__(self, before: Path, folder: Path, given: Namespace) -> None:
        self.before, self.folder, self.seeds = before, folder, given.seeds
        self.keep: Path = given.keep
        self.kept: Figures = json.loads(self.keep.read_text()) if self.keep.exists() else {}

    def once(self, key: str, measure: Any) -> Any:
        """What is kept under a key; else it is measured, and kept."""
        if key not in self.kept:
            self.kept[key] = measure()
            self.keep.parent.mkdir(parents=True, exist_ok=True)
            self.keep.write_text(json.dumps(self.kept, indent=1))
        return self.kept[key]

    def side(self, checkout: Path, case: tuple[Network, np.ndarray], **job: Any) -> Figures:
        """A job of `clock_side` in one of the checkouts; with its files, if they were asked for."""
        network, inputs = case
        model, sent, answer = (self.folder / name for name in ("n.pt", "x.npy", "a.json"))
        save(network, model)
        np.save(sent, inputs)
        job = {"network": str(model), "inputs": str(sent), "lanes": None, "files": None, **job}
        found: Figures = answer_of(SIDE, job, answer, checkout, network.name)
        return found

    def clock(self, checkout: Path, name: str) -> Figures:
        """Clock, cycles and path of one design of `CLOCKS`."""
        _, make, lanes, part, hard = CLOCKS[name]
        case = make()
        given = dict(zip([p.name for p in case[0].targets], lanes, strict=False)) or None
        with tempfile.TemporaryDirectory(prefix="nchw_") as place:
            job = {"lanes": given, "bursts": "auto", "simulate": True, "files": place}
            found = self.side(checkout, case, **job)
            files = {path.name: path.read_bytes() for path in sorted(Path(place).iterdir())}
        device = find_device(part)
        timed = self.once(
            f"{design_of(files)} {part} {self.seeds}",
            lambda: as_plain(route(files, device, seeds=self.seeds, use_dsps=hard)),
        )
        return found | timed | {"rate": 1e6 * timed["mhz"] / found["cycles"]}


def clocks(given: Namespace, runs: Runs) -> Iterator[tuple[str, Any]]:
    """Clocks of both checkouts, and what they make of cycles."""
    for name in (name for name in CLOCKS if name in given.only):
        figure = CLOCKS[name][0]
        now, before = (runs.clock(checkout, name) for checkout in (ROOT, runs.before))
        for suffix, found in (("", now), ("_before", before)):
            path = found["critical_path"]
            yield f"{figure}{suffix}", found["mhz"]
            yield f"{figure}_of_seeds{suffix}", found["mhz_of_seeds"]
            yield f"{name}_cycles{suffix}", round(found["cycles"], 1)
            yield f"{name}_path{suffix}", f"{path['from']} -> {path['to']}"
            yield f"{name}_unequal{suffix}", found["unequal"]
        yield f"{name}_lanes", now["lanes"]
        yield f"{name}_rate_ratio", round(now["rate"] / before["rate"], 3)
        say(f"{name}: {now['mhz']:.1f} MHz, {before['mhz']:.1f} before")


def cycles(given: Namespace, runs: Runs) -> Iterator[tuple[str, Any]]:
    """Cycles over the baseline's, in per cent, of the networks of the cycles benchmark."""
    worst = -100.0
    for kind in ("mlp", "cnn"):
        for code in ("exact", "rate"):
            case = mnist_case(kind, code, given.samples)
            for bursts in ("off", "on") if code == "exact" else ("off",):
                job = {"bursts": bursts, "simulate": True}
                now, before = (runs.side(at, case, **job) for at in (ROOT, runs.before))
                more = 100 * (now["cycles"] / before["cycles"] - 1)
                worst = max(worst, more)
                name = f"{kind}_{code}_{bursts}"
                yield f"{name}_cycles_increase", round(more, 3)
                yield f"{name}_unequal", now["unequal"] + before["unequal"]
                say(f"{name}: {now['cycles']:,.1f} cycles, {before['cycles']:,.1f} before")
    yield "worst_cycles_increase", round(worst, 3)


def luts(given: Namespace, runs: Runs) -> Iterator[tuple[str, Any]]:
    """Predicted look-up tables over those of yosys, in per cent."""
    errors: dict[str, float] = {}
    for name in given.cases or LUT_CASES:
        study = CASES[name].study()
        files = emit(study).files
        for family in (Family.ECP5, Family.ICE40):
            hard = family is not Family.ICE40
            made = runs.once(
                f"{design_of(files)} {family.name} luts",
                lambda files=files, family=family, hard=hard: (
                    synthesise(files, family, use_dsps=hard).luts
                ),
            )
            area = total(network_area(study.network, study.plans, family, study.bursts))
            errors[f"{name} {family.name}"] = 100 * (area.luts / made - 1)
            say(f"{name}, {family.value}: {area.luts:,.0f} LUTs predicted, {made:,} by yosys")
    held = [abs(error) for key, error in errors.items() if CASES[key.split()[0]].held]
    yield "worst_lut_error", round(max(map(abs, errors.values())), 1)
    yield "worst_lut_error_held_out", round(max(held), 1) if held else None
    yield "lut_errors", {key: round(error, 1) for key, error in errors.items()}


def fit(given: Namespace, runs: Runs) -> Iterator[tuple[str, Any]]:
    """`passes.clocks` fitted anew: to the cases, each in one placement, of at most half a part."""
    for family, part in ((Family.ECP5, "lfe5u-45f"), (Family.ICE40, "ice40hx8k")):
        sizes, rates = [], []
        device = find_device(part)
        for name in given.cases or LUT_CASES:
            study = CASES[name].study()
            area = total(network_area(study.network, study.plans, family, study.bursts))
            if area.luts > device.luts / 2 or area.blocks > device.blocks:
                continue
            files = emit(study).files
            hard = family is not Family.ICE40
            found = runs.once(
                f"{design_of(files)} {part} 1",
                lambda files=files, hard=hard, device=device: as_plain(
                    route(files, device, seeds=1, use_dsps=hard)
                ),
            )
            sizes.append(area.luts)
            rates.append(found["mhz"])
            say(f"{name} in {part}: {area.luts:,.0f} LUTs, {found['mhz']:.1f} MHz")
        if len(sizes) > 2:
            made = fitted(sizes, rates)
            say(f"    Family.{family.name}: {made}")
            yield f"fit_{family.name.lower()}_error", round(100 * made.error, 1)
            yield f"fit_{family.name.lower()}", [round(made.base, 3), round(made.rise, 3)]


def measure(given: Namespace) -> Figures:
    """What --only names, or all."""
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        runs = Runs(unpacked(given.against, Path(name) / "against"), Path(name), given)
        figures = dict(clocks(given, runs))
        for part, of in (("cycles", cycles), ("luts", luts), ("fit", fit)):
            if part in given.only:
                figures |= dict(of(given, runs))
    return figures | {
        "commit": git("describe", "--always", "--dirty").decode().strip(),
        "against": given.against,
        "seeds": given.seeds,
    }
