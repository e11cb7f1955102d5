"""NIR graphs in: each node type against the float executor, and that against plain equations."""

import re

import nir
import numpy as np
import pytest
import torch
from nir_graphs import GRAPHS, graph, neuron, whole

from neurocuda_hw.ground.errors import DataError, ModelError, UnsupportedLayerError
from neurocuda_hw.network.neurons import (
    IF,
    LIF,
    CubaLIF,
    CubaReadout,
    Encoding,
    LeakyReadout,
    Readout,
    Reset,
)
from neurocuda_hw.nir import Executor, Method, choose_bits, compare, from_nir, reset_hint
from neurocuda_hw.nir.flat import flatten
from neurocuda_hw.reference.reference import Reference


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("reset", ["nir", "subtract"])
@pytest.mark.parametrize("fires_at", [False, True])
def test_integers_equal_floats(name, reset, fires_at):
    if reset == "subtract" and name in (
        "threshold",
        "integrator and threshold",
        "reset to a value",
    ):
        pytest.skip("a node without a reset of its own, or with another")
    found = GRAPHS[name]
    steps = 12
    network = from_nir(found, steps, dt=1.0, reset=reset, fires_at=fires_at)
    inputs = np.random.default_rng(3).integers(0, 2, (5, steps, *network.input.shape))
    executor = Executor(found, dt=1.0, subtract=reset == "subtract", fires_at=fires_at)
    result = compare(executor, network, inputs)
    assert all(layer.agreement == 1 and layer.rate_error == 0 for layer in result.layers), result
    shape = executor.flat.shapes[executor.flat.input]
    floats = executor.run(inputs.reshape(5, steps, *shape)).outputs.flatten(1)
    outputs = Reference(network).run(inputs).outputs
    if isinstance(network.output.neuron, Readout):
        units = (
            1.0 if network.output.scale is None else torch.from_numpy(network.output.scale.copy())
        )
        assert torch.equal(outputs * units, floats)
    else:
        assert torch.equal(outputs.to(torch.float64), floats)
        assert 0 < float(floats.sum()) < floats.numel() * steps


@pytest.mark.parametrize("method", ["euler", "exact"])
@pytest.mark.parametrize("subtract", [False, True])
def test_executor_of_leaky_neurons_is_the_equation(method, subtract):
    tau, syn, dt, r, leak, level, w_in, back = 0.01, 0.004, 0.001, 3.0, 0.1, 1.2, 2.0, -0.25
    one = np.ones(1)
    found = graph(
        (1,),
        (1,),
        {
            "s": nir.CubaLIF(
                tau_syn=syn * one,
                tau_mem=tau * one,
                r=r * one,
                v_leak=leak * one,
                v_threshold=level * one,
                v_reset=back * one,
                w_in=w_in * one,
            )
        },
    )
    k, ku = (1 - dt / tau, 1 - dt / syn) if method == "euler" else np.exp([-dt / tau, -dt / syn])
    u = v = 0.0
    want = []
    inputs = np.random.default_rng(4).integers(0, 3, 200)
    for x in inputs:
        u = ku * u + (1 - ku) * w_in * x
        v = k * v + (1 - k) * (leak + r * u)
        want.append(int(v > level))
        if v > level:
            v = v - level if subtract else back
    executor = Executor(found, dt=dt, method=Method(method), subtract=subtract)
    got = executor.run(inputs.reshape(1, -1, 1), spikes=True).spikes["s"].flatten()
    assert got.tolist() == want
    assert 5 < sum(want) < 150


LEAKY = {
    "LIF": nir.LIF(
        tau=np.full(3, 0.01), r=np.full(3, 10.0), v_leak=np.full(3, 0.02),
        v_threshold=np.full(3, 2.0), v_reset=np.full(3, 0.1),
    ),
    "CubaLIF": nir.CubaLIF(
        tau_syn=np.full(3, 0.004), tau_mem=np.full(3, 0.01), r=np.full(3, 3.0),
        v_leak=np.full(3, 0.02), v_threshold=np.full(3, 2.0), w_in=np.full(3, 2.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LEAKY)
@pytest.mark.parametrize("method", ["euler", "exact"])
def test_leaky_neurons_come_close_with_more_bits(kind, method):
    weight = np.random.default_rng(8).normal(size=(3, 6)) + 0.4
    found = graph(
        (6,), (3,), {"fc": nir.Affine(weight=weight, bias=np.full(3, 0.1)), "s": LEAKY[kind]}
    )
    inputs = np.random.default_rng(9).integers(0, 2, (20, 100, 6))
    executor = Executor(found, dt=1e-3, method=Method(method))
    agreements = [
        compare(
            executor, from_nir(found, 100, dt=1e-3, method=method, weight_bits=bits), inputs
        ).agreement
        for bits in (4, 16)
    ]
    assert agreements[0] < agreements[1]
    assert agreements[1] > 0.98
    network = choose_bits(found, 100, inputs, agreement=0.95, dt=1e-3, method=method)
    assert compare(executor, network, inputs).agreement >= 0.95
    assert 2 < network.projections[-1].synapse.weight_bits < 17


READOUTS = {
    "LI": (
        nir.LI(tau=np.full(3, 0.02), r=np.full(3, 2.0), v_leak=np.full(3, 0.1)), LeakyReadout
    ),
    "CubaLI": (
        nir.CubaLI(
            tau_syn=np.full(3, 0.004), tau_mem=np.array([0.01, 0.02, 0.03]), r=np.full(3, 3.0),
            v_leak=np.full(3, -0.1), w_in=np.full(3, 2.0),
        ),
        CubaReadout,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", READOUTS)
@pytest.mark.parametrize("method", ["euler", "exact"])
def test_leaky_readouts(kind, method):
    node, population = READOUTS[kind]
    weight = np.random.default_rng(8).normal(size=(3, 4)) + 0.2
    found = graph(
        (4,),
        (3,),
        {
            "s": neuron(4, threshold=1.0),
            "fc": nir.Affine(weight=weight, bias=np.array([0.1, -0.2, 0.3])),
            "v": node,
        },
    )
    inputs = np.random.default_rng(9).integers(0, 2, (20, 60, 4))
    floats = Executor(found, dt=1e-3, method=Method(method)).run(inputs).outputs
    errors = []
    for bits in (5, 16):
        network = from_nir(found, 60, dt=1e-3, method=method, weight_bits=bits)
        assert type(network.output.neuron) is population
        integers = Reference(network).run(inputs).outputs * float(network.output.scale)
        errors.append(float((integers - floats).abs().max() / floats.abs().max()))
    assert errors[1] < errors[0] < 0.3
    assert errors[1] < 0.005


def test_what_a_leaky_readout_becomes():
    node = nir.LI(tau=np.full(2, 0.01), r=np.full(2, 10.0), v_leak=np.zeros(2))
    weight = np.array([[0.5, -1.0], [2.0, 0.25]])
    found = graph((2,), (2,), {"w": nir.Linear(weight=weight), "v": node})
    network = from_nir(found, 5, dt=1e-3)
    assert network.output.neuron.decay.tolist() == round(4096 * 0.1)
    assert network.output.scale.shape == ()  # one for all: integers compare as the values do
    assert network.projections[0].synapse.weight.tolist() == [[32, -64], [127, 16]]


def test_integers_of_a_readout_compare_whatever_stands_behind_it():
    found = graph(
        (2,),
        (2,),
        {
            "w": nir.Linear(weight=np.array([[5.0, 5.0], [4.0, 4.0]])),
            "v": nir.I(r=np.ones(2)),
            "x": nir.Scale(scale=np.array([1.0, 2.0])),
        },
    )
    network = from_nir(found, 4)
    inputs = np.ones((3, 4, 2), dtype=np.int64)
    assert network.output.scale.shape == ()
    assert Reference(network).run(inputs).outputs.argmax(1).tolist() == [1, 1, 1]
    result = compare(Executor(found), network, inputs, np.array([1, 1, 1]))
    assert (result.graph_accuracy, result.integer_accuracy) == (1.0, 1.0)


def test_bits_that_do_not_do():
    found = graph((6,), (3,), {"fc": nir.Linear(weight=whole(3, 6) / 7), "s": LEAKY["LIF"]})
    inputs = np.random.default_rng(9).integers(0, 2, (10, 60, 6))
    with pytest.raises(
        ModelError,
        match=r"^agreement of spikes must be at least 100\.00% with up to 3 weight bits, not "
        r"\d+\.\d\d%; ask for less, or for more bits$",
    ):
        choose_bits(found, 60, inputs, agreement=1.0, most=3, dt=1e-3)


def test_what_a_graph_becomes():
    weight = np.array([[0.5, -1.0], [2.0, 0.25]])
    found = graph((2,), (2,), {"0": nir.Affine(weight=weight, bias=np.zeros(2)), "1": neuron(2)})
    network = from_nir(found, 7, weight_bits=8, reset="nir", name="two")
    population = network["n1"]
    assert type(population.neuron) is IF
    assert population.neuron.reset is Reset.ZERO
    # the coarsest grids that hold the weights and the reset: halves and quarters
    assert network.projections[0].synapse.weight.tolist() == [[1, -2], [8, 1]]
    assert population.neuron.threshold.tolist() == [3 * 2 + 1, 3 * 4 + 1]
    subtracting = from_nir(found, 7, reset="subtract")["n1"].neuron
    assert subtracting.reset is Reset.SUBTRACT
    assert subtracting.threshold.tolist() == [6, 12]
    assert subtracting.v_init.tolist() == -1  # v > theta is v - 1 >= theta
    at = from_nir(found, 7, reset="subtract", fires_at=True)["n1"].neuron
    assert (at.threshold.tolist(), at.v_init.tolist()) == ([6, 12], 0)


def test_leaky_kinds_and_decays():
    found = graph((3,), (3,), {"s": LEAKY["LIF"]})
    leaky = from_nir(found, 5, dt=1e-3)["s"].neuron
    assert type(leaky) is LIF
    assert leaky.decay.tolist() == round(4096 * 0.1)
    assert leaky.reset is Reset.TO_VALUE
    cuba = from_nir(graph((3,), (3,), {"s": LEAKY["CubaLIF"]}), 5, dt=1e-3)["s"].neuron
    assert type(cuba) is CubaLIF
    assert (cuba.du.tolist(), cuba.dv.tolist()) == (1024, 410)
    exact = from_nir(found, 5, dt=1e-3, method="exact")["s"].neuron
    assert exact.decay.tolist() == round(4096 * (1 - np.exp(-0.1)))


def test_graded_input_and_its_scale():
    found = graph((4,), (3,), {"w": nir.Linear(weight=whole(3, 4)), "s": neuron(3)})
    network = from_nir(
        found, 6, encoding=Encoding.GRADED, payload_bits=3, input_scale=0.25, weight_bits=10
    )
    inputs = np.random.default_rng(3).integers(0, 8, (5, 6, 4))
    assert compare(Executor(found), network, inputs).agreement == 1
    want = Executor(found).run(inputs * 0.25).outputs
    assert torch.equal(Reference(network).run(inputs).outputs.to(torch.float64), want)


def test_held_input():
    found = GRAPHS["affine"]
    network = from_nir(found, 6, encoding=Encoding.CURRENT, payload_bits=3)
    inputs = np.random.default_rng(3).integers(0, 8, (5, 4))
    assert compare(Executor(found), network, inputs).agreement == 1


def test_accuracy_is_told_where_labels_are():
    found = GRAPHS["affine"]
    network = from_nir(found, 6)
    inputs = np.random.default_rng(3).integers(0, 2, (50, 6, 4))
    labels = Reference(network).run(inputs).outputs.argmax(1).numpy()
    result = compare(Executor(found), network, inputs, labels)
    assert (result.graph_accuracy, result.integer_accuracy) == (1.0, 1.0)
    assert str(result).splitlines()[-1].split() == ["accuracy", "100.00%", "100.00%"]


def test_delayed_arcs_are_those_that_lead_back():
    assert flatten(GRAPHS["a ring of two"]).delayed == {("t", "s")}
    assert flatten(GRAPHS["recurrent"]).delayed == {("s", "s")}
    assert flatten(GRAPHS["delay in a cycle"], 1.0).delayed == frozenset()


def test_needs_dt_and_steps():
    found = graph((3,), (3,), {"s": LEAKY["LIF"]})
    with pytest.raises(
        ModelError,
        match=r"^NIR node 's' tau is in seconds: say how long a step is with dt \(--dt\)$",
    ):
        from_nir(found, 5)
    with pytest.raises(
        ModelError,
        match=r"^a NIR graph does not say its number of steps: give timesteps \(--steps\)$",
    ):
        from_nir(found, dt=1e-3)
    with pytest.raises(
        ModelError,
        match=r"^NIR node 's' tau must be at least dt \(0\.1\) under forward Euler, not 0\.01; "
        r"take a smaller dt or the method 'exact'$",
    ):
        from_nir(found, 5, dt=0.1)
    assert from_nir(found, 5, dt=0.1, method="exact")["s"].neuron.decay > 4000


def test_what_cannot_be_integers():
    leaky = nir.LI(tau=np.full(3, 0.1), r=np.ones(3), v_leak=np.zeros(3))
    shifted = {"v": leaky, "b": nir.Affine(weight=np.eye(3), bias=np.ones(3))}
    with pytest.raises(
        UnsupportedLayerError,
        match=r"^layer 'v' \(LI\) cannot be converted: it leaks, so a constant behind it cannot be "
        r"where it starts from; leave the bias out$",
    ):
        from_nir(graph((3,), (3,), shifted), 5, dt=1e-2)
    between = {"v": leaky, "w": nir.Linear(weight=whole(3, 3)), "s": neuron(3)}
    with pytest.raises(
        UnsupportedLayerError,
        match=r"^layer 'v' \(LI\) cannot be converted: its values are no spikes; put a Threshold, "
        r"or make it the last node$",
    ):
        from_nir(graph((3,), (3,), between), 5, dt=1e-2)
    late = {"d": nir.Delay(delay=np.full(4, 2.0)), "s": neuron(4)}
    with pytest.raises(
        UnsupportedLayerError,
        match=r"^layer 's' \(Delay\) cannot be converted: an input that is not binary can be "
        r"delayed by at most one step$",
    ):
        from_nir(graph((4,), (4,), late), 5, dt=1.0, encoding=Encoding.GRADED, payload_bits=2)


@pytest.mark.parametrize(
    ("delay", "dt", "said"),
    [(1.0, 2.0**-900, f"{2.0**900}"), (-3.0, 0.1, "-30.0"), (200.0, 0.1, "2000.0")],
)
def test_delays_have_bounds(delay, dt, said):
    late = {"d": nir.Delay(delay=np.full(4, delay)), "s": neuron(4)}
    sentence = f"NIR node 'd' (Delay) must be 0 to 1024 steps of dt {dt}, not {said}"
    with pytest.raises(ModelError, match=f"^{re.escape(sentence)}$"):
        from_nir(graph((4,), (4,), late), 5, dt=dt)


def test_one_number_for_all_may_have_any_axes():
    late = {"d": nir.Delay(delay=np.full((1, 1, 1), 2.0)), "x": nir.Scale(scale=np.full((1, 1), 3))}
    found = from_nir(graph((4,), (4,), {**late, "s": neuron(4)}), 5, dt=1.0)
    plain = {"d": nir.Delay(delay=np.full(4, 2.0)), "x": nir.Scale(scale=np.full(4, 3))}
    assert found == from_nir(graph((4,), (4,), {**plain, "s": neuron(4)}), 5, dt=1.0)


def test_arguments():
    with pytest.raises(ValueError, match=r"^reset must be 'nir' or 'subtract', not 'hard'$"):
        from_nir(GRAPHS["affine"], 5, reset="hard")
    with pytest.raises(ValueError, match=r"^weight_bits must be 2 to 32, not 1$"):
        from_nir(GRAPHS["affine"], 5, weight_bits=1)
    with pytest.raises(ValueError, match=r"^dt must be a positive number of seconds, not -1$"):
        from_nir(GRAPHS["affine"], 5, dt=-1)
    with pytest.raises(
        DataError, match=r"^inputs must have the shape \(samples, steps, 4\), not \(2, 4\)$"
    ):
        Executor(GRAPHS["affine"]).run(np.zeros((2, 4)))


def test_hint_where_the_metadata_names_a_framework():
    found = graph((3,), (3,), {"s": neuron(3)})
    assert reset_hint(found) is None
    found.metadata = {"exporter": {"name": "sinabs 3.1"}}
    assert reset_hint(found) == (
        "this file names sinabs: sinabs subtracts the threshold unless reset_fn says otherwise; "
        "NIR's own rule is a reset to v_reset, so say which is meant (--reset subtract or --reset "
        "nir)"
    )
