"""The register map: one table that the RTL, the C header, the documentation and the tests share.

Registers are 32 bits wide at multiples of 4; addresses are in bytes. Counters stand in blocks of
eight words: one for the whole design, then one for each population with hardware, in topological
order.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from neurocuda_hw.network import Network

ID = 0x4E434857  # "NCHW"
VERSION = 1 << 16 | 1  # major (what software must know) and minor (what it may ignore) of this map
HASH_WORDS = 8
COUNTERS_AT, COUNTER_BLOCK = 0x100, 0x20
SMALLEST_ADDRESS_BITS = 12  # interconnects hand out 4 KiB at least


class Registers(enum.Enum):
    """How much of the register block a build has."""

    NONE = "none"
    CONTROL = "control"
    COUNTERS = "counters"


class Access(enum.Enum):
    """What software may do with a register; writing to one that is read-only is an error."""

    CONSTANT = "constant"
    READ = "read-only"
    WRITE = "read-write"
    CLEAR = "write 1 to clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Some bits of a register."""

    name: str
    low: int
    bits: int = 1
    text: str

    @property
    def mask(self) -> int:
        """The field's bits, in place."""
        return ((1 << self.bits) - 1) << self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One 32-bit register."""

    name: str
    offset: int
    access: Access
    text: str
    fields: tuple[Field, ...] = ()

    def field(self, name: str) -> Field:
        """The field called `name`."""
        return next(f for f in self.fields if f.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One counter of a block, at `index` words from the block's begin."""

    name: str
    index: int
    text: str


_DONE = Field(name="DONE", low=0, text="An inference's last output word was taken.")
_ERROR = Field(name="ERROR", low=1, text="A transfer was dropped; ERRORS says why.")

REGISTERS = (
    Register(name="ID", offset=0x00, access=Access.CONSTANT, text='0x4E434857, "NCHW" in ASCII.'),
    Register(
        name="VERSION",
        offset=0x04,
        access=Access.CONSTANT,
        text="Version of this map.",
        fields=(
            Field(name="MINOR", low=0, bits=16, text="Grows when something is added."),
            Field(name="MAJOR", low=16, bits=16, text="Grows when something changes."),
        ),
    ),
    Register(name="TIMESTEPS", offset=0x08, access=Access.CONSTANT, text="T, steps per inference."),
    Register(
        name="LAYERS",
        offset=0x0C,
        access=Access.CONSTANT,
        text="Populations with hardware: all but the input.",
    ),
    Register(
        name="STREAM",
        offset=0x10,
        access=Access.CONSTANT,
        text="What travels on the streams.",
        fields=(
            Field(name="BYTES", low=0, bits=8, text="Bytes of TDATA on both streams: 4 or 8."),
            Field(name="VALUES", low=8, text="Output packets hold values, not events."),
            Field(name="COUNTERS", low=9, text="This build has counters."),
        ),
    ),
    Register(name="INPUTS", offset=0x14, access=Access.CONSTANT, text="Neurons of the input."),
    Register(name="OUTPUTS", offset=0x18, access=Access.CONSTANT, text="Neurons of the output."),
    *(
        Register(
            name=f"HASH_{i}",
            offset=0x20 + 4 * i,
            access=Access.CONSTANT,
            text=f"Hexadecimal digits {8 * i} to {8 * i + 7} of the network's hash.",
        )
        for i in range(HASH_WORDS)
    ),
    Register(
        name="CONTROL",
        offset=0x40,
        access=Access.WRITE,
        text="Commands.",
        fields=(
            Field(
                name="RESET",
                low=0,
                text="While set, the network is held in reset: nothing is taken or sent, and what "
                "was under way is lost. Reset both ends of the streams meanwhile.",
            ),
            Field(name="FREEZE", low=1, text="While set, counters stand still."),
            Field(
                name="CLEAR",
                low=2,
                text="Write 1: all counters and INFERENCES start from 0. Reads as 0.",
            ),
        ),
    ),
    Register(
        name="STATUS",
        offset=0x44,
        access=Access.READ,
        text="What is going on.",
        fields=(
            Field(name="BUSY", low=0, text="A packet has begun whose output packet is not out."),
            Field(name="IRQ", low=1, text="The interrupt line."),
            Field(
                name="SETTLED",
                low=2,
                text="Counters are frozen, and reading them gives the exact numbers.",
            ),
            Field(name="INFLIGHT", low=16, bits=16, text="Inferences that are under way."),
        ),
    ),
    Register(
        name="INFERENCES",
        offset=0x48,
        access=Access.READ,
        text="Output packets that have left since the last CLEAR; wraps.",
    ),
    Register(
        name="IRQ_ENABLE",
        offset=0x4C,
        access=Access.WRITE,
        text="Which of IRQ_PENDING raise the interrupt line.",
        fields=(_DONE, _ERROR),
    ),
    Register(
        name="IRQ_PENDING",
        offset=0x50,
        access=Access.CLEAR,
        text="What has happened since it was cleared. What happens while it is cleared stays.",
        fields=(_DONE, _ERROR),
    ),
    Register(
        name="ERRORS",
        offset=0x54,
        access=Access.CLEAR,
        text="Why input transfers were dropped.",
        fields=(
            Field(name="KEEP", low=0, text="TKEEP kept some bytes of a word and not others."),
            Field(name="ADDRESS", low=1, text="An event came of a neuron the input lacks."),
            Field(name="OVERLONG", low=2, text="A word came after the last step's marker."),
            Field(name="WINDOW", low=3, text="An event came in a step in which none may."),
            Field(name="CROWDED", low=4, text="More events came in a step than there are neurons."),
        ),
    ),
)

DESIGN_COUNTERS = (
    Counter(name="CYCLES", index=0, text="Clock cycles, but for those in CONTROL.RESET."),
    Counter(name="INPUT_TAKEN", index=1, text="Input transfers."),
    Counter(name="INPUT_STALLED", index=2, text="Cycles in which one was offered and not taken."),
    Counter(name="OUTPUT_TAKEN", index=3, text="Output transfers."),
    Counter(name="OUTPUT_STALLED", index=4, text="Cycles in which one was offered and not taken."),
)
# INTEGRATING to BUBBLE are `activity.State` in its order: each cycle is counted by one of them.
LAYER_COUNTERS = (
    Counter(name="EVENTS", index=0, text="Events taken, over all projections."),
    Counter(name="SPIKES", index=1, text="Spikes sent; of a readout, values."),
    Counter(
        name="INTEGRATING", index=2, text="Cycles in which a row of weights reached membranes."
    ),
    Counter(
        name="SWEEPING",
        index=3,
        text="Cycles in which a row was swept, or cleared after a reset, or a step was passed on.",
    ),
    Counter(
        name="STALLED",
        index=4,
        text="Cycles in which a sweep waited for room in the layer's output queue.",
    ),
    Counter(name="STARVED", index=5, text="Cycles in which the layer waited for its input."),
    Counter(
        name="BUBBLE",
        index=6,
        text="Cycles lost to the pipeline: an event was there, but not yet its first row.",
    ),
)

# only in designs with bursts, which have this minor version
BURST_COUNTER = Counter(
    name="BURSTS",
    index=7,
    text="Events sent by a layer of bursts, each of which stands for up to L spikes; of others, "
    "spikes. Only in designs with bursts.",
)
VERSION_WITH_BURSTS = VERSION + 1


def layer_counters(bursts: bool) -> tuple[Counter, ...]:
    """The counters of each layer of a design with or without bursts."""
    return (*LAYER_COUNTERS, BURST_COUNTER) if bursts else LAYER_COUNTERS


def register(name: str) -> Register:
    """The register called `name`."""
    return next(r for r in REGISTERS if r.name == name)


def counter_address(block: int, counter: Counter) -> int:
    """Byte address of a counter; block 0 is the design's, block 1 the first layer's."""
    return COUNTERS_AT + COUNTER_BLOCK * block + 4 * counter.index


def counter_blocks(layers: int) -> int:
    """How many blocks of counters a design of `layers` populations with hardware has."""
    return layers + 1


def address_bits(layers: int) -> int:
    """Bits of a byte address that reach everything."""
    end = COUNTERS_AT + COUNTER_BLOCK * counter_blocks(layers)
    return max(SMALLEST_ADDRESS_BITS, (end - 1).bit_length())


def constants(
    network: Network, *, tdata_bits: int, counters: bool, bursts: bool = False
) -> dict[str, int]:
    """Values of the registers that a design never changes, by name."""
    stream = {
        "BYTES": tdata_bits // 8,
        "VALUES": int(not network.output.spiking),
        "COUNTERS": int(counters),
    }
    values = {
        "ID": ID,
        "VERSION": VERSION_WITH_BURSTS if bursts else VERSION,
        "TIMESTEPS": network.timesteps,
        "LAYERS": len(network.targets),
        "STREAM": sum(v << register("STREAM").field(name).low for name, v in stream.items()),
        "INPUTS": network.input.size,
        "OUTPUTS": network.output.size,
    }
    for i in range(HASH_WORDS):
        values[f"HASH_{i}"] = int(network.hash[8 * i : 8 * i + 8], 16)
    return values


def markdown() -> str:
    """The map as tables for the documentation."""
    lines = ["| offset | register | access | what it holds |", "|---|---|---|---|"]
    for entry in REGISTERS:
        parts = [entry.text]
        parts += [f"**{f.name}** [{_span(f)}]: {f.text}" for f in entry.fields]
        text = "<br>".join(parts)
        lines.append(f"| 0x{entry.offset:03x} | {entry.name} | {entry.access.value} | {text} |")
    for title, block, counters in (
        ("the whole design", 0, DESIGN_COUNTERS),
        (f"layer i, + 0x{COUNTER_BLOCK:x} · i", 1, layer_counters(True)),
    ):
        lines += ["", f"| offset | counter of {title} | what it counts |", "|---|---|---|"]
        for counter in counters:
            at = counter_address(block, counter)
            lines.append(f"| 0x{at:03x} | {counter.name} | {counter.text} |")
    return "\n".join([*lines, ""])


def _span(field: Field) -> str:
    high = field.low + field.bits - 1
    return f"{field.low}" if field.bits == 1 else f"{high}:{field.low}"
