"""Whether bursts pay: the designs with and without them, by cycles and by what they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.passes.area import LayerArea, network_area, total
from neurocuda_hw.passes.budget import Folding, share
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.devices import find_device
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.study import Study

WISHES = ("auto", "on", "off")
PAYS = 0.9  # of cycles x area without bursts, at most
WEIGHED_IN = "xc7z020"  # where no device is named: its shares of LUTs, memories and multipliers
PREDICTED = 24  # inferences
Fold = Callable[[Study], Folding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One of the two designs; `cycles` per inference when they follow one another."""

    study: Study
    folding: Folding | None
    cycles: float
    area: LayerArea
    cost: float

    def plain(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        luts, blocks = round(self.area.luts), self.area.blocks
        return {
            "cycles": round(self.cycles, 1),
            "luts": luts,
            "blocks": blocks,
            "dsps": self.area.dsps,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen, and the figures of both designs where both were worked out."""

    study: Study
    folding: Folding | None = None
    without: Figures | None = None
    forced: Figures | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What reports say of it; empty where the network has no bursts or they are off."""
        bursts = self.study.bursts
        if self.forced is None:
            return {}
        found: dict[str, Any] = {
            "chosen": bool(bursts.counts),
            "counts": dict(bursts.counts),
            "maxima": sorted(bursts.maxima),
            "merged": bursts.merged,
            "says": str(self),
            "with": self.forced.plain(),
        }
        return found | ({"without": self.without.plain()} if self.without else {})

    def __str__(self) -> str:
        if self.forced is None:
            return ""
        number = len(self.forced.study.bursts.counts)
        populations = f"{number} population{'s' if number > 1 else ''}"
        said = f"{self.forced.cycles:,.0f} cycles and {self.forced.area.luts:,.0f} LUTs"
        if self.without is None:
            return f"Bursts from {populations}: {said}."
        other = f"{self.without.cycles:,.0f} and {self.without.area.luts:,.0f}"
        if self.study.bursts.counts:
            return f"Bursts from {populations}: {said}, {other} without."
        return (
            f"No bursts: they would take {said}, {other} without them; --bursts on sends them from "
            f"{populations}."
        )


def choose(study: Study, wish: str, fold: Fold | None = None) -> Choice:
    """The study with or without bursts, as `wish` (one of `WISHES`) says.

    Parameters
    ----------
    study : Study
        Without bursts, with a golden trace.
    fold : callable, optional
        Chooses the lanes for a device.

    Raises
    ------
    ModelError
        Of `fold`, if neither design fits.
    """
    if wish not in WISHES:
        raise ValueError(f"bursts must be one of {', '.join(WISHES)}, not {wish!r}")
    found = find_bursts(study.network) if wish != "off" else study.bursts
    if not found.counts:
        folding = fold(study) if fold else None
        chosen = study.laid_out(folding.lanes, ways=folding.ways) if folding else study
        return Choice(study=chosen, folding=folding)
    forced = study.relaid(found)
    if wish == "on":
        figures = _figures(forced, fold)
        return Choice(study=figures.study, folding=figures.folding, forced=figures)
    try:
        without = _figures(study, fold)
    except ModelError:  # without bursts it does not fit, or not at that pace
        figures = _figures(forced, fold)
        return Choice(study=figures.study, folding=figures.folding, forced=figures)
    try:
        figures = _figures(forced, fold)
    except ModelError:
        return Choice(study=without.study, folding=without.folding)
    taken = figures if figures.cost <= PAYS * without.cost else without
    return Choice(study=taken.study, folding=taken.folding, without=without, forced=figures)


def _figures(study: Study, fold: Fold | None) -> Figures:
    folding = fold(study) if fold else None
    if folding is not None:
        study = study.laid_out(folding.lanes, ways=folding.ways)
        device, cycles, area = folding.device, folding.cycles, folding.area
    else:
        device = find_device(WEIGHED_IN)
        cycles = predict(study.plans, study.activity.first(PREDICTED)).cycles
        area = total(network_area(study.network, study.plans, device.family, study.bursts))
    cost = cycles * share(area, device)
    return Figures(study=study, folding=folding, cycles=cycles, area=area, cost=cost)
