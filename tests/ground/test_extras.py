"""Which extra brings what, by the package's own metadata."""

from __future__ import annotations

import importlib.metadata

import pytest

from neurocuda_hw.ground import extras

DECLARED = [
    "torch>=2.6",
    "nothere>=1; extra == 'all'",
    "neurocuda_hw[few,many]; extra == 'all'",
    "numpy<3; extra == 'few'",
    "cocotbext-axi<0.2,>=0.1; extra == 'many'",
    "nothere>=1; extra == 'many'",
    "rare; (sys_platform == 'x') and extra == 'many'",
]


def test_extras_and_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: DECLARED)
    monkeypatch.setattr(extras, "_is_here", lambda package: package == "numpy")
    found = {e.name: (e.packages, e.missing) for e in extras.find_extras()}
    many = ("cocotbext-axi", "nothere", "rare")
    assert found == {
        "all": (("nothere", "numpy", "cocotbext-axi", "rare"), ("nothere", "cocotbext-axi")),
        "few": (("numpy",), ()),
        "many": (many, ("cocotbext-axi", "nothere")),
    }
    assert extras.find_extras()[2].install == "pip install 'neurocuda_hw[many]'"
    wanted = {"cocotbext.axi": "[many]", "numpy": "[few]", "rare": "[many]", "torch": ""}
    assert {name: extras.extra_of(name) for name in wanted} == wanted


def test_a_package_that_is_not_installed_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert extras.find_extras() == []
    assert extras.extra_of("nir") == ""
