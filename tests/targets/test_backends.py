"""One call compiles for any target, and all targets give the same logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from small import small_network
from tools import need

import neurocuda_hw as nc
from neurocuda_hw.ground.errors import DivergenceError, ModelError, ToolError
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.targets.base import CompiledModel

X = np.random.default_rng(0).integers(0, 16, (6, 2, 2, 5, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def snn() -> nc.SpikingNetwork:
    """The small network as a module."""
    return nc.SpikingNetwork(small_network())


def test_cpu(snn: nc.SpikingNetwork) -> None:
    result = nc.compile(snn)
    assert result["target"] == "cpu"
    logits = result["backend"].run(result["compiled_model"], X)
    assert torch.equal(logits, snn(X))
    assert logits.shape == (6, 3)
    inputs = snn.quantise(X)
    trace = result["backend"].trace(result["compiled_model"], inputs)
    assert np.array_equal(trace.outputs, nc.Reference(snn.network).trace(inputs).outputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "options"),
    [("verilog", {"lanes": {"conv": 2, "hidden": 2, "out": 1}}), ("hls", {}), ("loihi", {})],
)
def test_targets_give_the_same_logits(
    snn: nc.SpikingNetwork, target: str, options: dict[str, Any]
) -> None:
    if target == "verilog":
        need(find_verilator(), find_compiler(), find_make())
    if target == "hls":
        need(find_compiler())
    result = nc.compile(snn.network, target, **options)
    backend, model = result["backend"], result["compiled_model"]
    assert torch.equal(backend.run(model, X), snn(X))
    assert torch.equal(backend.run(model, X[:2]), snn(X[:2]))  # once compiled, any samples


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_gpu_spikes_are_those_of_the_cpu(snn: nc.SpikingNetwork) -> None:
    gpu, cpu = (nc.compile(snn, target) for target in ("gpu", "cpu"))
    inputs = snn.quantise(X)
    ours, theirs = (r["backend"].trace(r["compiled_model"], inputs) for r in (gpu, cpu))
    assert nc.first_divergence(snn.network, theirs, ours) is None


def test_a_divergence_is_told(snn: nc.SpikingNetwork) -> None:
    """Prove that the check can fail: the target computes with one weight changed."""
    other = small_network()
    weight = other.projections[0].synapse.weight.copy()
    weight[0, 0] += 5
    result = nc.compile(snn, "loihi")
    program = nc.compile(changed(other, weight), "loihi")["compiled_model"].product

    class Broken:
        """A chip with a wrong weight that takes itself for the right one."""

        def run(self, inputs: np.ndarray, **options: Any) -> Any:
            """Spikes of the wrong chip."""
            run = program.run(inputs, **options)
            return replace(run, trace=replace(run.trace, network_hash=snn.network.hash))

    model = CompiledModel(snn=snn, target="loihi", product=Broken())
    with pytest.raises(DivergenceError) as caught:
        result["backend"].run(model, X)
    assert str(caught.value).startswith(
        "target 'loihi' differs from the reference: first divergence: sample 0, population 'conv', "
        "step 0, neuron "
    )
    assert caught.value.exit_code == 1


def changed(network: nc.Network, weight: np.ndarray) -> nc.Network:
    """`network` with other weights of its first projection."""
    first, *rest = network.projections
    synapse = replace(first.synapse, weight=weight)
    return replace(network, projections=(replace(first, synapse=synapse), *rest))


def test_list_backends() -> None:
    found = nc.list_backends()
    assert list(found) == ["cpu", "gpu", "verilog", "hls", "loihi"]
    assert list(found) == [b.name for b in found.values()]
    assert found["cpu"] == "the integer reference in PyTorch"
    assert found["cpu"].available
    assert found["gpu"].available is torch.cuda.is_available()


def test_bad_requests(snn: nc.SpikingNetwork) -> None:
    with pytest.raises(ModelError) as caught:
        nc.compile(snn, "tpu")
    assert str(caught.value) == "target must be one of cpu, gpu, verilog, hls, loihi, not 'tpu'"
    with pytest.raises(ModelError) as caught:
        nc.compile(snn, "loihi", lanes={"conv": 2})
    assert str(caught.value) == (
        "target 'loihi' has no option 'lanes'; it takes chip, profile, chips, graded_counts"
    )
    with pytest.raises(ModelError) as caught:
        nc.compile(snn, "verilog", lanes={"conv": 2, "out": 1})
    assert str(caught.value) == "lanes must name every population, not leave out 'hidden'"
    with pytest.raises(ModelError, match=r"^target 'cpu' has no option 'x'; it takes none$"):
        nc.compile(snn, "cpu", x=1)
    with pytest.raises(ValueError, match=r"^repeats must be at least 1, not 0$"):
        nc.benchmark(snn, X, repeats=0)


def test_a_missing_gpu_is_told(snn: nc.SpikingNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ToolError) as caught:
        nc.compile(snn, "gpu")
    assert str(caught.value) == (
        "target 'gpu' needs a CUDA device and a CUDA build of torch; target 'cpu' gives the same "
        "spikes"
    )


def test_benchmark_times_and_compares(snn: nc.SpikingNetwork) -> None:
    figures = nc.benchmark(snn, X, ("cpu", "loihi"), repeats=2)
    assert set(figures) == {"cpu", "loihi"}
    for row in figures.values():
        assert row["unequal"] == 0
        assert row["seconds"] > 0
        assert row["samples_per_second"] == pytest.approx(6 / row["seconds"])


def test_benchmark_does_not_say_equal_of_too_little(snn: nc.SpikingNetwork) -> None:
    figures = nc.benchmark(snn, np.zeros_like(X), ("cpu",), repeats=1)
    assert np.isnan(figures["cpu"]["unequal"])
