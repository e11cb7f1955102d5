"""The table of boards: add a row, and ``nchw build --board`` knows it.

Pins and the clock are read from `amaranth-boards` where it has the board; else they stand here,
with their source.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass, replace

from neurocuda_hw.ground.errors import missing_package
from neurocuda_hw.passes.devices import Device, Family, find_device


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """Where a board's clock and serial line are; `rx` is what the FPGA hears, `mhz` the clock."""

    clk: str
    mhz: float
    rx: str
    tx: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board.

    Parameters
    ----------
    device : str
        Name in `passes.devices`; its package is that of `synth.route`.
    platform : str
        ``module:class`` in `amaranth_boards`, if that has it.
    own : Pins, optional
        Else its pins.
    source : str
        Where they are written.
    loader : str
        What openFPGALoader calls it.
    pad : bool
        Whether the clock's pin is the PLL's own (iCE40).
    high : tuple of str
        Pins that must be held high: those that keep other chips off the serial line.
    """

    name: str
    device: str
    platform: str = ""
    own: Pins | None = None
    source: str
    loader: str
    pad: bool = False
    high: tuple[str, ...] = ()

    @property
    def part(self) -> Device:
        """Its FPGA."""
        return find_device(self.device)

    @property
    def family(self) -> Family:
        """That of its FPGA."""
        return self.part.family

    @property
    def room(self) -> Device:
        """What of its FPGA is left to a network beside the bridge."""
        luts, part = _BRIDGE[self.family], self.part
        return replace(part, luts=part.luts - luts, blocks=part.blocks - _BRIDGE_BLOCKS)

    @property
    def pins(self) -> Pins:
        """Pins and clock.

        Raises
        ------
        ToolError
            If amaranth-boards is not installed.
        """
        if self.own is not None:
            return self.own
        module, _, name = self.platform.partition(":")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it is written for several Amaranths
                platform = getattr(importlib.import_module(f"amaranth_boards.{module}"), name)()
        except ModuleNotFoundError as error:
            raise missing_package(error) from error
        clock = platform.lookup(platform.default_clk)
        line = {part.name: part.ios[0].names[0] for part in platform.lookup("uart", 0).ios}
        return Pins(
            clk=clock.ios[0].names[0],
            mhz=clock.clock.frequency / 1e6,
            rx=line["rx"],
            tx=line["tx"],
        )


# the bridge as yosys maps it, for words of 32 bits; a fifth more for longer words on the line
_BRIDGE = {Family.ECP5: 1_050, Family.ICE40: 900, Family.GOWIN: 1_650}
_BRIDGE_BLOCKS = 2


def _ulx3s(size: str) -> Board:
    return Board(
        name=f"ulx3s-{size}",
        device=f"lfe5u-{size}",
        platform=f"ulx3s:ULX3S_{size.upper()}_Platform",
        source="amaranth-boards",
        loader="ulx3s",
    )


BOARDS: tuple[Board, ...] = (
    *(_ulx3s(size) for size in ("12f", "25f", "45f", "85f")),
    Board(
        name="colorlight-i5",
        device="lfe5u-25f",
        own=Pins(clk="P3", mhz=25, rx="H18", tx="J17"),
        source="github.com/wuxx/Colorlight-FPGA-Projects, on its extension board",
        loader="colorlight-i5",
    ),
    Board(
        name="icebreaker",
        device="ice40up5k",
        platform="icebreaker:ICEBreakerPlatform",
        source="amaranth-boards",
        loader="ice40_generic",
        pad=True,
    ),
    Board(
        name="upduino",
        device="ice40up5k",
        own=Pins(clk="20", mhz=12, rx="15", tx="14"),
        source="github.com/tinyvision-ai-inc/UPduino-v3.0, with the OSC jumper closed",
        loader="ice40_generic",
        high=("16",),  # the flash, which shares the line's pins
    ),
    Board(
        name="hx8k-breakout",
        device="ice40hx8k",
        platform="ice40_hx8k_b_evn:ICE40HX8KBEVNPlatform",
        source="amaranth-boards",
        loader="ice40_generic",
    ),
    Board(
        name="tangnano9k",
        device="gw1nr-9",
        platform="tang_nano_9k:TangNano9kPlatform",
        source="amaranth-boards",
        loader="tangnano9k",
    ),
)
_BY_NAME = {"ulx3s": BOARDS[1]} | {board.name: board for board in BOARDS}


def boards_of(family: Family) -> dict[str, Board]:
    """The boards with a part of a family, by name; ``ulx3s`` is the one with the 25F."""
    return {name: board for name, board in _BY_NAME.items() if board.family is family}
