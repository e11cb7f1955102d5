"""What the parts of a layer cost in LUTs, fitted by ``python -m benchmarks prediction --fit``."""

from __future__ import annotations

from enum import Enum

from neurocuda_hw.passes.devices import Family


class Part(Enum):
    """What a design is counted in; the value says of what, per unit of the count."""

    DESIGN = "what is there once"
    LAYER = "what each layer has: sweep, choice of rows, activity"
    STATE = "membrane bit of a lane: addition, comparison, reset, bypass"
    SUM = "membrane bit of a lane of bursts: bypass, choice of what is written"
    START = "membrane bit of such a lane whose initial state is a constant, beyond SUM"
    DIVISION = "bit of a divider's stage: subtraction, choice, count"
    COUNT = "lane and bit of a count beyond the first, in the compactor"
    PRODUCT = "bit of a sum for a product: of one factor, for each bit of the other but one"
    CURRENT = "bit of a synaptic or held current"
    OWN = "bit of a threshold or bias of a lane's own"
    LEAK = "bit that decays"
    FLOOR = "membrane bit with a floor"
    CHOICE = "bit of a lane's choice among projections"
    ROM = "bit of a table in logic, 64 rows (16 where LUTs have 4 inputs)"
    ENCODER = "lane and bit of its number, in the compactor"
    QUEUE = "bit of a queue's counters"
    DEEP = "bit of the counters of a queue that is read through a register, beyond QUEUE"
    SHIFT = "bit of the serializer"
    LIST = "bit of a row number in the list of touched rows, and three more"
    AGAIN = "membrane bit that is compared again, where rows are listed"
    WALKER = "walker"
    ADDRESS = "address bit of a walker"
    LOOKUP = "address bit that a table of an axis adds to"
    FACTOR = "address bit that a multiple of the channel is added to"


_SIX = {
    Part.DESIGN: 25.0,
    Part.LAYER: 38.0,
    Part.STATE: 4.25,
    Part.SUM: 2.2,
    Part.START: 2.0,
    Part.DIVISION: 1.0,
    Part.COUNT: 1.0,
    Part.PRODUCT: 1.9,
    Part.CURRENT: 5.0,
    Part.OWN: 1.65,
    Part.LEAK: 4.0,
    Part.FLOOR: 1.5,
    Part.CHOICE: 1.0,
    Part.ROM: 1.0,
    Part.ENCODER: 1.55,
    Part.QUEUE: 2.5,
    Part.DEEP: 0.5,
    Part.SHIFT: 1.0,
    Part.LIST: 6.2,
    Part.AGAIN: 0.7,
    Part.WALKER: 20.0,
    Part.ADDRESS: 2.2,
    Part.LOOKUP: 1.43,
    Part.FACTOR: 1.9,
}
# most parts are additions and choices of one bit in two: LUTs of 4 inputs take no more of them
LUT_COSTS: dict[Family, dict[Part, float]] = dict.fromkeys(Family, _SIX)
