"""Payloads at both ends of their range, and an explicit 0, through every target."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from tools import need

from neurocuda_hw.data.stimulus import default_inputs, packets
from neurocuda_hw.ground.toolchain import find_compiler, find_verilator
from neurocuda_hw.hls import Model, verify_hls
from neurocuda_hw.loihi.program import spikes
from neurocuda_hw.network import IF, Encoding, Input, Network, Population, Projection, Readout
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.simulation.simulate import Simulator

WIDTHS = (1, 2, 8, 16)
QUICK = (Encoding.GRADED, 1, False)
KINDS = [
    pytest.param(Encoding.SPIKES, 1, False, marks=pytest.mark.slow),
    *(
        pytest.param(
            encoding,
            bits,
            signed,
            marks=[] if (encoding, bits, signed) == QUICK else pytest.mark.slow,
        )
        for encoding, bits, signed in product(
            (Encoding.GRADED, Encoding.CURRENT), WIDTHS, (False, True)
        )
    ),
]


def network(encoding: Encoding, bits: int, signed: bool) -> Network:
    """Three inputs, two neurons, a readout of those and of the inputs; an event of 1 is seen."""
    image = Input(encoding=encoding, payload_bits=bits, signed=signed)
    first = Dense(weight=np.array([[3, -2, 1], [1, 2, -3]]))
    skip = Dense(weight=np.array([[1, 2, 4]]))
    return Network(
        populations=(
            Population(name="input", shape=(3,), neuron=image),
            Population(name="hidden", shape=(2,), neuron=IF(threshold=2**bits)),
            Population(name="out", shape=(1,), neuron=Readout()),
        ),
        projections=(
            Projection(source="input", target="hidden", synapse=first),
            Projection(source="hidden", target="out", synapse=Dense(weight=np.array([[5, -7]]))),
            Projection(source="input", target="out", synapse=skip),
        ),
        timesteps=3,
    )


def golden(net: Network) -> Trace:
    """Silence (an event of payload 0), the ends of the range, and a few more."""
    return Reference(net).trace(default_inputs(net, 8))


@pytest.mark.parametrize(("encoding", "bits", "signed"), KINDS)
def test_every_target_adds_what_a_payload_says(
    encoding: Encoding, bits: int, signed: bool, tmp_path: Path
) -> None:
    need(find_verilator(), find_compiler())
    net = network(encoding, bits, signed)
    trace = golden(net)
    low, high = net.input.neuron.payload  # type: ignore[attr-defined]
    assert {low, 0, high} <= set(np.unique(trace.inputs).tolist())
    words, ends = packets(net, trace.inputs, 32)
    if encoding is not Encoding.SPIKES:
        assert (words[0], ends[0]) == (0, 1)  # the silent sample: an event of the first neuron
    design = emit(net)
    verilog = Simulator(net, design.files, design.tdata_bits).run(trace, jobs=1)
    assert verilog.equal, verilog
    hls = verify_hls(net, trace, tmp_path, model=Model.FAST, optimise=0)
    assert hls.equal, hls
    assert spikes(net, trace.inputs).to_bytes() == trace.to_bytes()
