"""The neurons of the integer network as programs of Loihi 2's microcode, overflow detected.

A program runs exactly the equations of `network` on registers of 24 bits, in the steps
``first <= n < first + T`` of the chip; outside them it leaves its state alone. Sums may wrap on
their way, as in any register; only a membrane or current that does not fit is an overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.loihi.neuron import ONE, STATE_BITS, STATE_LIMIT, Running, wrap_register
from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.neurons import Ints, Reset, Spiking
from neurocuda_hw.network.ranges import PopulationRanges


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """A register of a neuron that could not hold its value: the first of `count` in a step."""

    population: str
    register: str
    neuron: int
    coordinates: tuple[int, ...]
    step: int
    sample: int
    value: int
    count: int
    bits: int = STATE_BITS

    @staticmethod
    def at(
        population: Population,
        register: str,
        place: tuple[int, int, int, int],
        count: int,
        bits: int = STATE_BITS,
    ) -> Overflow:
        """That of `place`: step, sample, neuron and value."""
        step, sample, neuron, value = place
        return Overflow(
            population=population.name,
            register=register,
            neuron=neuron,
            coordinates=population.coordinates(neuron),
            step=step,
            sample=sample,
            value=value,
            count=count,
            bits=bits,
        )

    def __str__(self) -> str:
        return (
            f"population {self.population!r}: {self.register} of neuron {self.neuron} "
            f"{self.coordinates} must fit {self.bits} bits, not {self.value} "
            f"(step {self.step} of sample {self.sample}, {self.count} neurons in that step)"
        )


class LoihiOverflowError(ModelError):
    """A register overflowed; `overflow` says which, where and when."""

    def __init__(self, overflow: Overflow) -> None:
        super().__init__(f"{overflow}; scale the network's weights and thresholds down")
        self.overflow = overflow


Report = Callable[[Overflow], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateBudget:
    """Bytes of one neuron in a core: 32-bit words, so that 24 bits and a flag fit (assumed)."""

    variables: int
    parameters: int
    accumulators: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return 4 * (self.variables + self.parameters + self.accumulators)


def state_budget(population: Population, longest_delay: int) -> StateBudget:
    """Words per neuron: v (and u), every parameter that differs per neuron, and one dendritic
    accumulator for each step that an arriving weight may wait."""
    neuron = population.neuron
    per_neuron = sum(getattr(neuron, name).ndim > 0 for name in neuron.arrays)
    return StateBudget(
        variables=1 if neuron.current_leak is None else 2,
        parameters=per_neuron,
        accumulators=longest_delay + 1,
    )


class Program:
    """One population's program.

    Parameters
    ----------
    network, population : Network, Population
    ranges : PopulationRanges
        What is proved of it: with 24 bits proved, no step has to be checked.
    first : int
        Step of the chip in which its step 0 happens.
    counted : bool
        It sends or takes counts: what one step brings is not what was proved.
    most : int
        The largest count that it sends, in the first step of its window; 0 where it sends spikes.

    Raises
    ------
    ModelError
        If a parameter does not fit 24 bits.
    """

    def __init__(
        self,
        network: Network,
        population: Population,
        ranges: PopulationRanges,
        first: int,
        *,
        counted: bool = False,
        most: int = 0,
    ) -> None:
        self.population, self.first, self.most = population, first, most
        self.timesteps, self.window = network.timesteps, network.window(population.name)
        widest = max(ranges.membrane.bits, ranges.current.bits)
        self.proved = widest <= STATE_BITS and not counted
        neuron = population.neuron
        for name in neuron.arrays:
            values = getattr(neuron, name)
            if values.size and not (values.min() >= -STATE_LIMIT and values.max() < STATE_LIMIT):
                raise ModelError(
                    f"population {population.name!r}: {name} must fit {STATE_BITS} bits, "
                    f"not {int(values.min())} to {int(values.max())}"
                )
        bias = int(np.abs(neuron.bias).max())
        small = self.proved and neuron.leak is None and ranges.magnitude + bias <= STATE_LIMIT
        self.dtype = torch.float32 if small else torch.float64

    def start(self, batch: int, offset: int, report: Report) -> ProgramState:
        """State of `batch` samples, the first of which is sample `offset`."""
        return ProgramState(self, batch, offset, report)

    def spread(self, values: Ints) -> torch.Tensor:
        """A parameter as one row of flat neurons, or a single number."""
        row = np.asarray(values) if np.ndim(values) == 0 else self.population.each(values)
        return torch.from_numpy(np.array(row.reshape(1, -1))).to(self.dtype)


class ProgramState(Running):
    """A population's program in flight.

    The step of `neurons` in floating point, in place, with a look at every register: the chip's own
    arithmetic, and an oracle of the reference that the tests compare it with.
    """

    def __init__(self, program: Program, batch: int, offset: int, report: Report) -> None:
        self.program, self.offset, self.report = program, offset, report
        neuron = program.population.neuron
        self.graded = program.most > 0
        self.neuron, spread, size = neuron, program.spread, program.population.size
        self.v = spread(neuron.v_init).expand(batch, size).clone()
        self.u = None if neuron.current_leak is None else torch.zeros_like(self.v)
        self.bias = spread(neuron.bias) if np.any(neuron.bias) else None
        self.fired = torch.empty_like(self.v)
        if isinstance(neuron, Spiking):
            self.threshold = spread(neuron.threshold)
            self.reset_to = spread(neuron.v_reset)
        self.keep_v, self.keep_u = (
            None if leak is None else spread(ONE - leak).div_(ONE)
            for leak in (neuron.leak, neuron.current_leak)
        )

    def step(self, drive: torch.Tensor | None, step: int) -> torch.Tensor | None:
        """One step of the chip; see `network` for the equations."""
        local = step - self.program.first
        if not 0 <= local < self.program.timesteps:
            return None
        v = self.v
        if self.keep_v is not None:
            v.mul_(self.keep_v).trunc_()
        if self.u is not None:
            assert self.keep_u is not None
            self.u.mul_(self.keep_u).trunc_()
            if drive is not None:
                self.u.add_(drive)
            self._check(self.u, "the current", local)
            drive = self.u
        if drive is not None:
            v.add_(drive)
        if self.bias is not None:
            v.add_(self.bias)
        self._check(v, "the membrane", local)
        neuron, fired = self.neuron, None
        if self.graded:  # all is in: the count is sent, and nothing changes any more
            if local == self.program.window.start:
                fired = torch.div(v, self.threshold, rounding_mode="floor")
                fired.clamp_(0, self.program.most)
            return fired
        if neuron.spiking and local in self.program.window:
            fired = torch.ge(v, self.threshold, out=self.fired)
            if neuron.reset is Reset.SUBTRACT:
                v.addcmul_(fired, self.threshold, value=-1)
            else:
                v.addcmul_(v, fired, value=-1)
                if neuron.reset is Reset.TO_VALUE:
                    v.addcmul_(fired, self.reset_to)
        if neuron.v_floor is not None:
            v.clamp_(min=neuron.v_floor)
        return fired

    def _check(self, values: torch.Tensor, register: str, local: int) -> None:
        if self.program.proved:
            return
        low, high = (float(x) for x in values.aminmax())
        if low >= -STATE_LIMIT and high < STATE_LIMIT:
            return
        outside = (values < -STATE_LIMIT) | (values >= STATE_LIMIT)
        sample, neuron = (int(i) for i in outside.nonzero()[0])
        place = (local, self.offset + sample, neuron, int(values[sample, neuron]))
        self.report(Overflow.at(self.program.population, register, place, int(outside.sum())))
        wrap_register(values, STATE_BITS)
