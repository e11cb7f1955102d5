"""Small trained-looking classifiers in the styles that people write."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


def settle(model: nn.Module, seed: int = 0) -> nn.Module:
    """Draws weights and the statistics of normalisations from `seed`; evaluation mode."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 9
            if len(parameter) > 1:  # not a gain for all samples, which starts at 1
                parameter.uniform_(-(fan_in**-0.5), fan_in**-0.5)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return model.eval()


def row(*modules: nn.Module) -> nn.Module:
    """Modules in a row, in evaluation mode."""
    return nn.Sequential(*modules).eval()


class Plain(nn.Module):
    """Modules in a row, as MnistCNN, on images (1, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
        )
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(24, 9), nn.ReLU6(), nn.Dropout(0.2), nn.Linear(9, 5)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 5)."""
        return self.head(self.features(x))


class Shortcut(nn.Module):
    """A lambda as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Whatever the function gives."""
        return self.function(x)


class Block(nn.Module):
    """A residual block in functional style, with the option-A shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Sequential()
        if stride != 1 or inputs != outputs:
            extra = (outputs - inputs) // 2
            self.shortcut = Shortcut(
                lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, extra, extra), "constant", 0)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class Residual(nn.Module):
    """A tiny CIFAR ResNet with option-A shortcuts, on images (3, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layers = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2))
        self.linear = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 5)."""
        out = self.layers(F.relu(self.bn1(self.conv1(x))))
        out = F.avg_pool2d(out, out.size()[3])
        return self.linear(out.view(out.size(0), -1))


class Mixed(nn.Module):
    """Every composition of linear maps that is exact, on feature maps (2, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.BatchNorm2d(2)
        self.wide = nn.Conv2d(2, 4, 3, padding="same")
        self.deep = nn.Conv2d(4, 4, 3, groups=4, dilation=2)
        self.point = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1))
        self.gain = nn.Parameter(torch.tensor([1.2, 0.8, 1.5, 1.1]).reshape(1, 4, 1, 1))
        self.shift = nn.Parameter(torch.tensor([0.1, 0.3, 0.0, 0.2]).reshape(1, 4, 1, 1))
        self.act = nn.ReLU()
        self.norm = nn.BatchNorm1d(16)
        self.linear = nn.Linear(16, 3)
        self.matrix = nn.Parameter(torch.eye(3) + 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 3)."""
        x = F.avg_pool2d(self.wide(self.before(x)), 2).relu_()
        x = self.point(self.deep(F.pad(x, (1, 1, 1, 1))))
        x = self.act(2 * x * self.gain + self.shift - 0.1)
        x = self.act(F.avg_pool2d(x, 3, stride=1, padding=1) + 0.5 * x - x / 4)
        x = self.norm(torch.flatten(x, 1))
        return self.linear(x) @ self.matrix * 3


class OneDimensional(nn.Module):
    """Conv1d and its companions, on signals (2, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, padding="same")
        self.norm = nn.BatchNorm1d(4)
        self.second = nn.Conv1d(4, 3, 3, stride=2, padding=2, dilation=2)
        self.linear = nn.Linear(12, 5)
        self.after = nn.BatchNorm1d(5)
        self.last = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 3)."""
        x = F.avg_pool1d(torch.relu(self.norm(self.conv(x))), 2)
        x = torch.clamp(self.second(x), min=0)
        x = F.hardtanh(self.after(self.linear(x.flatten(1))), 0, 2)
        return self.last(x).log_softmax(dim=1)


class Spiking(nn.Module):
    """Ends in an activation and averages by a mean, on images (2, 6, 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, bias=False)
        self.linear = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Activations (B, 4)."""
        x = F.relu(self.conv(x)).mean(dim=(2, 3))
        return F.relu(self.linear(x))
