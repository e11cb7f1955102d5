"""A better model for the quantised one to learn from (Hinton et al., 2015)."""

from __future__ import annotations

import copy
import hashlib

import torch
from torch import nn
from torch.export import ExportedProgram

from neurocuda_hw.conversion.tracing import check_evaluating, module_of, unwrapped
from neurocuda_hw.ground.errors import ModelError, first_line


class Teacher:
    """Answers of another trained model, for the same inputs and the same classes.

    Parameters
    ----------
    model : nn.Module or ExportedProgram
        In evaluation mode; inputs as the training data has them, outputs ``(B, classes)``. It is
        only evaluated, so that it may hold layers which cannot be converted.
    device : torch.device
        Where to evaluate it: a copy of it is moved there.

    Raises
    ------
    ModelError
        If `model` is no module, or in training mode.
    """

    def __init__(self, model: nn.Module | ExportedProgram, device: torch.device) -> None:
        if isinstance(model, ExportedProgram):
            self.model: nn.Module = module_of(model).to(device)
        elif isinstance(model, nn.Module):
            model = unwrapped(model)
            check_evaluating(model, "teacher")
            self.model = copy.deepcopy(model).to(device)
        else:
            raise ModelError(
                "the teacher must be a torch.nn.Module or a torch.export.ExportedProgram, not "
                f"{type(model).__name__}"
            )
        self.fingerprint = _fingerprint(self.model)

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Logits ``(B, classes)`` for inputs ``(B, ...)``, in float32."""
        answers = self.model(x)
        if not isinstance(answers, torch.Tensor):
            raise ModelError(
                f"the teacher must answer with one tensor of logits, not {type(answers).__name__}"
            )
        return answers.float()

    def first_answers(self, x: torch.Tensor, classes: int) -> torch.Tensor:
        """The same, checked.

        Raises
        ------
        ModelError
            If the model does not take `x`, or answers with other than finite ``(B, classes)``.
        """
        try:
            answers = self(x)
        except (RuntimeError, TypeError, ValueError, AssertionError, IndexError) as error:
            raise ModelError(
                f"the teacher must take inputs of shape {tuple(x.shape)}, as the training data "
                f"has them: {first_line(error)}"
            ) from error
        if answers.shape != (len(x), classes):
            raise ModelError(
                f"the teacher must answer with logits of shape {(len(x), classes)}, as the model "
                f"does, not {tuple(answers.shape)}"
            )
        if not torch.isfinite(answers).all():
            raise ModelError("the teacher must answer with finite logits, but some are not")
        return answers


def _fingerprint(model: nn.Module) -> str:
    """Of a model's weights."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
