"""Folding for a device: lanes of every layer for a wanted pace, or the best pace that fits.

Layers work at the same time, so the slowest one sets the pace of the network. For a pace of N
cycles every layer takes, of those numbers of lanes with which it needs at most N cycles, the one
that costs least of the device: the sum of its shares of LUTs, memories and multipliers. Memories
and products are made in the `passes.ways` that cost least, or that make it fit. Where layers then
hold one another up (`pipeline.predict`), those that are not the slowest get more lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.area import LayerArea, layer_area, shared_area
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.passes.cycles import layer_work
from neurocuda_hw.passes.devices import DEVICES, Device, Family
from neurocuda_hw.passes.fold import (
    ALIKE,
    PREDICTED,
    Folding,
    LayerFold,
    Weights,
    lacking,
    prices,
    room,
    share,
)
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.layout import Fanout, low_zeros
from neurocuda_hw.passes.memories import branches_of
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.planner import Planner
from neurocuda_hw.passes.streams import alike, by_lines
from neurocuda_hw.passes.ways import Alternatives, alternatives, made_to_fit

WIDEST = 256  # lanes that are tried
# what an option's shares are weighed by: all alike, then each resource alone
_WEIGHTS: tuple[Weights, ...] = (
    ALIKE,
    (1.0, 0.05, 0.05, 0.05),
    (0.05, 1.0, 0.05, 0.05),
    (0.05, 0.05, 1.0, 0.05),
)
_PARTS = (1.0, 0.7, 0.5, 0.35)  # of the pace, for layers that would hold others up
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Option:
    """One layer with a number of lanes, made in `chosen` ways, and what that costs."""

    fold: LayerFold
    cost: float
    made: Alternatives
    chosen: np.ndarray


class DoesNotFit(ModelError):
    """A network that a device cannot hold, at the wanted pace or at all.

    Parameters
    ----------
    folding : Folding
        What each layer would take.
    nearest : tuple of str
        What would fit: fewer bits, fewer lanes, another part.
    """

    def __init__(self, message: str, folding: Folding, nearest: tuple[str, ...]) -> None:
        ways = "; ".join(nearest) or "no device in the table holds it: make the network smaller"
        super().__init__(f"{message}; {ways}")
        self.folding = folding
        self.nearest = nearest


class Folder:
    """Every layer with every number of lanes, so that choices can be made among them.

    Parameters
    ----------
    activity : mapping of str to array
        What the layers have to do: `passes.activity.Activity` of a trace.
    limit : int
        Most lanes of a layer.
    bursts : Bursts
        What is sent as bursts.
    """

    def __init__(
        self,
        network: Network,
        activity: Mapping[str, np.ndarray],
        *,
        limit: int = WIDEST,
        bursts: Bursts = NO_BURSTS,
        progress: Progress | None = None,
    ) -> None:
        self.network, self.bursts = network, bursts
        self._few = activity.first(PREDICTED) if isinstance(activity, Activity) else None
        self._plans: dict[str, dict[int, LayerPlan]] = {}
        self._cycles: dict[tuple[str, int], float] = {}
        self._made: dict[tuple[str, int, Family, bool, int | None], Alternatives] = {}
        self._priced: dict[tuple[Device, int | None, Weights], dict[str, list[_Option]]] = {}
        for population in network.targets:
            planner = Planner(network, population, bursts)
            plans = {n: planner.plan(n) for n in lane_choices(population, limit)}
            self._plans[population.name] = plans
        self._alone = self._plans
        if bursts.streams:
            self._alone = alike(network, self._plans, raster=bursts.raster)
        for number, (name, plans) in enumerate(self._alone.items()):
            for n, plan in plans.items():
                self._cycles[name, n] = layer_work(plan, activity).cycles
            if progress:
                progress("folding", number + 1, len(network.targets))

    def fold(self, device: Device, *, target: int | None = None) -> Folding:
        """The fewest resources for a pace of `target` cycles; where None, the best pace that fits.

        Raises
        ------
        DoesNotFit
            If the device cannot hold the network, or not at that pace.
        ModelError
            If no number of lanes reaches `target`.
        """
        if target is not None:
            self._check_target(device, target)
            return self._for_target(device, target)
        found = self._fastest(device)
        if found is None:
            smallest, takes = self._smallest(device, None)
            raise DoesNotFit(
                f"{self.network.name!r} does not fit into {device.name} at any number of lanes: "
                f"{takes}",
                smallest,
                self._nearest(device, None),
            )
        return found

    def _for_target(self, device: Device, target: int) -> Folding:
        found = self._meeting(device, target)
        if found.fits and found.cycles <= target:
            return found
        slower = self._fastest(device)
        if found.fits:
            assert slower is not None
            raise ModelError(
                f"target cycles must be at least {slower.cycles:,.0f} for these inputs in "
                f"{device.name}, not {target:,}: layers hold one another up"
            )
        nearest = self._nearest(device, target)
        if slower is not None:
            nearest = (f"{slower.cycles:,.0f} cycles with fewer lanes (--fit)", *nearest)
        smallest, takes = self._smallest(device, target)
        raise DoesNotFit(
            f"{self.network.name!r} does not fit into {device.name} at {target:,} cycles per "
            f"inference: {takes}",
            smallest,
            nearest,
        )

    def _meeting(self, device: Device, target: int) -> Folding:
        """The cheapest choice that meets the target as a whole; the last that was tried else."""
        for part in _PARTS:
            found = self._relieved(device, target, part)
            if found.cycles <= target:
                break
        return found

    def _check_target(self, device: Device, target: int) -> None:
        for name, of_layer in self._options(device, None, ALIKE).items():
            best = min((o.fold for o in of_layer), key=lambda fold: fold.cycles)
            if best.cycles > target:
                raise ModelError(
                    f"target cycles must be at least {best.cycles:,.0f} for these inputs, not "
                    f"{target:,}: population {name!r} needs that many even with its {best.lanes} "
                    "lanes"
                )

    def _options(
        self, device: Device, bits: int | None, weights: Weights
    ) -> dict[str, list[_Option]]:
        """Every layer with every number of lanes, made in the ways that cost least.

        Its weights have at most `bits` bits.
        """
        key = (device, bits, weights)
        if key not in self._priced:
            self._priced[key] = {
                name: [self._option(name, lanes, *key) for lanes in plans]
                for name, plans in self._alone.items()
            }
        return self._priced[key]

    def _option(
        self, name: str, lanes: int, device: Device, bits: int | None, weights: Weights
    ) -> _Option:
        full = self._alone[name][lanes]
        key = (name, lanes, device.family, device.ultras > 0, bits)
        if key not in self._made:
            plan = full if bits is None else narrowed(full, bits)
            self._made[key] = alternatives(plan, device, branches_of(self.network, name))
        made, most = self._made[key], max(full.weight_bits)
        chosen = made.cheapest(prices(device, weights))
        fold = LayerFold(
            name=name,
            lanes=lanes,
            weight_bits=most if bits is None else min(most, bits),
            cycles=self._cycles[name, lanes],
            area=made.area(chosen),
            ways=made.ways(chosen),
        )
        cost = share(fold.area, device, weights)
        return _Option(fold=fold, cost=cost, made=made, chosen=chosen)

    def _choose(
        self, device: Device, pace: float | None, *, part: float = 1.0, bits: int | None = None
    ) -> Folding:
        """The cheapest option of each layer that keeps the pace; one that fits, if one is found.

        A layer keeps `part` of the pace, where it can.
        """
        first: Folding | None = None
        shared = shared_area(self.network, device.family, self.bursts)
        left = room(device) - shared.vector
        for weights in _WEIGHTS:
            options = []
            for of_layer in self._options(device, bits, weights).values():
                kept = [o for o in of_layer if pace is None or o.fold.cycles <= part * pace]
                kept = kept or [o for o in of_layer if pace is None or o.fold.cycles <= pace]
                options.append(min(kept, key=lambda o: (o.cost, o.fold.cycles)))
            layers = [o.fold for o in options]
            fitting = made_to_fit(
                [o.made for o in options],
                [o.chosen for o in options],
                left,
                prices(device, weights),
            )
            for i, (o, ways) in enumerate(zip(options, fitting or (), strict=False)):
                if (ways != o.chosen).any():
                    layers[i] = replace(o.fold, area=o.made.area(ways), ways=o.made.ways(ways))
            slowest = max(fold.cycles for fold in layers)
            folding = Folding(device=device, layers=tuple(layers), shared=shared, cycles=slowest)
            if folding.fits:
                return folding
            first = first or folding
        assert first is not None
        return first

    def _smallest(self, device: Device, pace: float | None) -> tuple[Folding, str]:
        """The choice that takes least of what is too little there, and what it takes.

        Of each resource that is the least of all choices that keep the pace, whatever it costs of
        the others: a part that holds the network has at least as much.
        """
        kept = [
            [o for o in of_layer if pace is None or o.fold.cycles <= pace]
            for of_layer in self._options(device, None, ALIKE).values()
        ]
        shared = shared_area(self.network, device.family, self.bursts)
        least = shared.vector.copy()
        for options in kept:
            least += np.min([o.made.least for o in options], axis=0)
        if scarce := lacking(LayerArea.of(least), device):
            found = _sparing(kept, shared, device, least)
            return found, f"it takes at least {', '.join(scarce)}"
        found = self._choose(device, pace)
        other = _sparing(kept, shared, device, found.area.vector)
        ways = dict.fromkeys(", ".join(way.lacking) for way in (found, other))
        return found, f"it takes {', or '.join(filter(None, ways))}"

    def _relieved(self, device: Device, pace: float, part: float) -> Folding:
        """Every layer at `part` of the pace, or at the pace where it cannot be faster."""
        folding = self._choose(device, pace, part=part)
        plans = {name: self._plans[name][lanes] for name, lanes in folding.lanes.items()}
        if self.bursts.streams:
            plans = by_lines(self.network, plans, raster=self.bursts.raster)
            folding = replace(folding, layers=self._together(folding, plans))
        return replace(folding, cycles=self._predicted(folding, plans))

    def _together(self, folding: Folding, plans: Mapping[str, LayerPlan]) -> tuple[LayerFold, ...]:
        """The layers with what they take next to one another."""
        family = folding.device.family
        found = []
        for layer in folding.layers:
            plan = replace(plans[layer.name], ways=layer.ways)
            area = layer_area(plan, family, branches_of(self.network, layer.name))
            found.append(replace(layer, area=area))
        return tuple(found)

    def _predicted(self, folding: Folding, plans: Mapping[str, LayerPlan]) -> float:
        """Cycles per inference of the network; the slowest layer's where only means are known."""
        if self._few is None:
            return folding.slowest
        return max(folding.slowest, predict(plans, self._few).cycles)

    def _fastest(self, device: Device) -> Folding | None:
        """The best pace that fits, or None; a slower pace never takes more."""
        options = self._options(device, None, ALIKE)
        slowest_at_best = max(min(o.fold.cycles for o in of_layer) for of_layer in options.values())
        every = {o.fold.cycles for of_layer in options.values() for o in of_layer}
        paces = sorted(cycles for cycles in every if cycles >= slowest_at_best)
        low, high = 0, len(paces)
        while low < high:
            middle = (low + high) // 2
            if self._choose(device, paces[middle]).fits:
                high = middle
            else:
                low = middle + 1
        for pace in paces[low:]:  # the first, but where layers take more next to one another
            tried = [self._relieved(device, pace, part) for part in _PARTS]
            if fitting := [folding for folding in tried if folding.fits]:
                return min(fitting, key=lambda folding: folding.cycles)
        return None

    def _nearest(self, device: Device, target: int | None) -> tuple[str, ...]:
        """What would fit instead: weights of fewer bits here, or the next larger part."""
        return (*self._fewer_bits(device, target), *self._larger_part(device, target))

    def _fewer_bits(self, device: Device, target: int | None) -> tuple[str, ...]:
        most = max(
            max(plan.weight_bits) for plans in self._plans.values() for plan in plans.values()
        )
        for bits in range(most - 1, 1, -1):
            folding = self._choose(device, target, bits=bits)
            if folding.fits:
                return (f"{bits}-bit weights fit (convert with --weight-bits {bits})",)
        return ()

    def _larger_part(self, device: Device, target: int | None) -> tuple[str, ...]:
        """The smallest part that holds it, of the same family if there is one."""
        same = [d for d in DEVICES if d.family is device.family]
        for parts in (same, list(DEVICES)):
            for part in sorted(parts, key=lambda d: (d.luts, d.blocks)):
                folding = self._choose(part, target)
                if folding.fits:
                    return (f"{part.name} holds it",)
        return ()


def _sparing(
    kept: Sequence[Sequence[_Option]], shared: LayerArea, device: Device, takes: np.ndarray
) -> Folding:
    """Of every layer the option with the least of those resources of which `takes` is too much."""
    there = room(device)
    prices = np.where(takes > there, 1, 1e-6) / np.maximum(there, 0.5)
    layers = []
    for options in kept:
        ways = [o.made.cheapest(prices) for o in options]
        areas = [o.made.area(way) for o, way in zip(options, ways, strict=True)]
        best = min(range(len(options)), key=lambda i: float(areas[i].vector @ prices))
        made = options[best].made.ways(ways[best])
        layers.append(replace(options[best].fold, area=areas[best], ways=made))
    slowest = max(layer.cycles for layer in layers)
    return Folding(device=device, layers=tuple(layers), shared=shared, cycles=slowest)


def narrowed(plan: LayerPlan, bits: int) -> LayerPlan:
    """`plan` as it would be with weights of at most `bits` bits, states as they are."""
    fanouts: list[Fanout] = []
    for part, own in zip(plan.fanouts, plan.weight_bits, strict=True):
        fanouts.append(replace(part, weights=part.weights >> max(0, own - bits)))
    return replace(
        plan,
        fanouts=tuple(fanouts),
        weight_bits=tuple(min(own, bits) for own in plan.weight_bits),
        weight_shifts=tuple(low_zeros(part.weights) for part in fanouts),
    )
