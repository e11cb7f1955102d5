"""Events in, steering out: a simulated camera follows a moving target, the Verilog in the loop.

    python examples/event_camera_pipeline.py             some two minutes
    python examples/event_camera_pipeline.py --quick     fewer decisions

A small CNN learns from windows of events whether the target is left, ahead or right; it is
converted with the exact code and built with a front block (`nchw build --front evt3`). Then, window
by window, the words of a camera (`event_camera`) go into the simulated Verilog, its answer turns
the camera, and the camera sees what comes of it. Afterwards every answer is compared with the
golden model on frames that the software counted: exit code 1 if one logit or one count differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from demo_figures import steering_figure
from event_camera import HEIGHT, TICK_US, WIDTH, Evt3Writer, Scene
from torch import nn

import neurocuda_hw as nc
from neurocuda_hw.commands.console import print_table, say
from neurocuda_hw.data.binning import bin_events
from neurocuda_hw.data.events import Events, events_of
from neurocuda_hw.ground.errors import NeurocudaError
from neurocuda_hw.reference.snn import SpikingNetwork
from neurocuda_hw.report.style import figure_bytes
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.rtl.front_files import front_files
from neurocuda_hw.rtl.front_plan import FrontPlan
from neurocuda_hw.simulation.live import Live
from neurocuda_hw.simulation.simulate import Stalls
from neurocuda_hw.targets.verilog import chosen

STEPS, STEP_US = 4, 10_000
WINDOW_US = STEPS * STEP_US
CLOCK = 50e6  # Hz, assumed where cycles are given as time
LEVELS = 16
_MOST = 3  # events of a pixel in a step: it is blind for 3.5 of 10 ms after each
_MIXED = 0.3  # share of the commands of the training's cameras that are random


class Follower(nn.Module):
    """Recordings ``(B, T, 2, 24, 32)`` to left, ahead, right ``(B, 3)``."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2, 8, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * HEIGHT * WIDTH // 4, 32),
            nn.ReLU(),
            nn.Linear(32, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """By the sum of the frames."""
        return self.net(x.sum(1))


def frames_of(events: Events, start: int) -> np.ndarray:
    """A window's counts ``(T, 2, 24, 32)``, by the software."""
    since = events_of(events.x, events.y, events.polarity, events.time - start)
    shape = (2, HEIGHT, WIDTH)
    return bin_events(since, steps=STEPS, step_us=STEP_US, shape=shape, highest=_MOST)


def recorded(cameras: int, windows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows ``(N, T, 2, 24, 32)`` of cameras that are steered rightly for the most part, camera
    after camera, and what would have been right at the end of each."""
    scene, rng = Scene(cameras, seed), np.random.default_rng(seed)
    frames, labels = [], []
    for _ in range(windows):
        start = scene.time_us
        seen = scene.advance(WINDOW_US // TICK_US)
        frames.append(np.stack([frames_of(events, start) for events in seen]))
        labels.append(scene.command())
        mixed = rng.random(cameras) < _MIXED
        scene.steer = np.where(mixed, rng.integers(0, 3, cameras), labels[-1]) - 1
    x, y = np.stack(frames, 1), np.stack(labels, 1)
    return torch.from_numpy(x).flatten(0, 1).float(), torch.from_numpy(y).flatten()


def learn(x: torch.Tensor, y: torch.Tensor, epochs: int) -> nn.Module:
    """AdamW with a one-cycle rate; each window mirrored in every second epoch."""
    torch.manual_seed(0)
    model, batch = Follower(), 64
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    total = epochs * (-(-len(x) // batch))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=total)
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        for picked in order.split(batch):
            seen, wanted = x[picked], y[picked]
            if epoch % 2:
                seen, wanted = seen.flip(-1), 2 - wanted
            loss = F.cross_entropy(model(seen), wanted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


@dataclass
class Course:
    """What was seen, said and true, window after window."""

    frames: list[np.ndarray] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    said: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    bearing: list[float] = field(default_factory=list)
    heading: list[float] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    latency: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def off(self) -> np.ndarray:
        """Degrees between the target and the middle of the view, at each window's end."""
        return np.abs(np.array(self.bearing) - np.array(self.heading))


def drive(snn: SpikingNetwork, windows: int, seed: int, stalls: int) -> Course:
    """A camera that the Verilog steers."""
    network = snn.network
    design = chosen(network, {}).once(emit)
    plan = FrontPlan(network=network, kind="evt3", tdata_bits=design.tdata_bits)
    files = {**design.files, **front_files(plan)}
    scene, writer, course = Scene(1, seed), Evt3Writer(), Course()
    with Live(
        files, "nchw_camera", step_us=STEP_US, stalls=Stalls(percent=stalls)
    ) as hardware:  # fmt: skip
        for _ in range(windows):
            start = scene.time_us
            (events,) = scene.advance(WINDOW_US // TICK_US)
            # the camera's clock goes on without events: its next word of time ends the window
            last = hardware.send(writer.words(events), last=False, packets=0)
            answer = hardware.send(writer.clock(scene.time_us), last=False)
            (logits,) = answer.values(design.tdata_bits, network.output.size)
            course.latency.append(int(answer.cycles[-1]) - last.taken)
            course.frames.append(frames_of(events, start))
            course.logits.append(logits)
            course.said.append(int(logits.argmax()))
            course.right.append(int(scene.command()[0]))
            course.bearing.append(float(scene.bearing()[0]))
            course.heading.append(float(scene.heading[0]))
            course.events.append(len(events))
            course.counts = answer.counts
            scene.steer = np.array([course.said[-1] - 1.0])
    return course


def unsteered(windows: int, seed: int) -> np.ndarray:
    """How far the same target is off before a camera that nobody turns."""
    scene, found = Scene(1, seed), []
    for _ in range(windows):
        scene.advance(WINDOW_US // TICK_US)
        found.append(abs(float(scene.off()[0])))
    return np.array(found)


def figures_of(snn: SpikingNetwork, course: Course, seed: int) -> dict[str, Any]:
    """What the course comes to; the golden model's answers to the software's frames beside it."""
    frames = np.stack(course.frames)
    golden = snn.run(frames).outputs.numpy()
    events, counted = sum(course.events), course.counts["counted"]
    design = chosen(snn.network, {}).once(emit)
    energy = nc.energy_estimate(snn, frames, bursts=design.bursts)
    still = unsteered(len(frames), seed)
    inside = 60 / 2
    return {
        "decisions": len(frames),
        "events": events,
        "dropped": events - counted,
        "counts": course.counts,
        "logits_differ": int((np.stack(course.logits) != golden).sum()),
        "decisions_differ": int((np.array(course.said) != golden.argmax(1)).sum()),
        "right_percent": round(100 * float(np.mean(np.equal(course.said, course.right))), 1),
        "opposite": int((np.abs(np.subtract(course.said, course.right)) == 2).sum()),
        "mean_off_degrees": round(float(course.off.mean()), 2),
        "in_view_percent": round(100 * float((course.off < inside).mean()), 1),
        "unsteered_off_degrees": round(float(still.mean()), 2),
        "unsteered_in_view_percent": round(100 * float((still < inside).mean()), 1),
        "latency_cycles": round(float(np.mean(course.latency)), 1),
        "most_latency_cycles": max(course.latency),
        "latency_us": round(float(np.mean(course.latency)) / CLOCK * 1e6, 1),
        "most_latency_us": round(max(course.latency) / CLOCK * 1e6, 1),
        "energy_nj": round(energy.snn_nj, 2),
        "ann_energy_nj": round(energy.ann_nj, 2),
        "energy_source": energy.source,
    }


def show(told: dict[str, Any], place: Path) -> None:
    """The table."""
    rows = [
        ("decisions, one every 40 ms", f"{told['decisions']:,}"),
        ("logits that are not the golden model's", told["logits_differ"]),
        ("events of the camera; dropped", f"{told['events']:,}; {told['dropped']}"),
        (
            "right of three (left, ahead, right); opposite",
            f"{told['right_percent']} %; {told['opposite']}",
        ),
        (
            "target off the middle, mean; in view",
            f"{told['mean_off_degrees']}°; {told['in_view_percent']} %",
        ),
        (
            "the same without steering",
            f"{told['unsteered_off_degrees']}°; {told['unsteered_in_view_percent']} %",
        ),
        (
            "from a window's last event to its decision, mean; most (cycles)",
            f"{told['latency_cycles']:,.0f}; {told['most_latency_cycles']:,}",
        ),
        (
            f"the same at an assumed {CLOCK / 1e6:.0f} MHz",
            f"{told['latency_us']:.0f}; {told['most_latency_us']:.0f} µs",
        ),
        (
            "energy of a decision's synaptic operations, modelled; of the ANN's",
            f"{told['energy_nj']}; {told['ann_energy_nj']} nJ",
        ),
    ]
    print_table("A camera steered by its events", ("", ">"), rows)
    say(f"energy per operation: {told['energy_source']}")
    say(f"what it saw and said, drawn: {place}")


def main() -> int:
    """Parses, trains, converts, drives, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer cameras, epochs and decisions")
    parser.add_argument("--cameras", type=int, default=32, help="that the training data is of")
    parser.add_argument("--windows", type=int, default=60, help="of each of them")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--decisions", type=int, default=500)
    parser.add_argument("--stalls", type=int, default=0, help="per cent of cycles that pause")
    parser.add_argument("--seed", type=int, default=7, help="of the target that is followed")
    parser.add_argument("--out", type=Path, default=Path("build/event_camera"), help="for the plot")
    parser.add_argument("--json", action="store_true", help="print one JSON object of figures only")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.cameras, arguments.decisions = min(16, arguments.cameras), 100
    torch.set_num_threads(1)
    x, y = recorded(arguments.cameras, arguments.windows, seed=1)
    held = len(x) // 5  # whole cameras, but for one
    train, test = (x[held:], y[held:]), (x[:held], y[:held])
    try:
        snn, stats = nc.convert(
            learn(*train, arguments.epochs),
            train,
            test_loader=test,
            strategy="exact",
            levels=LEVELS,
            qcfs_epochs=0,
            name="follower",
            verbose=False,
        )
        say(
            f"{len(x):,} windows; held out, right: trained {stats.ann_accuracy:.1f} %, integers "
            f"{stats.integer_accuracy:.1f} %",
            err=True,
        )
        course = drive(snn, arguments.decisions, arguments.seed, arguments.stalls)
    except NeurocudaError as error:
        print(f"event_camera_pipeline: {error}", file=sys.stderr)
        return error.exit_code
    told = figures_of(snn, course, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    place = arguments.out / "steering.svg"
    place.write_bytes(figure_bytes(steering_figure(course)))
    if arguments.json:
        told["held_out"] = {"ann": stats.ann_accuracy, "integers": stats.integer_accuracy}
        print(json.dumps(told, indent=1))
    else:
        show(told, place)
    return 1 if told["logits_differ"] or told["dropped"] else 0


if __name__ == "__main__":
    sys.exit(main())
