"""The figures of this project: `python -m benchmarks list` names them, `table.py` is the list."""

import importlib
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

sys.path.insert(0, str(ROOT / "examples"))  # they are no package, and import one another by name


def from_tests(module: str, *names: str) -> list[Any]:
    """What a module of `tests/` has; its folder is put on the path only now."""
    if str(ROOT / "tests") not in sys.path:
        sys.path.append(str(ROOT / "tests"))
    found = importlib.import_module(module)
    return [getattr(found, name) for name in names]
