"""Cuts, limits, refusals and the fit report."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small import SPIKES, chain
from strategies import networks

from neurocuda_hw import loihi
from neurocuda_hw.loihi.limits import LOIHI1, LOIHI2, ChipLimits, Limit
from neurocuda_hw.loihi.lower import lower
from neurocuda_hw.loihi.mapping import Mapping, map_network
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool


def dense(*sizes: int, bits: int = 8) -> Network:
    """Dense layers of the given sizes behind an input, every weight of the same width."""
    populations = [
        Population(name="input", shape=(sizes[0],), neuron=Input(encoding=Encoding.SPIKES))
    ]
    projections = []
    for number, (ins, outs) in enumerate(pairwise(sizes)):
        last = number == len(sizes) - 2
        name = "out" if last else f"layer{number}"
        neuron = Readout() if last else IF(threshold=5)
        populations.append(Population(name=name, shape=(outs,), neuron=neuron))
        weight = np.full((outs, ins), -(2 ** (bits - 1)))
        source = populations[-2].name
        projections.append(Projection(source=source, target=name, synapse=Dense(weight=weight)))
    return Network(populations=tuple(populations), projections=tuple(projections), timesteps=2)


def limited(**values: int) -> ChipLimits:
    """Loihi 2 with some limits changed."""
    changes = {n: Limit(value=v, unit="", label="assumed", source="") for n, v in values.items()}
    return replace(LOIHI2, **changes)  # type: ignore[arg-type]


def mapped(network: Network, chip: ChipLimits = LOIHI2, **options: object) -> Mapping:
    """The mapping of a network."""
    return map_network(lower(network, chip), **options)  # type: ignore[arg-type]


def test_a_dense_layer_takes_the_memory_of_its_weights() -> None:
    mapping = mapped(dense(1000, 100, 10))
    layer, out = mapping.usage()
    assert layer.synapse_bytes == 1000 * 100
    assert (layer.in_axons, layer.out_axons, layer.neurons) == (1000, 100, 100)
    assert layer.core_bytes == 100_000 + 100 * 8 + 1000 * 4 + 100 * 4
    assert (out.synapse_bytes, out.in_axons, out.out_axons) == (1000, 100, 0)


def test_weights_that_fill_memory_split_a_layer() -> None:
    mapping = mapped(dense(1000, 512, 10))
    assert [len(part.neurons) for part in mapping.of("layer0")] == [128] * 4
    assert mapping.cores == 5
    assert all(usage.synapse_bytes == 128_000 for usage in mapping.usage()[:4])


def test_narrow_weights_take_less_memory() -> None:
    assert len(mapped(dense(1000, 512, 10, bits=4)).of("layer0")) == 2


def test_a_convolution_is_stored_once_per_core() -> None:
    network = chain(
        2,
        {
            "input": ((2, 8, 8), SPIKES),
            "hidden": ((6, 6, 6), IF(threshold=3)),
            "out": ((2,), Readout()),
        },
        Conv2d(weight=np.full((6, 2, 3, 3), -128)),
        Dense(weight=np.full((2, 54), -128), pool=SumPool(kernel=(2, 2))),
    )
    whole, out = mapped(network).usage()
    assert (whole.neurons, whole.synapse_bytes, whole.in_axons) == (216, 6 * 2 * 9, 128)
    assert (out.synapse_bytes, out.in_axons) == (2 * 54, 216)
    channels = mapped(network, limited(neurons=108))
    assert [p.usage.synapse_bytes for p in channels.of("hidden")] == [54, 54]
    assert [p.usage.in_axons for p in channels.of("hidden")] == [128, 128]
    with pytest.raises(loihi.MappingError, match=r"its in_axons are 2\.2 times the limit"):
        mapped(network, limited(in_axons=100))


def test_a_convolution_is_cut_by_rows_where_its_channels_need_too_many_axons() -> None:
    cell = IF(threshold=3)
    network = chain(
        2,
        {
            "input": ((2, 8, 8), SPIKES),
            "hidden": ((6, 6, 6), cell),
            "out": ((6, 6, 6), cell),
        },
        Conv2d(weight=np.ones((6, 2, 3, 3), int)),
        Diagonal(weight=np.ones(6, dtype=int)),
    )
    mapping = mapped(network, limited(in_axons=108))
    assert [(p.usage.neurons, p.usage.in_axons) for p in mapping.of("hidden")] == [(108, 80)] * 2
    rows = mapping.of("hidden")[0].neurons.reshape(6, -1)
    assert rows[1].tolist() == list(range(36, 54))


@settings(max_examples=40)
@given(networks(recurrent=False), st.integers(1, 4))
def test_every_neuron_has_one_core_and_no_limit_is_broken(network: Network, cores: int) -> None:
    largest = max(p.size for p in network.targets)
    chip = limited(neurons=-(-largest // cores))
    try:
        mapping = mapped(network, chip, input_on_chip=False)
    except loihi.MappingError:  # a cut by channels or rows can be coarser than the limit
        assume(False)
    for population in network.targets:
        found = np.concatenate([part.neurons for part in mapping.of(population.name)])
        assert sorted(found.tolist()) == list(range(population.size))
    names, fill = mapping.fill()
    assert fill.shape == (mapping.cores, len(names))
    assert fill.max() <= 1


def test_packing_shares_cores_up_to_the_groups() -> None:
    network = dense(10, *[4] * 9, 2)
    assert mapped(network).cores == 10
    packed = mapped(network, pack=True)
    assert packed.cores == 2
    assert packed.usage()[0].groups == 8


def test_chips_beyond_the_first_have_to_be_allowed() -> None:
    network = dense(100, 600, 10)
    chip = limited(cores=2, neurons=200)
    message = (
        "network 'network' must fit 2 cores of 1 loihi2 chip, not 3; allow 2 chips, or make it "
        "smaller\n"
        "population        neurons  cores     neuron  limited by       fill\n"
        "input                 100   host\n"
    )
    with pytest.raises(loihi.MappingError, match=f"^{re.escape(message)}"):
        mapped(network, limited(cores=2, neurons=400, synapse_bytes=30_000))
    mapping = mapped(network, chip, chips=2)
    assert (mapping.cores, mapping.chips) == (4, 2)
    assert mapping.report().endswith("4 of 4 cores of 2 loihi2 chips")


def test_what_never_fits_is_refused_with_the_table() -> None:
    message = (
        "population 'layer0' must fit the cores of loihi1 however finely it is cut, but its "
        "in_axons are 1.2 times the limit; make the layer smaller\n"
        "limit              needed   allowed  (the whole layer on one core)\n"
        "neurons                 8      1024\n"
    )
    network = dense(5000, 8, 2)
    with pytest.raises(loihi.MappingError, match=f"^{re.escape(message)}"):
        map_network(replace(lower(network, LOIHI2), limits=LOIHI1))


def test_a_layer_that_more_chips_would_hold_is_refused_with_their_number() -> None:
    message = (
        "population 'layer0' must fit 2 cores of 1 loihi2 chip, but its synapse_bytes are 2.5 "
        "times the limit of each; allow 3 chips, or make the layer smaller\n"
        "limit              needed   allowed  (the whole layer on one core)\n"
    )
    network, chip = dense(100, 500, 10), limited(cores=2, synapse_bytes=10_000)
    with pytest.raises(loihi.MappingError, match=f"^{re.escape(message)}"):
        mapped(network, chip)
    assert mapped(network, chip, chips=3).chips == 3


def test_the_report_says_what_limits_each_layer() -> None:
    lines = mapped(dense(1000, 512, 10)).report().splitlines()
    assert lines[1].split() == ["input", "1000", "host"]
    assert lines[2].split() == ["layer0", "512", "4", "microcode", "synapse_bytes", "98%"]
    assert lines[-1] == "5 of 128 cores of 1 loihi2 chip"


@pytest.mark.parametrize("chip", [LOIHI1, LOIHI2])
def test_every_limit_has_label_and_source(chip: ChipLimits) -> None:
    rows = chip.table().splitlines()[1:]
    assert len(rows) == 13
    assert all(re.search(r" (published|assumed) +\S", row) for row in rows)
