"""A new kind of neuron and a new kind of synapse, added to a copy of the package: what that takes.

Each toy is a list of (file, text before which to put it, what to put). The copy then runs it in the
reference (both ways), the oracle of these tests, the Verilog, the C++ and on Loihi.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tools import need

from neurocuda_hw.ground.toolchain import find_compiler, find_verilator

ROOT = Path(__file__).parents[1]
NEURONS, SYNAPSES = "neurocuda_hw/network/neurons.py", "neurocuda_hw/network/synapses.py"
ORACLE = "tests/oracle.py"

Additions = list[tuple[str, str, str]]

HALVING: Additions = [
    (
        NEURONS,
        "KINDS: tuple",
        '''@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Halving(Spiking):
    """Each step the membrane keeps half of itself, cut toward zero."""

    @property
    def leak(self) -> np.ndarray:
        """Half of 4096."""
        return np.array(2048)


''',
    ),
    (NEURONS, "IF, LIF, CubaLIF, Readout", "Halving, "),
    (ORACLE, "    LIF,\n", "    Halving,\n"),
    (
        ORACLE,
        "            if isinstance(neuron, LIF",
        """            if isinstance(neuron, Halving):
                kept = int(kept / 2)
""",
    ),
]

REVERSAL: Additions = [
    (
        SYNAPSES,
        "KINDS: tuple",
        '''@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reversal(Synapse):
    """Channel c to channel C - 1 - c, one weight for all; `weight` is ``(1,)``."""

    def check(self, source: tuple[int, ...], target: tuple[int, ...], label: str) -> None:
        """Raises ModelError unless the weights join these two shapes."""
        if self.pooled(source, label) != target or self.weight.shape != (1,):
            raise ModelError(f"projection {label}: a reversal needs equal shapes and one weight")

    def apply(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """`deliver` behind the pool."""
        return x.flip(1) * weight

    def plain(self, source: tuple[int, ...]) -> Conv2d | Dense:
        """A convolution of 1 x 1, or a matrix where there is one position only."""
        weight = self.weight * np.eye(source[0], dtype=np.int64)[::-1]
        if len(source) == 1:
            return Dense(weight=weight, pool=self.pool)
        return Conv2d(weight=weight[:, :, None, None], pool=self.pool)


''',
    ),
    (SYNAPSES, "Dense, Conv2d, Diagonal)", "Reversal, "),
    (ORACLE, "Conv2d, Dense, Diagonal, SumPool", "Reversal, "),
    (
        ORACLE,
        "    elif isinstance(synapse, Diagonal):\n",
        """    elif isinstance(synapse, Reversal):
        per_channel = target.size // target.shape[0]
        for o in range(target.size):
            c, place = divmod(o, per_channel)
            first = (target.shape[0] - 1 - c) * per_channel
            found[o] += [(i, weight[0]) for i in members[first + place]]
""",
    ),
]

RUN = """
import sys
from pathlib import Path
import numpy as np
from oracle import Oracle
import neurocuda_hw
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.hls import Model, verify_hls
from neurocuda_hw.loihi.program import spikes
from neurocuda_hw.network import *
from neurocuda_hw.network.model_file import load, save
from neurocuda_hw.network.neurons import *
from neurocuda_hw.network.synapses import *
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.simulation.simulate import Simulator

folder = Path(sys.argv[1])
assert folder in Path(neurocuda_hw.__file__).parents, neurocuda_hw.__file__
rng = np.random.default_rng(1)
populations = [Population(name="input", shape=(3, 4, 4), neuron=Input(encoding=Encoding.SPIKES))]
HERE
net = Network(
    populations=(*populations, Population(name="out", shape=(2,), neuron=Readout())),
    projections=(
        *projections,
        Projection(
            source=populations[-1].name,
            target="out",
            synapse=Dense(weight=rng.integers(-9, 9, (2, populations[-1].size))),
        ),
    ),
    timesteps=6,
)
save(net, folder / "model.pt")
assert load(folder / "model.pt") == net
trace = Reference(net).trace(default_inputs(net, 8), membranes=True)
fired = [int(trace.counts(name).sum()) for name in trace.sizes]
assert min(fired) > 20, fired
print("reference", fired)
walked = Reference(net, stepwise=True).trace(trace.inputs, membranes=True)
assert walked.to_bytes() == trace.to_bytes(), "step by step differs"
oracle = Oracle(net)
for sample in range(trace.samples):
    told = oracle.run(trace.inputs[sample])
    assert told.outputs == trace.outputs[sample].tolist(), f"oracle differs in sample {sample}"
    for name in trace.sizes:
        assert told.spikes[name] == trace.bits(name, sample).tolist(), (name, sample)
print("oracle")
assert spikes(net, trace.inputs).outputs.tolist() == trace.outputs.tolist()
assert all((spikes(net, trace.inputs).spikes[n] == trace.spikes[n]).all() for n in trace.sizes)
print("loihi")
result = verify_hls(net, trace, folder / "hls", model=Model.FAST, optimise=0)
assert result.equal, result
print("hls")
design = emit(net)
result = Simulator(net, design.files, design.tdata_bits).run(trace, jobs=1)
assert result.equal, result
print("verilog")
"""

TOY_NEURON = """
populations += [
    Population(
        name="first",
        shape=(4, 4, 4),
        neuron=Halving(threshold=rng.integers(2, 9, 4), bias=rng.integers(-3, 4, 4), v_init=-5),
    ),
    Population(
        name="second", shape=(6,), neuron=Halving(threshold=5, reset=Reset.ZERO, v_floor=-9)
    ),
]
first = Conv2d(weight=rng.integers(-7, 8, (4, 3, 3, 3)), padding=(1, 1))
second = Dense(weight=rng.integers(-4, 8, (6, 64)))
projections = [
    Projection(source="input", target="first", synapse=first),
    Projection(source="first", target="second", synapse=second),
]
"""

TOY_SYNAPSE = """
populations += [
    Population(name="first", shape=(3, 4, 4), neuron=IF(threshold=5)),
    Population(name="pooled", shape=(3, 2, 2), neuron=IF(threshold=rng.integers(3, 9, 3))),
    Population(name="flat", shape=(5,), neuron=IF(threshold=3)),
    Population(name="turned", shape=(5,), neuron=IF(threshold=2)),
]
projections = [
    Projection(source="input", target="first", synapse=Reversal(weight=np.array([3]))),
    Projection(
        source="first",
        target="pooled",
        synapse=Reversal(weight=np.array([4]), pool=SumPool(kernel=(2, 2))),
    ),
    Projection(
        source="pooled", target="flat", synapse=Dense(weight=rng.integers(-3, 6, (5, 12)))
    ),
    Projection(source="flat", target="turned", synapse=Reversal(weight=np.array([1]))),
]
"""


def run_in_a_copy(
    additions: Additions, code: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Runs code with a copy of the package, in `folder`, that has the additions."""
    for name in ("neurocuda_hw", "sim", "tests"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for path, before, text in additions:
        content = (folder / path).read_text()
        assert content.count(before) == 1, (path, before)
        (folder / path).write_text(content.replace(before, text + before))
    paths = os.pathsep.join((str(folder), str(folder / "tests")))
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("additions", "network", "files"),
    [(HALVING, TOY_NEURON, 8), (REVERSAL, TOY_SYNAPSE, 6)],
    ids=["neuron", "synapse"],
)
def test_a_toy_passes_every_target(
    additions: Additions, network: str, files: int, tmp_path: Path
) -> None:
    need(find_verilator(), find_compiler())
    touched = sorted({path for path, _, _ in additions})
    assert len(touched) <= files, touched
    done = run_in_a_copy(additions, RUN.replace("HERE", network), tmp_path)
    assert done.returncode == 0, done.stderr
    steps = [line.split()[0] for line in done.stdout.splitlines()]
    assert steps == ["reference", "oracle", "loihi", "hls", "verilog"]


DEGREES: Additions = [
    (
        "neurocuda_hw/conversion/ops.py",
        '    ("relu", ',
        '    ("deg2rad", lambda r, n, x: _multiply(r, n, x, 3.141592653589793 / 180)),\n',
    ),
]

CONVERT = """
import torch
from torch import nn
import neurocuda_hw as nc

class Turned(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
    def forward(self, x):
        return self.last(torch.deg2rad(self.first(x)).relu())

torch.manual_seed(0)
x = torch.rand(64, 6)
seen = (x, torch.zeros(64, dtype=torch.long))
model = Turned().eval()
snn, stats = nc.convert(
    model, x, test_loader=seen, strategy="exact", qcfs_epochs=0, verbose=False
)
print(stats["unequal"])
"""


@pytest.mark.slow
def test_a_layer_of_the_front_end_is_one_row(tmp_path: Path) -> None:
    done = run_in_a_copy(DEGREES, CONVERT, tmp_path / "with")
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    done = run_in_a_copy([], CONVERT, tmp_path / "without")
    assert "UnsupportedLayerError" in done.stderr
