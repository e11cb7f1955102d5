"""The PLLs: what is chosen is within the data sheets, and nothing faster is."""

from __future__ import annotations

import itertools
import re

import pytest

from neurocuda_hw.boards.pll import choose_pll, verilog
from neurocuda_hw.passes.devices import Family


def made(family: Family, mhz: float, given: dict[str, int]) -> tuple[float, float, float]:
    """MHz of the phase detector, of the VCO and of the output, by the data sheets' equations."""
    if family is Family.ECP5:
        phase = mhz / given["CLKI_DIV"]
        vco = phase * given["CLKFB_DIV"] * given["CLKOP_DIV"]
        return phase, vco, vco / given["CLKOS_DIV"]
    if family is Family.ICE40:
        phase = mhz / (given["DIVR"] + 1)
        vco = phase * (given["DIVF"] + 1)
        return phase, vco, vco / 2 ** given["DIVQ"]
    phase = mhz / (given["IDIV_SEL"] + 1)
    out = phase * (given["FBDIV_SEL"] + 1)
    return phase, out * given["ODIV_SEL"], out


# least and most of the phase detector, the VCO and the output
LIMITS = {
    Family.ECP5: ((10, 400), (400, 800), (3.125, 400)),
    Family.ICE40: ((10, 133), (533, 1066), (16, 275)),
    Family.GOWIN: ((3, 400), (400, 1200), (3.125, 600)),
}


@pytest.mark.parametrize("family", LIMITS)
@pytest.mark.parametrize("mhz", [12, 25, 27])
@pytest.mark.parametrize("limit", [17.3, 30.0, 58.4, 100.0, 151.7])
def test_every_clock_is_within_the_data_sheet(family: Family, mhz: float, limit: float) -> None:
    pll = choose_pll(family, mhz, limit)
    assert pll is not None
    if not pll.settings:
        assert pll.mhz == mhz <= limit
        return
    found = made(family, mhz, dict(pll.settings))
    assert found[2] == pytest.approx(pll.mhz)
    assert found[2] <= limit * (1 + 1e-6)
    for value, (least, most) in zip(found, LIMITS[family], strict=True):
        assert least <= value <= most
    assert pll.mhz > 0.9 * limit  # the steps are fine


@pytest.mark.parametrize("limit", [16.5, 29.0, 47.7])
def test_nothing_faster_can_be_made(limit: float) -> None:
    every = [
        out
        for divr, divf, divq in itertools.product(range(16), range(128), range(1, 7))
        for phase, vco, out in [made(Family.ICE40, 12, {"DIVR": divr, "DIVF": divf, "DIVQ": divq})]
        if phase >= 10 and 533 <= vco <= 1066 and 16 <= out <= limit
    ]
    pll = choose_pll(Family.ICE40, 12, limit)
    assert pll is not None
    assert pll.mhz == pytest.approx(max(every))


def test_a_clock_that_is_as_it_is_needs_no_pll() -> None:
    pll = choose_pll(Family.ICE40, 12, 13.0)  # below 16 MHz the PLL gives none
    assert pll is not None
    assert (pll.mhz, dict(pll.settings)) == (12, {})
    assert "assign core_clk = clk;" in verilog(Family.ICE40, pll, 12)
    assert choose_pll(Family.ICE40, 12, 11.0) is None


@pytest.mark.parametrize("family", LIMITS)
def test_the_verilog_has_these_settings(family: Family) -> None:
    pll = choose_pll(family, 25, 60.0)
    assert pll is not None
    text = verilog(family, pll, 25, pad=True)
    for name, value in pll.settings.items():
        assert re.search(rf"\.{name}\({value}\)", text)
    assert ("SB_PLL40_PAD" in text) == (family is Family.ICE40)
    assert "core_clk" in text
    assert ".LOCK(locked)" in text
