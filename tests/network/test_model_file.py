"""Saving and loading: nothing is lost, nothing is run, nothing is half-written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from strategies import networks

from neurocuda_hw.ground.errors import DataError, ModelError, NeurocudaError, OutputError
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.model_file import load, load_plain, read_told, save
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Window
from neurocuda_hw.network.synapses import Conv2d, Dense, SumPool


def example() -> Network:
    """A network with every kind of field: windows, pools, scales, per-channel arrays."""
    rng = np.random.default_rng(0)
    return Network(
        name="example",
        populations=(
            Population(
                name="input",
                shape=(2, 4, 4),
                neuron=Input(
                    encoding=Encoding.GRADED, payload_bits=3, window=Window(start=0, stop=1)
                ),
                scale=np.array(0.25),
            ),
            Population(
                name="conv",
                shape=(3, 4, 4),
                neuron=IF(
                    threshold=rng.integers(5, 300, 3), v_floor=-7, window=Window(start=0, stop=3)
                ),
                scale=np.array([0.5, 1.5, 2.5]),
            ),
            Population(name="out", shape=(2,), neuron=Readout(bias=np.array([2**40, -1]))),
        ),
        projections=(
            Projection(
                source="input",
                target="conv",
                synapse=Conv2d(weight=rng.integers(-9, 9, (3, 2, 3, 3)), padding=(1, 1)),
            ),
            Projection(
                source="conv",
                target="out",
                synapse=Dense(weight=rng.integers(-9, 9, (2, 12)), pool=SumPool(kernel=2)),
            ),
        ),
        timesteps=4,
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """`example` in a file."""
    path = tmp_path / "model.pt"
    save(example(), path)
    return path


def refuses(path: Path, message: str, error: type[NeurocudaError] = ModelError) -> None:
    """Asserts the whole message, in which FILE stands for the path."""
    whole = message.replace("FILE", repr(str(path)))
    with pytest.raises(error, match=f"^{re.escape(whole)}$"):
        load(path)


def test_round_trip(saved: Path) -> None:
    network, loaded = example(), load(saved)
    assert loaded == network
    assert loaded.hash == network.hash
    assert loaded.name == "example"
    for before, after in zip(network.populations, loaded.populations, strict=True):
        assert (before.scale is None) == (after.scale is None)
        assert before.scale is None or before.scale.tolist() == after.scale.tolist()
    conv = loaded.projections[0].synapse.weight
    assert conv.dtype == np.int64
    assert not conv.flags.writeable


@settings(max_examples=50)
@given(network=networks())
def test_round_trip_of_any_network(
    network: Network, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "model.pt"
    save(network, path)
    assert load(path).hash == network.hash


def test_same_network_same_bytes(saved: Path, tmp_path: Path) -> None:
    save(example(), tmp_path / "other name.pt")
    assert (tmp_path / "other name.pt").read_bytes() == saved.read_bytes()


def test_weights_take_one_byte(tmp_path: Path) -> None:
    base = example()
    weight = np.ones((100, 48), int)
    big = Network(
        populations=(*base.populations[:2], Population(name="out", shape=(100,), neuron=Readout())),
        projections=(
            base.projections[0],
            Projection(source="conv", target="out", synapse=Dense(weight=weight)),
        ),
        timesteps=4,
    )
    save(big, tmp_path / "big.pt")
    assert (tmp_path / "big.pt").stat().st_size < 4800 + 8000


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9, 0.999])
def test_truncated(saved: Path, kept: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * kept)])
    refuses(saved, "FILE is truncated or damaged; write or copy it again")


def test_any_flipped_bit_is_refused_or_harmless(saved: Path) -> None:
    content, rng, refused = saved.read_bytes(), np.random.default_rng(0), 0
    for place in rng.integers(0, len(content), 200):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        saved.write_bytes(bytes(damaged))
        try:
            assert load(saved).hash == example().hash
        except ModelError:
            refused += 1
    assert refused > 50


def test_an_altered_scale_is_refused(saved: Path) -> None:
    """Scales are not hashed: the archive's checksums guard them."""
    content = saved.read_bytes()
    scale = np.array([0.5, 1.5, 2.5]).tobytes()
    assert content.count(scale) == 1
    saved.write_bytes(content.replace(scale, np.array([0.5, 9.5, 2.5]).tobytes()))
    refuses(saved, "FILE is truncated or damaged; write or copy it again")


def test_empty_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    for content in (b"", b"weights, honestly\n"):
        path.write_bytes(content)
        refuses(path, "FILE must be a PyTorch file, not something else or empty")
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    refuses(
        path,
        "FILE must be a PyTorch file, not HDF5; NIR graphs are for 'nchw build' and 'nchw inspect'",
    )


@pytest.mark.parametrize("zipped", [True, False])
def test_never_unpickles(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=zipped)
    refuses(
        path,
        "FILE holds pickled objects, which could run code; save a state_dict or a torch.export "
        "program instead",
    )


def test_code_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"format": Trap()}, tmp_path / "model.pt")
    with pytest.raises(ModelError):
        load(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


def test_state_dict_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    assert load_plain(path).keys() == {"weight", "bias"}
    message = (
        f"{str(path)!r} is no neurocuda_hw network; make one with "
        "'nchw convert MODEL --data DATA -o FILE'"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        load(path)


def test_exported_program_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    program = torch.export.export(torch.nn.Linear(2, 2).eval(), (torch.zeros(1, 2),))
    torch.export.save(program, path)
    refuses(
        path,
        "FILE must hold tensors, not a torch.export program or something else; 'nchw convert' "
        "makes a network of a program",
    )


def test_altered_tensor(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    content["network"]["projections"][0]["synapse"]["weight"][0, 0, 0, 0] += 1
    torch.save(content, saved)
    refuses(saved, "FILE is damaged: its content does not match its hash")


def test_altered_value_that_no_network_has(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    content["network"]["timesteps"] = 0
    torch.save(content, saved)
    refuses(saved, "FILE is damaged: timesteps must be 1 to 65535, not 0")


def test_unknown_class(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    content["network"]["kind"] = "os.system"
    torch.save(content, saved)
    refuses(saved, "FILE is damaged: 'os.system'")


@pytest.mark.parametrize("kind", ["Window", "SumPool"])
def test_other_object_in_the_place_of_a_network(saved: Path, kind: str) -> None:
    content = torch.load(saved, weights_only=True)
    values = {"Window": {"start": 0, "stop": 1}, "SumPool": {"kernel": [2, 2], "stride": None}}
    content["network"] = {"kind": kind, **values[kind]}
    torch.save(content, saved)
    refuses(saved, "FILE is damaged: its content does not match its hash")


def test_other_version(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    content["version"] = 99
    torch.save(content, saved)
    refuses(saved, "FILE must be of schema version 1, not 99; convert the model again")


def test_missing_file(tmp_path: Path) -> None:
    refuses(
        tmp_path / "none.pt", "cannot read the model FILE: No such file or directory", DataError
    )
    refuses(tmp_path, "cannot read the model FILE: Is a directory", DataError)


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A file in the place of a folder stops even root."""
    (tmp_path / "file").write_text("")
    for path, reason in (
        (tmp_path / "file" / "model.pt", "Not a directory"),
        (tmp_path / "none" / "model.pt", "No such file or directory"),
    ):
        message = f"cannot write {str(path)!r}: {reason}"
        with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
            save(example(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    message = f"cannot write {str(saved)!r}: No space left on device"
    with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
        save(example(), saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["model.pt"]


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "model.pt").mkdir()
    message = f"cannot write {str(tmp_path / 'model.pt')!r}: Is a directory"
    with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
        save(example(), tmp_path / "model.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]


def test_what_is_told_of_a_network_stays_beside_it(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.pt", tmp_path / "told.pt"
    told = {"strategy": "exact", "accuracy": 97.5, "unequal": None, "samples": 3}
    save(example(), plain)
    save(example(), path, told=told)
    assert load(path) == example()
    assert (read_told(path), read_told(plain)) == (told, {})
    content = load_plain(path)
    torch.save(content | {"told": {"a": [1], "b": "kept"}}, path)
    assert read_told(path) == {"b": "kept"}
    torch.save({"told": told}, path)
    assert read_told(path) == {}
