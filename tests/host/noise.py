"""A bad line between a host and a device: bytes are flipped, dropped and inserted."""

from __future__ import annotations

import os
import random
import select
import socket
import threading
import tty
from collections import Counter
from types import TracebackType


class BadLine:
    """Leads a socket, or a pseudo-terminal, to a device, and does harm on the way.

    Parameters
    ----------
    device : str
        HOST:PORT of the device.
    seed : int
        Of what is harmed.
    every : int
        Bytes between two faults, in the mean.
    limit : int
        Faults in all; then the line is good.
    terminal : bool
        Whether the host opens a pseudo-terminal.
    """

    def __init__(
        self, device: str, *, seed: int, every: int, limit: int, terminal: bool = False
    ) -> None:
        self.chance, self.every, self.limit = random.Random(seed), every, limit
        self.faults: Counter[str] = Counter()
        host, _, port = device.rpartition(":")
        self._device = socket.create_connection((host, int(port)))
        self._stop, self._stopped = os.pipe()
        if terminal:
            self._host, self._kept = os.openpty()
            tty.setraw(self._kept)  # stays open, so that hosts may come and go
            self.where = os.ttyname(self._kept)
        else:
            self._server = socket.create_server(("127.0.0.1", 0))
            self._host = -1
            self.where = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._terminal = terminal
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> BadLine:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        os.close(self._stopped)
        self._thread.join(10)
        assert not self._thread.is_alive()
        os.close(self._stop)
        self._device.close()
        if self._terminal:
            os.close(self._host)
            os.close(self._kept)
        else:
            self._server.close()
            if self._host >= 0:
                os.close(self._host)

    @property
    def told(self) -> str:
        """What was done to how many bytes."""
        return ", ".join(f"{count} {what}" for what, count in sorted(self.faults.items()))

    def harmed(self, content: bytes) -> bytes:
        """What is left of some bytes."""
        out = bytearray()
        for byte in content:
            if self.faults.total() >= self.limit or self.chance.randrange(self.every):
                out.append(byte)
                continue
            what = self.chance.choice(("flipped", "dropped", "inserted"))
            self.faults[what] += 1
            if what == "flipped":
                out.append(byte ^ 1 << self.chance.randrange(8))
            elif what == "inserted":
                out += bytes([byte, self.chance.randrange(256)])
        return bytes(out)

    def _work(self) -> None:
        while True:
            end = self._server.fileno() if self._host < 0 else self._host
            ready = select.select([self._stop, self._device, end], [], [])[0]
            if self._stop in ready:
                return
            if self._device in ready:
                content = self.harmed(self._device.recv(4096))
                if self._host >= 0 and content:
                    os.write(self._host, content)
            if end in ready and self._host < 0:
                self._host = self._server.accept()[0].detach()
            elif end in ready:
                content = os.read(self._host, 4096)
                if content:
                    self._device.sendall(self.harmed(content))
                else:  # this host is gone
                    os.close(self._host)
                    self._host = -1
