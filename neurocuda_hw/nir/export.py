"""An integer `Network` as a NIR graph: weights and thresholds stay integers.

NIR fires at v > v_threshold, resets to v_reset, starts at 0 and knows no steps. So an integer
neuron that fires at v >= theta is written with ``theta - 1``, and what NIR cannot say comes in two
exports. ``explicit`` says it with nodes alone: reset by subtraction is an integrator (I or LI), a
Threshold, and a feedback edge of ``-theta`` that arrives with the next step; an initial membrane
shifts the threshold. ``annotated`` writes plain IF nodes and says the rest in the metadata (see
`notes`), which other tools do not read.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, Protocol

import nir
import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.fixed import narrow
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import Neuron, Reset, Spiking
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal
from neurocuda_hw.nir.complete import complete
from neurocuda_hw.nir.dynamics import Timing
from neurocuda_hw.nir.expressible import check_export, fitting_export
from neurocuda_hw.nir.names import network_name
from neurocuda_hw.nir.notes import graph_notes, node_notes

EXPORTS = ("explicit", "annotated", "auto")
_NO_LEAK = 2.0**40  # steps: a time constant that euler and float32 both read as no leak at all


class HasNetwork(Protocol):
    """A module around a network, as `convert` returns it.

    Its attribute `nir_export`, where it has one, is the export that its maker chose.
    """

    @property
    def network(self) -> Network:
        """The integers."""


def to_nir(
    snn: Network | HasNetwork,
    T: int | None = None,
    model_name: str | None = None,
    *,
    export: str | None = None,
    dt: float = 1.0,
    fires_at: bool = False,
    integrate_dt: bool = False,
    float32: bool = False,
    affine: bool = False,
) -> nir.NIRGraph:
    """A NIR graph of a network; write it with `nir.write`.

    Parameters
    ----------
    snn : Network, or a module around one
    T : int, optional
        Steps of one inference, where they shall differ from the network's.
    model_name : str, optional
        A name for the metadata, where it shall differ from the network's.
    export : str, optional
        ``"explicit"``: self-contained, any tool runs it. ``"annotated"``: plain nodes, the rest in
        metadata. ``"auto"``: explicit where nodes can say all, else annotated. Where plain NIR
        cannot say what the network does, one of them must be chosen.
    dt : float
        Seconds per step, for time constants and delays: snnTorch reads 1e-4, Norse 1e-3.
    fires_at : bool
        Write thresholds for tools that fire at ``v >= v_threshold`` and subtract that much
        (sinabs, SpikingJelly): theta instead of ``theta - 1``.
    integrate_dt : bool
        Write ``r = 1 / dt`` for tools that integrate IF and I over dt seconds (SpikingJelly).
    float32 : bool
        Write the integers as float32, for tools that take no integer arrays (SpikingJelly).

    affine : bool
        Write Affine with a bias of 0 for Linear, which sinabs drops.

    Raises
    ------
    ModelError
        If no export is chosen and one is needed, or it cannot say it either; the message says what
        and why.
    """
    network = snn if isinstance(snn, Network) else snn.network
    chosen = getattr(snn, "nir_export", None) if export is None else export
    if chosen is not None and chosen not in EXPORTS:
        raise ValueError(f"export must be 'explicit', 'annotated' or 'auto', not {chosen!r}")
    timing = Timing(dt=dt, integrate_dt=integrate_dt)
    if T is not None or model_name is not None:
        network = replace(
            network,
            timesteps=network.timesteps if T is None else T,
            name=network.name if model_name is None else network_name(model_name),
        )
    if chosen == "auto":
        chosen = fitting_export(network)
    check_export(network, chosen)
    writer = _Writer(network, chosen or "plain", timing, 0 if fires_at else 1)
    writer.affine = affine
    graph = writer.graph()
    if float32:
        for node in graph.nodes.values():
            _as_float32(node)
    return graph


def _as_float32(node: nir.NIRNode) -> None:
    """Turns the parameters of a node into float32; refuses where that would round."""
    for name in ("weight", "bias", "scale", "r", "v_threshold", "v_reset", "threshold"):
        values = getattr(node, name, None)
        if isinstance(values, np.ndarray):
            rounded = values.astype(np.float32)
            if values.dtype.kind == "i" and np.any(rounded.astype(np.int64) != values):
                raise ModelError(f"{name} must be at most 2^24 as float32, not {values.max()}")
            setattr(node, name, rounded)


def nir_bytes(graph: nir.NIRGraph) -> bytes:
    """A NIR file's content; what the framework of `graph` left out is filled in: see `complete`."""
    buffer = io.BytesIO()
    nir.write(buffer, complete(graph))
    return buffer.getvalue()


class _Writer:
    """Nodes and edges as they come together."""

    def __init__(self, network: Network, export: str, timing: Timing, margin: int) -> None:
        assert timing.dt is not None
        self.network, self.export, self.timing, self.margin = network, export, timing, margin
        self.dt = timing.dt
        self.nodes: dict[str, nir.NIRNode] = {}
        self.edges: list[tuple[str, str]] = []
        self.entry: dict[str, str] = {}
        self.affine = False

    def graph(self) -> nir.NIRGraph:
        for population in self.network.populations:
            self._population(population)
        for population in self.network.populations:
            self._projections(population)
        self._output()
        return nir.NIRGraph(
            nodes=self.nodes,
            edges=self.edges,
            metadata=graph_notes(self.network, self.export, self.timing),
            type_check=False,
        )

    def _name(self, name: str) -> str:
        """A name like `name` that no node and no population has."""
        free, count = name, 1
        taken = {p.name for p in self.network.populations}
        while free in self.nodes or free in taken:
            count += 1
            free = f"{name}_{count}"
        return free

    def _full(self, population: Population, values: Any) -> np.ndarray:
        """A parameter for each neuron, as NIR has it."""
        return np.array(population.each(values))

    def _population(self, population: Population) -> None:
        neuron, name = population.neuron, population.name
        self.entry[name] = name
        if population.fed:
            node: nir.NIRNode = nir.Input(input_type={"input": np.array(population.shape)})
        elif neuron.readout:
            node = self._readout(population, neuron)
        else:
            assert isinstance(neuron, Spiking)
            split = self.export == "explicit" and neuron.reset is Reset.SUBTRACT
            node = self._split(population, neuron) if split else self._whole(population, neuron)
        node.metadata = node_notes(population)
        self.nodes[name] = node

    def _readout(self, population: Population, neuron: Neuron) -> nir.NIRNode:
        """An integrator at the end."""
        if neuron.current_leak is not None:
            return nir.CubaLI(**self._currents(population, neuron))
        if neuron.leak is not None:
            tau = self._tau(population, neuron.leak)
            return nir.LI(tau=tau, r=tau / self.dt, v_leak=np.zeros(population.shape))
        return nir.I(r=self._unit(population))

    def _currents(self, population: Population, neuron: Neuron) -> dict[str, Any]:
        """What a synaptic current and the membrane behind it have in common."""
        syn, mem = self._tau(population, neuron.current_leak), self._tau(population, neuron.leak)
        return {
            "tau_syn": syn,
            "tau_mem": mem,
            "r": mem / self.dt,
            "w_in": syn / self.dt,
            "v_leak": self._full(population, neuron.bias) * mem / self.dt,
        }

    def _split(self, population: Population, neuron: Spiking) -> nir.NIRNode:
        """An integrator, a Threshold, and the subtraction as a feedback edge."""
        name = population.name
        # a capital sorts before every population: tools that look for the edges which close a cycle
        # from the first name on then enter this one at its integrator
        membrane, reset = self._name(f"V_{name}"), self._name(f"{name}_reset")
        taken = self._full(population, neuron.threshold)
        if neuron.leak is not None:
            tau = self._tau(population, neuron.leak)
            zero = np.zeros(population.shape)
            self.nodes[membrane] = nir.LI(tau=tau, r=tau / self.dt, v_leak=zero)
            taken = taken * (1 - self.dt / tau)
        else:
            self.nodes[membrane] = nir.I(r=self._unit(population))
        self.edges.append((membrane, name))
        if np.any(taken):
            self.nodes[reset] = nir.Scale(scale=-taken)
            self.edges += [(name, reset), (reset, membrane)]
        self.entry[name] = membrane
        level = self._full(population, neuron.threshold) - self._full(population, neuron.v_init)
        return nir.Threshold(threshold=level - self.margin)

    def _whole(self, population: Population, neuron: Spiking) -> nir.NIRNode:
        """One node that resets to a value, or, annotated, whose notes say what it does."""
        # annotated, tools that subtract must subtract the threshold itself: they fire above it
        # where every membrane starts by the margin below 0
        below = neuron.reset is Reset.SUBTRACT and np.all(neuron.v_init == -self.margin)
        shifted = self.export == "explicit" or below
        shift = self._full(population, neuron.v_init if shifted else 0)
        threshold = self._full(population, neuron.threshold) - shift - self.margin
        v_reset = self._full(population, neuron.v_reset) - shift
        zero = np.zeros(population.shape)
        if neuron.current_leak is not None:
            currents = self._currents(population, neuron)
            return nir.CubaLIF(v_threshold=threshold, v_reset=v_reset, **currents)
        if neuron.leak is None:
            return nir.IF(r=self._unit(population), v_threshold=threshold, v_reset=v_reset)
        tau = self._tau(population, neuron.leak)
        return nir.LIF(
            tau=tau, r=tau / self.dt, v_leak=zero, v_threshold=threshold, v_reset=v_reset
        )

    def _unit(self, population: Population) -> np.ndarray:
        """A resistance by which one unit of input adds one to the membrane."""
        return np.full(population.shape, 1 / self.dt if self.timing.integrate_dt else 1.0)

    def _tau(self, population: Population, decay: Any) -> np.ndarray:
        """Time constants in seconds of decays in 4096ths."""
        lost = self._full(population, decay)
        steps = np.where(lost > 0, 4096 / np.maximum(lost, 1), _NO_LEAK)
        return np.asarray(steps * self.dt)

    def _projections(self, population: Population) -> None:
        neuron = population.neuron
        bias = None
        if neuron.current_leak is None and np.any(neuron.bias):
            bias = np.asarray(neuron.bias)
        for projection in self.network.incoming(population.name):
            self._projection(projection, bias)
            bias = None

    def _projection(self, projection: Projection, bias: np.ndarray | None) -> None:
        """A chain of nodes: delay, pool, flatten, weights."""
        source, target = self.network[projection.source], self.network[projection.target]
        synapse = projection.synapse
        base = f"{target.name}_from_{source.name}"
        chain: list[nir.NIRNode] = []
        labels: list[str] = []
        if projection.delay and source.name != target.name:
            chain.append(nir.Delay(delay=np.full(source.shape, self.dt)))
            labels.append("_delay")
        shape = source.shape
        if synapse.pool is not None:
            assert synapse.pool.stride is not None
            chain.append(
                nir.SumPool2d(
                    kernel_size=np.array(synapse.pool.kernel),
                    stride=np.array(synapse.pool.stride),
                    padding=np.array([0, 0]),
                )
            )
            shape = synapse.pool.output(shape)
            chain[-1].input_type = {"input": np.array(source.shape)}
            chain[-1].output_type = {"output": np.array(shape)}
            labels.append("_pool")
        if isinstance(synapse, Dense) and len(shape) == 3:
            chain.append(nir.Flatten({"input": np.array(shape)}, start_dim=0, end_dim=-1))
            labels.append("_flat")
        chain.append(self._weights(projection, shape, target, bias))
        labels.append("")
        place = source.name
        for node, label in zip(chain, labels, strict=True):
            name = self._name(base + label)
            self.nodes[name] = node
            self.edges.append((place, name))
            place = name
        self.edges.append((place, self.entry[target.name]))

    def _weights(
        self,
        projection: Projection,
        shape: tuple[int, ...],
        target: Population,
        bias: np.ndarray | None,
    ) -> nir.NIRNode:
        synapse = projection.synapse
        weight = narrow(synapse.weight)
        if isinstance(synapse, Dense):
            if bias is None and not self.affine:
                return nir.Linear(weight=weight)
            full = self._full(target, 0 if bias is None else bias)
            return nir.Affine(weight=weight, bias=full.reshape(-1))
        per_channel = np.zeros(target.shape[0], dtype=np.int64)
        if bias is not None:
            per_channel = np.array(np.broadcast_to(bias, target.shape[:1]))
        if isinstance(synapse, Conv2d):
            return nir.Conv2d(
                input_shape=(shape[1], shape[2]),
                weight=weight,
                stride=synapse.stride,
                padding=synapse.padding,
                dilation=synapse.dilation,
                groups=synapse.groups,
                bias=per_channel,
            )
        assert isinstance(synapse, Diagonal)
        if bias is None:
            return nir.Scale(scale=self._full(target, weight))
        if len(shape) == 3:
            return nir.Conv2d(
                input_shape=(shape[1], shape[2]),
                weight=weight.reshape(-1, 1, 1, 1),
                stride=(1, 1),
                padding=(0, 0),
                dilation=(1, 1),
                groups=shape[0],
                bias=per_channel,
            )
        return nir.Affine(weight=np.diag(weight), bias=per_channel)

    def _output(self) -> None:
        """The Output node; a readout's initial membrane and units stand in front of it."""
        last = self.network.output
        place = last.name
        if last.readout:
            units = np.ones(last.shape) if last.scale is None else self._full(last, last.scale)
            name = self._name(f"{last.name}_scale")
            if self.export == "explicit" and np.any(last.neuron.v_init):
                shift = self._full(last, last.neuron.v_init) * units
                self.nodes[name] = nir.Affine(weight=np.diag(units), bias=shift)
                self.edges.append((place, name))
                place = name
            elif last.scale is not None:
                self.nodes[name] = nir.Scale(scale=units)
                self.edges.append((place, name))
                place = name
        name = self._name("output")
        self.nodes[name] = nir.Output(output_type={"output": np.array(last.shape)})
        self.edges.append((place, name))
