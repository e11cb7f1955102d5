"""Activations that are much like a ReLU: read as they are, replaced by one that is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conversion.integers import integers, read
from conversion.models import settle
from torch import nn

from neurocuda_hw.conversion import convert
from neurocuda_hw.conversion.approximate import approximate
from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.graph import Graph, evaluate

pytestmark = pytest.mark.slow

ACTIVATIONS: list[tuple[str, Callable[[], nn.Module]]] = [
    ("SiLU", nn.SiLU),
    ("GELU", nn.GELU),
    ("GELU", lambda: nn.GELU("tanh")),
    ("LeakyReLU", lambda: nn.LeakyReLU(0.2)),
    ("PReLU", lambda: nn.PReLU(6)),
    ("ELU", nn.ELU),
    ("CELU", nn.CELU),
    ("SELU", nn.SELU),
    ("Hardswish", nn.Hardswish),
    ("Mish", nn.Mish),
    ("Softplus", nn.Softplus),
]


def inputs(count: int = 64) -> torch.Tensor:
    """Real inputs of both signs."""
    return torch.randn((count, 2, 6, 6), generator=torch.Generator().manual_seed(3))


def model(activation: Callable[[], nn.Module]) -> nn.Module:
    """Two layers with the activation, and one with a ReLU between them."""
    layers = settle(
        nn.Sequential(
            nn.Conv2d(2, 6, 3),
            nn.BatchNorm2d(6),
            nn.Identity(),
            nn.Conv2d(6, 5, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(20, 6),
            nn.Identity(),
            nn.Linear(6, 3),
        )
    )
    torch.manual_seed(1)
    assert isinstance(layers, nn.Sequential)
    layers[2], layers[7] = activation(), activation()
    return layers.eval()


def loss(graph: Graph, wanted: torch.Tensor, x: torch.Tensor) -> float:
    """Error of the logits beside their constant part, in standard deviations."""
    return float((evaluate(graph, x)[-1].flatten(1) - wanted).std() / wanted.std())


@pytest.mark.parametrize(("name", "activation"), ACTIVATIONS)
def test_it_is_read_and_replaced(name: str, activation: Callable[[], nn.Module]) -> None:
    trained, x = model(activation), inputs()
    graph = capture(trained, x)
    with torch.no_grad():
        wanted = trained(x)
    assert torch.allclose(evaluate(graph, x)[-1].flatten(1), wanted, atol=1e-5)
    assert graph.notes == tuple(
        f"{name} at {place!r} is replaced by a clipped ReLU, fitted to the calibration data; "
        "fine-tuning recovers what that costs"
        for place in ("2", "7")
    )
    fitted = approximate(graph, x)
    assert fitted.teacher is graph
    assert all(layer.original is None for layer in fitted.layers)
    cut = replace(graph, layers=tuple(replace(n, original=None) for n in graph.layers))
    fresh = torch.randn((64, 2, 6, 6), generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        wanted = trained(fresh)
    assert loss(fitted, wanted, fresh) < 0.35
    if name != "LeakyReLU":  # which is a ReLU but for its slope
        assert loss(fitted, wanted, fresh) < 0.75 * loss(cut, wanted, fresh)
    # the constant part is right too: biases take up what the activations leave out
    off = (evaluate(fitted, x)[-1].flatten(1) - evaluate(graph, x)[-1].flatten(1)).mean(0)
    assert float(off.abs().max()) < 1e-4


def test_the_integers_are_those_of_the_replaced_model() -> None:
    x = inputs()
    found = integers(read(model(nn.SiLU), x), x)
    assert found.unequal() == 0


def test_a_model_of_relus_stays_as_it_is() -> None:
    x = inputs()
    graph = capture(model(nn.ReLU), x)
    assert approximate(graph, x) is graph
    assert graph.teacher is graph


def test_functions_without_a_module_are_named_by_themselves() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.leaky_relu(self.inner(x), 0.3)

    x = torch.randn((8, 4), generator=torch.Generator().manual_seed(1))
    graph = capture(settle(Functional()), x)
    assert graph.layers[0].original is not None
    assert graph.layers[0].original.name == "leaky_relu"
    assert float(evaluate(graph, x)[-1].min()) < 0


def test_convert_tells_the_cost_and_training_recovers_it() -> None:
    torch.manual_seed(0)
    prototypes = torch.randn(5, 2, 6, 6)
    y = torch.arange(4000) % 5
    x = prototypes[y] + 2.5 * torch.randn(4000, 2, 6, 6)
    trained = nn.Sequential(
        nn.Flatten(), nn.Linear(72, 12), nn.ELU(), nn.Linear(12, 12), nn.ELU(), nn.Linear(12, 5)
    )
    optimiser = torch.optim.Adam(trained.parameters(), lr=1e-2)
    for _ in range(25):
        loss = F.cross_entropy(trained(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    options = {"test_loader": (x, y), "strategy": "exact", "levels": 2, "verbose": False}
    options["weight_bits"] = 2
    plain, tuned = (
        convert(trained.eval(), (x, y), qcfs_epochs=epochs, batch=50, **options)[1]  # type: ignore[arg-type]
        for epochs in (0, 10)
    )
    with torch.no_grad():
        right = 100 * float((trained(x).argmax(1) == y).float().mean())
    assert plain.ann_accuracy == pytest.approx(right)
    assert plain.replaced_accuracy is not None
    assert tuned.integer_accuracy is not None
    assert plain.integer_accuracy is not None
    assert plain.replaced_accuracy < right  # there is a cost, and it is told
    assert plain.integer_accuracy < right - 1
    assert tuned.integer_accuracy > plain.integer_accuracy + 1
