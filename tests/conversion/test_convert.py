"""Conversion: exactness against the quantised ANN, what the figures say, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from conversion.converted import Converted, converted, samples
from conversion.models import Mixed, OneDimensional, Plain, Residual, Spiking, settle
from oracle import Oracle
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import load, save
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Window
from neurocuda_hw.network.synapses import Conv2d, Diagonal
from neurocuda_hw.reference.reference import Reference

STYLES = [
    (Plain, (1, 8, 8)),
    (Residual, (3, 8, 8)),
    (Mixed, (2, 8, 8)),
    (OneDimensional, (2, 16)),
    (Spiking, (2, 6, 6)),
]


def unequal(conversion: Converted, payload: np.ndarray) -> int:
    """Samples of which any spike count or logit differs from the quantised ANN's."""
    run = Reference(conversion.network).run(payload)
    wrong = torch.zeros(len(payload), dtype=torch.bool)
    layers = conversion.quantized.layers
    for layer, counts in zip(layers, conversion.quantized.counts(payload), strict=True):
        spiking = layer.threshold is not None
        got = run.counts[layer.name] if spiking else run.outputs
        wrong |= (got.flatten(1) != counts.flatten(1)).any(1)
    return int(wrong.sum())


@pytest.mark.parametrize(("kind", "shape"), STYLES)
@pytest.mark.parametrize(("levels", "bits"), [(4, 8), pytest.param(7, 3, marks=pytest.mark.slow)])
def test_exact_code_equals_the_quantised_ann(
    kind: Callable[[], nn.Module], shape: tuple[int, ...], levels: int, bits: int
) -> None:
    model = settle(kind(), seed=levels)
    conversion = converted(model, samples(shape, 64), levels=levels, weight_bits=bits)
    payload = conversion.quantise(samples(shape, 40, seed=9) * 1.5)
    assert unequal(conversion, payload) == 0
    counts = conversion.quantized.counts(payload)
    highest = [int(c.max()) for c in counts[:-1]]
    assert max(highest) == levels  # the clip was put to the test
    assert highest.count(0) <= 1  # and hardly a layer is silent, random as the weights are


def test_counts_agree_with_the_naive_oracle() -> None:
    conversion = converted(settle(Residual()), samples((3, 8, 8), 32), levels=3, weight_bits=4)
    payload = conversion.quantise(samples((3, 8, 8), 2, seed=1))
    for sample in payload:
        recording = Oracle(conversion.network).run(sample[None])
        counts = conversion.quantized.counts(sample[None])
        for layer, wanted in zip(conversion.quantized.layers, counts, strict=True):
            if layer.threshold is None:
                assert recording.outputs == wanted.flatten().tolist()
            else:
                steps = np.array(recording.spikes[layer.name])
                assert steps.sum(0).tolist() == wanted.flatten().tolist()


def test_windows_and_end_of_the_exact_code() -> None:
    network = converted(settle(Residual()), samples((3, 8, 8), 32), levels=4).network
    windows = {p.name: network.window(p.name) for p in network.populations if p.spiking}
    assert windows == {
        "conv1": Window(start=0, stop=4),
        "layers_0_conv1": Window(start=3, stop=7),
        "layers_0_conv2": Window(start=6, stop=10),
        "layers_1_conv1": Window(start=9, stop=13),
        "layers_1_conv2": Window(start=12, stop=16),
    }
    assert network.timesteps == 16
    assert network.window("input") == Window(start=0, stop=1)
    assert isinstance(network.output.neuron, Readout)
    skips = [p.synapse for p in network.projections if p.label == "conv1 -> layers_0_conv2"]
    assert [type(s) for s in skips] == [Diagonal]
    assert all(p.synapse.weight_bits <= 8 for p in network.projections)


def test_rate_code() -> None:
    network = converted(
        settle(Plain()), samples((1, 8, 8), 32, signed=False), code="rate", timesteps=5
    ).network
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    assert (network.timesteps, neuron.encoding, neuron.window) == (5, Encoding.CURRENT, None)
    assert (neuron.payload_bits, neuron.signed) == (8, False)
    first = network["features_0"].neuron
    assert isinstance(first, IF)
    assert np.array_equal(first.v_init, first.threshold // 2)  # type: ignore[operator]
    assert np.any(first.bias)
    assert first.window is None


@pytest.mark.parametrize("code", ["exact", "rate"])
def test_many_levels_and_bits_approach_the_trained_model(code: str) -> None:
    model, x = settle(Plain()), samples((1, 8, 8), 64, signed=False)
    errors = []
    for count in (4, 64):
        conversion = converted(model, x, code=code, levels=count, timesteps=count, input_bits=12)
        outputs = Reference(conversion.network).run(conversion.quantise(x)).outputs
        scale = conversion.network.output.scale
        assert scale is not None
        with torch.no_grad():
            wanted = model(x)
        errors.append(float((outputs * float(scale) - wanted).abs().mean() / wanted.abs().mean()))
    assert errors[1] < errors[0] / 3
    assert errors[1] < 0.05


@pytest.mark.parametrize("bits", [2, 5, 8])
def test_weight_bits(bits: int) -> None:
    network = converted(settle(Plain()), samples((1, 8, 8), 32), weight_bits=bits).network
    assert max(p.synapse.weight_bits for p in network.projections) == bits
    per_layer = converted(
        settle(Plain()), samples((1, 8, 8), 32), weight_bits=[8, 4, 3, bits]
    ).network
    assert [p.synapse.weight_bits for p in per_layer.projections] == [8, 4, 3, bits]


def test_calibration_is_reproducible_and_survives_the_file(tmp_path: object) -> None:
    x = samples((1, 8, 8), 48)
    data = (x, torch.arange(48) % 5)
    first = converted(
        settle(Plain()), data, qcfs_epochs=1, strategy="exact", batch=16, seed=3
    ).network
    again = converted(
        settle(Plain()), data, qcfs_epochs=1, strategy="exact", batch=16, seed=3
    ).network
    other = converted(
        settle(Plain()), data, qcfs_epochs=1, strategy="exact", batch=16, seed=4
    ).network
    assert first.hash == again.hash
    assert first.hash != other.hash
    save(first, f"{tmp_path}/model.pt")
    assert load(f"{tmp_path}/model.pt") == first


def test_loaders_and_arrays_give_the_same() -> None:
    x, y = samples((1, 8, 8), 40), torch.arange(40) % 5
    loader = DataLoader(TensorDataset(x, y), batch_size=16)
    networks = [
        converted(settle(Plain()), data).network.hash
        for data in (x, x.numpy(), (x, y), (x.numpy(), y.numpy()), loader)
    ]
    assert len(set(networks)) == 1


def test_stats() -> None:
    x, y = samples((1, 8, 8), 64, signed=False), torch.arange(64) % 5
    stages: list[tuple[str, int, int]] = []
    conversion = converted(
        settle(Plain()),
        (x, y),
        test_loader=(x, y),
        timesteps=3,
        strategy="qcfs_if_ft",
        if_epochs=1,
        qcfs_epochs=2,
        batch=32,
        progress=lambda *stage: stages.append(stage),
    )
    stats = conversion.stats
    assert stats.strategy == "qcfs_if_ft"
    assert re.fullmatch(
        r"rate, 2 epochs \(epoch \d was best on the samples that were held out\) of the quantised "
        r"ANN, 1 epoch \(epoch \d was best on the samples that were held out\) through time",
        stats.course,
    )
    assert [s for s in stages if s[0] == "qcfs"] == [("qcfs", n, 4) for n in range(1, 5)]
    assert [s for s in stages if s[0] == "spiking"] == [("spiking", 1, 2), ("spiking", 2, 2)]
    with torch.no_grad():
        answers = settle(Plain())(x).argmax(1)
    assert stats.ann_accuracy == 100 * float((answers == y).float().mean())
    payload = conversion.quantise(x)
    run = Reference(conversion.network).run(payload)
    assert stats.integer_accuracy == 100 * int((run.outputs.argmax(1) == y).sum()) / 64
    assert stats.qcfs_accuracy is not None
    assert stats.unequal == unequal(conversion, payload) > 0  # neurons fire too early
    fired = sum(float(c.sum()) for c in run.counts.values())
    neurons = sum(p.size for p in conversion.network.populations if p.spiking)
    assert stats.sparsity == pytest.approx(100 * (1 - fired / (64 * neurons * 3)))
    assert stats.spikes["input"] == pytest.approx(3 * np.count_nonzero(payload) / 64)
    assert list(stats.threshold_ranges) == ["features_0", "features_4", "head_1"]
    for channels, found in zip(stats.thresholds, stats.threshold_ranges.values(), strict=True):
        assert (min(channels), max(channels)) == (found[0], found[2])
    assert set(stats.as_dict()) >= {"strategy", "ann_accuracy", "conversion_time", "sparsity"}


def test_unequal_is_counted_and_none_under_the_exact_code() -> None:
    data = (samples((1, 8, 8), 40), torch.arange(40) % 5)
    assert converted(settle(Plain()), data).stats.unequal is None
    assert converted(settle(Plain()), data, test_loader=data).stats.unequal == 0


def test_silent_channels_are_reported_and_harmless() -> None:
    model = settle(Plain())
    with torch.no_grad():
        model.get_submodule("features.1").bias[2] = -100.0
    x = samples((1, 8, 8), 32)
    conversion = converted(model, (x, torch.zeros(32, dtype=torch.int64)), qcfs_epochs=1, batch=8)
    assert conversion.stats.silent_channels["features_0"] == 1
    payload = conversion.quantise(x)
    assert int(conversion.quantized.counts(payload)[0][:, 2].sum()) == 0
    assert unequal(conversion, payload) == 0
    first = conversion.quantized.layers[0]
    assert first.threshold is not None
    assert (first.threshold == 1).tolist() == [False, False, True, False]  # no need for a wide one
    assert not first.terms[0][1].weight[2].any()


X = samples((1, 8, 8), 4)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            (X, torch.zeros(3, dtype=torch.int64)),
            "training data: labels must be 4, one per input, not torch.int64 (3,)",
        ),
        (
            (X, torch.zeros(4)),
            "training data: labels must be 4 x 5 numbers, one per output (task 'regress'), not "
            "torch.float32 (4,)",
        ),
        (
            X[:0],
            "training data: inputs must be numbers (samples, ...) with at least one sample, not "
            "torch.float32 (0, 1, 8, 8)",
        ),
        (
            torch.where(X > 1, torch.nan, X),
            f"training data: inputs must be finite, but {int((X > 1).sum())} of 256 values are NaN "
            "or infinite",
        ),
        ([], "training data must hold at least one batch, not none"),
        ([{}], "training data must give batches (x, y), or x alone, not dict"),
        (
            7,
            "training data must be (x, y) arrays or a DataLoader of (x, y) batches, not int",
        ),
        (
            (batch for batch in [X]),
            "training data must be an iterable that can be gone through again (a DataLoader or a "
            "list of batches), not a generator",
        ),
        (X * 0, "calibration inputs must not all be 0"),
    ],
)
def test_bad_data(train: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        converted(settle(Plain()), train)
    assert str(caught.value) == message


def test_inputs_of_another_size_are_refused() -> None:
    conversion = converted(settle(Plain()), X)
    with pytest.raises(DataError) as caught:
        conversion.quantise(np.zeros((2, 1, 8, 9)))
    assert str(caught.value) == "inputs must have the shape (samples, 1, 8, 8), not (2, 1, 8, 9)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code": "burst"}, "code must be 'exact' or 'rate', not 'burst'"),
        ({"levels": 0}, "levels must be a whole number from 1 to 255, not 0"),
        (
            {"code": "rate", "timesteps": 1.5},
            "timesteps must be a whole number from 1 to 65535, not 1.5",
        ),
        ({"weight_bits": 9}, "weight_bits must be a whole number from 2 to 8, not 9"),
        ({"weight_bits": [8, 8]}, "weight_bits must be one number or 4, one per layer, not [8, 8]"),
        ({"input_bits": 17}, "input_bits must be a whole number from 1 to 16, not 17"),
        (
            {"strategy": "magic"},
            "strategy must be one of auto, exact, qcfs_direct, qcfs_if_ft, not 'magic'",
        ),
        (
            {"strategy": "exact", "code": "rate"},
            "code must be 'exact' under strategy 'exact', not 'rate'",
        ),
        ({"if_epochs": -1, "code": "rate"}, "if_epochs must be a whole number from 0 on, not -1"),
        (
            {"qcfs_epochs": 1.5},
            "qcfs_epochs must be a whole number from 0 on, not 1.5",
        ),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        converted(settle(Plain()), X, **options)
    assert str(caught.value) == message


def test_signed_inputs_need_two_bits() -> None:
    with pytest.raises(DataError) as caught:
        converted(settle(Plain()), X, input_bits=1)
    assert str(caught.value) == "input_bits must be at least 2 where inputs are negative"


def test_every_projection_is_event_driven_and_named() -> None:
    network: Network = converted(settle(Mixed()), samples((2, 8, 8), 16)).network
    assert [p.name for p in network.populations] == ["input", "wide", "point", "act", "matmul"]
    kinds = [type(p.synapse) for p in network.projections]
    assert kinds.count(Conv2d) >= 2


def test_stats_are_a_mapping() -> None:
    stats = converted(settle(Plain()), X).stats
    assert stats["strategy"] == stats.strategy == "exact"
    assert dict(stats) == stats.as_dict()
    with pytest.raises(KeyError, match="nothing"):
        stats["nothing"]


def test_the_module_computes_the_trained_models_logits() -> None:
    x = samples((1, 8, 8), 16)
    conversion = converted(settle(Plain()), x, levels=64)
    snn = conversion.snn
    outputs = Reference(snn.network).run(snn.quantise(x)).outputs
    assert torch.equal(snn(x), outputs.double() * float(conversion.quantized.layers[-1].scale))
    assert np.array_equal(snn.trace(x).outputs, outputs.numpy())
    assert repr(snn).startswith("SpikingNetwork('network', T=")


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"^device 'moon' cannot be used: "):
        converted(settle(Plain()), X, device="moon")
