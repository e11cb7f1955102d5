"""What a model's outputs mean: how they are scored, what they are trained by, which labels fit.

    classify   the largest output is the class           cross entropy
    binary     the sign of each output is yes or no      binary cross entropy
    regress    the outputs are values                    squared error, in units of their variance

Whether one network is better than another is judged sample by sample, on the same samples: a
difference of means counts only where it is large beside its own standard error. By labels, that
takes many samples; by another model's probabilities far fewer, since these say more than which is
the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F

from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.errors import DataError

Answers = Callable[[torch.Tensor], torch.Tensor]
Sharpness = tuple[torch.Tensor, torch.Tensor]  # of a network's own outputs, and of those wanted

# mean probability of the likeliest class below which answers are sharpened, and to what
_UNSURE, _SURE = 0.5, 0.9
# samples of doubt, standard errors that chance hardly exceeds, and the share of a score that may be
# lost where it does
_DOUBT, _SURELY, _ALLOWED = 2, 2.5, 0.005


class Task(Enum):
    """What the outputs ``(B, K)`` of a model are."""

    CLASSIFY = "classify"
    BINARY = "binary"
    REGRESS = "regress"

    def score(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """One number for each sample ``(B,)``, higher is better: the share that is right, or minus
        the squared error; `wanted` are labels, or another model's outputs."""
        if self is Task.REGRESS:
            return -(outputs - wanted.to(outputs)).square().mean(1)
        answers, wanted = self.answers(outputs), self.answers(wanted)
        same = (answers == wanted.to(answers.device)).float()
        return same if same.ndim == 1 else same.mean(1)

    def judged(
        self, outputs: torch.Tensor, wanted: torch.Tensor, sharpness: Sharpness | None = None
    ) -> torch.Tensor:
        """What `clearly_better` compares, ``(B, 1)`` or ``(B, 2)`` in float64 on the CPU: `score`,
        and minus the divergence from the other model's probabilities, where `wanted` are its
        outputs and mean any; of both as sharp as training makes them."""
        found = [self.score(outputs, wanted)]
        if self is not Task.REGRESS and wanted.is_floating_point():
            own, other = sharpness or (torch.ones(1), torch.ones(1))
            outputs, wanted = outputs * own.to(outputs), wanted * other.to(wanted)
            found.append(-self._divergence(outputs, wanted))
        return torch.stack(found, 1).double().cpu()

    def _divergence(self, outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        if self is Task.CLASSIFY:
            likely, own = wanted.log_softmax(1), outputs.log_softmax(1)
            return (likely.exp() * (likely - own)).sum(1)
        yes, no = F.logsigmoid(wanted), F.logsigmoid(-wanted)
        apart = yes.exp() * (yes - F.logsigmoid(outputs))
        return (apart + no.exp() * (no - F.logsigmoid(-outputs))).sum(1)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        """Classes ``(B,)``, or yes and no ``(B, K)``; labels, which are integers, as they are."""
        if not outputs.is_floating_point():
            return outputs
        return outputs.argmax(1) if self is Task.CLASSIFY else (outputs > 0).long()

    def labels(self, y: torch.Tensor, outputs: int, what: str) -> torch.Tensor:
        """Labels of a batch as this task takes them.

        Raises
        ------
        DataError
            If they are none of this task and so many `outputs`.
        """
        count = len(y)
        if self is not Task.CLASSIFY:
            wanted = f"{count} x {outputs} numbers" if outputs > 1 else f"{count} numbers"
            if y.numel() != count * outputs:
                raise DataError(
                    f"{what}: labels must be {wanted}, one per output (task {self.value!r}), not "
                    f"{y.dtype} {tuple(y.shape)}"
                )
            y = y.reshape(count, outputs)
            if self is Task.BINARY:
                if bool(((y != 0) & (y != 1)).any()):
                    raise DataError(
                        f"{what}: labels must be 0 or 1, not {_stranger(y, 0, 1)} (a negative "
                        "output is 0, a positive one 1); give them so, or task='regress' where "
                        "they are values"
                    )
                return y.long()
            return y.float()
        if y.ndim != 1 or y.is_floating_point():
            raise DataError(
                f"{what}: labels must be {count} integers, one per input, not {y.dtype} "
                f"{tuple(y.shape)}"
            )
        if int(y.min()) < 0 or int(y.max()) >= outputs:
            raise DataError(
                f"{what}: labels must be 0 to {outputs - 1}, not {_stranger(y, 0, outputs - 1)}: "
                "count classes from 0 (y - 1 where they begin at 1), and leave out samples without "
                "a class"
            )
        return y.long()

    def sharpness(self, answers: torch.Tensor) -> torch.Tensor:
        """What to multiply a model's outputs with before they are compared, ``(1,)`` or ``(K,)``:
        1 where a classifier is sure enough of its own; of values, one over their deviation."""
        if self is Task.REGRESS:
            spread = answers.std(0, unbiased=False)
            return 1 / spread.clamp(min=1e-6 + 1e-3 * float(spread.max()))
        factor = torch.ones(1, device=answers.device)
        if self is Task.CLASSIFY and float(answers.abs().max()) > 0:
            if _sure(answers) >= _UNSURE:
                return factor
            while _sure(answers * factor) < _SURE and float(factor) < 2**30:
                factor = factor * 2
        return factor

    def loss(
        self,
        outputs: torch.Tensor,
        wanted: torch.Tensor,
        y: torch.Tensor | None,
        temperature: float,
    ) -> torch.Tensor:
        """Distance to `wanted` outputs, and to labels where there are any; differentiable."""
        if self is Task.REGRESS:
            found = F.mse_loss(outputs, wanted)
            return found if y is None else found + F.mse_loss(outputs, y)
        if self is Task.BINARY:
            soft = (wanted / temperature).sigmoid()
            found = F.binary_cross_entropy_with_logits(outputs / temperature, soft)
            found = found * temperature**2
            hard = F.binary_cross_entropy_with_logits
            return found if y is None else found + hard(outputs, y.to(outputs))
        # the square keeps the gradient's size, whatever the temperature
        softened = F.cross_entropy(outputs / temperature, (wanted / temperature).softmax(1))
        softened = softened * temperature**2
        return softened if y is None else softened + F.cross_entropy(outputs, y)


def _sure(answers: torch.Tensor) -> float:
    return float(answers.softmax(1).amax(1).mean())


def _stranger(y: torch.Tensor, low: int, high: int) -> float | int:
    return y[(y < low) | (y > high) | (y != y.round())].flatten()[0].item()


def inferred(
    given: str | None, data: Iterable[Batches | None], outputs: int, values: int, final: str | None
) -> tuple[Task, str | None]:
    """The task, and a note on how it was found where that may surprise.

    Parameters
    ----------
    given : str, optional
        What the caller said.
    data : of Batches
        The first that has labels decides.
    outputs, values : int
        Of the model, and values of one input.
    final : "softmax" or "sigmoid", optional
        What the model ends in.
    """
    if given is not None:
        try:
            return Task(given), None
        except ValueError:
            names = ", ".join(repr(task.value) for task in Task)
            raise ValueError(f"task must be one of {names}, not {given!r}") from None
    y = next(
        (y for part in data if part is not None and (y := part.first_labels()) is not None), None
    )
    if y is not None and y.is_floating_point():
        yes_or_no = (outputs == 1 or final == "sigmoid") and bool(((y == 0) | (y == 1)).all())
        return (Task.BINARY if yes_or_no else Task.REGRESS), None
    if y is not None:
        if outputs == 1 and bool((y.abs() > 1).any()):
            return Task.REGRESS, "one output and whole numbers as labels: taken as a regression"
        return (Task.BINARY if outputs == 1 or y.ndim > 1 else Task.CLASSIFY), None
    if final is not None:
        return (Task.CLASSIFY if final == "softmax" and outputs > 1 else Task.BINARY), None
    what = "the inputs again" if outputs == values else "values"
    return Task.REGRESS, (
        f"there are no labels: outputs were taken as {what}, kept by their squared error (task "
        "'regress'); say task='classify' where only the largest counts"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Samples on which networks are compared, one with the other.

    Parameters
    ----------
    data : Batches
    answer : callable
        Outputs of the model that is to be answered like, for inputs ``(B, ...)``.
    labelled : bool
        Whether labels, where there are any, count in its place.
    sharpness : pair of tensors, optional
        See `Task.judged`.
    """

    task: Task
    data: Batches
    answer: Answers
    labelled: bool
    device: torch.device
    sharpness: Sharpness | None = None

    @torch.no_grad()
    def scores(self, forward: Answers) -> torch.Tensor:
        """Of each sample, higher is better: `Task.judged`."""
        found = []
        for x, y in self.data:
            x = x.to(self.device)
            wanted = y if y is not None and self.labelled else self.answer(x)
            wanted = wanted.to(self.device)
            found.append(self.task.judged(forward(x), wanted, self.sharpness))
        return torch.cat(found)

    def short(self, forward: Answers) -> float:
        """Points by which `forward` falls short of the model: of accuracy, or of R²."""
        missing = (self.scores(self.answer) - self.scores(forward))[:, 0]
        if self.task is not Task.REGRESS:
            return 100 * float(missing.mean())
        with torch.no_grad():
            values = torch.cat([self.answer(x.to(self.device)) for x, _ in self.data])
        return 100 * float(missing.mean() / values.var(0, unbiased=False).mean().clamp(min=1e-12))


def clearly_better(after: torch.Tensor, before: torch.Tensor) -> bool:
    """Whether scores ``(B, 1)`` or ``(B, 2)`` of the same samples (`Task.judged`) are higher.

    Of the first number by more than chance makes them, and lower by more than half a per cent with
    hardly any chance; or not lower, and the second higher by more than chance makes it.
    """
    gain = after - before
    # as if there had been two more samples that changed most: little data says little
    error = (gain.square().sum(0) + _DOUBT * gain.square().amax(0)).sqrt() / len(gain)
    mean, allowed = gain.mean(0), _ALLOWED * float(before[:, 0].abs().mean())
    surely = float(mean[0]) > float(error[0])
    surely = surely and float(mean[0] - _SURELY * error[0]) > -allowed
    alike = gain.shape[1] == 2 and float(mean[0]) >= 0 and float(mean[1]) > float(error[1])
    return surely or alike
