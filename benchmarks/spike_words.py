"""Would events that carry the spikes of K steps pay? Counted in traces, beside more lanes.

    python -m benchmarks spike_words                                MNIST: both networks and codes
    python -m benchmarks spike_words --files resnet20.pt resnet20_inputs.npz --samples 3

A neuron that fires several times within K steps could send one event with a word of K bits. Its
weights would be read once, and added to those of K partial sums whose steps the word names (soft
reset over K steps is then exact with K comparisons). That takes K adders and K membranes a lane
where K times as many lanes take as many adders and wider words of weights.

For each K: cycles of the slowest layer at one row per cycle, with words of K steps (rows of the
neurons that fire at all within them, and one sweep for all of them) on the lanes at hand, and with
single spikes on K times those lanes, as far as a layer can use them. ``pays`` says whether words
need fewer cycles. A layer's first window begins with the steps in which it may fire; layers that
sweep touched rows only are counted with all their sweeps.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.inputs import mnist_case, saved_case, traced
from benchmarks.table import say
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.cycles import layer_work
from neurocuda_hw.passes.folding import balanced_lanes, lane_choices
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.planner import plan_layer

STEPS = (2, 4, 8)


def in_words(sent: np.ndarray, steps: int, start: int) -> np.ndarray:
    """Which neurons send a word in each window of `steps` steps: ``(T, N)`` to ``(W, N)``.

    One window begins at step `start`.
    """
    before = -start % steps
    after = -(len(sent) + before) % steps
    padded = np.pad(sent, ((before, after), (0, 0)))
    return np.asarray(padded.reshape(-1, steps, sent.shape[1]).any(axis=1))


def word_rows(plan: LayerPlan, activity: Activity, steps: int) -> float:
    """Mean rows of weights and of sweeps of one layer, if events were words of `steps` steps."""
    visits = [part.visits().reshape(-1) for part in plan.fanouts]
    rows = 0.0
    for projection, visit in zip(plan.projections, visits, strict=True):
        start = activity.network.window(projection.source).start
        for sample in range(activity.trace.samples):
            sent = activity.sent(projection.source, sample)
            rows += float((in_words(sent, steps, start) @ visit).sum())
    if plan.touched:
        swept = float(activity.rows(plan).needed.sum(axis=1).mean())
    else:
        swept = float(len(set(np.asarray(plan.sweep_steps()) // steps)) * plan.layout.rows)
    return rows / activity.trace.samples + swept


def more_lanes(network: Network, lanes: Mapping[str, int], factor: int) -> dict[str, int]:
    """`factor` times the lanes of every layer, or the most it can use up to that."""
    return {
        p.name: max(n for n in lane_choices(p, factor * lanes[p.name])) for p in network.targets
    }


def compared(network: Network, trace: Trace, limit: int) -> dict[str, float | bool]:
    """Cycles of the slowest layer under each choice."""
    activity = Activity(network, trace)
    lanes = balanced_lanes(network, activity, limit)
    plans = [plan_layer(network, p, lanes[p.name]) for p in network.targets]
    found: dict[str, float | bool] = {
        "spikes": round(max(layer_work(plan, activity).bound for plan in plans), 1)
    }
    for steps in STEPS:
        wide = more_lanes(network, lanes, steps)
        words = max(word_rows(plan, activity, steps) for plan in plans)
        wider = max(
            layer_work(plan_layer(network, p, wide[p.name]), activity).bound
            for p in network.targets
        )
        found |= {
            f"words{steps}": round(words, 1),
            f"lanes{steps}": round(wider, 1),
            f"pays{steps}": words < wider,
        }
    return found


def measure(given: Namespace) -> dict[str, float | bool]:
    """The cycles of each network under each choice."""
    cases = [(Path(m).stem, saved_case(m, x, given.samples)) for m, x in given.files or ()] or [
        (f"{kind}_{code}", mnist_case(kind, code, given.samples))
        for kind in ("mlp", "cnn")
        for code in ("exact", "rate")
    ]
    figures: dict[str, float | bool] = {}
    for name, case in cases:
        found = compared(*traced(case, batch=4), given.lanes)
        say(f"{name}: {found['spikes']:,} cycles")
        figures |= {f"{name}_{key}": value for key, value in found.items()}
    return figures
