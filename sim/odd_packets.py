"""Packets of what cannot be meant, and a naive reading of any packet, after docs/hardware.md.

A transfer is (word, keep), `keep` being its TKEEP; TLAST is on a packet's last. Standard library
only: the benches of a build folder use it, and the project's tests.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

Transfer = tuple[int, int]


@dataclass(frozen=True)
class Reader:
    """What a packet means to a network whose input is such.

    `shape` and `bits` are of (c, y, x); events may come in the steps from `start` to before `stop`,
    and if `most` is set, no more than so many in one. If `raster`, y never falls in a packet.
    """

    shape: tuple[int, ...]
    bits: tuple[int, ...]
    payload_bits: int
    word_bits: int
    timesteps: int
    start: int
    stop: int
    most: int | None
    raster: bool = False

    @classmethod
    def of(cls, report: dict[str, Any]) -> Reader:
        """From the content of ``report.json``."""
        name, stream = report["network"]["input"], report["stream"]
        row = next(row for row in report["populations"] if row["name"] == name)
        shape = tuple(row["shape"])
        return cls(
            shape if len(shape) == 3 else (*shape, 1, 1),
            tuple(row["address_bits"]),
            stream["payload_bits"],
            stream["word_bits"],
            report["network"]["timesteps"],
            *stream["arrivals"],
            stream["most_events"],
            stream.get("order") == "raster",
        )

    @property
    def marker(self) -> int:
        return 1 << (self.word_bits - 1)

    @property
    def full(self) -> int:
        """TKEEP of a word."""
        return (1 << self.word_bits // 8) - 1

    @property
    def field_bits(self) -> int:
        """Bits of an event that matter: address and payload."""
        return sum(self.bits) + self.payload_bits

    def place(self, word: int) -> tuple[int, int, int]:
        """The neuron (c, y, x) that an event names, whether it exists or not."""
        c_bits, y_bits, x_bits = self.bits
        c = word >> x_bits + y_bits & (1 << c_bits) - 1
        return c, word >> x_bits & (1 << y_bits) - 1, word & (1 << x_bits) - 1

    def exists(self, word: int) -> bool:
        """Whether the neuron that an event names is one of the input."""
        return all(p < size for p, size in zip(self.place(word), self.shape, strict=True))

    def above(self, word: int, line: int) -> bool:
        """Whether an event comes too late, behind one of `line`."""
        return self.raster and self.place(word)[1] < line

    def read(self, transfers: list[Transfer]) -> tuple[list[list[int]], Counter[str]]:
        """The events of each step, and how many transfers are dropped for each reason."""
        steps: list[list[int]] = [[]]
        dropped: Counter[str] = Counter()
        line = 0
        for word, keep in transfers:
            step, reason = len(steps) - 1, ""
            if step == self.timesteps:
                reason = "OVERLONG" if keep else ""
            elif keep != self.full:
                reason = "KEEP" if keep else ""
            elif word & self.marker:
                steps.append([])
            elif not self.exists(word):
                reason = "ADDRESS"
            elif not self.start <= step < self.stop or self.above(word, line):
                reason = "WINDOW"
            elif len(steps[-1]) == self.most:
                reason = "CROWDED"
            else:
                steps[-1].append(word & (1 << self.field_bits) - 1)
                line = self.place(word)[1]
            if reason:
                dropped[reason] += 1
        steps += [[] for _ in range(self.timesteps - len(steps))]
        return steps[: self.timesteps], dropped

    def event(self, chance: random.Random) -> int:
        """An event of any address, often of none of the input's neurons."""
        return self.blurred(chance.randrange(1 << self.field_bits), chance)

    def blurred(self, word: int, chance: random.Random) -> int:
        """The event with anything in the bits that are without meaning."""
        return word | chance.getrandbits(self.word_bits - 1 - self.field_bits) << self.field_bits

    def odd(self, chance: random.Random) -> Transfer:
        """A transfer that is no event, whatever the step."""
        keep = chance.choice((0, chance.randrange(1, self.full)))
        return chance.choice((self.event(chance), self.marker)), keep

    def spoiled(self, words: list[int], chance: random.Random) -> list[Transfer]:
        """The packet `words` with transfers in it that have to be dropped: it means the same."""
        markers = self.timesteps - sum(word >= self.marker for word in words)
        if chance.random() < 0.5:
            words = [*words, *[self.marker] * markers]
            words += [chance.choice((self.event(chance), self.marker))] * chance.randrange(3)
        sent: list[Transfer] = []
        step = held = line = 0
        for word in words:
            while chance.random() < 0.3:
                event = self.event(chance)
                open_now = self.start <= step < self.stop and held != self.most
                lost = step == self.timesteps or not self.exists(event) or not open_now
                lost = lost or self.above(event, line)
                plain = lost and chance.random() < 0.7
                sent.append((event, self.full) if plain else self.odd(chance))
            sent.append((word if word >= self.marker else self.blurred(word, chance), self.full))
            step, held = (step + 1, 0) if word >= self.marker else (step, held + 1)
            line = line if word >= self.marker else self.place(word)[1]
        return sent

    def rubbish(self, chance: random.Random) -> list[Transfer]:
        """Any packet: events twice and too many, in any step, too many markers or too few."""
        sent = []
        for _ in range(chance.randrange(self.timesteps + 3)):
            again = self.event(chance)
            for _ in range(chance.choice((0, 1, 3, chance.randrange(80)))):
                event = again if chance.random() < 0.5 else self.event(chance)
                sent.append((event, self.full) if chance.random() < 0.9 else self.odd(chance))
            sent.append((self.marker, self.full))
        sent = sent[: chance.randrange(1, len(sent) + 1)] if sent else []
        return sent or [self.odd(chance)]
