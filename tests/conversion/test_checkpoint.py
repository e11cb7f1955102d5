"""A training that was cut off ends as if it had not been."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conversion.models import Plain, settle
from conversion.test_qcfs import draw, module

from neurocuda_hw.conversion import convert
from neurocuda_hw.conversion.qcfs import QcfsModel
from neurocuda_hw.conversion.quantize import Code
from neurocuda_hw.conversion.training import Training, train
from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.errors import DataError, ModelError

X = draw((1, 8, 8), 48)
Y = torch.arange(48) % 5


class CutOff(Exception):
    """The power fails."""


class Shuffled:
    """Batches that depend on the epoch."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes next."""
        self.epochs.append(epoch)

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        generator = torch.Generator().manual_seed(self.epochs[-1] if self.epochs else 0)
        for picked in torch.split(torch.randperm(48, generator=generator), 16):
            yield X[picked], Y[picked]


def trained(
    data: object,
    checkpoint: Path | None = None,
    *,
    stop: int | None = None,
    levels: int = 5,
    epochs: int = 4,
    scored: bool = False,
) -> tuple[dict[str, torch.Tensor], int]:
    """The state after training, and the epoch that was kept; cut off in epoch `stop`."""
    model = module(settle(Plain()), X[:8], Code.EXACT, levels=levels)

    def progress(stage: str, done: int, total: int) -> None:
        if stop is not None and done == stop * 3 + 2:
            raise CutOff

    scores = iter([1.0, 5.0, 2.0, 4.0, 3.0] if stop is None else [1.0, 5.0, 2.0])
    later = iter([4.0, 3.0])

    def score() -> torch.Tensor:  # of 99 samples, all alike
        resumed = checkpoint is not None and stop is None
        return torch.full((99, 1), next(later if resumed else scores))

    kept = train(
        model,
        Batches(data, "training data", 16),
        Training(rate=0.05, seed=1, progress=progress, checkpoint=checkpoint),
        forward=QcfsModel.forward,
        epochs=epochs,
        stage="qcfs",
        score=score if scored else None,
    )
    return {name: value.clone() for name, value in model.state_dict().items()}, kept


@pytest.mark.slow
@pytest.mark.parametrize("scored", [False, True])
@pytest.mark.parametrize("loader", [False, True])
def test_ends_as_without_the_break(tmp_path: Path, loader: bool, scored: bool) -> None:
    def data() -> object:
        return Shuffled() if loader else (X, Y)

    file = tmp_path / "state.pt"
    with pytest.raises(CutOff):
        trained(data(), file, stop=2, scored=scored)
    resumed, kept = trained(data(), file, scored=scored)
    straight, wanted = trained(data(), scored=scored)
    assert kept == wanted == (1 if scored else 4)
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)
    again, _ = trained(Shuffled() if loader else (X, Y), file, scored=scored)
    assert all(torch.equal(again[name], straight[name]) for name in straight)


def test_only_the_rest_is_trained(tmp_path: Path) -> None:
    first, second = Shuffled(), Shuffled()
    with pytest.raises(CutOff):
        trained(first, tmp_path / "state.pt", stop=2)
    trained(second, tmp_path / "state.pt")
    assert (first.epochs, second.epochs) == ([0, 1, 2], [2, 3])


@pytest.mark.parametrize("change", [{"levels": 6}, {"epochs": 5}])
def test_refuses_that_of_another_training(tmp_path: Path, change: dict[str, int]) -> None:
    file = tmp_path / "state.pt"
    trained((X, Y), file)
    way_out = "name another file, or delete it to begin anew"
    message = rf"checkpoint {re.escape(repr(str(file)))} must be of a training with .*; {way_out}"
    with pytest.raises(DataError, match=f"^{message}$"):
        trained((X, Y), file, **change)  # type: ignore[arg-type]


def test_refuses_what_is_none(tmp_path: Path) -> None:
    file = tmp_path / "state.pt"
    torch.save({"weight": torch.ones(2)}, file)
    with pytest.raises(
        DataError,
        match=f"^checkpoint {re.escape(repr(str(file)))} is none of a training; name another file, "
        "or delete it to begin anew$",
    ):
        trained((X, Y), file)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelError):
        trained((X, Y), file)


def test_convert_resumes(tmp_path: Path) -> None:
    """One file for each stage; the second call trains nothing."""
    model = settle(Plain())

    def count(stage: str, done: int, total: int) -> None:
        stages.append(stage)

    networks = []
    for _ in range(2):
        stages: list[str] = []
        snn, _ = convert(
            model,
            (X, Y),
            strategy="qcfs_if_ft",
            timesteps=4,
            qcfs_epochs=2,
            if_epochs=1,
            checkpoint=tmp_path / "c.pt",
            progress=count,
            verbose=False,
        )
        networks.append((snn.network.hash, [s for s in stages if s in ("qcfs", "spiking")]))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c_qcfs.pt", "c_spiking.pt"]
    assert networks[0][0] == networks[1][0]
    assert networks[0][1] == ["qcfs", "qcfs", "spiking"]
    assert networks[1][1] == []
