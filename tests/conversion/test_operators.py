"""Everything that can be converted, one thing at a time: read rightly, and equal in integers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from conversion.integers import Integers, integers, read
from conversion.models import settle
from torch import nn

from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.quantize import Code

IMAGES, SIGNALS, FLAT = (2, 6, 6), (2, 12), (5,)


Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


class Written(nn.Module):
    """Layers, and a forward pass as somebody writes it."""

    def __init__(
        self, forward: Callable[[nn.Module, torch.Tensor], torch.Tensor], **layers: object
    ):
        super().__init__()
        self.written = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 3)."""
        return self.written(self, x)


def conv(inputs: int = 2, outputs: int = 4, kernel: int = 3, **options: int) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options)


def head(features: int) -> nn.Module:
    """Features to three logits."""
    return nn.Sequential(nn.Flatten(), nn.Linear(features, 3))


def row(*layers: nn.Module) -> Callable[[], nn.Module]:
    """Modules in a row."""
    return lambda: nn.Sequential(*layers)


def in_place(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """``+=``."""
    out = m.b(F.relu(m.a(x)))
    out += m.c(x)
    return m.head(F.relu(out))


def residual(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A block with an identity shortcut."""
    x = F.relu(m.a(x))
    return m.head(F.relu(m.c(F.relu(m.b(x))) + x))


def reused(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """One activation module, called three times."""
    return m.head(m.act(m.c(m.act(m.b(m.act(m.a(x)))))))


def split(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Two of three parts, and every second channel backwards."""
    x = F.relu(m.a(x))
    first, second, _ = x.split(2, dim=1)
    return m.head(F.relu(m.b(first) + second - x.flip(1)[:, 1:5:2]))


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "F.relu": (
        lambda: Written(lambda m, x: m.head(F.relu(m.a(x))), a=conv(), head=head(144)),
        IMAGES,
    ),
    "torch.relu": (
        lambda: Written(lambda m, x: m.head(torch.relu(m.a(x))), a=conv(), head=head(144)),
        IMAGES,
    ),
    "x.relu_": (
        lambda: Written(lambda m, x: m.head(m.a(x).relu_()), a=conv(), head=head(144)),
        IMAGES,
    ),
    "+": (
        lambda: Written(
            lambda m, x: m.head(F.relu(m.a(x) + m.b(x))), a=conv(), b=conv(), head=head(144)
        ),
        IMAGES,
    ),
    "+=": (lambda: Written(in_place, a=conv(), b=conv(4), c=conv(), head=head(144)), IMAGES),
    "torch.add": (
        lambda: Written(
            lambda m, x: m.head(F.relu(torch.add(m.a(x), m.b(x), alpha=0.5))),
            a=conv(),
            b=conv(),
            head=head(144),
        ),
        IMAGES,
    ),
    ".view": (
        lambda: Written(
            lambda m, x: m.head(F.relu(m.a(x)).view(x.size(0), -1)),
            a=conv(),
            head=nn.Linear(144, 3),
        ),
        IMAGES,
    ),
    ".flatten": (
        lambda: Written(
            lambda m, x: m.head(F.relu(m.a(x)).flatten(1)), a=conv(), head=nn.Linear(144, 3)
        ),
        IMAGES,
    ),
    "torch.flatten": (
        lambda: Written(
            lambda m, x: m.head(torch.flatten(F.relu(m.a(x)), 1)), a=conv(), head=nn.Linear(144, 3)
        ),
        IMAGES,
    ),
    ".reshape": (
        lambda: Written(
            lambda m, x: m.head(F.relu(m.a(x)).reshape(x.shape[0], -1)),
            a=conv(),
            head=nn.Linear(144, 3),
        ),
        IMAGES,
    ),
    "F.avg_pool2d": (
        lambda: Written(
            lambda m, x: m.head(F.avg_pool2d(F.relu(m.a(x)), 2)), a=conv(), head=head(36)
        ),
        IMAGES,
    ),
    "reused activation": (
        lambda: Written(reused, a=conv(), b=conv(4), c=conv(4), act=nn.ReLU(), head=head(144)),
        IMAGES,
    ),
    "lambda shortcut": (
        lambda: Written(
            lambda m, x: m.head(F.relu(m.a(F.relu(m.b(x))) + m.short(F.relu(m.b(x))))),
            a=conv(4, 8, stride=2),
            b=conv(),
            short=lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)),
            head=head(72),
        ),
        IMAGES,
    ),
    "nested Sequential": (
        row(
            nn.Sequential(nn.Sequential(conv(), nn.ReLU()), nn.Sequential(nn.AvgPool2d(2))),
            nn.Sequential(nn.Sequential(), head(36)),
        ),
        IMAGES,
    ),
    "residual": (lambda: Written(residual, a=conv(), b=conv(4), c=conv(4), head=head(144)), IMAGES),
    "depthwise": (
        row(conv(), nn.ReLU(), conv(4, 4, groups=4), nn.ReLU(), head(144)),
        IMAGES,
    ),
    "depthwise, multiplied": (
        row(conv(), nn.ReLU(), conv(4, 8, groups=4), nn.ReLU(), head(288)),
        IMAGES,
    ),
    "grouped": (row(conv(), nn.ReLU(), conv(4, 6, groups=2), nn.ReLU(), head(216)), IMAGES),
    "dilation": (
        row(nn.Conv2d(2, 4, 3, dilation=2, padding=1), nn.ReLU(), head(64)),
        IMAGES,
    ),
    "Conv1d": (
        row(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool1d(2), head(24)),
        SIGNALS,
    ),
    "BatchNorm1d": (
        row(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)),
        FLAT,
    ),
    "BatchNorm1d behind Conv1d": (
        row(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), head(40)),
        SIGNALS,
    ),
    "BatchNorm2d": (row(conv(), nn.BatchNorm2d(4), nn.ReLU(), head(144)), IMAGES),
    "BatchNorm2d behind the activation": (
        row(conv(), nn.ReLU(), nn.BatchNorm2d(4), head(144)),
        IMAGES,
    ),
    "Dropout": (
        row(conv(), nn.ReLU(), nn.Dropout2d(0.5), nn.Flatten(), nn.Dropout(0.5), head(144)),
        IMAGES,
    ),
    "Identity": (row(nn.Identity(), conv(), nn.Identity(), nn.ReLU(), head(144)), IMAGES),
    "AvgPool2d": (row(conv(), nn.ReLU(), nn.AvgPool2d(3, 2, 1), head(36)), IMAGES),
    "AvgPool2d before a convolution": (
        row(conv(), nn.ReLU(), nn.AvgPool2d(2), conv(4, 6), nn.ReLU(), head(54)),
        IMAGES,
    ),
    "AdaptiveAvgPool2d to 1": (row(conv(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), head(4)), IMAGES),
    "mean": (
        lambda: Written(
            lambda m, x: m.head(F.relu(m.a(x)).mean((2, 3))), a=conv(), head=nn.Linear(4, 3)
        ),
        IMAGES,
    ),
    "MaxPool2d": (row(conv(), nn.ReLU(), nn.MaxPool2d(2), head(36)), IMAGES),
    "MaxPool2d that overlaps": (row(conv(), nn.ReLU(), nn.MaxPool2d(3, 2), head(16)), IMAGES),
    "MaxPool2d that pads": (row(conv(), nn.ReLU(), nn.MaxPool2d(3, 2, 1), head(36)), IMAGES),
    "MaxPool2d before the activation": (
        row(conv(), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU(), head(36)),
        IMAGES,
    ),
    "MaxPool2d behind a normalisation": (
        row(conv(), nn.ReLU(), nn.BatchNorm2d(4), nn.MaxPool2d(2), head(36)),
        IMAGES,
    ),
    "MaxPool1d": (row(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.MaxPool1d(2), head(20)), SIGNALS),
    "AdaptiveMaxPool2d": (row(conv(), nn.ReLU(), nn.AdaptiveMaxPool2d(2), head(16)), IMAGES),
    "amax": (
        lambda: Written(
            lambda m, x: m.head(F.relu(m.a(x)).amax((2, 3))), a=conv(), head=nn.Linear(4, 3)
        ),
        IMAGES,
    ),
    "cat": (
        lambda: Written(
            lambda m, x: m.head(
                F.relu(m.c(torch.cat([F.relu(m.a(x)), m.b(x) + 0.1, x[:, :1]], 1)))
            ),
            a=conv(2, 5, 1),
            b=conv(2, 4, 1),
            c=conv(10, 3),
            head=head(108),
        ),
        IMAGES,
    ),
    "cat of vectors": (
        lambda: Written(
            lambda m, x: m.c(torch.cat([F.relu(m.a(x)), F.relu(m.b(x))], 1)),
            a=nn.Linear(5, 6),
            b=nn.Linear(5, 2),
            c=nn.Linear(8, 3),
        ),
        FLAT,
    ),
    "cat of means": (
        lambda: Written(
            lambda m, x: m.c(torch.cat([x.mean((2, 3)), F.relu(m.b(x)).mean((2, 3))], 1)),
            b=conv(2, 3),
            c=nn.Linear(5, 3),
        ),
        IMAGES,
    ),
    "cat of flattened maps": (
        lambda: Written(
            lambda m, x: m.c(torch.cat([F.relu(m.a(x)).flatten(1), x.flatten(1)], 1)),
            a=conv(2, 3),
            c=nn.Linear(180, 3),
        ),
        IMAGES,
    ),
    "cat of maps and means": (
        lambda: Written(
            lambda m, x: m.c(
                torch.cat(
                    [F.relu(m.a(x)).flatten(1), m.b(x).relu().mean((2, 3)), x.flatten(1)[:, 36:]], 1
                )
            ),
            a=conv(2, 3),
            b=conv(),
            c=nn.Linear(148, 3),
        ),
        IMAGES,
    ),
    "channel shuffle": (
        lambda: Written(
            lambda m, x: m.head(
                F.relu(m.b(F.relu(m.a(x)).unflatten(1, (2, 3)).transpose(1, 2).flatten(1, 2)))
            ),
            a=conv(2, 6),
            b=conv(6, 6, groups=3),
            head=head(216),
        ),
        IMAGES,
    ),
    "split and channels taken": (
        lambda: Written(split, a=conv(2, 6), b=conv(2, 2), head=head(72)),
        IMAGES,
    ),
    "values taken": (
        lambda: Written(
            lambda m, x: m.b(F.relu(m.a(x))[:, [4, 0]] - F.relu(m.a(x)).chunk(3, 1)[2]),
            a=nn.Linear(5, 6),
            b=nn.Linear(2, 3),
        ),
        FLAT,
    ),
    "ReLU": (row(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)), FLAT),
    "ReLU6": (row(nn.Linear(5, 6), nn.ReLU6(), nn.Linear(6, 3)), FLAT),
    "Hardtanh(0, x)": (row(nn.Linear(5, 6), nn.Hardtanh(0, 0.5), nn.Linear(6, 3)), FLAT),
    "clamp": (
        lambda: Written(
            lambda m, x: m.b(m.a(x).clamp(0, 0.4)), a=nn.Linear(5, 6), b=nn.Linear(6, 3)
        ),
        FLAT,
    ),
}


def inputs(shape: tuple[int, ...]) -> torch.Tensor:
    """Real inputs of both signs."""
    return 2 * torch.randn((24, *shape), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", CASES)
def test_it_converts(name: str) -> None:
    make, shape = CASES[name]
    model, x = settle(make()), inputs(shape)
    graph = read(model, x)
    with torch.no_grad():
        wanted = model.double()(x.double())
    got = evaluate(graph, x.double())[-1].reshape(wanted.shape)
    assert torch.allclose(got, wanted, rtol=1e-9, atol=1e-9)
    assert integers(graph, x).unequal() == 0
    assert off(integers(graph, x, levels=60), wanted) < 0.05
    if not any(layer.maximum for layer in graph.layers):  # an OR of spikes is no maximum
        assert off(integers(graph, x, code=Code.RATE, levels=60), wanted) < 0.2


def off(found: Integers, wanted: torch.Tensor) -> float:
    """Mean error of the logits, in standard deviations."""
    return float((found.logits() - wanted).abs().mean() / wanted.std())
