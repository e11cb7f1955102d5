"""Training and test data in any of the shapes people have them in, as batches of tensors."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from neurocuda_hw.ground.errors import DataError

# most samples that are held out to judge by
HELD_OUT = 2048


class Batches:
    """Batches ``(x, y)`` of float32 inputs and int64 or float32 labels, from arrays or a loader.

    `check` is what each batch of labels goes through, once it is known what they should be.

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
        self.check: Callable[[torch.Tensor], torch.Tensor] | None = None
        self._first: tuple[torch.Tensor, torch.Tensor | None] | None = None
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

    def head(self, count: int) -> torch.Tensor:
        """The first `count` inputs (or all, if there are fewer): the same ones each time, even of a
        loader that shuffles."""
        if self.x is not None:
            return self.x[:count]
        if self._first is None or len(self._first[0]) < count:
            parts: list[torch.Tensor] = []
            labels = None
            for x, y in self:
                labels = y if not parts else labels
                parts.append(x)
                if sum(map(len, parts)) >= count:
                    break
            self._first = (torch.cat(parts), labels)
        return self._first[0][:count]

    def first_labels(self) -> torch.Tensor | None:
        """Labels of the first samples, unchecked; None where there are none."""
        if self.x is not None:
            return self.y
        self.head(1)
        assert self._first is not None
        return self._first[1]

    def hold_out(self, seed: int) -> Batches:
        """Samples that are not trained on from now on, to judge by: a tenth, or of little data a
        quarter. Of a loader, which cannot be parted, its first ones, which it goes on giving."""
        if self.x is None:
            return Batches(self.head(HELD_OUT), self.what, self.batch)
        count = len(self.x)
        held = min(HELD_OUT, max(count // 10, min(256, count // 4)))
        if not held:
            return Batches(self.x, self.what, self.batch)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        out, kept = order[:held], order[held:].sort().values
        found = Batches(self.x[out], self.what, self.batch)
        self.x, self.y = self.x[kept], None if self.y is None else self.y[kept]
        return found

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """All batches, in their order."""
        if self.x is not None:
            for start in range(0, len(self.x), self.batch):
                stop = start + self.batch
                yield self.x[start:stop], self._fitting(self.y, slice(start, stop))
            return
        seen = False
        assert self.loader is not None
        for item in self.loader:
            seen = True
            item = (item,) if _is_array(item) else item
            if not isinstance(item, (tuple, list)) or len(item) not in (1, 2):
                parts = f" of {len(item)}" if isinstance(item, (tuple, list)) else ""
                raise DataError(
                    f"{self.what} must give batches (x, y), or x alone, not "
                    f"{type(item).__name__}{parts}"
                )
            x = self._inputs(item[0])
            given = item[1] if len(item) == 2 else None
            y = None if given is None else self._labels(given, len(x))
            yield x, self._fitting(y, slice(None))
        if not seen:
            raise DataError(f"{self.what} must hold at least one batch, not none")

    def set_epoch(self, epoch: int, seed: int = 0) -> None:
        """Tells a loader which epoch begins, if it wants to know (``set_epoch``, as samplers of
        PyTorch have it), and draws what it shuffles and augments by from `seed` (within `seeded`):
        the same epoch then has the same order, also after a break."""
        if self.loader is None:
            return
        for part in self._parts():
            if callable(getattr(part, "set_epoch", None)):
                part.set_epoch(epoch)
        _sow(seed + 7919 * epoch, self._generators())

    def _parts(self) -> list[Any]:
        """The loader and its samplers."""
        parts = [self.loader]
        parts += [getattr(parts[0], name, None) for name in ("sampler", "batch_sampler")]
        return [*parts, getattr(parts[-1], "sampler", None)]

    def _generators(self) -> list[torch.Generator]:
        """What a loader shuffles by, where it has generators of its own."""
        found = [getattr(part, "generator", None) for part in self._parts()]
        return [g for g in found if isinstance(g, torch.Generator)]

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
            yield self.x[picked], self._fitting(self.y, picked)

    def count(self) -> int:
        """Batches of an epoch, or 0 where the loader does not say."""
        if self.x is not None:
            return -(-len(self.x) // self.batch)
        length = getattr(self.loader, "__len__", None)
        return int(length()) if length is not None else 0

    def _fitting(self, y: torch.Tensor | None, chosen: Any) -> torch.Tensor | None:
        """Chosen labels, as the task takes them."""
        if y is None or self.check is None:
            return None if y is None else y[chosen]
        return self.check(y[chosen])

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
        if tensor.ndim == 0 or len(tensor) != count or tensor.is_complex():
            raise DataError(
                f"{self.what}: labels must be {count}, one per input, not {tensor.dtype} "
                f"{tuple(tensor.shape)}"
            )
        return tensor.float() if tensor.is_floating_point() else tensor.to(torch.int64)


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, torch.Tensor))


@contextmanager
def seeded(seed: int, *data: Batches | None) -> Iterator[None]:
    """Within it, random numbers of torch, NumPy and Python, and of the loaders' own generators, are
    those of `seed`, so that a loader that shuffles gives the same twice; they are put back."""
    generators = [g for part in data if part is not None for g in part._generators()]
    before = [g.get_state() for g in generators]
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            _sow(seed, generators)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            for generator, state in zip(generators, before, strict=True):
                generator.set_state(state)


def _sow(seed: int, generators: Iterable[torch.Generator]) -> None:
    seed %= 2**32
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    for generator in generators:
        generator.manual_seed(seed)
