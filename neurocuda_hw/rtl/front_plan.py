"""What a front block is made for, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.lib import enum

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import Encoding, Input

STEP_BITS = 24  # of `step_us`: up to 16.7 s
COUNT_BITS = 32


class FrontCount(enum.IntEnum):
    """What is counted, 32 bits each in `counts`, the first lowest; they run on past their end.

    COUNTED: events that packets hold. CLIPPED: above what one input holds. OUTSIDE: of pixels that
    the frame has not. LATE: of a step that is over, or before the first. TIMELESS: before the first
    word of time.
    """

    COUNTED = 0
    CLIPPED = 1
    OUTSIDE = 2
    LATE = 3
    TIMELESS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPlan:
    """What a front block is made for.

    Parameters
    ----------
    network : Network
        Its input is (1 or 2, H, W), of SPIKES or GRADED, and takes events from step 0 on.
    kind : str
        ``evt3`` or ``aer``: see `rtl.camera`.
    crop : (int, int)
        The pixel that is the frame's first.
    downsample : int
        Pixels each way that are one of the frame: a power of two.
    tdata_bits : int
        Of the network's stream.

    Raises
    ------
    ModelError
        If the network's input is another.
    """

    network: Network
    kind: str
    crop: tuple[int, int] = (0, 0)
    downsample: int = 1
    tdata_bits: int = 32

    def __post_init__(self) -> None:
        population, neuron = self.network.input, self.network.input.neuron
        assert isinstance(neuron, Input)
        window = self.network.window(population.name)
        shape = population.shape
        held = neuron.encoding is Encoding.CURRENT
        if held or len(shape) != 3 or shape[0] > 2 or self.highest < 1:
            raise ModelError(
                f"population {population.name!r}: a front block needs an input (1 or 2, H, W) that "
                f"gets events in every step, not {shape} of {neuron.encoding.name}"
            )
        if window.start:
            raise ModelError(
                f"population {population.name!r}: a front block needs an input that takes events "
                f"from step 0 on, not from step {window.start}"
            )
        if self.downsample & (self.downsample - 1):
            raise ModelError(
                f"--downsample must be a power of two for a front block, not {self.downsample}"
            )

    @property
    def highest(self) -> int:
        """The most that one place of a step holds."""
        neuron = self.network.input.neuron
        assert isinstance(neuron, Input)
        return neuron.payload[1]

    @property
    def steps(self) -> int:
        """Steps of a packet."""
        return self.network.window(self.network.input.name).steps
