"""QCFS as an activation function to train with, and models that have it in the place of ReLU."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conversion.converted import converted, samples
from conversion.models import Plain, row, settle
from torch import nn

from neurocuda_hw.conversion import QCFS, with_qcfs
from neurocuda_hw.conversion.activation import qcfs
from neurocuda_hw.conversion.trained import load_trained
from neurocuda_hw.ground.errors import ModelError, UnsupportedLayerError

X = samples((1, 8, 8), 64)


def straight_through(x: torch.Tensor, clip: torch.Tensor, levels: int) -> torch.Tensor:
    """The same activation, put together from what autograd knows."""
    ratio = x / clip * levels + 0.5
    number = ratio.floor().clamp(0, levels)
    through = (ratio - 0.5) + (number - (ratio - 0.5)).detach()
    inside = (ratio > 0) & (ratio < levels + 1)
    return torch.where(inside, through, number.detach()) * clip / levels


class Styles(nn.Module):
    """ReLUs as modules, functions and methods, one of them used twice; images (1, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.skip = nn.Conv2d(4, 4, 3, padding=1)
        self.act, self.six, self.hard = nn.ReLU(inplace=True), nn.ReLU6(), nn.Hardtanh(0, 3)
        self.first, self.second = nn.Linear(64, 12), nn.Linear(12, 12)
        self.last = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 5)."""
        x = self.act(self.bn(self.conv(x)))
        x = F.avg_pool2d(self.act(self.skip(x) + x), 2)
        x = self.six(self.first(x.flatten(1)))
        x = F.relu(self.hard(self.second(x)) - 1)
        return self.last((x + 0.1).relu())


class TestActivation:
    """The module by itself."""

    @pytest.mark.parametrize("levels", [1, 3, 8])
    @pytest.mark.parametrize("shape", [(7, 6), (5, 6, 9), (4, 6, 5, 3)])
    def test_values_and_gradients(self, levels: int, shape: tuple[int, ...]) -> None:
        generator = torch.Generator().manual_seed(levels)
        x = torch.randn(shape, generator=generator, dtype=torch.float64).mul(2).requires_grad_()
        wide = (1, 6, *[1] * (len(shape) - 2))
        clip = torch.rand(wide, generator=generator, dtype=torch.float64).add(0.5)
        clip.requires_grad_()
        wanted = straight_through(x, clip, levels)
        got = qcfs(x, clip, levels)
        assert torch.allclose(got, wanted, atol=1e-12)
        weight = torch.randn(shape, generator=generator, dtype=torch.float64)
        by_wanted = torch.autograd.grad((wanted * weight).sum(), (x, clip))
        by_got = torch.autograd.grad((got * weight).sum(), (x, clip))
        assert torch.allclose(by_got[0], by_wanted[0], atol=1e-12)
        assert torch.allclose(by_got[1], by_wanted[1], rtol=1e-5)  # it is summed up in float32

    def test_a_gradient_of_another_memory_format(self) -> None:
        x = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
        weight = torch.randn(2, 3, 4, 4)
        clip = torch.full((1, 3, 1, 1), 1.5)
        found = torch.autograd.grad(qcfs(x, clip, 4), x, weight)[0]
        wanted = torch.autograd.grad(straight_through(x, clip, 4), x, weight)[0]
        assert torch.allclose(found, wanted)
        assert found.stride() == x.stride()

    def test_lambda_moves_as_a_weight_does(self) -> None:
        """Its gradient is divided by the root of levels and positions (LSQ)."""
        x = torch.randn(4, 3, 5, 5)
        activation = QCFS(4, 1.5, channels=3)
        activation(x).sum().backward()
        clip = activation.clip.detach().reshape(1, 3, 1, 1).requires_grad_()
        qcfs(x, clip, 4).sum().backward()
        assert clip.grad is not None
        wanted = (clip.grad * clip.detach()).flatten() / (25 * 4) ** 0.5
        assert activation.log_clip.grad is not None
        assert torch.allclose(activation.log_clip.grad, wanted, rtol=1e-4)
        with torch.no_grad():
            assert torch.equal(activation(x), qcfs(x, clip, 4))

    def test_half_precision(self) -> None:
        x = torch.linspace(-1, 3, 64).reshape(1, 1, 64)
        answers = QCFS(4, 2.0)(x.bfloat16())
        assert answers.dtype == torch.bfloat16
        assert set(answers.flatten().tolist()) == {0.0, 0.5, 1.0, 1.5, 2.0}

    # a warning of the compiler's about itself
    @pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
    def test_a_compiler_sees_its_parts(self) -> None:
        """Compiled to be trained, it is the same, in operations that can be joined to others."""
        seen: list[str] = []

        def look(program: torch.fx.GraphModule, _: Any) -> Any:
            seen.extend(str(node.target) for node in program.graph.nodes)
            return program.forward

        x = samples((3, 6, 6), 8).requires_grad_()
        activation = QCFS(4, 1.5, channels=3)
        found = []
        for mode in (activation, torch.compile(activation, backend="aot_eager", fullgraph=True)):
            answers = mode(x)
            inputs = (x, activation.log_clip)
            found.append((answers.detach(), *torch.autograd.grad(answers.square().sum(), inputs)))
        assert torch.equal(found[0][0], found[1][0])
        assert torch.equal(found[0][1], found[1][1])
        assert torch.allclose(found[0][2], found[1][2], rtol=1e-6)
        torch._dynamo.reset()
        torch.compile(activation.train(), backend=look, fullgraph=True)(x)
        assert seen
        assert not any("qcfs" in target for target in seen)
        torch.compile(activation.eval(), backend=look, fullgraph=True)(x)
        assert any("qcfs" in target for target in seen)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"levels": 0}, "levels must be a whole number from 1 to 255, not 0"),
            ({"levels": 2.0}, "levels must be a whole number from 1 to 255, not 2.0"),
            ({"clip": 0.0}, "clip must be positive, not 0.0"),
            ({"clip": float("nan")}, "clip must be positive, not nan"),
        ],
    )
    def test_refuses(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            QCFS(**options)

    def test_refuses_other_channels(self) -> None:
        message = "QCFS of 3 channels must get (B, 3, ...), not (2, 4, 5)"
        with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
            QCFS(channels=3)(torch.zeros(2, 4, 5))


class TestReplaced:
    """`with_qcfs`."""

    def test_all_styles(self) -> None:
        model = settle(Styles())
        with torch.no_grad():
            before = model(X)
        quantised = with_qcfs(model, X, levels=255)
        found = [part for part in quantised.modules() if isinstance(part, QCFS)]
        assert len(found) == 6
        assert [len(part.log_clip) for part in found] == [4, 4, 12, 12, 12, 12]
        assert not any(isinstance(part, (nn.ReLU, nn.ReLU6)) for part in quantised.modules())
        with torch.no_grad():
            assert torch.equal(model(X), before)
            assert torch.allclose(quantised(X), before, atol=0.02 * float(before.abs().max()))
        assert {"conv.weight", "bn.running_mean", "last.bias"} <= set(quantised.state_dict())
        with torch.no_grad():
            quantised.get_parameter("conv.weight").zero_()
            assert torch.equal(model(X), before)
        coarse = with_qcfs(model, X, levels=2)
        assert len({round(v, 4) for v in coarse.get_submodule("qcfs_0").clip.tolist()}) == 4
        one = with_qcfs(model, X, levels=2, channel_wise=False)
        assert [len(part.log_clip) for part in one.modules() if isinstance(part, QCFS)] == [1] * 6

    def test_twice(self) -> None:
        """What is quantised already stays; there is nothing left to replace."""
        once = with_qcfs(settle(Plain()), X)
        message = "the model must have a ReLU to be replaced: it has none"
        with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
            with_qcfs(once, X)

    def test_a_hardtanh_that_goes_below_zero_is_none(self) -> None:
        model = settle(row(nn.Flatten(), nn.Linear(64, 4), nn.Hardtanh(), nn.Linear(4, 2)))
        with pytest.raises(ModelError, match="it has none"):
            with_qcfs(model, X)

    def test_refuses(self) -> None:
        message = (
            "the model must be in evaluation mode, but 'model' is in training mode; call "
            "model.eval() first"
        )
        with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
            with_qcfs(Plain(), X)

        class Branching(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x.relu() if x.sum() > 0 else x

        with pytest.raises(ModelError, match=r"cannot be traced by torch\.fx .* remove control"):
            with_qcfs(Branching().eval(), X)
        with pytest.raises(ValueError, match="levels must be a whole number from 1 to 255"):
            with_qcfs(settle(Plain()), X, levels=256)
        with pytest.raises(ModelError, match=r"does not take inputs of the shape \(2, 7\): layer"):
            with_qcfs(settle(Plain()), torch.zeros(4, 2, 7))
        damaged = settle(Plain())
        with torch.no_grad():
            next(damaged.parameters()).fill_(torch.nan)
        with pytest.raises(ModelError, match=r"^the activations at '\w+' must be finite, but some"):
            with_qcfs(damaged, X)


class TestConverted:
    """Models that hold QCFS become integers with the clip values that they have."""

    @pytest.mark.parametrize("channel_wise", [True, False])
    def test_clip_values_stay(self, channel_wise: bool) -> None:
        quantised = with_qcfs(settle(Styles()), X, levels=5, channel_wise=channel_wise)
        with torch.no_grad():
            for part in quantised.modules():
                if isinstance(part, QCFS):
                    part.log_clip.add_(0.1)  # what no calibration would find
        labels = torch.zeros(len(X), dtype=torch.int64)
        made = converted(quantised, X, strategy="exact", levels=5, test_loader=(X, labels))
        assert made.stats.unequal == 0
        assert made.stats.notes == ()
        trained = made.snn.trained
        assert trained is not None
        own = [part.clip for part in quantised.modules() if isinstance(part, QCFS)]
        for got, wanted in zip(trained.clips(), own, strict=True):  # type: ignore[operator]
            assert torch.allclose(got, wanted.expand(len(got)), rtol=1e-6)
        with torch.no_grad():
            wanted = quantised(X)
        error = (made.snn(X) - wanted).abs().mean() / wanted.abs().mean()
        assert float(error) < 0.1  # of rounding weights to 8 bits

    def test_training_with_it_is_not_lost(self) -> None:
        """A coarse network, trained with its normalisations: its integers score what it scored."""
        x = samples((1, 8, 8), 256)
        y = (x[:, 0, :4].sum((1, 2)) > x[:, 0, 4:].sum((1, 2))).long() + 2 * (
            x[:, 0, :, :4].sum((1, 2)) > x[:, 0, :, 4:].sum((1, 2))
        ).long()
        layers = (nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2))
        head = (nn.Flatten(), nn.Linear(96, 16), nn.ReLU(), nn.Linear(16, 4))
        model = with_qcfs(settle(row(*layers, *head)), x, levels=2)

        def right(answers: torch.Tensor) -> float:
            return 100 * float((answers.argmax(1) == y).float().mean())

        torch.manual_seed(0)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        model.train()
        for _ in range(120):
            loss = F.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            reached = right(model(x))
        assert reached > 90.0
        stats = converted(model, (x, y), test_loader=(x, y), strategy="exact", levels=2).stats
        assert stats.ann_accuracy == pytest.approx(reached)
        assert stats.unequal == 0
        assert stats.integer_accuracy is not None
        assert stats.integer_accuracy > reached - 4.0

    def test_other_levels_are_noted(self) -> None:
        model = with_qcfs(settle(Plain()), X, levels=4)
        made = converted(model, X, strategy="exact", levels=8, task="classify")
        assert made.stats.notes == (
            "the model was trained with QCFS of 4 levels, and is converted to 8",
        )
        rate = converted(model, X, code="rate", timesteps=4, task="classify")
        assert rate.stats.notes == ()

    def test_an_exported_program(self, tmp_path: Path) -> None:
        model = with_qcfs(settle(Plain()), X, levels=4)
        batch = torch.export.Dim("batch", min=2, max=512)
        program = torch.export.export(model, (X[:8],), dynamic_shapes=({0: batch},))
        torch.export.save(program, tmp_path / "model.pt2")
        read = load_trained(tmp_path / "model.pt2")
        options: dict[str, Any] = {"strategy": "exact", "levels": 4}
        assert (
            converted(read, X, **options).snn.network.hash  # type: ignore[arg-type]
            == converted(model, X, **options).snn.network.hash
        )

    def test_other_channels_are_refused(self) -> None:
        """Clip values for each neuron behind a flattened map, where neurons share a channel's."""
        model = row(nn.Conv2d(1, 2, 3), nn.Flatten(), QCFS(4, channels=72), nn.Linear(72, 3))
        message = (
            "layer '0' (QCFS) cannot be converted: it must have one clip value, or 2: one per "
            "channel"
        )
        with pytest.raises(UnsupportedLayerError, match=re.escape(message)):
            converted(model, X)
