"""A build folder as its ``report.json`` tells it: read, checked, and begun."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocuda_hw.ground.errors import ModelError, first_line

if TYPE_CHECKING:
    from neurocuda_hw.network import Network

FORMAT = "neurocuda_hw.build"
FORMAT_VERSION = 1
REPORT = "report.json"
ALL = "all"  # what a folder is built for that holds all targets that `join` it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Built:
    """A build folder, whose ``report.json`` was read; `digest` is its sha256."""

    path: Path
    report: dict[str, Any]
    digest: str

    @classmethod
    def of(cls, path: Path, content: bytes) -> Built:
        """The folder `path` with this ``report.json``; raises ModelError if it is none.

        What is read of it later is checked here: it may be edited, or of another version.
        """
        try:
            report = json.loads(content)
            if isinstance(report, dict) and report.get("format") != FORMAT:
                raise ModelError(_no_build(path, f"its {REPORT} is of something else"))
            _check(report)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(
                f"{str(path / REPORT)!r} is damaged ({type(error).__name__}: "
                f"{first_line(error)}); build the folder again"
            ) from error
        return cls(path=path, report=report, digest=hashlib.sha256(content).hexdigest())

    @property
    def target(self) -> str:
        """What it was built for."""
        return str(self.report.get("target"))

    @property
    def told_inputs(self) -> str:
        """Where its golden inputs came from, in brackets; empty if an earlier version built it."""
        told = self.report.get("golden")
        inputs = told.get("inputs") if isinstance(told, dict) else None
        return f" ({inputs})" if inputs else ""

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The content of some of its files."""
        try:
            return {path: (self.path / path).read_bytes() for path in paths}
        except OSError as error:
            raise self.damaged(error) from error

    @property
    def changed(self) -> tuple[str, ...]:
        """Files that are missing or not as the build wrote them, by what the report says."""
        found = []
        for name, digest in self.report["files"].items():
            try:
                content = (self.path / name).read_bytes()
            except OSError:
                found.append(f"{name} (missing)")
                continue
            if hashlib.sha256(content).hexdigest() != digest:
                found.append(name)
        return tuple(found)

    def damaged(self, error: Exception) -> ModelError:
        """The error to raise where it does not hold what a build wrote."""
        return ModelError(f"build folder {str(self.path)!r} is damaged ({error}); build it again")


def _check(report: dict[str, Any]) -> None:
    """Raises an error of any kind unless a report holds what one of this version does."""
    if report["version"] != FORMAT_VERSION:
        raise ValueError(f"its version is {report['version']!r}, not {FORMAT_VERSION}")
    for key in ("name", "hash"):
        _must_be(report["network"][key], str, f"the network's {key}")
    _must_be(report["target"], str, "target")
    for name, digest in _must_be(report["files"], dict, "files").items():
        _must_be(digest, str, f"the hash of {name}")
        parts = name.replace("\\", "/").split("/")
        if ".." in parts or not parts[0] or ":" in parts[0]:
            raise ValueError(f"file {name!r} must be in the folder")
    for population in _must_be(report.get("populations", []), list, "populations"):
        _must_be(population["name"], str, "the name of a population")
        if _must_be(population["lanes"], int, "lanes") < 0:
            raise ValueError(f"lanes must be at least 0, not {population['lanes']}")
        if _must_be(population.get("line", 1), int, "line") < 1:
            raise ValueError(f"line must be at least 1, not {population['line']}")
    for name, most in _must_be(report.get("bursts", {}).get("counts", {}), dict, "bursts").items():
        if _must_be(most, int, f"the bursts of {name}") < 1:
            raise ValueError(f"the bursts of {name} must be at least 1, not {most}")
    _must_be(report.get("bursts", {}).get("streams", {}), dict, "streams")
    for name, lanes in _must_be(report.get("lanes") or {}, dict, "lanes").items():
        if _must_be(lanes, int, f"the lanes of {name}") < 1:
            raise ValueError(f"the lanes of {name} must be at least 1, not {lanes}")
    _check_told(report)
    if "front" in report:
        front = _must_be(report["front"], dict, "front")
        for name in ("downsample", "step_us"):
            _must_be(front[name], int, f"{name} of the front block")
        if front["kind"] not in ("evt3", "aer"):
            raise ValueError(f"the front block's kind must be evt3 or aer, not {front['kind']!r}")
        _must_be(front["grid"], str, "the front block's grid")
        left, top = (_must_be(n, int, "a number of the crop") for n in front["crop"])
        if min(left, top, front["downsample"] - 1, front["step_us"] - 1) < 0:
            raise ValueError(f"the front block must not be {front}")
    if "stream" in report and report["stream"]["word_bits"] not in (32, 64):
        raise ValueError(f"word_bits must be 32 or 64, not {report['stream']['word_bits']!r}")


def _check_told(report: dict[str, Any]) -> None:
    """The same of what `Options.told` added."""
    _must_be(report.get("golden", {}), dict, "golden")
    _must_be(report.get("prefix", ""), str, "prefix")
    accuracy = _must_be(report.get("accuracy", {}), dict, "accuracy")
    for name in accuracy and ("samples", "right"):
        if _must_be(accuracy[name], int, f"{name} of the accuracy") < (name == "samples"):
            raise ValueError(f"{name} of the accuracy must not be {accuracy[name]}")
    conversion = _must_be(report.get("conversion", {}), dict, "conversion")
    for name in conversion and ("ann_accuracy", "qcfs_accuracy", "integer_accuracy"):
        if conversion[name] is not None:
            float(_must_be(conversion[name], float, name))
    for name in conversion and ("samples", "data", "strategy", "unequal"):
        conversion[name]
    if "bursts" in report:
        bursts = _must_be(report["bursts"], dict, "bursts")
        _must_be(bursts["says"], str, "what is said of bursts")
        bool(bursts["chosen"])
        for figures in (bursts["with"], bursts.get("without", bursts["with"])):
            for name in ("cycles", "luts", "blocks", "dsps"):
                float(figures[name])
    if "folding" in report:
        folding = _must_be(report["folding"], dict, "folding")
        for part in (folding, folding["shared"], folding["usable"], *folding["layers"]):
            for name in ("luts", "blocks", "dsps"):
                float(part[name])
        float(folding["cycles"])
        for layer in folding["layers"]:
            _must_be(layer["lanes"], int, "lanes of the folding")
            float(layer["cycles"])


def _must_be(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{what} must be {kind.__name__}, not {value!r:.40}")
    return value


def the_build(path: Path) -> Built:
    """The build in `path`; raises ModelError, with the reason, if there is none."""
    built = read_built(path)
    if built is not None:
        return built
    if not path.is_dir():
        reason = "it is a file" if path.exists() else "there is no such folder"
        raise ModelError(_no_build(path, reason))
    raise ModelError(_no_build(path, f"it has no {REPORT}"))


def _no_build(path: Path, reason: str) -> str:
    """What to say of a folder that is no build; of a part of one, which folder is meant."""
    over = next((p for p in path.absolute().parents if _holds_build(p)), None)
    way_out = f"; it lies in the build {str(over)!r}: name that" if over else ""
    return f"{str(path)!r} must be a folder that 'nchw build' wrote: {reason}{way_out}"


def _holds_build(path: Path) -> bool:
    try:
        return read_built(path) is not None
    except ModelError:
        return False


def read_built(path: Path) -> Built | None:
    """The build in `path`, or None if it has no report; raises ModelError if that is damaged."""
    try:
        content = (path / REPORT).read_bytes()
    except OSError:
        return None
    return Built.of(path, content)


def head(network: Network, target: str) -> dict[str, Any]:
    """What ``report.json`` begins with."""
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "target": target,
        "network": {
            "name": network.name,
            "hash": network.hash,
            "timesteps": network.timesteps,
            "input": network.input.name,
            "output": network.output.name,
        },
    }
