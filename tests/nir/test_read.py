"""Damaged, hostile and inconsistent files: one sentence each, and no other exception ever."""

import io
import itertools

import h5py
import nir
import numpy as np
import pytest

from neurocuda_hw.ground.errors import DataError, ModelError, NeurocudaError
from neurocuda_hw.nir import Executor, from_nir, hdf5, nir_bytes, read
from neurocuda_hw.nir.read import from_bytes


def graph(**changes):
    """Input (1, 6, 6), convolution, IF, flatten, affine, LIF, output; with changes by name."""
    nodes = {
        "input": nir.Input(input_type={"input": np.array([1, 6, 6])}),
        "conv": nir.Conv2d((6, 6), np.ones((2, 1, 3, 3)), 1, 0, 1, 1, np.zeros(2)),
        "fire": nir.IF(r=np.ones((2, 4, 4)), v_threshold=np.ones((2, 4, 4))),
        "flat": nir.Flatten({"input": np.array([2, 4, 4])}, start_dim=0),
        "fc": nir.Affine(weight=np.ones((3, 32)), bias=np.zeros(3)),
        "out": nir.LIF(
            tau=np.full(3, 0.01), r=np.ones(3), v_leak=np.zeros(3), v_threshold=np.ones(3)
        ),
        "output": nir.Output(output_type={"output": np.array([3])}),
    }
    names = list(nodes)
    edges = list(itertools.pairwise(names))
    nodes |= changes.pop("nodes", {})
    edges += changes.pop("edges", [])
    without = changes.pop("without", [])
    assert not changes
    return nir.NIRGraph(nodes=nodes, edges=[e for e in edges if e not in without], type_check=False)


def content(change=None, **changes):
    """A file's content, with `change` applied to the open HDF5 file."""
    data = io.BytesIO(nir_bytes(graph(**changes)))
    if change:
        with h5py.File(data, "r+") as file:
            change(file)
    return data.getvalue()


def load(data, **how):
    """All that `nchw build` does with a file before there is a network."""
    return from_nir(from_bytes(data, "'net.nir'", **how), 4, dt=1e-3)


def here(data):
    """The content of a whole HDF5 file, read in this process: ten times as fast."""
    try:
        return hdf5.filled(*hdf5.parse(data))
    except Exception as error:
        raise hdf5.Refused(str(error)) from error


def test_the_file_that_the_others_damage_is_good(tmp_path):
    (tmp_path / "net.nir").write_bytes(content())
    assert from_nir(tmp_path / "net.nir", 4, dt=1e-3) == load(content())
    assert [p.name for p in load(content()).populations] == ["input", "fire", "out"]


def replaced(path, value):
    def change(file):
        del file[path]
        file[path] = value

    return change


def removed(path):
    def change(file):
        del file[path]

    return change


def huge(file):
    del file["node/nodes/fc/weight"]
    file["node/nodes/fc"].create_dataset(
        "weight", shape=(2**20, 2**20), dtype="f4", chunks=(1024, 1024), compression="gzip"
    )


DAMAGED = {"truncated", "empty", "not HDF5", "no graph", "huge"}
NODES = "node/nodes"
FILES = {
    "truncated": (content()[:3000], r"'net\.nir' is not a readable NIR file: .+"),
    "empty": (b"", r"'net\.nir' is not a readable NIR file: .+"),
    "not HDF5": (b"nonsense" * 100, r"'net\.nir' is not a readable NIR file: .+"),
    "no graph": (
        content(removed("node")),
        r"'net\.nir' is not a NIR file: it must have a group 'node'",
    ),
    "no nodes": (content(removed(NODES)), r"'net\.nir': the graph must have nodes and edges"),
    "no type": (
        content(removed(f"{NODES}/fc/type")),
        r"'net\.nir': node 'fc' must be a node with a type",
    ),
    "unknown type": (
        content(replaced(f"{NODES}/fc/type", "Quantum")),
        r"'net\.nir': node 'fc' must be of a type that NIR defines \(.*\), not 'Quantum'",
    ),
    "missing field": (
        content(removed(f"{NODES}/fire/v_threshold")),
        r"'net\.nir': node 'fire' \(IF\) must have the field 'v_threshold'",
    ),
    "NaN": (
        content(replaced(f"{NODES}/fc/bias", np.array([1, np.nan, 2]))),
        r"'net\.nir': node 'fc' \(Affine\) bias must be finite, not NaN or infinite",
    ),
    "text for numbers": (
        content(replaced(f"{NODES}/fc/bias", "three")),
        r"'net\.nir': node 'fc' \(Affine\) bias must be numbers, not text",
    ),
    "huge": (
        content(huge),
        r"'net\.nir' is not a readable NIR file: arrays must hold at most 2 GiB in all, and "
        r"'/node/nodes/fc/weight' of shape \(1048576, 1048576\) is beyond that",
    ),
    "missing node": (
        content(removed(f"{NODES}/fc")),
        r"edge 'flat' -> 'fc' of the NIR graph must join nodes that exist, not 'fc'",
    ),
    "dangling edge": (
        content(edges=[("out", "nowhere")]),
        r"edge 'out' -> 'nowhere' of the NIR graph must join nodes that exist, not 'nowhere'",
    ),
    "doubled edge": (
        content(edges=[("fc", "out")]),
        r"edge 'fc' -> 'out' must be listed once",
    ),
    "broken path": (
        content(without=[("fc", "out")]),
        r"no path of the NIR graph leads from 'input' to 'output'",
    ),
    "unfed node": (
        content(nodes={"lost": nir.Scale(scale=np.ones(3))}, edges=[("lost", "out")]),
        r"NIR node 'lost' must be fed by an edge",
    ),
    "cycle without a neuron": (
        content(
            nodes={"loop": nir.Scale(scale=np.ones(32))}, edges=[("flat", "loop"), ("loop", "flat")]
        ),
        r"the cycle through NIR node '(flat|loop)' must hold a neuron: without one nothing "
        r"separates its steps",
    ),
    "wrong weights": (
        content(replaced(f"{NODES}/fc/weight", np.ones((3, 31)))),
        r"NIR node 'fc' must get the shape \(31,\), not \(32,\)",
    ),
    "wrong neuron": (
        content(replaced(f"{NODES}/out/tau", np.ones(5))),
        r"'net\.nir': node 'out' \(LIF\) is damaged: All parameters must have the same shape",
    ),
    "wrong kernel": (
        content(replaced(f"{NODES}/conv/weight", np.ones((2, 1, 9, 9)))),
        r"NIR node 'conv' must have a kernel that fits into \(6, 6\), not \(9, 9\)",
    ),
    "no stride": (
        content(replaced(f"{NODES}/conv/stride", np.array([0, 1]))),
        r"'net\.nir': node 'conv' \(Conv2d\) is damaged: divide by zero encountered in divide",
    ),
    "wrong time constant": (
        content(replaced(f"{NODES}/out/tau", np.array([0.01, -1, 1]))),
        r"NIR node 'out' tau must be positive, not -1\.0",
    ),
    "two inputs": (
        content(
            nodes={"second": nir.Input(input_type={"input": np.array([32])})},
            edges=[("second", "fc")],
        ),
        r"the NIR graph must have exactly one Input node, not 2: .*",
    ),
    "negative resistance": (
        content(replaced(f"{NODES}/out/r", -np.ones(3))),
        r"NIR node 'out' must have r and w_in above 0, not a gain of -0\.1",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_one_sentence(name):
    data, sentence = FILES[name]
    with pytest.raises(ModelError, match=f"^{sentence}$") as caught:
        load(data, **({} if name in DAMAGED else {"parser": here}))
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"^cannot read the NIR file '.*': No such file or dir"):
        read(tmp_path / "none.nir")


def test_subgraphs_within_subgraphs_have_a_limit():
    inner = graph()
    for _ in range(40):
        inner = nir.NIRGraph(nodes={"in": inner}, edges=[], type_check=False)
    with pytest.raises(
        ModelError, match=r"^x is not a readable NIR file: groups must be nested at most 32 deep$"
    ):
        from_bytes(nir_bytes(inner), "x")


def survives(data, **how):
    """Whether a file is refused in one sentence, or runs; anything else is an exception."""
    try:
        network = load(data, **how)
        Executor(from_bytes(data, **how), dt=1e-3).run(np.zeros((1, 2, *network.input.shape)))
    except NeurocudaError as error:
        if "\n" in str(error):
            raise
        return False
    return True


@pytest.mark.slow
def test_mutated_bytes_never_crash():
    rng = np.random.default_rng(5)
    good = content()
    refused = 0
    for _ in range(25):
        data = bytearray(good)
        for place in rng.integers(0, len(data), rng.integers(1, 20)):
            data[place] = rng.integers(0, 256)
        refused += not survives(bytes(data))
    assert 5 < refused < 25


def values_of(rng):
    shapes = [(), (0,), (1,), (3,), (2, 2), (3, 32), (2, 1, 3, 3), (1, 1, 1, 1, 1)]
    shape = shapes[rng.integers(len(shapes))]
    kind = rng.integers(5)
    if kind == 0:
        return rng.integers(-3, 40, shape)
    if kind == 1:
        return rng.normal(size=shape) * 10.0 ** rng.integers(-40, 40)
    if kind == 2:
        return np.full(shape, [np.nan, np.inf, -1e308, 0.0, 2.0**63][rng.integers(5)])
    return ["same", "valid", "", "IF"][rng.integers(4)] if kind == 3 else bool(rng.integers(2))


@pytest.mark.slow
def test_mutated_fields_never_crash():
    rng = np.random.default_rng(6)
    paths = []
    with h5py.File(io.BytesIO(content()), "r") as file:
        file.visititems(lambda name, item: paths.append(name))
    paths = [p for p in paths if p.startswith("node/")]
    refused = 0
    for _ in range(250):
        path = paths[rng.integers(len(paths))]
        change = removed(path) if rng.random() < 0.2 else replaced(path, values_of(rng))
        refused += not survives(content(change), parser=here)
    assert 100 < refused < 250
