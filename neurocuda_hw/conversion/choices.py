"""What the caller chose, checked: strategy, steps, bits, device; one sentence for what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from neurocuda_hw.conversion.graph import Graph
from neurocuda_hw.conversion.quantize import Code
from neurocuda_hw.conversion.trainer import Course
from neurocuda_hw.ground.errors import DataError, ModelError

STRATEGIES = ("auto", "exact", "qcfs_direct", "qcfs_if_ft")


def course(
    strategy: str, code: str | None, qcfs_epochs: int, if_epochs: int, *, neurons: bool
) -> Course:
    """What a strategy comes to, of the code that the caller may have named; a model of `neurons`
    spikes already: there is no quantised ANN to train, nor an exact code of it."""
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, not {strategy!r}")
    wanted = None if code is None else named_code(code)
    auto = strategy == "auto"
    chosen = (wanted or Code.EXACT) if auto else Code.EXACT if strategy == "exact" else Code.RATE
    if wanted not in (None, chosen):
        raise ValueError(f"code must be {chosen.value!r} under strategy {strategy!r}, not {code!r}")
    qcfs_epochs = whole(qcfs_epochs, "qcfs_epochs", 0)
    if neurons:
        if strategy == "exact" or wanted is Code.EXACT:
            raise ModelError(
                "a model of spiking neurons has its own code, which is no exact one; use strategy "
                "'auto', 'qcfs_if_ft' or 'qcfs_direct'"
            )
        chosen, qcfs_epochs = Code.RATE, 0
    through_time = strategy == "qcfs_if_ft" or (auto and chosen is Code.RATE)
    return Course(
        code=chosen,
        qcfs_epochs=qcfs_epochs,
        if_epochs=whole(if_epochs, "if_epochs", 0) if through_time else 0,
        auto=auto,
    )


def named_code(code: str | Code) -> Code:
    """The code of this name."""
    try:
        return Code(code)
    except ValueError:
        raise ValueError(f"code must be 'exact' or 'rate', not {code!r}") from None


def timesteps(given: int | None, graph: Graph) -> int:
    """T of the rate code: what the model or its recordings bring, or what is given, or 8."""
    own = graph.steps if graph.frames is None else graph.frames.steps
    if own is not None and given not in (None, own):
        raise ModelError(
            f"timesteps must be {own}, as the model or its recordings say, not {given!r}"
        )
    return whole(own or (8 if given is None else given), "timesteps", 1, 65535)


def notes_on_levels(graph: Graph, levels: int) -> tuple[str, ...]:
    """That a model was trained with QCFS of other levels than it is converted to."""
    own = {layer.staircase.levels for layer in graph.layers if layer.staircase is not None}
    if own <= {levels}:
        return ()
    known = ", ".join(str(number) for number in sorted(own))
    return (f"the model was trained with QCFS of {known} levels, and is converted to {levels}",)


def device(wanted: str | torch.device | None) -> torch.device:
    """Where to compute: the first GPU, if there is one and none was named."""
    if wanted is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(wanted)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        text = str(error).splitlines()[0]
        raise DataError(f"device {str(wanted)!r} cannot be used: {text}") from error
    return found


def positive(value: float, what: str) -> float:
    """`value`, if it is a number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise ValueError(f"{what} must be a number above 0, not {value!r}")
    return float(value)


def whole(value: int, what: str, low: int, high: int | None = None) -> int:
    """`value`, if it is a whole number within bounds."""
    bounded = f"from {low} to {high}" if high is not None else f"from {low} on"
    number = isinstance(value, int) and not isinstance(value, bool)
    if not number or value < low or (high is not None and value > high):
        raise ValueError(f"{what} must be a whole number {bounded}, not {value!r}")
    return value


def weight_bits(bits: int | Sequence[int], graph: Graph) -> tuple[int, ...]:
    """Bits of each layer; a maximum has no weights of its own, and takes any."""
    weighted = [not layer.maximum for layer in graph.layers]
    each = [bits] * sum(weighted) if isinstance(bits, int) else list(bits)
    if len(each) != sum(weighted):
        raise ValueError(
            f"weight_bits must be one number or {sum(weighted)}, one per layer, not {bits!r}"
        )
    left = iter(whole(b, "weight_bits", 2, 8) for b in each)
    return tuple(next(left) if own else 8 for own in weighted)
