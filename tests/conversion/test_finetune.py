"""Training: within `convert`, and afterwards by `finetune`."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from conversion.converted import converted, samples
from conversion.models import Plain, settle
from torch import nn

from neurocuda_hw.conversion import finetune
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.reference.snn import SpikingNetwork

pytestmark = pytest.mark.slow

X = samples((1, 8, 8), 4)


class TestFineTuning:
    """Training moves the integer network towards the trained model."""

    @pytest.fixture(scope="class")
    @staticmethod
    def problem() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
        """A trained MLP for five noisy prototypes, of samples enough to judge training by."""
        torch.manual_seed(0)
        prototypes = torch.rand(5, 1, 8, 8)
        y = torch.arange(5000) % 5
        x = (prototypes[y] + 0.6 * torch.randn(5000, 1, 8, 8)).clamp(0, 1)
        model = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 24),
            nn.ReLU(),
            nn.Linear(24, 16),
            nn.ReLU(),
            nn.Linear(16, 5),
        )
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(60):
            loss = nn.functional.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return model.eval(), x, y

    @pytest.mark.parametrize(("code", "bits"), [("exact", 2), ("rate", 8)])
    def test_it_recovers_accuracy(
        self, problem: tuple[nn.Module, torch.Tensor, torch.Tensor], code: str, bits: int
    ) -> None:
        model, x, y = problem
        plain, tuned = (
            converted(
                model,
                (x, y),
                test_loader=(x, y),
                code=code,
                levels=2,
                timesteps=2,
                weight_bits=bits,
                strategy="exact" if code == "exact" else "qcfs_if_ft",
                **{"qcfs_epochs" if code == "exact" else "if_epochs": epochs},
                batch=50,
            ).stats
            for epochs in (0, 10)
        )
        assert plain.ann_accuracy is not None
        assert plain.integer_accuracy is not None
        assert tuned.integer_accuracy is not None
        assert plain.integer_accuracy < plain.ann_accuracy - 2
        assert tuned.integer_accuracy > plain.integer_accuracy + 1

    def test_it_needs_no_labels(
        self, problem: tuple[nn.Module, torch.Tensor, torch.Tensor]
    ) -> None:
        model, x, y = problem
        options = {"levels": 2, "weight_bits": 2, "test_loader": (x, y), "batch": 50}
        plain = converted(model, x, task="classify", **options).stats
        tuned = converted(model, x, qcfs_epochs=20, task="classify", **options).stats
        assert tuned.integer_accuracy is not None
        assert plain.integer_accuracy is not None
        assert tuned.integer_accuracy > plain.integer_accuracy + 1

    def test_auto_trains_only_what_falls_short(
        self, problem: tuple[nn.Module, torch.Tensor, torch.Tensor]
    ) -> None:
        model, x, y = problem
        options: dict[str, Any] = {"qcfs_epochs": 10, "val_loader": (x, y), "batch": 50}
        assert converted(model, (x, y), levels=64, **options).stats.course == "exact"
        done = converted(model, (x, y), levels=2, weight_bits=2, **options).stats.course
        assert re.fullmatch(
            r"exact, 10 epochs \(epoch [1-9]0? was best on the validation data\) of the "
            r"quantised ANN",
            done,
        )

    def test_a_wild_rate_is_told(
        self, problem: tuple[nn.Module, torch.Tensor, torch.Tensor]
    ) -> None:
        model, x, y = problem
        with pytest.raises(ModelError) as caught:
            converted(model, (x, y), qcfs_epochs=2, strategy="exact", rate=1e6)
        assert str(caught.value) == (
            "fine-tuning (qcfs) diverged in epoch 1; use a smaller rate than 1e+06"
        )


class TestFinetune:
    """`finetune` trains what `convert` returned, and nothing else."""

    def test_it_trains_a_copy(self) -> None:
        x = samples((1, 8, 8), 64)
        snn = converted(settle(Plain()), (x, torch.arange(64) % 5)).snn
        before, y = snn.network.hash, (snn(x).argmax(1) + 1) % 5  # there is much to be learnt
        held = samples((1, 8, 8), 256, seed=9)
        given = {"val_loader": (held, (snn(held).argmax(1) + 1) % 5), "verbose": False}
        tuned = finetune(snn, (x, y), epochs=20, lr=3e-2, batch=16, **given)
        assert snn.network.hash == before != tuned.network.hash
        assert tuned.network.name == snn.network.name
        assert tuned.quantise(x).shape == (64, 1, 8, 8)
        again = finetune(snn, (x, y), epochs=20, lr=3e-2, batch=16, **given)
        assert again.network.hash == tuned.network.hash
        assert finetune(tuned, (x, y), epochs=0, verbose=False).network.hash == tuned.network.hash

    def test_the_teachers_temperature(self) -> None:
        x = samples((1, 8, 8), 64)
        snn = converted(settle(Plain()), (x, torch.arange(64) % 5)).snn
        y = (snn(x).argmax(1) + 1) % 5  # there is much to be learnt
        held = samples((1, 8, 8), 256, seed=9)
        given: dict[str, Any] = {"epochs": 20, "lr": 3e-2, "batch": 16, "verbose": False}
        given["val_loader"] = (held, (snn(held).argmax(1) + 1) % 5)
        plain = finetune(snn, (x, y), **given).network.hash
        assert finetune(snn, (x, y), temperature=1.0, **given).network.hash == plain
        assert finetune(snn, (x, y), temperature=4.0, **given).network.hash != plain
        with pytest.raises(ValueError, match="temperature must be"):
            finetune(snn, (x, y), temperature=0.0, **given)

    def test_the_epoch_is_chosen_on_validation_data(self) -> None:
        x, y = samples((1, 8, 8), 64), torch.arange(64) % 5
        snn = converted(settle(Plain()), (x, y)).snn
        answers = snn(x).argmax(1)  # nothing can score higher than the network as it is
        kept = finetune(snn, (x, y), epochs=2, lr=0.1, val_loader=(x, answers), verbose=False)
        assert kept.network.hash == snn.network.hash
        assert kept.notes == (
            "training of the quantised ANN (2 epochs) was thrown away: on the validation "
            "data no epoch was clearly better than what there was before",
        )

    def test_a_network_from_a_file_cannot_be_trained(self) -> None:
        snn = SpikingNetwork(converted(settle(Plain()), X).network)
        with pytest.raises(ModelError) as caught:
            finetune(snn, X, verbose=False)
        assert str(caught.value) == (
            "the network must be what convert() returned: one that was read from a file, or made "
            "in another way, holds no trainable weights; convert the model again"
        )
