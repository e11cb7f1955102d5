"""Classes, yes or no, values: how outputs are scored and trained, and what is inferred."""

from __future__ import annotations

import pytest
import torch
from conversion.converted import converted
from conversion.models import row, settle
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from neurocuda_hw.conversion import finetune, validate_snn
from neurocuda_hw.ground.errors import DataError

G = torch.Generator().manual_seed(0)
X = torch.rand((96, 6), generator=G)


def mlp(outputs: int, *last: nn.Module) -> nn.Module:
    """A small network."""
    return settle(row(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, outputs), *last))


def test_one_logit_is_scored_by_its_sign_and_trained() -> None:
    model = mlp(1)
    with torch.no_grad():
        model[2].bias -= model(X).quantile(0.5)  # between two samples: none at 0
        wanted = (model(X)[:, 0] > 0).long()
    found = converted(model, (X, wanted), test_loader=(X, wanted), strategy="exact", qcfs_epochs=1)
    assert found.stats.task == "binary"
    assert found.stats.ann_accuracy == 100.0
    right = ((found.snn(X)[:, 0] > 0).long() == wanted).float().mean()
    assert found.stats.integer_accuracy == pytest.approx(100 * float(right))
    told = validate_snn(found.snn, (X, wanted), ann=model)
    assert (told.accuracy, told.ann_accuracy) == (found.stats.integer_accuracy, 100.0)
    with pytest.raises(DataError) as caught:
        converted(model, (X, wanted * 2 - 1), strategy="exact", qcfs_epochs=1)
    assert str(caught.value) == (
        "training data: labels must be 0 or 1, not -1 (a negative output is 0, a positive one 1); "
        "give them so, or task='regress' where they are values"
    )


def test_a_final_sigmoid_is_left_to_the_host() -> None:
    model = mlp(1, nn.Sigmoid())
    found = converted(model, (X, (model(X)[:, 0] > 0.5).long()))
    assert found.stats.task == "binary"
    assert found.stats.notes == (
        "the final aten.sigmoid.default is left to the host: it does not change the sign of an "
        "output",
    )


def test_values_are_kept_by_their_squared_error() -> None:
    model = mlp(3)
    with torch.no_grad():
        y = model(X)
    found = converted(model, (X, y), test_loader=(X, y), levels=32, qcfs_epochs=2)
    stats = found.stats
    assert stats.task == "regress"
    assert stats.ann_accuracy is None
    assert stats.integer_accuracy is None
    assert stats.ann_r2 == pytest.approx(1.0)
    assert stats.integer_mse == pytest.approx(float((found.snn(X) - y).square().mean()), rel=1e-4)
    assert stats.integer_r2 is not None
    assert 0.9 < stats.integer_r2 < 1
    plain = converted(model, (X, y), test_loader=(X, y), levels=32)
    assert plain.stats.integer_mse is not None
    assert stats.integer_mse is not None
    assert stats.integer_mse <= plain.stats.integer_mse * 1.005


def test_without_labels_values_are_kept_and_that_is_said() -> None:
    found = converted(mlp(6), X)
    assert found.stats.task == "regress"
    assert found.stats.notes == (
        "there are no labels: outputs were taken as the inputs again, kept by their squared error "
        "(task 'regress'); say task='classify' where only the largest counts",
    )
    assert converted(mlp(6), X, task="classify").stats.task == "classify"
    later = finetune(found.snn, (X, torch.arange(96) % 6), epochs=1, verbose=False)
    assert later.trained.task.value == "classify"


@pytest.mark.parametrize("shift", [1, -1])
def test_labels_that_are_none_are_refused(shift: int) -> None:
    y = torch.arange(96) % 4 + shift
    with pytest.raises(DataError) as caught:
        converted(mlp(4), (X, y), strategy="exact", qcfs_epochs=1)
    assert str(caught.value) == (
        f"training data: labels must be 0 to 3, not {4 if shift > 0 else -1}: count classes from 0 "
        "(y - 1 where they begin at 1), and leave out samples without a class"
    )


def test_a_task_that_is_none() -> None:
    with pytest.raises(
        ValueError, match=r"^task must be one of 'classify', 'binary', 'regress', not 'rank'$"
    ):
        converted(mlp(4), X, task="rank")


def test_a_shuffling_loader_gives_the_same_twice() -> None:
    y = torch.arange(96) % 4
    hashes = set()
    for own in (None, None, torch.Generator().manual_seed(5), torch.Generator().manual_seed(6)):
        loader = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True, generator=own)
        torch.rand(3)  # whatever was drawn before
        options = {"strategy": "exact", "qcfs_epochs": 1, "val_loader": (X, y)}
        hashes.add(converted(mlp(4), loader, **options).network.hash)
    assert len(hashes) == 1


def test_a_loader_of_inputs_alone() -> None:
    one = converted(mlp(4), DataLoader(TensorDataset(X), batch_size=16)).network.hash
    assert converted(mlp(4), X).network.hash == one
    with pytest.raises(DataError, match=r"must give batches \(x, y\), or x alone, not tuple of 3$"):
        converted(mlp(4), [(X, X, X)])
