#!/usr/bin/env bash
# nirtorch 2.6's own modules for NIR nodes, which nir_to_torch takes where it is given none, change
# two of them without a word:
#  - Affine: the bias of the file goes to `weight.bias`, which nothing reads; the Linear keeps its
#    random one, so that two loads of one graph differ;
#  - SumPool2d: padding is left out, so that the output is smaller and its sums are others.
# snnTorch 1.0.0 and SpikingJelly 2.0.0 bring an Affine of their own but no SumPool2d, and take over
# the second; sinabs leaves out that padding too, Norse also, with a logged line.
# Prints, on Python 3.11 (the biases found change):
#   snntorch 1.0.0 nir 1.0.8 nirtorch 2.6
#   Affine with a bias of 10, three loads by nirtorch: [-0.558, -0.022, -0.433]
#   Affine with a bias of 10, three loads by snnTorch: [10.0, 10.0, 10.0]
#   SumPool2d 2 x 2, stride 2, padding 1, of 0 to 15
#     as the node says: [[0, 3, 3], [12, 30, 18], [12, 27, 15]]
#     nirtorch: [[10, 18], [42, 50]]
#     snnTorch: [[10, 18], [42, 50]]
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet torch==2.13.0 nir==1.0.8 nirtorch==2.6 snntorch==1.0.0
cd "$place"
venv/bin/python - 2>/dev/null <<'PY'
import contextlib
import importlib.metadata
import io

import nir
import nirtorch
import numpy as np
import torch
from snntorch.import_nir import import_from_nir

PACKAGES = ("snntorch", "nir", "nirtorch")
print(*(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))


def graph(node, size_in, size_out):
    return nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array(size_in)}),
            "node": node,
            "output": nir.Output({"output": np.array(size_out)}),
        },
        [("input", "node"), ("node", "output")],
        type_check=False,
    )


def run(load, made, given):
    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
        return load(made)(given)[0]


def default(made):
    return nirtorch.nir_to_torch(made, {})


LOADERS = {"nirtorch": default, "snnTorch": import_from_nir}
affine = graph(nir.Affine(np.eye(2, dtype=np.float32), np.full(2, 10, np.float32)), [2], [2])
right = True
for name, load in LOADERS.items():
    found = [round(float(run(load, affine, torch.zeros(1, 2))[0, 0]), 3) for _ in range(3)]
    right &= found == [10.0] * 3 if name == "snnTorch" else 10.0 not in found
    print(f"Affine with a bias of 10, three loads by {name}: {found}")
sizes = (np.array([2, 2]), np.array([2, 2]), np.array([1, 1]))
pool = graph(nir.SumPool2d(*sizes), [1, 4, 4], [1, 3, 3])
image = torch.arange(16.0).reshape(1, 1, 4, 4)
print("SumPool2d 2 x 2, stride 2, padding 1, of 0 to 15")
means = torch.nn.functional.avg_pool2d(image, 2, 2, 1)  # padded zeros count
print("  as the node says:", (4 * means)[0, 0].int().tolist())
for name, load in LOADERS.items():
    sums = run(load, pool, image)[0].round().int().squeeze().tolist()
    right &= sums == [[10, 18], [42, 50]]
    print(f"  {name}:", sums)
raise SystemExit(0 if right else 1)
PY
