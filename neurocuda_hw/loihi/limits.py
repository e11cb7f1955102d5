"""What a chip can hold, limit by limit, each with the source that it is read from.

``published`` limits are printed in a paper, a brief or a vendor's notebook; ``assumed`` ones stand
for what is not public, so that a mapping cannot pretend that the resource is free.
"""

from __future__ import annotations

from dataclasses import dataclass

DAVIES_2018 = "Davies et al., Loihi, IEEE Micro 38(1), 2018"
NENGO = "nengo-loihi, validation of a core's blocks"
BRIEF = "Intel, Loihi 2 technology brief, 2021"
ORCHARD = "Orchard et al., Efficient neuromorphic signal processing with Loihi 2, SiPS 2021"
LAVA_DL = "lava-dl notebooks, log of the Loihi 2 compiler"
LAVA = "lava-nc/lava, proc/dense and proc/lif"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One number, what it counts, and where it is from."""

    value: int
    unit: str
    label: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipLimits:
    """Limits of one chip; ``per_core`` are those that a mapping fills.

    Parameters
    ----------
    cores : Limit
        Neurocores of a chip.
    neurons, synapse_bytes, core_bytes, in_axons, out_axons, groups : Limit
        Of one core. `core_bytes` holds weights, neuron state and axon tables together.
    state_bits, weight_bits, payload_bits, delay_steps : Limit
        Widths; a weight of more than `weight_bits` takes two synapses.
    in_axon_bytes, out_axon_bytes : Limit
        What one entry takes of `core_bytes`.
    microcode : bool
        Whether neurons are programs, or only the built-in current-based LIF.
    tiles : tuple of int
        Columns and rows of the mesh; a tile has 4 cores.
    """

    name: str
    cores: Limit
    neurons: Limit
    synapse_bytes: Limit
    core_bytes: Limit
    in_axons: Limit
    out_axons: Limit
    groups: Limit
    state_bits: Limit
    weight_bits: Limit
    payload_bits: Limit
    delay_steps: Limit
    in_axon_bytes: Limit
    out_axon_bytes: Limit
    microcode: bool
    tiles: tuple[int, int] = (8, 4)

    PER_CORE = ("neurons", "synapse_bytes", "core_bytes", "in_axons", "out_axons", "groups")

    def limit(self, name: str) -> Limit:
        """A limit by the name of its field."""
        found: Limit = getattr(self, name)
        return found

    def limits(self) -> dict[str, Limit]:
        """All limits by name."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in found.items() if isinstance(value, Limit)}

    def table(self) -> str:
        """All limits with label and source, one per line."""
        rows = [f"{'limit':<15}{'value':>9}  {'unit':<28}{'label':<11}source"]
        for name, limit in self.limits().items():
            rows.append(
                f"{name:<15}{limit.value:>9}  {limit.unit:<28}{limit.label:<11}{limit.source}"
            )
        return "\n".join(rows)


def _published(value: int, unit: str, source: str) -> Limit:
    return Limit(value=value, unit=unit, label="published", source=source)


def _assumed(value: int, unit: str, why: str) -> Limit:
    return Limit(value=value, unit=unit, label="assumed", source=why)


LOIHI1 = ChipLimits(
    name="loihi1",
    cores=_published(128, "cores per chip", DAVIES_2018),
    neurons=_published(1024, "neurons per core", DAVIES_2018),
    synapse_bytes=_published(16384 * 8, "bytes of 64-bit words", NENGO),
    core_bytes=_assumed(2**21 // 8, "bytes per core", "2 Mb per core (Davies 2018), all uses"),
    in_axons=_published(4096, "input axons per core", NENGO),
    out_axons=_published(4096, "output axons per core", NENGO),
    groups=_assumed(8, "populations per core", "as on Loihi 2"),
    state_bits=_published(24, "bits of u and v", LAVA),
    weight_bits=_published(8, "bits of a weight mantissa", DAVIES_2018),
    payload_bits=_published(1, "bits: spikes are binary", DAVIES_2018),
    delay_steps=_published(62, "steps beyond the first", DAVIES_2018),
    in_axon_bytes=_assumed(4, "bytes", "one 32-bit entry"),
    out_axon_bytes=_assumed(4, "bytes", "one 32-bit entry"),
    microcode=False,
)

LOIHI2 = ChipLimits(
    name="loihi2",
    cores=_published(128, "cores per chip", BRIEF),
    neurons=_published(8192, "neurons per core", BRIEF),
    synapse_bytes=_published(128 * 1024, "bytes of weights per core", ORCHARD),
    core_bytes=_published(192 * 1024, "bytes per core", BRIEF),
    in_axons=_assumed(49152, "input axons per core", "not public: as many as core_bytes holds"),
    out_axons=_assumed(49152, "output axons per core", "not public: as many as core_bytes holds"),
    groups=_published(8, "neuron groups per core", LAVA_DL),
    state_bits=_published(24, "bits of a state variable", LAVA),
    weight_bits=_published(8, "bits of a weight", BRIEF),
    payload_bits=_published(32, "bits of a graded spike", BRIEF),
    delay_steps=_published(62, "steps beyond the first", LAVA),
    in_axon_bytes=_assumed(4, "bytes", "one 32-bit entry"),
    out_axon_bytes=_assumed(4, "bytes", "one 32-bit entry"),
    microcode=True,
)

CHIPS = {chip.name: chip for chip in (LOIHI1, LOIHI2)}
