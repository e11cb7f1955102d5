"""Clocks: the divisors of a PLL, and the Verilog that instantiates it.

Lattice ECP5 (FPGA-DS-02012, EHXPLLL with its feedback from CLKOP)::

    f_vco = f_in / CLKI_DIV * CLKFB_DIV * CLKOP_DIV,   f = f_vco / CLKOS_DIV

Lattice iCE40 (FPGA-TN-02052, SIMPLE feedback)::

    f_vco = f_in / (DIVR + 1) * (DIVF + 1),   f = f_vco / 2**DIVQ

Gowin rPLL (UG286)::

    f = f_in / (IDIV_SEL + 1) * (FBDIV_SEL + 1),   f_vco = f * ODIV_SEL
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from neurocuda_hw.passes.devices import Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Pll:
    """A clock made from another.

    Parameters
    ----------
    mhz : float
        What it gives.
    settings : mapping of str to int
        The parameters above; empty where the clock is taken as it is.
    phase_mhz : float
        At which it compares.
    """

    mhz: float
    settings: Mapping[str, int]
    phase_mhz: float = 0.0


def _ecp5(mhz: float, limit: float) -> Iterator[Pll]:
    for into in range(1, 129):
        phase = mhz / into
        if not 10 <= phase <= 400:
            continue
        for times in range(1, int(800 / phase) + 1):
            vco = phase * times
            divide = max(1, -int(-vco // limit))
            if vco >= 400 and divide <= 128 and 3.125 <= vco / divide <= 400 and times <= 128:
                settings = {"CLKI_DIV": into, "CLKFB_DIV": 1, "CLKOP_DIV": times}
                settings["CLKOS_DIV"] = divide
                yield Pll(mhz=vco / divide, settings=settings, phase_mhz=phase)


def _ice40(mhz: float, limit: float) -> Iterator[Pll]:
    for divr in range(16):
        phase = mhz / (divr + 1)
        if not (10 <= phase <= 133 and 10 <= mhz <= 133):
            continue
        for divf in range(128):
            for divq in range(1, 7):
                vco, out = phase * (divf + 1), phase * (divf + 1) / 2**divq
                if 533 <= vco <= 1066 and 16 <= out <= min(275, limit):
                    settings = {"DIVR": divr, "DIVF": divf, "DIVQ": divq}
                    yield Pll(mhz=out, settings=settings, phase_mhz=phase)


def _gowin(mhz: float, limit: float) -> Iterator[Pll]:
    for into in range(1, 65):
        phase = mhz / into
        if not 3 <= phase <= 400:
            continue
        for back in range(1, min(64, int(limit / phase)) + 1):
            out = phase * back
            for divide in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
                if 400 <= out * divide <= 1200 and 3.125 <= out <= 600:
                    settings = {"IDIV_SEL": into - 1, "FBDIV_SEL": back - 1, "ODIV_SEL": divide}
                    yield Pll(mhz=out, settings=settings, phase_mhz=phase)
                    break


_ALL: Mapping[Family, Callable[[float, float], Iterator[Pll]]] = {
    Family.ECP5: _ecp5,
    Family.ICE40: _ice40,
    Family.GOWIN: _gowin,
}


def choose_pll(family: Family, mhz: float, limit: float) -> Pll | None:
    """The fastest clock of at most `limit` MHz that can be made of one of `mhz`; None if none.

    Of those that are as fast the one that compares at the highest rate, which jitters least; the
    clock as it is where that is as fast.
    """
    found = list(_ALL[family](mhz, limit * (1 + 1e-9)))
    if mhz <= limit:
        found.append(Pll(mhz=mhz, settings={}, phase_mhz=1e6))
    return max(found, key=lambda pll: (round(pll.mhz, 6), pll.phase_mhz), default=None)


def verilog(
    family: Family, pll: Pll, mhz: float, *, pad: bool = False, device: str = "GW1NR-9C"
) -> str:
    """What drives ``core_clk`` and ``locked`` from ``clk``, a pin of `mhz`.

    `pad` says that the pin is the PLL's own, which iCE40 wants to know; `device` is Gowin's.
    """
    if not pll.settings:
        return "  assign core_clk = clk;\n  assign locked = 1'b1;\n"
    given = pll.settings
    names = ", ".join(f".{name}({value})" for name, value in given.items())
    if family is Family.ECP5:
        return (
            "  wire back;\n"
            f'  (* FREQUENCY_PIN_CLKI="{mhz:g}", FREQUENCY_PIN_CLKOS="{pll.mhz:g}",\n'
            '     ICP_CURRENT="12", LPF_RESISTOR="8" *)\n'
            f"  EHXPLLL #({names},\n"
            '    .CLKOP_ENABLE("ENABLED"), .CLKOS_ENABLE("ENABLED"), .FEEDBK_PATH("CLKOP"),\n'
            f"    .CLKOP_CPHASE({given['CLKOP_DIV'] - 1}),\n"
            f"    .CLKOS_CPHASE({given['CLKOS_DIV'] - 1})) pll(\n"
            "    .RST(1'b0), .STDBY(1'b0), .CLKI(clk), .CLKFB(back), .CLKOP(back),\n"
            "    .CLKOS(core_clk),\n"
            "    .PHASESEL0(1'b0), .PHASESEL1(1'b0), .PHASEDIR(1'b1), .PHASESTEP(1'b1),\n"
            "    .PHASELOADREG(1'b1), .PLLWAKESYNC(1'b0), .ENCLKOP(1'b0), .ENCLKOS(1'b0),\n"
            "    .LOCK(locked));\n"
        )
    if family is Family.ICE40:
        kind, pin = ("PAD", "PACKAGEPIN") if pad else ("CORE", "REFERENCECLK")
        filtered = 1 + sum(pll.phase_mhz >= top for top in (17, 26, 44, 66, 101))
        return (
            f'  SB_PLL40_{kind} #(.FEEDBACK_PATH("SIMPLE"), .DIVR({given["DIVR"]}),\n'
            f"    .DIVF({given['DIVF']}), .DIVQ({given['DIVQ']}), .FILTER_RANGE({filtered})) pll(\n"
            f"    .RESETB(1'b1), .BYPASS(1'b0), .{pin}(clk), .PLLOUTGLOBAL(core_clk),\n"
            "    .LOCK(locked));\n"
        )
    return (
        f'  rPLL #(.FCLKIN("{mhz:g}"), {names}, .DEVICE("{device}")) pll(\n'
        "    .CLKIN(clk), .CLKOUT(core_clk), .LOCK(locked), .CLKOUTP(), .CLKOUTD(), .CLKOUTD3(),\n"
        "    .RESET(1'b0), .RESET_P(1'b0), .CLKFB(1'b0), .FBDSEL(6'b0), .IDSEL(6'b0),\n"
        "    .ODSEL(6'b0), .PSDA(4'b0), .DUTYDA(4'b0), .FDLY(4'b0));\n"
    )
