"""Trained models from files: three ways in, and no way for code that nobody asked for."""

from __future__ import annotations

import io
import json
import pickle
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from neurocuda_hw.conversion.trained import load_trained
from neurocuda_hw.ground.errors import DataError, ModelError, NeurocudaError

pytestmark = pytest.mark.slow

SOURCE = """
from torch import nn
class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 2)
    def forward(self, x):
        return self.last(self.first(x).relu())
def number():
    return 7
"""


class Small(nn.Module):
    """The model of `SOURCE`."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.last(self.first(x).relu())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a module of its own."""
    (tmp_path / "small_model.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("small_model", None)


def export(path: Path, *, batch: object = Dim.AUTO) -> Small:
    """Writes a program, and gives the model it was exported from."""
    torch.manual_seed(0)
    model = Small().eval()
    shapes = ({0: batch},) if batch else None
    program = torch.export.export(model, (torch.zeros(2, 4),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return model


def rewrite(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Changes the members of an archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))


def refuses(error: type[NeurocudaError], message: str, path: Path, **options: object) -> None:
    """Asserts the whole message, in which FILE stands for the path."""
    whole = message.replace("FILE", repr(str(path)))
    with pytest.raises(error, match=f"^{re.escape(whole)}$"):
        load_trained(path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("batch", [Dim.AUTO, None])
def test_program(tmp_path: Path, batch: object) -> None:
    model = export(tmp_path / "model.pt2", batch=batch)
    program = load_trained(tmp_path / "model.pt2")
    assert isinstance(program, ExportedProgram)
    x = torch.randn(2, 4)
    assert torch.equal(program.module()(x), model(x))


def test_program_of_the_example_cnn(tmp_path: Path) -> None:
    from examples.models import MnistCNN

    model = MnistCNN().eval()
    program = torch.export.export(
        model, (torch.zeros(2, 1, 28, 28),), dynamic_shapes=({0: Dim.AUTO},)
    )
    torch.export.save(program, tmp_path / "model.pt2")
    x = torch.rand(3, 1, 28, 28)
    assert torch.equal(load_trained(tmp_path / "model.pt2").module()(x), model(x))


@pytest.mark.parametrize("nested", [False, True])
def test_state_dict(folder: Path, nested: bool) -> None:
    state = Small().state_dict()
    parallel = {f"module.{key}": value for key, value in state.items()}
    torch.save({"state_dict": parallel, "epoch": 3} if nested else state, folder / "weights.pt")
    model = load_trained(folder / "weights.pt", arch="small_model:Small")
    assert isinstance(model, nn.Module)
    assert not model.training
    assert torch.equal(model.state_dict()["first.weight"], state["first.weight"])


def test_state_dict_needs_its_class(folder: Path) -> None:
    torch.save(Small().state_dict(), folder / "weights.pt")
    path = folder / "weights.pt"
    refuses(
        DataError,
        "FILE holds weights without their model; name its class with --arch module:Class",
        path,
    )
    refuses(
        DataError,
        "--arch must be module:Class, such as models:MnistMLP, not 'Small'",
        path,
        arch="Small",
    )
    for arch, reason in (
        ("nowhere:Small", "No module named 'nowhere'"),
        ("small_model:Large", "module 'small_model' has no attribute 'Large'"),
        (
            "torch.nn:Linear",
            "Linear.__init__() missing 2 required positional arguments: "
            "'in_features' and 'out_features'",
        ),
    ):
        message = (
            "--arch must name a class that can be imported here and made without arguments, not "
            f"{arch!r}: {reason}"
        )
        refuses(DataError, message, path, arch=arch)
    refuses(
        DataError,
        "--arch must name a torch.nn.Module, not 'small_model:number'",
        path,
        arch="small_model:number",
    )
    refuses(
        ModelError,
        "FILE must hold the weights of torch.nn:Identity: Unexpected key(s) in state_dict: "
        '"first.weight", "first.bias", "last.weight", "last.bias".',
        path,
        arch="torch.nn:Identity",
    )


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_module_only_with_the_flag(folder: Path, zipped: bool) -> None:
    path = folder / "module.pt"
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    torch.save(model, path, _use_new_zipfile_serialization=zipped)
    refuses(
        ModelError,
        "FILE holds pickled objects, which could run code; save a state_dict or a torch.export "
        "program instead, or read it with --unpickle if you trust it",
        path,
    )
    loaded = load_trained(path, unpickle=True)
    assert isinstance(loaded, nn.Sequential)
    assert not loaded.training


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def trapped(tmp_path: Path, where: str) -> tuple[Path, Path]:
    """A program that runs code if one lets it, and the file which that code would make."""
    path, ran = tmp_path / "model.pt2", tmp_path / "ran"
    export(path)
    buffer = io.BytesIO()
    torch.save(Trap(ran), buffer)
    call = f"__import__('pathlib').Path({str(ran)!r}).touch()"

    def change(name: str, content: bytes) -> bytes:
        if where == "sample inputs" and "sample_inputs" in name:
            return buffer.getvalue()
        if where == "weight" and name.endswith("weight_0"):
            return buffer.getvalue()
        if where == "weight" and name.endswith("weights_config.json"):
            config = json.loads(content)
            config["config"]["first.weight"]["use_pickle"] = True
            return json.dumps(config).encode()
        if not name.endswith("model.json"):
            return content
        model = json.loads(content)
        graph = model["graph_module"]["graph"]
        if where == "operator":
            graph["nodes"][0] |= {
                "target": "torch.os.system",
                "inputs": [{"name": "c", "arg": {"as_string": f"touch {ran}"}, "kind": 1}],
            }
        if where == "size":
            text = json.dumps(model).replace("Symbol('s77', positive=True, integer=True)", call)
            assert call in text
            return text.encode()
        if where == "guard":
            model["guards_code"] = [call]
        if where == "name":
            text = json.dumps(model)
            assert '"name": "x"' in text
            return text.replace('"name": "x"', json.dumps({"name": f"x={call}"})[1:-1]).encode()
        return json.dumps(model).encode()

    rewrite(path, change)
    if where == "constant":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("model/data/constants/opaque_obj_0", pickle.dumps(Trap(ran)))
    return path, ran


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("sample inputs", "cannot be read as a torch.export program"),
        ("weight", "holds pickled objects; if you trust it"),
        ("constant", "not hold 'model/data/constants/opaque_obj_0'"),
        ("operator", "holds 'torch.os.system', which is no operator or size"),
        ("size", "which is no operator or size"),
        ("guard", "holds code that guards its inputs"),
        ("name", "which is no operator or size"),
    ],
)
def test_a_program_runs_no_code(tmp_path: Path, where: str, reason: str) -> None:
    path, ran = trapped(tmp_path, where)
    with pytest.raises(ModelError, match=re.escape(reason)):
        load_trained(path)
    assert not ran.exists()


@pytest.mark.parametrize("where", ["sample inputs", "weight", "size"])
def test_the_traps_are_real(tmp_path: Path, where: str) -> None:
    """With the flag the same files do run their code: the tests above cannot pass by accident."""
    path, ran = trapped(tmp_path, where)
    with suppress(ModelError):  # it runs, and then finds no tensor
        load_trained(path, unpickle=True)
    assert ran.exists()


def test_damaged_program(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    export(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"torch.ops.aten.linear")] ^= 1
    path.write_bytes(bytes(content))
    refuses(
        ModelError,
        "FILE cannot be read as a torch.export program (a checksum is wrong); it may be damaged, "
        "or from a newer PyTorch: export it again",
        path,
    )
    path.write_bytes(path.read_bytes()[:-50])
    refuses(ModelError, "FILE is truncated or damaged; write or copy it again", path)


def test_older_program(tmp_path: Path) -> None:
    path = tmp_path / "old.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "8.7")
        archive.writestr("serialized_exported_program.json", "{}")
    refuses(
        ModelError,
        "FILE must be a program of tensors and operators that PyTorch 2.8 or newer exported, not "
        "hold 'version'; export it again or, if you trust it, read it with --unpickle",
        path,
    )


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    refuses(
        DataError, "cannot read the model FILE: No such file or directory", tmp_path / "none.pt"
    )
    (tmp_path / "list.pt").write_bytes(b"not a model\n")
    refuses(
        ModelError, "FILE must be a PyTorch file, not something else or empty", tmp_path / "list.pt"
    )
    torch.save([1, 2], tmp_path / "numbers.pt")
    refuses(
        ModelError, "FILE must hold a model or its state_dict, not list", tmp_path / "numbers.pt"
    )
