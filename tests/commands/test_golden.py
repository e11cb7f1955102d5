"""``nchw golden`` and ``nchw inspect``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from shell import Shell

from neurocuda_hw import load, load_trace


def test_golden_takes_real_inputs_integers_and_data(nchw: Shell) -> None:
    network = load("network.pt")
    with np.load("data.npz") as data:
        real = data["x_test"]
    np.save("real.npy", real)
    scale = float(network.input.scale)
    integers = np.clip(np.rint(real / scale), 0, 255).astype(np.int64)
    np.savez("integers.npz", integers)
    for source in (["--inputs", "real.npy"], ["--inputs", "integers.npz"], ["--data", "data.npz"]):
        result = nchw("golden", "network.pt", *source, "-o", "trace.npz")
        assert result.code == 0
        trace = load_trace("trace.npz")
        assert trace.network_hash == network.hash
        assert trace.inputs[:, 0].tolist() == integers.tolist()
        assert trace.membranes == {}
    assert "of 20 samples classified as labelled." in result.out


def test_golden_of_random_inputs_says_so(nchw: Shell) -> None:
    result = nchw("golden", "network.pt", "--samples", 5, "--membranes", "-o", "t.npz", "--json")
    assert result.json["inputs"] == "random inputs, seed 0"
    assert result.json["samples"] == load_trace("t.npz").samples == 5
    assert list(load_trace("t.npz").membranes) == ["first"]


def test_golden_covers_what_data_leaves_open(nchw: Shell) -> None:
    alone = nchw("golden", "network.pt", "--cover", "-o", "c.npz", "--json").json
    assert alone["inputs"] == "inputs that were made to show faults, seed 0"
    told = alone["coverage"]
    assert told["bits"] == told["shown"] + told["hidden"] + told["open"]
    assert told["shown"] == sum(row["shown"] for row in told["rows"])
    result = nchw("golden", "network.pt", "--cover", "--data", "data.npz", "-o", "d.npz")
    made = load_trace("d.npz").samples - 20
    assert 0 < made <= alone["samples"]
    assert (
        f"of data.npz, its test samples, and {made} sample{'s' * (made > 1)} of inputs that were "
        "made to show faults, seed 0"
    ) in result.out
    assert " of 20 samples classified as labelled." in result.out
    assert "cannot be shown" in result.out
    with np.load("data.npz") as data:
        assert len(data["x_test"]) == 20
    few = nchw("golden", "network.pt", "--cover", "--samples", 2, "-o", "f.npz", "--json").json
    assert few["samples"] <= 2
    assert few["coverage"]["open"] >= told["open"]


def test_bad_inputs(nchw: Shell) -> None:
    def golden(name: str) -> tuple[str, ...]:
        return ("golden", "network.pt", "--inputs", name, "-o", "t.npz")

    np.save("wide.npy", np.zeros((4, 1, 7), int))
    nchw.refuses("inputs must have the shape (samples, 1, 6), not (4, 1, 7)", *golden("wide.npy"))
    np.save("wide_real.npy", np.zeros((4, 7)))
    nchw.refuses("inputs must have the shape (samples, 6), not (4, 7)", *golden("wide_real.npy"))
    np.save("high.npy", np.full((4, 6), 256))
    nchw.refuses("inputs must be 0 to 255, not 256 to 256", *golden("high.npy"))
    np.save("nan.npy", np.full((4, 6), np.nan))
    nchw.refuses("inputs must be finite, not NaN or infinite (24 of 24 values)", *golden("nan.npy"))
    np.save("text.npy", np.array([["a"]]))
    nchw.refuses("'text.npy' must hold numbers (samples, ...), not <U1 (1, 1)", *golden("text.npy"))
    Path("no.npy").write_bytes(b"123")
    result = nchw(*golden("no.npy"))
    assert result.code == 2
    assert result.err.startswith("nchw: 'no.npy' must be a .npy, or a .npz with x: ")
    nchw.refuses(
        "cannot read the inputs 'none.npy': No such file or directory", *golden("none.npy")
    )


def test_inspect(nchw: Shell) -> None:
    result = nchw("inspect", "network.pt", "--data", "data.npz", "--lanes", 2)
    assert result.code == 0
    for word in ("input", "first", "IF subtract", "Readout", "membrane bits", "Dense, 8x6"):
        assert word in result.out
    assert "mean of 20 samples (data.npz, its test samples)" in result.out
    found = nchw("inspect", "network.pt", "--data", "data.npz", "--lanes", 2, "--json").json
    first = found["populations"][1]  # type: ignore[index]
    assert (first["neurons"], first["weights"], first["lanes"]) == (8, 48, 2)
    trace = nchw("golden", "network.pt", "--data", "data.npz", "-o", "t.npz", "--json").json
    assert first["events"] == trace["spikes"]["first"] / 20  # type: ignore[index]
    assert found["right"] == trace["right"]
