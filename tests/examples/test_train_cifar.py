"""The CIFAR-10 example on a few noisy images: it trains, resumes, converts, says what lacks."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import cifar  # noqa: E402 - the examples are no package
import train_cifar  # noqa: E402
from models import CifarResNet18, CifarResNet20  # noqa: E402

from neurocuda_hw.conversion import convert  # noqa: E402
from neurocuda_hw.ground.errors import DataError  # noqa: E402
from neurocuda_hw.network.model_file import load, load_plain  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR-10 binary files of 5 x 8 training and 12 test images; the class shifts the colours."""
    place = tmp_path_factory.mktemp("cifar")
    rng = np.random.default_rng(0)
    for name in ("test_batch", *(f"data_batch_{i}" for i in range(1, 6))):
        count = 12 if name == "test_batch" else 8
        labels = rng.integers(0, 10, (count, 1))
        images = rng.integers(0, 100, (count, 3, 1024)) + 15 * labels[:, :, None]
        records = np.concatenate([labels, images.reshape(count, -1)], axis=1).astype(np.uint8)
        (place / f"{name}.bin").write_bytes(records.tobytes())
    return place


def figures(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """Runs the script with --json."""
    sys.argv = ["train_cifar.py", *map(str, arguments), "--json"]
    assert train_cifar.main() == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def trained(folder: Path, out: Path) -> list[object]:
    """Arguments of a short training, without conversion."""
    return ["resnet20", "--data", folder, "--out", out, "--epochs", 2, "--batch", 8,
            "--device", "cpu", "--no-convert"]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def plain(
    folder: Path, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> tuple[Path, dict[str, Any]]:
    """Weights of one training without a break, and its figures; trained once for all tests."""
    monkeypatch.setattr(sys, "argv", [])
    told = place / "figures.json"
    if not told.exists():
        told.write_text(json.dumps(figures(capsys, *trained(folder, place))))
    return place / "resnet20_seed0.pt", json.loads(told.read_text())


@pytest.mark.slow
def test_trains_and_converts(
    folder: Path,
    tmp_path: Path,
    plain: tuple[Path, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights, first = plain
    assert (first["steps"], first["of_steps"], first["test_images"]) == (10, 10, 12)
    found = figures(
        capsys, "resnet20", "--data", folder, "--out", tmp_path, "--batch", 8, "--device", "cpu",
        "--weights", weights, "--qcfs-epochs", 1, "--qcfs-batch", 8,
        "--levels", 3,
    )  # fmt: skip
    assert found["ann"] == first["ann"]
    assert found["unequal"] == 0
    assert load(tmp_path / "resnet20_seed0_L3_w8_network.pt").timesteps == 19 * 2 + 1
    assert (tmp_path / "resnet20_seed0_L3_w8_qcfs.pt").exists()


@pytest.mark.slow
def test_trains_with_levels(
    folder: Path,
    tmp_path: Path,
    plain: tuple[Path, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From a trained network on, and then converts what it trained."""
    first, _ = plain
    levels = ("--qcfs", "--weights", first, "--levels", 3, "--half", "--qcfs-batch", 8)
    found = figures(capsys, *trained(folder, tmp_path), *levels)
    assert (found["steps"], found["of_steps"]) == (10, 10)
    state = torch.load(tmp_path / "resnet20_qcfs_seed0.pt", weights_only=True)
    before = torch.load(first, weights_only=True)
    assert sum(name.endswith("log_clip") for name in state) == 19
    assert not torch.equal(state["conv1.weight"], before["conv1.weight"])
    again = [part for part in trained(folder, tmp_path) if part != "--no-convert"]
    done = figures(capsys, *again, *levels, "--qcfs-epochs", 0)
    assert done["ann"] == found["ann"]
    assert done["unequal"] == 0
    network = load(tmp_path / "resnet20_qcfs_seed0_L3_w8_network.pt")
    assert network.timesteps == 19 * 2 + 1


@pytest.mark.slow
def test_compiled_it_is_the_same_training(
    folder: Path,
    tmp_path: Path,
    plain: tuple[Path, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: Any,
) -> None:
    """With a compiler that changes nothing: the real one takes a minute."""
    batches: list[int] = []

    def compile_nothing(model: torch.nn.Module) -> Any:
        return lambda x: (batches.append(len(x)), model(x))[1]

    monkeypatch.setattr(torch, "compile", compile_nothing)
    figures(capsys, *trained(folder, tmp_path), "--compile")
    assert batches == [8] * 10
    states = [load_plain(path) for path in (plain[0], tmp_path / "resnet20_seed0.pt")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.slow
def test_resumes_in_the_middle_of_an_epoch(
    folder: Path,
    tmp_path: Path,
    plain: tuple[Path, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Weights after a break are those without one."""
    weights = tmp_path / "resnet20_seed0.pt"
    for stop in (3, None):
        limit = [] if stop is None else ["--max-steps", stop]
        found = figures(capsys, *trained(folder, tmp_path), *limit)
        assert found["steps"] == (stop or 10)
        assert weights.exists() == (stop is None)
    states = [torch.load(path, weights_only=True) for path in (plain[0], weights)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_refuses_another_training(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys, "argv", [])
    figures(capsys, *trained(folder, tmp_path), "--max-steps", 1)
    sys.argv = ["train_cifar.py", *map(str, trained(folder, tmp_path)), "--rate", "0.2"]
    assert train_cifar.main() == 2
    assert re.fullmatch(
        r"error: '.*resnet20_seed0_training.pt' must be of a training with Plan\(.*rate=0.2.*\); "
        r"name another folder with --out, or delete it to begin anew\n",
        capsys.readouterr().err,
    )


def test_says_that_it_diverged(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["train_cifar.py", *map(str, trained(folder, tmp_path)), "--rate", "1e30"]
    )
    assert train_cifar.main() == 2
    assert capsys.readouterr().err == (
        "error: training diverged before step 10; use a smaller --rate\n"
    )
    assert not list(tmp_path.iterdir())


def test_says_where_the_data_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["train_cifar.py", "resnet18", "--data", str(tmp_path), "--out", str(tmp_path)]
    )
    assert train_cifar.main() == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: folder {str(tmp_path)!r} must hold ")
    assert told.endswith(
        "; get 'CIFAR-10 binary version' (cifar-10-binary.tar.gz) from "
        "https://www.cs.toronto.edu/~kriz/cifar.html and name the folder of its .bin files\n"
    )


def test_the_same_epoch_gives_the_same_batches(folder: Path) -> None:
    x, y = cifar.load(folder, "train")
    data = cifar.Augmented(x, y, batch=8, seed=1)
    data.set_epoch(3)
    first = list(data)
    assert len(first) == len(data) == 5
    data.set_epoch(3, skip=2)
    rest = list(data)
    assert len(rest) == 3
    for (a, b), (c, d) in zip(first[2:], rest, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    data.set_epoch(4)
    assert not torch.equal(next(iter(data))[0], first[0][0])


def test_images_are_shifted_and_mirrored(folder: Path) -> None:
    """Each is a crop of its original, or of its mirror image, with a margin of 4 zeros."""
    x, _ = cifar.load(folder, "train")
    mirrored = 0
    for images, numbers in cifar.Augmented(x, torch.arange(len(x)), batch=8):
        assert images.shape == (8, 3, 32, 32)
        assert images.is_contiguous(memory_format=torch.channels_last)
        for image, number in zip(images, numbers, strict=True):
            found = [
                flip
                for flip, original in enumerate((x[number], x[number].flip(2)))
                for dy in range(9)
                for dx in range(9)
                if torch.equal(
                    torch.nn.functional.pad(original, (4,) * 4)[:, dy : dy + 32, dx : dx + 32],
                    image,
                )
            ]
            assert len(found) == 1
            mirrored += found[0]
    assert 10 < mirrored < 30


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.fc.weight": torch.ones(2)}}, tmp_path / "w.th")
    message = f"{str(tmp_path / 'w.th')!r} must hold the weights of CifarResNet20"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        cifar.load_weights(CifarResNet20(), tmp_path / "w.th")


@pytest.mark.slow
def test_resnet18_converts(folder: Path) -> None:
    """Its shortcuts of 1x1 convolutions, on 4 channels instead of 64."""
    torch.manual_seed(0)
    model = CifarResNet18(width=4).eval()
    assert sum(p.numel() for p in CifarResNet18().parameters()) == 11_173_962
    x, y = cifar.load(folder, "train")
    snn, stats = convert(
        model, (x, y), test_loader=(x[:8], y[:8]), strategy="exact", qcfs_epochs=0, verbose=False
    )
    assert stats.unequal == 0
    assert snn.timesteps == 17 * 7 + 1


def test_an_epoch_of_fewer_batches_draws_from_all_images() -> None:
    x, y = torch.zeros(60, 3, 32, 32), torch.arange(60)
    data = cifar.Augmented(x, y, batch=6, batches=4)
    assert len(data) == 4
    seen = set()
    for epoch in range(20):
        data.set_epoch(epoch)
        epochs = [labels for _, labels in data]
        assert [len(labels) for labels in epochs] == [6] * 4
        seen |= set(torch.cat(epochs).tolist())
    assert len(seen) == 60
    assert len(cifar.Augmented(x, y, batch=7, batches=40)) == 8


def test_cutout_clears_one_square() -> None:
    x, y = torch.ones(6, 3, 32, 32), torch.zeros(6, dtype=torch.int64)
    corners = torch.tensor([[0.0, 0.999, 0.5], [0.0, 0.999, 0.25]])[:, :, None]
    images = cifar._cut(x[:3], corners, 8)
    holes = [(images[n, 0] == 0).nonzero() for n in range(3)]
    assert [tuple(hole[0].tolist()) for hole in holes] == [(0, 0), (24, 24), (12, 6)]
    assert [tuple(hole[-1].tolist()) for hole in holes] == [(7, 7), (31, 31), (19, 13)]
    assert all(len(hole) == 64 for hole in holes)
    assert torch.equal(images[:, 0], images[:, 2])
    cut = [image for batch, _ in cifar.Augmented(x, y, batch=3, cutout=8) for image in batch]
    with pytest.raises(DataError, match="cutout must be 0 to 32 pixels, not 33"):
        cifar.Augmented(x, y, cutout=33)
    assert len(cut) == 6
    # no shift of 4 pixels reaches the middle, and every hole does
    inside = slice(4, 28)
    assert all(int((image[0, inside, inside] == 0).sum()) >= 16 for image in cut)
    whole = [image for batch, _ in cifar.Augmented(x, y, batch=3) for image in batch]
    assert all(bool((image[:, inside, inside] == 1).all()) for image in whole)
