"""The package's imports, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "neurocuda_hw"


@dataclass(frozen=True)
class Import:
    """One import statement: who (module and room), where, of what, and whether when loaded."""

    module: str
    importer: str
    place: str
    name: str
    at_loading: bool


def imports() -> Iterator[Import]:
    """All imports of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        place = path.relative_to(PACKAGE.parent).as_posix()
        tree = ast.parse(path.read_text())
        for node, at_loading in statements(tree):
            for name in names(node, parts):
                yield Import(".".join(parts), parts[0], f"{place}:{node.lineno}", name, at_loading)


def statements(
    tree: ast.AST, at_loading: bool = True
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Import statements, and whether they run when the module is loaded."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, at_loading
        else:
            later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            later |= isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            yield from statements(node, at_loading and not later)


def names(node: ast.Import | ast.ImportFrom, parts: tuple[str, ...]) -> list[str]:
    """Absolute dotted names of what is imported; ``from a import b`` counts as ``a.b``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        above = ("neurocuda_hw", *parts)[: -node.level]
        base = ".".join((*above, base)).rstrip(".")
    return [f"{base}.{alias.name}" for alias in node.names]


def longest(edges: dict[str, set[str]], start: str = "") -> list[str]:
    """The longest way along the edges, of all or from `start`; it fails where there is a circle."""
    ways: dict[str, list[str]] = {}

    def visit(member: str, path: tuple[str, ...]) -> list[str]:
        assert member not in path, " -> ".join((*path, member))
        if member not in ways:
            below = [visit(other, (*path, member)) for other in sorted(edges.get(member, ()))]
            ways[member] = [member, *max(below, key=len, default=[])]
        return ways[member]

    return max((visit(m, ()) for m in ([start] if start else sorted(edges))), key=len)
