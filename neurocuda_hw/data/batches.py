"""Training and test data in any of the shapes people have them in, as batches of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from neurocuda_hw.ground.errors import DataError


class Batches:
    """Batches ``(x, y)`` of float32 and int64 tensors, from arrays or from a loader.

    Parameters
    ----------
    data : pair of arrays or tensors (x, y), x alone, or an iterable of batches
        An iterable (a DataLoader) is gone through anew for each epoch; it shuffles and augments as
        it likes. Arrays are shuffled here. Batches without labels are ``(x, None)``.
    what : str
        Names the data in messages.
    batch : int
        Samples per batch, for arrays.
    """

    def __init__(self, data: Any, what: str, batch: int) -> None:
        self.what, self.batch = what, batch
        self.x: torch.Tensor | None = None
        self.y: torch.Tensor | None = None
        self.loader: Iterable[Any] | None = None
        if isinstance(data, (tuple, list)) and len(data) == 2 and _is_array(data[0]):
            self.x = self._inputs(data[0])
            self.y = None if data[1] is None else self._labels(data[1], len(self.x))
        elif _is_array(data):
            self.x = self._inputs(data)
        elif isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
            if iter(data) is data:
                raise DataError(
                    f"{what} must be an iterable that can be gone through again (a DataLoader or a "
                    "list of batches), not a generator"
                )
            self.loader = data
        else:
            raise DataError(
                f"{what} must be (x, y) arrays or a DataLoader of (x, y) batches, not "
                f"{type(data).__name__}"
            )

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return self.y is not None or self.loader is not None

    def head(self, count: int) -> torch.Tensor:
        """The first `count` inputs (or all, if there are fewer)."""
        if self.x is not None:
            return self.x[:count]
        parts: list[torch.Tensor] = []
        for x, _ in self:
            parts.append(x)
            if sum(map(len, parts)) >= count:
                break
        return torch.cat(parts)[:count]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """All batches, in their order."""
        if self.x is not None:
            for start in range(0, len(self.x), self.batch):
                stop = start + self.batch
                yield self.x[start:stop], None if self.y is None else self.y[start:stop]
            return
        seen = False
        assert self.loader is not None
        for item in self.loader:
            seen = True
            if isinstance(item, (tuple, list)) and len(item) == 2:
                x = self._inputs(item[0])
                yield x, None if item[1] is None else self._labels(item[1], len(x))
            else:
                raise DataError(f"{self.what} must give batches (x, y), not {type(item).__name__}")
        if not seen:
            raise DataError(f"{self.what} must hold at least one batch, not none")

    def set_epoch(self, epoch: int) -> None:
        """Tells a loader which epoch begins, if it wants to know (``set_epoch``, as samplers of
        PyTorch have it): the same epoch then has the same order, also after a break."""
        for part in (self.loader, getattr(self.loader, "sampler", None)):
            if callable(getattr(part, "set_epoch", None)):
                part.set_epoch(epoch)  # type: ignore[union-attr]

    def epoch(
        self, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """All batches, shuffled; a last batch of one sample is left out where there are others."""
        if self.x is None:
            yield from self
            return
        order = torch.randperm(len(self.x), generator=generator)
        for start in range(0, len(order), self.batch):
            picked = order[start : start + self.batch]
            yield self.x[picked], None if self.y is None else self.y[picked]

    def count(self) -> int:
        """Batches of an epoch, or 0 where the loader does not say."""
        if self.x is not None:
            return -(-len(self.x) // self.batch)
        length = getattr(self.loader, "__len__", None)
        return int(length()) if length is not None else 0

    def _inputs(self, x: Any) -> torch.Tensor:
        tensor = torch.as_tensor(x)
        if tensor.ndim < 2 or len(tensor) == 0 or tensor.is_complex():
            raise DataError(
                f"{self.what}: inputs must be numbers (samples, ...) with at least one sample, not "
                f"{tensor.dtype} {tuple(tensor.shape)}"
            )
        tensor = tensor.float()
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise DataError(
                f"{self.what}: inputs must be finite, but {bad} of {tensor.numel()} values are NaN "
                "or infinite"
            )
        return tensor

    def _labels(self, y: Any, count: int) -> torch.Tensor:
        tensor = torch.as_tensor(y)
        if tensor.shape != (count,) or tensor.is_floating_point():
            raise DataError(
                f"{self.what}: labels must be {count} integers, one per input, not {tensor.dtype} "
                f"{tuple(tensor.shape)}"
            )
        return tensor.to(torch.int64)


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, torch.Tensor))
