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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.inputs import simulated
from benchmarks.table import say
from neurocuda_hw import Reference
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network import (
    IF,
    LIF,
    CubaLIF,
    Input,
    Network,
    Population,
    Projection,
    Readout,
    Window,
)
from neurocuda_hw.network.neurons import Encoding, Reset, Spiking
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool, Synapse
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.area import layer_parts, network_area, total
from neurocuda_hw.passes.bursts import NO_BURSTS, find_bursts
from neurocuda_hw.passes.costs import LUT_COSTS, Part
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.passes.mapping import Ways
from neurocuda_hw.passes.memories import branches_of
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.study import Study
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.synth import synthesise

FAMILY = Family.SERIES7
SAMPLES = 20
HOLD = 0.02  # how strongly --fit holds on to the present costs


class Net:
    """Builds a network population by population, with random weights."""

    def __init__(self, source: Population, timesteps: int, bits: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.populations, self.projections = [source], list[Projection]()
        self.timesteps, self.limit = timesteps, 2 ** (bits - 1) - 1

    def weight(self, *shape: int) -> np.ndarray:
        """Weights that use all their bits."""
        return self.random.integers(-self.limit, self.limit + 1, shape)

    def add(
        self, name: str, shape: tuple[int, ...], neuron: Spiking | Readout, **sources: Synapse
    ) -> Net:
        """A population and what leads to it."""
        self.populations.append(Population(name=name, shape=shape, neuron=neuron))
        for source, synapse in sources.items():
            self.projections.append(Projection(source=source, target=name, synapse=synapse))
        return self

    def done(self) -> Network:
        """The network."""
        return Network(
            name="case",
            populations=tuple(self.populations),
            projections=tuple(self.projections),
            timesteps=self.timesteps,
        )


def image(size: int, bits: int, *, steps: int = 1) -> Population:
    """GRADED pixels in the first steps."""
    neuron = Input(encoding=Encoding.GRADED, payload_bits=bits, window=Window(start=0, stop=steps))
    return Population(name="image", shape=(1, size, size), neuron=neuron)


def events(size: int) -> Population:
    """An event camera's two polarities."""
    return Population(name="image", shape=(2, size, size), neuron=Input(encoding=Encoding.SPIKES))


def dense(
    size: int,
    sizes: tuple[int, ...],
    *,
    bits: int,
    pixels: int,
    kind: type[Spiking],
    steps: int = 8,
) -> Network:
    """A multilayer perceptron: IF in the windows of the exact code, others in all steps."""
    exact = kind is IF
    net = Net(image(size, pixels), steps, bits, seed=1)
    if exact:
        net.timesteps = (len(sizes) - 1) * (steps - 1) + 1
    before, width, start = "image", size * size, 0
    for number, neurons in enumerate(sizes[:-1]):
        worth = bits + (pixels - 1 if number == 0 else 0)
        threshold = net.random.integers(1 << worth, 3 << worth, neurons)
        more: dict[str, object] = {}
        if exact:
            more["window"] = Window(start=start, stop=start + steps)
        elif kind is LIF:
            more["decay"] = 400
        else:
            more |= {"du": 1000, "dv": net.random.integers(100, 900, neurons)}
        neuron = kind(threshold=threshold, v_init=threshold // 2, **more)  # type: ignore[arg-type]
        name = f"hidden{number}"
        net.add(name, (neurons,), neuron, **{before: Dense(weight=net.weight(neurons, width))})
        before, width, start = name, neurons, start + steps - 1
    out = Readout(v_init=net.random.integers(-50, 50, sizes[-1]))
    net.add("out", (sizes[-1],), out, **{before: Dense(weight=net.weight(sizes[-1], width))})
    return net.done()


def conv(
    source: Population,
    *,
    bits: int,
    skip: bool = False,
    channels: int = 8,
    steps: int = 8,
    kind: type[Spiking] = IF,
    exact: bool = False,
    maximum: bool = False,
) -> Network:
    """Two or four convolutions, one behind a sum pool, with or without a skip connection.

    With `maximum` the largest of four follows the first one.
    """
    net = Net(source, steps, bits, seed=2)
    size, inputs = source.shape[1], source.shape[0]
    assert isinstance(source.neuron, Input)
    pixels = source.neuron.payload_bits

    def neuron(count: int) -> Spiking:
        worth = bits + (pixels - 1 if len(net.populations) == 1 else 0)
        threshold = net.random.integers(1 << worth, 3 << worth, count)
        more: dict[str, object] = {"decay": 400} if kind is LIF else {}
        if exact:  # windows in turn
            start = (len(net.populations) - 1) * (steps - 1)
            more["window"] = Window(start=start, stop=start + steps)
            net.timesteps = start + steps
        return kind(threshold=threshold, v_init=threshold // 2, **more)  # type: ignore[arg-type]

    def kernel(outputs: int, given: int, stride: int = 1, pool: int = 1) -> Conv2d:
        return Conv2d(
            weight=net.weight(outputs, given, 3, 3),
            padding=(1, 1),
            stride=(stride, stride),
            pool=SumPool(kernel=(pool, pool)) if pool > 1 else None,
        )

    net.add("first", (channels, size, size), neuron(channels), image=kernel(channels, inputs))
    last = "first"
    if maximum:
        size //= 2
        largest = IF(threshold=1, reset=Reset.ZERO, window=net.populations[-1].neuron.window)
        ones = np.ones((channels, 1, 2, 2), dtype=np.int64)
        pooling = Conv2d(weight=ones, stride=(2, 2), groups=channels)
        last = "largest"
        net.add(last, (channels, size, size), largest, first=pooling)
    if skip:
        inner = {last: kernel(channels, channels)}
        net.add("inner", (channels, size, size), neuron(channels), **inner)
        merged: dict[str, Synapse] = {
            "inner": kernel(channels, channels),
            last: Diagonal(weight=net.random.integers(9, 2 << bits, channels)),
        }
        net.add("merged", (channels, size, size), neuron(channels), **merged)
        last = "merged"
    small = (size // 2 - 1) // 2 + 1
    net.add(
        "second",
        (2 * channels, small, small),
        neuron(2 * channels),
        **{last: kernel(2 * channels, channels, stride=2, pool=2)},
    )
    fan_in = 2 * channels * small * small
    return net.add("out", (10,), Readout(), second=Dense(weight=net.weight(10, fan_in))).done()


def _lanes(default: int, **others: int) -> Callable[[Network], dict[str, int]]:
    return lambda network: {p.name: others.get(p.name, default) for p in network.targets}


def _mnist() -> Network:
    return dense(28, (128, 10), bits=4, pixels=1, kind=IF)


@dataclass(frozen=True, slots=True)
class Case:
    """A network and its fold; `density` of the random inputs.

    It sends `bursts` or spikes; lanes multiply in LUTs if `soft`; and the costs are not fitted to
    it if it is `held` out.
    """

    make: Callable[[], Network]
    lanes: Callable[[Network], dict[str, int]]
    density: float = 0.15
    bursts: bool = False
    soft: bool = False
    held: bool = False

    def study(self) -> Study:
        """What is predicted and built."""
        network = self.make()
        ways = {p.name: Ways(soft=True) for p in network.targets} if self.soft else None
        bursts = find_bursts(network) if self.bursts else NO_BURSTS
        return Study(network, lanes=self.lanes(network), bursts=bursts, ways=ways)


def _bursts(
    make: Callable[[], Network],
    lanes: Callable[[Network], dict[str, int]],
    *,
    soft: bool = False,
    held: bool = False,
) -> Case:
    return Case(make, lanes, bursts=True, soft=soft, held=held)


def _exact(size: int, pixels: int, **more: Any) -> Callable[[], Network]:
    return lambda: conv(image(size, pixels), exact=True, **more)


def _mlp(size: int, *sizes: int, **more: Any) -> Callable[[], Network]:
    return lambda: dense(size, sizes, kind=IF, **more)


CASES: Mapping[str, Case] = {
    "mlp4": Case(_mnist, _lanes(4)),
    "mlp8": Case(_mnist, _lanes(8, out=2)),
    "mlp32": Case(_mnist, _lanes(32, out=4)),
    "mlp64": Case(_mnist, _lanes(64, out=10)),
    "deep8": Case(lambda: dense(14, (64, 32, 10), bits=8, pixels=8, kind=IF), _lanes(8, out=2)),
    "deep16": Case(lambda: dense(16, (96, 64, 10), bits=5, pixels=1, kind=IF), _lanes(16, out=4)),
    "lif8": Case(lambda: dense(14, (64, 10), bits=8, pixels=4, kind=LIF), _lanes(8, out=2)),
    "cuba4": Case(lambda: dense(14, (32, 10), bits=6, pixels=1, kind=CubaLIF), _lanes(4, out=1)),
    "conv4": Case(lambda: conv(image(14, 8), bits=8), _lanes(4, out=1)),
    "conv8": Case(lambda: conv(image(16, 4), bits=6), _lanes(8, second=16, out=2)),
    "events2": Case(lambda: conv(events(16), bits=5), _lanes(2, out=2), 0.04),
    "events8": Case(lambda: conv(events(20), bits=8), _lanes(8, out=2), 0.04),
    "skip4": Case(lambda: conv(image(14, 2), bits=4, skip=True), _lanes(4, out=2)),
    "skip8": Case(lambda: conv(events(12), bits=6, skip=True), _lanes(8, out=4), 0.06),
    "leak8": Case(lambda: conv(events(12), bits=6, kind=LIF), _lanes(8, out=2), 0.06),
    "burst_mlp8": _bursts(_mnist, _lanes(8, out=2)),
    "burst_mlp32": _bursts(_mnist, _lanes(32, out=4)),
    "burst_deep8": _bursts(_mlp(14, 64, 32, 10, bits=8, pixels=8), _lanes(8, out=2)),
    "burst_deep16": _bursts(_mlp(16, 96, 64, 10, bits=5, pixels=1, steps=15), _lanes(16, out=4)),
    "burst_conv4": _bursts(_exact(14, 8, bits=8), _lanes(4, out=1)),
    "burst_conv8": _bursts(_exact(16, 4, bits=6, steps=16), _lanes(8, second=16, out=2)),
    "burst_skip4": _bursts(_exact(14, 2, bits=4, skip=True, steps=4), _lanes(4, out=2)),
    "burst_skip8": _bursts(_exact(12, 8, bits=8, skip=True), _lanes(8, second=16, out=2)),
    "burst_skip32": _bursts(_exact(12, 8, bits=8, skip=True), _lanes(32, out=1)),
    "burst_wide16": _bursts(_exact(16, 8, bits=8, channels=16, steps=10), _lanes(16, out=1)),
    "burst_pool4": _bursts(_exact(12, 8, bits=8, channels=4, maximum=True), _lanes(4, out=1)),
    "burst_pool8": _bursts(_exact(12, 4, bits=5, maximum=True, steps=4), _lanes(8, out=2)),
    "soft_conv4": _bursts(_exact(10, 4, bits=6, steps=16), _lanes(4, out=2), soft=True),
    "soft_deep8": _bursts(_mlp(12, 48, 32, 10, bits=8, pixels=8), _lanes(8, out=2), soft=True),
    "held_mlp16": _bursts(
        _mlp(20, 64, 10, bits=6, pixels=2, steps=5), _lanes(16, out=10), held=True
    ),
    "held_deep4": _bursts(
        _mlp(12, 48, 48, 24, 10, bits=7, pixels=4, steps=9), _lanes(4, out=1), held=True
    ),
    "held_deep8": _bursts(
        _mlp(10, 64, 32, 10, bits=8, pixels=8, steps=16), _lanes(8, hidden1=2, out=2), held=True
    ),
    "held_conv2": _bursts(_exact(12, 8, bits=8, steps=31), _lanes(2, out=1), held=True),
    "held_conv16": _bursts(
        _exact(12, 2, bits=5, channels=4), _lanes(16, second=8, out=1), held=True
    ),
    "held_wide8": _bursts(
        _exact(8, 4, bits=7, channels=16, steps=12), _lanes(8, second=4, out=2), held=True
    ),
    "held_pool2": _bursts(_exact(12, 6, bits=6, channels=4, maximum=True), _lanes(2), held=True),
    "held_pool16": _bursts(
        _exact(12, 8, bits=8, channels=4, maximum=True, steps=10),
        _lanes(4, first=16, out=1),
        held=True,
    ),
    "held_skip2": _bursts(
        _exact(8, 4, bits=6, channels=4, skip=True, steps=16), _lanes(2, out=1), held=True
    ),
    "held_skip4": _bursts(
        _exact(10, 8, bits=8, skip=True, steps=6), _lanes(4, second=8, out=1), held=True
    ),
    "held_pool_skip4": _bursts(
        _exact(12, 8, bits=8, channels=4, maximum=True, skip=True), _lanes(4, out=2), held=True
    ),
    "held_soft_skip4": _bursts(
        _exact(8, 8, bits=8, channels=4, skip=True), _lanes(4, out=2), soft=True, held=True
    ),
}


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
