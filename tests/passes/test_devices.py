"""The table of devices, and how a name finds its part."""

from __future__ import annotations

import pytest

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.passes.devices import DEVICES, Family, find_device


def test_every_device_is_there_once_with_figures_and_a_source() -> None:
    assert len({d.name for d in DEVICES}) == len(DEVICES) > 40
    assert {d.family for d in DEVICES} == set(Family)
    for device in DEVICES:
        assert device.luts > 0
        assert device.flipflops >= device.luts * (0.75 if device.family is Family.GOWIN else 1)
        assert device.blocks >= 0 <= device.dsps
        assert device.source.split()[0] in ("AMD", "Gowin", "Lattice")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("xc7a35t", "xc7a35t"),
        ("XC7A35TCPG236-1", "xc7a35t"),
        ("xc7z020clg400-1", "xc7z020"),
        ("xczu3eg-sbva484-1-e", "xczu3"),
        ("LFE5U-25F-6BG381C", "lfe5u-25f"),
        ("ice40up5k-sg48", "ice40up5k"),
    ],
)
def test_package_and_speed_grade_may_follow(given: str, name: str) -> None:
    assert find_device(given).name == name


@pytest.mark.parametrize(("given", "hint"), [("xc7a35", "; did you mean xc7a35t?"), ("banana", "")])
def test_unknown_device_names_all_and_the_nearest(given: str, hint: str) -> None:
    names = ", ".join(d.name for d in DEVICES)
    with pytest.raises(ModelError) as error:
        find_device(given)
    assert str(error.value) == f"device must be one of {names}, not {given!r}{hint}"
