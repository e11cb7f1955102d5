"""Runs a network on a board over a serial line. Needs NumPy only, and none of neurocuda_hw."""

from __future__ import annotations

import enum
from dataclasses import dataclass

MARK, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
MAGIC, VERSION = b"NCHW", 1  # of the protocol
IDENTITY_BYTES = 32  # MAGIC, VERSION, bytes of a word in and out, 1 if spikes come out, the hash


class Kind(enum.IntEnum):
    """What a request asks for. An answer has `ANSWER` added, a refusal is `REFUSED` + `Reason`."""

    HELLO = 1  # who are you
    RESET = 2  # begin anew: the network is reset, and takes words from here on
    INPUT = 3  # words of an input packet
    OUTPUT = 4  # words of an output packet, please
    STATUS = 5  # nothing but the status


ANSWER, REFUSED = 0x80, 0xE0
LAST = 0x80  # in the third byte of a frame: it ends its packet


class Reason(enum.IntEnum):
    """Why a request was refused; none that was has any effect."""

    CHECKSUM = 0
    HALF = 1  # no byte came for too long
    UNKNOWN = 2  # no such kind
    LENGTH = 3  # not a whole number of words, or no words where there must be some
    RESTARTED = 4  # no RESET since power came, or since the board's own reset
    SEQUENCE = 5  # neither the number of the request before nor the next one
    BUSY = 6  # words of the frame before are still to be taken by the network
    EMPTY = 7  # no answer yet


@dataclass(frozen=True)
class Facts:
    """What a host has to know of a network; ``nchw_host.json`` beside this file holds it.

    Parameters
    ----------
    name, hash : str
    steps : int
        T of an inference.
    start, frames : int
        The step of the first frame of an input, and its frames (1 for a held current).
    shape, bits : list of int
        (channels, height, width) of a frame, and the bits of c, y, x in a word.
    value_bits, lowest, highest : int
        Of an input value; no bits for spikes.
    scale : list of float
        What real inputs are divided by: nothing, one number, or one for each channel.
    raster : bool
        Whether the events of a step have to come by lines.
    spikes : bool
        Whether the output is counts of spikes, not values.
    out_shape, out_bits : list of int
    input_bytes, output_bytes : int
        Bytes of a word on the line.
    """

    name: str
    hash: str
    steps: int
    start: int
    frames: int
    shape: list[int]
    bits: list[int]
    value_bits: int
    lowest: int
    highest: int
    scale: list[float]
    raster: bool
    spikes: bool
    out_shape: list[int]
    out_bits: list[int]
    input_bytes: int
    output_bytes: int

    @property
    def identity(self) -> bytes:
        """What the device has to answer to HELLO."""
        head = MAGIC + bytes([VERSION, self.input_bytes, self.output_bytes, self.spikes])
        return head + bytes.fromhex(self.hash)[: IDENTITY_BYTES - len(head)]
