"""What a layer may be made of, and the cheapest of it: each memory, and what multiplies.

A memory is left to the synthesiser unless another `Style` costs less. UltraRAM has no initial
content, so no ROM lies in it; what else is held in memories is written before it is read (states
are cleared after a reset, see `rtl.sweep`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.passes.area import LayerArea, logic_area, memory_area, product_area
from neurocuda_hw.passes.devices import Device, Family
from neurocuda_hw.passes.mapping import Memory, Style, Ways
from neurocuda_hw.passes.memories import layer_memories
from neurocuda_hw.passes.plan import LayerPlan

FEWEST_BITS = 2048  # of a memory for which the synthesiser is told anything
DEEPEST_LUTS = 512  # words; more in look-up tables are slow, for all that chooses among them
_STYLES = (None, *Style)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alternatives:
    """What each part of a layer may take, in each way that it can be made.

    Parameters
    ----------
    fixed : array (4,)
        What does not depend on it, in the order of `LayerArea`.
    names : tuple of str
        Its memories; then follows what multiplies.
    areas : array (parts, ways, 4)
        Infinite where there is no such way. Those of a memory are `_STYLES`, those of products
        hard and soft.
    """

    fixed: np.ndarray
    names: tuple[str, ...]
    areas: np.ndarray

    @property
    def least(self) -> np.ndarray:
        """The least of each resource that any ways take, (4,)."""
        found: np.ndarray = self.fixed + self.areas.min(axis=1).sum(axis=0)
        return found

    def cheapest(self, prices: np.ndarray) -> np.ndarray:
        """The way of each part that costs least at `prices` (4,); of equal ones the first."""
        chosen: np.ndarray = _cost(self.areas, prices).argmin(axis=1)
        return chosen

    def area(self, chosen: np.ndarray) -> LayerArea:
        """What the layer takes in the chosen ways."""
        total = self.fixed + self.areas[np.arange(len(chosen)), chosen].sum(axis=0)
        return LayerArea.of(total)

    def ways(self, chosen: np.ndarray) -> Ways:
        """The chosen ways by name."""
        pairs = zip(self.names, chosen.tolist(), strict=False)
        styles = {name: style for name, way in pairs if (style := _STYLES[way])}
        return Ways(styles=styles, soft=bool(chosen[-1]))


def alternatives(plan: LayerPlan, device: Device, branches: int = 1) -> Alternatives:
    """All that `device` offers to a layer whose spikes go to so many `branches`."""
    family = device.family
    parts: dict[str, np.ndarray] = {}
    for _, memory in layer_memories(plan, branches):
        found = np.full((len(_STYLES), 4), np.inf)
        for way, style in enumerate(_STYLES):
            if style in (None, *styles_of(memory, device)):
                found[way] = memory_area(memory, family, style).vector
            elif not memory.registered:  # made of registers, whatever its sibling is told
                found[way] = found[0]
        parts[memory.name] = parts.get(memory.name, 0) + found  # of each branch's queue
    products = np.full((len(_STYLES), 4), np.inf)
    for soft in (False, True):
        products[int(soft)] = product_area(plan, family, soft=soft).vector
    return Alternatives(
        fixed=logic_area(plan, family, branches).vector,
        names=tuple(parts),
        areas=np.stack([*parts.values(), products]),
    )


def styles_of(memory: Memory, device: Device) -> tuple[Style, ...]:
    """What a memory can be told to be in a device."""
    xilinx = device.family in (Family.SERIES7, Family.ULTRASCALE_PLUS)
    if not xilinx or not memory.registered or memory.bits < FEWEST_BITS:
        return ()
    styles = [Style.BLOCK]
    if memory.depth <= DEEPEST_LUTS:
        styles.append(Style.DISTRIBUTED)
    if device.ultras and not memory.rom:
        styles.append(Style.ULTRA)
    return tuple(styles)


def made_to_fit(
    layers: Sequence[Alternatives],
    chosen: Sequence[np.ndarray],
    room: np.ndarray,
    prices: np.ndarray,
) -> list[np.ndarray] | None:
    """The `chosen` ways, changed one by one until all layers fit into `room` (4,).

    Each change is the one that takes most off what is too much for what it costs elsewhere; None
    where none is left that takes off anything.
    """
    areas = np.concatenate([layer.areas for layer in layers])
    now, parts = np.concatenate(chosen), np.arange(len(areas))
    scale = 1 / np.maximum(room, 0.5)
    total = sum(layer.fixed for layer in layers) + areas[parts, now].sum(axis=0)
    while (over := _over(total, room) @ scale) > 0:
        changes = areas - areas[parts, now][:, None]
        gains = over - _over(total + changes, room) @ scale
        worth = np.where(gains > 1e-9, gains, 0) / np.maximum(_cost(changes, prices), 1e-6)
        part, way = np.unravel_index(int(worth.argmax()), worth.shape)
        if not worth[part, way] > 0:
            return None
        total, now[part] = total + changes[part, way], way
    return np.split(now, np.cumsum([len(layer.areas) for layer in layers])[:-1])


def _over(area: np.ndarray, room: np.ndarray) -> np.ndarray:
    over: np.ndarray = np.maximum(area - room, 0)
    return over


def _cost(areas: np.ndarray, prices: np.ndarray) -> np.ndarray:
    cost: np.ndarray = (areas * prices).sum(axis=-1)
    return cost
