"""Round trips through the frameworks that are installed: each does what the committed table says.

The networks, and how their spikes are compared, are in `benchmarks.nir_small_networks`.
"""

import json
from pathlib import Path

import pytest

from benchmarks.nir_frameworks import cases, installed, outcome, record

ROOT = Path(__file__).parents[2]
COMMITTED = json.loads((ROOT / "results" / "nir_frameworks.json").read_text())
SAID = {(r["package"], r["direction"], r["network"], r["settings"]): r for r in COMMITTED}
CASES = {(c.package, c.direction, c.what, c.settings): c for c in cases()}


def test_the_table_has_every_case_once():
    assert len(CASES) == len(cases())
    assert SAID.keys() == CASES.keys()
    for key, case in CASES.items():
        said = SAID[key]
        assert said["why"] == case.why
        assert bool(case.why) == (said["verdict"] != "exact"), key
        assert said["spikes"] > 20 or said["verdict"] == "unreadable"


@pytest.mark.filterwarnings("ignore")  # of the frameworks' own code
@pytest.mark.parametrize("key", CASES, ids=", ".join)
def test_case(key):
    case, said = CASES[key], SAID[key]
    if installed(case.package) is None:
        pytest.skip(f"{case.package} is not installed: pip install 'neurocuda_hw[frameworks]'")
    found = record(case, outcome(case))
    assert found["verdict"] == said["verdict"], found["error"]
    if installed(case.package) == said["version"]:
        assert found == said
