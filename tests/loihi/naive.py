"""Loihi's published equations once more: Python integers, one neuron and one synapse at a time."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from neurocuda_hw.loihi import (
    CubaNeuron,
    DirectNetwork,
    GradedNeuron,
    Shift,
    SignMode,
    SoftResetNeuron,
    WeightFormat,
)


def decayed(value: int, factor: int) -> int:
    """sign(p) (|p| >> 12), p = value * factor."""
    product = value * factor
    return (abs(product) >> 12) if product >= 0 else -(abs(product) >> 12)


def cuba_step(
    u: int, v: int, dead: int, a: int, *, du: int, dv: int, bias: int, vth: int, refractory: int
) -> tuple[int, int, int, int]:
    """One step of one neuron: (u, v, dead, s)."""
    u = decayed(u, 4096 - (du + 1)) + (a << 6)
    while u > 2**23:
        u -= 2**24
    while u <= -(2**23):
        u += 2**24
    v = decayed(v, 4096 - dv) + u + bias
    v = max(-(2**23) + 1, min(2**23 - 1, v))
    if dead > 0:
        return u, 0, dead - 1, 0
    if v > (vth << 6):
        return u, 0, refractory, 1
    return u, v, 0, 0


def register(value: int, bits: int) -> int:
    """Two's complement of `bits` bits."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def stored_weight(weight: int, form: WeightFormat, sign: SignMode) -> int:
    """What one weight becomes in the chip's memory."""
    if sign is SignMode.INHIBITORY:
        return -stored_weight(-weight, form, SignMode.EXCITATORY)
    low = -256 if sign is SignMode.MIXED else 0
    weight = max(low, min(255, weight))
    cut = 8 - form.bits + (1 if sign is SignMode.MIXED else 0)
    return weight - weight % (2**cut)


def one(values: np.ndarray, neuron: int) -> int:
    """A parameter of one neuron."""
    values = np.asarray(values)
    return int(values) if values.ndim == 0 else int(values[neuron])


class NaiveChip:
    """Steps a `DirectNetwork` and records ``{s, u, v}[group][step][neuron]`` of one sample."""

    def __init__(self, network: DirectNetwork) -> None:
        self.network = network

    def run(
        self, inputs: dict[str, np.ndarray], steps: int, currents: dict[str, np.ndarray]
    ) -> dict[str, dict[str, list[list[int]]]]:
        network = self.network
        groups = {g.name: g for g in network.groups}
        # sums by (target, neuron, step, delay group): the chip shifts each before it adds them up
        arriving: dict[tuple[str, int, int], int] = defaultdict(int)
        state: dict[str, list[list[int]]] = {}
        for g in network.groups:
            if isinstance(g.neuron, CubaNeuron):
                state[g.name] = [
                    [one(g.neuron.u_init, n), one(g.neuron.v_init, n), 0] for n in range(g.size)
                ]
            elif isinstance(g.neuron, SoftResetNeuron):
                state[g.name] = [[0, one(g.neuron.v_init, n), 0] for n in range(g.size)]
        seen: dict[str, dict[str, list[list[int]]]] = {
            "s": defaultdict(list),
            "u": defaultdict(list),
            "v": defaultdict(list),
        }
        for step in range(steps):
            for g in network.groups:
                if g.neuron is None:
                    data = inputs.get(g.name)
                    known = data is not None and step < len(data)
                    seen["s"][g.name].append(
                        [int(x) for x in data[step]] if known else [0] * g.size
                    )
                    continue
                row: list[int] = []
                for n in range(g.size):
                    a = arriving[g.name, n, step]
                    if g.name in currents and step < len(currents[g.name]):
                        a += int(currents[g.name][step][n])
                    if network.accumulator_bits:
                        a = register(a, network.accumulator_bits)
                    row.append(self._update(g.neuron, state.get(g.name), n, a))
                seen["s"][g.name].append(row)
                if g.name in state:
                    seen["v"][g.name].append([x[1] for x in state[g.name]])
                    if isinstance(g.neuron, CubaNeuron):
                        seen["u"][g.name].append([x[0] for x in state[g.name]])
                else:
                    seen["v"][g.name].append([0] * g.size)
            for synapses in network.synapses:
                self._send(synapses, seen["s"][synapses.source][step], step, arriving)
        assert set(groups) == set(seen["s"])
        return seen

    @staticmethod
    def _update(neuron: object, state: list[list[int]] | None, n: int, a: int) -> int:
        if isinstance(neuron, CubaNeuron):
            assert state is not None
            u, v, dead = state[n]
            bias = one(neuron.bias_mant, n) * 2 ** one(neuron.bias_exp, n)
            *state[n], fired = cuba_step(
                u,
                v,
                dead,
                a,
                du=one(neuron.du, n),
                dv=one(neuron.dv, n),
                bias=bias,
                vth=one(neuron.vth, n),
                refractory=one(neuron.refractory, n),
            )
            return fired
        if isinstance(neuron, GradedNeuron):
            payload = register(a, 24)
            return payload if abs(payload) > one(neuron.vth, n) else 0
        assert isinstance(neuron, SoftResetNeuron)
        assert state is not None
        v = register(state[n][1] + a + one(neuron.bias, n), 24)
        fired = int(v >= one(neuron.threshold, n))
        state[n][1] = v - fired * one(neuron.threshold, n)
        return fired

    @staticmethod
    def _send(
        synapses: object, sent: list[int], step: int, arriving: dict[tuple[str, int, int], int]
    ) -> None:
        form, weight = synapses.format, synapses.weight  # type: ignore[attr-defined]
        delay = np.broadcast_to(synapses.delay, weight.shape)  # type: ignore[attr-defined]
        sign = form.sign
        if sign is None:
            mixed = weight.min() < 0 < weight.max()
            one_sided = SignMode.EXCITATORY if weight.min() >= 0 else SignMode.INHIBITORY
            sign = SignMode.MIXED if mixed else one_sided
        for target in range(weight.shape[0]):
            sums: dict[int, int] = defaultdict(int)
            for source in range(weight.shape[1]):
                w = stored_weight(int(weight[target, source]), form, sign)
                if form.shift is Shift.EACH:
                    w = w << form.exponent if form.exponent >= 0 else w >> -form.exponent
                sums[int(delay[target, source])] += w * sent[source]
            for wait, total in sums.items():
                if form.shift is Shift.SUM:
                    e = form.exponent
                    total = total << e if e >= 0 else total >> -e
                arriving[synapses.target, target, step + 1 + wait] += total  # type: ignore[attr-defined]
