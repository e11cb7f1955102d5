"""Small NIR graphs of every node type, with whole weights: all that runs them must agree."""

import itertools

import nir
import numpy as np


def whole(*shape, low=-4, high=6):
    """Integer weights: they survive as they are, so integers and floats must agree exactly."""
    return np.random.default_rng(sum(shape)).integers(low, high, shape).astype(np.float32)


def neuron(*shape, threshold=3.0, v_reset=0.0):
    return nir.IF(
        r=np.ones(shape), v_threshold=np.full(shape, threshold), v_reset=np.full(shape, v_reset)
    )


def graph(shape, out, nodes, edges=None):
    """A chain of nodes by name, or with edges as given."""
    nodes = {
        "input": nir.Input(input_type={"input": np.array(shape)}),
        **nodes,
        "output": nir.Output(output_type={"output": np.array(out)}),
    }
    names = list(nodes)
    chain = list(itertools.pairwise(names))
    return nir.NIRGraph(nodes=nodes, edges=chain if edges is None else edges, type_check=False)


def conv2d(weight, **changes):
    values = {
        "input_shape": None,
        "stride": 1,
        "padding": 0,
        "dilation": 1,
        "groups": 1,
        "bias": np.zeros(len(weight)),
    }
    return nir.Conv2d(weight=weight, **{**values, **changes})


def pool(kind, kernel, padding=0):
    pair = np.array([kernel, kernel])
    return kind(kernel_size=pair, stride=pair, padding=np.array([padding, padding]))


SUB = nir.NIRGraph(
    nodes={
        "in": nir.Input(input_type={"input": np.array([4])}),
        "w": nir.Linear(weight=whole(4, 4)),
        "s": neuron(4),
        "out": nir.Output(output_type={"output": np.array([4])}),
    },
    edges=[("in", "w"), ("w", "s"), ("s", "out")],
    type_check=False,
)

GRAPHS = {
    "affine": graph(
        (4,), (3,), {"fc": nir.Affine(weight=whole(3, 4), bias=whole(3)), "s": neuron(3)}
    ),
    "two affines in a row": graph(
        (4,),
        (3,),
        {
            "a": nir.Affine(weight=whole(5, 4), bias=whole(5)),
            "b": nir.Affine(weight=whole(3, 5), bias=whole(3)),
            "s": neuron(3, threshold=20.0),
        },
    ),
    "convolution with everything": graph(
        (2, 7, 8),
        (4, 4, 5),
        {
            "c": conv2d(
                whole(4, 1, 3, 2),
                stride=(2, 2),
                padding=(2, 1),
                dilation=(2, 1),
                groups=2,
                bias=whole(4),
            ),
            "s": neuron(4, 4, 5),
        },
    ),
    "same padding": graph(
        (2, 5, 5), (3, 5, 5), {"c": conv2d(whole(3, 2, 3, 3), padding="same"), "s": neuron(3, 5, 5)}
    ),
    "one axis": graph(
        (2, 9),
        (3, 4),
        {"c": nir.Conv1d(9, whole(3, 2, 3), 2, 0, 1, 1, whole(3)), "s": neuron(3, 4)},
    ),
    "pools": graph(
        (2, 8, 8),
        (3, 2, 2),
        {
            "p": pool(nir.SumPool2d, 2),
            "c": conv2d(whole(3, 2, 3, 3), padding=1),
            "s": neuron(3, 4, 4),
            "a": pool(nir.AvgPool2d, 2),
            "k": conv2d(4 * whole(3, 3, 1, 1)),
            "t": neuron(3, 2, 2),
        },
    ),
    "padded pool": graph(
        (2, 4, 4), (2, 3, 3), {"p": pool(nir.SumPool2d, 2, padding=1), "s": neuron(2, 3, 3)}
    ),
    "pool behind a convolution": graph(
        (2, 6, 6),
        (3, 3, 3),
        {
            "c": conv2d(whole(3, 2, 3, 3), padding=1),
            "p": pool(nir.SumPool2d, 2),
            "s": neuron(3, 3, 3, threshold=9.0),
        },
    ),
    "strided convolutions in a row": graph(
        (2, 9, 8),
        (2, 1, 2),
        {
            "c": conv2d(whole(3, 2, 3, 2), stride=(2, 3), padding=1),
            "d": conv2d(whole(2, 3, 2, 2), stride=(4, 1)),
            "s": neuron(2, 1, 2, threshold=30.0),
        },
    ),
    "padded convolutions in a row": graph(
        (2, 5, 5),
        (2, 5, 5),
        {
            "c": conv2d(whole(3, 2, 3, 3), padding=1, bias=whole(3)),
            "d": conv2d(whole(2, 3, 3, 3), padding=1),
            "s": neuron(2, 5, 5, threshold=30.0),
        },
    ),
    "flatten": graph(
        (2, 3, 3),
        (4,),
        {
            "s": neuron(2, 3, 3, threshold=0.5),
            "f": nir.Flatten({"input": np.array([2, 3, 3])}, start_dim=0),
            "fc": nir.Linear(weight=whole(4, 18)),
            "t": neuron(4),
        },
    ),
    "scales": graph((4,), (4,), {"x": nir.Scale(scale=whole(4)), "s": neuron(4, threshold=2.0)}),
    "residual": graph(
        (4,),
        (4,),
        {
            "s": neuron(4, threshold=0.5),
            "w": nir.Linear(weight=whole(4, 4)),
            "t": neuron(4, threshold=2.0),
        },
        [("input", "s"), ("s", "w"), ("w", "t"), ("s", "t"), ("input", "t"), ("t", "output")],
    ),
    "recurrent": graph(
        (4,),
        (4,),
        {"w": nir.Linear(weight=whole(4, 4)), "s": neuron(4), "r": nir.Linear(weight=whole(4, 4))},
        [("input", "w"), ("w", "s"), ("s", "r"), ("r", "s"), ("s", "output")],
    ),
    "a ring of two": graph(
        (4,),
        (4,),
        {
            "s": neuron(4, threshold=1.0),
            "w": nir.Linear(weight=whole(4, 4)),
            "t": neuron(4, threshold=2.0),
            "r": nir.Linear(weight=whole(4, 4, low=-3)),
        },
        [("input", "s"), ("s", "w"), ("w", "t"), ("t", "r"), ("r", "s"), ("t", "output")],
    ),
    "subgraph": graph(
        (4,), (3,), {"sub": SUB, "w": nir.Linear(weight=whole(3, 4)), "s": neuron(3)}
    ),
    "delays": graph(
        (4,),
        (3,),
        {
            "d": nir.Delay(delay=np.full(4, 3.0)),
            "w": nir.Linear(weight=whole(3, 4)),
            "s": neuron(3),
        },
    ),
    "delays that differ": graph(
        (4,),
        (3,),
        {
            "d": nir.Delay(delay=np.array([0.0, 2.0, 1.0, 2.0])),
            "w": nir.Linear(weight=whole(3, 4)),
            "s": neuron(3),
        },
    ),
    "delay in a cycle": graph(
        (4,),
        (4,),
        {
            "s": neuron(4, threshold=1.0),
            "d": nir.Delay(delay=np.full(4, 2.0)),
            "w": nir.Linear(weight=whole(4, 4)),
        },
        [("input", "s"), ("s", "d"), ("d", "w"), ("w", "s"), ("s", "output")],
    ),
    "threshold": graph(
        (4,),
        (3,),
        {"w": nir.Linear(weight=whole(3, 4)), "s": nir.Threshold(threshold=np.full(3, 2.0))},
    ),
    "integrator and threshold": graph(
        (4,),
        (3,),
        {
            "w": nir.Linear(weight=whole(3, 4)),
            "v": nir.I(r=np.ones(3)),
            "s": nir.Threshold(threshold=np.full(3, 12.0)),
        },
    ),
    "reset to a value": graph(
        (4,), (3,), {"w": nir.Linear(weight=whole(3, 4)), "s": neuron(3, v_reset=-2.0)}
    ),
    "resistance": graph(
        (4,),
        (3,),
        {
            "w": nir.Linear(weight=whole(3, 4)),
            "s": nir.IF(r=np.full(3, 0.5), v_threshold=np.full(3, 2.0)),
        },
    ),
    "readout": graph(
        (4,), (3,), {"w": nir.Affine(weight=whole(3, 4), bias=whole(3)), "v": nir.I(r=np.ones(3))}
    ),
    "sum of spikes": graph(
        (4,), (3,), {"s": neuron(4), "w": nir.Affine(weight=whole(3, 4), bias=whole(3))}
    ),
}
