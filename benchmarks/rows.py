"""What `nchw reproduce` measures anew: a row for each figure that the pages show.

Counts of a network that is in ``golden/`` or made of random integers are exact. A network that is
converted from a trained model is calibrated in floating point, whose sums differ by the processor;
one that is trained differs by more; what is timed differs by the machine.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import readme
from benchmarks.row import Band, Row, Run
from neurocuda_hw.ground.toolchain import find_yosys

EXACT = Band()
CALIBRATED = Band(share=0.005)  # spikes and cycles of a network whose scales are of floating point
TRAINED = Band(points=0.4)  # per cent of 10,000 images
TIMED = Band(times=3)


def _area() -> Band:
    """Cells are exact with the yosys that counted the committed ones only."""
    version = find_yosys().version
    if version.startswith(YOSYS):
        return EXACT
    return Band(share=0.15, why=f"yosys {version or 'none'}, not {YOSYS}")


YOSYS = "0.70"
AREA = _area()


def pages() -> str:
    """Which page shows another figure than ``results/`` has."""
    wrong = [path.name for path, text in readme.documents().items() if path.read_text() != text]
    return f"{', '.join(wrong)}: not what results/ has (python -m benchmarks readme)" * bool(wrong)


# what may have to be fetched: its place in the folder of data sets, and where it is to be had
DATA: Mapping[str, str] = {
    "mnist": "the four idx files of MNIST, https://yann.lecun.org/exdb/mnist",
    "cifar10": "the .bin files of 'CIFAR-10 binary version', "
    "https://www.cs.toronto.edu/~kriz/cifar.html",
    "checkpoints/akamaster_resnet20-12fca82f.th": "pretrained_models/resnet20-12fca82f.th of "
    "github.com/akamaster/pytorch_resnet_cifar10",
    "nmnist/train1000.tar.gz": "1,000 recordings of N-MNIST, of github.com/bamsumit/slayerPytorch",
    "nir/cnn_sinabs.nir": "paper/02_cnn of github.com/neuromorphs/NIR",
}

_DEEP = "{data}/checkpoints/akamaster_resnet20-12fca82f.th"
_NETWORKS = f"networks {{made}} --cifar {{data}}/cifar10 --weights {_DEEP}"
# what a command takes from `{made}`: the command that writes it before, or the sentence on how
MADE: Mapping[str, str] = {
    "resnet20_exact.pt": _NETWORKS,
    "resnet20_exact16.pt": _NETWORKS,
    "resnet20_rate.pt": _NETWORKS,
    "resnet20_qcfs.pt": "45 epochs of examples/train_cifar.py resnet20 --qcfs write it: see 'how' "
    "in results/accuracy_resnet20_qcfs.json",
    "resnet18/resnet18_s0_L8_w8_network.pt": "--only resnet18 writes it, on a GPU",
}

_MNIST = {"*unequal": EXACT, "*_ann": Band(points=0.02), "*_spikes": CALIBRATED}
_RESNET20 = {
    "*unequal": EXACT,
    "ann": Band(points=0.02),
    "qcfs": TRAINED,
    "untrained*_sp*": CALIBRATED,
    "untrained*": Band(points=0.1),
    "exact*.*": TRAINED,
    "averaged*_s*": Band(share=0.05),
    "averaged*": TRAINED,
}
_SIMULATED = {"*_cycles": CALIBRATED, "*_ratio": CALIBRATED}
_FRONT = {
    "*.unequal": EXACT,
    "*.packets": EXACT,
    "*.events": EXACT,
    "*.clipped": EXACT,
    "*.cycles*": EXACT,
    "*.idle_percent": EXACT,
    "*.latency_cycles": EXACT,
    "*.lut6": AREA,
    "*.ff": AREA,
    "*.bram36": AREA,
    "*.dsp": AREA,
}
_DESIGNS = {
    **{f"rows.*.{kind}": AREA for kind in ("luts", "blocks", "dsps")},
    "rows.*.predicted_*": Band(points=1e-6),
    "rows.*.cycles": EXACT,
}
_NIR = {"*_accuracy": Band(points=0.2), "*_membrane_bits": EXACT, "nir_n*": CALIBRATED}
_ACCURACY_MNIST = {**_MNIST, "*_exact8_w?": Band(points=0.05)}
_BURSTS_CNN = {"cnn*_per_cpu_second": TIMED, "cnn*": EXACT}
_PACKETS = {"*.*_unequal": EXACT}
_NIR_DATA = "{data}/nir/cnn_sinabs.nir {data}/nmnist/train1000.tar.gz"
_CIFAR = f"--data {{data}}/cifar10 --weights {_DEEP}"


def both(words: str, bands: Mapping[str, Band]) -> tuple[Run, Run]:
    """The same, whole and quick."""
    return Run(words, bands), Run(words, bands)


ROWS: tuple[Row, ...] = (
    Row("pages", look=pages),
    *(
        Row(
            f"accuracy_mnist_w{bits}",
            f"accuracy_mnist_w{bits}",
            *both(f"accuracy mlp cnn --weight-bits {bits} --data {{data}}/mnist", _ACCURACY_MNIST),
        )
        for bits in (8, 4)
    ),
    Row(
        "accuracy_resnet20",
        "accuracy_resnet20",
        Run(
            f"accuracy_resnet20 {_CIFAR} --checkpoints {{made}}/resnet20 --epochs 47 --rates 0.01 "
            "--temperatures 4",
            _RESNET20,
        ),
    ),
    Row(
        "accuracy_resnet20_qcfs",
        "accuracy_resnet20_qcfs",
        Run(
            f"accuracy_resnet20 {_CIFAR} --qcfs {{made}}/resnet20_qcfs.pt --checkpoints "
            "{made}/resnet20_qcfs --epochs 2 --rates 0.003 --temperatures 4 --levels 8",
            _RESNET20,
        ),
    ),
    *(
        Row(
            f"accuracy_rate_{steps}",
            "accuracy_rate",
            Run(
                f"accuracy_rate {_CIFAR} --timesteps {steps} --epochs {epochs} --if-epochs "
                f"{more} --checkpoints {{made}}/rate{steps}",
                {f"rate{steps}": TRAINED, f"published{steps}": EXACT, "ann": Band(points=0.02)},
            ),
        )
        for steps, epochs, more in ((2, 20, 13), (4, 20, 10), (8, 15, 7), (16, 10, 3), (32, 4, 0))
    ),
    Row(
        "resnet18",
        "resnet18",
        Run(
            "examples/train_cifar.py resnet18 --data {data}/cifar10 --out {made}/resnet18 --epochs "
            "50 --batch 512 --rate 0.4 --qcfs-epochs 6 --qcfs-batch 256",
            {"ann": TRAINED, "snn": TRAINED, "unequal": EXACT, "sparsity": Band(share=0.05)},
            asks="gpu",
        ),
    ),
    Row(
        "resnet18_verilog",
        "resnet18",
        Run(
            "design {made}/resnet18/resnet18_s0_L8_w8_network.pt --cifar {data}/cifar10 "
            "--samples 2",
            {"verilog.unequal": EXACT, "verilog.*": Band(share=0.1)},
        ),
    ),
    *(
        Row(
            f"peers_{name}",
            "peers",
            Run(
                f"peers --networks {name} {how} --data {{data}}/mnist",
                {f"{name}_ann": Band(points=0.02), f"{name}_best_*": Band(points=0.15)},
            ),
        )
        for name, how in (("cnn", "--train 20000"), ("mlp", "--epochs 5"))
    ),
    Row(
        "mnist_784_128_10",
        "mnist_784_128_10",
        *both(
            "mnist_784_128_10 --data {data}/mnist",
            {
                "unequal": EXACT,
                "accuracy": Band(points=0.15),
                "cycles": Band(share=0.02),
                "lut6": Band(share=0.03 + AREA.share, why=AREA.why),
                "bram36": EXACT,
                "dsp": EXACT,
                "lut6_axi_lite": Band(share=0.03 + AREA.share, why=AREA.why),
            },
        ),
    ),
    Row(
        "mnist_784_128_10_front",
        "mnist_784_128_10",
        Run(
            "mnist_784_128_10 --core --samples 300 --pareto 64 128 --data {data}/mnist",
            {
                "front.*.unequal": EXACT,
                "front.*.bram36": EXACT,
                "front.*.cycles": Band(share=0.02),
                "front.*.lut6": Band(share=0.03 + AREA.share, why=AREA.why),
            },
        ),
    ),
    Row(
        "nir_nmnist",
        "nir_nmnist",
        Run(f"nir_nmnist {_NIR_DATA}", _NIR),
        Run(f"nir_nmnist {_NIR_DATA} --limit 40", {"*_membrane_bits": EXACT}),
    ),
    Row(
        "nir_frameworks",
        "nir_frameworks",
        *both("nir_frameworks", {"*.verdict": EXACT, "*.spikes": Band(share=0.1)}),
    ),
    Row(
        "nmnist",
        "nmnist",
        Run(
            "examples/train_nmnist.py --data {data}/nmnist/train1000.tar.gz --out {made}/nmnist",
            {"*unequal": EXACT, "*.mean": Band(points=1.5), "*.std": Band(points=1.5)},
        ),
    ),
    Row("cycles", "cycles", *both("cycles", _SIMULATED)),
    Row(
        "cycles_nmnist",
        "cycles",
        Run(
            f"cycles --nmnist {_NIR_DATA} --samples 6",
            {"nmnist_*": CALIBRATED},
        ),
    ),
    Row(
        "cycles_resnet20",
        "cycles",
        Run(
            "cycles --files {made}/resnet20_exact.pt {made}/resnet20_exact.npz --files "
            "{made}/resnet20_rate.pt {made}/resnet20_rate.npz --samples 3",
            {"resnet20_*": CALIBRATED},
        ),
    ),
    Row(
        "bursts",
        "bursts",
        Run(
            "bursts --network {made}/resnet20_exact.pt --network16 {made}/resnet20_exact16.pt "
            "--cifar {data}/cifar10",
            {
                "*_per_cpu_second": TIMED,
                "*_rate_ratio": TIMED,
                "cnn*": EXACT,
                "*unequal": EXACT,
                "resnet20_*": CALIBRATED,
                "levels16_*": CALIBRATED,
            },
            asks="history",
        ),
        Run("bursts --only cnn", {"unequal": EXACT, **_BURSTS_CNN}, asks="history"),
    ),
    Row(
        "prediction",
        "prediction",
        Run(
            "prediction",
            {
                **_DESIGNS,
                "worst_luts_percent": Band(points=100 * AREA.share, why=AREA.why),
                "cases": EXACT,
                "*_cycles_percent": EXACT,
                "*_unequal": EXACT,
            },
        ),
        Run("prediction --only mlp4 lif8", _DESIGNS),
    ),
    Row(
        "elaboration",
        "elaboration",
        Run("elaboration", {"*_seconds": Band(times=5)}),
        Run("elaboration --network resnet20", {"*_seconds": Band(times=5)}),
    ),
    Row(
        "packets",
        "packets",
        Run("packets", {"*.packets": EXACT, "*.known": EXACT, **_PACKETS}),
        Run("packets --packets 200 --networks mixed", _PACKETS),
    ),
    Row(
        "hls_bounded",
        "hls_bounded",
        Run(
            "hls_bounded --networks {made}/resnet20_exact.pt",
            {"*unequal": EXACT, "*.networks": EXACT, "m*.spikes": EXACT},
        ),
        Run("hls_bounded --random 5 --skip-committed", {"*unequal": EXACT}),
    ),
    Row("hls_csim", "hls_csim", Run("hls_csim", {"*images_per_second": TIMED})),
    Row("loihi_speed", "loihi_speed", Run("loihi_speed", {"*_ratio": TIMED})),
    Row(
        "harm",
        "harm",
        Run(
            "harm",
            {
                "unequal": EXACT,
                "problems": EXACT,
                "worst_points": Band(points=0.5),
                "*_points": Band(points=3),
                "kept": Band(points=5),
            },
        ),
        Run("harm --problems 5", {"unequal": EXACT, "worst_points": Band(points=0.5)}),
    ),
    Row(
        "convert_speed",
        "convert_speed",
        Run("convert_speed --images 12800 --data {data}/mnist", {"*_ratio": Band(times=1.5)}),
    ),
    Row(
        "events",
        "events",
        Run(
            "events",
            {"*unequal": EXACT, "*ratio": Band(times=1.5), "*mib": Band(times=1.5)},
        ),
        Run("events --events 1000000", {"*unequal": EXACT, "*ratio": Band(times=2)}),
    ),
    Row(
        "front",
        "front",
        Run("front --data {data}/nmnist/train1000.tar.gz", _FRONT),
        Run(
            "front --data {data}/nmnist/train1000.tar.gz --recordings 20",
            {key: band for key, band in _FRONT.items() if key not in ("*.events", "*.packets")},
        ),
    ),
)
