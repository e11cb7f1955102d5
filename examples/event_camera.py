"""A simulated event camera that pans after a moving target, and EVT3 words of what it sees.

A pixel remembers the logarithm of its light, and sends an event where that has changed by its
threshold since; then it is blind for a while and remembers anew:

    |log I(t) - memory| >= threshold      memory <- log I(t + refractory)

Each pixel's two thresholds differ a little from all others', and it sends some events for nothing.
The light is a bright disc before a faint pattern, blurred by a pixel; the camera shakes. Angles are
degrees, times microseconds; whatever is random comes from one seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from neurocuda_hw.data.events import Events, events_of

WIDTH, HEIGHT = 32, 24
PIXEL = 60 / WIDTH  # degrees: the view is 60 wide
TICK_US = 1000  # light is worked out so often; events lie between by interpolation
REFRACTORY_US = 3500  # so a pixel sends three events in 10 ms at most
THRESHOLD, MISMATCH = 0.2, 0.02  # of the logarithm; deviation between pixels
NOISE = 0.5  # events for nothing of a pixel in a second
RADIUS, BRIGHT, PATTERN = 3.0, 4.0, 0.05  # pixels; times the background; its waves
SHAKE = 0.4  # degrees
TURN = 45.0  # degrees per second: the camera at full steering
AHEAD = 3.0  # degrees beside the middle that are still straight ahead


@dataclass
class Scene:
    """`count` cameras, each with a target of its own; all move at the same time.

    `heading` is where each camera looks, `steer` (-1, 0, 1) how it turns; `bearing` says where the
    targets are. `advance` goes on for some ticks and gives the events.
    """

    count: int
    seed: int

    def __post_init__(self) -> None:
        self.rng = rng = np.random.default_rng(self.seed)
        self.time_us = 0
        self.heading, self.steer = np.zeros(self.count), np.zeros(self.count)
        size = (self.count, HEIGHT, WIDTH)
        self.limits = THRESHOLD + MISMATCH * rng.standard_normal((2, *size))
        self.blind = np.zeros(size, np.int64)  # until then
        # targets: three waves, fast ones small; shaking: two; pattern: three
        self.waves = _waves(rng, self.count, 3, slow=0.08, fast=0.35, size=32.0)
        self.shakes = _waves(rng, self.count, 2, slow=12.0, fast=25.0, size=SHAKE)
        self.pattern = rng.uniform(0.05, 0.5, (self.count, 3)), rng.uniform(0, 6.3, (self.count, 3))
        self.light = self._light()
        self.memory = self.light.copy()

    def bearing(self) -> np.ndarray:
        """Where the targets are ``(count,)``, in degrees of the world."""
        return _swing(self.waves, self.time_us)

    def off(self) -> np.ndarray:
        """The same as the camera sees it: 0 is straight ahead, positive is right."""
        return self.bearing() - self.heading

    def command(self) -> np.ndarray:
        """What steering would be right: 0 left, 1 straight ahead, 2 right."""
        return 1 + np.sign(self.off()).astype(int) * (np.abs(self.off()) > AHEAD)

    def advance(self, ticks: int) -> list[Events]:
        """Events of each camera in the next ticks, in order of time."""
        found: list[list[np.ndarray]] = []
        for _ in range(ticks):
            self.heading = self.heading + self.steer * TURN * TICK_US * 1e-6
            now, self.time_us = self.time_us, self.time_us + TICK_US
            before, self.light = self.light, self._light()
            found.append(self._events(now, before))
        rows = np.concatenate(found, axis=1)
        rows = rows[:, np.lexsort((rows[2], rows[1], rows[4], rows[0]))]
        edges = np.searchsorted(rows[0], np.arange(self.count + 1))
        return [
            events_of(rows[2, a:b], rows[1, a:b], rows[3, a:b], rows[4, a:b])
            for a, b in pairwise(edges)
        ]

    def _light(self) -> np.ndarray:
        """Logarithm of each pixel's light ``(count, HEIGHT, WIDTH)``."""
        view = self.heading + _swing(self.shakes, self.time_us)
        x = np.arange(WIDTH) - (WIDTH - 1) / 2
        y = np.arange(HEIGHT)[:, None] - (HEIGHT - 1) / 2
        middle = (self.bearing() - view) / PIXEL
        away = np.hypot(x - middle[:, None, None], y)
        disc = 1 / (1 + np.exp(np.clip(3 * (away - RADIUS), -30, 30)))
        world = (view / PIXEL)[:, None, None] + x
        waves = zip(*(part.T[:, :, None, None] for part in self.pattern), strict=True)
        ground = 1 + PATTERN * sum(np.sin(f * (world + 0.5 * y) + phase) for f, phase in waves)
        return np.log(ground + (BRIGHT - 1) * disc)

    def _events(self, now: int, before: np.ndarray) -> np.ndarray:
        """Rows (camera, y, x, polarity, time) of one tick; at most one event of a pixel."""
        change, was = self.light - self.memory, before - self.memory
        brighter = change > 0
        limit = np.where(brighter, self.limits[1], self.limits[0])
        awake = self.blind <= now
        sends = awake & (np.abs(change) >= limit)
        share = (limit - np.abs(was)) / np.maximum(np.abs(change) - np.abs(was), 1e-9)
        noise = awake & (self.rng.random(sends.shape) < NOISE * TICK_US * 1e-6)
        moment = np.where(sends, share, self.rng.random(sends.shape))
        polarity = np.where(sends, brighter, self.rng.random(sends.shape) < 0.5)
        sends |= noise
        time = now + np.clip(moment * TICK_US, 0, TICK_US - 1).astype(np.int64)
        self.blind[sends] = time[sends] + REFRACTORY_US
        # who was blind, or sent, remembers the light of now
        self.memory = np.where(sends | ~awake, self.light, self.memory)
        camera, y, x = np.nonzero(sends)
        return np.stack([camera, y, x, polarity[sends], time[sends]]).astype(np.int64)


def _waves(
    rng: np.random.Generator, count: int, number: int, *, slow: float, fast: float, size: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Amplitudes, frequencies in Hz, phases ``(count, number)``."""
    rate = rng.uniform(slow, fast, (count, number))
    return size * np.sqrt(slow / rate), rate, rng.uniform(0, 2 * np.pi, (count, number))


def _swing(waves: tuple[np.ndarray, np.ndarray, np.ndarray], time_us: int) -> np.ndarray:
    amplitude, rate, phase = waves
    return (amplitude * np.sin(2 * np.pi * rate * time_us * 1e-6 + phase)).sum(axis=1)


class Evt3Writer:
    """A camera's EVT3 words; what has not changed is not sent again."""

    def __init__(self) -> None:
        self.high = self.low = self.row = -1

    def clock(self, time: int) -> list[int]:
        """Words of a time, whether an event follows or not."""
        words = []
        if time >> 12 != self.high:
            self.high, self.low = time >> 12, -1
            words.append(8 << 12 | self.high & 0xFFF)
        if time & 0xFFF != self.low:
            self.low = time & 0xFFF
            words.append(6 << 12 | self.low)
        return words

    def words(self, events: Events) -> list[int]:
        """Words of events in order of time."""
        words = []
        columns = (events.x, events.y, events.polarity, events.time)
        for x, y, polarity, time in zip(*(c.tolist() for c in columns), strict=True):
            words += self.clock(time)
            if y != self.row:
                self.row = y
                words.append(y)
            words.append(2 << 12 | polarity << 11 | x)
        return words
