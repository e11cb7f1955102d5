"""Recordings of frames: the sum, the mean, or each of them; by a model of one frame or of all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from conversion.integers import integers, read
from conversion.models import settle
from torch import nn

from neurocuda_hw.conversion import convert, spiking
from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.inputs import payload_of
from neurocuda_hw.conversion.quantize import Code
from neurocuda_hw.conversion.temporal import Frames, Reduce, frames_of
from neurocuda_hw.ground.errors import DataError, ModelError, UnsupportedLayerError
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import Encoding, Input, Window

pytestmark = pytest.mark.slow

STEPS = 4
Way = Callable[["Whole", torch.Tensor], torch.Tensor]


def single() -> nn.Module:
    """A classifier of one frame (2, 6, 6)."""
    return settle(
        nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 5),
            nn.ReLU(), nn.Linear(5, 3),
        )
    )  # fmt: skip


class Whole(nn.Module):
    """A classifier of recordings (T, 2, 6, 6)."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self.net, self.way = single(), way

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 3)."""
        return self.way(self, x)


def viewed(m: Whole, x: torch.Tensor) -> torch.Tensor:
    """Each frame, as most people write it."""
    batch, steps = x.shape[:2]
    y = m.net(x.reshape(batch * steps, *x.shape[2:]))
    return y.view(batch, steps, -1).mean(dim=1)


WAYS: list[tuple[Way, Reduce]] = [
    (lambda m, x: m.net(x.sum(1)), Reduce.SUM),
    (lambda m, x: m.net(x.sum(dim=1)), Reduce.SUM),
    (lambda m, x: m.net(x.mean(1)), Reduce.MEAN),
    (lambda m, x: m.net(torch.mean(x, dim=1)), Reduce.MEAN),
    (lambda m, x: m.net(x.flatten(0, 1)).unflatten(0, (-1, STEPS)).mean(1), Reduce.EACH),
    (viewed, Reduce.EACH),
]


def events(count: int = 24, highest: int = 3) -> torch.Tensor:
    """Counts of events (B, T, 2, 6, 6)."""
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, highest + 1, (count, STEPS, 2, 6, 6), generator=generator).float()


@pytest.mark.parametrize(("way", "reduce"), WAYS)
def test_models_of_all_frames_are_models_of_one(way: Way, reduce: Reduce) -> None:
    x, model = events(), Whole(way).eval()
    graph = read(model, x)
    assert graph.frames == Frames(steps=STEPS, reduce=reduce)
    assert graph.input_shape == (2, 6, 6)
    with torch.no_grad():
        wanted = model(x)
    assert torch.allclose(evaluate(graph, x)[-1], wanted, atol=1e-5)
    same = read(single(), x, Frames(steps=STEPS, reduce=reduce))
    assert torch.allclose(evaluate(same, x)[-1], wanted, atol=1e-5)


@pytest.mark.parametrize("reduce", [Reduce.SUM, Reduce.MEAN])
def test_the_exact_code_integrates_all_frames_first(reduce: Reduce) -> None:
    x = events()
    graph = read(single(), x, Frames(steps=STEPS, reduce=reduce))
    found = integers(graph, x, levels=5)
    assert found.unequal() == 0
    network = found.network
    assert network.window("input") == Window(start=0, stop=STEPS)
    assert network.window("layer0") == Window(start=STEPS - 1, stop=STEPS + 4)
    assert network.timesteps == STEPS - 1 + 2 * 4 + 1
    # the order of the frames does not matter, what is in them does
    again = integers(graph, x.flip(1), levels=5)
    assert torch.equal(again.run.outputs, found.run.outputs)
    assert torch.allclose(found.module(x).double(), found.logits(), rtol=1e-6, atol=1e-7)
    wanted = evaluate(graph, x)[-1]
    fine = integers(graph, x, levels=100).logits()
    assert float((fine - wanted).abs().mean() / wanted.std()) < 0.05


@pytest.mark.parametrize("reduce", list(Reduce))
def test_the_rate_code_takes_a_frame_in_each_step(reduce: Reduce) -> None:
    x = events()
    found = integers(read(single(), x, Frames(steps=STEPS, reduce=reduce)), x, code=Code.RATE)
    assert found.network.timesteps == STEPS
    wanted = spiking.run(found.module, x)
    assert torch.allclose(wanted.double(), found.logits(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("reduce", list(Reduce))
def test_many_frames_approach_the_trained_model_in_the_rate_code(reduce: Reduce) -> None:
    x = events(16)[:, :1].expand(-1, 60, -1, -1, -1)  # the same frame over and over
    graph = read(single(), x, Frames(steps=60, reduce=reduce))
    found = integers(graph, x, code=Code.RATE, bits=12)
    wanted = evaluate(graph, x)[-1]
    assert float((found.logits() - wanted).abs().mean() / wanted.std()) < 0.1


def neuron(network: Network) -> Input:
    """The input's."""
    found = network.input.neuron
    assert isinstance(found, Input)
    return found


def test_counts_of_events_stay_what_they_are() -> None:
    x = events(highest=5)
    snn, stats = convert(single(), x, frames="sum", strategy="exact", qcfs_epochs=0, verbose=False)
    entry = neuron(snn.network)
    assert (entry.encoding, entry.payload_bits, entry.signed) == (Encoding.GRADED, 3, False)
    assert np.array_equal(snn.quantise(x), x.numpy().astype(np.int64))
    assert stats.unequal is None
    binary = events(highest=1)
    snn, _ = convert(
        single(), binary, frames="mean", strategy="exact", qcfs_epochs=0, verbose=False
    )
    assert neuron(snn.network).encoding is Encoding.SPIKES
    assert snn(binary).shape == (24, 3)


def test_payload() -> None:
    frames = Frames(steps=2, reduce=Reduce.SUM)
    assert payload_of(frames, torch.tensor([0.0, 9.0]), 8, (2,)) == (4, 1.0, [])
    assert payload_of(frames, torch.tensor([-3.0, 3.0]), 8, (2,)) == (3, 1.0, [])
    assert payload_of(frames, torch.tensor([0.0, 600.0]), 8, (2,)) == (8, 600 / 255, [])
    assert payload_of(frames, torch.tensor([0.0, 0.5]), 8, (2,)) == (8, 0.5 / 255, [])
    assert payload_of(None, torch.tensor([0.0, 9.0]), 8, (2,)) == (8, 9 / 255, [])


@pytest.mark.parametrize("code", ["exact", "rate"])
def test_convert_with_labels_and_training(code: str) -> None:
    x = events(32)
    y = torch.arange(32) % 3
    model = Whole(WAYS[0][0]).eval()
    snn, stats = convert(
        model, (x, y), test_loader=(x, y), code=code, qcfs_epochs=1, if_epochs=1, verbose=False
    )
    with torch.no_grad():
        right = 100 * float((model(x).argmax(1) == y).float().mean())
    assert stats.ann_accuracy == pytest.approx(right)
    assert stats.integer_accuracy == pytest.approx(
        100 * float((snn(x).argmax(1) == y).float().mean())
    )
    assert (stats.unequal == 0) is (code == "exact")
    assert snn.timesteps == (STEPS if code == "rate" else STEPS - 1 + 2 * 7 + 1)


def test_unknown_ways_and_missing_axes() -> None:
    with pytest.raises(ValueError, match=r"^frames must be 'sum', 'mean' or 'each', not 'max'$"):
        frames_of("max", events())
    message = (
        r"^inputs must have an axis of frames, \(samples, frames, \.\.\.\), not \(4, 5\); leave "
        r"frames out for static inputs$"
    )
    with pytest.raises(DataError, match=message):
        frames_of("sum", torch.zeros(4, 5))
    with pytest.raises(
        DataError,
        match=r"^inputs must have 4 frames each, \(samples, 4, \.\.\.\), not \(8, 3, 2, 6, 6\)$",
    ):
        Frames(steps=4, reduce=Reduce.SUM).enter(torch.zeros(8, 3, 2, 6, 6))


def refused(way: Way) -> str:
    """What capture says of a model of recordings."""
    with pytest.raises(ModelError) as caught:
        read(Whole(way).eval(), events(6))
    return str(caught.value)


_WAY_OUT = (
    "take the sum or the mean of the frames first, x.sum(1) or x.mean(1), or fold them into the "
    "batch, x.flatten(0, 1), and average the answers, y.unflatten(0, (-1, frames)).mean(1)"
)


def test_what_cannot_be_followed_is_refused() -> None:
    assert refused(lambda m, x: m.net(x.select(1, 0))) == (
        f"layer 'select' (select) cannot be converted: {_WAY_OUT}"
    )
    assert refused(lambda m, x: m.net(x.amax(1))) == (
        f"layer 'amax' (amax) cannot be converted: {_WAY_OUT}"
    )
    assert refused(lambda m, x: m.net(x.sum(1)) + m.net(x.mean(1))) == (
        "layer 'mean' (mean) cannot be converted: a model must reduce the frames of its input in "
        "one way only"
    )
    assert refused(lambda m, x: m.net(x.flatten(0, 1))) == (
        "the model must average its answers to the frames: y.unflatten(0, (-1, frames)).mean(1)"
    )
    late = refused(lambda m, x: torch.relu(viewed(m, x)))
    assert late == (
        "layer 'relu_2' (relu) cannot be converted: nothing but linear layers may follow the mean "
        "of the answers"
    )


def test_a_model_of_one_frame_must_say_what_it_sees() -> None:
    with pytest.raises(ModelError) as caught:
        convert(single(), events(), verbose=False)
    assert str(caught.value).startswith(
        "the model does not take inputs of the shape (4, 2, 6, 6): layer '0' (Conv2d) says: "
    )
    assert str(caught.value).endswith(
        "; if it takes single frames, say frames='sum', 'mean' or 'each'"
    )


def test_each_frame_is_for_the_rate_code() -> None:
    with pytest.raises(ModelError) as caught:
        convert(single(), events(), frames="each", strategy="exact", verbose=False)
    assert str(caught.value) == (
        "the model is applied to each frame, which the exact code cannot follow: it needs one "
        "answer to the sum or the mean of the frames; use the rate code, or train on summed frames"
    )


def test_timesteps_are_the_frames() -> None:
    with pytest.raises(ModelError) as caught:
        convert(
            single(), events(), frames="sum", strategy="qcfs_direct", timesteps=8, verbose=False
        )
    assert str(caught.value) == ("timesteps must be 4, as the model or its recordings say, not 8")


def test_inputs_of_other_lengths_are_refused() -> None:
    snn, _ = convert(
        single(), events(), frames="sum", strategy="exact", qcfs_epochs=0, verbose=False
    )
    with pytest.raises(DataError) as caught:
        snn(events()[:, :3])
    assert (
        str(caught.value)
        == "inputs must have the shape (samples, 4, 2, 6, 6), not (24, 3, 2, 6, 6)"
    )


def test_a_value_of_frames_is_named_where_it_is_used_wrongly() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(2, 6, 6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x * self.gain).flatten(1)

    with pytest.raises(UnsupportedLayerError) as caught:
        read(Both().eval(), events(6))
    assert str(caught.value) == f"layer 'mul' (mul) cannot be converted: {_WAY_OUT}"
