"""A better model to learn from than the one that is converted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from conversion.converted import converted, samples
from conversion.models import row, settle
from torch import nn

from neurocuda_hw.conversion import convert, finetune
from neurocuda_hw.ground.errors import DataError, ModelError

pytestmark = pytest.mark.slow

X = samples((1, 8, 8), 320)
TRAINED: dict[str, Any] = {
    "strategy": "exact",
    "task": "classify",
    "qcfs_epochs": 24,
    "levels": 15,
    "rate": 0.03,
    "batch": 16,
}


class Better(nn.Module):
    """Of the same classes as `own_model`, with a layer that cannot be converted."""

    def __init__(self, classes: int = 5, gain: float = 4.0) -> None:
        super().__init__()
        self.linear, self.gain = nn.Linear(64, classes), gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes)."""
        return self.gain * torch.sin(self.linear(x.flatten(1)))


def own_model() -> nn.Module:
    """What is converted."""
    return settle(row(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 5)))


def better(classes: int = 5, gain: float = 4.0) -> Better:
    """In evaluation mode."""
    model = Better(classes, gain)
    settle(model, seed=3)
    return model


def agreement(answers: torch.Tensor, wanted: nn.Module) -> float:
    """Share of the samples with the same class."""
    with torch.no_grad():
        return float((answers.argmax(1) == wanted(X).argmax(1)).float().mean())


def test_its_answers_are_learnt() -> None:
    """In the place of those of the trained model, in both stages of a training."""
    own, other = own_model(), better()
    alone = converted(own, X, **TRAINED).snn
    taught = converted(own, X, teacher=other, **TRAINED).snn
    assert agreement(alone(X), own) > 0.9
    assert agreement(alone(X), other) < 0.5
    assert agreement(taught(X), other) > 0.7
    options = {**TRAINED, "strategy": "qcfs_if_ft", "qcfs_epochs": 0, "if_epochs": 24}
    through_time = converted(own, X, teacher=other, timesteps=4, **options).snn
    assert agreement(through_time(X), other) > 0.7
    tuned = finetune(alone, X, teacher=other, epochs=24, rate=0.03, batch=16, verbose=False)
    assert agreement(tuned(X), other) > 0.7


def test_the_accuracy_reported_is_that_of_the_trained_model() -> None:
    own = own_model()
    with torch.no_grad():
        labels = own(X).argmax(1)
    stats = converted(own, X, test_loader=(X, labels), teacher=better(), **TRAINED).stats
    assert stats.ann_accuracy == 100.0
    assert stats.integer_accuracy is not None
    assert stats.integer_accuracy < 80.0


def test_a_quiet_teacher_is_made_surer() -> None:
    """As a quiet model of the user's own is: learnt is what it says, not how loudly."""
    taught = converted(own_model(), X, teacher=better(gain=0.01), **TRAINED).snn
    assert agreement(taught(X), better()) > 0.7


def test_an_exported_program_teaches_the_same() -> None:
    own, other = own_model(), better()
    batch = torch.export.Dim("batch", min=2, max=512)
    program = torch.export.export(other, (X[:8],), dynamic_shapes=({0: batch},))
    hashes = {
        convert(own, X, teacher=teacher, verbose=False, **TRAINED)[0].network.hash
        for teacher in (other, program)
    }
    assert len(hashes) == 1


def test_it_stays_as_it_is() -> None:
    other = better()
    before = {name: value.clone() for name, value in other.state_dict().items()}
    converted(own_model(), X, teacher=other, **TRAINED)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in other.parameters())


def test_a_loader_may_leave_out_the_labels() -> None:
    options = {**TRAINED, "qcfs_epochs": 2}
    unlabelled = [(part, None) for part in X.split(16)]
    taught = converted(own_model(), unlabelled, teacher=better(), **options).snn
    labels = torch.zeros(len(X), dtype=torch.int64)
    labelled = list(zip(X.split(16), labels.split(16), strict=True))
    other = converted(own_model(), labelled, teacher=better(), **options).snn
    assert taught.network.hash != other.network.hash


def test_a_checkpoint_is_of_one_teacher(tmp_path: Path) -> None:
    options = {**TRAINED, "checkpoint": tmp_path / "training.pt"}
    first = converted(own_model(), X, teacher=better(), **options).snn
    again = converted(own_model(), X, teacher=better(), **options).snn
    assert again.network.hash == first.network.hash
    for other in (None, settle(Better(), seed=4)):
        with pytest.raises(DataError, match="must be of a training with"):
            converted(own_model(), X, teacher=other, **options)


NAN = better()
with torch.no_grad():
    NAN.linear.bias[2] = torch.nan


class Pair(Better):
    """Answers with two tensors."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """Twice the same."""
        return x, x


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (
            better,
            "the teacher must be a torch.nn.Module or a torch.export.ExportedProgram, not function",
        ),
        (
            Better(),
            "the teacher must be in evaluation mode, but 'teacher' is in training mode; call "
            "teacher.eval() first",
        ),
        (
            better(classes=6),
            "the teacher must answer with logits of shape (240, 5), as the model does, not "
            "(240, 6)",
        ),
        (NAN, "the teacher must answer with finite logits, but some are not"),
        (Pair().eval(), "the teacher must answer with one tensor of logits, not tuple"),
        (
            row(nn.Flatten(), nn.Linear(63, 5)),
            "the teacher must take inputs of shape (240, 1, 8, 8), as the training data has them: "
            "mat1 and mat2 shapes cannot be multiplied (240x64 and 63x5)",
        ),
    ],
)
def test_a_teacher_that_cannot_teach(teacher: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        converted(own_model(), X, teacher=teacher, **TRAINED)
