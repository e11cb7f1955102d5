#!/usr/bin/env python3
"""Runs a network on a board over a serial line. Needs NumPy only, and none of neurocuda_hw.

    python3 nchw_host.py --serial /dev/ttyUSB0 --golden       every golden sample, on the device
    python3 nchw_host.py --serial /dev/ttyUSB0 --inputs x.npy prints outputs, a line for each input
    python3 nchw_host.py --tcp 127.0.0.1:5000 --golden        the same through a socket

``nchw_host.json`` beside this file says what network it is. Exit codes: 0 equal, or ran; 1 an
output differs; 2 bad input, or another network; 3 the device does not answer.

A frame is ``mark kind number info length bytes checksum``. The host asks, the device answers. What
is lost or damaged on the way is asked for again; see docs/host.md.
"""

from __future__ import annotations

import argparse
import enum
import json
import os
import select
import socket
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MARK, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
MAGIC, VERSION = b"NCHW", 1  # of the protocol
IDENTITY_BYTES = 32  # MAGIC, VERSION, bytes of a word in and out, 1 if spikes come out, the hash
MOST = 255  # bytes in a frame
PATIENCE_BITS = 14  # the device waits 2 ** 14 bit times for the rest of a frame, and for an answer


class Kind(enum.IntEnum):
    """What a request asks for. An answer has `ANSWER` added, a refusal is `REFUSED` + `Reason`."""

    HELLO = 1  # who are you
    RESET = 2  # begin anew: the network is reset, and takes words from here on
    INPUT = 3  # words of an input packet
    OUTPUT = 4  # words of an output packet, please
    STATUS = 5  # nothing but the info


ANSWER, REFUSED = 0x80, 0xE0


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


# the info of an answer; of a request, only LAST
FAULTS = ("KEEP", "ADDRESS", "OVERLONG", "WINDOW", "CROWDED")  # dropped since RESET; lowest first
WAITING, LAST = 0x20, 0x80  # words of an answer are here; this frame ends its packet


class HostError(Exception):
    """What went wrong, in one sentence."""

    exit_code = 2


class NoAnswer(HostError):
    """The device does not answer, or what comes is damaged for too long."""

    exit_code = 3


class _Restarted(Exception):
    """The device forgot what it was told."""


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

    @property
    def outputs(self) -> int:
        """Neurons of the output."""
        channels, height, width = self.out_shape
        return channels * height * width

    def quantise(self, real: Any) -> np.ndarray:
        """Real inputs ``(..., channels, height, width)`` as the integers that the network takes."""
        if not self.scale:
            raise HostError("the network has no input scale: give integers")
        real = np.asarray(real, dtype=np.float64).reshape(-1, *self.shape)
        if not np.isfinite(real).all():
            raise HostError("inputs must be finite, not NaN or infinite")
        scale = np.array(self.scale).reshape(-1, 1, 1)
        codes: np.ndarray = np.clip(np.rint(real / scale), self.lowest, self.highest)
        return codes.astype(np.int64)

    def encode(self, inputs: Any) -> bytes:
        """The words of one input packet, as they travel.

        Parameters
        ----------
        inputs : array of int, (frames, channels, height, width), or any shape of as many values
            0 is no event.
        """
        frames = np.asarray(inputs)
        if frames.dtype.kind not in "iub" or frames.size != self.frames * int(np.prod(self.shape)):
            raise HostError(
                f"an input must be integers {(self.frames, *self.shape)}, not {frames.dtype} "
                f"{frames.shape}"
            )
        if not self.lowest <= frames.min() <= frames.max() <= self.highest:
            raise HostError(
                f"inputs must be {self.lowest} to {self.highest}, not {frames.min()} to "
                f"{frames.max()}"
            )
        frames = frames.reshape(self.frames, *self.shape).astype(np.int64)
        _, y_bits, x_bits = self.bits
        mark = np.uint64(1) << np.uint64(8 * self.input_bytes - 1)
        words: list[np.ndarray] = []
        steps = 0  # marks that have been sent
        for step, frame in enumerate(frames, self.start):
            c, y, x = np.nonzero(frame)
            if not len(c):
                continue
            if self.raster:
                order = np.argsort(y, kind="stable")
                c, y, x = c[order], y[order], x[order]
            word = c << (y_bits + x_bits) | y << x_bits | x
            if self.value_bits:
                value = frame[c, y, x] & ((1 << self.value_bits) - 1)
                word |= value << sum(self.bits)
            words += [np.full(step - steps, mark), word.astype(np.uint64)]
            steps = step
        packet = np.concatenate(words) if words else np.array([mark])
        octets = packet.astype("<u8").view(np.uint8).reshape(-1, 8)
        return octets[:, : self.input_bytes].tobytes()

    def decode(self, answer: bytes) -> np.ndarray:
        """The outputs of one packet, int64 by neuron: a readout's values, or counts of spikes."""
        octets = np.frombuffer(answer, np.uint8).reshape(-1, self.output_bytes)
        words = np.zeros((len(octets), 8), np.uint8)
        words[:, : self.output_bytes] = octets
        found = words.view("<i8").reshape(-1).astype(np.int64)
        high = np.int64(1) << np.int64(8 * self.output_bytes - 1)
        if not self.spikes:
            if len(found) != self.outputs:
                raise HostError(f"the answer must have {self.outputs} values, not {len(found)}")
            return (found ^ high) - high if self.output_bytes < 8 else found
        ends = (found & high) != 0
        if ends.sum() != self.steps or not ends[-1]:
            raise HostError(f"the answer must end {self.steps} steps, not {ends.sum()}")
        _, height, width = self.out_shape
        _, y_bits, x_bits = self.out_bits
        spikes = found[~ends]
        x, y = spikes & ((1 << x_bits) - 1), spikes >> x_bits & ((1 << y_bits) - 1)
        neuron = (spikes >> (y_bits + x_bits)) * height * width + y * width + x
        return np.bincount(neuron, minlength=self.outputs)


def read_facts(path: Path) -> Facts:
    """The facts in a JSON file."""
    try:
        return Facts(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise HostError(f"{str(path)!r} must be what 'nchw build' wrote: {error}") from error


def stuffed(head: bytes) -> bytes:
    """A frame as it travels: a mark, then all bytes and their checksum, escaped."""
    out = bytearray([MARK])
    for byte in head + zlib.crc32(head).to_bytes(4, "little"):
        out += bytes([ESCAPE, byte ^ FLIP]) if byte in (MARK, ESCAPE) else bytes([byte])
    return bytes(out)


class Frames:
    """Bytes of the line to frames; what is damaged is left out."""

    def __init__(self) -> None:
        self._frame: bytearray | None = None
        self._escaped = False

    def take(self, byte: int) -> bytes | None:
        """``kind number info length bytes`` of the frame that this byte ends, if it ends one."""
        if byte == MARK:
            self._frame, self._escaped = bytearray(), False
            return None
        if self._frame is None:
            return None
        if byte == ESCAPE and not self._escaped:
            self._escaped = True
            return None
        frame = self._frame
        frame.append(byte ^ FLIP if self._escaped else byte)
        self._escaped = False
        if len(frame) < 8 or len(frame) < 8 + frame[3]:
            return None
        self._frame = None
        head, check = bytes(frame[:-4]), bytes(frame[-4:])
        return head if zlib.crc32(head).to_bytes(4, "little") == check else None


class Line:
    """A way to the device: a file that can be waited for."""

    def __init__(self, number: int, close: Any) -> None:
        self._number, self.close = number, close
        os.set_blocking(number, False)

    def write(self, content: bytes, timeout: float) -> None:
        """Sends all of it."""
        until = time.monotonic() + timeout
        while content:
            left = until - time.monotonic()
            if left <= 0 or not select.select([], [self._number], [], left)[1]:
                raise NoAnswer("the line takes no bytes; is the device still there?")
            try:
                content = content[os.write(self._number, content) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise NoAnswer(f"the line is broken: {error.strerror}") from error

    def read(self, timeout: float) -> bytes:
        """What has come, at least one byte; nothing if none comes in time."""
        if not select.select([self._number], [], [], max(0.0, timeout))[0]:
            return b""
        try:
            found = os.read(self._number, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise NoAnswer(f"the line is broken: {error.strerror}") from error
        if not found:
            raise NoAnswer("the other end closed the line")
        return found


def open_tcp(where: str) -> Line:
    """A socket, ``HOST:PORT``."""
    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal():
        raise HostError(f"--tcp must be HOST:PORT, not {where!r}")
    try:
        link = socket.create_connection((host, int(port)), timeout=5)
    except (OSError, OverflowError) as error:
        raise NoAnswer(f"nothing listens at {where}: {error}") from error
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Line(link.fileno(), link.close)


def open_serial(port: str, baud: int) -> Line:
    """A serial port, 8N1, by pyserial where it is installed, which knows any rate, else termios."""
    try:
        import serial  # type: ignore[import-untyped]

        found = serial.Serial(port, baud, timeout=0)
        return Line(found.fileno(), found.close)
    except ImportError:
        pass
    except (OSError, ValueError) as error:
        raise NoAnswer(f"cannot open {port!r}: {error}") from error
    import termios

    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise HostError(f"this system names no rate of {baud} baud; pip install pyserial")
    try:
        number = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        how = termios.tcgetattr(number)
        how[0] = how[1] = how[3] = 0
        how[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        how[4] = how[5] = speed
        termios.tcsetattr(number, termios.TCSANOW, how)
    except (OSError, termios.error) as error:
        raise NoAnswer(f"cannot open {port!r}: {error.args[-1]}") from error
    return Line(number, lambda: os.close(number))


class Device:
    """A network on a device.

    Parameters
    ----------
    line : Line
    facts : Facts
        What the device has to be; it is asked first, and again whenever it was reset.
    baud : int
        Of the line, for how long an answer takes.
    patience : float
        Seconds without an answer after which it is given up.
    """

    def __init__(
        self, line: Line, facts: Facts, *, baud: int = 115_200, patience: float = 10.0
    ) -> None:
        self.line, self.facts, self.patience = line, facts, patience
        self.wait = 0.25 + (2**PATIENCE_BITS + 20 * 2 * (MOST + 8)) / baud  # for one answer
        self.retries = self.restarts = 0
        self._number = int.from_bytes(os.urandom(1), "little")  # not that of a host before
        self._frames = Frames()
        self._begun = False

    def run(self, inputs: Any) -> np.ndarray:
        """The outputs for one input, as `Facts.decode` gives them.

        Raises
        ------
        HostError
            If the inputs do not fit the network, or the device holds another one.
        NoAnswer
            If it does not answer.
        """
        words = self.facts.encode(inputs)
        until = time.monotonic() + self.patience
        while True:
            try:
                if not self._begun:
                    self.begin()
                return self.facts.decode(self._inference(words))
            except _Restarted:
                self._begun = False
                self.restarts += 1
                if time.monotonic() > until:
                    raise NoAnswer("the device resets again and again") from None

    def begin(self) -> None:
        """Asks the device what it is, and resets its network."""
        found = self._ask(Kind.HELLO)[4:]
        if found != self.facts.identity:
            raise HostError(
                f"the device must hold network {self.facts.hash[:12]}, not {_told(found)}; write "
                "the bitstream of this build to it"
            )
        self._ask(Kind.RESET)
        self._begun = True

    def status(self) -> int:
        """The info byte: what was dropped since the reset, and what waits."""
        return self._ask(Kind.STATUS)[2]

    def _inference(self, words: bytes) -> bytes:
        most = MOST // self.facts.input_bytes * self.facts.input_bytes
        answer, info = b"", 0
        for start in range(0, len(words), most):
            part = words[start : start + most]
            while True:
                frame = self._ask(Kind.INPUT, part, last=start + most >= len(words))
                if frame[0] < REFUSED:
                    break
                answer += self._ask(Kind.OUTPUT)[4:]  # no room for inputs before that is taken
        while not info & LAST:
            frame = self._ask(Kind.OUTPUT)
            answer, info = answer + frame[4:], frame[2]
        dropped = [name for bit, name in enumerate(FAULTS) if info >> bit & 1]
        if dropped:
            raise HostError(f"the network dropped words of the input: {', '.join(dropped)}")
        return answer

    def _ask(self, kind: Kind, content: bytes = b"", *, last: bool = False) -> bytes:
        """The answer to a request; or the refusal, where the network first has to be read."""
        number = (self._number + 1) % 256
        head = bytes([kind, number, LAST * last, len(content)]) + content
        until, why = time.monotonic() + self.patience, "nothing came"
        for again in range(1_000_000):
            if again:
                self.retries += 1
            self.line.write(stuffed(head), self.patience)
            frame = self._answer(kind, number)
            if frame is not None and frame[0] < REFUSED:
                self._number = number
                return frame
            if frame is not None:
                reason = Reason(frame[0] - REFUSED)
                why = f"the last answer was {reason.name}"
                if reason in (Reason.RESTARTED, Reason.SEQUENCE):
                    raise _Restarted
                if reason is Reason.BUSY and frame[2] & WAITING:
                    return frame
            if time.monotonic() > until:
                break
        raise NoAnswer(f"the device does not answer {kind.name}: {why}")

    def _answer(self, kind: Kind, number: int) -> bytes | None:
        """The next frame that is an answer to this request, or a refusal; None if none comes."""
        until = time.monotonic() + self.wait
        while (left := until - time.monotonic()) > 0:
            for byte in self.line.read(left):
                frame = self._frames.take(byte)
                if frame is None:
                    continue
                if (frame[0], frame[1]) == (ANSWER | kind, number):
                    return frame
                if REFUSED <= frame[0] < REFUSED + len(Reason):
                    return frame
        return None


def _told(identity: bytes) -> str:
    """What a device says that it is."""
    if len(identity) < IDENTITY_BYTES or not identity.startswith(MAGIC):
        return "something else"
    if identity[4] != VERSION:
        return f"one that speaks version {identity[4]} of the protocol"
    return identity[8:14].hex()


def replay(device: Device, inputs: np.ndarray, outputs: np.ndarray) -> tuple[int, str]:
    """How many golden samples the device gave the outputs of, and the first one that differs."""
    for sample, (given, want) in enumerate(zip(inputs, outputs)):  # noqa: B905 (Python 3.9)
        found = device.run(given)
        wrong = np.flatnonzero(found != want)
        if len(wrong):
            neuron = int(wrong[0])
            return sample, (
                f"first divergence: sample {sample}, output {neuron}: expected "
                f"{int(want[neuron])}, got {int(found[neuron])}"
            )
    return len(inputs), ""


def read_golden(path: Path, facts: Facts) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and outputs of a golden trace, which must be of this network."""
    try:
        with np.load(path, allow_pickle=False) as found:
            meta = json.loads(found["meta"].tobytes())
            inputs, outputs = found["inputs"], found["outputs"]
    except (OSError, ValueError, KeyError) as error:
        raise HostError(f"{str(path)!r} must be a golden trace: {error}") from error
    if meta.get("network") != facts.hash:
        raise HostError(f"{str(path)!r} must be of network {facts.hash[:12]}")
    return inputs, outputs


def read_inputs(path: Path, facts: Facts) -> np.ndarray:
    """Integer inputs of a .npy, samples first; real ones by the input scale."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise HostError(f"{str(path)!r} must be a .npy of inputs: {error}") from error
    if found.dtype.kind == "f":
        return facts.quantise(found).reshape(-1, facts.frames, *facts.shape)
    return np.asarray(found)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--serial", metavar="PORT")
    way.add_argument("--tcp", metavar="HOST:PORT")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--golden", action="store_true", help="replay ../golden/trace.npz")
    what.add_argument("--inputs", metavar="FILE.npy", type=Path)
    parser.add_argument("--baud", type=int, default=115_200, help="default: 115200")
    parser.add_argument("--samples", type=int, help="the first N only")
    parser.add_argument("--patience", type=float, default=10.0, help="seconds; default: 10")
    given = parser.parse_args(arguments)
    try:
        facts = read_facts(here / "nchw_host.json")
        inputs, outputs = (
            read_golden(here.parent / "golden" / "trace.npz", facts)
            if given.golden
            else (read_inputs(given.inputs, facts), None)
        )
        inputs = inputs[: given.samples]
        line = open_serial(given.serial, given.baud) if given.serial else open_tcp(given.tcp)
        device = Device(line, facts, baud=given.baud, patience=given.patience)
        if outputs is None:
            for sample in inputs:
                print(*device.run(sample), flush=True)
            return 0
        equal, wrong = replay(device, inputs, outputs)
    except HostError as error:
        print(f"nchw_host: {error}", file=sys.stderr)
        return error.exit_code
    print(wrong or f"{equal} samples equal; asked again {device.retries} times")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
