"""Each type of node that NIR defines: what it becomes, and equal to the graph itself."""

import nir
import numpy as np
import pytest
import torch
from nir_graphs import SUB, conv2d, graph, neuron, pool, whole

from neurocuda_hw.network.neurons import IF, LIF, CubaLIF, CubaReadout, LeakyReadout, Readout
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal
from neurocuda_hw.nir import Executor, compare, from_nir, nir_bytes
from neurocuda_hw.nir.flat import LINEAR, STATEFUL
from neurocuda_hw.nir.hdf5 import filled, parse
from neurocuda_hw.nir.read import KINDS, from_bytes
from neurocuda_hw.reference.reference import Reference

ONES = np.ones(3)
LEAK = {"r": 2 * ONES, "v_leak": np.zeros(3)}
FIRES = {"v_threshold": 2.5 * ONES, "v_reset": np.zeros(3)}
INTO = {"w": nir.Linear(weight=whole(3, 4))}


def flat(nodes):
    return graph((4,), (3,), nodes)


# tau of 2 steps leaves halves: exact in both, but for what the truncation of odd membranes takes
GRAPHS = {
    "Affine": (
        flat({"n": nir.Affine(weight=whole(3, 4), bias=whole(3)), "s": neuron(3)}),
        IF, Dense,
    ),
    "Linear": (flat({**INTO, "s": neuron(3)}), IF, Dense),
    "Scale": (graph((4,), (4,), {"n": nir.Scale(scale=whole(4)), "s": neuron(4)}), IF, Diagonal),
    "Conv1d": (
        graph((2, 9), (3, 4), {
            "n": nir.Conv1d(9, whole(3, 2, 3), 2, 0, 1, 1, whole(3)), "s": neuron(3, 4),
        }),
        IF, Conv2d,
    ),
    "Conv2d": (
        graph((2, 5, 5), (3, 5, 5), {
            "n": conv2d(whole(3, 2, 3, 3), padding=1, input_shape=(5, 5)), "s": neuron(3, 5, 5),
        }),
        IF, Conv2d,
    ),
    "SumPool2d": (
        graph((2, 4, 4), (2, 2, 2), {"n": pool(nir.SumPool2d, 2), "s": neuron(2, 2, 2)}),
        IF, Diagonal,
    ),
    "AvgPool2d": (
        graph((2, 4, 4), (2, 2, 2), {
            "n": pool(nir.AvgPool2d, 2), "s": neuron(2, 2, 2, threshold=0.75),
        }),
        IF, Diagonal,
    ),
    "Flatten": (
        graph((2, 3, 3), (3,), {
            "n": nir.Flatten({"input": np.array([2, 3, 3])}, start_dim=0),
            "w": nir.Linear(weight=whole(3, 18)),
            "s": neuron(3),
        }),
        IF, Dense,
    ),
    "IF": (flat({**INTO, "n": neuron(3)}), IF, Dense),
    "LIF": (flat({**INTO, "n": nir.LIF(tau=2 * ONES, **LEAK, **FIRES)}), LIF, Dense),
    "CubaLIF": (
        flat({**INTO, "n": nir.CubaLIF(
            tau_syn=2 * ONES, tau_mem=2 * ONES, w_in=2 * ONES, **LEAK, **FIRES
        )}),
        CubaLIF, Dense,
    ),
    "LI": (flat({**INTO, "n": nir.LI(tau=2 * ONES, **LEAK)}), LeakyReadout, Dense),
    "CubaLI": (
        flat({**INTO, "n": nir.CubaLI(
            tau_syn=2 * ONES, tau_mem=2 * ONES, w_in=4 * ONES, **LEAK
        )}),
        CubaReadout, Dense,
    ),
    "I": (flat({**INTO, "n": nir.I(r=ONES)}), Readout, Dense),
    "Threshold": (flat({**INTO, "n": nir.Threshold(threshold=2 * ONES)}), LIF, Dense),
    "Delay": (
        graph((4,), (3,), {"n": nir.Delay(delay=np.full(4, 2.0)), **INTO, "s": neuron(3)}),
        IF, Dense,
    ),
    "NIRGraph": (flat({"n": SUB, **INTO, "s": neuron(3)}), IF, Dense),
    "residual edges": (
        graph((4,), (4,), {
            "s": neuron(4, threshold=0.5), "w": nir.Linear(weight=whole(4, 4)), "n": neuron(4),
        }, [("input", "s"), ("s", "w"), ("w", "n"), ("s", "n"), ("n", "output")]),
        IF, Dense,
    ),
    "recurrent edges": (
        graph((4,), (4,), {
            "w": nir.Linear(weight=whole(4, 4)), "n": neuron(4),
            "r": nir.Linear(weight=whole(4, 4)),
        }, [("input", "w"), ("w", "n"), ("n", "r"), ("r", "n"), ("n", "output")]),
        IF, Dense,
    ),
}  # fmt: skip
EVERYWHERE = ("Input", "Output")  # each of these graphs has them
TRUNCATING = ("LIF", "CubaLIF", "LI", "CubaLI")


def test_no_type_is_left_out():
    assert {*KINDS} == {*GRAPHS, *EVERYWHERE} - {"residual edges", "recurrent edges"}
    classes = {c.__name__ for c in (*STATEFUL, *LINEAR)} | {*EVERYWHERE, "NIRGraph"}
    assert {*KINDS} == classes


@pytest.mark.parametrize("name", GRAPHS)
def test_type(name):
    built, population, synapse = GRAPHS[name]
    found = from_bytes(nir_bytes(built), parser=lambda data: filled(*parse(data)))
    steps = 12
    network = from_nir(found, steps, dt=1.0, weight_bits=16)
    assert type(network.output.neuron) is population
    assert type(network.incoming(network.output.name)[0].synapse) is synapse
    inputs = np.random.default_rng(3).integers(0, 2, (40, steps, *network.input.shape))
    executor = Executor(found, dt=1.0)
    shape = executor.flat.shapes[executor.flat.input]
    floats = executor.run(inputs.reshape(40, steps, *shape)).outputs.flatten(1)
    worth = 1.0 if network.output.scale is None else float(network.output.scale)
    integers = Reference(network).run(inputs).outputs.to(torch.float64) * worth
    assert int(floats.count_nonzero()) > 10
    if name in TRUNCATING:
        assert float((integers - floats).abs().max()) < 0.01
    else:
        assert torch.equal(integers, floats)
    assert compare(executor, network, inputs).agreement == 1
