"""The stages of a conversion: what is trained, when that is enough, and what it scores."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn
from torch.export import ExportedProgram

from neurocuda_hw.conversion import spiking
from neurocuda_hw.conversion.drift import correct_drift
from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.qcfs import QcfsModel
from neurocuda_hw.conversion.quantize import Code
from neurocuda_hw.conversion.stats import accuracy
from neurocuda_hw.conversion.teacher import Teacher
from neurocuda_hw.conversion.training import Forward, Training, float_graph, train
from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.words import some

# points under the trained model from which `auto` begins to train
_NEAR_ENOUGH = 0.1
_SAMPLES = 1024
TEST_BATCH = 500

_FORWARD: dict[str, Forward] = {"qcfs": QcfsModel.forward, "spiking": spiking.run}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a strategy comes to; `auto` trains only where it is needed."""

    code: Code
    qcfs_epochs: int
    if_epochs: int
    auto: bool


class Trainer:
    """Trains a model by its stages, and keeps the accuracies on the way."""

    def __init__(
        self,
        module: QcfsModel,
        samples: Batches,
        values: Batches | None,
        how: Training,
        teacher: nn.Module | ExportedProgram | None = None,
    ) -> None:
        self.module, self.samples, self.values, self.how = module, samples, values, how
        self.device = module.biases[0].device
        self.trained = float_graph(module.graph.teacher, self.device)
        self.teacher = None if teacher is None else Teacher(teacher, self.device)
        self.qcfs_accuracy: float | None = None
        self.if_accuracy: float | None = None
        self.through_time = False  # whether the neurons were trained so
        self.evaluation_time = 0.0

    def carry_out(self, course: Course, tests: Batches | None) -> str:
        """All stages of `course`; says what was done."""
        done = [course.code.value]
        last = "qcfs" if course.code is Code.EXACT else "spiking"
        enough = course.auto and self.gap(last) <= _NEAR_ENOUGH
        if course.qcfs_epochs and not enough and (last == "qcfs" or self.worth(course, "qcfs")):
            done.append(f"{self.train('qcfs', course.qcfs_epochs)} of the quantised ANN")
        if self.module.graph.steps is None:
            self.qcfs_accuracy = self.test("qcfs", tests)
        if last == "spiking":
            if not enough:
                self.correct_drift()
            if course.if_epochs and not enough and self.worth(course, "spiking"):
                done.append(f"{self.train('spiking', course.if_epochs)} through time")
                self.through_time = True
            self.if_accuracy = self.test("spiking", tests)
        return ", ".join(done)

    def correct_drift(self) -> None:
        """Corrects the spikes' means, if they then answer more as the trained model does."""
        before, gap = copy.deepcopy(self.module.state_dict()), self.gap("spiking")
        correct_drift(self.module, self.samples.head(_SAMPLES))
        if self.gap("spiking") > gap:
            self.module.load_state_dict(before)

    def worth(self, course: Course, stage: str) -> bool:
        """Whether a stage is to be trained."""
        return not course.auto or self.gap(stage) > _NEAR_ENOUGH

    def train(self, stage: str, epochs: int) -> str:
        """Trains; says how many epochs, and which one was kept."""
        score: Callable[[], float] | None = None
        if self.values is not None:
            score = partial(self.right, stage, self.values, "validation")
        path = self.how.checkpoint
        if path is not None:  # each stage has a file of its own
            path = path.with_name(f"{path.stem}_{stage}{path.suffix}")
        kept = train(
            self.module,
            self.samples,
            replace(self.how, checkpoint=path),
            forward=_FORWARD[stage],
            epochs=epochs,
            stage=stage,
            teacher=self.teacher,
            score=score,
        )
        chosen = f" (epoch {kept} was best on the validation data)" if score and epochs else ""
        return f"{some(epochs, 'epoch')}{chosen}"

    def right(self, stage: str, data: Batches, what: str) -> float:
        """Per cent of `data` that the model gets right at present."""
        forward = partial(_FORWARD[stage], self.module)
        return accuracy(forward, data, self.device, what, self.how.progress)

    def test(self, stage: str, tests: Batches | None) -> float | None:
        """The same on the test data, if there is any; its time does not count."""
        if tests is None:
            return None
        started = time.monotonic()
        found = self.right(stage, tests, f"{stage} on test data")
        self.evaluation_time += time.monotonic() - started
        return found

    def gap(self, stage: str) -> float:
        """Points by which it falls short of the trained model: on the validation data, or in
        agreement with it on the calibration samples."""
        if self.values is not None:
            wanted = accuracy(
                self.answer, self.values, self.device, "trained model", self.how.progress
            )
            return wanted - self.right(stage, self.values, "validation")
        x = self.samples.head(_SAMPLES)
        with torch.no_grad():
            same = [
                self.answer(part).argmax(1) == _FORWARD[stage](self.module, part).argmax(1)
                for part in torch.split(x.to(self.device), 128)
            ]
        return 100 * (1 - float(torch.cat(same).float().mean()))

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        """The trained model's logits."""
        return evaluate(self.trained, x)[-1].flatten(1)

    def ann_accuracy(self, tests: Batches) -> float:
        """Of the trained model."""
        return accuracy(self.answer, tests, self.device, "trained model", self.how.progress)

    def replaced_accuracy(self, tests: Batches) -> float | None:
        """Of the trained model with a clipped ReLU in the place of each other activation function;
        None where there is none."""
        if self.module.graph.trained is None:
            return None
        graph = float_graph(self.module.graph, self.device)

        def answer(x: torch.Tensor) -> torch.Tensor:
            return evaluate(graph, x)[-1].flatten(1)

        return accuracy(answer, tests, self.device, "with ReLU", self.how.progress)
