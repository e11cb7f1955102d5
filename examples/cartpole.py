"""Policies for gymnasium's CartPole-v1: a DQN of ReLUs, and spiking neurons trained by PPO.

A policy takes observations ``(B, 4)`` and gives a value for each of the two actions ``(B, 2)``; the
action is the larger. Both are trained with one thread and one seed, and looked at every so often in
100 episodes that no test uses: where the mean return is first 195 the policy is kept (early
stopping), and where it is 475 the training ends.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import gymnasium
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from neurocuda_hw.conversion.modules import LIFNeuron, OverTime

ENV = "CartPole-v1"
REACHED, SOLVED, EPISODES = 195.0, 475.0, 100
STEPS = 8  # of the spiking policy, for each observation
_VALIDATION = 100_000  # seeds of carts from here on: far from the test's
_PARALLEL = 16  # carts that a training drives at once
# spreads of the observations of a balanced cart: what LIF neurons see is about 1
_SPREAD = (1.0, 1.0, 0.1, 1.0)

Policy = Callable[[np.ndarray], np.ndarray]


@dataclass
class Trained:
    """What a training gave.

    `early` is the policy where its mean return first was 195 (None: it never was), `best` the one
    with the highest, `history` (steps of carts, mean return) of each look.
    """

    early: nn.Module | None = None
    best: nn.Module | None = None
    history: list[tuple[int, float]] = field(default_factory=list)

    def look(self, model: nn.Module, steps: int, seed: int) -> bool:
        """Whether it solves the task; the validation's carts are not the test's."""
        first = _VALIDATION + EPISODES * seed
        mean = float(play(greedy(model), range(first, first + EPISODES)).mean())
        if mean >= REACHED and self.early is None:
            self.early = copy.deepcopy(model)
        if all(mean > before for _, before in self.history):
            self.best = copy.deepcopy(model)
        self.history.append((steps, mean))
        return mean >= SOLVED

    @property
    def reached(self) -> int | None:
        """Steps of carts until the mean return first was 195."""
        return next((steps for steps, mean in self.history if mean >= REACHED), None)


def greedy(model: nn.Module) -> Policy:
    """Actions ``(B,)`` of a model for observations ``(B, 4)``."""

    @torch.no_grad()
    def act(observations: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(observations)).argmax(1).numpy()

    return act


def carts(seeds: range) -> tuple[list[gymnasium.Env], np.ndarray]:
    """A cart for each seed, and what is seen of them at first."""
    made = [gymnasium.make(ENV, disable_env_checker=True) for _ in seeds]
    return made, np.stack([env.reset(seed=s)[0] for env, s in zip(made, seeds, strict=True)])


def play(act: Policy, seeds: range, seen: list[np.ndarray] | None = None) -> np.ndarray:
    """Returns of one episode for each seed, all carts at the same time; `seen` collects
    observations."""
    envs, observations = carts(seeds)
    returns, alive = np.zeros(len(envs)), np.arange(len(envs))
    while len(alive):
        if seen is not None:
            seen.append(observations)
        going, after = [], []
        for number, action in zip(alive, act(observations), strict=True):
            observation, reward, terminated, truncated, _ = envs[number].step(int(action))
            returns[number] += reward
            if not (terminated or truncated):
                going.append(number)
                after.append(observation)
        alive, observations = np.array(going, int), np.array(after)
    return returns


def _driven(seed: int) -> tuple[gymnasium.vector.VectorEnv, np.ndarray]:
    """Carts for a training: numpy's, all in one."""
    envs = gymnasium.make_vec(ENV, num_envs=_PARALLEL, vectorization_mode="vector_entry_point")
    return envs, envs.reset(seed=seed)[0]


class QNetwork(nn.Sequential):
    """4-64-64-2 with ReLU."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
        )


def train_dqn(seed: int, budget: int, *, every: int = 4000) -> Trained:
    """Double DQN, a buffer of 50,000 steps, a slow target; at most `budget` steps of carts."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, size = QNetwork(), 50_000
    target = copy.deepcopy(model)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    before, after = (np.zeros((size, 4), np.float32) for _ in range(2))
    actions, ended = np.zeros(size, np.int64), np.zeros(size, np.float32)
    envs, observations = _driven(seed)
    found, stored, steps = Trained(), 0, 0
    fresh = np.zeros(_PARALLEL, bool)  # a step that only begins an episode anew
    act = greedy(model)
    while steps < budget:
        explore = max(0.05, 1 - steps / 10_000)
        chosen = np.where(
            rng.random(_PARALLEL) < explore, rng.integers(0, 2, _PARALLEL), act(observations)
        )
        following, _, terminated, truncated, _ = envs.step(chosen)
        kept = np.flatnonzero(~fresh)
        at = (stored + np.arange(len(kept))) % size
        before[at], after[at] = observations[kept], following[kept]
        actions[at], ended[at] = chosen[kept], terminated[kept]
        stored += len(kept)
        observations, fresh = following, terminated | truncated
        steps += _PARALLEL
        if stored < 1000:
            continue
        for _ in range(4):
            picked = rng.integers(0, min(stored, size), 128)
            x, y = torch.from_numpy(before[picked]), torch.from_numpy(after[picked])
            with torch.no_grad():
                best = target(y).gather(1, model(y).argmax(1, keepdim=True))[:, 0]
                wanted = 1 + 0.99 * best * (1 - torch.from_numpy(ended[picked]))
            value = model(x).gather(1, torch.from_numpy(actions[picked])[:, None])[:, 0]
            loss = F.smooth_l1_loss(value, wanted)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimiser.step()
            with torch.no_grad():
                for slow, fast in zip(target.parameters(), model.parameters(), strict=True):
                    slow.lerp_(fast, 0.01)
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * max(0.1, 1 - steps / 100_000)
        due = steps % every < _PARALLEL or steps >= budget
        if due and found.look(model, steps, seed):
            break
    envs.close()
    return found


class SpikingPolicy(OverTime):
    """4-64-2 of leaky integrate-and-fire neurons, 8 steps for each observation."""

    def __init__(self) -> None:
        first = nn.Linear(4, 64)
        with torch.no_grad():
            first.weight /= torch.tensor(_SPREAD)
        super().__init__(
            nn.Sequential(first, LIFNeuron(0.1, channels=64, learn_decay=True), nn.Linear(64, 2)),
            STEPS,
        )


def train_spiking(seed: int, budget: int, *, every: int = 8) -> Trained:
    """PPO through time by surrogate gradients; no other policy is looked at.

    The critic, which is thrown away, is a small network of tanh. `budget` counts steps of carts;
    `every` so many rounds of 2,048 the policy is looked at.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    actor = SpikingPolicy()
    critic = nn.Sequential(
        nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)
    )
    weights = [*actor.parameters(), *critic.parameters()]
    optimiser = torch.optim.Adam(weights, lr=3e-3)
    envs, observations = _driven(seed)
    found, steps = Trained(), 0
    length = 2048 // _PARALLEL
    fresh = np.zeros(_PARALLEL, bool)
    while steps < budget:
        rows = []
        for _ in range(length):
            with torch.no_grad():
                x = torch.from_numpy(observations)
                logs = actor(x).log_softmax(1)
                chosen = torch.multinomial(logs.exp(), 1)
                value = critic(x)[:, 0]
            following, reward, terminated, truncated, _ = envs.step(chosen[:, 0].numpy())
            rows.append(
                (
                    x,
                    chosen,
                    logs.gather(1, chosen)[:, 0],
                    value,
                    reward,
                    terminated,
                    truncated,
                    fresh,
                )
            )
            observations, fresh = following, terminated | truncated
        steps += 2048
        data = _advantages(rows, critic, observations)
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * max(0.1, 1 - steps / budget)
        for x, chosen, old, advantage, goal in _batches(data, rng):
            logs = actor(x).log_softmax(1)
            ratio = (logs.gather(1, chosen)[:, 0] - old).exp()
            gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
            entropy = -(logs.exp() * logs).sum(1).mean()
            loss = -gain - 0.01 * entropy + 0.5 * F.mse_loss(critic(x)[:, 0], goal)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 0.5)
            optimiser.step()
        due = steps % (2048 * every) == 0 or steps >= budget
        if due and found.look(actor, steps, seed):
            break
    envs.close()
    return found


def _advantages(
    rows: list[tuple], critic: nn.Module, observations: np.ndarray
) -> tuple[torch.Tensor, ...]:
    """Generalised advantages (0.99, 0.95) of a round: observations, actions, their logarithms,
    advantages, goals of the critic."""
    with torch.no_grad():
        value_after = critic(torch.from_numpy(observations))[:, 0]
    later, found = torch.zeros(_PARALLEL), []
    for x, chosen, log, value, reward, terminated, truncated, fresh in reversed(rows):
        goes_on = torch.from_numpy(1.0 - terminated).float()
        error = torch.from_numpy(reward).float() + 0.99 * value_after * goes_on - value
        done = torch.from_numpy(1.0 - (terminated | truncated)).float()
        later = error + 0.99 * 0.95 * done * later
        kept = torch.from_numpy(~fresh)
        found.append(tuple(part[kept] for part in (x, chosen, log, later, later + value)))
        value_after = value
    return tuple(torch.cat(parts) for parts in zip(*found, strict=True))


def _batches(
    data: tuple[torch.Tensor, ...], rng: np.random.Generator
) -> Iterator[tuple[torch.Tensor, ...]]:
    """Each step of a round four times, in batches of 256 with advantages of mean 0, deviation 1."""
    x, chosen, log, advantage, goal = data
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    for _ in range(4):
        for picked in np.array_split(rng.permutation(len(x)), max(1, len(x) // 256)):
            yield x[picked], chosen[picked], log[picked], advantage[picked], goal[picked]
