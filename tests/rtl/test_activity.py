"""What layers say of each cycle, beside the golden trace and what must be so."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from rtl.bench import Bench

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, LIF, Encoding, Input, Readout
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.activity import State


def dense(source: str, target: str, weight: np.ndarray, delay: int = 0) -> Projection:
    return Projection(source=source, target=target, synapse=Dense(weight=weight), delay=delay)


def recurrent() -> Network:
    """Two populations end in `b`, one of them itself."""
    rng = np.random.default_rng(4)
    return Network(
        populations=(
            Population(name="x", shape=(6,), neuron=Input(encoding=Encoding.SPIKES)),
            Population(name="a", shape=(8,), neuron=IF(threshold=3, bias=1)),
            Population(name="b", shape=(5,), neuron=LIF(threshold=4, decay=300)),
            Population(name="o", shape=(3,), neuron=Readout()),
        ),
        projections=(
            dense("x", "a", rng.integers(-2, 6, (8, 6))),
            dense("a", "b", rng.integers(-3, 5, (5, 8))),
            dense("x", "b", rng.integers(-3, 5, (5, 6))),
            dense("b", "b", rng.integers(-3, 3, (5, 5)), delay=1),
            dense("b", "o", rng.integers(-5, 6, (3, 5))),
        ),
        timesteps=4,
    )


@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_events_and_spikes_are_the_golden_ones(stalls: float) -> None:
    network = recurrent()
    inputs = np.random.default_rng(0).integers(0, 2, (3, 4, 6))
    golden = Reference(network).trace(inputs)
    bench = Bench(network, stalls=stalls, seed=2, observe=True)
    bench.run(inputs)
    spikes = {name: golden.bits(name) for name in ("a", "b")} | {"x": inputs}
    for name, did in bench.activity.items():
        events = 0
        for projection in network.incoming(name):
            events += int(spikes[projection.source][:, : 4 - projection.delay].sum())
        assert sum(taken for _, taken, _ in did) == events
        assert max(taken for _, taken, _ in did) <= len(network.incoming(name))
        want = 3 * len(inputs) if name == "o" else int(spikes[name].sum())
        assert sum(spike for *_, spike in did) == want
        assert len(did) == bench.cycles
        assert {state for state, *_ in did} <= {state.value for state in State}


def slow_target(neurons: int, targets: int) -> Network:
    """One event of `a` takes `targets` cycles in `o`, at one lane."""
    return Network(
        populations=(
            Population(name="x", shape=(2,), neuron=Input(encoding=Encoding.SPIKES)),
            Population(name="a", shape=(neurons,), neuron=IF(threshold=1)),
            Population(name="o", shape=(targets,), neuron=Readout()),
        ),
        projections=(
            dense("x", "a", np.ones((neurons, 2), dtype=int)),
            dense("a", "o", np.ones((targets, neurons), dtype=int)),
        ),
        timesteps=4,
    )


def states(network: Network, inputs: np.ndarray) -> dict[str, Counter[State]]:
    bench = Bench(network, lanes={"a": 1, "o": 1}, observe=True)
    bench.run(inputs)
    return {
        name: Counter(State(state) for state, *_ in did) for name, did in bench.activity.items()
    }


def test_a_slow_target_stalls_its_source_and_is_busy_itself() -> None:
    network, inputs = slow_target(12, 16), np.ones((3, 4, 2), dtype=int)
    seen = states(network, inputs)
    assert seen["o"][State.INTEGRATING] == 3 * 4 * 12 * 16
    assert seen["a"][State.INTEGRATING] == 3 * 4 * 2 * 12
    assert seen["a"][State.STALLED] > seen["a"][State.INTEGRATING]
    assert seen["o"][State.STALLED] <= 3 * 5 * 16  # its values leave one by one, with waits


def test_a_fast_target_starves() -> None:
    network, inputs = slow_target(12, 1), np.zeros((2, 4, 2), dtype=int)
    inputs[:, 0] = 1
    seen = states(network, inputs)
    assert seen["o"][State.STARVED] > 2 * seen["o"][State.INTEGRATING] > 0
    assert seen["a"][State.STALLED] == 0
