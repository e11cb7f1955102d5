"""Legal packets between illegal ones, in the Verilog and in the C++: no packet changes another.

    python -m benchmarks packets --json FILE
    python -m benchmarks packets --networks mixed --packets 100

Every second packet is rubbish: events out of range, late, twice, too many, markers too many or too
few, words with some bytes or none. The others are legal ones with words in them that have to be
dropped. Both go through Verilator and through the C++ between FIFOs of the declared depths, with
random pauses at both ends. ``golden/`` has mixed, mnist_mlp and mnist_cnn, the rest are those of
tests/hls/cases.py: the exact code, recurrence, a held current.

Networks that can send bursts do so a second time (``NAME_bursts``), in both.

Keys, for each network: ``packets``; ``known``, those in which no neuron comes twice in a step, of
which every spike and output is compared; ``dropped`` by reason; ``verilog_unequal`` and
``hls_unequal``, known packets that differ; ``counts_unequal``, reasons that either target counts
otherwise than the naive reading in sim/odd_packets.py.
"""

from __future__ import annotations

import random
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import ROOT, from_tests
from benchmarks.odd import OddPackets
from benchmarks.table import say
from neurocuda_hw.data.stimulus import default_inputs, observed_trace
from neurocuda_hw.ground.errors import DivergenceError
from neurocuda_hw.hls import Model, emit
from neurocuda_hw.hls.context import word_bits
from neurocuda_hw.hls.csim import compile_csim, dropped, faults, replay, write
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import load
from neurocuda_hw.passes.bursts import NO_BURSTS, find_bursts
from neurocuda_hw.passes.study import Study
from neurocuda_hw.simulation.simulate import Stalls
from neurocuda_hw.targets.verilog import simulator_of

STALLS = Stalls(percent=10)
SEED = 1


def network_of(name: str) -> Network:
    """A committed network, or one of the tests' small ones."""
    path = ROOT / "golden" / f"{name}.pt"
    if path.exists():
        return load(path)
    (case,) = from_tests("hls.cases", "case")
    network: Network = case(name)
    return network


def compared(study: Study, inputs: np.ndarray) -> dict[str, object]:
    """What both targets make of the packets of `inputs`, each behind one of rubbish.

    Raises
    ------
    DivergenceError
        If one of them locks up or breaks its protocol.
    """
    network = study.network
    odd = OddPackets.of(network, inputs, word_bits(network), random.Random(SEED))
    packets = odd.stimulus(), odd.keep()
    verilog = simulator_of(study, None).run(odd.trace, stalls=STALLS, packets=packets)
    with TemporaryDirectory(prefix="nchw_") as name:
        folder = Path(name)
        write({**emit(study), "stimulus.bin": packets[0], "keep.bin": packets[1]}, folder)
        program, _ = compile_csim(folder, Model.BOUNDED)
        content, done = replay(folder, program, ("stimulus.bin", "--keep", "keep.bin"))
    told = [verilog.fault] if verilog.fault else faults(done.stdout)
    if told:
        raise DivergenceError(f"{network.name}: {'; '.join(told)}")
    counts = [odd.dropped, verilog.dropped, dropped(done.stdout)]
    return {
        "packets": len(odd.sent),
        "known": len(odd.known),
        "dropped": dict(sorted(odd.dropped.items())),
        "verilog_unequal": odd.unequal(verilog.observed, say),
        "hls_unequal": odd.unequal(observed_trace(content, odd.trace), say),
        "counts_unequal": sum(len({c[r] for c in counts}) > 1 for r in set().union(*counts)),
    }


def measure(given: Namespace) -> dict[str, object]:
    """Each network's packets."""
    found: dict[str, object] = {}
    for name in given.networks:
        network = network_of(name)
        sending = find_bursts(network)
        for bursts in (NO_BURSTS, sending) if sending.counts else (NO_BURSTS,):
            key = f"{name}_bursts" if bursts.counts else name
            inputs = default_inputs(network, samples=given.packets // 2)
            found[key] = compared(Study(network, bursts=bursts), inputs)
            say(f"{key}: {found[key]}")
    return found
