"""What a training is resumed from, and the best state that it has seen."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurocuda_hw.conversion.tasks import clearly_better
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.files import write_file
from neurocuda_hw.network.model_file import load_plain


class Best:
    """Keeps the state whose scores are highest, the earliest of equals; but the state before the
    training unless another is clearly better. Without `score` it keeps the last."""

    def __init__(self, model: nn.Module, score: Callable[[], torch.Tensor] | None) -> None:
        self.model, self.score = model, score
        self.epoch = 0
        self.first = self.scores = torch.empty(0)
        self.start: dict[str, torch.Tensor] = {}
        self.state: dict[str, torch.Tensor] = {}

    def see(self, epoch: int) -> None:
        """Scores the model after `epoch` epochs."""
        if self.score is None:
            return
        scores = self.score()
        if epoch == 0:
            self.first, self.start = scores, self._copy()
        elif not self.state or scores[:, -1].mean() > self.scores[:, -1].mean():
            self.epoch, self.scores, self.state = epoch, scores, self._copy()

    def restore(self, last: int) -> int:
        """Puts the best state back; returns its epoch."""
        if self.score is None:
            return last
        better = bool(self.state) and clearly_better(self.scores, self.first)
        self.model.load_state_dict(self.state if better else self.start)
        return self.epoch if better else 0

    def _copy(self) -> dict[str, torch.Tensor]:
        return {k: v.clone() for k, v in self.model.state_dict().items()}

    def written(self) -> list[Any]:
        """What a checkpoint holds of it."""
        return [self.epoch, self.first, self.scores, self.start, self.state]

    def read(self, written: list[Any]) -> None:
        """Puts that back."""
        self.epoch, self.first, self.scores, self.start, self.state = written


class Checkpoint:
    """A file that a training is resumed from; without a path, nothing is read or written.

    Parameters
    ----------
    path : str or Path, optional
    settings : mapping of str to str, int or float
        What must be the same for a training to go on as it would have.
    best, optimiser, generator
        What is written, and put back; the model is that of `best`.
    """

    def __init__(
        self,
        path: Path | None,
        settings: Mapping[str, str | int | float],
        best: Best,
        optimiser: torch.optim.Optimizer,
        generator: torch.Generator,
    ) -> None:
        self.path, self.settings, self.best = path, dict(settings), best
        self.optimiser, self.generator = optimiser, generator

    def resume(self) -> int:
        """Puts back what was written; returns the number of epochs that are done.

        Raises
        ------
        DataError
            If the file is damaged, or belongs to another model or training.
        """
        best = self.best
        if self.path is None or not self.path.exists():
            best.see(0)
            return 0
        state = load_plain(self.path)
        where = f"checkpoint {str(self.path)!r}"
        way_out = "name another file, or delete it to begin anew"
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise DataError(f"{where} is none of a training; {way_out}")
        if state["settings"] != self.settings:
            raise DataError(
                f"{where} must be of a training with {self.settings}, not {state['settings']}; "
                f"{way_out}"
            )
        try:
            best.model.load_state_dict(state["model"])
        except RuntimeError:
            raise DataError(f"{where} must be of this model, not of another; {way_out}") from None
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        best.read(state["best"])
        return int(state["epoch"])

    def write(self, epoch: int) -> None:
        """Writes everything after `epoch` epochs; an earlier file stays until this one is whole."""
        if self.path is None:
            return
        state: dict[str, Any] = {
            "format": _FORMAT,
            "settings": self.settings,
            "epoch": epoch,
            "model": self.best.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "best": self.best.written(),
        }
        content = io.BytesIO()
        torch.save(state, content)
        write_file(self.path, content.getvalue())


_FORMAT = "neurocuda_hw.training 2"
