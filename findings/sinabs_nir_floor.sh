#!/usr/bin/env bash
# A sinabs 3.1.3 network is another one after sinabs.nir.to_nir and from_nir. Its IAF has no floor
# by default (min_v_mem None), the importer gives every IF a floor of -threshold: a neuron that was
# inhibited fires too early. NIR's IF has no floor either. That it fires several times in a step
# (MultiSpike, the default) and subtracts is not in the file, which says v_reset 0: a tool that runs
# it as NIR says gives one spike a step and resets to 0.
# sinabs asks for nir <= 1.0.4, so it is installed without its dependencies.
# Prints, on Python 3.11:
#   sinabs 3.1.3 nir 1.0.8 nirtorch 2.6
#   one neuron, inputs [-3.0, 0.0, 0.0, 3.25, 0.0, 3.25]
#     sinabs: [0, 0, 0, 0, 0, 3]
#     read back: [0, 0, 0, 2, 0, 3]
#     the file: [0, 0, 0, 0, 0, 1]
#   16 neurons, 100 steps, spikes: sinabs 344, read back 404, the file 197
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet torch==2.13.0 nir==1.0.8 nirtorch==2.6 pbr==7.1.3 \
    matplotlib==3.11.2
"$place/venv/bin/pip" install --quiet --no-deps sinabs==3.1.3
cd "$place"
venv/bin/python - 2>/dev/null <<'PY'
import importlib.metadata

import numpy as np
import sinabs.layers
import sinabs.nir
import torch

PACKAGES = ("sinabs", "nir", "nirtorch")
print(*(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))


def network(weight):
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight.data, linear.bias.data = weight, torch.zeros(weight.shape[0])
    return torch.nn.Sequential(linear, sinabs.layers.IAFSqueeze(batch_size=1))


def as_nir_says(graph, data):
    """Spikes of Affine and IF nodes, one step after the other."""
    affine, fires = graph.nodes["0"], graph.nodes["1"]
    weight, threshold, v_reset = (
        np.asarray(values, float) for values in (affine.weight, fires.v_threshold, fires.v_reset)
    )
    v, out = np.zeros(len(weight)), []
    for given in data.numpy():
        v = v + weight @ given
        spikes = v > threshold
        v = np.where(spikes, v_reset, v)
        out.append(spikes)
    return np.array(out, float)


def three(weight, data):
    """Spikes of the network, of the network read back, and of its file."""
    net = network(weight)
    with torch.no_grad():
        graph = sinabs.nir.to_nir(net, data)
        net[1].reset_states()
        first = net(data).numpy() + 0.0
        back = sinabs.nir.from_nir(graph, batch_size=1)(data)[0].numpy() + 0.0
    return first, back, as_nir_says(graph, data)


inputs = [-3.0, 0.0, 0.0, 3.25, 0.0, 3.25]
first, back, said = three(torch.ones(1, 1), torch.tensor(inputs)[:, None])
print("one neuron, inputs", inputs)
for name, out in (("sinabs", first), ("read back", back), ("the file", said)):
    print(f"  {name}:", out[:, 0].astype(int).tolist())
torch.manual_seed(0)
data = (torch.rand(100, 16) < 0.3).float()
many = three(torch.randn(16, 16) * 0.5, data)
total, returned, file = (int(out.sum()) for out in many)
print(f"16 neurons, 100 steps, spikes: sinabs {total}, read back {returned}, the file {file}")
alone = [first[:, 0].tolist(), back[:, 0].tolist(), said[:, 0].tolist()]
expected = [[0, 0, 0, 0, 0, 3], [0, 0, 0, 2, 0, 3], [0, 0, 0, 0, 0, 1]]
raise SystemExit(0 if alone == expected and len({total, returned, file}) == 3 else 1)
PY
