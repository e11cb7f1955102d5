"""The table of a coverage: of every array of bits, how many are shown, hidden or left open."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from neurocuda_hw.coverage.bounds import hidden_parameters, hidden_weights, reaches
from neurocuda_hw.coverage.tally import Tally
from neurocuda_hw.ground.words import some


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Bits of one array of integers.

    Parameters
    ----------
    what : str
        ``input -> hidden weights``, ``hidden threshold``.
    bits, shown, hidden : int
        In all; whose flip some golden spike shows; whose flip no input can show, by proof.
    """

    what: str
    bits: int
    shown: int
    hidden: int

    @property
    def open(self) -> int:
        """Bits that no golden spike shows, though some input might."""
        return self.bits - self.shown - self.hidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What golden spikes show of a network's stored integers."""

    rows: tuple[Row, ...]

    @classmethod
    def of(cls, tally: Tally) -> Coverage:
        """What `tally` has noted, with the proof of what cannot be noted."""
        network, known = tally.network, reaches(tally.network)
        rows = []
        for key, left in tally.parts():
            if isinstance(key, int):
                what = f"{network.projections[key].label} weights"
                masks = hidden_weights(network, key, left, known)
            else:
                what = " ".join(key)
                masks = hidden_parameters(network, *key, left, known)
            hidden = sum(int(m).bit_count() for m in masks.ravel().tolist() if m)
            bits = left.values.size * left.bits
            rows.append(Row(what=what, bits=bits, shown=bits - left.count, hidden=hidden))
        return cls(rows=tuple(rows))

    @property
    def bits(self) -> int:
        """Stored bits in all."""
        return sum(row.bits for row in self.rows)

    @property
    def shown(self) -> int:
        """Bits whose flip a golden spike shows."""
        return sum(row.shown for row in self.rows)

    @property
    def hidden(self) -> int:
        """Bits whose flip no input can show."""
        return sum(row.hidden for row in self.rows)

    @property
    def open(self) -> int:
        """The others."""
        return sum(row.open for row in self.rows)

    def __str__(self) -> str:
        can = self.bits - self.hidden
        share = self.shown / can if can else 1.0
        proof = f"; of {self.hidden:,} more it is proved that no input can" if self.hidden else ""
        told = f"{self.shown:,} of {some(can, 'stored bit')} ({_percent(share)})"
        return f"the golden spikes show a flip of {told}{proof}"

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``report.json``."""
        return {
            "bits": self.bits,
            "shown": self.shown,
            "hidden": self.hidden,
            "open": self.open,
            "rows": [asdict(row) for row in self.rows],
        }


def _percent(share: float) -> str:
    """A share, never rounded up to all."""
    return f"{int(share * 10_000) / 100:.2f} %"
