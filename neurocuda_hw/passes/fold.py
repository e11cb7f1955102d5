"""A folding: lanes of every layer, what each takes of a device, and whether that holds them all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurocuda_hw.passes.area import LayerArea, shared_area
from neurocuda_hw.passes.cycles import layer_work
from neurocuda_hw.passes.devices import Device
from neurocuda_hw.passes.mapping import AUTOMATIC, Ways
from neurocuda_hw.passes.memories import branches_of
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.study import Study
from neurocuda_hw.passes.ways import alternatives, made_to_fit

LUT_SHARE = 0.85  # of a device's LUTs: routing needs room, and the prediction may be 15 % low
PREDICTED = 24  # inferences on which hold-ups are looked for
Weights = tuple[float, float, float, float]
ALIKE: Weights = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFold:
    """One layer with a number of lanes: its cycles per inference, and what it takes."""

    name: str
    lanes: int
    weight_bits: int
    cycles: float
    area: LayerArea
    ways: Ways = AUTOMATIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Folding:
    """A choice for every layer.

    Parameters
    ----------
    layers : tuple of LayerFold
        In topological order.
    shared : LayerArea
        What is there once.
    cycles : float
        Cycles per inference of the whole network, when inferences follow one another.
    """

    device: Device
    layers: tuple[LayerFold, ...]
    shared: LayerArea
    cycles: float

    @property
    def lanes(self) -> dict[str, int]:
        """Lanes of each layer."""
        return {layer.name: layer.lanes for layer in self.layers}

    @property
    def ways(self) -> dict[str, Ways]:
        """How layers are made, where that is not left to the synthesiser."""
        return {layer.name: layer.ways for layer in self.layers if layer.ways != AUTOMATIC}

    @property
    def slowest(self) -> float:
        """Cycles per inference of the slowest layer: the network needs at least as many."""
        return max(layer.cycles for layer in self.layers)

    @property
    def area(self) -> LayerArea:
        """The whole design."""
        return sum((layer.area for layer in self.layers), self.shared)

    @property
    def fits(self) -> bool:
        """Whether the device holds it; see `LUT_SHARE`."""
        return not self.lacking

    @property
    def lacking(self) -> tuple[str, ...]:
        """What the device has too little of: ``12.5 of 10 RAMB36``."""
        return lacking(self.area, self.device)


def planned(study: Study, device: Device) -> Folding:
    """A design with the lanes that were planned, in a device that may be too small for it.

    Memories and products are left to the synthesiser, if it fits so.
    """
    network, plans = study.network, study.plans
    shared = shared_area(network, device.family, study.bursts)
    made = [alternatives(plan, device, branches_of(network, n)) for n, plan in plans.items()]
    ways = [np.zeros(len(m.names) + 1, dtype=np.int64) for m in made]
    fitting = made_to_fit(made, ways, room(device) - shared.vector, prices(device, ALIKE))
    layers = tuple(
        LayerFold(
            name=name,
            lanes=plan.layout.lanes,
            weight_bits=max(plan.weight_bits),
            cycles=layer_work(plan, study.activity).cycles,
            area=m.area(way),
            ways=m.ways(way),
        )
        for (name, plan), m, way in zip(plans.items(), made, fitting or ways, strict=True)
    )
    return Folding(
        device=device,
        layers=layers,
        shared=shared,
        cycles=predict(plans, study.activity.first(PREDICTED)).cycles,
    )


def share(area: LayerArea, device: Device, weights: Weights = ALIKE) -> float:
    """Weighted sum of the shares of a device that an area takes."""
    return float(area.vector @ prices(device, weights))


def room(device: Device) -> np.ndarray:
    """What may be used of a device, in the order of `LayerArea`."""
    return np.array([LUT_SHARE * device.luts, device.blocks, device.dsps, device.ultras])


def prices(device: Device, weights: Weights) -> np.ndarray:
    """What a LUT, a block memory, a multiplier and an UltraRAM cost, as `share` weighs them."""
    amounts = np.array([device.luts, device.blocks, device.dsps, device.ultras])
    found: np.ndarray = np.array(weights) / np.maximum(amounts, 0.5)
    return found


def lacking(area: LayerArea, device: Device) -> tuple[str, ...]:
    found = []
    if area.luts > LUT_SHARE * device.luts:
        found.append(f"{area.luts:,.0f} of {LUT_SHARE * device.luts:,.0f} usable LUTs")
    if area.blocks > device.blocks:
        found.append(f"{area.blocks:,g} of {device.blocks:,} {device.family.block_name}")
    if area.dsps > device.dsps:
        found.append(f"{area.dsps:,} of {device.dsps:,} multipliers")
    if area.ultras > device.ultras:
        found.append(f"{area.ultras:,} of {device.ultras:,} UltraRAMs")
    return tuple(found)
