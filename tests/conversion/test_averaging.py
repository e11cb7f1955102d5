"""The mean of several trainings of one model."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from conversion.converted import converted, samples
from conversion.models import Plain, Residual, settle

from neurocuda_hw.conversion import average_weights, finetune, quantized_ann
from neurocuda_hw.conversion.further import in_integers, trained_model
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network.model_file import load, save
from neurocuda_hw.reference.snn import SpikingNetwork

X, Y = samples((1, 8, 8), 64), torch.arange(64) % 5


@pytest.fixture(scope="module")
def start() -> SpikingNetwork:
    """What all trainings begin with."""
    snn = converted(settle(Plain()), (X, Y), levels=4).snn
    trained_model(snn).judged = None  # so that no mean is thrown away
    return snn


@pytest.fixture(scope="module")
def trainings(start: SpikingNetwork) -> list[SpikingNetwork]:
    """Three trainings of it."""
    found = []
    for seed in range(3):
        snn = copy.deepcopy(start)
        module = trained_model(snn)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for part in (*module.weights, *module.log_clips):
                part.mul_(1 + 0.1 * torch.randn(part.shape, generator=generator))
        found.append(in_integers(module, "network", snn.device))
    return found


def test_the_best_is_kept_where_the_mean_is_worse(start: SpikingNetwork) -> None:
    broken = copy.deepcopy(trained_model(start))
    with torch.no_grad():
        for part in (*broken.weights, *broken.biases):
            part.mul_(-1)
    other = in_integers(broken, "network", start.device)
    data = (X, start(X).argmax(1))
    kept = average_weights([other, start, other, other], val_loader=data)
    assert kept.network.hash == start.network.hash
    assert kept.notes == ("the mean of the weights was thrown away: network 2 is better",)


def test_every_weight_bias_and_clip_value_is_the_mean(trainings: list[SpikingNetwork]) -> None:
    hashes = [snn.network.hash for snn in trainings]
    found = trained_model(average_weights(trainings)).state_dict()
    states = [trained_model(snn).state_dict() for snn in trainings]
    for name, values in found.items():
        wanted = sum(state[name].double() for state in states) / 3
        assert torch.allclose(values.double(), wanted, rtol=1e-6, atol=1e-9), name
    assert not torch.equal(found["log_clips.0"], states[0]["log_clips.0"])
    assert [snn.network.hash for snn in trainings] == hashes
    assert len(set(hashes)) == 3


def test_it_is_a_network_of_the_exact_code(trainings: list[SpikingNetwork]) -> None:
    mean = average_weights(trainings)
    payload = mean.quantise(X)
    assert torch.equal(mean.reference().run(payload).outputs, quantized_ann(mean).logits(payload))
    assert mean.network.name == trainings[0].network.name
    tuned = finetune(mean, (X, Y), epochs=1, verbose=False)
    assert tuned.notes or tuned.network.hash != mean.network.hash


def test_of_equal_networks_it_is_that_network(start: SpikingNetwork) -> None:
    assert average_weights([start]).network.hash == start.network.hash
    assert average_weights([start, start]).network.hash == start.network.hash


@pytest.mark.slow
def test_what_cannot_be_averaged(start: SpikingNetwork, tmp_path: object) -> None:
    with pytest.raises(ValueError, match="networks must hold at least one network, not none"):
        average_weights([])
    others = [
        converted(settle(Plain()), X, levels=5).snn,
        converted(settle(Plain()), X, levels=4, weight_bits=4).snn,
        converted(settle(Residual()), samples((3, 8, 8), 32), levels=4).snn,
    ]
    for other in others:
        with pytest.raises(ModelError) as caught:
            average_weights([start, start, other])
        assert str(caught.value) == (
            "all networks must be conversions of one model under the same code, levels and bits; "
            "network 3 is not one like the first"
        )
    save(start, f"{tmp_path}/n.pt")
    with pytest.raises(ModelError, match=re.escape("the network must be what convert() returned")):
        average_weights([start, SpikingNetwork(load(f"{tmp_path}/n.pt"))])


def test_networks_that_were_judged_by_samples_of_another_number() -> None:
    x = samples((1, 8, 8), 400)
    first = converted(settle(Plain()), x, strategy="exact", task="classify").snn
    second = finetune(first, x[:120], epochs=1, verbose=False)
    judges = [trained_model(snn).judged for snn in (first, second)]
    assert len({len(one.x) for one in judges if one is not None}) == 2
    for networks in ([first, second], [second, first]):
        assert average_weights(networks)(x).shape == (400, 5)
