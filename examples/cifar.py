"""CIFAR-10 as the examples train on it: normalised, shifted by up to 4 pixels, mirrored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from neurocuda_hw.data import datasets
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network.model_file import load_plain

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
_SHIFT = 4

Labelled = tuple[torch.Tensor, torch.Tensor]


def load(folder: str | Path, split: str) -> Labelled:
    """Normalised images ``(N, 3, 32, 32)`` and labels ``(N,)``.

    Raises
    ------
    DataError
        If the folder does not hold the binary version of CIFAR-10; says where to get it.
    """
    try:
        x, y = datasets.load(folder, split)
    except DataError as error:
        raise DataError(
            f"{error}; get 'CIFAR-10 binary version' (cifar-10-binary.tar.gz) from "
            "https://www.cs.toronto.edu/~kriz/cifar.html and name the folder of its .bin files"
        ) from error
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    return torch.from_numpy(x).sub_(mean).div_(std), torch.from_numpy(y)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Weights of a ``.pt`` or ``.th``, also those of a training script (``state_dict``) or of a
    model that was spread over GPUs (``module.``).

    Raises
    ------
    DataError
        If they are not those of `model`.
    """
    state = load_plain(path)
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    try:
        model.load_state_dict(
            {name.removeprefix("module."): value for name, value in state.items()}
        )
    except (RuntimeError, AttributeError):
        raise DataError(f"{str(path)!r} must hold the weights of {type(model).__name__}") from None


class Augmented:
    """Batches of randomly shifted and mirrored images; the same epoch gives the same batches.

    Parameters
    ----------
    x, y : tensors
        From `load`.
    batch : int
        Images per batch; a smaller rest is left out.
    batches : int, optional
        Of one epoch; as many as there are images for, unless given.
    cutout : int
        Side of the square that is set to 0 somewhere in each image (DeVries and Taylor, 2017).
    seed : int

    Raises
    ------
    DataError
        If `cutout` is larger than an image.
    """

    def __init__(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        *,
        batch: int = 128,
        batches: int | None = None,
        cutout: int = 0,
        seed: int = 0,
    ) -> None:
        if not 0 <= cutout <= min(x.shape[2:]):
            raise DataError(f"cutout must be 0 to {min(x.shape[2:])} pixels, not {cutout}")
        self.x, self.y, self.batch, self.cutout, self.seed = x, y, batch, cutout, seed
        self.count = len(x) // batch if batches is None else min(batches, len(x) // batch)
        self.epoch = self.skip = 0

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Which epoch comes next, and how many of its batches were seen already."""
        self.epoch, self.skip = epoch, skip

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Labelled]:
        device = self.x.device
        generator = torch.Generator().manual_seed(1000 * self.seed + self.epoch)
        order = torch.randperm(len(self.x), generator=generator).to(device)
        for number in range(len(self)):
            mirrored, shifts = _draw(self.batch, generator)
            corners = torch.rand((2, self.batch, 1), generator=generator) if self.cutout else None
            if number >= self.skip:
                picked = order[number * self.batch : (number + 1) * self.batch]
                images = self.x[picked]
                images = torch.where(mirrored.to(device), images.flip(3), images)
                images = _shifted(images, shifts.to(device))
                if corners is not None:
                    images = _cut(images, corners.to(device), self.cutout)
                yield images, self.y[picked]


def _draw(count: int, generator: torch.Generator) -> Labelled:
    """Which images are mirrored, ``(B, 1, 1, 1)``, and rows and columns of shift, ``(2, B, 1)``."""
    mirrored = torch.rand((count, 1, 1, 1), generator=generator) < 0.5
    shifts = torch.randint(0, 2 * _SHIFT + 1, (2, count, 1), generator=generator)
    return mirrored, shifts


def _shifted(images: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Images shifted by up to 4 pixels, with zeros behind them; channels last in memory."""
    count, _, height, width = images.shape
    padded = F.pad(images, (_SHIFT,) * 4)
    rows = shifts[0] + torch.arange(height, device=images.device)
    columns = shifts[1] + torch.arange(width, device=images.device)
    sample = torch.arange(count, device=images.device)[:, None, None]
    return padded[sample, :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def _cut(images: torch.Tensor, corners: torch.Tensor, side: int) -> torch.Tensor:
    """Images with a square of 0 whose corner is at `corners` ``(2, B, 1)``, shares of the range."""
    inside = []
    for corner, size in zip(corners, images.shape[2:], strict=True):
        first = (corner * (size - side + 1)).floor()
        place = torch.arange(size, device=images.device)
        inside.append((place >= first) & (place < first + side))
    return images.masked_fill((inside[0][:, :, None] & inside[1][:, None])[:, None], 0.0)
