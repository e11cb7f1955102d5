"""The register map as a C header for one design."""

from __future__ import annotations

from neurocuda_hw.network import Network
from neurocuda_hw.rtl.register_map import (
    COUNTER_BLOCK,
    COUNTERS_AT,
    DESIGN_COUNTERS,
    HASH_WORDS,
    REGISTERS,
    Counter,
    Register,
    constants,
    counter_address,
    layer_counters,
)

HEADER = "nchw.h"


def header(network: Network, *, tdata_bits: int, counters: bool, bursts: bool = False) -> str:
    """C of the register map: offsets, masks, and what this design's constants must be."""
    values = constants(network, tdata_bits=tdata_bits, counters=counters, bursts=bursts)
    lines = [
        f"/* Registers of network {network.name} ({network.hash[:12]}). Written by neurocuda_hw.",
        " * Offsets are in bytes; registers have 32 bits. Masks are in place. */",
        "#ifndef NCHW_H",
        "#define NCHW_H",
        "",
        "#include <stdint.h>",
        "",
        "/* What this design answers. */",
        f'#define NCHW_NETWORK_HASH "{network.hash}"',
        *(f"#define NCHW_{name}_VALUE {_hex(value)}" for name, value in values.items()),
        "",
        "/* Registers and their fields. */",
    ]
    for register in REGISTERS:
        lines += _register(register)
    if counters:
        lines += ["", "/* Counters of the whole design. They wrap at 2^32. */"]
        for counter in DESIGN_COUNTERS:
            lines.append(_counter("NCHW", counter, counter_address(0, counter)))
        lines += [
            "",
            "/* Counters of a layer: NCHW_LAYER(NCHW_LAYER_<name>) + NCHW_LAYER_EVENTS. */",
        ]
        first = COUNTERS_AT + COUNTER_BLOCK
        lines.append(
            f"#define NCHW_LAYER(n) ({_hex(first)} + {_hex(COUNTER_BLOCK)} * (uint32_t)(n))"
        )
        for counter in layer_counters(bursts):
            lines.append(_counter("NCHW_LAYER", counter, 4 * counter.index))
        for number, population in enumerate(network.targets):
            lines.append(f"#define NCHW_LAYER_{population.name} {number}u")
    return "\n".join([*lines, *_CHECK.splitlines(), ""])


_CHECK = f"""
static inline uint32_t nchw_read(const volatile void *base, uint32_t offset)
{{
    return *(const volatile uint32_t *)((const volatile char *)base + offset);
}}

static inline void nchw_write(volatile void *base, uint32_t offset, uint32_t value)
{{
    *(volatile uint32_t *)((volatile char *)base + offset) = value;
}}

/* Whether the block at `base` is this very network's: 1 or 0. */
static inline int nchw_is_this_network(const volatile void *base)
{{
    static const uint32_t hash[{HASH_WORDS}] = {{
        {", ".join(f"NCHW_HASH_{i}_VALUE" for i in range(HASH_WORDS // 2))},
        {", ".join(f"NCHW_HASH_{i}_VALUE" for i in range(HASH_WORDS // 2, HASH_WORDS))}
    }};
    uint32_t i;
    if (nchw_read(base, NCHW_ID) != NCHW_ID_VALUE)
        return 0;
    if (nchw_read(base, NCHW_VERSION) >> NCHW_VERSION_MAJOR_SHIFT !=
        NCHW_VERSION_VALUE >> NCHW_VERSION_MAJOR_SHIFT)
        return 0;
    for (i = 0; i < {HASH_WORDS}u; ++i)
        if (nchw_read(base, NCHW_HASH_0 + 4u * i) != hash[i])
            return 0;
    return 1;
}}

#endif
"""


def _hex(value: int) -> str:
    return f"0x{value:08x}u" if value > 0xFFF else f"0x{value:03x}u"


def _register(register: Register) -> list[str]:
    name = f"NCHW_{register.name}"
    lines = [f"#define {name} {_hex(register.offset)} /* {register.access.value} */"]
    for field in register.fields:
        lines.append(f"#define {name}_{field.name}_MASK {_hex(field.mask)}")
        lines.append(f"#define {name}_{field.name}_SHIFT {field.low}")
    return lines


def _counter(prefix: str, counter: Counter, offset: int) -> str:
    return f"#define {prefix}_{counter.name} {_hex(offset)}"
