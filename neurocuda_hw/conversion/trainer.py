"""The stages of a conversion: what is trained, when that is enough, and what it scores."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn
from torch.export import ExportedProgram

from neurocuda_hw.conversion import spiking
from neurocuda_hw.conversion.drift import correct_drift
from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.qcfs import Judged, QcfsModel
from neurocuda_hw.conversion.quantize import Code
from neurocuda_hw.conversion.stats import Figures, figures
from neurocuda_hw.conversion.tasks import Answers, Judge
from neurocuda_hw.conversion.teacher import Teacher
from neurocuda_hw.conversion.training import (
    SHARPENED_BY,
    Forward,
    Training,
    float_graph,
    sharpnesses,
    train,
)
from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.words import some

# points under the trained model from which `auto` begins to train
_NEAR_ENOUGH = 0.1
_SAMPLES = 1024
# samples that are kept with a network, to judge later changes by
JUDGED = 512
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
    """Trains a model by its stages, and keeps the accuracies on the way.

    What it judges by is the validation data; without any, samples that it holds out of the
    training, and how alike the answers to them are to the trained model's (or the teacher's). What
    training does not clearly better is thrown away.
    """

    def __init__(
        self,
        module: QcfsModel,
        samples: Batches,
        values: Batches | None,
        how: Training,
        teacher: nn.Module | ExportedProgram | None = None,
    ) -> None:
        self.module, self.samples, self.how = module, samples, how
        self.task, self.device = module.task, module.biases[0].device
        self.trained = float_graph(module.graph.teacher, self.device)
        self.teacher = None if teacher is None else Teacher(teacher, self.device)
        self.values = values
        self.judge: Judge | None = None
        self.qcfs: Figures | None = None
        self.spiking: Figures | None = None
        self.through_time = False  # whether the neurons were trained so
        self.evaluation_time = 0.0
        self.notes: list[str] = []

    def hold_out(self) -> Judge:
        """What to judge by; samples are held out when it is first asked for."""
        if self.judge is None:
            data = self.samples.hold_out(self.how.seed) if self.values is None else self.values
            answer = self.answer if self.teacher is None else self.teacher
            first = self.samples.head(SHARPENED_BY).to(self.device)
            self.judge = Judge(
                task=self.task,
                data=data,
                answer=answer,
                labelled=self.values is not None,
                device=self.device,
                sharpness=sharpnesses(self.task, self.answer(first), self.teacher, first),
            )
            self.module.judged = judged(data.head(JUDGED), self.answer, self.device)
        return self.judge

    def carry_out(self, course: Course, tests: Batches | None) -> str:
        """All stages of `course`; says what was done."""
        done = [course.code.value]
        last = "qcfs" if course.code is Code.EXACT else "spiking"
        trains = bool(course.qcfs_epochs or course.if_epochs or last == "spiking")
        enough = trains and course.auto and self.gap(last) <= _NEAR_ENOUGH
        if course.qcfs_epochs and not enough and (last == "qcfs" or self.worth(course, "qcfs")):
            done.append(f"{self.train('qcfs', course.qcfs_epochs)} of the quantised ANN")
        if self.module.graph.steps is None:
            self.qcfs = self.test("qcfs", tests)
        if last == "spiking":
            if not enough:
                self.correct_drift()
            if course.if_epochs and not enough and self.worth(course, "spiking"):
                done.append(f"{self.train('spiking', course.if_epochs)} through time")
                self.through_time = True
            self.spiking = self.test("spiking", tests)
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
        path = self.how.checkpoint
        if path is not None:  # each stage has a file of its own
            path = path.with_name(f"{path.stem}_{stage}{path.suffix}")
        judge = self.hold_out()
        kept = train(
            self.module,
            self.samples,
            replace(self.how, checkpoint=path),
            forward=_FORWARD[stage],
            epochs=epochs,
            stage=stage,
            teacher=self.teacher,
            score=partial(judge.scores, self.forward(stage)),
        )
        if not epochs:
            return "0 epochs"
        by = "validation data" if self.values is not None else "samples that were held out"
        if not kept:
            what = "quantised ANN" if stage == "qcfs" else "neurons through time"
            self.notes.append(
                f"training of the {what} ({some(epochs, 'epoch')}) was thrown away: on "
                f"the {by} no epoch was clearly better than what there was before"
            )
        return f"{some(epochs, 'epoch')} (epoch {kept} was best on the {by})"

    def forward(self, stage: str) -> Answers:
        """The model as it stands, of a stage."""
        return partial(_FORWARD[stage], self.module)

    def test(self, stage: str, tests: Batches | None) -> Figures | None:
        """Figures of a stage on the test data, if there is any; its time does not count."""
        if tests is None:
            return None
        started = time.monotonic()
        found = self.figures(self.forward(stage), tests, f"{stage} on test data")
        self.evaluation_time += time.monotonic() - started
        return found

    def figures(self, forward: Answers, tests: Batches, stage: str) -> Figures:
        """Figures of any outputs on the test data."""
        return figures(self.task, forward, tests, self.device, stage, self.how.progress)

    def gap(self, stage: str) -> float:
        """Points by which it falls short of the trained model: on the validation data, or in
        agreement with it on the calibration samples."""
        judge = self.hold_out() if self.values is not None else None
        if judge is None:
            judge = Judge(
                task=self.task,
                data=Batches(self.samples.head(_SAMPLES), "calibration", 128),
                answer=self.answer,
                labelled=False,
                device=self.device,
            )
        return judge.short(self.forward(stage))

    def answer(self, x: torch.Tensor) -> torch.Tensor:
        """The trained model's outputs."""
        return evaluate(self.trained, x)[-1].flatten(1)

    def replaced(self, tests: Batches) -> Figures | None:
        """Of the trained model with a clipped ReLU in the place of each other activation function;
        None where there is none."""
        if self.module.graph.trained is None:
            return None
        graph = float_graph(self.module.graph, self.device)

        def answer(x: torch.Tensor) -> torch.Tensor:
            return evaluate(graph, x)[-1].flatten(1)

        return self.figures(answer, tests, "with ReLU")


def judged(x: torch.Tensor, answer: Answers, device: torch.device) -> Judged:
    """Samples `x` to judge later changes of a network by."""
    with torch.no_grad():
        wanted = torch.cat([answer(part.to(device)) for part in torch.split(x, 128)])
    return Judged(x.cpu(), wanted.cpu())
