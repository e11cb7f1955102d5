"""Batch normalisation folded into the layers before it."""

from __future__ import annotations

import pytest
import torch
from conversion.models import Plain, Residual, settle
from torch import nn

from neurocuda_hw.conversion import fold_batchnorm
from neurocuda_hw.ground.errors import ModelError


def norms(model: nn.Module) -> int:
    """Batch normalisations that are left."""
    return sum(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in model.modules())


@pytest.mark.parametrize(("kind", "shape"), [(Plain, (1, 8, 8)), (Residual, (3, 8, 8))])
def test_the_function_stays_and_the_norms_go(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    model = settle(kind())
    before = norms(model)
    assert before > 0
    folded = fold_batchnorm(model)
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))
    assert norms(folded) < before == norms(model)
    assert torch.allclose(folded(x), model(x), atol=1e-4)


def test_a_shared_layer_stays() -> None:
    class Shared(nn.Module):
        """One convolution before two norms."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)
            self.first, self.second = nn.BatchNorm2d(1), nn.BatchNorm2d(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Both norms of the same convolution."""
            y = self.conv(x)
            return self.first(y) + self.second(y)

    model = settle(Shared())
    x = torch.randn(3, 1, 4, 4)
    folded = fold_batchnorm(model)
    assert norms(folded) == 2
    assert torch.equal(folded(x), model(x))


def test_linear_layers_are_folded_too() -> None:
    model = settle(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2)))
    folded = fold_batchnorm(model)
    x = torch.randn(6, 4)
    assert norms(folded) == 0
    assert torch.allclose(folded(x), model(x), atol=1e-5)


def test_bad_models() -> None:
    message = (
        r"^the model must be in evaluation mode, but 'model' is in training mode; call model\."
    )
    with pytest.raises(ModelError, match=message):
        fold_batchnorm(nn.BatchNorm1d(3).train())

    class Branching(nn.Module):
        """Looks at its data."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Depends on the sign."""
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match=r"^the model cannot be traced by torch\.fx \("):
        fold_batchnorm(Branching().eval())
