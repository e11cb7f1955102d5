"""Graphs as frameworks make them, filled in for files."""

import nir
import numpy as np
import torch
from nir_graphs import conv2d, graph, neuron, whole

from neurocuda_hw.nir import from_nir, nir_bytes
from neurocuda_hw.nir.complete import complete
from neurocuda_hw.nir.hdf5 import filled, parse
from neurocuda_hw.nir.read import from_bytes


def sparse():
    """What Norse and sinabs leave out: shapes, and axes of what is one number for all."""
    flat = nir.Flatten({"input": None}, start_dim=0, end_dim=-1)
    one = nir.IF(r=torch.tensor(1.0), v_threshold=torch.tensor(3.0))
    return graph(
        (2, 5, 5),
        (4,),
        {
            "c": conv2d(whole(3, 2, 3, 3), padding=1),
            "s": one,
            "f": flat,
            "w": nir.Linear(weight=whole(4, 75)),
            "t": neuron(4),
        },
    )


def test_what_is_left_out_is_filled_in():
    given = sparse()
    found = complete(given)
    assert found.nodes["c"].input_shape == (5, 5)
    assert found.nodes["f"].input_type["input"].tolist() == [3, 5, 5]
    assert found.nodes["s"].v_threshold.tolist() == np.full((3, 5, 5), 3.0).tolist()
    assert given.nodes["c"].input_shape is None
    assert given.nodes["s"].v_threshold.shape == ()


def test_it_can_then_be_written_and_is_the_same_network():
    again = from_bytes(nir_bytes(sparse()), parser=lambda data: filled(*parse(data)))
    assert from_nir(again, 5) == from_nir(sparse(), 5)


def test_a_graph_that_lacks_nothing_stays_itself():
    whole_graph = graph((4,), (3,), {"w": nir.Linear(weight=whole(3, 4)), "s": neuron(3)})
    assert complete(whole_graph) is whole_graph
