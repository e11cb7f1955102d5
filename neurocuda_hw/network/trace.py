"""Traces: every spike of every layer, packed; and where two of them first part ways.

A trace file is a ``.npz`` without pickled objects: ``meta`` (JSON), ``inputs``, ``outputs`` and,
for each spiking population, ``spikes.NAME`` (bits packed along the neurons, first in bit 0) and
optionally ``membranes.NAME``. With one Python and zlib, equal traces give equal bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from neurocuda_hw.ground.archives import npz_names, read_npz
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.files import read_file
from neurocuda_hw.ground.fixed import narrow
from neurocuda_hw.ground.showing import html_table
from neurocuda_hw.ground.words import some
from neurocuda_hw.network.network import Network

FORMAT = "neurocuda_hw.trace"
FORMAT_VERSION = 1
Part = tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]
"""Packed spikes, membranes and outputs of some samples, as a `Trace` holds them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Trace:
    """What a network did on S samples.

    Parameters
    ----------
    network_hash : str
        `Network.hash` of the network that was run (or ought to have been).
    timesteps : int
        Steps T.
    sizes : dict of str to int
        Neurons N of each spiking population, in topological order.
    inputs : array of int, (S, steps of the input window, *shape), or (S, *shape) for CURRENT
    spikes : dict of str to array of uint8, (S, T, ceil(N / 8))
    outputs : array of int64, (S, N of the output)
        Membranes of a Readout after the last step, or spike counts.
    membranes : dict of str to array of int, (S, T, N), optional
        Membrane at the end of each step.
    """

    network_hash: str
    timesteps: int
    sizes: dict[str, int]
    inputs: np.ndarray
    spikes: dict[str, np.ndarray]
    outputs: np.ndarray
    membranes: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """Number of inferences S."""
        return int(self.inputs.shape[0])

    def __repr__(self) -> str:
        spikes = sum(int(self.counts(name).sum()) for name in self.sizes)
        recorded = ", with membranes" if self.membranes else ""
        told = f"{some(spikes, 'spike')} of {some(len(self.sizes), 'population')}{recorded}"
        return (
            f"Trace({some(self.samples, 'sample')}, T={self.timesteps}, "
            f"network {self.network_hash[:12]}: {told})"
        )

    def _repr_html_(self) -> str:
        """Spikes of each population as a table, for notebooks."""
        heads = ("population", ">neurons", ">spikes per inference", ">fewest", ">most")
        rows = []
        for name, size in self.sizes.items():
            counts = self.counts(name)
            told = ("", "", "")
            if len(counts):
                told = (f"{counts.mean():,.1f}", f"{counts.min():,}", f"{counts.max():,}")
            rows.append((name, f"{size:,}", *told))
        title = f"{some(self.samples, 'sample')}, {some(self.timesteps, 'step')}, "
        title += f"network {self.network_hash[:12]}"
        return html_table(title, heads, rows)

    def bits(self, name: str, sample: int | slice = slice(None)) -> np.ndarray:
        """Spikes of one population as 0 and 1, ``(..., T, N)`` uint8."""
        return np.unpackbits(
            self.spikes[name][sample], axis=-1, count=self.sizes[name], bitorder="little"
        )

    def counts(self, name: str) -> np.ndarray:
        """Spikes of one population per sample, ``(S,)``."""
        spikes: np.ndarray = np.bitwise_count(self.spikes[name]).sum(axis=(1, 2), dtype=np.int64)
        return spikes

    def select(self, samples: slice | np.ndarray) -> Trace:
        """The same trace with some samples only."""
        return replace(
            self,
            inputs=self.inputs[samples],
            spikes={name: s[samples] for name, s in self.spikes.items()},
            outputs=self.outputs[samples],
            membranes={name: m[samples] for name, m in self.membranes.items()},
        )

    def to_bytes(self) -> bytes:
        """The trace as a file's content."""
        meta = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "network": self.network_hash,
            "timesteps": self.timesteps,
            "sizes": self.sizes,
        }
        arrays = {"meta": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)}
        arrays |= {"inputs": narrow(self.inputs), "outputs": self.outputs.astype(np.int64)}
        arrays |= {f"spikes.{name}": s for name, s in self.spikes.items()}
        arrays |= {f"membranes.{name}": narrow(m) for name, m in self.membranes.items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @staticmethod
    def from_bytes(content: bytes, where: str = "trace", *, membranes: bool = True) -> Trace:
        """Reads what `to_bytes` wrote; integers stay as small as they are in the file.

        Without `membranes`, those are left in the file.

        Raises
        ------
        ModelError
            If it is no trace, is truncated, or is of another format version.
        """
        try:
            kept = [n for n in npz_names(content) if membranes or not n.startswith("membranes.")]
            arrays = read_npz(content, kept)
            meta = json.loads(arrays.pop("meta").tobytes())
            if meta["format"] != FORMAT:
                raise KeyError(meta["format"])
            if meta["version"] != FORMAT_VERSION:
                raise ModelError(
                    f"{where} must be a trace of version {FORMAT_VERSION}, not {meta['version']}; "
                    "make it again with 'nchw golden'"
                )
            trace = Trace(
                network_hash=meta["network"],
                timesteps=int(meta["timesteps"]),
                sizes={str(k): int(n) for k, n in meta["sizes"].items()},
                inputs=arrays.pop("inputs"),
                outputs=arrays.pop("outputs"),
                spikes={n: arrays[f"spikes.{n}"] for n in meta["sizes"]},
                membranes={
                    n.removeprefix("membranes."): a
                    for n, a in arrays.items()
                    if n.startswith("membranes.")
                },
            )
            trace._check()
        except ModelError:
            raise
        except Exception as error:  # damaged bytes break zip, numpy and json in any way they can
            reason = (str(error) or type(error).__name__).splitlines()[0][:80]
            raise ModelError(
                f"{where} is not a readable trace ({reason}); make it again with 'nchw golden'"
            ) from error
        return trace

    def _check(self) -> None:
        places = (self.samples, self.timesteps)
        for name, size in self.sizes.items():
            spikes, membranes = self.spikes[name], self.membranes.get(name)
            if spikes.shape != (*places, (size + 7) // 8) or spikes.dtype != np.uint8:
                raise ValueError(f"spikes of {name} have the shape {spikes.shape}")
            if size % 8 and (spikes[..., -1] >> size % 8).any():
                raise ValueError(f"spikes of {name} are of more than {size} neurons")
            if membranes is not None and membranes.shape != (*places, size):
                raise ValueError(f"membranes of {name} have the shape {membranes.shape}")
        if self.outputs.shape[:1] != (self.samples,) or self.outputs.ndim != 2:
            raise ValueError(f"outputs have the shape {self.outputs.shape}")
        for name, array in (("inputs", self.inputs), ("outputs", self.outputs)):
            if array.dtype.kind not in "iu":
                raise ValueError(f"{name} are {array.dtype}, no integers")

    def check(self, network: Network) -> None:
        """Raises ModelError unless this may be a trace of `network`, whatever it says that it did.

        Every target relies on it; the range of the inputs is left to `inputs.check_inputs`.
        """
        way_out = "record it again with 'nchw golden'"
        if self.network_hash != network.hash:
            raise ModelError(
                f"the trace must be of network {network.hash[:12]}, not of "
                f"{self.network_hash[:12]}; {way_out}"
            )
        layers = {p.name: p.size for p in network.populations if p.spiking}
        for what, wanted, got in (
            ("steps", network.timesteps, self.timesteps),
            ("spiking layers", ", ".join(layers) or "none", ", ".join(self.sizes) or "none"),
            *((f"neurons of {n!r}", size, self.sizes.get(n)) for n, size in layers.items()),
            ("outputs", network.output.size, self.outputs.shape[-1]),
        ):
            if wanted != got:
                raise ModelError(f"the trace's {what} must be {wanted}, not {got}; {way_out}")
        if not self.samples:
            raise ModelError(f"the trace must hold at least one sample, not none; {way_out}")
        try:
            self._check()
        except (ValueError, KeyError) as error:
            raise ModelError(f"the trace is inconsistent ({error}); {way_out}") from error


def join(network: Network, inputs: np.ndarray, parts: Sequence[Part]) -> Trace:
    """The trace of batches that follow one another; `inputs` are those of all."""
    spikes, membranes, outputs = zip(*parts, strict=True)
    return Trace(
        network_hash=network.hash,
        timesteps=network.timesteps,
        sizes={p.name: p.size for p in network.populations if p.spiking},
        inputs=inputs,
        spikes=concatenated(spikes),
        outputs=np.concatenate(outputs),
        membranes=concatenated(membranes),
    )


def concatenated(tables: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays that follow one another as one, name by name."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def load_trace(path: str | Path, *, membranes: bool = True) -> Trace:
    """Reads a trace file; DataError or ModelError say what is wrong with it."""
    return Trace.from_bytes(read_file(path, "trace"), repr(str(path)), membranes=membranes)


def answers(outputs: Any) -> Any:
    """Classes that outputs ``(B, N)`` say, array or tensor: the largest one's; of one output by
    itself, whether it is positive."""
    return outputs.argmax(1) if outputs.shape[1] > 1 else outputs[:, 0] > 0


def pack(spikes: np.ndarray) -> np.ndarray:
    """Spikes ``(..., N)`` of 0 and 1 to bits packed along the last axis, first neuron in bit 0."""
    return np.packbits(spikes.astype(np.uint8), axis=-1, bitorder="little")


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first place where a trace differs from the expected one."""

    sample: int
    population: str
    step: int
    neuron: int
    coordinates: tuple[int, ...]
    expected: int
    got: int
    membrane_before: int | None = None
    events: tuple[str, ...] = ()

    def __str__(self) -> str:
        kind = "spike" if self.step >= 0 else "output"
        lines = [
            f"first divergence: sample {self.sample}, population {self.population!r}, "
            + (f"step {self.step}, " if self.step >= 0 else "")
            + f"neuron {self.neuron} {self.coordinates}: expected {kind} {self.expected}, "
            f"got {self.got}"
        ]
        if self.membrane_before is not None:
            lines.append(f"  membrane before the step: {self.membrane_before}")
        if self.events:
            lines.append(f"  events that reached it in this step: {', '.join(self.events)}")
        return "\n".join(lines)


def first_divergence(network: Network, expected: Trace, got: Trace) -> Divergence | None:
    """Where `got` first differs from `expected`: by sample, then step, then topological order.

    Outputs are compared last; for them `step` is -1. Membranes and events are told where
    `expected` records them (see `reference.explain` to fill them in).

    Raises
    ------
    ModelError
        If the two traces are not of the same network and inputs.
    """
    if expected.network_hash != got.network_hash or expected.samples != got.samples:
        raise ModelError(
            f"traces must be of one network and the same samples, not {expected.network_hash[:12]} "
            f"x {expected.samples} and {got.network_hash[:12]} x {got.samples}"
        )
    first: tuple[int, int, int, int] | None = None
    for order, name in enumerate(expected.sizes):
        unequal = (expected.spikes[name] != got.spikes[name]).any(axis=-1)
        if unequal.any():
            sample, step = np.argwhere(unequal)[0]
            bits = expected.bits(name, sample)[step] != got.bits(name, sample)[step]
            place = (int(sample), int(step), order, int(np.argmax(bits)))
            first = place if first is None else min(first, place)
    outputs = np.argwhere(expected.outputs != got.outputs)
    if len(outputs) and (first is None or int(outputs[0][0]) < first[0]):
        sample, neuron = (int(i) for i in outputs[0])
        step, population = -1, network.output
        wanted, found = (int(t.outputs[sample, neuron]) for t in (expected, got))
    elif first is None:
        return None
    else:
        sample, step, order, neuron = first
        population = network[list(expected.sizes)[order]]
        wanted = int(expected.bits(population.name, sample)[step, neuron])
        found = 1 - wanted
    return Divergence(
        sample=sample,
        population=population.name,
        step=step,
        neuron=neuron,
        coordinates=population.coordinates(neuron),
        expected=wanted,
        got=found,
    )
