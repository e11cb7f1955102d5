#!/usr/bin/env bash
# Norse 1.1.0 and sinabs 3.1.3 load a NIR graph with a node that their importer does not know, and
# then run one half of it: what stands in front of the node, or what stands behind it. Which half is
# an order of memory addresses: it changes from load to load. nirtorch.load passes over the edges
# of a node for which the importer gave no module, and its executor starts at one of the two ends
# that are left (a logged line says "multiple input nodes", not which node is missing). Two such
# nodes end in a KeyError.
# For sinabs every layer without a bias is such a node (snnTorch and SpikingJelly write Linear for
# it) and so is CubaLIF. snnTorch and SpikingJelly refuse nodes that they do not know.
# sinabs asks for nir <= 1.0.4, so it is installed without its dependencies.
# Prints, on Python 3.11 (the two numbers of times change):
#   norse 1.1.0 sinabs 3.1.3 nir 1.0.8 nirtorch 2.6
#   norse, halved by: CubaLI, LI, I, Scale, Threshold, Delay, AvgPool2d
#   sinabs, halved by: Linear, CubaLIF, CubaLI, I, Scale, Threshold, Delay, AvgPool2d
#   1 x2 x3 x5, the x3 a Scale, 60 loads by norse: 2.0 (43 times), 5.0 (17 times)
#   1 x2 x3 x5, the x3 a Linear, 60 loads by sinabs: 2.0 (28 times), 5.0 (32 times)
#   1 x2 x3 x5, the x3 an Affine: norse 30.0, sinabs 30.0
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet torch==2.13.0 nir==1.0.8 nirtorch==2.6 norse==1.1.0 \
    pbr==7.1.3 matplotlib==3.11.2
"$place/venv/bin/pip" install --quiet --no-deps sinabs==3.1.3
cd "$place"
venv/bin/python - 2>/dev/null <<'PY'
import collections
import importlib.metadata

import nir
import norse.torch
import numpy as np
import sinabs.nir
import torch

PACKAGES = ("norse", "sinabs", "nir", "nirtorch")
print(*(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))
LOADERS = {
    "norse": norse.torch.from_nir,
    "sinabs": lambda graph: sinabs.nir.from_nir(graph, batch_size=1),
}


def of(value):
    return np.full(4, value, np.float32)


def times(factor):
    return nir.Affine(factor * np.eye(4, dtype=np.float32), of(0))


def copy():
    """A convolution that changes nothing."""
    weight = np.ones((1, 1, 1, 1), np.float32)
    return nir.Conv2d((4, 4), weight, 1, 0, 1, 1, np.zeros(1, np.float32))


cuba = {"tau_mem": of(0.01), "tau_syn": of(0.01), "r": of(1), "v_leak": of(0)}
three = 3 * np.eye(4, dtype=np.float32)
NODES = {
    "Affine": nir.Affine(three, of(0)),
    "Linear": nir.Linear(three),
    "IF": nir.IF(r=of(1), v_threshold=of(1)),
    "LIF": nir.LIF(tau=of(0.01), r=of(1), v_leak=of(0), v_threshold=of(1)),
    "CubaLIF": nir.CubaLIF(v_threshold=of(1), **cuba),
    "CubaLI": nir.CubaLI(**cuba),
    "LI": nir.LI(tau=of(0.01), r=of(1), v_leak=of(0)),
    "I": nir.I(r=of(1)),
    "Scale": nir.Scale(of(3)),
    "Threshold": nir.Threshold(of(1)),
    "Delay": nir.Delay(of(0.01)),
    "SumPool2d": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
    "AvgPool2d": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
}


def loaded(kind, name):
    image = kind.endswith("Pool2d")
    graph = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([1, 4, 4] if image else [4])}),
            "before": copy() if image else times(2),
            "node": NODES[kind],
            "after": copy() if image else times(5),
            "output": nir.Output({"output": np.array([1, 2, 2] if image else [4])}),
        },
        [("input", "before"), ("before", "node"), ("node", "after"), ("after", "output")],
        type_check=not image,
    )
    return LOADERS[name](graph)


def output(kind, name):
    with torch.no_grad():
        return float(loaded(kind, name)(torch.ones(1, 4))[0][0, 0])


halved = {
    name: [kind for kind in NODES if len(loaded(kind, name).execution_order) < 5]
    for name in LOADERS
}
for name, kinds in halved.items():
    print(f"{name}, halved by:", ", ".join(kinds))
right = True
for kind, name in (("Scale", "norse"), ("Linear", "sinabs")):
    counts = collections.Counter(output(kind, name) for _ in range(60))
    right &= set(counts) <= {2.0, 5.0}
    said = ", ".join(f"{value} ({n} times)" for value, n in sorted(counts.items()))
    print(f"1 x2 x3 x5, the x3 a {kind}, 60 loads by {name}: {said}")
whole = [output("Affine", name) for name in LOADERS]
print(f"1 x2 x3 x5, the x3 an Affine: norse {whole[0]}, sinabs {whole[1]}")
common = ["CubaLI", "I", "Scale", "Threshold", "Delay", "AvgPool2d"]
right &= set(halved["norse"]) == {"LI", *common}
right &= set(halved["sinabs"]) == {"Linear", "CubaLIF", *common}
raise SystemExit(0 if right and whole == [30.0, 30.0] else 1)
PY
