"""Speed of the C simulation of the MNIST networks' HLS C++, every spike compared.

    python -m benchmarks hls_csim                 MNIST CNN, exact code
    python -m benchmarks hls_csim --network mlp --code rate --samples 500

`images_per_second` is that of ``make csim``, with the vendor's ap_int for memories and streams;
`exact_images_per_second` that of ``make exact``, with ap_int for every wire and register too;
`fast_images_per_second` that of ``make fast``, which needs no vendor header. All are compiled with
-O2; images per second of processor time of one core, best of the runs.
"""

from __future__ import annotations

from argparse import Namespace
from tempfile import TemporaryDirectory

from benchmarks.inputs import mnist_case, traced
from neurocuda_hw.ground.errors import DivergenceError
from neurocuda_hw.hls import Model, verify_hls
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace

KEYS = {
    "images_per_second": Model.AP_INT,
    "exact_images_per_second": Model.EXACT,
    "fast_images_per_second": Model.FAST,
}


def speed(network: Network, trace: Trace, model: Model, runs: int) -> float:
    """Images per second of one core, the best of `runs`."""
    found = []
    with TemporaryDirectory() as folder:
        for _ in range(runs):
            result = verify_hls(network, trace, folder, model=model)
            if not result.equal:
                raise DivergenceError(f"{network.name}: {result.divergence or result.fault}")
            found.append(result.samples_per_second)
    return round(max(found), 1)


def measure(given: Namespace) -> dict[str, float]:
    """The speed of each way to compile it."""
    network, trace = traced(mnist_case(given.network, given.code, given.samples))
    return {key: speed(network, trace, model, given.runs) for key, model in KEYS.items()}
