"""Builds the wheel, installs it alone outside the tree, and runs one command of each kind.

    python .ci/wheel.py              without an extra, with each that a command asks for, with all
    python .ci/wheel.py --only nir   without an extra, and with this one

Each command must work, or end with exit code 3 and a line of pip that names an extra. Then that
line is followed, in an environment of its own: what asked for the extra must not ask for it again.
With the extra `all` everything must work. What the wheel needs in any case is taken from the
packages of this Python, so that PyTorch is not installed again; nothing else of them can be
imported.
User code is checked by mypy against the wheel (tests/typed/user_code.py).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP_LINE = re.compile(r"pip install '?neurocuda_hw\[(\w+)\]'?")
TRAINED = r"""
import neurocuda_hw
print(neurocuda_hw.__file__)
import numpy as np, torch
from torch import nn
torch.manual_seed(0)
x = np.random.default_rng(0).random((80, 6), dtype=np.float32)
y = x.reshape(-1, 3, 2).sum(axis=2).argmax(axis=1)
np.savez("data.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
open("recording.es", "wb").write(b"Event Stream\2\0\0\1\4\0\4\0\3\1\0\2\0")
torch.export.save(torch.export.export(model, (torch.zeros(2, 6),)), "model.pt2")
"""
COMMANDS = [
    line.split()
    for line in """
    --version
    --help
    doctor
    convert model.pt2 --data data.npz -o network.pt
    inspect network.pt --data data.npz
    golden network.pt --data data.npz -o trace.npz
    build network.pt --data data.npz -o verilog
    build model.pt2 --data data.npz -o one
    build network.pt --data data.npz --target hls -o hls
    build network.pt --data data.npz --target loihi -o loihi
    build network.pt --data data.npz --target all -o all
    build network.pt --data data.npz --target nir --export annotated -o nir
    build network.pt --device lfe5u-25f -o folded
    verify network.pt --target loihi
    verify verilog
    verify verilog --cocotb
    verify hls --target hls
    verify network.pt --golden trace.npz --target hls
    synth verilog --device lfe5u-25f
    inspect graph.nir
    verify graph.nir --target loihi
    report verilog
    inspect recording.es
    convert model.pt2 --data data.npz -o plotted.pt --plot plot.svg
    """.strip().splitlines()
]


def needed() -> set[str]:
    """The distributions that the package needs without any extra, and those that these need."""
    found: set[str] = set()
    open_ = [r for r in importlib.metadata.requires("neurocuda_hw") or [] if "extra ==" not in r]
    while open_:
        name = re.split(r"[^\w.-]", open_.pop())[0].lower().replace("_", "-")
        if name in found:
            continue
        try:
            more = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        found.add(name)
        open_ += [r for r in more if "extra ==" not in r]
    return found


def link(name: str, folder: Path) -> None:
    """Links a distribution of this Python into `folder`."""
    distribution = importlib.metadata.distribution(name)
    for file in distribution.files or ():
        parts = file.parts
        if parts[0] in ("..", "__pycache__"):
            continue
        top = Path(str(distribution.locate_file(parts[0])))
        alone = top.suffix == ".dist-info" or (top / "__init__.py").exists() or len(parts) == 1
        path = Path(*parts[: 1 if alone else 2])  # a namespace is shared: its parts are linked
        place = folder / path
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.symlink_to(str(distribution.locate_file(path)))


class Environment:
    """A virtual environment with the wheel, and the extra that `name` is."""

    def __init__(self, name: str, wheel: Path, core: Path, place: Path) -> None:
        self.name, self.work, self.bin = name, place / "work", place / "venv" / "bin"
        venv.create(place / "venv", with_pip=False)
        (packages,) = (place / "venv" / "lib").glob("python*/site-packages")
        (packages / "core.pth").write_text(f"{core}\n")
        self.pip("--no-deps", str(wheel))
        if name != "none":  # the line that a command gave
            self.pip("--find-links", str(wheel.parent), f"neurocuda_hw[{name}]")
        self.work.mkdir()

    def pip(self, *arguments: str) -> None:
        """Installs."""
        python = str(self.bin / "python")
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
        subprocess.run([*pip, *arguments], check=True, env=environment())

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A program of the environment, in its work folder."""
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.work,
            env=environment(PATH=f"{self.bin}:/usr/local/bin:/usr/bin:/bin"),
            capture_output=True,
            text=True,
            timeout=900,
        )


def environment(**more: str) -> dict[str, str]:
    """That of this process without what leads Python to other packages."""
    apart = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME", "NCHW_CACHE")
    return {k: v for k, v in os.environ.items() if k not in apart} | more


def tried(here: Environment, graph: Path) -> dict[str, str]:
    """What each command asks for: an extra, or nothing; a failure is told and ends all."""
    inside = here.run("python", "-c", TRAINED)
    if str(here.bin.parent) not in inside.stdout:
        sys.exit(f"the wheel cannot be imported alone: {inside.stdout}{inside.stderr[-2000:]}")
    shutil.copy(graph, here.work / "graph.nir")
    asked = {}
    for arguments in COMMANDS:
        line = " ".join(["nchw", *arguments])
        done = here.run("nchw", *arguments)
        told = done.stdout + done.stderr
        wanted = PIP_LINE.search(told)
        if done.returncode == 0 or (done.returncode == 3 and wanted):
            asked[line] = wanted[1] if wanted and done.returncode else ""
        else:
            sys.exit(f"[{here.name}] {line}: exit code {done.returncode}\n{told[-2000:]}")
        print(f"[{here.name}] {line}: {(asked[line] and 'asks for ' + asked[line]) or 'works'}")
    return asked


def typed(here: Environment, place: Path) -> None:
    """User code against the wheel, under mypy's strict rules."""
    shutil.copy(ROOT / "tests" / "typed" / "user_code.py", place / "user_code.py")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull]
    command += ["--python-executable", str(here.bin / "python"), "user_code.py"]
    done = subprocess.run(command, cwd=place, env=environment(), capture_output=True, text=True)
    print(f"[{here.name}] mypy --strict user_code.py: {done.stdout.strip()}")
    if done.returncode:
        sys.exit("user code does not type-check against the wheel")


def main() -> None:
    """Builds, then one environment after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="EXTRA", help="of the extras; all")
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="nchw_wheel_") as name:
        place = Path(name)
        build = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "-w",
            name,
            str(ROOT),
        ]
        subprocess.run(build, check=True)
        (wheel,) = place.glob("*.whl")
        core = place / "core"
        core.mkdir()
        for distribution in needed():
            link(distribution, core)
        graph = place / "graph" / "network.nir"
        command = ["-m", "neurocuda_hw", "build", "golden/mixed.pt", "--target", "nir"]
        command += ["--export", "annotated", "-o", str(graph.parent)]
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        bare = Environment("none", wheel, core, place / "none")
        asked = tried(bare, graph)
        typed(bare, place)
        for extra in [*dict.fromkeys(filter(None, asked.values())), "all"]:
            if only is not None and extra not in only:
                continue
            found = tried(Environment(extra, wheel, core, place / extra), graph)
            for line, wanted in found.items():
                if wanted and (extra in ("all", wanted) or wanted not in asked.values()):
                    sys.exit(f"[{extra}] {line}: still asks for {wanted}")


if __name__ == "__main__":
    main()
