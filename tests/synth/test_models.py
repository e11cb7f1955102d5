"""Models of block memories and multipliers: random accesses, against what the makers document."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from tools import need

from neurocuda_hw.ground.toolchain import find_icarus
from neurocuda_hw.synth import netlist

MODELS = Path(netlist.__file__).parent / "models"
CYCLES = 400
X = None  # what nothing says

pytestmark = pytest.mark.slow


def simulate(folder: Path, cell: str, instance: str, inputs: Mapping[str, int], seen: int) -> Run:
    """A function that drives `instance`'s wires, cycle by cycle, and returns the `seen` bits of
    ``q`` that stand before each rising edge."""
    total = sum(inputs.values())
    wires, at = [], 0
    for name, width in inputs.items():
        wires.append(f"wire [{width - 1}:0] {name} = row[{at} +: {width}];")
        at += width
    bench = f"""
module bench;
    reg clk = 0;
    reg [{total - 1}:0] rows [0:{CYCLES - 1}];
    reg [{total - 1}:0] row;
    {" ".join(wires)}
    wire [{seen - 1}:0] q;
    integer i;
    {instance}
    initial begin
        $readmemh("rows.mem", rows);
        for (i = 0; i < {CYCLES}; i = i + 1) begin
            row = rows[i];
            #1 $display("%b", q);
            clk = 1;
            #1 clk = 0;
        end
    end
endmodule
"""
    (folder / "bench.v").write_text(bench)
    sources = [str(MODELS / f"{name}.v") for name in (cell, "nchw_block")]
    command = [find_icarus().where, "-g2012", "-s", "bench", "-o", "bench.vvp", "bench.v", *sources]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stdout + done.stderr)
    return Run(folder, inputs)


class Run:
    """A compiled bench."""

    def __init__(self, folder: Path, inputs: Mapping[str, int]) -> None:
        self.folder, self.inputs = folder, inputs

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> list[str]:
        words = []
        for row in rows:
            word = at = 0
            for name, width in self.inputs.items():
                word |= row.get(name, 0) << at
                at += width
            words.append(f"{word:x}")
        (self.folder / "rows.mem").write_text("\n".join(words) + "\n")
        vvp = str(Path(find_icarus().where).with_name("vvp"))
        done = subprocess.run(
            [vvp, "-n", "bench.vvp"], cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ValueError(done.stdout + done.stderr)
        return [line for line in done.stdout.splitlines() if set(line) <= set("01xz")]


class Bits:
    """A block memory as its makers tell of it: `rows` words of data, and of parity, bit by bit."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.data = rng.integers(0, 2, 8 * size).tolist()
        self.parity = rng.integers(0, 2, size).tolist()

    def places(self, address: int, width: int) -> list[tuple[list[int], int]]:
        """Where the bits of a word are, its lowest first, by address (in bits of data)."""
        if width < 9:
            low = address // width * width
            return [(self.data, low + i) for i in range(width)]
        count = width // 9
        first = address // 8 // count * count
        found: list[tuple[list[int], int]] = []
        for unit in range(first, first + count):
            found += [(self.data, 8 * unit + i) for i in range(8)] + [(self.parity, unit)]
        return found

    def read(self, address: int, width: int) -> int:
        return sum(store[at] << i for i, (store, at) in enumerate(self.places(address, width)))

    def write(self, address: int, width: int, word: int, enables: int) -> None:
        for i, (store, at) in enumerate(self.places(address, width)):
            if enables >> (i // 9) & 1:
                store[at] = word >> i & 1


@pytest.fixture(autouse=True)
def _tools() -> None:
    need(find_icarus())


def bus(name: str, width: int, wire: str) -> str:
    return ", ".join(f".{name}{i}({wire}[{i}])" for i in range(width))


ECP5 = [
    (18, 18, "READBEFOREWRITE", "NORMAL", ""),
    (9, 4, "NORMAL", "WRITETHROUGH", ""),
    (2, 1, "WRITETHROUGH", "READBEFOREWRITE", ""),
    (36, 36, "NORMAL", "NORMAL", ""),
    (36, 18, "NORMAL", "NORMAL", ""),
    (18, 9, "READBEFOREWRITE", "NORMAL", ""),
    (18, 18, "READBEFOREWRITE", "NORMAL", "b"),
    (9, 4, "NORMAL", "WRITETHROUGH", "ab"),
]  # widths, modes, ports with an output register
KINDS = {"NORMAL": "keep", "WRITETHROUGH": "new", "READBEFOREWRITE": "old"}


@pytest.mark.parametrize(("a", "b", "mode_a", "mode_b", "registers"), ECP5)
def test_dp16kd(tmp_path: Path, a: int, b: int, mode_a: str, mode_b: str, registers: str) -> None:
    rng = np.random.default_rng(a * 100 + b)
    bits = Bits(rng, 2048)
    rows = [bits.read(16 * i, 18) for i in range(1024)]
    inits = ", ".join(
        f".INITVAL_{i:02X}(320'h{sum(rows[16 * i + j] << (20 * j) for j in range(16)):x})"
        for i in range(64)
    )
    regmodes = "".join(f'.REGMODE_{port.upper()}("OUTREG"), ' for port in registers)
    inputs = {"ce": 2, "we": 2, "oce": 2, "da": 18, "db": 18, "aa": 14, "ab": 14}
    instance = f"""DP16KD #(.DATA_WIDTH_A({a}), .DATA_WIDTH_B({b}), .WRITEMODE_A("{mode_a}"),
        .WRITEMODE_B("{mode_b}"), .RESETMODE("SYNC"), {regmodes} {inits}) dut (
        .CLKA(clk), .CLKB(clk),
        .CEA(ce[0]), .CEB(ce[1]), .WEA(we[0]), .WEB(we[1]), .OCEA(oce[0]), .OCEB(oce[1]),
        .RSTA(1'b0), .RSTB(1'b0), .CSA0(1'b0), .CSA1(1'b0), .CSA2(1'b0), .CSB0(1'b0), .CSB1(1'b0),
        .CSB2(1'b0), {bus("DIA", 18, "da")}, {bus("DIB", 18, "db")}, {bus("ADA", 14, "aa")},
        {bus("ADB", 14, "ab")}, {bus("DOA", 18, "q")},
        {", ".join(f".DOB{i}(q[{18 + i}])" for i in range(18))});"""
    run = simulate(tmp_path, "DP16KD", instance, inputs, 36)
    wide = 36 in (a, b)
    driven, expected = [], []
    held: dict[str, int | None] = {"a": 0, "b": 0}
    for _ in range(CYCLES):
        row = {name: int(rng.integers(0, 1 << width)) for name, width in inputs.items()}
        row["aa"] = row["aa"] & 0x7F  # few rows, so that writes are read
        row["ab"] = row["ab"] & 0x7F
        if wide or row["aa"] >> 4 == row["ab"] >> 4:  # nothing says which of two writes wins
            row["we"] &= 1
        driven.append(row)
        expected.append(dict(held))
        step(bits, row, {"a": (a, mode_a), "b": (b, mode_b)}, held)
    for port in registers:  # what was read waits for an edge at which it is let through
        out: int | None = 0
        for row, want in zip(driven, expected, strict=True):
            read, want[port] = want[port], out
            out = read if row["oce"] >> "ab".index(port) & 1 else out
    for got, want, number in zip(run(driven), expected, range(CYCLES), strict=True):
        left, right = int(got[18:].replace("x", "0"), 2), int(got[:18].replace("x", "0"), 2)
        if b == 36:
            if want["b"] is not X:
                assert right << 18 | left == want["b"], number
            continue
        if want["a"] is not X and not wide:
            assert left == want["a"], number
        if want["b"] is not X:
            assert right == want["b"], number


def step(
    bits: Bits,
    row: Mapping[str, int],
    ports: Mapping[str, tuple[int, str]],
    held: dict[str, int | None],
) -> None:
    """One cycle of both ports of a DP16KD: reads, then writes."""
    writes, after = {}, dict(held)
    for number, (name, (width, _)) in enumerate(ports.items()):
        address = row[f"a{name}"]
        word = row[f"d{name}"]
        enables = {36: address & 15, 18: address & 3}.get(width, 1)
        if width == 36:
            word = row["db"] << 18 | row["da"]
        on = row["ce"] >> number & 1 and row["we"] >> number & 1
        writes[name] = (address, width, word, enables if on else 0)
    hit = {}  # bytes that a port writes
    for name, (address, width, _, enables) in writes.items():
        count = max(1, width // 9)
        first = address // 8 // count * count
        hit[name] = {first + i for i in range(count) if enables >> i & 1}
    for number, (name, (width, mode)) in enumerate(ports.items()):
        if not row["ce"] >> number & 1:
            continue
        address, _, word, enables = writes[name]
        other = "b" if name == "a" else "a"
        count = max(1, width // 9)
        first = address // 8 // count * count
        kind = KINDS[mode] if enables else "old"
        if kind == "keep":
            continue
        if kind == "new":
            after[name] = word & (1 << width) - 1 if enables == (1 << count) - 1 else X
        else:
            met = hit[other] & set(range(first, first + count))
            after[name] = X if met else bits.read(address, width)
    for address, width, word, enables in writes.values():
        bits.write(address, width, word, enables)
    held |= after


def test_modes_that_no_model_has_are_refused(tmp_path: Path) -> None:
    for cell, parameter in {
        "DP16KD": '.CLKAMUX("INV")',
        "MULT18X18D": '.REG_OUTPUT_CLK("CLK0")',
        "RAMB36E1": ".DOA_REG(1)",
        "RAMB18E1": '.RAM_MODE("OTHER")',
        "DSP48E1": '.USE_DPORT("TRUE")',
    }.items():
        run = simulate(tmp_path, cell, f"{cell} #({parameter}) dut ();", {"a": 1}, 1)
        with pytest.raises(ValueError, match=f"{cell} in a mode that is not modelled"):
            run([])


@pytest.mark.parametrize(
    ("sa", "sb", "registers"), [(0, 0, ""), (1, 1, ""), (1, 0, ""), (1, 0, "a"), (1, 1, "ab")]
)
def test_mult18x18d(tmp_path: Path, sa: int, sb: int, registers: str) -> None:
    rng = np.random.default_rng(sa + 2 * sb)
    parameters = ", ".join(f'.REG_INPUT{side.upper()}_CLK("CLK0")' for side in registers)
    instance = f"""MULT18X18D #({parameters}) dut (.CLK0(clk), .CE0(1'b1), .RST0(1'b0),
        {bus("A", 18, "a")}, {bus("B", 18, "b")}, {bus("P", 36, "q")},
        .SIGNEDA(1'b{sa}), .SIGNEDB(1'b{sb}), .SOURCEA(1'b0), .SOURCEB(1'b0));"""
    run = simulate(tmp_path, "MULT18X18D", instance, {"a": 18, "b": 18}, 36)
    rows = [{name: int(rng.integers(0, 1 << 18)) for name in "ab"} for _ in range(CYCLES)]
    rows[:2] = [{"a": 1 << 17, "b": 1 << 17}, {"a": (1 << 18) - 1, "b": (1 << 18) - 1}]
    given = [dict(row) for row in rows]
    for side in registers:
        for number in range(len(rows)):
            given[number][side] = rows[number - 1][side] if number else 0
    for row, got in zip(given, run(rows), strict=True):
        product = signed(row["a"], 18, sa) * signed(row["b"], 18, sb)
        assert int(got, 2) == product & (1 << 36) - 1


def signed(word: int, width: int, is_signed: int = 1) -> int:
    return word - (1 << width) if is_signed and word >> (width - 1) else word


BLOCKS = [
    ("RAMB36E1", "TDP", 36, 0, 0, 36),
    ("RAMB36E1", "TDP", 9, 18, 9, 4),
    ("RAMB36E1", "SDP", 72, 0, 0, 72),
    ("RAMB36E1", "SDP", 36, 0, 0, 72),
    ("RAMB18E1", "SDP", 36, 0, 0, 36),
    ("RAMB18E1", "TDP", 18, 0, 2, 18),
    ("RAMB18E1", "SDP", 9, 0, 0, 18),
]


@pytest.mark.parametrize(("cell", "mode", "read_a", "write_a", "read_b", "write_b"), BLOCKS)
def test_block_memories_of_7_series(
    tmp_path: Path, cell: str, mode: str, read_a: int, write_a: int, read_b: int, write_b: int
) -> None:
    rng = np.random.default_rng(read_a * 7 + write_b)
    large = cell == "RAMB36E1"
    size, half, top, enables_b = (4096, 32, 16, 8) if large else (2048, 16, 14, 4)
    bits = Bits(rng, size)

    def packed(store: list[int], number: int) -> str:
        part = store[256 * number : 256 * number + 256]
        return f"256'h{sum(bit << i for i, bit in enumerate(part)):x}"

    inits = [f".INIT_{i:02X}({packed(bits.data, i)})" for i in range(size // 32)]
    inits += [f".INITP_{i:02X}({packed(bits.parity, i)})" for i in range(size // 256)]
    pads = half // 8
    inputs = {"en": 2, "wa": pads, "wb": enables_b, "aa": top, "ab": top}
    inputs |= {"da": half, "db": half, "pa": pads, "pb": pads}
    seen = 2 * (half + pads)
    instance = f"""{cell} #(.RAM_MODE("{mode}"), .READ_WIDTH_A({read_a}), .WRITE_WIDTH_A({write_a}),
        .READ_WIDTH_B({read_b}), .WRITE_WIDTH_B({write_b}), .WRITE_MODE_A("READ_FIRST"),
        .WRITE_MODE_B("READ_FIRST"), {", ".join(inits)}) dut (.CLKARDCLK(clk), .CLKBWRCLK(clk),
        .ENARDEN(en[0]), .ENBWREN(en[1]), .RSTRAMARSTRAM(1'b0), .RSTRAMB(1'b0), .WEA(wa),
        .WEBWE(wb), .ADDRARDADDR(aa), .ADDRBWRADDR(ab), .DIADI(da), .DIBDI(db), .DIPADIP(pa),
        .DIPBDIP(pb),
        .DOADO(q[{half - 1}:0]), .DOBDO(q[{2 * half - 1}:{half}]),
        .DOPADOP(q[{2 * half + pads - 1}:{2 * half}]),
        .DOPBDOP(q[{2 * half + 2 * pads - 1}:{2 * half + pads}]));"""
    run = simulate(tmp_path, cell, instance, inputs, seen)

    def word(row: Mapping[str, int], port: str) -> int:
        """Data and parity of a port's input as bytes of 9 bits."""
        data, parity = row[f"d{port}"], row[f"p{port}"]
        return sum(((data >> 8 * i & 255) | (parity >> i & 1) << 8) << 9 * i for i in range(pads))

    driven, expected, held_a, held_b = [], [], 0, 0
    for _ in range(CYCLES):
        row = {name: int(rng.integers(0, 1 << width)) for name, width in inputs.items()}
        row |= {"aa": row["aa"] & 0x1FF, "ab": row["ab"] & 0x1FF}
        if write_a and write_b and row["aa"] >> 6 == row["ab"] >> 6:
            row["wa"] = 0  # nothing says who wins
        driven.append(row)
        expected.append((held_a, held_b))
        if row["en"] & 1:
            held_a = bits.read(row["aa"], read_a)
        if row["en"] & 2 and read_b:
            held_b = bits.read(row["ab"], read_b)
        if row["en"] & 1 and write_a:
            bits.write(row["aa"], write_a, word(row, "a"), row["wa"])
        if row["en"] & 2 and write_b:
            wide = mode == "SDP" and write_b == 2 * (half + pads)
            value = word(row, "b") << (half + pads) | word(row, "a") if wide else word(row, "b")
            bits.write(row["ab"], write_b, value, row["wb"])
    for got, (want_a, want_b) in zip(run(driven), expected, strict=True):
        value = int(got.replace("x", "0"), 2)
        parts = [(value, 2 * half), (value >> half, 2 * half + pads)]
        joined = [
            sum(
                ((part >> 8 * i & 255) | (value >> (parity + i) & 1) << 8) << 9 * i
                for i in range(pads)
            )
            for part, parity in parts
        ]
        if read_a == 2 * (half + pads):
            assert joined[1] << (half + pads) | joined[0] == want_a
        else:
            assert joined[0] & (1 << read_a) - 1 == want_a
        if read_b:
            assert joined[1] & (1 << read_b) - 1 == want_b


DSPS = [
    ({}, 0b0000101, 0),
    ({"AREG": 1, "BREG": 1, "MREG": 1, "PREG": 1}, 0b0000101, 0),
    ({"AREG": 1, "CREG": 1, "PREG": 1}, 0b0110101, 0),
    ({"BREG": 1, "MREG": 1}, 0b0110101, 0b0011),
    ({"PREG": 1}, 0b0100101, 0),
]


@pytest.mark.parametrize(("registers", "opmode", "alumode"), DSPS)
def test_dsp48e1(tmp_path: Path, registers: dict[str, int], opmode: int, alumode: int) -> None:
    rng = np.random.default_rng(opmode + alumode)
    names = ("ACASCREG", "ADREG", "ALUMODEREG", "BCASCREG", "CARRYINREG", "CARRYINSELREG", "DREG")
    off = dict.fromkeys(
        (*names, "AREG", "BREG", "CREG", "MREG", "PREG", "INMODEREG", "OPMODEREG"), 0
    )
    given = ", ".join(f".{name}({value})" for name, value in (off | registers).items())
    instance = f"""DSP48E1 #({given}) dut (.CLK(clk), .A(a), .B(b), .C(c), .D(25'd0), .ACIN(30'd0),
        .BCIN(18'd0), .PCIN(48'd0), .ALUMODE(4'd{alumode}), .OPMODE(7'd{opmode}), .INMODE(5'd0),
        .CARRYIN(1'b0), .CARRYINSEL(3'd0), .CEA2(ce[0]), .CEB2(ce[1]), .CEC(ce[2]), .CEM(ce[3]),
        .CEP(ce[4]), .RSTA(r[0]), .RSTB(r[1]), .RSTC(r[2]), .RSTM(r[3]), .RSTP(r[4]), .P(q));"""
    run = simulate(tmp_path, "DSP48E1", instance, {"a": 30, "b": 18, "c": 48, "ce": 5, "r": 5}, 48)
    held = dict.fromkeys("abcmp", 0)
    rows, expected = [], []
    for _ in range(CYCLES):
        row = {"a": int(rng.integers(0, 1 << 30)), "b": int(rng.integers(0, 1 << 18))}
        row |= {"c": int(rng.integers(0, 1 << 48)), "ce": int(rng.integers(0, 32))}
        row["r"] = int(rng.integers(0, 32)) if rng.random() < 0.1 else 0
        seen = {n: held[n] if registers.get(f"{n.upper()}REG") else row[n] for n in "abc"}
        product = signed(seen["a"] & (1 << 25) - 1, 25) * signed(seen["b"], 18)
        m = held["m"] if registers.get("MREG") else product
        z = {0: 0, 3: seen["c"], 2: held["p"]}[opmode >> 4]
        result = (z - m if alumode else z + m) & (1 << 48) - 1
        expected.append(held["p"] if registers.get("PREG") else result)
        rows.append(row)
        for i, (name, value) in enumerate(
            {"a": row["a"], "b": row["b"], "c": row["c"], "m": product, "p": result}.items()
        ):
            if row["r"] >> i & 1:
                held[name] = 0
            elif row["ce"] >> i & 1:
                held[name] = value
    assert [int(got, 2) for got in run(rows)] == expected
