"""Spiking hardware balances a pole: CartPole-v1, the generated Verilog in the loop.

    pip install 'neurocuda_hw[control]'
    python examples/cartpole_control.py                  five seeds: some 20 minutes on one core
    python examples/cartpole_control.py --quick          one seed, in two minutes

Of each seed two policies. A DQN of ReLUs is trained, early-stopped where 100 episodes reach a mean
return of 195 and then on until they reach 475, and both are converted with the exact code. A policy
of leaky integrate-and-fire neurons is trained directly, by PPO through time, and read as integers.
Then the Verilog of each, simulated, drives carts: an observation goes in as a packet, its answer is
the action. What the golden model says of the same observations is compared afterwards, logit by
logit; exit code 1 if any differs.

What a policy is worth is its mean return in 100 episodes (seeds 0 to 99) that chose nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import neurocuda_hw as nc
from neurocuda_hw.commands.console import print_table, say
from neurocuda_hw.data.stimulus import packets
from neurocuda_hw.ground.errors import NeurocudaError, missing_package
from neurocuda_hw.reference.snn import SpikingNetwork
from neurocuda_hw.report.style import figure_bytes
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.simulation.live import Live
from neurocuda_hw.targets.verilog import chosen

try:
    from cartpole import (
        EPISODES,
        REACHED,
        SOLVED,
        Policy,
        QNetwork,
        SpikingPolicy,
        Trained,
        carts,
        greedy,
        play,
        train_dqn,
        train_spiking,
    )
except ModuleNotFoundError as error:
    print(f"cartpole_control: {missing_package(error)}", file=sys.stderr)
    sys.exit(3)
from demo_figures import balance_figure

LEVELS = 64  # a DQN tells its two actions apart by a thousandth of their values
CLOCK = 50e6  # Hz, assumed where cycles are given as time
_SAMPLES = 4000  # observations that calibrate


def centred(model: nn.Module) -> nn.Module:
    """A Q-network whose answers are advantages: less their mean, so with the same larger one.

    Q-values are large and nearly equal. What both have in common would take most of the weights'
    bits, and says nothing of the action.
    """
    last = model[-1]
    with torch.no_grad():
        last.weight -= last.weight.mean(0)
        last.bias -= last.bias.mean()
    return model


def observed(model: nn.Module, seed: int) -> torch.Tensor:
    """Observations ``(N, 4)`` of 20 episodes of a policy; in 10 of them a fifth of its actions are
    random."""
    rng, act = np.random.default_rng(seed), greedy(model)
    seen: list[np.ndarray] = []
    first = 200_000 + 20 * seed
    play(act, range(first, first + 10), seen)
    play(lambda x: np.where(rng.random(len(x)) < 0.2, rng.integers(0, 2, len(x)), act(x)),
         range(first + 10, first + 20), seen)  # fmt: skip
    everything = np.concatenate(seen)
    return torch.from_numpy(everything[rng.permutation(len(everything))[:_SAMPLES]])


def integers(model: nn.Module, seed: int, name: str) -> tuple[SpikingNetwork, dict[str, Any]]:
    """A policy as integers, untrained by the conversion, and what that says of its answers."""
    x = observed(model, seed)
    direct = isinstance(model, SpikingPolicy)
    with torch.no_grad():
        y = model(x).argmax(1)
    snn, stats = nc.convert(
        model,
        (x, y),
        test_loader=(x, y),
        task="classify",
        strategy="qcfs_direct" if direct else "exact",
        levels=LEVELS,
        qcfs_epochs=0,
        name=name,
        seed=seed,
        verbose=False,
    )
    told: dict[str, Any] = {"same_actions_percent": round(stats.integer_accuracy, 2)}
    if not direct:
        told["unequal"] = stats.unequal
    return snn, told


def returns(act: Policy) -> dict[str, float]:
    """Mean and lowest return of the test's episodes."""
    found = play(act, range(EPISODES))
    return {"mean": round(float(found.mean()), 2), "lowest": float(found.min())}


def spiking(snn: SpikingNetwork) -> Policy:
    """Actions of an integer network."""
    return lambda x: snn.run(x).outputs.argmax(1).numpy()


def in_the_loop(snn: SpikingNetwork, seeds: range) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The Verilog of a network drives a cart of each seed, one packet for each observation.

    Returns
    -------
    figures : dict
        Episodes, actions, those that are not the golden model's, logits that differ, returns, and
        cycles from the first word of an observation to the last of its answer.
    seen : list of float array (steps, 4)
        Observations of each episode.
    """
    network = snn.network
    design = chosen(network, {}).once(emit)
    bits, size = design.tdata_bits, network.output.size
    seen, answers, cycles, scores = [], [], [], []
    before = 0
    with Live(design.files, word_bits=bits) as hardware:
        for seed in seeds:
            (env,), observations = carts(range(seed, seed + 1))
            rows, score, going = [], 0.0, True
            observation = observations[0]
            while going:
                rows.append(observation)
                sent, _ = packets(network, snn.quantise(observation[None]), bits)
                answer = hardware.send(sent)
                cycles.append(answer.cycle - before)
                before = answer.cycle
                (values,) = answer.values(bits, size)
                answers.append(values)
                observation, reward, ended, truncated, _ = env.step(int(values.argmax()))
                score, going = score + float(reward), not (ended or truncated)
            seen.append(np.stack(rows))
            scores.append(score)
    golden = snn.run(np.concatenate(seen)).outputs.numpy()
    found = np.stack(answers)
    figures = {
        "episodes": len(seen),
        "actions": len(found),
        "actions_differ": int((found.argmax(1) != golden.argmax(1)).sum()),
        "logits_differ": int((found != golden).sum()),
        "returns": scores,
        "cycles": round(float(np.mean(cycles)), 1),
        "most_cycles": int(np.max(cycles)),
    }
    return figures, seen


def trained(kind: str, seed: int, budget: int, folder: Path) -> Trained:
    """A training's policies: from the folder of weights where they are there, else put there."""
    train, model = {"dqn": (train_dqn, QNetwork), "direct": (train_spiking, SpikingPolicy)}[kind]
    place = folder / f"{kind}_{seed}_{budget}.pt"
    if not place.exists():
        started = time.monotonic()
        made = train(seed, budget)
        states = {k: m and m.state_dict() for k, m in (("early", made.early), ("best", made.best))}
        folder.mkdir(parents=True, exist_ok=True)
        torch.save({**states, "history": made.history}, place)
        steps, mean = made.history[-1]
        told = f"mean return {mean:.0f} after {steps:,} steps, {time.monotonic() - started:.0f} s"
        say(f"seed {seed}, {kind}: {told}", err=True)
    told = torch.load(place, weights_only=True)
    found = Trained(history=[tuple(look) for look in told["history"]])
    for name in ("early", "best"):
        if told[name] is not None:
            policy = model()
            policy.load_state_dict(told[name])
            setattr(found, name, policy.eval())
    return found


def one_seed(seed: int, arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """All figures of a seed, and an episode of each kind in the loop with what fired."""
    figures: dict[str, Any] = {}
    shown = {}
    for kind, budget in (("dqn", arguments.dqn_steps), ("direct", arguments.direct_steps)):
        made = trained(kind, seed, budget, arguments.out)
        found: dict[str, Any] = {
            "steps_to_195": made.reached, "steps": made.history[-1][0]
        }  # fmt: skip
        for name in ("early", "best") if kind == "dqn" else ("best",):
            policy = getattr(made, name)
            if policy is None:
                continue
            found[name] = {"trained": returns(greedy(policy))}
            if kind == "dqn":
                policy = centred(policy)
            snn, told = integers(policy, seed, f"cartpole_{kind}_{seed}")
            found[name] |= {"integers": returns(spiking(snn)), **told}
        found["loop"], seen = in_the_loop(snn, range(arguments.episodes))
        shown[kind] = (snn, seen[0])
        figures[kind] = found
        say(f"seed {seed}, {kind}: {json.dumps(found)}", err=True)
    return figures, shown


def summary(seeds: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """How many seeds reach what, and the loop of all."""
    best = {kind: [f[kind]["best"] for f in seeds.values()] for kind in ("dqn", "direct")}
    early = [f["dqn"]["early"] for f in seeds.values() if "early" in f["dqn"]]
    solvers = [f for f in best["dqn"] if f["trained"]["mean"] >= SOLVED]
    loops = [f[kind]["loop"] for f in seeds.values() for kind in ("dqn", "direct")]

    def count(found: list[dict[str, Any]], which: str, least: float) -> int:
        return sum(f[which]["mean"] >= least for f in found)

    return {
        "seeds": len(seeds),
        "direct": {
            "trained_195": count(best["direct"], "trained", REACHED),
            "integers_195": count(best["direct"], "integers", REACHED),
            "integers_475": count(best["direct"], "integers", SOLVED),
        },
        "converted": {
            "ann_475": len(solvers),
            "of_these_195": count(solvers, "integers", REACHED),
            "of_these_475": count(solvers, "integers", SOLVED),
        },
        "early": {
            "ann_195": count(early, "trained", REACHED),
            "integers_195": count(early, "integers", REACHED),
            "of": len(early),
        },
        "loop": {
            key: sum(loop[key] for loop in loops)
            for key in ("episodes", "actions", "actions_differ", "logits_differ")
        },
    }


def show(seeds: dict[int, dict[str, Any]], told: dict[str, Any]) -> None:
    """The table, and what it comes to."""

    def pair(found: dict[str, Any] | None) -> tuple[str, str]:
        if found is None:
            return "-", "-"
        return f"{found['trained']['mean']:.1f}", f"{found['integers']['mean']:.1f}"

    rows = []
    for seed, figures in seeds.items():
        dqn, direct = figures["dqn"], figures["direct"]
        loops = dqn["loop"], direct["loop"]
        rows.append(
            (
                seed,
                *pair(dqn.get("early")),
                *pair(dqn["best"]),
                *pair(direct["best"]),
                f"{loops[0]['actions']:,} + {loops[1]['actions']:,}",
                sum(loop["actions_differ"] for loop in loops),
                f"{loops[0]['cycles']:.0f}, {loops[1]['cycles']:.0f}",
            )
        )
    print_table(
        f"CartPole-v1, mean return in {EPISODES} episodes",
        (
            *(">seed", ">DQN at 195", ">its integers", ">DQN's best", ">its integers"),
            *(">LIF trained", ">its integers", ">actions of Verilog", ">differ", ">cycles each"),
        ),
        rows,
    )
    direct, converted, early, loop = (told[k] for k in ("direct", "converted", "early", "loop"))
    say(
        f"trained directly: {direct['integers_195']} of {told['seeds']} seeds reach 195, "
        f"{direct['integers_475']} reach 475 (integers)\n"
        f"converted: of {converted['ann_475']} seeds whose ANN solves it "
        f"{converted['of_these_195']} reach 195, {converted['of_these_475']} reach 475; "
        f"of {early['ann_195']} early-stopped at 195, {early['integers_195']}\n"
        f"in the loop: {loop['episodes']} episodes, {loop['actions']:,} actions by the Verilog, "
        f"{loop['actions_differ']} differ from the golden model's"
    )
    worst = max(f[kind]["loop"]["most_cycles"] for f in seeds.values() for kind in f)
    say(
        f"longest answer: {worst:,} cycles, {worst / CLOCK * 1e6:.0f} µs at an assumed "
        f"{CLOCK / 1e6:.0f} MHz; the cart asks every 20,000 µs"
    )


def main() -> int:
    """Parses, trains, converts, balances, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, short training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--dqn-steps", type=int, default=150_000, help="of carts, at most")
    parser.add_argument("--direct-steps", type=int, default=200_000, help="of carts, at most")
    parser.add_argument("--episodes", type=int, default=4, help="in the loop, of each network")
    parser.add_argument(
        "--out", type=Path, default=Path("build/cartpole"), help="for weights, plot"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object of figures only")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.episodes = arguments.seeds[:1], 1
        arguments.dqn_steps = min(arguments.dqn_steps, 16_000)
    torch.set_num_threads(1)
    seeds: dict[int, dict[str, Any]] = {}
    try:
        for seed in arguments.seeds:
            seeds[seed], shown = one_seed(seed, arguments)
            if seed == arguments.seeds[0]:
                place = arguments.out / "balance.svg"
                place.write_bytes(figure_bytes(balance_figure(shown)))
    except NeurocudaError as error:
        print(f"cartpole_control: {error}", file=sys.stderr)
        return error.exit_code
    told = summary(seeds)
    if arguments.json:
        print(json.dumps({**told, "by_seed": seeds}, indent=1))
    else:
        show(seeds, told)
        say(f"one episode of each, drawn: {place}")
    return 1 if told["loop"]["logits_differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
