"""Who may import whom (DESIGN 5): left may not import right, and the command line starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "neurocuda_hw"

# Each module or folder of the package stands in one room; a room may import itself and those above.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("errors", "files", "fixed", "progress", "programs", "toolchain", "ap_headers"),
    ("neurons", "synapses", "network"),
    (
        "ranges",
        "trace",
        "model_file",
        "delivery",
        "stepping",
        "layerwise",
        "reference",
        "datasets",
        "events",
        "batches",
        "snn",
        "metrics",
        "stimulus",
    ),
    ("conversion", "trained", "nir"),
    ("passes",),
    ("rtl", "hls", "loihi", "synth"),
    ("benches", "build", "simulate", "mutate", "golden", "checks", "verify", "record", "report"),
    ("backends",),
    ("commands",),
    ("cli",),
    ("__main__", "__init__"),
)
STRANGERS = (("rtl", "hls", "loihi", "synth"), ("conversion", "nir"))  # never import one another

# Who may import a package when it is loaded itself; elsewhere only within functions.
AT_LOADING = {
    "torch": (
        "conversion",
        "delivery",
        "stepping",
        "layerwise",
        "reference",
        "model_file",
        "batches",
        "snn",
        "metrics",
        "loihi",
        "nir",
    ),
    "click": ("cli", "commands"),
}
# Who may import a package at all.
ONLY = {
    "amaranth": ("rtl",),
    "jinja2": ("hls", "report"),
    "matplotlib": ("report",),
    "nir": ("nir",),
    "click": ("cli", "commands"),
    "rich": ("commands", "progress"),
}


@dataclass(frozen=True)
class Import:
    """One import statement: who (a room's member), where, of what, and whether when loaded."""

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
                yield Import(parts[0], f"{place}:{node.lineno}", name, at_loading)


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


ALL = list(imports())
INSIDE = [i for i in ALL if i.name.split(".")[0] == "neurocuda_hw"]


def room(member: str) -> int:
    """Where a module or folder stands."""
    found = [number for number, members in enumerate(ROOMS) if member in members]
    assert len(found) == 1, f"give {member!r} one room in {Path(__file__).name}"
    return found[0]


def target(imported: Import) -> str:
    """The member of a room that is imported."""
    rest = imported.name.split(".")[1:]
    if not rest:
        return "__init__"
    stands = any(rest[0] in members for members in ROOMS)
    return rest[0] if stands else "__init__"


def test_every_module_has_a_room() -> None:
    for path in PACKAGE.iterdir():
        if path.suffix == ".py" or list(path.glob("*.py")):
            room(path.stem)


def test_there_is_something_to_check() -> None:
    assert len(INSIDE) > 100
    assert {i.importer for i in INSIDE} >= {"network", "reference", "rtl", "build", "commands"}


def test_left_does_not_import_right() -> None:
    wrong = [f"{i.place} imports {i.name}" for i in INSIDE if room(target(i)) > room(i.importer)]
    assert wrong == []


@pytest.mark.parametrize("group", STRANGERS)
def test_strangers_do_not_import_one_another(group: tuple[str, ...]) -> None:
    wrong = [
        f"{i.place} imports {i.name}"
        for i in INSIDE
        if i.importer in group and target(i) in group and target(i) != i.importer
    ]
    assert wrong == []


def test_no_module_imports_itself_in_a_circle() -> None:
    edges: dict[str, set[str]] = {}
    for i in INSIDE:
        if i.at_loading and target(i) != i.importer:
            edges.setdefault(i.importer, set()).add(target(i))
    done: set[str] = set()

    def visit(member: str, path: tuple[str, ...]) -> None:
        assert member not in path, " -> ".join((*path, member))
        if member not in done:
            for other in sorted(edges.get(member, ())):
                visit(other, (*path, member))
            done.add(member)

    for member in sorted(edges):
        visit(member, ())


@pytest.mark.parametrize("package", sorted(AT_LOADING))
def test_heavy_packages_load_late(package: str) -> None:
    wrong = [
        i.place
        for i in ALL
        if i.name.split(".")[0] == package
        and i.at_loading
        and i.importer not in AT_LOADING[package]
    ]
    assert wrong == []


@pytest.mark.parametrize("package", sorted(ONLY))
def test_packages_stay_in_their_rooms(package: str) -> None:
    found = {i.importer: i.place for i in ALL if i.name.split(".")[0] == package}
    assert {k: v for k, v in found.items() if k not in ONLY[package]} == {}


@pytest.mark.parametrize(
    "statement",
    [
        "import neurocuda_hw",
        "import neurocuda_hw.cli",
        *(
            f"from neurocuda_hw.cli import cli; cli.main([{command!r}, '--help'], 'nchw', "
            "standalone_mode=False)"
            for command in ("convert", "inspect", "build", "verify", "synth", "golden", "doctor")
        ),
    ],
)
def test_starts_light(statement: str) -> None:
    code = (
        f"import sys; {statement}; "
        "print('loaded', sorted({'torch', 'numpy', 'amaranth', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "loaded []"


def test_public_names_exist() -> None:
    import neurocuda_hw

    for name in neurocuda_hw.__all__:
        assert getattr(neurocuda_hw, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'neurocuda_hw' has no attribute 'nothing'"):
        neurocuda_hw.nothing  # noqa: B018
    assert set(neurocuda_hw.__all__) <= set(dir(neurocuda_hw))
