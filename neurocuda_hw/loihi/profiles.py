"""Constants of the cost model, each with a label and its source.

``published``: printed by the maker or in a paper of the chip. ``fitted``: fitted to the silicon by
somebody who had it. ``scaled``: a published or fitted constant times a published factor.
``assumed``: nothing is public; the value is this package's guess.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

DAVIES = "Davies et al. 2018, table 2 (0.75 V)"
FIT = "SANA-FE, Loihi architecture fitted to silicon (within 11.7 % energy, 24.3 % latency)"
BRIEF = "Intel, Loihi 2 technology brief"
ORDER = ("published", "fitted", "scaled", "assumed")


@dataclass(frozen=True, slots=True)
class Constant:
    """Time and energy of one event, and where each is from."""

    ns: float
    pj: float
    label: str
    source: str

    def __post_init__(self) -> None:
        if self.label not in ORDER:
            raise ValueError(f"label must be one of {', '.join(ORDER)}, not {self.label!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Costs of one chip.

    Parameters
    ----------
    overlapped : bool
        True: a core's neurons, synapses, reads and messages work side by side, and the slowest of
        them, or the barrier, is the step (arXiv 2601.10035). False: a core does one after the
        other, and the barrier comes on top.
    neuron, idle : Constant
        Update of an active and of an inactive neuron.
    spike : Constant
        A neuron that fires, on top of its update.
    dense, conv : Constant
        One weight added.
    word : Constant
        64 bits of weights read.
    send, receive : Constant
        A message at the core that sends, at the core that receives.
    tile, east_west, north_south : Constant
        A message within its last tile, and one hop between tiles.
    barrier : tuple of (tiles, ns)
        End of a step, by the tiles that take part; linear between the points.
    """

    name: str
    chip: str
    overlapped: bool
    structure: str
    neuron: Constant
    idle: Constant
    spike: Constant
    dense: Constant
    conv: Constant
    word: Constant
    send: Constant
    receive: Constant
    tile: Constant
    east_west: Constant
    north_south: Constant
    barrier: tuple[tuple[int, float], ...]
    barrier_label: str
    barrier_source: str

    def constants(self) -> dict[str, Constant]:
        """All constants by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Constant)}

    def table(self) -> str:
        """All constants with label and source, one per line."""
        rows = [f"profile {self.name}: {self.structure}"]
        rows.append(f"{'event':<13}{'ns':>8}{'pJ':>8}  {'label':<11}source")
        for name, c in self.constants().items():
            rows.append(f"{name:<13}{c.ns:>8.2f}{c.pj:>8.2f}  {c.label:<11}{c.source}")
        points = ", ".join(f"{ns:g} at {tiles}" for tiles, ns in self.barrier)
        rows.append(f"{'barrier':<21}{'':>8}  {self.barrier_label:<11}{self.barrier_source}")
        rows.append(f"  barrier, ns at tiles: {points}")
        return "\n".join(rows)


_FREE = Constant(0.0, 0.0, "assumed", "contained in the other constants")

LOIHI1_DAVIES = Profile(
    name="loihi1-davies2018",
    chip="loihi1",
    overlapped=False,
    structure="sum within a core, maximum over cores and links, then the barrier (assumed)",
    neuron=Constant(8.4, 81.0, "published", DAVIES),
    idle=Constant(5.3, 52.0, "published", DAVIES),
    spike=_FREE,
    dense=Constant(3.5, 23.6, "published", DAVIES),
    conv=Constant(3.5, 23.6, "published", DAVIES),
    word=_FREE,
    send=_FREE,
    receive=_FREE,
    tile=Constant(2.1, 1.7, "published", DAVIES),
    east_west=Constant(4.1, 3.0, "published", DAVIES),
    north_south=Constant(6.5, 4.0, "published", DAVIES),
    barrier=((1, 113.0), (32, 465.0)),
    barrier_label="published",
    barrier_source=f"{DAVIES}; linear in between (assumed)",
)

LOIHI1_SILICON = Profile(
    name="loihi1-silicon-fit",
    chip="loihi1",
    overlapped=False,
    structure="sum within a core, maximum over cores and links, then the barrier (assumed)",
    neuron=Constant(9.7, 72.8, "fitted", f"{FIT}: access and update"),
    idle=Constant(6.0, 51.2, "fitted", f"{FIT}: access"),
    spike=Constant(30.0, 69.3, "fitted", f"{FIT}: spike out"),
    dense=Constant(3.8, 35.5, "fitted", FIT),
    conv=Constant(3.1, 24.0, "fitted", FIT),
    word=_FREE,
    send=Constant(5.1, 111.0, "fitted", f"{FIT}: axon out"),
    receive=Constant(16.0, 0.0, "fitted", f"{FIT}: axon in"),
    tile=_FREE,
    east_west=Constant(4.1, 3.0, "published", DAVIES),
    north_south=Constant(6.5, 4.2, "fitted", FIT),
    barrier=((1, 600.0), (2, 1000.0), (4, 1400.0), (29, 1800.0)),
    barrier_label="fitted",
    barrier_source=f"{FIT}; linear in between (assumed)",
)

_NEURON_FACTOR, _SYNAPSE_FACTOR, _SPIKE_FACTOR = 2.0, 5.0, 10.0
_FACTORS = f"{BRIEF}; energy scaled by the factor of the speed (assumed)"


def _scaled(constant: Constant, factor: float, source: str) -> Constant:
    """A constant of Loihi 1, faster by the published factor."""
    source = f"{source} / {factor:g}: {_FACTORS}"
    return Constant(constant.ns / factor, constant.pj / factor, "scaled", source)


LOIHI2_SCALED = Profile(
    name="loihi2-scaled",
    chip="loihi2",
    overlapped=True,
    structure="maximum over cores, links and the barrier of work done side by side "
    "(published structure, arXiv 2601.10035; its rates are not public)",
    neuron=_scaled(LOIHI1_DAVIES.neuron, _NEURON_FACTOR, "Davies 2018"),
    idle=_scaled(LOIHI1_DAVIES.idle, _NEURON_FACTOR, "Davies 2018"),
    spike=_scaled(LOIHI1_SILICON.spike, _SPIKE_FACTOR, "SANA-FE fit"),
    dense=_scaled(LOIHI1_DAVIES.dense, _SYNAPSE_FACTOR, "Davies 2018"),
    conv=_scaled(LOIHI1_DAVIES.conv, _SYNAPSE_FACTOR, "Davies 2018"),
    word=Constant(
        0.7, 0.0, "assumed", "a 64-bit word as fast as one weight; energy in dense, conv"
    ),
    send=_FREE,
    receive=_FREE,
    tile=Constant(2.1, 1.7, "assumed", "as Loihi 1, Davies 2018"),
    east_west=Constant(4.1, 3.0, "assumed", "as Loihi 1, Davies 2018"),
    north_south=Constant(6.5, 4.0, "assumed", "as Loihi 1, Davies 2018"),
    barrier=((1, 200.0),),
    barrier_label="published",
    barrier_source=f"{BRIEF}: shortest step below 200 ns, taken as 200 ns",
)

PROFILES = {p.name: p for p in (LOIHI1_DAVIES, LOIHI1_SILICON, LOIHI2_SCALED)}
