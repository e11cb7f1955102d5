"""Fixed seeds, one thread for every test, and a place where all of them keep what they compile."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded: workers share few cores

import pytest
from hypothesis import HealthCheck, settings

from neurocuda_hw.simulation.simulate import object_cache

settings.register_profile(
    "fixed",
    deadline=None,
    derandomize=True,  # the same examples in every run; HYPOTHESIS_PROFILE=explore draws new ones
    database=None,
    print_blob=True,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
)
settings.register_profile(
    "explore",
    settings.get_profile("fixed"),
    derandomize=False,
    max_examples=2000,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def pytest_configure(config: pytest.Config) -> None:
    """What one test compiled others take, in this run and the next, in whichever process."""
    if not hasattr(config, "workerinput"):  # xdist's workers are told by the environment
        folder = os.environ.setdefault("NCHW_CACHE", str(config.cache.mkdir("compiled")))
        os.environ.setdefault("OBJCACHE", object_cache(Path(folder) / "runtime"))
