"""The C++ between FIFOs of the declared depths, with random pauses at both ends: no lock-up.

    python -m benchmarks hls_bounded --networks build/resnet20.pt --json FILE
    python -m benchmarks hls_bounded --random 20 --skip-committed

Random networks are those of tests/strategies.py and tests/exact_networks.py: several projections
between one pair, recurrent, grouped and strided ones, pools, under both codes, with 1 to 64 lanes.
``golden/`` and --networks follow, at their default lanes. Every network runs once for each of
--seeds, which say which process goes on when, and when source and sink pause; every spike and every
output is compared. Networks whose windows follow one another send bursts, wherever they can; saved
ones that can run both ways.

Keys: under ``random``, ``networks``, and how many of them have ``parallel`` projections, a
``residual`` sum, ``recurrent`` projections, ``grouped`` convolutions, the ``exact_code``, send
``bursts``; the ``lanes`` that any layer had; for each saved network ``samples`` and ``spikes``;
``unequal``, runs that locked up, lost a word or differed.
"""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks import ROOT, from_tests
from benchmarks.table import say
from neurocuda_hw.data.stimulus import default_inputs, observed_trace
from neurocuda_hw.hls import Model, emit, golden_files
from neurocuda_hw.hls.csim import compile_csim, faults, replay, write
from neurocuda_hw.hls.emit import EXPECTED, STIMULUS
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.synapses import Conv2d
from neurocuda_hw.network.trace import first_divergence
from neurocuda_hw.passes.bursts import NO_BURSTS, find_bursts
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference

MOST_LANES = 64
KINDS = (  # keywords of strategies.networks
    {},
    {"exact": True, "timesteps": 4},
    {"shapes": (1,), "channels": 24},
    {"shapes": (1,), "channels": 24, "exact": True, "timesteps": 4},
)


def unequal(study: Study, seeds: list[int], level: int) -> int:
    """Runs of the bounded C simulation, one for each seed, that go wrong."""
    found, network, trace = 0, study.network, study.trace
    with TemporaryDirectory(prefix="nchw_") as name:
        folder = Path(name)
        write({**emit(study), **golden_files(network, trace)}, folder)
        program, _ = compile_csim(folder, Model.BOUNDED, optimise=level)
        for number in seeds:
            arguments = (STIMULUS, EXPECTED, "--seed", str(number))
            content, done = replay(folder, program, arguments)
            seen = observed_trace(content, trace)
            told = faults(done.stdout)
            if not told and seen.samples == trace.samples:
                differs = first_divergence(network, trace, seen)
                told = [str(differs)] if differs else []
            if told or done.returncode:
                say(f"{network.name}, seed {number}: {told or done.stdout}")
                found += 1
    return found


def features(network: Network) -> set[str]:
    """What a network has of what may lock up."""
    joins = [(p.source, p.target) for p in network.projections]
    has = {
        "parallel": len(set(joins)) < len(joins),
        "residual": len({target for _, target in joins}) < len(joins),
        "recurrent": any(p.delay for p in network.projections),
        "grouped": any(
            isinstance(p.synapse, Conv2d) and p.synapse.groups > 1 for p in network.projections
        ),
    }
    return {name for name, there in has.items() if there}


def random_networks(asked: Namespace) -> dict[str, object]:
    """As many as asked for, each with lanes of its own."""
    if not asked.random:
        return {}
    networks, inputs_for = from_tests("strategies", "networks", "inputs_for")
    (exact_networks,) = from_tests("exact_networks", "exact_networks")
    has: Counter[str] = Counter()
    lanes_had: set[int] = set()
    wrong = 0

    @seed(asked.seed)
    @settings(
        max_examples=asked.random,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        nonlocal wrong
        kind = data.draw(st.sampled_from(KINDS))
        in_turn = data.draw(st.booleans())  # windows that follow one another
        exact = in_turn or "exact" in kind
        drawn = networks(parallel=True, **kind)
        if in_turn:
            drawn = exact_networks(odd=data.draw(st.booleans()))  # odd: not all send bursts
        network = data.draw(drawn)
        trace = Reference(network).trace(data.draw(inputs_for(network, samples=asked.samples)))
        lanes = {
            p.name: data.draw(st.sampled_from(lane_choices(p, MOST_LANES))) for p in network.targets
        }
        bursts = find_bursts(network) if in_turn else NO_BURSTS
        has.update(["networks", *features(network), *(["exact_code"] if exact else [])])
        has.update(["bursts"] if bursts.counts else [])
        lanes_had.update(min(n, network[p].chw[0]) for p, n in lanes.items())
        study = Study(network, trace=trace, lanes=lanes, bursts=bursts)
        wrong += unequal(study, asked.seeds, level=0)
        say(f"{has['networks']} random networks, {wrong} runs went wrong")

    one()
    return {**sorted_counts(has), "lanes": sorted(lanes_had), "unequal": wrong}


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    """By name."""
    return dict(sorted(counts.items()))


def measure(asked: Namespace) -> dict[str, object]:
    """Random networks, then saved ones."""
    found: dict[str, object] = {"random": random_networks(asked)}
    paths = [] if asked.skip_committed else sorted((ROOT / "golden").glob("*.pt"))
    for path in [*paths, *map(Path, asked.networks)]:
        network = load(path)
        trace = Reference(network).trace(default_inputs(network, samples=asked.samples), batch=2)
        spikes = sum(int(np.bitwise_count(packed).sum()) for packed in trace.spikes.values())
        sending = find_bursts(network)
        ways = [NO_BURSTS, sending] if sending.counts else [NO_BURSTS]
        wrong = sum(
            unequal(Study(network, trace=trace, bursts=way), asked.seeds, level=2) for way in ways
        )
        found[path.stem] = {"samples": trace.samples, "spikes": spikes, "unequal": wrong}
        say(f"{path.stem}: {found[path.stem]}")
    return found
