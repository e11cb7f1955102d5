"""What capture refuses: the message names the layer, its type, and the way out."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conversion.converted import samples
from conversion.models import Residual, row, settle
from torch import nn

from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.prepare import Prepared
from neurocuda_hw.conversion.teacher import Teacher
from neurocuda_hw.ground.errors import DataError, ModelError, UnsupportedLayerError

_RELU = "train with ReLU instead: a spike count is never negative and grows with its input"
_MAX = (
    "put an activation (ReLU) right before the max pooling, or right behind it: the two may be "
    "exchanged"
)
_ONLY = (
    "use Linear, convolutions, BatchNorm, ReLU, ReLU6, Hardtanh(0, x), average and max pooling, "
    "reshaping, padding, up-sampling, addition, concatenation and dropout only"
)
IMAGES, FLAT = (2, 6, 6), (4,)
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("model", "shape", "path", "kind", "way_out"),
    [
        (row(nn.Conv2d(2, 2, 3), nn.MaxPool2d(2)), IMAGES, "1", "MaxPool2d", _MAX),
        (row(nn.MaxPool2d(2), nn.Conv2d(2, 2, 1), nn.ReLU()), IMAGES, "0", "MaxPool2d", _MAX),
        (row(nn.Linear(4, 4), nn.Tanh()), FLAT, "1", "Tanh", _RELU),
        (
            row(nn.Sequential(nn.Linear(4, 4), nn.Sigmoid()), nn.Linear(4, 2)),
            FLAT,
            "0.1",
            "Sigmoid",
            f"{_RELU}; only as the very last operation it is left to the host",
        ),
        (
            row(nn.Linear(4, 4), nn.Hardtanh()),
            FLAT,
            "1",
            "Hardtanh",
            "its lower bound must be 0, as in ReLU, ReLU6 and Hardtanh(0, x)",
        ),
        (
            row(nn.Linear(4, 4), nn.LayerNorm(4)),
            FLAT,
            "1",
            "LayerNorm",
            "train with batch normalisation: its factors are fixed after training",
        ),
        (row(nn.Linear(4, 4), nn.Softmax(1), nn.ReLU()), FLAT, "1", "Softmax",
         "only as the very last operation, where it is left to the host"),
        (row(nn.LogSigmoid()), IMAGES, "0", "LogSigmoid", _ONLY),
    ],
)  # fmt: skip
def test_unsupported_layers_are_named(
    model: nn.Module, shape: tuple[int, ...], path: str, kind: str, way_out: str
) -> None:
    with pytest.raises(UnsupportedLayerError) as caught:
        capture(model, samples(shape, 6))
    assert str(caught.value) == f"layer {path!r} ({kind}) cannot be converted: {way_out}"
    assert (caught.value.path, caught.value.kind, caught.value.way_out) == (path, kind, way_out)


def test_unsupported_functional_code_is_named() -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.relu(self.inner(x))
            return x * x

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = Gate()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.gate(x)

    with pytest.raises(UnsupportedLayerError) as caught:
        capture(Outer().eval(), samples(FLAT, 6))
    assert str(caught.value) == (
        "layer 'gate' (mul) cannot be converted: products of activations (gates, attention) cannot "
        "be converted: a synapse has fixed weights"
    )


def refuses(model: nn.Module, x: torch.Tensor, message: str) -> None:
    """Capture raises a ModelError with this whole message."""
    with pytest.raises(ModelError) as caught:
        capture(model, x)
    assert str(caught.value) == message


def test_training_mode_is_refused() -> None:
    refuses(
        nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
        samples(FLAT, 6),
        "the model must be in evaluation mode, but 'model' is in training mode; call model.eval() "
        "first",
    )
    part = row(nn.Linear(4, 4), nn.Dropout(), nn.ReLU())
    part.get_submodule("1").train()
    refuses(
        part,
        samples(FLAT, 6),
        "the model must be in evaluation mode, but '1' is in training mode; call model.eval() "
        "first",
    )


def test_a_model_without_activation_is_refused() -> None:
    refuses(
        row(nn.Linear(4, 4), nn.Linear(4, 2)),
        samples(FLAT, 6),
        "the model must have an activation function (ReLU) between its layers: it has none",
    )


def test_wrong_channel_count_names_the_layer() -> None:
    message = (
        r"the model does not take inputs of the shape \(1, 8, 8\): layer 'conv1' \(Conv2d\) says: "
        r"Given groups=1, .* to have 3 channels, but got 1 channels instead"
    )
    with pytest.raises(ModelError) as caught:
        capture(settle(Residual()), samples((1, 8, 8), 6))
    assert re.fullmatch(message, str(caught.value))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(bad: float) -> None:
    model = row(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model.get_submodule("2").weight[1, 1:3] = bad
    refuses(
        model,
        samples(FLAT, 6),
        "parameter '2.weight' must be finite, but 2 of its 8 values are NaN or infinite",
    )


def test_inputs_that_are_not_finite_are_refused() -> None:
    x = samples(FLAT, 6)
    x[0, 0] = float("nan")
    with pytest.raises(DataError, match=r"^inputs must be finite, not NaN or infinite$"):
        capture(row(nn.Linear(4, 4), nn.ReLU()), x)


def test_control_flow_on_data_is_refused() -> None:
    class Branch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(x) if x.sum() > 0 else x

    with pytest.raises(ModelError, match=r"^the model cannot be traced by torch\.export \(.*\); "):
        capture(Branch().eval(), samples(FLAT, 6))


def test_a_model_with_two_outputs_and_no_model_at_all() -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return F.relu(x), x

    refuses(
        Two().eval(),
        samples(FLAT, 6),
        "the model must have one input and one output, not 1 and 2; put it into a module that has",
    )
    with pytest.raises(
        TypeError,
        match=r"^model must be a torch\.nn\.Module or an ExportedProgram, "
        r"not str$",
    ):
        capture("model", samples(FLAT, 6))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a\\b", "class"])
def test_names_that_torch_cannot_write_into_code(name: str) -> None:
    model = nn.Sequential()
    model.add_module(name, nn.Linear(4, 4))
    model.append(nn.ReLU())
    refuses(
        model.eval(),
        samples(FLAT, 6),
        "a layer's name must be printable, without double quotes and backslashes, and no word of "
        f"Python's own, not {name!r}; give it another one and export it again",
    )


@pytest.mark.parametrize("name", ["a'b", "a b", "é;", "0"])
def test_other_names_are_kept(name: str) -> None:
    model = nn.Sequential()
    model.add_module(name, nn.Linear(4, 4))
    model.append(nn.ReLU())
    assert capture(model.eval(), samples(FLAT, 6)).layers[0].path == name


@pytest.mark.parametrize("takes", [capture, lambda p, x: Prepared(p), lambda p, x: Teacher(p, CPU)])
def test_names_of_a_program_that_was_read(takes: Any) -> None:
    """A file may hold other names than torch would have written."""
    x = samples(FLAT, 6)
    program = torch.export.export(row(nn.Linear(4, 4), nn.ReLU()).eval(), (x,))
    next(iter(program.graph.nodes)).name = 'a"b'
    with pytest.raises(ModelError, match="a layer's name must be printable"):
        takes(program, x)
