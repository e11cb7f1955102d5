"""The quick start of NeuroCUDA 0.2.0, call by call as its users typed it, here on small data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import neurocuda_hw as nc
from neurocuda_hw.ground.errors import ModelError

CLASSES = 3


class Cnn(nn.Module):
    """A layer of convolution with its normalisation, a mean and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.pool, self.flatten, self.fc = nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.fc(self.flatten(self.pool(self.act(self.norm(self.conv(x))))))


def loader(seed: int) -> DataLoader[Any]:
    """Small images with labels, in batches."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((48, 1, 6, 6), dtype=np.float32), rng.integers(0, CLASSES, 48)
    return DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=16)


@pytest.fixture(scope="module", params=["qcfs_if_ft", "qcfs_direct", "exact"])
def made(request: pytest.FixtureRequest) -> tuple[nc.SpikingNetwork, nc.Stats, str]:
    """What the first call gives."""
    torch.manual_seed(0)
    snn_model, stats = nc.convert(
        Cnn().eval(),
        loader(0),
        test_loader=loader(1),
        qcfs_epochs=1,
        if_epochs=1,
        strategy=request.param,
        channel_wise=True,
        device=None,
        verbose=False,
    )
    return snn_model, stats, request.param


def test_stats(made: tuple[nc.SpikingNetwork, nc.Stats, str]) -> None:
    _, stats, strategy = made
    assert stats["strategy"] == strategy
    assert 0 <= stats["if_accuracy"] <= 100
    assert 0 <= stats["qcfs_accuracy"] <= 100
    assert stats["conversion_time"] > 0
    assert len(stats["thresholds"]) == 1
    assert len(stats["thresholds"][0]) == 4  # one per channel
    assert all(threshold >= 1 for threshold in stats["thresholds"][0])


def test_measure_sparsity(made: tuple[nc.SpikingNetwork, nc.Stats, str]) -> None:
    snn_model, stats, _ = made
    sparsity, spikes, total_acts, layer_data = nc.measure_sparsity(snn_model, loader(1))
    assert sparsity == pytest.approx(100 * (1 - spikes / total_acts)) == stats["sparsity"]
    assert 1 < sparsity < 100
    (layer,) = layer_data.values()
    assert layer == {"nonzero": spikes, "total": total_acts}


def test_to_nir(made: tuple[nc.SpikingNetwork, nc.Stats, str]) -> None:
    pytest.importorskip("nir")
    graph = nc.to_nir(made[0], T=16, model_name="my_snn")
    assert len(graph.nodes) >= 3


def test_compile(made: tuple[nc.SpikingNetwork, nc.Stats, str]) -> None:
    snn_model, _, strategy = made
    x = next(iter(loader(1)))[0]
    for target in ("cpu", "loihi"):
        result = nc.compile(snn_model, target=target, T=16)
        assert result["metadata"]["target"] == target
        assert result["metadata"]["T"] == 16
        assert result["metadata"]["is_simulator"] is (target == "loihi")
        output = result["backend"].run(result["compiled_model"], x)
        assert output.shape == (16, CLASSES)
        if strategy == "exact":  # more steps change nothing
            assert torch.equal(output, snn_model(x))
    assert nc.compile(snn_model)["metadata"]["T"] == snn_model.timesteps == 8
    if strategy == "exact":
        with pytest.raises(ModelError, match=r"window must stop by step 4"):
            nc.compile(snn_model, T=4)


def test_finetune(made: tuple[nc.SpikingNetwork, nc.Stats, str]) -> None:
    tuned = nc.finetune(made[0], loader(0), epochs=1, lr=1e-4, device=None, verbose=False)
    assert tuned.timesteps == made[0].timesteps


def test_list_backends() -> None:
    found = nc.list_backends()
    assert {"gpu", "cpu", "loihi"} <= set(found)
    assert found["loihi"].startswith("model of Loihi 2")
    assert "'cpu': 'the integer reference in PyTorch'" in str(found)


def test_neurobench_of_several_backends(made: tuple[nc.SpikingNetwork, nc.Stats, str]) -> None:
    report = nc.neurobench_report(made[0], loader(1), backends=("cpu", "loihi"))
    accuracies = {b["ClassificationAccuracy"] for b in report["Backends"].values()}
    assert accuracies == {report["ClassificationAccuracy"]}
    head, rule, *rows = report.table().splitlines()
    assert head.startswith("| backend | accuracy | samples/s here |")
    assert set(rule) == {"|", " ", "-"}
    assert [row.split("|")[1].strip() for row in rows] == ["cpu", "loihi"]
    assert {row.count("|") for row in (head, *rows)} == {8}
    assert "Backends" not in nc.neurobench_report(made[0], loader(1))
