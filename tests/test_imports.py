"""Who may import whom: rooms import only down, and the command line starts light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from reading import PACKAGE, Import, imports, longest

# Each folder of the package is a room; a room may import itself and those above. What stands beside
# the folders: the names that users import by themselves, which hand on those of the rooms.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("ground",),
    ("network",),
    ("host",),
    ("data",),
    ("reference",),
    ("linear",),
    ("conversion", "nir"),
    ("passes", "coverage"),
    ("rtl", "hls", "loihi", "synth"),
    ("simulation",),
    ("targets",),
    ("project",),
    ("report",),
    ("commands",),
    ("cli",),
    ("__main__", "__init__", "build", "verify", "datasets", "neurons", "plots", "synapses"),
)
STRANGERS = (("rtl", "hls", "loihi", "synth"), ("conversion", "nir"))  # never import one another
LONGEST = 12  # rooms on the longest way down

# Who may import a package when it is loaded itself; elsewhere only within functions.
AT_LOADING = {
    "torch": (
        *("conversion", "linear", "nir"),
        *("coverage", "reference", "network.inputs", "network.model_file", "data.batches", "loihi"),
    ),
    "click": ("cli", "commands"),
}
# Who may import a package at all.
ONLY = {
    "amaranth": ("rtl",),
    "jinja2": ("hls", "report"),
    "matplotlib": ("report",),
    "nir": ("nir",),
    "faery": ("data",),
    "hdf5plugin": ("data",),
    "click": ("cli", "commands"),
    "rich": ("commands", "ground.progress"),
}


def within(module: str, places: tuple[str, ...]) -> bool:
    """Whether a module is one of `places`, or in one of them."""
    return any(module == place or module.startswith(f"{place}.") for place in places)


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
    assert len(list(PACKAGE.glob("*.py"))) <= 10


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


MODULES = {i.module for i in ALL}


def file_of(name: str) -> str:
    """The module of the package that an imported name is, or is in."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts)


def test_the_way_down_through_the_rooms_is_short() -> None:
    edges: dict[str, set[str]] = {}
    for i in INSIDE:
        if target(i) != i.importer:
            edges.setdefault(i.importer, set()).add(target(i))
    way = longest(edges)
    assert len(way) <= LONGEST, " -> ".join(way)


def test_no_files_import_one_another_in_a_circle() -> None:
    edges: dict[str, set[str]] = {}
    for i in INSIDE:
        if file_of(i.name) not in ("", i.module):
            edges.setdefault(i.module, set()).add(file_of(i.name))
    longest(edges)


@pytest.mark.parametrize("package", sorted(AT_LOADING))
def test_heavy_packages_load_late(package: str) -> None:
    wrong = [
        i.place
        for i in ALL
        if i.name.split(".")[0] == package
        and i.at_loading
        and not within(i.module, AT_LOADING[package])
    ]
    assert wrong == []


@pytest.mark.parametrize("package", sorted(ONLY))
def test_packages_stay_in_their_rooms(package: str) -> None:
    found = {i.module: i.place for i in ALL if i.name.split(".")[0] == package}
    assert {k: v for k, v in found.items() if not within(k, ONLY[package])} == {}


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
