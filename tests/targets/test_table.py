"""The table is the only place that knows targets: nobody compares their names, and a new one is
one file and one row."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import neurocuda_hw
from neurocuda_hw.targets.built import ALL
from neurocuda_hw.targets.table import BENCHES, BUILT, COMPILED, VERIFIED, parts, verified_by

PACKAGE = Path(neurocuda_hw.__file__).parent
NAMES = {*COMPILED, *BUILT, *BENCHES, ALL} - {"cpu"}  # which is also PyTorch's name of a device
# Names that mean something else: a kind of reset, folders of the package, a package of Python.
OTHERS = {"nir/to_network.py", "__init__.py", "ground/errors.py"}


def compared(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every comparison with a target's name, and every look-up by one."""
    for node in ast.walk(tree):
        found: list[ast.expr | None] = []
        if isinstance(node, ast.Compare):
            found = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            found = [node.value]
        elif isinstance(node, ast.Dict):
            found = [*node.keys]
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            found = [node.slice]
        for side in found:
            inner = side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
            for value in inner:
                if isinstance(value, ast.Constant) and value.value in NAMES:
                    yield value.lineno, str(value.value)


@pytest.mark.parametrize(
    "code",
    [
        "x == 'hls'",
        "'all' != x",
        "x in ('verilog', 'toy')",
        "x not in ['nir']",
        "{'loihi': 1}",
        "x['verilog']",
        "match x:\n    case 'hls': pass",
    ],
)
def test_comparisons_are_found(code: str) -> None:
    assert len(list(compared(ast.parse(code)))) == 1


def test_nobody_else_compares_a_target_with_its_name() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line}: {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.parent.name != "targets" and path.relative_to(PACKAGE).as_posix() not in OTHERS
        for line, name in compared(ast.parse(path.read_text()))
    ]
    assert wrong == []


def test_what_a_build_holds() -> None:
    assert list(BUILT) == ["verilog", "hls", "loihi", "nir", "ecp5", "ice40", "gowin"]
    assert list(VERIFIED) == ["verilog", "icarus", "netlist", "hls", "loihi"]
    assert [t.name for t in parts("all")] == ["verilog", "hls", "loihi"]
    assert [t.name for t in parts("hls")] == ["hls"]
    assert parts("cpu") == ()
    assert [verified_by(name) for name in ("loihi", "all", "nir", None)] == [
        *("loihi", "verilog", "verilog", "verilog")
    ]


TOY = '''
"""A target that writes down the golden spikes, and counts them again."""

from neurocuda_hw.targets.base import Bench, Target


class Toy(Target):
    name = "toy"
    computes = "the reference, step by step"
    builds = "a toy"
    title = "Toy"
    product = "this toy"
    subfolder = "toy/"
    place = "toy"

    def __init__(self):
        self.benches = (Bench(name="toy", compares="the toy's spikes", check=self.check),)

    def prepare(self, study, **options):
        from neurocuda_hw.reference.reference import Reference

        return Reference(study.network, stepwise=True)

    def observe(self, product, expected):
        return product.trace(expected.inputs), ""

    def files(self, study, options):
        return {"spikes.npz": study.trace.to_bytes()}

    def check(self, study, built, asked):
        from neurocuda_hw.network.trace import Trace
        from neurocuda_hw.targets.checks import compared

        under = self.within(built)
        if built is None or under is None:
            found, _ = self.observe(self.prepare(study), study.trace)
        else:
            (content,) = built.read([f"{under}spikes.npz"]).values()
            found = Trace.from_bytes(content)
        return compared("toy", study.network, study.trace, found)
'''
USED = """
import json, sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import neurocuda_hw as nc
from neurocuda_hw.cli import main
from neurocuda_hw.report import judge, read_facts

network = nc.load(sys.argv[1])
assert [*nc.list_backends()][-1] == "toy"
result = nc.compile(network, "toy")
inputs = nc.load_trace(sys.argv[2]).inputs[:3]
trace = result["backend"].trace(result["compiled_model"], inputs)
assert nc.first_divergence(network, nc.Reference(network).trace(inputs), trace) is None


def nchw(*arguments):
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code


def sentence(folder):
    return judge(read_facts(folder)).sentence


build = ("build", sys.argv[1], "--golden", sys.argv[2], "--target")
assert nchw(*build, "toy", "-o", "one") == 0
assert sentence("one") == "Not verified: nothing has compared this toy with the golden trace."
assert nchw("verify", "one") == 0
assert sentence("one").startswith("Verified: every spike of every layer is equal on ")
assert nchw("report", "one") == 0
assert "Toy" in Path("one/report.html").read_text()
assert nchw(*build, "all", "-o", "all") == 0
assert json.loads(Path("all/report.json").read_text())["target"] == "all"
assert nchw("verify", "all", "--target", "toy,loihi") == 0
assert sentence("all").endswith("is equal, nothing has compared verilog, hls.")
wrong = nc.load_trace("all/toy/spikes.npz")
name = list(wrong.sizes)[-1]
spikes = wrong.spikes[name].copy()
spikes[1, -1, 0] ^= 1
changed = replace(wrong, spikes={**wrong.spikes, name: spikes})
Path("all/toy/spikes.npz").write_bytes(changed.to_bytes())
assert nchw("verify", "all", "--target", "toy") == 1
assert nchw("verify", sys.argv[1], "--target", "toy") == 0
nchw("doctor", "--json")
"""


@pytest.mark.slow
def test_a_new_target_is_one_file_and_one_row(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(
        PACKAGE, copy / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", "obj_dir")
    )
    if not (PACKAGE / "_sim").is_dir():
        (copy / "sim").symlink_to(PACKAGE.parent / "sim")
    (copy / PACKAGE.name / "targets" / "toy.py").write_text(TOY)
    table = copy / PACKAGE.name / "targets" / "table.py"
    lines = table.read_text().splitlines()
    row = lines.index("    Nir(),")
    lines.insert(row + 1, "    __import__('neurocuda_hw.targets.toy').targets.toy.Toy(),")
    table.write_text("\n".join(lines))
    golden = Path(__file__).parents[2] / "golden"
    done = subprocess.run(
        [sys.executable, "-c", USED, golden / "mixed.pt", golden / "mixed.npz"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"name": "toy"' in done.stdout
