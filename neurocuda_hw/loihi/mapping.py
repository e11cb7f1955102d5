"""Populations split over neurocores within the chip's limits, and the report of how they fit.

A population is cut by channels or by rows (a flat one by neurons), whichever takes fewer cores. A
core holds the weights that its neurons need: of a dense projection one row of weights for each of
its neurons, of a convolution the kernels of its channels once, however many positions share them.
A sum pool is routing: the axon of a source leads to the synapses of the pooled cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.loihi.cuts import Cut, counter_of, cuts, weight_bytes
from neurocuda_hw.loihi.limits import ChipLimits
from neurocuda_hw.loihi.lower import Lowered
from neurocuda_hw.loihi.operators import fan_out_of
from neurocuda_hw.network import Population

CORES_PER_TILE = 4


class MappingError(ModelError):
    """A network does not fit the chip; the message ends with the table of what was tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a part of a population takes of a core; the fields are those of `ChipLimits`."""

    neurons: int
    synapse_bytes: int
    core_bytes: int
    in_axons: int
    out_axons: int
    groups: int

    def fill(self, limits: ChipLimits) -> dict[str, float]:
        """Share of each limit that is taken, 1.0 being full."""
        return {n: getattr(self, n) / limits.limit(n).value for n in ChipLimits.PER_CORE}

    def bound(self, limits: ChipLimits) -> tuple[str, float]:
        """The limit that is nearest, and its fill."""
        fill = self.fill(limits)
        name = max(fill, key=lambda n: fill[n])
        return name, fill[name]

    def plus(self, other: Usage) -> Usage:
        """Both on one core."""
        return Usage(**{n: getattr(self, n) + getattr(other, n) for n in ChipLimits.PER_CORE})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Neurons of one population on one core; `neurons` are flat indices, ``(n,)`` int64."""

    population: str
    core: int
    neurons: np.ndarray
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How one population fits: a row of the fit report.

    Parameters
    ----------
    cores : int
        Cores that hold it; 0 where the host does.
    kind : str
        ``built-in`` or ``microcode``, the neuron that it runs; ``input`` or ``host``.
    limited_by : str
        The limit that is nearest in its fullest core, a field of `ChipLimits`.
    fill : float
        Share of that limit that is taken.
    """

    population: str
    neurons: int
    cores: int
    kind: str
    limited_by: str = ""
    fill: float = 0.0

    def __str__(self) -> str:
        if not self.cores:
            return f"{self.population:<16}{self.neurons:>9}{self.kind:>7}"
        return (
            f"{self.population:<16}{self.neurons:>9}{self.cores:>7}{self.kind:>11}  "
            f"{self.limited_by:<15}{self.fill:>6.0%}"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mapping:
    """Which core holds what.

    Parameters
    ----------
    parts : tuple of Part
        In the order of the populations; the input has parts only if it is on the chip.
    input_on_chip : bool
        Whether the input's neurons take cores; else its spikes come from the host, through tile 0.
    """

    lowered: Lowered
    parts: tuple[Part, ...]
    input_on_chip: bool

    @property
    def limits(self) -> ChipLimits:
        """Limits of the chip."""
        return self.lowered.limits

    @property
    def cores(self) -> int:
        """Cores in use."""
        return 1 + max(part.core for part in self.parts)

    @property
    def chips(self) -> int:
        """Chips in use."""
        return -(-self.cores // self.limits.cores.value)

    @property
    def tiles(self) -> int:
        """Tiles in use."""
        return -(-self.cores // CORES_PER_TILE)

    def of(self, population: str) -> tuple[Part, ...]:
        """Parts of one population."""
        return tuple(part for part in self.parts if part.population == population)

    def usage(self) -> list[Usage]:
        """What is taken of each core."""
        found: dict[int, Usage] = {}
        for part in self.parts:
            known = found.get(part.core)
            found[part.core] = part.usage if known is None else known.plus(part.usage)
        return [found[core] for core in range(self.cores)]

    def fill(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Names of the limits, and how full each core is, ``(cores, limits)``: a heat map."""
        rows = [list(usage.fill(self.limits).values()) for usage in self.usage()]
        return ChipLimits.PER_CORE, np.array(rows)

    def place(self, core: int) -> tuple[int, int]:
        """Column and row of a core's tile; further chips stand to the right."""
        columns, rows = self.limits.tiles
        chip, rest = divmod(core, self.limits.cores.value)
        column, row = divmod(rest // CORES_PER_TILE, rows)
        return chip * columns + column, row

    def place_of_core(self, core: int) -> tuple[int, int]:
        """Column and row of a core among all cores: those of a tile form a square."""
        column, row = self.place(core)
        return 2 * column + core % 2, 2 * row + core % CORES_PER_TILE // 2

    def report(self) -> str:
        """The fit report: cores per layer, what limits it, fill of the fullest core, chips."""
        rows = [
            f"{'population':<16}{'neurons':>9}{'cores':>7}{'neuron':>11}  "
            f"{'limited by':<15}{'fill':>6}"
        ]
        rows += [str(fit) for fit in self.fits()]
        rows.append(
            f"{self.cores} of {self.limits.cores.value * self.chips} cores of {self.chips} "
            f"{self.limits.name} chip{'s' if self.chips > 1 else ''}"
        )
        return "\n".join(rows)

    def fits(self) -> list[Fit]:
        """How every population fits, in their order."""
        return [self._fit(p, self.of(p.name)) for p in self.lowered.network.populations]

    def _fit(self, population: Population, parts: tuple[Part, ...]) -> Fit:
        if not parts:
            return Fit(population=population.name, neurons=population.size, cores=0, kind="host")
        placement = self.lowered.placements[population.name]
        name, fill = max((part.usage.bound(self.limits) for part in parts), key=lambda b: b[1])
        microcode = "microcode" if placement.why else "built-in"
        return Fit(
            population=population.name,
            neurons=population.size,
            cores=len({part.core for part in parts}),
            kind="input" if placement.model is None else microcode,
            limited_by=name,
            fill=fill,
        )


def map_network(
    lowered: Lowered, *, chips: int = 1, input_on_chip: bool = False, pack: bool = False
) -> Mapping:
    """Splits every population over as few cores as its limits allow.

    Parameters
    ----------
    chips : int
        Chips that may be used.
    input_on_chip : bool
        Whether the neurons of the input take cores too.
    pack : bool
        Whether populations may share a core: fewer cores, longer steps.

    Raises
    ------
    MappingError
        If it does not fit; the message holds the table of what was needed.
    """
    return _Mapper(lowered, chips, input_on_chip).run(pack)


class _Mapper:
    """Splits from the output to the input, so that the targets of a spike are known."""

    def __init__(self, lowered: Lowered, chips: int, input_on_chip: bool) -> None:
        self.lowered, self.limits = lowered, lowered.limits
        self.chips, self.input_on_chip = chips, input_on_chip
        self.available = chips * self.limits.cores.value
        self.counters = [counter_of(lowered.network, route) for route in lowered.routes]
        self.cuts: dict[str, list[np.ndarray]] = {}
        self.rows: list[str] = []

    def run(self, pack: bool) -> Mapping:
        network = self.lowered.network
        populations = [p for p in network.populations if self.input_on_chip or not p.fed]
        for _ in range(2):  # loops need the cut of every target, which the first round provides
            for population in reversed(populations):
                self.cuts[population.name] = self._cut(population)
        parts: list[Part] = []
        core, room = -1, None
        for population in populations:
            for neurons in self.cuts[population.name]:
                usage = self._usage(population, [neurons])[0]
                joint = None if room is None or not pack else room.plus(usage)
                if joint is None or joint.bound(self.limits)[1] > 1:
                    core, joint = core + 1, usage
                room = joint
                parts.append(
                    Part(population=population.name, core=core, neurons=neurons, usage=usage)
                )
        mapping = Mapping(
            lowered=self.lowered, parts=tuple(parts), input_on_chip=self.input_on_chip
        )
        if mapping.cores > self.available:
            raise MappingError(
                f"network {network.name!r} must fit {self._chips()}, not {mapping.cores}; allow "
                f"{mapping.chips} chips, or make it smaller\n{mapping.report()}"
            )
        return mapping

    def _chips(self) -> str:
        some = f"{self.chips} {self.limits.name} chip" + ("s" if self.chips > 1 else "")
        return f"{self.available} cores of {some}"

    def _cut(self, population: Population) -> list[np.ndarray]:
        """The cut with the fewest parts that fit."""
        best: list[np.ndarray] | None = None
        worst: tuple[str, float] = ("neurons", 0.0)
        chips = 0
        least = -(-population.size // self.limits.neurons.value)
        for cut in cuts(population):
            if best is not None and len(best) == least:
                break
            finest = cut(min(len(cut), self.available))
            bound = self._worst(population, finest)
            if bound[1] > 1:
                worst = max(worst, bound, key=lambda b: b[1])
                row = np.sort(cut.rows[len(cut) // 2])
                if len(cut) > len(finest) and self._worst(population, [row])[1] <= 1:
                    chips = int(np.ceil(self.chips * bound[1]))
                continue
            found = self._search(population, cut)
            if best is None or len(found) < len(best):
                best = found
        if best is None and chips:
            raise MappingError(
                f"population {population.name!r} must fit {self._chips()}, but its {worst[0]} are "
                f"{worst[1]:.1f} times the limit of each; allow {chips} chips, or make the layer "
                f"smaller\n{self._table(population)}"
            )
        if best is None:
            raise MappingError(
                f"population {population.name!r} must fit the cores of {self.limits.name} however "
                f"finely it is cut, but its {worst[0]} are {worst[1]:.1f} times the limit; make "
                f"the layer smaller\n{self._table(population)}"
            )
        return best

    def _search(self, population: Population, cut: Cut) -> list[np.ndarray]:
        """The fewest parts that fit: those of one part fewer do not."""
        whole = self._usage(population, cut(1))[0].fill(self.limits)
        # neurons and state are divided by a cut, so they bound the number of parts from below
        few = max(1, int(np.ceil(whole["neurons"])))
        many = min(len(cut), self.available)
        low, high = few - 1, few
        while high < many and self._worst(population, cut(high))[1] > 1:
            low, high = high, min(2 * high, many)
        while high - low > 1:
            middle = (low + high) // 2
            if self._worst(population, cut(middle))[1] <= 1:
                high = middle
            else:
                low = middle
        return cut(high)

    def _worst(self, population: Population, cut: list[np.ndarray]) -> tuple[str, float]:
        bounds = [usage.bound(self.limits) for usage in self._usage(population, cut)]
        return max(bounds, key=lambda bound: bound[1])

    def _table(self, population: Population) -> str:
        lines = [f"{'limit':<15}{'needed':>10}{'allowed':>10}  (the whole layer on one core)"]
        everything = self._usage(population, [np.arange(population.size)])[0]
        for name in ChipLimits.PER_CORE:
            limit = self.limits.limit(name)
            lines.append(f"{name:<15}{getattr(everything, name):>10}{limit.value:>10}")
        return "\n".join(lines)

    def _usage(self, population: Population, cut: list[np.ndarray]) -> list[Usage]:
        name, limits = population.name, self.limits
        in_axons, synapse_bytes = np.zeros(len(cut), np.int64), np.zeros(len(cut), np.int64)
        out_axons = np.zeros(len(cut), np.int64)
        for route, counter in zip(self.lowered.routes, self.counters, strict=True):
            if route.projection.target == name:
                in_axons += (fan_out_of(counter, cut) > 0).sum(dim=1).numpy()
                synapse_bytes += [weight_bytes(route, population, part) for part in cut]
            if route.projection.source == name and route.projection.target in self.cuts:
                targets = self.cuts[route.projection.target]
                reached = (fan_out_of(counter, targets) > 0).sum(dim=0).numpy()
                out_axons += [int(reached[part].sum()) for part in cut]
        neurons = np.array([len(part) for part in cut])
        core_bytes = (
            synapse_bytes
            + neurons * self.lowered.placements[name].budget.bytes
            + in_axons * limits.in_axon_bytes.value
            + out_axons * limits.out_axon_bytes.value
        )
        taken = (neurons, synapse_bytes, core_bytes, in_axons, out_axons, np.ones_like(neurons))
        rows = np.stack(taken, axis=1).tolist()
        return [Usage(**dict(zip(ChipLimits.PER_CORE, row, strict=True))) for row in rows]
