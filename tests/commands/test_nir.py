"""NIR graphs on the command line: options, the table, every target, and one sentence for errors."""

import itertools
import json
import tarfile

import h5py
import nir
import numpy as np
import pytest
from nir_graphs import graph, neuron, whole
from small import SPIKES, chain
from tools import need

from neurocuda_hw import cli, load, load_trace, save
from neurocuda_hw.data.events import Events
from neurocuda_hw.data.nmnist import encode
from neurocuda_hw.ground.toolchain import find_compiler, find_verilator
from neurocuda_hw.network.neurons import IF, Encoding, Reset
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.nir import from_nir, nir_bytes, read

LEAKY = {"tau": np.full(3, 0.01), "r": np.full(3, 10.0), "v_leak": np.zeros(3)}
WEIGHT = np.random.default_rng(8).normal(size=(3, 6)) + 0.4


@pytest.fixture
def nchw(tmp_path, monkeypatch, capsys):
    """Runs ``nchw`` in a folder with a few graphs; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    whole_graph = graph((6,), (3,), {"w": nir.Linear(weight=whole(3, 6)), "s": neuron(3)})
    (tmp_path / "whole.nir").write_bytes(nir_bytes(whole_graph))
    leaky = nir.LIF(v_threshold=np.full(3, 2.0), **LEAKY)
    real = graph((6,), (3,), {"w": nir.Linear(weight=WEIGHT), "s": leaky})
    (tmp_path / "leaky.nir").write_bytes(nir_bytes(real))
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 2, (8, 12, 6)).astype(np.uint8), rng.integers(0, 3, 8)
    np.savez(tmp_path / "data.npz", x=x, y=y)

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(a) for a in arguments])
        return (ended.value.code, *capsys.readouterr())

    return run


def network():
    """An integer network that subtracts."""
    weight = np.random.default_rng(0).integers(-5, 9, (3, 6))
    return chain(
        12,
        {
            "x": ((6,), SPIKES),
            "y": ((3,), IF(threshold=7, reset=Reset.SUBTRACT)),
        },
        Dense(weight=weight),
    )


def test_inspect_shows_what_quantisation_costs(nchw):
    code, out, err = nchw(
        "inspect", "leaky.nir", "--steps", 12, "--dt", "1e-3", "--data", "data.npz"
    )
    assert (code, err) == (0, "")
    assert "The NIR graph in floating point, and in integers" in out
    rows = [line.replace("│", " ").split() for line in out.splitlines()]
    (layer,) = [row for row in rows if row[:1] == ["s"] and row[-1].endswith("%")]
    assert layer[-2].endswith("%")
    assert 0 < int(layer[1]) < 8 * 12 * 3
    (accuracy,) = [row for row in rows if row[:1] == ["accuracy"]]
    assert accuracy[1].endswith("%")
    code, out, err = nchw(
        "inspect", "leaky.nir", "--steps", 12, "--dt", "1e-3", "--data", "data.npz", "--json"
    )
    facts = json.loads(out)
    assert facts["nir"]["layers"]["s"]["float_spikes"] == int(layer[1])
    assert facts["populations"][1]["weight_bits"] == 8


def test_options_reach_the_network(nchw):
    options = ["--steps", 9, "--dt", "2e-3", "--method", "exact", "--reset", "subtract"]
    options += ["--fires", "at", "--weight-bits", 5, "--payload-bits", 3, "--input-scale", 0.5]
    assert nchw("build", "leaky.nir", *options, "-o", "out")[0] == 0
    want = from_nir(
        read("leaky.nir"), 9, dt=2e-3, method="exact", reset="subtract", fires_at=True,
        weight_bits=5, encoding=Encoding.GRADED, payload_bits=3, input_scale=0.5, name="leaky",
    )  # fmt: skip
    assert load("out/model.pt") == want


def test_the_floats_follow_the_same_rules(nchw):
    for options in ([], ["--reset", "subtract"], ["--reset", "subtract", "--fires", "at"]):
        given = ["whole.nir", "--steps", 12, "--data", "data.npz", *options, "--json"]
        found = json.loads(nchw("inspect", *given)[1])["nir"]["layers"]["s"]
        assert found["agreement"] == 1
        assert found["float_spikes"] > 20


def test_bits_chosen_to_keep_an_agreement(nchw):
    given = ["--steps", 12, "--dt", "1e-3", "--data", "data.npz"]
    _, few, _ = nchw("inspect", "leaky.nir", *given, "--agreement", 0.6, "--json")
    _, many, _ = nchw("inspect", "leaky.nir", *given, "--agreement", 0.99, "--json")
    bits = [json.loads(text)["populations"][1]["weight_bits"] for text in (few, many)]
    assert 2 <= bits[0] < bits[1] <= 24
    assert json.loads(many)["nir"]["layers"]["s"]["agreement"] >= 0.99


@pytest.mark.slow
def test_all_targets_in_one_folder(nchw, tmp_path):
    need(find_compiler())
    given = ["--steps", 12, "--data", "data.npz"]
    code, out, err = nchw(
        "build", "whole.nir", *given, "--target", "all", "--export", "auto", "-o", "out"
    )
    assert (code, err) == (0, "")
    assert "100.00%" in out
    for path in ("rtl/nchw_top.v", "hls/nchw_top.cpp", "loihi/report.txt", "network.nir"):
        assert (tmp_path / "out" / path).is_file()
    assert from_nir(read("out/network.nir")) == load("out/model.pt")
    code, out, _ = nchw("verify", "out", "--target", "hls,loihi")
    assert code == 0
    assert out.count("equal") == 3
    assert "NOT" not in out
    rebuilt = nchw("build", "whole.nir", *given, "--target", "all", "-o", "out")
    assert rebuilt[0] == 0  # it knows its own files
    assert not (tmp_path / "out" / "network.nir").exists()


@pytest.mark.slow
def test_verify_and_golden_take_a_graph(nchw):
    need(find_verilator())
    code, out, _ = nchw("verify", "whole.nir", "--steps", 5)
    assert code == 0
    assert "equal" in out
    assert nchw("golden", "whole.nir", "--steps", 12, "--data", "data.npz", "-o", "t.npz")[0] == 0
    trace = load_trace("t.npz")
    assert (trace.samples, trace.timesteps) == (8, 12)
    assert trace.network_hash == from_nir("whole.nir", 12).hash


def test_out_to_nir_and_back(nchw, tmp_path):
    save(network(), "network.pt")
    code, out, err = nchw("build", "network.pt", "--target", "nir", "-o", "out")
    assert (code, out) == (2, "")
    assert err == (
        "nchw: population 'y' needs reset by subtraction, which NIR cannot express: choose the "
        "export 'explicit' (more nodes, any tool runs it) or 'annotated' (plain nodes, the rest "
        "in metadata that other tools do not read)\n"
    )
    assert not (tmp_path / "out").exists()
    for export, kinds in (("explicit", {"I", "Threshold"}), ("annotated", {"IF"})):
        given = ["--target", "nir", "--export", export, "-o", export]
        assert nchw("build", "network.pt", *given)[0] == 0
        found = read(f"{export}/network.nir")
        assert kinds <= {type(node).__name__ for node in found.nodes.values()}
        assert from_nir(found) == network()
        assert nchw("inspect", f"{export}/network.nir")[0] == 0
    options = ["--dt", "1e-3", "--fires", "at", "--integrate-dt"]
    code, _, err = nchw("build", "network.pt", *given, "--force", *options)
    assert (code, err) == (0, "")
    node = read("annotated/network.nir").nodes["y"]
    assert (node.v_threshold.tolist(), node.r.tolist()) == ([7] * 3, [1000.0] * 3)


def test_a_note_where_the_file_names_a_framework(nchw):
    found = read("whole.nir")
    found.metadata = {"exporter": "sinabs 3.1"}
    with open("named.nir", "wb") as file:
        file.write(nir_bytes(found))
    code, _, err = nchw("inspect", "named.nir", "--steps", 4)
    assert code == 0
    assert err == (
        "nchw: note: this file names sinabs: sinabs subtracts the threshold unless reset_fn says "
        "otherwise; NIR's own rule is a reset to v_reset, so say which is meant (--reset subtract "
        "or --reset nir)\n"
    )
    assert nchw("inspect", "named.nir", "--steps", 4, "--reset", "nir")[2] == ""


def recordings(folder, packed):
    """Three recordings of a 6 x 5 sensor."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    for number in range(3):
        events = Events(
            x=rng.integers(0, 5, 400),
            y=rng.integers(0, 6, 400),
            polarity=rng.integers(0, 2, 400),
            time=np.sort(rng.integers(0, 8000, 400)),
        )
        (folder / f"{number + 1}.bs2").write_bytes(encode(events))
    (folder / "classes.txt").write_text("1 0\n2 1\n3 0\n")
    if packed:
        (folder / "packed").mkdir()
        with tarfile.open(folder / "packed" / "data.tar.gz", "w:gz") as archive:
            for file in folder.glob("*.*"):
                archive.add(file, file.name)
        return folder / "packed"
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_recordings_become_counts(nchw, tmp_path, packed):
    folder = recordings(tmp_path / "events", packed)
    nodes = {
        "f": nir.Flatten({"input": np.array([2, 6, 5])}, start_dim=0),
        "w": nir.Linear(weight=whole(2, 60)),
        "s": neuron(2),
    }
    (tmp_path / "camera.nir").write_bytes(nir_bytes(graph((2, 6, 5), (2,), nodes)))
    given = ["--steps", 4, "--payload-bits", 2, "--data", folder, "--step-us", 2000]
    assert nchw("golden", "camera.nir", *given, "-o", "t.npz")[0] == 0
    inputs = load_trace("t.npz").inputs
    assert inputs.shape == (3, 4, 2, 6, 5)
    assert inputs.max() == 3
    assert inputs[0].sum() > 300
    _, out, _ = nchw("inspect", "camera.nir", *given, "--samples", 2, "--json")
    assert json.loads(out)["samples"] == 2
    assert json.loads(out)["nir"]["float_accuracy"] is not None
    code, _, err = nchw("golden", "whole.nir", "--steps", 4, "--data", folder, "-o", "u.npz")
    assert code == 2
    assert err == (
        "nchw: recordings of events need an input (1 or 2, H, W), or (N,) for one row of them, "
        "that gets events in every step, not (6,) of SPIKES; see --encoding\n"
    )


SENTENCES = {
    "no steps": (
        ["inspect", "whole.nir"],
        "nchw: a NIR graph does not say its number of steps: give timesteps (--steps)",
    ),
    "no dt": (
        ["inspect", "leaky.nir", "--steps", 4],
        "nchw: NIR node 's' tau is in seconds: say how long a step is with dt (--dt)",
    ),
    "no file": (
        ["inspect", "none.nir", "--steps", 4],
        "nchw: cannot read the model 'none.nir': No such file or directory",
    ),
    "damaged": (
        ["build", "damaged.nir", "--steps", 4],
        "nchw: 'damaged.nir' is not a readable NIR file: ",
    ),
    "unequal data": (
        ["inspect", "whole.nir", "--steps", 5, "--data", "data.npz"],
        "nchw: inputs must have the shape (samples, 5, 6), not (8, 12, 6)",
    ),
}  # fmt: skip
USAGE = {
    "dt": (["--dt", 0], "Error: Invalid value for '--dt': must be a positive number, not 0.0"),
    "not a number": (
        ["--dt", "nan"], "Error: Invalid value for '--dt': must be a positive number, not nan",
    ),
    "integrate": (
        ["--integrate-dt"], "Error: --integrate-dt needs the length of a step: give --dt",
    ),
    "both": (
        ["--weight-bits", 4, "--agreement", 0.9],
        "Error: --weight-bits and --agreement exclude each other",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SENTENCES)
def test_one_sentence(nchw, tmp_path, name):
    (tmp_path / "damaged.nir").write_bytes((tmp_path / "whole.nir").read_bytes()[:3000])
    before = sorted(tmp_path.rglob("*"))
    arguments, sentence = SENTENCES[name]
    code, out, err = nchw(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(sentence)
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", USAGE)
def test_usage(nchw, name):
    arguments, sentence = USAGE[name]
    code, out, err = nchw("inspect", "whole.nir", "--steps", 4, *arguments)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == sentence


def test_options_where_they_mean_nothing(nchw):
    save(network(), "network.pt")
    code, _, err = nchw("inspect", "network.pt", "--reset", "nir")
    assert code == 2
    assert err.splitlines()[-1] == "Error: --reset is for .nir files, which 'network.pt' is not"
    nchw("build", "network.pt", "--target", "nir", "--export", "auto", "-o", "out")
    code, _, err = nchw("inspect", "out/network.nir", "--weight-bits", 4)
    assert code == 2
    assert err.splitlines()[-1] == (
        "Error: --weight-bits is for graphs of other tools: 'out/network.nir' says itself which "
        "integers it stands for"
    )
    code, _, err = nchw("build", "network.pt", "--export", "explicit", "-o", "elsewhere")
    assert code == 2
    assert err.splitlines()[-1] == "Error: --export is for --target nir or all"


@pytest.mark.slow
def test_mutated_files_never_end_in_a_traceback(nchw, tmp_path):
    """Fields of a good file, changed at random: exit code 0 or one sentence."""
    rng = np.random.default_rng(7)
    good = (tmp_path / "leaky.nir").read_bytes()
    names: list[str] = []
    with h5py.File("leaky.nir", "r") as file:
        file.visititems(lambda name, item: names.append(name))
    values = [np.nan, -1.0, 0.0, 1e300, "IF", np.zeros((0,)), np.ones((7, 7)), np.ones(3, "i8")]
    codes = []
    for name, value in itertools.islice(
        ((names[rng.integers(len(names))], values[rng.integers(len(values))]) for _ in range(99)),
        12,
    ):
        (tmp_path / "mutated.nir").write_bytes(good)
        with h5py.File("mutated.nir", "r+") as file:
            if name in file:
                del file[name]
            if rng.random() < 0.7:
                file[name] = value
        code, _, err = nchw("inspect", "mutated.nir", "--steps", 3, "--dt", "1e-3")
        assert code in (0, 2)
        assert err.count("\n") == (code == 2), err
        codes.append(code)
    assert set(codes) == {0, 2}
