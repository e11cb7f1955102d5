"""The clock that a design may take, before any tool runs: fitted to designs that nextpnr routed.

    period = base + rise * log2(LUTs)

Larger designs have longer wires and wider choices. A fit is of one family, and says how far off it
was at worst; ``python -m benchmarks clock --only fit`` makes it again. Of 7 series and UltraScale+
parts nothing is known: no tool here times them; nor of parts in which no design was routed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.passes.devices import Device, Family

SMALLEST = 200  # LUTs; smaller designs are not told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Parameters of a family.

    Parameters
    ----------
    base, rise : float
        ns, and ns per doubling of the LUTs.
    error : float
        Largest relative error of the clock among the designs.
    designs : int
        How many it was fitted to.
    """

    base: float
    rise: float
    error: float
    designs: int

    def mhz(self, luts: float) -> float:
        """The clock of a design of so many LUTs."""
        return 1e3 / (self.base + self.rise * math.log2(max(luts, SMALLEST)))


def fitted(luts: Sequence[float], mhz: Sequence[float]) -> Fit:
    """The fit with the least relative errors to designs' LUTs and clocks; it never falls."""
    sizes, periods = np.log2(np.array(luts)), 1e3 / np.array(mhz)
    matrix = np.stack([np.ones(len(sizes)), sizes], axis=1) / periods[:, None]
    base, rise = np.linalg.lstsq(matrix, np.ones(len(sizes)), rcond=None)[0]
    if rise < 0:
        base, rise = 1 / np.mean(1 / periods), 0.0
    found = Fit(base=float(base), rise=float(rise), error=0.0, designs=len(sizes))
    errors = [abs(found.mhz(n) / f - 1) for n, f in zip(luts, mhz, strict=True)]
    return Fit(base=found.base, rise=found.rise, error=max(errors), designs=found.designs)


# of 283 to 2,337 LUTs, ECP5 in speed grade 6 and iCE40 HX, one placement each
FITS: Mapping[Family, Fit] = {
    Family.ECP5: Fit(base=-2.614, rise=1.048, error=0.104, designs=3),
    Family.ICE40: Fit(base=-8.539, rise=1.830, error=0.128, designs=3),
}
_SLOWER = {"ice40up": 2.7}  # than iCE40 HX: one design, routed in both
_UNKNOWN = ("ice40lp",)


def estimate(device: Device, luts: float) -> tuple[float, Fit] | None:
    """MHz of a design in a device, and the fit behind it; None where nothing is known."""
    fit = FITS.get(device.family)
    if fit is None or device.name.startswith(_UNKNOWN):
        return None
    slower = next((by for name, by in _SLOWER.items() if device.name.startswith(name)), 1.0)
    return fit.mhz(luts) / slower, fit


def told(device: Device, luts: float, wanted: float) -> str:
    """What to say of a clock of `wanted` MHz for a design of so many LUTs."""
    found = estimate(device, luts)
    if found is None:
        return f"Nothing is known of the clock in {device.name} ({device.family.value})."
    mhz, fit = found
    basis = f"fitted to {fit.designs} routed designs, at worst {fit.error:.0%} off"
    said = f"In {device.name} about {mhz:.0f} MHz can be expected ({basis})"
    if wanted > mhz * (1 + fit.error):
        return f"{said}: {wanted:g} MHz is too much."
    if wanted > mhz * (1 - fit.error):
        return f"{said}: {wanted:g} MHz may be too much."
    return f"{said}: {wanted:g} MHz is less."
