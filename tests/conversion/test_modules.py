"""IFNeuron, LIFNeuron and OverTime: over all steps, step by step, and as integers."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conversion.neuron_nets import NEURONS, STEPS, Make, images, net, recordings
from oracle import Oracle
from torch import nn

from neurocuda_hw.conversion import convert, finetune, spiking
from neurocuda_hw.conversion.direct import capture_neurons
from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.modules import IFNeuron, LIFNeuron, OverTime
from neurocuda_hw.ground.errors import DataError, ModelError, UnsupportedLayerError
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import IF, LIF, Encoding, Input, Reset
from neurocuda_hw.reference.snn import SpikingNetwork


@pytest.mark.parametrize(("name", "make"), NEURONS)
def test_a_neuron_is_its_equation(name: str, make: Make) -> None:
    neuron = make()
    assert isinstance(neuron, IFNeuron)
    currents = torch.randn((7, 3, 4), generator=torch.Generator().manual_seed(1)) * 0.5
    theta = float(neuron.threshold.detach())
    lost = 0.0 if neuron.decay is None else float(neuron.decay.detach())
    v = np.full((3, 4), neuron.v_init * theta, dtype=np.float32)
    wanted = []
    for current in currents.numpy():
        v = v * np.float32(1 - lost) + current
        fired = v >= np.float32(theta)
        v = np.where(fired, 0 if neuron.reset == "zero" else v - np.float32(theta), v)
        wanted.append(fired)
    with torch.no_grad():
        got = neuron(currents)
    assert np.array_equal(got.numpy() > 0, np.stack(wanted))
    state, steps = None, []
    for current in currents:
        spikes, state = neuron.step(current, state)
        steps.append(spikes)
    assert torch.equal(torch.stack(steps), got)
    assert 0 < float(got.mean()) < 1


@pytest.mark.parametrize(("name", "make"), NEURONS)
def test_all_steps_at_once_or_one_by_one(name: str, make: Make) -> None:
    x, layers = recordings(), net(make)
    model = OverTime(layers)
    with torch.no_grad():
        whole = model(x)
        answers, state = [], None
        for step in range(STEPS):
            answer, state = model.step(x[:, step], state)
            answers.append(answer)
        assert torch.allclose(torch.stack(answers).mean(0), whole, atol=1e-6)
        first = OverTime(layers, time_axis=0)
        assert torch.equal(first(x.transpose(0, 1)), whole)
        held = OverTime(layers, STEPS)(x[:, 0])
        assert torch.allclose(held, model(x[:, :1].expand_as(x)), atol=1e-6)


def test_nothing_is_carried_from_batch_to_batch() -> None:
    x, model = recordings(), OverTime(net(lambda: LIFNeuron(0.1, 0.4)))
    with torch.no_grad():
        once = model(x)
        model(recordings(5) * 3)
        model.step(x[:, 0])
        assert torch.equal(model(x), once)
        assert torch.allclose(model(x[3:4]), once[3:4], atol=1e-6)


def integers(
    model: OverTime, x: torch.Tensor, **options: object
) -> tuple[SpikingNetwork, torch.Tensor]:
    """The network, untrained, and the logits of the model."""
    snn, _ = convert(model, x, strategy="qcfs_direct", verbose=False, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        return snn, model(x)


@pytest.mark.parametrize(("name", "make"), NEURONS)
@pytest.mark.parametrize("static", [pytest.param(False, marks=pytest.mark.slow), True])
def test_it_becomes_integers(name: str, make: Make, static: bool) -> None:
    layers = net(make)
    model, x = (OverTime(layers, STEPS), images()) if static else (OverTime(layers), recordings())
    snn, wanted = integers(model, x)
    graph = capture_neurons(model, x)
    assert torch.allclose(evaluate(graph, x.double())[-1].float(), wanted, atol=1e-4)
    # what trains on is the network, bit for bit
    assert snn.trained is not None
    tuned = spiking.run(snn.trained, x)  # type: ignore[arg-type]
    assert torch.allclose(tuned.detach().double(), snn(x), rtol=1e-6, atol=1e-7)
    # and the network is close to the model
    assert float((snn(x) - wanted).abs().mean() / wanted.abs().mean()) < 0.3
    assert snn.timesteps == STEPS
    entry = snn.network.input.neuron
    assert isinstance(entry, Input)
    assert entry.encoding is (Encoding.CURRENT if static else Encoding.GRADED)


def test_the_naive_oracle_agrees() -> None:
    x = recordings(2)
    snn, _ = integers(OverTime(net(lambda: LIFNeuron(0.13, 0.5))), x)
    payload = snn.quantise(x)
    run = snn.run(x, spikes=True)
    for number, sample in enumerate(payload):
        recording = Oracle(snn.network).run(sample)
        assert recording.outputs == run.outputs[number].tolist()
        for name, spikes in run.spikes.items():
            assert recording.spikes[name] == spikes[number].flatten(1).tolist()


def neurons(network: Network) -> list[IF | LIF]:
    """Of the layers, without the max poolings."""
    found = [p.neuron for p in network.populations if p.name not in ("input", "layer3")]
    return [n for n in found if isinstance(n, IF | LIF)]


def test_parameters_of_the_integer_neurons() -> None:
    x = recordings()
    leaky, _ = integers(OverTime(net(lambda: LIFNeuron(0.13, 0.5, v_init=0.25))), x)
    for neuron in neurons(leaky.network):
        assert isinstance(neuron, LIF)
        assert np.all(neuron.decay == round(0.13 * 4096))
        assert neuron.reset is Reset.SUBTRACT
        assert np.array_equal(neuron.v_init, np.asarray(neuron.threshold) // 4)
    plain, _ = integers(OverTime(net(lambda: IFNeuron(0.5, reset="zero"))), x)
    assert [type(n) for n in neurons(plain.network)] == [IF, IF, IF]
    assert {n.reset for n in neurons(plain.network)} == {Reset.ZERO}


def test_one_threshold_and_decay_for_each_channel() -> None:
    x = recordings()
    torch.manual_seed(0)
    neuron = LIFNeuron(0.1, 0.5, channels=4, learn_decay=True, learn_threshold=True)
    with torch.no_grad():
        neuron.raw_decay += torch.tensor([0.0, 1.0, -1.0, 2.0])
        neuron.log_threshold += torch.tensor([0.0, 0.3, -0.3, 0.1])
    layers = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), neuron, nn.Flatten(), nn.Linear(64, 3)
    ).eval()
    snn, _ = integers(OverTime(layers), x)
    found = snn.network["layer0"].neuron
    assert isinstance(found, LIF)
    assert neuron.decay is not None
    assert np.array_equal(found.decay, (neuron.decay.detach() * 4096).numpy())
    assert len(set(found.decay.tolist())) == 4  # type: ignore[union-attr]
    graph = capture_neurons(OverTime(layers), x)
    with torch.no_grad():
        wanted = OverTime(layers)(x)
    assert torch.allclose(evaluate(graph, x.double())[-1].float(), wanted, atol=1e-4)


def test_the_decay_is_the_hardwares_while_it_learns() -> None:
    neuron = LIFNeuron(0.2, learn_decay=True)
    decay = neuron.decay
    assert decay is not None
    assert float(decay.detach() * 4096) == round(0.2 * 4096)
    neuron(torch.rand((4, 2, 3), generator=torch.Generator().manual_seed(1))).sum().backward()
    assert neuron.raw_decay.grad is not None
    assert float(neuron.raw_decay.grad.abs().sum()) > 0
    assert not LIFNeuron(0.2).raw_decay.requires_grad
    assert not IFNeuron().log_threshold.requires_grad


class TestTraining:
    """A network of LIF neurons learns, becomes integers, and learns on in integers."""

    @pytest.fixture(scope="class")
    @staticmethod
    def problem() -> tuple[OverTime, torch.Tensor, torch.Tensor]:
        """Three rhythms of noisy events, trained by surrogate gradients."""
        torch.manual_seed(0)
        y = torch.arange(300) % 3
        rhythm = torch.rand(3, 6, 12)
        x = (rhythm[y] * 2.5 + torch.rand(300, 6, 12)).round().clamp(0, 3)
        layers = nn.Sequential(
            nn.Linear(12, 16), LIFNeuron(0.2, learn_decay=True), nn.Linear(16, 3)
        )
        model = OverTime(layers)
        optimiser = torch.optim.Adam(model.parameters(), lr=2e-2)
        for _ in range(40):
            loss = F.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return model.eval(), x, y

    def test_it_learns_and_converts(
        self, problem: tuple[OverTime, torch.Tensor, torch.Tensor]
    ) -> None:
        model, x, y = problem
        snn, stats = convert(
            model, (x, y), test_loader=(x, y), strategy="qcfs_direct", verbose=False
        )
        assert stats.ann_accuracy is not None
        assert stats.integer_accuracy is not None
        assert stats.ann_accuracy > 90
        assert abs(stats.integer_accuracy - stats.ann_accuracy) < 2
        assert (stats.qcfs_accuracy, stats.unequal) == (None, None)
        assert stats.if_accuracy == stats.integer_accuracy
        assert set(stats.spike_agreement) == {"layer0"}
        with torch.no_grad():
            currents = model.net[0](x[:64]).transpose(0, 1)  # type: ignore[index]
            spikes = model.net[1](currents).transpose(0, 1)  # type: ignore[index]
        same = snn.run(x[:64], spikes=True).spikes["layer0"] == spikes
        assert stats.spike_agreement["layer0"] == pytest.approx(float(same.float().mean()))
        assert stats.spike_agreement["layer0"] > 0.98

    def test_it_learns_on_in_integers(
        self, problem: tuple[OverTime, torch.Tensor, torch.Tensor]
    ) -> None:
        model, x, y = problem
        many = (x.repeat(20, *[1] * (x.ndim - 1)), y.repeat(20))  # the judge wants certainty
        options = {"test_loader": (x, y), "weight_bits": 2, "batch": 50, "verbose": False}
        options["val_loader"] = many
        (start, plain), (_, tuned) = (
            convert(model, (x, y), strategy="qcfs_if_ft", if_epochs=epochs, **options)  # type: ignore[arg-type]
            for epochs in (0, 5)
        )
        assert plain.integer_accuracy is not None
        assert tuned.integer_accuracy is not None
        assert tuned.integer_accuracy > plain.integer_accuracy
        assert re.fullmatch(
            r"rate, 5 epochs \(epoch [1-5] was best .*\) through time", tuned.course
        )
        given = {"epochs": 5, "lr": 1e-2, "batch": 50, "val_loader": many, "verbose": False}
        again = finetune(start, (x, y), **given)  # type: ignore[arg-type]
        assert again.network.hash != start.network.hash


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IFNeuron(0.0), "threshold must be positive, not 0.0"),
        (lambda: IFNeuron(float("nan")), "threshold must be positive, not nan"),
        (lambda: IFNeuron(reset="soft"), "reset must be 'subtract' or 'zero', not 'soft'"),
        (lambda: IFNeuron(v_init=2), "v_init must be -1 to 1 thresholds, not 2"),
        (lambda: LIFNeuron(1.5), "decay must be 0 to 1, not 1.5"),
        (lambda: OverTime(nn.Identity(), 0), "timesteps must be at least 1, not 0"),
        (lambda: OverTime(nn.Identity(), time_axis=2), "time_axis must be 0 or 1, not 2"),
    ],
)
def test_bad_arguments(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        make()
    assert str(caught.value) == message


def refuses(model: nn.Module, x: torch.Tensor, message: str, **options: object) -> None:
    """`convert` raises with this whole message."""
    with pytest.raises((ModelError, DataError)) as caught:
        convert(model, x, verbose=False, **options)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_what_is_refused() -> None:
    x = recordings()
    model = OverTime(net(IFNeuron))
    refuses(
        model,
        x,
        "a model of spiking neurons has its own code, which is no exact one; use strategy 'auto', "
        "'qcfs_if_ft' or 'qcfs_direct'",
        strategy="exact",
    )
    refuses(
        model,
        x,
        "timesteps must be 5, as the model or its recordings say, not 9",
        timesteps=9,
    )
    refuses(
        OverTime(net(IFNeuron), time_axis=0),
        x,
        "recordings must be (B, T, ...) to be converted, so that each has its label: give OverTime "
        "time_axis=1",
    )
    mixed = nn.Sequential(nn.Flatten(), nn.Linear(72, 4), IFNeuron(), nn.Linear(4, 4), nn.ReLU())
    refuses(
        OverTime(mixed.eval()),
        x,
        "a model within OverTime must be made of neurons throughout, but '3' ends in an activation "
        "function; put an IFNeuron or LIFNeuron there",
    )
    refuses(
        OverTime(net(IFNeuron)).train(),
        x,
        "the model must be in evaluation mode, but 'model' is in training mode; call model.eval() "
        "first",
    )
    refuses(
        net(IFNeuron),
        x[:, 0],
        "layer '2' (IFNeuron) cannot be converted: put the model into OverTime, which says how it "
        "sees time",
    )


def test_thresholds_that_fit_no_channel() -> None:
    neuron = IFNeuron(channels=16)
    with pytest.raises(ModelError) as caught:
        neuron(torch.zeros(2, 3, 4))
    assert str(caught.value) == "a neuron of 16 channels must get (B, 16, ...), not (3, 4)"
    layers = nn.Sequential(nn.Conv2d(2, 1, 3), nn.Flatten(), neuron, nn.Linear(16, 3)).eval()
    with pytest.raises(UnsupportedLayerError) as refused:
        convert(OverTime(layers), recordings(), verbose=False)
    assert str(refused.value) == (
        "layer '0' (neuron) cannot be converted: it must have one threshold and decay, or 1: one "
        "per channel"
    )
    with pytest.raises(DataError, match=r"^recordings must have axes of time and batch, not "):
        OverTime(nn.Identity())(torch.zeros(3, 4))


def test_what_it_prints() -> None:
    assert repr(IFNeuron(0.5)) == "IFNeuron(threshold=0.5, reset='subtract', v_init=0)"
    assert repr(LIFNeuron(0.25, channels=4)).startswith(
        "LIFNeuron(decay=0.25, 0.25, 0.25, ..., threshold=1, 1, 1, ..., reset='subtract'"
    )
