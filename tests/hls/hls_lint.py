"""What can be said of HLS C++ without the vendor's tool: over its syntax tree, by libclang.

Checked is the synthesizable part (``nchw_top.cpp`` and ``nchw_types.h`` with ``__SYNTHESIS__``):
only documented pragmas with documented options, on loops, arrays, streams and ports that exist; a
data flow of calls whose streams have one writer and one reader; no recursion, no dynamic memory, no
loop but ``for`` with a constant bound and pipelined ``while`` loops that read a stream.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import clang.cindex as ci
from clang.cindex import CursorKind as Kind
from clang.cindex import TypeKind

from neurocuda_hw.ground.toolchain import find_compiler

FILES = ("nchw_top.cpp", "nchw_types.h")
_ARRAY = {"variable": r"\w+", "type": "complete|block|cyclic", "dim": r"\d+", "factor": r"\d+"}
_STORAGE = "fifo|ram_1p|ram_1wnr|ram_2p|ram_s2p|ram_t2p|rom_1p|rom_2p|rom_np"
# AMD, Vitis High-Level Synthesis User Guide (UG1399), chapter HLS Pragmas: those used here
DOCUMENTED: dict[str, dict[str, str]] = {
    "AGGREGATE": {"variable": r"\w+", "compact": "bit|byte|none|auto"},
    "ARRAY_PARTITION": _ARRAY,
    "ARRAY_RESHAPE": _ARRAY,
    "BIND_STORAGE": {
        "variable": r"\w+",
        "type": _STORAGE,
        "impl": "bram|lutram|uram|auto",
        "latency": r"\d+",
    },
    "DATAFLOW": {},
    "DEPENDENCE": {
        "variable": r"\w+",
        "type": "inter|intra",
        "direction": "RAW|WAR|WAW",
        "distance": r"\d+",
        "true": "",
        "false": "",
    },
    "INLINE": {"off": "", "recursive": ""},
    "INTERFACE": {"mode": "axis|s_axilite|ap_ctrl_hs|ap_ctrl_chain|ap_none", "port": r"\w+"},
    "LOOP_TRIPCOUNT": {"min": r"\d+", "max": r"\d+", "avg": r"\d+"},
    "PIPELINE": {"II": r"\d+", "off": "", "rewind": "", "style": "stp|frp|flp"},
    "RESET": {"variable": r"\w+", "off": ""},
    "STREAM": {"variable": r"\w+", "depth": r"\d+", "type": "fifo|pipo|shared"},
    "UNROLL": {"factor": r"\d+", "skip_exit_check": ""},
}
IN_LOOPS = ("PIPELINE", "UNROLL", "LOOP_TRIPCOUNT", "DEPENDENCE")
ON_ARRAYS = ("ARRAY_PARTITION", "ARRAY_RESHAPE", "BIND_STORAGE", "DEPENDENCE")
_ALLOCATES = ("malloc", "calloc", "realloc", "free", "operator new", "operator delete")
_DECLARES = (Kind.VAR_DECL, Kind.PARM_DECL)
_FUNCTIONS = (Kind.FUNCTION_DECL, Kind.FUNCTION_TEMPLATE, Kind.CXX_METHOD)
_UNBOUNDED = (Kind.DO_STMT, Kind.CXX_FOR_RANGE_STMT, Kind.GOTO_STMT)


@dataclass(frozen=True)
class Pragma:
    """One ``#pragma HLS`` line."""

    file: str
    line: int
    name: str
    options: dict[str, str]


class Function:
    """A function of the synthesizable part; its tree is walked once."""

    def __init__(self, cursor: ci.Cursor) -> None:
        self.cursor = cursor
        self.all = list(cursor.walk_preorder())
        self.loops = [c for c in self.all if c.kind in (Kind.FOR_STMT, Kind.WHILE_STMT)]
        self.variables = [c for c in self.all if c.kind in _DECLARES]


def lint(folder: Path) -> list[str]:
    """Everything that is wrong, as ``file:line: what``; nothing for a good project."""
    unit = _parse(folder)
    wrong = [str(d) for d in unit.diagnostics if d.severity >= ci.Diagnostic.Warning]
    if wrong:
        return wrong
    own = [c for c in unit.cursor.get_children() if _file(c) in FILES]
    inner = [c for n in own if n.kind == Kind.NAMESPACE for c in n.get_children()]
    functions = [Function(c) for c in (*own, *inner) if c.kind in _FUNCTIONS and c.is_definition()]
    constants = [c for c in (*own, *inner) if c.kind == Kind.VAR_DECL]
    for function in functions:
        wrong += _statements(function)
    wrong += _recursion(functions)
    pragmas = [p for name in FILES for p in _pragmas(folder / name)]
    if not pragmas:
        wrong.append("there are no pragmas at all")
    for pragma in pragmas:
        wrong += [
            f"{pragma.file}:{pragma.line}: {text}" for text in _pragma(pragma, functions, constants)
        ]
    return wrong


def _parse(folder: Path) -> ci.TranslationUnit:
    found = subprocess.run(
        [find_compiler().where, "-xc++", "-E", "-v", "/dev/null"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    listed = re.search(r"search starts here:\n( .*?)End of search", found, re.DOTALL)
    assert listed is not None
    arguments = [
        "-std=c++14",
        "-DNCHW_FAST",
        "-D__SYNTHESIS__",
        "-DNCHW_CHECK",
        "-Wno-unknown-pragmas",
    ]
    for line in listed[1].splitlines():
        arguments += ["-isystem", line.strip()]
    return ci.Index.create().parse(str(folder / "nchw_top.cpp"), arguments)


def _file(cursor: ci.Cursor) -> str:
    return Path(cursor.location.file.name).name if cursor.location.file else ""


def _at(cursor: ci.Cursor, text: str) -> str:
    return f"{_file(cursor)}:{cursor.location.line}: {text}"


def _statements(function: Function) -> Iterator[str]:
    for cursor in function.all:
        if cursor.kind in _UNBOUNDED:
            yield _at(cursor, f"a loop must be a for loop, not {cursor.kind.name}")
        elif cursor.kind == Kind.WHILE_STMT:
            # as long as the packet or the step: a blocking read paces it
            words = [t.spelling for t in cursor.get_tokens()]
            if "read" not in words or "PIPELINE" not in words:
                yield _at(cursor, "a while loop must be pipelined and read a stream")
        elif cursor.kind == Kind.FOR_STMT:
            if not _bounded(cursor):
                yield _at(cursor, "a for loop must count to a constant, by one")
        elif cursor.kind in (Kind.CXX_NEW_EXPR, Kind.CXX_DELETE_EXPR):
            yield _at(cursor, "memory must not be dynamic")
        elif cursor.kind == Kind.CALL_EXPR and cursor.spelling in _ALLOCATES:
            yield _at(cursor, f"memory must not be dynamic: {cursor.spelling}")
        elif _static(cursor) and not cursor.type.is_pod():
            # its construction is guarded at run time; at namespace scope it is not
            yield _at(cursor, f"{cursor.spelling} must not be a static of class type")
        elif cursor.kind in _DECLARES and "std::" in cursor.type.spelling:
            yield _at(cursor, f"{cursor.spelling} must not be of the standard library")


def _static(cursor: ci.Cursor) -> bool:
    return cursor.kind == Kind.VAR_DECL and cursor.storage_class == ci.StorageClass.STATIC


def _bounded(loop: ci.Cursor) -> bool:
    parts = list(loop.get_children())
    if len(parts) != 4 or parts[0].kind != Kind.DECL_STMT:
        return False
    variable = next(parts[0].get_children())
    name = variable.spelling
    condition, step = (" ".join(t.spelling for t in p.get_tokens()) for p in parts[1:3])
    upward = re.fullmatch(rf"{name} < (\w+)", condition) is not None and step == f"++ {name}"
    downward = re.fullmatch(rf"{name} >= (\w+)", condition) is not None and step == f"-- {name}"
    if not (upward or downward):
        return False
    bounds = [c for c in parts[1].walk_preorder() if c.kind == Kind.DECL_REF_EXPR]
    for bound in bounds:
        declared = bound.referenced
        if declared == variable or declared.kind == Kind.TEMPLATE_NON_TYPE_PARAMETER:
            continue
        if not declared.type.is_const_qualified():
            return False
    body = " ".join(t.spelling for t in parts[3].get_tokens())
    changed = rf"(?<!\. )\b{name} ([-+*/|&^]|<<|>>)?= |(\+\+|--) {name}\b|\b{name} (\+\+|--)"
    return re.search(changed, body) is None


def _recursion(functions: list[Function]) -> Iterator[str]:
    known = {f.cursor.get_usr(): f for f in functions}
    calls = {
        usr: {
            c.referenced.get_usr()
            for c in f.all
            if c.kind == Kind.CALL_EXPR and c.referenced is not None
        }
        & set(known)
        for usr, f in known.items()
    }
    for usr, function in known.items():
        reached, waiting = set(), [usr]
        while waiting:
            for called in calls[waiting.pop()] - reached:
                reached.add(called)
                waiting.append(called)
        if usr in reached:
            yield _at(function.cursor, f"{function.cursor.spelling} must not call itself")


def _pragmas(path: Path) -> Iterator[Pragma]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if "#pragma" in line:
            words = line.split()
            assert words[:2] == ["#pragma", "HLS"], line
            options = dict((*word.split("=", 1), "")[:2] for word in words[3:])
            yield Pragma(path.name, number, words[2], options)


def _pragma(pragma: Pragma, functions: list[Function], constants: list[ci.Cursor]) -> Iterator[str]:
    documented = DOCUMENTED.get(pragma.name)
    if documented is None:
        yield f"{pragma.name} must be a documented pragma"
        return
    for option, value in pragma.options.items():
        if option not in documented or not re.fullmatch(documented[option], value):
            yield f"{pragma.name} must have documented options, not {option}={value}"
    function = next((f for f in functions if _holds(f.cursor, pragma)), None)
    if function is None:
        yield f"{pragma.name} must be in a function"
        return
    if pragma.name in IN_LOOPS and not any(_holds(loop, pragma) for loop in function.loops):
        yield f"{pragma.name} must be in a loop"
    if pragma.name == "INTERFACE":
        ports = {p.spelling for p in function.cursor.get_arguments()} | {"return"}
        if pragma.options.get("port") not in ports:
            yield f"port {pragma.options.get('port')!r} must be an argument"
    if pragma.name == "DATAFLOW":
        yield from _data_flow(function.cursor)
    if "variable" in documented:
        yield from _variable(pragma, function, constants)


def _holds(cursor: ci.Cursor, pragma: Pragma) -> bool:
    start, end = cursor.extent.start, cursor.extent.end
    return _file(cursor) == pragma.file and start.line < pragma.line < end.line


def _variable(pragma: Pragma, function: Function, constants: list[ci.Cursor]) -> Iterator[str]:
    name = pragma.options.get("variable", "")
    around = function.cursor.semantic_parent.get_usr()
    near = [c for c in constants if c.semantic_parent.get_usr() == around]
    found = [
        c
        for c in (*function.variables, *near)
        if c.spelling == name and c.location.line < pragma.line
    ]
    if not found:
        yield f"{pragma.name}: there is no {name!r}"
        return
    kind = found[0].type.get_canonical()
    if kind.kind == TypeKind.LVALUEREFERENCE:
        kind = kind.get_pointee()
    if pragma.name in ON_ARRAYS:
        rank = 0
        while kind.kind == TypeKind.CONSTANTARRAY:
            kind, rank = kind.element_type, rank + 1
        if rank == 0 or int(pragma.options.get("dim", "1")) > rank:
            yield f"{pragma.name}: {name!r} must be an array of that dimension"
    elif pragma.name == "STREAM" and "hls::stream" not in kind.spelling:
        yield f"{pragma.name}: {name!r} must be a stream"


def _data_flow(function: ci.Cursor) -> Iterator[str]:
    body = next(c for c in function.get_children() if c.kind == Kind.COMPOUND_STMT)
    users: dict[str, list[int]] = {}
    for number, statement in enumerate(body.get_children()):
        if statement.kind == Kind.DECL_STMT:
            users |= {c.spelling: [] for c in statement.get_children()}
        elif statement.kind == Kind.CALL_EXPR:
            for cursor in statement.get_arguments():
                users.setdefault(cursor.spelling, []).append(number)
        else:
            yield f"a data flow must be declarations and calls, not {statement.kind.name}"
    ports = {p.spelling for p in function.get_arguments()}
    for name, calls in users.items():
        if len(calls) != (1 if name in ports else 2):
            yield f"stream {name!r} must have one writer and one reader, not {len(calls)} users"
