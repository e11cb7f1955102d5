"""Networks with all kinds of inputs and outputs, and a device that speaks for one of them."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Callable
from types import TracebackType

import numpy as np
from small import chain

from neurocuda_hw.data.stimulus import addresses
from neurocuda_hw.host.nchw_host import (
    ANSWER,
    LAST,
    MOST,
    REFUSED,
    Facts,
    Frames,
    Kind,
    Reason,
    stuffed,
)
from neurocuda_hw.network import IF, Input, Network, Readout, Window
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.network.trace import Trace


def network_of(kind: Input, shape: tuple[int, ...], *, spiking: bool = False) -> Network:
    """An input, neurons, and a readout or neurons as output."""
    rng = np.random.default_rng(2)
    size = int(np.prod(shape))
    last: IF | Readout = IF(threshold=9) if spiking else Readout()
    return chain(
        6,
        {"x": (shape, kind), "h": ((5,), IF(threshold=7)), "o": ((2, 3, 3), last)},
        Dense(weight=rng.integers(-4, 6, (5, size))),
        Dense(weight=rng.integers(-4, 9, (18, 5))),
    )


NETWORKS = {
    "spikes": network_of(Input(encoding=Encoding.SPIKES), (2, 3, 5), spiking=True),
    "late": network_of(
        Input(encoding=Encoding.SPIKES, window=Window(start=2, stop=5)), (9,), spiking=True
    ),
    "graded": network_of(Input(encoding=Encoding.GRADED, payload_bits=3), (1, 7, 3)),
    "signed": network_of(Input(encoding=Encoding.GRADED, payload_bits=16, signed=True), (2, 2, 2)),
    "current": network_of(Input(encoding=Encoding.CURRENT, payload_bits=8), (3, 4, 4)),
}


def spoken(facts: Facts, trace: Trace, sample: int) -> bytes:
    """The words of an answer, as they travel."""
    if not facts.spikes:
        words = [int(value) for value in trace.outputs[sample]]
    else:
        c, y, x = facts.out_shape
        place = addresses((c, y, x), tuple(facts.out_bits))  # type: ignore[arg-type]
        words = []
        for step in trace.bits(list(trace.sizes)[-1], sample):
            words += [int(place[neuron]) for neuron in np.flatnonzero(step)]
            words.append(1 << (8 * facts.output_bytes - 1))
    mask = (1 << 8 * facts.output_bytes) - 1
    return b"".join((word & mask).to_bytes(facts.output_bytes, "little") for word in words)


class FakeDevice:
    """A pseudo-terminal behind which each golden input is answered as in the golden trace.

    Parameters
    ----------
    harm : callable, optional
        Of a request: what to answer instead, or None.
    """

    def __init__(
        self,
        facts: Facts,
        trace: Trace,
        harm: Callable[[bytes], bytes | None] = lambda request: None,
    ) -> None:
        self.facts, self.harm = facts, harm
        self.answers = {
            facts.encode(given): spoken(facts, trace, i) for i, given in enumerate(trace.inputs)
        }
        self.requests: list[bytes] = []
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.where = os.ttyname(self._slave)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._work)
        self._packet, self._answer = b"", b""

    def __enter__(self) -> FakeDevice:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        os.close(self._stopped)
        self._thread.join(10)
        for number in (self._stop, self._master, self._slave):
            os.close(number)

    def _work(self) -> None:
        frames = Frames()
        while self._stop not in select.select([self._stop, self._master], [], [])[0]:
            for byte in os.read(self._master, 4096):
                request = frames.take(byte)
                if request is not None:
                    self.requests.append(request)
                    answer = self.harm(request)
                    if answer is None:
                        answer = stuffed(self._answered(request))
                    os.write(self._master, answer)

    def _answered(self, request: bytes) -> bytes:
        kind, number, info, _ = request[:4]
        content, told = b"", 0
        if kind == Kind.HELLO:
            content = self.facts.identity
        elif kind == Kind.RESET:
            self._packet = self._answer = b""
        elif kind == Kind.INPUT:
            self._packet += request[4:]
            if info & LAST:
                self._answer = self.answers[self._packet]
                self._packet = b""
        elif kind == Kind.OUTPUT:
            size = self.facts.output_bytes
            most = MOST // size * size
            content, self._answer = self._answer[:most], self._answer[most:]
            told = 0 if self._answer else LAST
        return bytes([ANSWER | kind, number, told, len(content)]) + content


def refusal(reason: Reason, number: int = 0, info: int = 0) -> bytes:
    """A refusal as it travels."""
    return stuffed(bytes([REFUSED | reason, number, info, 0]))
