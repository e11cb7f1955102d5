"""The estimate of a clock: a fit that finds what it was made of, and says how far off it is."""

from __future__ import annotations

import pytest

from neurocuda_hw.passes import clocks
from neurocuda_hw.passes.clocks import FITS, Fit, estimate, fitted, told
from neurocuda_hw.passes.devices import Family, find_device


def test_a_fit_finds_the_parameters_it_was_made_with() -> None:
    true = Fit(base=4.0, rise=0.75, error=0.0, designs=0)
    sizes = [200, 500, 1_700, 9_000]
    found = fitted(sizes, [true.mhz(n) for n in sizes])
    assert (found.base, found.rise) == (pytest.approx(4.0), pytest.approx(0.75))
    assert (found.error, found.designs) == (pytest.approx(0.0, abs=1e-9), 4)


def test_the_error_is_the_worst_of_the_designs() -> None:
    sizes, rates = [256, 1024, 4096, 4096], [100.0, 80.0, 60.0, 90.0]
    found = fitted(sizes, rates)
    errors = [abs(found.mhz(n) / f - 1) for n, f in zip(sizes, rates, strict=True)]
    assert found.error == max(errors) > 0.05


def test_a_clock_never_rises_with_the_size() -> None:
    found = fitted([100, 1000, 10_000], [50.0, 60.0, 70.0])
    assert found.rise == 0
    assert 50 < found.mhz(10**6) < 70


def test_every_fit_has_an_error_and_falls() -> None:
    for fit in FITS.values():
        assert 0 < fit.error < 0.5
        assert fit.designs >= 3
        assert fit.mhz(300) > fit.mhz(30_000) > 10


def test_what_is_said_of_a_wanted_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = Fit(base=5.0, rise=0.5, error=0.2, designs=8)  # 1,024 LUTs: 100 MHz
    monkeypatch.setattr(clocks, "FITS", {Family.ECP5: fit, Family.ICE40: fit})
    part = find_device("lfe5u-25f")
    said = (
        "In lfe5u-25f about 100 MHz can be expected (fitted to 8 routed designs, at worst 20% off)"
    )
    assert told(part, 1024, 121) == f"{said}: 121 MHz is too much."
    assert told(part, 1024, 100) == f"{said}: 100 MHz may be too much."
    assert told(part, 1024, 79) == f"{said}: 79 MHz is less."
    assert told(find_device("xc7a35t"), 1024, 79).startswith("Nothing is known of the clock in")
    assert estimate(find_device("ice40lp8k"), 1024) is None
    slow, fast = (estimate(find_device(f"ice40{kind}"), 1024) for kind in ("up5k", "hx8k"))
    assert slow is not None
    assert fast == (pytest.approx(100.0), fit)
    assert slow[0] < 0.5 * fast[0]
