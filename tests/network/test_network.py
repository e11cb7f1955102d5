"""Validation of networks, and the hash of all that decides a spike."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import networks

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, LIF, Encoding, Input, Readout, Reset, Window
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool

SOURCE = Population(name="input", shape=(3,), neuron=Input(encoding=Encoding.SPIKES))
HIDDEN = Population(name="hidden", shape=(2,), neuron=IF(threshold=5))
OUT = Population(name="out", shape=(2,), neuron=Readout())


def dense(source: str, target: str, shape: tuple[int, int], delay: int = 0) -> Projection:
    """A projection with weights of one."""
    synapse = Dense(weight=np.ones(shape, int))
    return Projection(source=source, target=target, synapse=synapse, delay=delay)


FIRST, SECOND = dense("input", "hidden", (2, 3)), dense("hidden", "out", (2, 2))


def network(**changes: object) -> Network:
    """input -> hidden -> out, with changes."""
    fields: dict[str, object] = {
        "populations": (SOURCE, HIDDEN, OUT),
        "projections": (FIRST, SECOND),
        "timesteps": 4,
    }
    return Network(**(fields | changes))  # type: ignore[arg-type]


def test_finds_its_parts() -> None:
    n = network()
    assert (n.input, n.output, n["hidden"]) == (SOURCE, OUT, HIDDEN)
    assert n.targets == (HIDDEN, OUT)
    assert n.incoming("out") == n.outgoing("hidden") == (SECOND,)
    assert n.window("hidden") == Window(start=0, stop=4)
    with pytest.raises(KeyError, match="nobody"):
        n["nobody"]


@pytest.mark.parametrize("delayed", [False, True])
def test_output_is_what_feeds_nobody_within_the_step(delayed: bool) -> None:
    loop = (dense("out", "out", (2, 2), delay=1),) if delayed else ()
    spiking = replace(OUT, neuron=IF(threshold=1))
    n = network(populations=(SOURCE, HIDDEN, spiking), projections=(FIRST, SECOND, *loop))
    assert n.output is spiking


def test_coordinates_and_shapes() -> None:
    p = Population(name="p", shape=(2, 3, 4), neuron=IF(threshold=1))
    assert (p.size, p.chw, p.spiking) == (24, (2, 3, 4), True)
    assert p.coordinates(23) == (1, 2, 3)
    assert p.coordinates(5) == (0, 1, 1)
    assert HIDDEN.chw == (2, 1, 1)
    assert HIDDEN.coordinates(1) == (1,)
    assert not OUT.spiking


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "My Net"}, "network name must be a lower case identifier, not 'My Net'"),
        ({"timesteps": 0}, "timesteps must be 1 to 65535, not 0"),
        ({"timesteps": 65536}, "timesteps must be 1 to 65535, not 65536"),
        ({"timesteps": 4.0}, "timesteps must be an integer, not 4.0"),
        (
            {"populations": (SOURCE, HIDDEN, HIDDEN, OUT)},
            "population names must be unique, not repeated: hidden",
        ),
        (
            {"projections": (FIRST, dense("hidden", "nowhere", (2, 2)))},
            "projection hidden -> nowhere: there is no population 'nowhere'",
        ),
        (
            {"populations": (SOURCE, OUT, HIDDEN)},
            "projection hidden -> out: without delay it must go from an earlier to a later "
            "population; list them in topological order or give it delay=1",
        ),
        (
            {"projections": (FIRST, SECOND, dense("hidden", "hidden", (2, 2)))},
            "projection hidden -> hidden: without delay it must go from an earlier to a later "
            "population; list them in topological order or give it delay=1",
        ),
        (
            {"projections": (FIRST, SECOND, dense("hidden", "input", (3, 2), delay=1))},
            "projection hidden -> input: nothing may end in an input",
        ),
        (
            {"projections": (FIRST, SECOND, dense("out", "hidden", (2, 2), delay=1))},
            "projection out -> hidden: a readout sends no spikes",
        ),
        (
            {"projections": (dense("input", "hidden", (2, 4)), SECOND)},
            "projection input -> hidden: dense weight must have the shape (2, 3), not (2, 4)",
        ),
        (
            {"populations": (SOURCE, replace(SOURCE, name="second"), HIDDEN, OUT)},
            "a network must have exactly one input, not 2",
        ),
        (
            {"populations": (HIDDEN, OUT), "projections": (SECOND,)},
            "a network must have exactly one input, not 0",
        ),
        (
            {"projections": (SECOND,)},
            "population 'hidden' must be the target of a projection",
        ),
        (
            {"projections": (FIRST, dense("input", "out", (2, 3)))},
            "a network must have exactly one output, not 2: ['hidden', 'out']",
        ),
        (
            {"populations": (SOURCE,), "projections": ()},
            "a network must have exactly one output, not 1: ['input']",
        ),
        (
            {
                "populations": (
                    SOURCE,
                    replace(HIDDEN, neuron=IF(threshold=1, window=Window(start=0, stop=5))),
                    OUT,
                )
            },
            "population 'hidden': window must stop by step 4, not 5",
        ),
    ],
)
def test_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        network(**changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: replace(OUT, name="Out-1"),
            "population name must be lower case letters, digits and underscores, starting with a "
            "letter, not 'Out-1'",
        ),
        (
            lambda: replace(OUT, shape=(2, 2)),
            "population 'out': shape must be (N,) or (C, H, W), not (2, 2)",
        ),
        (
            lambda: replace(OUT, shape=(0,)),
            "population 'out': shape must be (N,) or (C, H, W), not (0,)",
        ),
        (
            lambda: replace(HIDDEN, neuron=IF(threshold=np.array([1, 2, 3]))),
            "population 'hidden': threshold must have the shape (), (2,) or (2,), not (3,)",
        ),
        (
            lambda: replace(HIDDEN, scale=np.array([1.0, np.inf])),
            "population 'hidden': scale must be positive, one or one per channel",
        ),
        (
            lambda: replace(OUT, shape=(2.5,)),
            "population 'out': shape must be an integer, not 2.5",
        ),
        (
            lambda: dense("a", "b", (1, 1), delay=2),
            "projection a -> b: delay must be 0 or 1, not 2",
        ),
    ],
)
def test_refuses_parts(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        make()


def test_refuses_other_types() -> None:
    with pytest.raises(TypeError, match=r"^population 'out': neuron must be a Neuron, not 'IF'$"):
        replace(OUT, neuron="IF")
    with pytest.raises(TypeError, match=r"^synapse must be a Synapse, not None$"):
        Projection(source="a", target="b", synapse=None)  # type: ignore[arg-type]


def test_scale_and_name_are_not_hashed() -> None:
    other = network(name="other", populations=(SOURCE, replace(HIDDEN, scale=np.array(2.0)), OUT))
    assert other.hash == network().hash
    assert other == network()
    assert hash(other) == hash(network())


def test_hash_is_stable() -> None:
    """The value is part of every saved file: a change needs a new schema version."""
    assert network().hash == ("1068ae1e73fcbfd7ddc49186f52c05fcfacbac2f3b97b897e2e32e2914f82bab")


IF_VARIANTS = (
    IF(threshold=6),
    IF(threshold=np.array([5, 5])),
    IF(threshold=np.array([5, 6])),
    IF(threshold=5, bias=1),
    IF(threshold=5, v_init=1),
    IF(threshold=5, reset=Reset.ZERO),
    IF(threshold=5, reset=Reset.TO_VALUE),
    IF(threshold=5, reset=Reset.TO_VALUE, v_reset=1),
    IF(threshold=5, v_floor=0),
    IF(threshold=5, window=Window(start=0, stop=3)),
    LIF(threshold=5, decay=0),
    LIF(threshold=5, decay=1),
)


def test_every_field_changes_the_hash() -> None:
    found = [network(), network(timesteps=5)]
    found += [network(populations=(SOURCE, replace(HIDDEN, neuron=n), OUT)) for n in IF_VARIANTS]
    found += [
        network(populations=(replace(SOURCE, neuron=n), HIDDEN, OUT))
        for n in (
            Input(encoding=Encoding.GRADED),
            Input(encoding=Encoding.GRADED, payload_bits=2),
            Input(encoding=Encoding.GRADED, payload_bits=2, signed=True),
            Input(encoding=Encoding.SPIKES, window=Window(start=0, stop=1)),
        )
    ]
    weight = np.ones((2, 3), int)
    weight[1, 2] = 2
    found.append(network(projections=(replace(FIRST, synapse=Dense(weight=weight)), SECOND)))
    found.append(network(projections=(SECOND, FIRST)))
    found.append(network(projections=(FIRST, SECOND, dense("input", "out", (2, 3)))))
    found.append(network(projections=(FIRST, SECOND, dense("input", "out", (2, 3), delay=1))))
    one = replace(SECOND, synapse=Diagonal(weight=np.ones(2, int)))
    found.append(network(projections=(FIRST, one)))
    assert len({n.hash for n in found}) == len(found)


def convolution(**changes: object) -> Network:
    """A convolution whose output shape is the same for all changes of the test below."""
    fields: dict[str, object] = {"weight": np.ones((2, 2, 1, 1), int)}
    source = replace(SOURCE, shape=(2, 1, 1))
    synapse = Conv2d(**(fields | changes))  # type: ignore[arg-type]
    return Network(
        populations=(source, replace(OUT, shape=(2, 1, 1))),
        projections=(Projection(source="input", target="out", synapse=synapse),),
        timesteps=1,
    )


def test_every_field_of_a_convolution_changes_the_hash() -> None:
    found = [
        convolution(),
        convolution(stride=2),
        convolution(stride=(1, 2)),
        convolution(stride=3, padding=1),
        convolution(dilation=2),
        convolution(pool=SumPool(kernel=1)),
        convolution(pool=SumPool(kernel=1, stride=2)),
        convolution(weight=np.ones((2, 1, 1, 1), int), groups=2),
    ]
    assert len({n.hash for n in found}) == len(found)


def test_numpys_integers_hash_as_pythons() -> None:
    plain, numpys = (
        convolution(stride=kind(2), groups=kind(1), pool=SumPool(kernel=kind(1)))
        for kind in (int, np.int64)
    )
    assert plain.hash == numpys.hash
    window = Window(start=np.int64(0), stop=np.int32(3))  # type: ignore[arg-type]
    neuron = IF(threshold=np.int16(5), v_floor=np.int8(-1), window=window)  # type: ignore[arg-type]
    same = IF(threshold=5, v_floor=-1, window=Window(start=0, stop=3))
    one, other = (
        network(
            populations=(replace(SOURCE, neuron=source), replace(HIDDEN, neuron=n), OUT),
            timesteps=steps,
        )
        for source, n, steps in (
            (
                Input(encoding=Encoding.GRADED, payload_bits=np.int64(2), signed=np.True_),  # type: ignore[arg-type]
                neuron,
                np.int64(4),
            ),
            (Input(encoding=Encoding.GRADED, payload_bits=2, signed=True), same, 4),
        )
    )
    assert one.hash == other.hash


@settings(max_examples=30)
@given(networks())
def test_equal_networks_have_equal_hashes(n: Network) -> None:
    again = Network(populations=n.populations, projections=n.projections, timesteps=n.timesteps)
    assert again.hash == n.hash
    assert n.output.name == "out"
