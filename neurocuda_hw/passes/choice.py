"""Whether bursts and streams pay: designs with and without them, by cycles and what they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.passes.area import LayerArea, network_area, total
from neurocuda_hw.passes.bursts import RASTER, find_bursts
from neurocuda_hw.passes.devices import find_device
from neurocuda_hw.passes.fold import Folding, share
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.streams import why_no_raster, why_no_streams
from neurocuda_hw.passes.study import Study

WISHES = ("auto", "on", "off")
ORDERS = ("any", RASTER)
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
class Streaming:
    """What was chosen of streams: the figures of both designs, or why there is only one."""

    order: str
    chosen: bool = False
    why_not: str = ""
    without: Figures | None = None
    forced: Figures | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What reports say of it."""
        figures = {"with": self.forced, "without": self.without}
        return {
            "chosen": self.chosen,
            "order": self.order,
            "says": str(self),
            **{name: of.plain() for name, of in figures.items() if of is not None},
        }

    def __str__(self) -> str:
        if self.forced is None:
            return f"No streams: {self.why_not}."
        said = f"{self.forced.cycles:,.0f} cycles and {self.forced.area.blocks:g} block memories"
        if self.without is None:
            return f"Streams: {said}."
        other = f"{self.without.cycles:,.0f} and {self.without.area.blocks:g}"
        if self.chosen:
            return f"Streams: {said}, {other} without."
        return f"No streams: they would take {said}, {other} without them; --streams on sends them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen, and the figures of both designs where both were worked out."""

    study: Study
    folding: Folding | None = None
    without: Figures | None = None
    forced: Figures | None = None
    streaming: Streaming | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What reports say of it; empty where the network has no bursts or they are off."""
        if self.streaming is None:
            return self._bursts
        return self._bursts | {"streams": self.streaming.facts}

    @property
    def _bursts(self) -> dict[str, Any]:
        bursts = self.study.bursts
        if self.forced is None:
            return {"says": ""} if self.streaming else {}
        found: dict[str, Any] = {
            "chosen": bool(bursts.counts),
            "counts": dict(bursts.counts),
            "maxima": sorted(bursts.maxima),
            "merged": bursts.merged,
            "says": self._says,
            "with": self.forced.plain(),
        }
        return found | ({"without": self.without.plain()} if self.without else {})

    def __str__(self) -> str:
        said = [self._says] if self._says else []
        return " ".join(said + ([str(self.streaming)] if self.streaming else []))

    @property
    def _says(self) -> str:
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


def choose(
    study: Study,
    wish: str,
    fold: Fold | None = None,
    *,
    streams: str = "off",
    order: str = "any",
) -> Choice:
    """The study with or without bursts, and streams of them, as wished (each one of `WISHES`).

    Parameters
    ----------
    study : Study
        Without bursts, with a golden trace.
    fold : callable, optional
        Chooses the lanes for a device.
    order : str
        One of `ORDERS`: that in which the input's words come.

    Raises
    ------
    ModelError
        Of `fold`, if neither design fits; if streams are to be on, or the order RASTER, and cannot.
    """
    for name, value, known in (
        ("bursts", wish, WISHES),
        ("streams", streams, WISHES),
        ("order", order, ORDERS),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    if streams == "off" or wish == "off":
        return _choose_bursts(study, wish, fold)
    return _choose_streams(study, wish, fold, streams, order)


def _choose_streams(study: Study, wish: str, fold: Fold | None, streams: str, order: str) -> Choice:
    network, found = study.network, find_bursts(study.network)
    why = why_no_streams(network, found)
    if why and streams == "on":
        raise ModelError(f"{network.name!r} cannot stream: {why}; leave '--streams on' out")
    if order == RASTER and not why and (no_raster := why_no_raster(network, found)):
        raise ModelError(
            f"the input of {network.name!r} cannot come by lines: {no_raster}; leave "
            "--input-order out"
        )
    try:
        choice = _choose_bursts(study, wish, fold)
    except ModelError:  # it may fit with streams
        if why:
            raise
        choice = None
    if why or (choice and not choice.study.bursts.counts and streams != "on"):
        assert choice is not None
        why = why or "bursts do not pay"
        return replace(choice, streaming=Streaming(order=order, why_not=why))
    forced = _figures(study.relaid(replace(found, streams=True, raster=order == RASTER)), fold)
    if choice is None or not choice.study.bursts.counts:
        choice, without = Choice(study=forced.study, forced=forced), None
    else:
        without = choice.forced
    chosen = streams == "on" or without is None or forced.cost <= PAYS * without.cost
    streaming = Streaming(order=order, chosen=chosen, without=without, forced=forced)
    if not chosen:
        return replace(choice, streaming=streaming)
    return replace(choice, study=forced.study, folding=forced.folding, streaming=streaming)


def _choose_bursts(study: Study, wish: str, fold: Fold | None) -> Choice:
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
