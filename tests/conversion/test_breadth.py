"""Whatever is a linear map between activations converts, in whatever words it is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from conversion.integers import integers, read
from conversion.models import settle
from torch import nn

from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.ground.errors import UnsupportedLayerError

X = torch.rand((24, 2, 6, 6), generator=torch.Generator().manual_seed(1))
MATRIX = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))


class Written(nn.Module):
    """A convolution, ReLU, and whatever comes then, before a last layer."""

    def __init__(self, then: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.up, self.line = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv1d(4, 4, 3, dilation=2)
        self.row, self.gain = nn.Conv2d(4, 4, (1, 3)), nn.Parameter(torch.ones(4, 1, 1))
        self.last, self.then = nn.LazyLinear(3), then

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 3)."""
        return self.last(self.then(self, F.relu(self.a(x))).flatten(1))


FORMS: dict[str, Callable[[nn.Module, torch.Tensor], torch.Tensor]] = {
    "permutation": lambda _, z: z.permute(0, 2, 3, 1),
    "crop": lambda m, z: F.relu(m.b(z[:, :, 1:-1, 2:])),
    "strided slice": lambda _, z: z[:, :, 1::2, ::3],
    "padding on one side": lambda m, z: F.relu(m.b(F.pad(z, (0, 1, 2, 0)))),
    "constant padding": lambda m, z: F.relu(m.b(F.pad(z, (1, 1, 1, 1), value=0.5))),
    "causal Conv1d": lambda m, z: F.relu(m.line(F.pad(z.flatten(2), (4, 0))))[:, :, -1],
    "transposed convolution": lambda m, z: F.relu(m.up(z)),
    "nearest up-sampling": lambda m, z: F.relu(m.b(F.interpolate(z, scale_factor=2))),
    "bilinear up-sampling": lambda _, z: F.interpolate(z, size=(9, 8), mode="bilinear"),
    "sum over lines": lambda _, z: z.sum(2),
    "mean of means": lambda _, z: z.mean(-1).mean(-1),
    "mean of a view": lambda _, z: z.view(len(z), 4, -1).mean(-1),
    "sum over channels": lambda _, z: z.sum(1),
    "adaptive pooling": lambda _, z: F.adaptive_avg_pool2d(z, (4, 5)),
    "ceil_mode": lambda _, z: F.avg_pool2d(z, 4, 4, ceil_mode=True),
    "max with ceil_mode": lambda _, z: F.max_pool2d(z, 3, 2, ceil_mode=True),
    "count_include_pad": lambda _, z: F.avg_pool2d(z, 3, 1, 1, count_include_pad=False),
    "stacked convolutions": lambda m, z: F.relu(m.row(m.b(z))),
    "layer scale": lambda m, z: z + m.gain * m.b(z),
    "einsum": lambda _, z: torch.einsum("oc,bchw->bohw", MATRIX.to(z), z),
    "matmul": lambda _, z: MATRIX.to(z) @ z.flatten(2),
    "concatenation of lines": lambda _, z: torch.cat([z, z[:, :, :2]], 2),
    "stack": lambda _, z: torch.stack([z[:, :2], z[:, 2:]], 1),
    "zeros": lambda _, z: torch.cat([z, torch.zeros_like(z)], 1),
    "broadcast": lambda _, z: z + z.mean((2, 3), keepdim=True),
    "pixel shuffle": lambda _, z: F.pixel_shuffle(z, 2),
    "max behind an average": lambda _, z: F.max_pool2d(F.avg_pool2d(z, 2), 3),
    "max behind a sum": lambda m, z: F.max_pool2d(z + F.relu(m.b(z)), 2),
    "max behind padding": lambda _, z: F.max_pool2d(F.pad(z, (0, 1, 0, 1)), 2),
    "max over places": lambda _, z: z.flatten(2).max(-1)[0],
    "ReLU6 behind max": lambda m, z: F.relu6(F.max_pool2d(m.b(z), 2)),
    "dropout behind max": lambda m, z: F.relu(F.dropout(F.max_pool2d(m.b(z), 2), 0.5, False)),
    "clip": lambda m, z: torch.clip(m.b(z), 0, 1),
    "where": lambda m, z: torch.where(m.b(z) < 0, 0.0, m.b(z)),
    "maximum": lambda m, z: torch.maximum(m.b(z), torch.zeros(1)),
    "threshold": lambda m, z: F.threshold(m.b(z), 0, 0),
    "masked": lambda m, z: (lambda y: y * (y > 0))(m.b(z)),
}


@pytest.mark.parametrize("name", FORMS)
def test_it_converts_and_is_exact(name: str) -> None:
    model = Written(FORMS[name])
    with torch.no_grad():
        model(X)
    model = settle(model)
    graph = read(model, X)
    with torch.no_grad():
        wanted = model.double()(X.double())
    assert torch.allclose(evaluate(graph, X.double())[-1].flatten(1), wanted, atol=1e-9)
    found = integers(graph, X, levels=5)
    assert found.unequal() == 0
    assert int(found.run.counts["a"].max()) == 5


def test_the_first_layer_may_see_a_permutation() -> None:
    model = settle(nn.Sequential(nn.Conv2d(6, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)))

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x.permute(0, 3, 1, 2))

    x = torch.rand(8, 6, 6, 6)
    assert integers(read(Turned().eval(), x), x).unequal() == 0


def test_two_convolutions_become_one_where_they_are_one() -> None:
    row = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten())
    graph = read(settle(row), X)
    assert [tuple(t.weight.shape) for t in graph.layers[0].terms] == [(4, 2, 5, 5)]
    assert graph.notes == ()


def test_what_a_matrix_costs_is_said() -> None:
    row = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2, 2), nn.ReLU())
    graph = read(settle(row), X)
    assert graph.notes == (
        "what stands between '0' and '2' is no convolution: it became a matrix of 8,192 weights",
    )


def test_attention_is_refused_by_name() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 1, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.relu(x.flatten(2).transpose(1, 2)[:, :, :1].expand(-1, -1, 6))
            return self.attention(x, x, x, need_weights=False)[0].flatten(1)

    with pytest.raises(UnsupportedLayerError) as caught:
        read(Attention().eval(), X)
    assert str(caught.value) == (
        "layer 'attention' (MultiheadAttention) cannot be converted: take LSTM, GRU and attention "
        "out: only feed-forward layers can be converted"
    )


def test_a_matrix_beyond_all_measure_is_refused() -> None:
    row = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 8, 2, 2))
    with pytest.raises(UnsupportedLayerError) as caught:
        read(settle(nn.Sequential(*row, nn.ReLU())), torch.rand(2, 2, 16, 16))
    assert str(caught.value) == (
        "layer '2' (linear map) cannot be converted: what stands between '0' and it is no "
        "convolution, and a matrix of it would have 16,777,216 weights: put an activation (ReLU) "
        "between its layers"
    )
