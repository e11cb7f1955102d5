"""Speed of the Loihi neuron model beside nengo-loihi and SANA-FE: 1000 -> 1000 dense, 100 steps.

    python -m venv peers && peers/bin/pip install nengo-loihi sanafe "numpy<2"
    OMP_NUM_THREADS=1 python benchmarks/loihi_speed.py --peers peers/bin/python [--json FILE]

All three run one after the other on this machine in one call, each on one thread. nengo-loihi and
this package compute the same published current-based LIF with the same integers, and their spikes,
currents and membranes are compared; SANA-FE runs its own LIF on the same input spikes and weights.
Building a network is left out of every time. Ratios are time of the peer over time of this package,
per step for one sample, and per sample and step in a batch of 64 (the peers have no batches).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

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
        sys.exit(f"{peer} failed:\n{done.stderr[-3000:]}")
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


def main() -> None:
    """Prints the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=sys.executable, help="python with nengo-loihi, sanafe")
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    weight = rng.integers(-60, 64, (OUTS, INS)) * 2
    spikes = rng.random((BATCH, STEPS, INS)) < arguments.rate
    network = DirectNetwork(
        groups=(
            Group(name="in", size=INS),
            Group(name="out", size=OUTS, neuron=CubaNeuron(vth=VTH, du=DU, dv=DV)),
        ),
        synapses=(Synapses(source="in", target="out", weight=weight),),
    )
    record = network.run({"in": spikes[:1]})  # also builds the network
    single = ours(network, spikes[:1], False, 5 * arguments.repeats)
    recorded = ours(network, spikes[:1], True, 5 * arguments.repeats)
    batch = ours(network, spikes, False, arguments.repeats)

    case = {"weight": weight, "spikes": spikes[0], "repeats": arguments.repeats}
    case |= {"vth": VTH, "du": DU, "dv": DV, "bias": BIAS}
    layers = {"layers": 1, "steps": STEPS, "threshold0": VTH, "weight0": weight}
    layers |= {"cores0": np.arange(INS) // 250, "cores1": 4 + np.arange(OUTS) // 250}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, path = ask(arguments.peers, "nengo", case | {"record": True, "repeats": 1}, folder)
        with np.load(path) as found:
            # the emulator records after each step, and its input takes one step to arrive, as here
            for key, got in (("spiked", record.s), ("current", record.u), ("voltage", record.v)):
                theirs = found[key].reshape(STEPS, OUTS)
                unequal = int((theirs != got["out"][0]).sum())
                if unequal:
                    sys.exit(f"{key} of nengo-loihi differs in {unequal} of {theirs.size} places")
        slow, _ = ask(arguments.peers, "nengo", case | {"record": False}, folder)
        fast, _ = ask(arguments.peers, "sanafe-speed", case | layers, folder)

    peers = {"nengo_loihi": slow, "sanafe": fast}
    fired = int(record.s["out"].sum())
    print(f"{INS} -> {OUTS} dense, {STEPS} steps, input rate {arguments.rate:.0%}, one thread")
    print(
        f"spikes, currents, membranes equal to nengo-loihi's: {fired} spikes, {STEPS * OUTS} each"
    )
    print(f"{'':<28}{'us per sample and step':>24}")
    print(f"{'this package, one sample':<28}{single * 1e6:>24.2f}")
    print(f"{'  with u, v, s recorded':<28}{recorded * 1e6:>24.2f}")
    print(f"{f'this package, batch of {BATCH}':<28}{batch * 1e6:>24.2f}")
    report: dict[str, float] = {"single_us": single * 1e6, "batch_us": batch * 1e6}
    for peer, answer in peers.items():
        seconds = answer["seconds_per_step"]["best"]
        print(f"{peer + ' ' + answer['version']:<28}{seconds * 1e6:>24.2f}")
        report[f"{peer}_us"] = seconds * 1e6
        report[f"{peer}_single_ratio"] = seconds / single
        report[f"{peer}_batch_ratio"] = seconds / batch
    for key, value in report.items():
        if key.endswith("_ratio"):
            print(f"{key}: {value:.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
