"""The bridge, bit by bit on its pins, with a network that gives back what it gets."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from amaranth.sim import Simulator

from neurocuda_hw.host.nchw_host import ANSWER, LAST, REFUSED, Frames, Kind, Reason, stuffed
from neurocuda_hw.rtl.bridge_core import Bridge

DIVISOR, PATIENCE_BITS = 4, 7
Script = Callable[["Talk"], Awaitable[None]]


def asked(kind: int, number: int, content: bytes = b"", *, last: bool = False) -> bytes:
    """A request as it travels."""
    return stuffed(bytes([kind, number, LAST * last, len(content)]) + content)


class Talk:
    """What a host sees of the bridge: it sends bytes, and waits for a frame."""

    def __init__(self, context: Any, bench: Bench) -> None:
        self.context, self.bench = context, bench

    async def send(self, content: bytes, *, stop: int = 1) -> None:
        """Bytes, one after the other; without a stop bit they are none."""
        bridge = self.bench.bridge
        for byte in content:
            for bit in (0, *(byte >> i & 1 for i in range(8)), stop):
                self.context.set(bridge.rx, bit)
                await self.context.tick().repeat(DIVISOR)
            self.context.set(bridge.rx, 1)

    async def answer(self, cycles: int = 60_000) -> bytes | None:
        """The next frame, or None if none comes."""
        for _ in range(cycles):
            if self.bench.frames:
                return self.bench.frames.pop(0)
            await self.context.tick()
        return None

    async def ask(self, kind: int, number: int, content: bytes = b"", **options: bool) -> bytes:
        """Sends a request and waits for the answer."""
        await self.send(asked(kind, number, content, **options))
        found = await self.answer()
        assert found is not None
        return found

    async def refused(self, reason: Reason) -> None:
        """The next frame is a refusal."""
        found = await self.answer()
        assert found is not None
        assert found[0] == REFUSED + reason, found
        assert found[3] == 0

    async def wait(self, cycles: int) -> None:
        """Does nothing."""
        await self.context.tick().repeat(cycles)


class Bench:
    """A bridge whose network gives every word back; `ready` is how often it takes or gives one."""

    def __init__(self, *, input_bytes: int = 3, output_bytes: int = 3, events: bool = True) -> None:
        self.bridge = Bridge(
            divisor=DIVISOR,
            input_bytes=input_bytes,
            output_bytes=output_bytes,
            tdata_bits=32,
            events=events,
            patience_bits=PATIENCE_BITS,
        )
        self.frames: list[bytes] = []
        self.words: list[tuple[int, int]] = []  # what the network took: word, last
        self.back: list[tuple[int, int]] = []  # what it is to give
        self.ready = 0.5
        self.faults = 0
        self.chance = random.Random(7)

    def run(self, script: Script) -> None:
        """Runs a script of the host."""

        async def host(context: Any) -> None:
            context.set(self.bridge.identity, int.from_bytes(range(1, 33), "little"))
            await context.tick().repeat(20)
            await script(Talk(context, self))

        simulator = Simulator(self.bridge)
        simulator.add_clock(1e-8)
        simulator.add_testbench(host)
        simulator.add_testbench(self._listen, background=True)
        simulator.add_testbench(self._network, background=True)
        simulator.run()

    async def _listen(self, context: Any) -> None:
        frames = Frames()
        while True:
            byte, since = 0, DIVISOR // 2
            while context.get(self.bridge.tx):
                await context.tick()
            for bit in range(9):
                for _ in range(since + DIVISOR):
                    await context.tick()
                byte |= context.get(self.bridge.tx) << bit
                since = 0
            assert byte >> 8, "a byte ends with a stop bit"
            frame = frames.take(byte & 255)
            if frame is not None:
                self.frames.append(frame)

    async def _network(self, context: Any) -> None:
        inputs, outputs = self.bridge.inputs, self.bridge.outputs
        held: tuple[int, int] | None = None
        while True:
            if context.get(self.bridge.reset):
                self.back.clear()
                context.set(outputs.valid, 0)
                await context.tick()
                held = None
                continue
            offered = None
            if context.get(inputs.valid):
                assert context.get(inputs.payload.keep) == 15
                offered = (context.get(inputs.payload.word), context.get(inputs.payload.last))
            assert held is None or held == offered, "a word stays until it is taken"
            ready = self.chance.random() < self.ready
            context.set(inputs.ready, int(ready))
            context.set(self.bridge.faults, self.faults)
            if offered is not None and ready:
                self.words.append(offered)
                self.back.append(offered)
            held = None if ready else offered
            given = bool(self.back) and (
                context.get(outputs.valid) or self.chance.random() < self.ready
            )
            context.set(outputs.valid, int(given))
            if given:
                word, last = self.back[0]
                context.set(outputs.payload, {"word": word, "keep": 15, "last": last})
                if context.get(outputs.ready):
                    self.back.pop(0)
            await context.tick()


def octets(*words: int, size: int = 3) -> bytes:
    """Words as they travel."""
    return b"".join(word.to_bytes(size, "little") for word in words)


def test_it_tells_who_it_is_and_what_it_dropped() -> None:
    bench = Bench()

    async def script(talk: Talk) -> None:
        hello = await talk.ask(Kind.HELLO, 0x7E)  # a number that has to be escaped
        assert hello == bytes([ANSWER | Kind.HELLO, 0x7E, 0, 32, *range(1, 33)])
        assert await talk.ask(Kind.STATUS, 1) == bytes([ANSWER | Kind.STATUS, 1, 0, 0])
        bench.faults = 0b10010
        await talk.wait(2)
        bench.faults = 0
        assert (await talk.ask(Kind.STATUS, 2))[2] == 0b10010
        assert (await talk.ask(Kind.RESET, 3))[2] == 0b10010
        assert (await talk.ask(Kind.STATUS, 4))[2] == 0

    bench.run(script)


@pytest.mark.parametrize("size", [2, 4])
def test_packets_of_several_frames_go_in_and_come_out(size: int) -> None:
    bench = Bench(input_bytes=size, output_bytes=size)
    chance = random.Random(size)
    many = 255 // size
    words = [chance.randrange(1 << 8 * size) for _ in range(many + 5)]
    words[0] = int.from_bytes(b"\x7e\x7d\x7d\x7e"[:size], "little")
    words[1] = 1 << 8 * size - 1

    async def script(talk: Talk) -> None:
        await talk.ask(Kind.RESET, 9)
        first, second = (octets(*part, size=size) for part in (words[:many], words[many:]))
        found = await talk.ask(Kind.INPUT, 10, first)
        assert found[0] == ANSWER | Kind.INPUT
        await talk.wait(600)
        assert (await talk.ask(Kind.INPUT, 11, second, last=True))[0] == ANSWER | Kind.INPUT
        answer = await talk.ask(Kind.OUTPUT, 12)
        assert answer[:2] == bytes([ANSWER | Kind.OUTPUT, 12])
        assert not answer[2] & LAST
        more = await talk.ask(Kind.OUTPUT, 13)
        assert more[2] & LAST
        assert answer[4:] + more[4:] == first + second
        again = await talk.ask(Kind.OUTPUT, 13)  # as if it had been lost
        assert again == more

    bench.run(script)
    half = 1 << 8 * size - 1
    wide = [word & (half - 1) | (word & half and 1 << 31) for word in words]
    assert bench.words == [(word, int(i == len(words) - 1)) for i, word in enumerate(wide)]


def test_what_is_damaged_is_refused_and_reaches_nothing() -> None:
    bench = Bench()
    request = asked(Kind.INPUT, 1, octets(3, 4), last=True)

    async def script(talk: Talk) -> None:
        await talk.send(request)
        await talk.refused(Reason.RESTARTED)
        await talk.ask(Kind.RESET, 0)
        for place in range(1, len(request)):
            await talk.send(request[:place] + bytes([request[place] ^ 1]) + request[place + 1 :])
            found = await talk.answer()
            assert found is not None
            assert found[0] in (REFUSED + Reason.CHECKSUM, REFUSED + Reason.HALF), place
            if found[0] == REFUSED + Reason.CHECKSUM and place == 4:  # a shorter length
                await talk.wait(3000)
        await talk.send(request[:-3])
        await talk.refused(Reason.HALF)
        await talk.send(request[1:])  # no mark: nobody listens
        assert await talk.answer(2000) is None
        await talk.send(request[:-3] + request[:9] + request)  # a mark begins anew
        found = await talk.answer()
        assert found is not None
        assert found[0] == ANSWER | Kind.INPUT

    bench.run(script)
    assert bench.words == [(3, 0), (4, 1)]


def test_a_request_is_done_once_however_often_it_comes() -> None:
    bench = Bench()

    async def script(talk: Talk) -> None:
        await talk.ask(Kind.RESET, 255)
        for _ in range(3):
            found = await talk.ask(Kind.INPUT, 0, octets(5), last=False)
            assert found[0] == ANSWER | Kind.INPUT
        await talk.send(asked(Kind.INPUT, 2, octets(6)))
        await talk.refused(Reason.SEQUENCE)
        await talk.send(asked(Kind.INPUT, 255, octets(6)))
        await talk.refused(Reason.SEQUENCE)
        await talk.send(asked(Kind.OUTPUT, 0))
        await talk.refused(Reason.SEQUENCE)
        await talk.ask(Kind.INPUT, 1, octets(6), last=True)
        assert (await talk.ask(Kind.OUTPUT, 2))[4:] == octets(5, 6)
        await talk.send(asked(Kind.INPUT, 2, octets(7)))
        await talk.refused(Reason.SEQUENCE)

    bench.run(script)
    assert bench.words == [(5, 0), (6, 1)]


def test_wrong_requests_are_told_apart() -> None:
    bench = Bench()

    async def script(talk: Talk) -> None:
        await talk.ask(Kind.RESET, 0)
        for kind, content, reason in (
            (6, b"", Reason.UNKNOWN),
            (0, b"", Reason.UNKNOWN),
            (Kind.INPUT, b"", Reason.LENGTH),
            (Kind.INPUT, b"1234", Reason.LENGTH),
            (Kind.OUTPUT, b"123", Reason.LENGTH),
            (Kind.HELLO, b"123", Reason.LENGTH),
            (Kind.OUTPUT, b"", Reason.EMPTY),
        ):
            await talk.send(asked(kind, 1, content))
            await talk.refused(reason)
        bench.ready = 0.0  # the network takes nothing
        await talk.ask(Kind.INPUT, 1, octets(8))
        assert (await talk.ask(Kind.STATUS, 9))[2] == 0x40
        await talk.send(asked(Kind.INPUT, 2, octets(9), last=True))
        await talk.refused(Reason.BUSY)
        bench.ready = 1.0
        await talk.wait(50)
        await talk.ask(Kind.INPUT, 2, octets(9), last=True)
        await talk.wait(50)
        assert (await talk.ask(Kind.STATUS, 9))[2] == 0x20
        assert (await talk.ask(Kind.OUTPUT, 3))[4:] == octets(8, 9)

    bench.run(script)
    assert bench.words == [(8, 0), (9, 1)]


def test_a_reset_forgets_what_was_under_way() -> None:
    bench = Bench(events=False, output_bytes=2)

    async def script(talk: Talk) -> None:
        await talk.ask(Kind.RESET, 0)
        await talk.ask(Kind.INPUT, 1, octets(0x123456), last=False)
        await talk.ask(Kind.RESET, 77)
        await talk.ask(Kind.INPUT, 78, octets(0x800001), last=True)
        assert (await talk.ask(Kind.OUTPUT, 79))[4:] == bytes([1, 0])  # the low bytes of a value
        await talk.ask(Kind.RESET, 5)
        await talk.send(asked(Kind.OUTPUT, 6))
        await talk.refused(Reason.EMPTY)

    bench.run(script)


def test_bytes_without_a_stop_bit_and_glitches_are_left_out() -> None:
    bench = Bench()

    async def script(talk: Talk) -> None:
        await talk.send(b"\x7e\x01", stop=0)
        talk.context.set(bench.bridge.rx, 0)
        await talk.wait(1)  # a glitch
        talk.context.set(bench.bridge.rx, 1)
        await talk.wait(100)
        assert await talk.answer(3000) is None
        assert (await talk.ask(Kind.HELLO, 1))[4:6] == bytes([1, 2])

    bench.run(script)
