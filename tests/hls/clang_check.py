"""What clang and LLVM say of the C++ as it is synthesised: dependences in pipelined loops, guards.

The vendor's integers stand here as clang's own ``_BitInt``, so that a row of state is one word that
is loaded and stored as a whole, as in hardware, and streams are opaque. LLVM's dependence analysis
(``opt -passes=print<da>``) then says of each pair of accesses to a memory whether one iteration can
touch what another did.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neurocuda_hw.ground.programs import Tool, run

AP_INT = """
#ifndef AP_INT_H
#define AP_INT_H
template <int N> struct ap_slice {
    unsigned _BitInt(N) &all;
    int high, low;
    operator unsigned long long() const {
        return (unsigned long long)(all >> low) & (~0ULL >> (63 - high + low));
    }
    void operator=(unsigned long long x) {
        const unsigned _BitInt(N) mask = (unsigned _BitInt(N))(~0ULL >> (63 - high + low)) << low;
        all = (all & ~mask) | ((unsigned _BitInt(N))x << low & mask);
    }
    void operator=(const ap_slice &x) { *this = (unsigned long long)x; }
    template <int M> void operator=(const ap_slice<M> &x) { *this = (unsigned long long)x; }
};
template <int N> struct ap_uint {
    unsigned _BitInt(N) bits;
    ap_uint() = default;
    ap_uint(const ap_uint &x) : bits(x.bits) {}
    ap_uint &operator=(const ap_uint &x) { bits = x.bits; return *this; }
    template <class T> ap_uint(T x) : bits((unsigned _BitInt(N))(unsigned long long)x) {}
    operator unsigned long long() const { return bits; }
    ap_slice<N> range(int high, int low) const {
        return {const_cast<unsigned _BitInt(N) &>(bits), high, low};
    }
};
template <int N> struct ap_int {
    unsigned _BitInt(N) bits;
    ap_int() = default;
    template <class T> ap_int(T x) : bits((unsigned _BitInt(N))(long long)x) {}
    operator long long() const {
        return (long long)((unsigned long long)bits << (64 - N)) >> (64 - N);
    }
    ap_slice<N> range(int high, int low) const {
        return {const_cast<unsigned _BitInt(N) &>(bits), high, low};
    }
};
#endif
"""
STREAM = """
#ifndef HLS_STREAM_H
#define HLS_STREAM_H
namespace hls {
template <class T> struct stream {
    explicit stream(const char *);
    ~stream();
    void write(const T &);
    T read();
};
}
#endif
"""
SYNTHESIS = ("-std=c++14", "-O1", "-D__SYNTHESIS__", "-DNCHW_CHECK", "-w", "-S", "-emit-llvm")
WHOLE = ("-fno-vectorize", "-fno-slp-vectorize", "-fno-discard-value-names")


def find_clang() -> tuple[Tool, Tool] | None:
    """clang and the opt of the same release; None where they are not installed."""
    for name in (
        os.environ.get("NCHW_CLANG", ""),
        "clang++",
        *(f"clang++-{n}" for n in range(14, 22)),
    ):
        path = shutil.which(name) if name else None
        if path is None:
            continue
        text = run(Tool(name="clang", command=(path,)), ["--version"]).stdout
        release = re.search(r"clang version (\d+)", text)
        for other in (f"opt-{release[1]}", "opt") if release and int(release[1]) >= 14 else ():
            opt = shutil.which(other)
            if opt is None:
                continue
            told = run(Tool(name="opt", command=(opt,)), ["--version"]).stdout
            if release and f"LLVM version {release[1]}." in told:
                return Tool(name="clang", command=(path,)), Tool(name="opt", command=(opt,))
    return None


@dataclass(frozen=True)
class Pair:
    """Two accesses to one memory in one function, and what LLVM says of them."""

    function: tuple[str, ...]
    memory: str
    dependence: str

    @property
    def carried(self) -> bool:
        """Whether two iterations may meet: unless LLVM excludes it, or names the same iteration
        only (0 or =; what follows a bar is the order within it)."""
        if self.dependence.startswith("none") or "input" in self.dependence.split():
            return False
        directions = re.search(r"\[(.*?)\]", self.dependence)
        return directions is None or any(
            d not in ("0", "=") for d in directions[1].split("|")[0].split()
        )


def dependences(clang: Tool, opt: Tool, folder: Path) -> Iterator[Pair]:
    """Each pair of accesses to one array of the project in `folder`, every function apart."""
    (folder / "ap_int.h").write_text(AP_INT)
    (folder / "hls_stream.h").write_text(STREAM)
    text = (folder / "nchw_top.cpp").read_text()
    apart = re.sub(r"(?m)^static void (\w+)\(", r"static __attribute__((noinline)) void \1(", text)
    (folder / "apart.cpp").write_text(apart)
    run(clang, [*SYNTHESIS, *WHOLE, "-I.", "apart.cpp", "-o", "apart.ll"], cwd=folder)
    found = run(opt, ["-passes=print<da>", "-disable-output", "apart.ll"], cwd=folder).stdout
    pointers = _pointers((folder / "apart.ll").read_text())
    function = ""
    pair: list[str] = []
    for line in found.splitlines():
        if line.startswith("'Dependence"):
            function = line.split("'")[3]
        elif line.startswith("Src:"):
            pair = [
                _memory(access, pointers.get(function, {})) for access in line.split(" --> Dst:")
            ]
        elif "da analyze" in line:
            what = line.split(" - ")[1].strip()
            if pair[0] and pair[0] == pair[1]:
                yield Pair(_spelt(function), pair[0], what)


def _spelt(mangled: str) -> tuple[str, ...]:
    """Namespace and name of a mangled function: ("layer_hidden", "sweep")."""
    names: list[str] = []
    rest = re.sub("^_ZN?L?", "", mangled)
    while length := re.match(r"L?(\d+)", rest):
        start = length.end()
        names.append(rest[start : start + int(length[1])])
        rest = rest[start + int(length[1]) :]
    return tuple(names)


def _pointers(text: str) -> dict[str, dict[str, str]]:
    """For each function: what each of its values was made from, if that is an address."""
    found: dict[str, dict[str, str]] = {}
    names: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("define"):
            names = found.setdefault(line.split("@")[1].split("(")[0], {})
        elif made := re.match(
            r"\s+(%\S+) = (?:getelementptr|bitcast|addrspacecast|phi|select)\b.*?\* ([@%][^\s,)]+)",
            line,
        ):
            names[made[1]] = made[2]
    return found


def _memory(access: str, names: dict[str, str]) -> str:
    """The global array or the argument that a load or a store reaches; empty if it is a local."""
    at = re.search(r"(?:load|store) .*?\* ([@%][^\s,)]+|getelementptr.*?@[^\s,)]+)", access)
    if at is None:
        return ""
    name = at[1]
    while name in names:
        name = names[name]
    place = name.find("@")
    return name[place:] if place >= 0 else ""
