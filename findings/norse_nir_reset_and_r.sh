#!/usr/bin/env bash
# norse.torch.from_nir 1.1.0 takes `reset_method` and `dt`, but hands the reset method to CubaLIF
# neurons alone: LIF and IF are set to zero whatever it says. The `r` of a LIF or IF is dropped (a
# log line says that it should be 1), that of a CubaLIF counts; `v_reset` is dropped of all three.
# A constant input of 1 for 100 steps of 1 ms, against NIR's equations in steps of dt.
# Prints, on Python 3.11 ("Norse / equations", spikes):
#   norse 1.1.0 nir 1.0.8 nirtorch 2.6
#               as it is     subtract        r = 2   v_reset -1
#   LIF          25 / 25      25 / 28      25 / 50      25 / 10
#   IF           25 / 25      25 / 30      25 / 50      25 / 20
#   CubaLIF      24 / 24      27 / 27      48 / 48      24 / 10
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet torch==2.13.0 nir==1.0.8 nirtorch==2.6 norse==1.1.0
cd "$place"
venv/bin/python - 2>/dev/null <<'PY'
import importlib.metadata

import nir
import norse.torch
import numpy as np
import torch
from norse.torch.functional import reset

PACKAGES = ("norse", "nir", "nirtorch")
print(*(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))
DT, STEPS = 1e-3, 100
TAU_MEM, TAU_SYN = 0.01, 0.005


def of(value):
    return np.full(1, value, np.float32)


def node(kind, r, v_reset):
    same = {"r": of(r), "v_reset": of(v_reset)}
    if kind == "IF":
        return nir.IF(v_threshold=of(3.3), **same)
    same |= {"v_threshold": of(0.3), "v_leak": of(0)}
    if kind == "LIF":
        return nir.LIF(tau=of(TAU_MEM), **same)
    return nir.CubaLIF(tau_mem=of(TAU_MEM), tau_syn=of(TAU_SYN), **same)


def norse_spikes(kind, subtract, r, v_reset):
    graph = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([1])}),
            "weight": nir.Affine(np.ones((1, 1), np.float32), of(0)),
            "neuron": node(kind, r, v_reset),
            "output": nir.Output({"output": np.array([1])}),
        },
        [("input", "weight"), ("weight", "neuron"), ("neuron", "output")],
    )
    method = reset.reset_subtract if subtract else reset.reset_value
    module, state, spikes = norse.torch.from_nir(graph, reset_method=method, dt=DT), None, 0
    with torch.no_grad():
        for _ in range(STEPS):
            out, state = module(torch.ones(1, 1), state)
            spikes += int(out[0, 0])
    return spikes


def equations(kind, subtract, r, v_reset):
    """Forward Euler; an IF without a length of step, as Norse has it."""
    v = current = 0.0
    spikes = 0
    threshold = 3.3 if kind == "IF" else 0.3
    for _ in range(STEPS):
        current += DT / TAU_SYN * (1 - current)
        given = r * (current if kind == "CubaLIF" else 1)
        v += given if kind == "IF" else DT / TAU_MEM * (given - v)
        if v > threshold:
            spikes += 1
            v = v - threshold if subtract else v_reset
    return spikes


CASES = {
    "as it is": (False, 1, 0),
    "subtract": (True, 1, 0),
    "r = 2": (False, 2, 0),
    "v_reset -1": (False, 1, -1),
}
print(" " * 7, *(f"{name:>12s}" for name in CASES))
table = {}
for kind in ("LIF", "IF", "CubaLIF"):
    table[kind] = [(norse_spikes(kind, *case), equations(kind, *case)) for case in CASES.values()]
    print(f"{kind:7s}", *(f"{f'{a} / {b}':>12s}" for a, b in table[kind]))
plain = {kind: row[0][0] for kind, row in table.items()}
deaf = all(a == plain[kind] != b for kind in ("LIF", "IF") for a, b in table[kind][1:])
raise SystemExit(0 if deaf else 1)
PY
