"""What tests need of the machine: a missing tool skips a test, or fails it where CI is set."""

from __future__ import annotations

import os

import pytest

from neurocuda_hw.ground.programs import Tool


def need(*tools: Tool) -> None:
    """Skips the test, with the reason, unless all tools can be used; fails it in CI."""
    for tool in tools:
        if not tool.usable:
            if os.environ.get("CI"):
                pytest.fail(tool.problem)
            pytest.skip(tool.problem)
