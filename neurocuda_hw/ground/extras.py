"""The optional packages: which extra brings them, by what the installed package says of itself."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass

PACKAGE = "neurocuda_hw"
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[([\w,.-]+)\])?[^;]*;(.*)extra == ['\"]([\w-]+)['\"]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """One extra: its packages, and those that are not here.

    A package that only some machines need (`pyosys`) is not counted as missing.
    """

    name: str
    packages: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def install(self) -> str:
        """The command that brings it."""
        return f"pip install '{PACKAGE}[{self.name}]'"


def find_extras() -> list[Extra]:
    """Every extra that is declared, by name; none where the package is not installed."""
    try:
        requirements = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found: dict[str, dict[str, bool]] = {}  # packages by extra, and whether every machine needs it
    parts: dict[str, list[str]] = {}
    for text in requirements:
        if match := _REQUIREMENT.fullmatch(text):
            name, inside, markers, extra = match.groups()
            found.setdefault(extra, {})
            if inside and name.replace("-", "_") == PACKAGE:
                parts[extra] = inside.split(",")
            else:
                found[extra][name] = not markers.strip()
    for extra, names in parts.items():
        found[extra] |= {p: needed for name in names for p, needed in found[name].items()}
    return [
        Extra(
            name=extra,
            packages=tuple(packages),
            missing=tuple(p for p, needed in packages.items() if needed and not _is_here(p)),
        )
        for extra, packages in sorted(found.items())
    ]


def extra_of(module: str) -> str:
    """The smallest extra that brings a module, in square brackets; empty where none does."""
    wanted = module.split(".")[0].lower()
    for extra in sorted(find_extras(), key=lambda extra: len(extra.packages)):
        for package in extra.packages:
            name = package.lower().replace("-", "_")
            if wanted in (name, re.split(r"[_.]", name)[0]):
                return f"[{extra.name}]"
    return ""


def _is_here(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
