"""Runs other Loihi simulators in their own environment: called by loihi_speed and loihi_sanafe.

    PEER_PYTHON benchmarks/loihi_peers.py nengo|sanafe-speed|sanafe-events CASE.npz

It imports nothing of this package, because the peers need other versions of NumPy. The answer is
one line of JSON on standard output, spikes and events are written to CASE.out.npz.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CORES_PER_TILE = 4


def best_of(runs: list[float]) -> dict[str, float]:
    """Fastest and middle of some times."""
    return {"best": min(runs), "median": float(np.median(runs))}


def nengo(case: dict[str, np.ndarray], out: Path) -> dict[str, Any]:
    """One block of the emulator's own compartments, given the chip's integers directly."""
    from nengo_loihi.block import Axon, LoihiBlock, Synapse
    from nengo_loihi.builder import Model
    from nengo_loihi.emulator import interface
    from nengo_loihi.inputs import SpikeInput
    from nengo_loihi.probe import LoihiProbe

    # one core cannot hold this layer; a split into blocks would only make the peer slower
    interface.validate_model = lambda model: None
    weight, spikes = case["weight"], case["spikes"]
    outs, ins = weight.shape
    steps, times = len(spikes), []
    for _ in range(int(case["repeats"])):
        source = SpikeInput(ins)
        for step, row in enumerate(spikes):
            source.add_spikes(step + 1, np.flatnonzero(row), permanent=True)
        block = LoihiBlock(outs)
        cells = block.compartment
        for name, value in (
            ("decay_u", case["du"]),
            ("decay_v", case["dv"]),
            ("vth", case["vth"] << 6),
            ("bias", case["bias"]),
        ):
            setattr(cells, name, np.broadcast_to(value, outs).astype(np.int32))
        cells.refract_delay = np.ones(outs, dtype=np.int32)
        cells.vmin, cells.vmax = -(2**23) + 1, 2**23 - 1
        cells.scale_u = cells.scale_v = False
        synapse = Synapse(ins)
        synapse.set_weights(weight.T.astype(np.float32))
        synapse.weights = [(row << 6).astype(np.int32)[None, :] for row in weight.T]
        block.add_synapse(synapse)
        axon = Axon(ins)
        axon.target = synapse
        source.add_axon(axon)
        probes = {
            key: LoihiProbe(target=block, key=key) for key in ("current", "voltage", "spiked")
        }
        model = Model()
        model.add_input(source)
        model.add_block(block)
        if bool(case["record"]):
            for probe in probes.values():
                model.add_probe(probe)
        with interface.EmulatorInterface(model, seed=0) as emulator:
            start = time.perf_counter()
            emulator.run_steps(steps)
            times.append((time.perf_counter() - start) / steps)
            if bool(case["record"]):
                found = {key: emulator.collect_probe_output(p) for key, p in probes.items()}
    if bool(case["record"]):
        np.savez(out, **{key: np.asarray(value) for key, value in found.items()})
    return {
        "version": importlib.metadata.version("nengo-loihi"),
        "seconds_per_step": best_of(times),
    }


def sanafe_network(case: dict[str, np.ndarray]) -> Any:
    """Chip and network: layers of IF neurons behind input neurons with given spike trains."""
    import sanafe

    architecture = sanafe.load_loihi() if hasattr(sanafe, "load_loihi") else load_loihi()
    network, cores = sanafe.Network(), architecture.cores()
    steps = int(case["steps"])
    trains = np.zeros((steps, case["spikes"].shape[1]), dtype=bool)
    trains[: len(case["spikes"])] = case["spikes"]
    groups = [network.create_neuron_group("input", trains.shape[1])]
    for index, neuron in enumerate(groups[0]):
        neuron.set_attributes(
            soma_hw_name=f"loihi_inputs[{index % 1024}]",
            default_synapse_hw_name="loihi_dense_synapse",
            dendrite_hw_name="loihi_dendrites",
            model_attributes={"spikes": trains[:, index].tolist()},
        )
    for layer in range(int(case["layers"])):
        weight = case[f"weight{layer}"]
        attributes = {
            "threshold": float(case[f"threshold{layer}"]) - 0.5,
            "reset": 0.0,
            "reset_mode": "hard",
            "leak_decay": 1.0,
        }
        groups.append(
            network.create_neuron_group(
                f"layer{layer}",
                weight.shape[0],
                model_attributes=attributes,
                soma_hw_name="loihi_lif",
                default_synapse_hw_name="loihi_dense_synapse",
                default_dendrite_hw_name="loihi_dendrites",
            )
        )
        groups[-2].connect_neurons_dense(
            groups[-1], {"weight": weight.T.astype(float).flatten().tolist()}
        )
    for number, group in enumerate(groups):
        for neuron, core in zip(group, case[f"cores{number}"].tolist(), strict=True):
            neuron.map_to_core(cores[core])
    chip = sanafe.SpikingChip(architecture)
    chip.load(network)
    return chip


def load_loihi() -> Any:
    """The architecture that travels with SANA-FE."""
    import sanafe

    folder = Path(sanafe.__file__).parent / "examples"
    return sanafe.load_arch(str(folder / "loihi.yaml"))


def sanafe_speed(case: dict[str, np.ndarray], out: Path) -> dict[str, Any]:
    """Time per step of its fastest timing model, without traces."""
    times, steps = [], int(case["steps"])
    for _ in range(int(case["repeats"])):
        chip = sanafe_network(case)
        start = time.perf_counter()
        chip.sim(steps, timing_model="simple")
        times.append((time.perf_counter() - start) / steps)
    return {"version": importlib.metadata.version("sanafe"), "seconds_per_step": best_of(times)}


def sanafe_events(case: dict[str, np.ndarray], out: Path) -> dict[str, Any]:
    """Events of every step, energy and modelled time."""
    steps = int(case["steps"])
    chip = sanafe_network(case)
    result = chip.sim(steps, timing_model="detailed", perf_trace=True, message_trace=True)
    perf = {name: np.asarray(values) for name, values in result["perf_trace"].items()}
    messages = [[m for m in step if not m["placeholder"]] for step in result["message_trace"]]
    cores = max(m["dest_core_id"] for step in messages for m in step) + 1
    received = np.zeros((steps, cores), dtype=np.int64)
    weights = np.zeros((steps, cores), dtype=np.int64)
    for step, found in enumerate(messages):
        for message in found:
            received[step, message["dest_core_id"]] += 1
            weights[step, message["dest_core_id"]] += message["spikes"]
    np.savez(out, received=received, weights=weights, **perf)
    return {
        "version": importlib.metadata.version("sanafe"),
        "energy": result["energy"],
        "sim_time": result["sim_time"],
    }


PEERS = {"nengo": nengo, "sanafe-speed": sanafe_speed, "sanafe-events": sanafe_events}


def main() -> None:
    """Runs one peer on one case."""
    peer, path = sys.argv[1], Path(sys.argv[2])
    with np.load(path, allow_pickle=False) as archive:
        case = {name: archive[name] for name in archive.files}
    answer = PEERS[peer](case, path.with_suffix(".out.npz"))
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
