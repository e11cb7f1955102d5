"""Values of earlier cycles."""

from __future__ import annotations

from typing import TypeVar

from amaranth import Module, Signal, Value
from amaranth.hdl import ValueCastable

AnyValue = TypeVar("AnyValue", bound=Value | ValueCastable)


def later(
    m: Module, name: str, value: AnyValue, cycles: int = 1, *, reset_less: bool = False
) -> AnyValue:
    """The value of so many cycles before; registers are called `name` and a number."""
    return stages(m, name, value, cycles, reset_less=reset_less)[-1]


def stages(
    m: Module, name: str, value: AnyValue, cycles: int, *, reset_less: bool = False
) -> list[AnyValue]:
    """The value, and what it was 1, 2, ... up to `cycles` cycles before."""
    found = [value]
    for cycle in range(1, cycles + 1):
        register = Signal.like(value, name=f"{name}{cycle}", reset_less=reset_less)
        m.d.sync += register.eq(found[-1])
        found.append(register)
    return found
