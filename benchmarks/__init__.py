"""The figures of this project: `python -m benchmarks list` names them, `table.py` is the list."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

sys.path.insert(0, str(ROOT / "examples"))  # they are no package, and import one another by name
