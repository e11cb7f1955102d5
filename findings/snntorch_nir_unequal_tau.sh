#!/usr/bin/env bash
# snnTorch 1.0.0 loads a LIF whose time constants differ between neurons, and gives all of them the
# threshold of the one with the largest: its Leaky adds the whole input where NIR adds
# r dt / tau of it, so the importer divides the threshold by that factor, but by the smallest of the
# layer for every neuron. Nothing is raised; a line "scaling weights" is printed, as for equal ones.
# Its assertion that thresholds are equal looks at the quotient. Files with r = tau / dt (snnTorch's
# own) have a factor of 1; those of Norse, sinabs and SpikingJelly (decay_input) have r = 1.
# Norse 1.1.0 (at dt = 1e-4, the step that snnTorch takes) runs the same graph as the equations say.
# Prints, on Python 3.11:
#   snntorch 1.0.0 norse 1.1.0 nir 1.0.8 nirtorch 2.6
#   equal tau, spikes of 4 neurons in 200 steps: equations [13, 13, 13, 13]
#   equal tau, spikes of 4 neurons in 200 steps: Norse [13, 13, 13, 13]
#   equal tau, spikes of 4 neurons in 200 steps: snnTorch [13, 13, 13, 13]
#   unequal tau, spikes of 4 neurons in 200 steps: equations [28, 13, 6, 3]
#   unequal tau, spikes of 4 neurons in 200 steps: Norse [28, 13, 6, 3]
#   unequal tau, spikes of 4 neurons in 200 steps: snnTorch [0, 0, 0, 3]
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet torch==2.13.0 nir==1.0.8 nirtorch==2.6 snntorch==1.0.0 \
    norse==1.1.0
cd "$place"
venv/bin/python - 2>/dev/null <<'PY'
import contextlib
import importlib.metadata
import io

import nir
import norse.torch
import numpy as np
import torch
from snntorch.import_nir import import_from_nir

PACKAGES = ("snntorch", "norse", "nir", "nirtorch")
print(*(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))
DT, STEPS, THRESHOLD = 1e-4, 200, 0.52


def of(value):
    return np.full(4, value, np.float32)


def graph(tau):
    tau, threshold = np.array(tau, np.float32), of(THRESHOLD)
    neuron = nir.LIF(tau=tau, r=of(1), v_leak=of(0), v_threshold=threshold)
    return nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([4])}),
            "weight": nir.Affine(np.eye(4, dtype=np.float32), of(0)),
            "neuron": neuron,
            "output": nir.Output({"output": np.array([4])}),
        },
        [("input", "weight"), ("weight", "neuron"), ("neuron", "output")],
    )


def spikes(module):
    state, total = None, torch.zeros(4)
    with torch.no_grad():
        for _ in range(STEPS):
            out, state = module(torch.ones(1, 4), state)
            total += out[0]
    return total.int().tolist()


def equations(tau):
    v, total = np.zeros(4), np.zeros(4, int)
    for _ in range(STEPS):
        v = v + DT / np.array(tau) * (1 - v)
        total += v > THRESHOLD
        v[v > THRESHOLD] = 0
    return total.tolist()


def counts(tau):
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = import_from_nir(graph(tau))
    return equations(tau), spikes(norse.torch.from_nir(graph(tau), dt=DT)), spikes(loaded)


found = {}
for name, tau in (("equal", [2e-3] * 4), ("unequal", [1e-3, 2e-3, 4e-3, 8e-3])):
    found[name] = counts(tau)
    for who, value in zip(("equations", "Norse", "snnTorch"), found[name]):
        print(f"{name} tau, spikes of 4 neurons in {STEPS} steps: {who} {value}")
same, unequal = found["equal"], found["unequal"]
right = same[0] == same[1] == same[2] and unequal[0] == unequal[1]
lost = unequal[2][:3] == [0, 0, 0] and unequal[2][3] == unequal[0][3]
raise SystemExit(0 if right and lost else 1)
PY
