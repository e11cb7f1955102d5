"""Capture: the layers compute what the model computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from conversion.models import (
    Mixed,
    OneDimensional,
    Plain,
    Residual,
    Spiking,
    row,
    settle,
)
from torch import nn
from torch.export import Dim

from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.graph import Graph, evaluate
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.linear.maps import Kind

STYLES = [
    (Plain, (1, 8, 8)),
    (Residual, (3, 8, 8)),
    (Mixed, (2, 8, 8)),
    (OneDimensional, (2, 16)),
    (Spiking, (2, 6, 6)),
]


def inputs(shape: tuple[int, ...], count: int = 6) -> torch.Tensor:
    """Real inputs of both signs."""
    return torch.randn((count, *shape), generator=torch.Generator().manual_seed(3))


def names(graph: Graph) -> list[str]:
    """The layers' names."""
    return [layer.name for layer in graph.layers]


@pytest.mark.parametrize(("kind", "shape"), STYLES)
def test_layers_compute_what_the_model_computes(
    kind: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    model, x = settle(kind()), inputs(shape)
    graph = capture(model, x)
    with torch.no_grad():
        wanted = model.double()(x.double())
    got = evaluate(graph, x.double())[-1]
    if graph.notes:
        got = got.log_softmax(1)
    assert torch.allclose(got.reshape(wanted.shape), wanted, rtol=1e-9, atol=1e-9)


def test_names_and_shapes_of_the_layers() -> None:
    graph = capture(settle(Plain()), inputs((1, 8, 8)))
    assert names(graph) == ["features_0", "features_4", "head_1", "head_4"]
    assert [layer.path for layer in graph.layers] == [
        "features.0",
        "features.4",
        "head.1",
        "head.4",
    ]
    assert graph.shapes == ((1, 8, 8), (4, 8, 8), (6, 2, 2), (9,), (5,))
    assert [layer.cap for layer in graph.layers] == [None, None, 6.0, None]
    assert [layer.spiking for layer in graph.layers] == [True, True, True, False]
    assert graph.layers[1].terms[0].pool == (2, 2)


def test_residual_sums_and_the_option_a_shortcut() -> None:
    graph = capture(settle(Residual()), inputs((3, 8, 8)))
    assert names(graph) == [
        "conv1",
        "layers_0_conv1",
        "layers_0_conv2",
        "layers_1_conv1",
        "layers_1_conv2",
        "linear",
    ]
    skip, option_a = graph.layers[2].terms[1], graph.layers[4].terms[1]
    assert (skip.kind, skip.source, skip.trained) == (Kind.GAIN, 1, False)
    assert (option_a.kind, option_a.source, option_a.stride) == (Kind.CONV, 3, (2, 2))
    assert option_a.weight.shape == (8, 4, 1, 1)
    assert torch.equal(option_a.weight[2:6, :, 0, 0], torch.eye(4, dtype=torch.float64))
    assert float(option_a.weight.sum()) == 4


def test_batch_norm_is_folded() -> None:
    torch.manual_seed(1)
    conv, norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
    model = settle(nn.Sequential(conv, norm, nn.ReLU(), nn.Flatten()))
    layer = capture(model, inputs((2, 5, 5))).layers[0]
    gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).double()
    wanted = conv.weight.double() * gain[:, None, None, None]
    assert torch.allclose(layer.terms[0].weight, wanted, rtol=1e-6)
    shift = (conv.bias.double() - norm.running_mean) * gain + norm.bias
    assert torch.allclose(layer.bias, shift, rtol=1e-6, atol=1e-7)


def test_a_bias_before_a_zero_padded_convolution_differs_at_the_border() -> None:
    model = settle(
        nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten())
    )
    layer = capture(model, inputs((1, 4, 4))).layers[0]
    assert layer.bias.shape == (2, 4, 4)
    assert float(layer.bias[0, 0, 0]) != float(layer.bias[0, 1, 1])


def test_the_final_softmax_is_noted() -> None:
    graph = capture(settle(OneDimensional()), inputs((2, 16)))
    assert graph.notes == (
        "the final aten.log_softmax.int is left to the host: it does not change which class is "
        "largest",
    )
    assert graph.shapes[:2] == ((2, 1, 16), (4, 1, 16))


def test_in_place_operations_on_a_value_used_twice() -> None:
    class Aliased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3, padding=1)
            self.last = nn.Conv2d(2, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            before = x
            x.relu_()
            return F.relu(self.last(x).flatten(1)) + before[:, :, ::2, ::2].flatten(1)

    model, x = settle(Aliased()), inputs((1, 4, 4))
    graph = capture(model, x)
    with torch.no_grad():
        got = evaluate(graph, x.double())[-1].float().flatten(1)
        assert torch.allclose(got, model(x), atol=1e-6)


def test_an_exported_program_goes_the_same_way() -> None:
    model, x = settle(Plain()), inputs((1, 8, 8))
    program = torch.export.export(model, (x[:2],), dynamic_shapes=({0: Dim("batch")},))
    fixed = torch.export.export(model, (x[:3],))
    for exported in (program, fixed):
        graph = capture(exported, x)
        wanted = capture(model, x)
        assert names(graph) == names(wanted)
        assert all(
            torch.equal(a.terms[0].weight, b.terms[0].weight)
            for a, b in zip(graph.layers, wanted.layers, strict=True)
        )


def test_a_program_exported_in_training_mode_is_refused() -> None:
    refused = {
        nn.BatchNorm1d(3): "the model must be exported in evaluation mode, but 'batch_norm' is in "
        "training mode; call model.eval() before torch.export.export",
        nn.Dropout(0.5): "dropout at 'dropout' is in training mode; call model.eval() before "
        "torch.export.export, and use nn.Dropout, or F.dropout with training=self.training: left "
        "out, it means True",
    }
    for model, message in refused.items():
        whole = nn.Sequential(nn.Linear(3, 3), model, nn.ReLU()).train()
        program = torch.export.export(whole, (torch.rand(4, 3),))
        with pytest.raises(ModelError) as caught:
            capture(program, torch.rand(4, 3))
        assert str(caught.value) == message


def test_a_program_for_another_shape_is_refused() -> None:
    program = torch.export.export(
        settle(nn.Sequential(nn.Linear(3, 2), nn.ReLU())), (inputs((3,)),)
    )
    with pytest.raises(ModelError) as caught:
        capture(program, inputs((4,)))
    assert str(caught.value) == "the model was exported for inputs of the shape (3,), not (4,)"


def test_reading_the_batch_size_does_not_fix_it() -> None:
    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(F.relu(x).reshape(len(x), -1))

    graph = capture(settle(Sized()), inputs((2, 2, 2)))
    assert graph.shapes == ((2, 2, 2), (2, 2, 2), (2,))


def test_an_activation_is_left_out_only_where_it_changes_nothing() -> None:
    class Shifted(nn.Module):
        def __init__(self, shift: float) -> None:
            super().__init__()
            self.shift = shift

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(F.relu(x) + self.shift)

    x = 20 * inputs((4,))
    for model, layers in (
        (row(nn.ReLU(), nn.ReLU(), nn.Flatten()), 1),
        (row(nn.ReLU(), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten()), 1),
        (row(nn.ReLU(), nn.ReLU6()), 2),
        (Shifted(-0.5).eval(), 2),
    ):
        data = 20 * inputs((2, 6, 6)) if layers == 1 else x
        graph = capture(model, data)
        assert sum(layer.spiking for layer in graph.layers) == layers
        with torch.no_grad():
            assert torch.allclose(evaluate(graph, data)[-1].flatten(1), model(data))
