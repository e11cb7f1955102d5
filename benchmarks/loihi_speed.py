"""Speed of the Loihi neuron model beside nengo-loihi and SANA-FE: 1000 -> 1000 dense, 100 steps.

    python -m venv peers && peers/bin/pip install nengo-loihi sanafe "numpy<2"
    OMP_NUM_THREADS=1 python -m benchmarks loihi_speed --peers peers/bin/python

All three run one after the other on this machine in one call, each on one thread. nengo-loihi and
this package compute the same published current-based LIF with the same integers, and their spikes,
currents and membranes are compared; SANA-FE runs its own LIF on the same input spikes and weights.
Building a network is left out of every time. Ratios are time of the peer over time of this package,
per step for one sample, and per sample and step in a batch of 64 (the peers have no batches).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from benchmarks.table import say
from neurocuda_hw.ground.errors import DivergenceError, ToolError
from neurocuda_hw.loihi import CubaNeuron, DirectNetwork, Group, Synapses

INS, OUTS, STEPS, BATCH = 1000, 1000, 100, 64
VTH, DU, DV, BIAS = 3000, 400, 200, 0


def ask(python: str, peer: str, case: dict[str, Any], folder: Path) -> tuple[dict[str, Any], Path]:
    """Runs a peer in its own environment; its answer, and the file with its arrays."""
    path = folder / f"{peer}.npz"
    np.savez(path, **case)
    script = Path(__file__).with_name("loihi_peers.py")
    done = subprocess.run(
        [python, str(script), peer, str(path)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode:
        raise ToolError(
            f"{peer} failed in the Python of --peers (--help says how to make one):\n"
            f"{done.stderr[-3000:]}"
        )
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer, path.with_suffix(".out.npz")


def ours(network: DirectNetwork, inputs: np.ndarray, states: bool, repeats: int) -> float:
    """Best seconds per step and sample."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        network.run({"in": inputs}, states=states)
        times.append(time.perf_counter() - start)
    return min(times) / STEPS / len(inputs)


def measure(given: Namespace) -> dict[str, float]:
    """Microseconds per sample and step, and ratios."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    weight = rng.integers(-60, 64, (OUTS, INS)) * 2
    spikes = rng.random((BATCH, STEPS, INS)) < given.rate
    network = DirectNetwork(
        groups=(
            Group(name="in", size=INS),
            Group(name="out", size=OUTS, neuron=CubaNeuron(vth=VTH, du=DU, dv=DV)),
        ),
        synapses=(Synapses(source="in", target="out", weight=weight),),
    )
    record = network.run({"in": spikes[:1]})  # also builds the network
    single = ours(network, spikes[:1], False, 5 * given.repeats)
    recorded = ours(network, spikes[:1], True, 5 * given.repeats)
    batch = ours(network, spikes, False, given.repeats)

    case = {"weight": weight, "spikes": spikes[0], "repeats": given.repeats}
    case |= {"vth": VTH, "du": DU, "dv": DV, "bias": BIAS}
    layers = {"layers": 1, "steps": STEPS, "threshold0": VTH, "weight0": weight}
    layers |= {"cores0": np.arange(INS) // 250, "cores1": 4 + np.arange(OUTS) // 250}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, path = ask(given.peers, "nengo", case | {"record": True, "repeats": 1}, folder)
        with np.load(path) as found:
            # the emulator records after each step, and its input takes one step to arrive, as here
            for key, got in (("spiked", record.s), ("current", record.u), ("voltage", record.v)):
                theirs = found[key].reshape(STEPS, OUTS)
                unequal = int((theirs != got["out"][0]).sum())
                if unequal:
                    raise DivergenceError(
                        f"{key} of nengo-loihi differs in {unequal} of {theirs.size} places"
                    )
        slow, _ = ask(given.peers, "nengo", case | {"record": False}, folder)
        fast, _ = ask(given.peers, "sanafe-speed", case | layers, folder)
    say(f"{int(record.s['out'].sum())} spikes, and all currents and membranes, are nengo-loihi's")
    report = {"single_us": single * 1e6, "recorded_us": recorded * 1e6, "batch_us": batch * 1e6}
    for peer, answer in {"nengo_loihi": slow, "sanafe": fast}.items():
        seconds = answer["seconds_per_step"]["best"]
        report[f"{peer}_us"] = seconds * 1e6
        report[f"{peer}_single_ratio"] = seconds / single
        report[f"{peer}_batch_ratio"] = seconds / batch
    return report
