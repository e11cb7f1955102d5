"""Linear maps between layers, as trained models and NIR graphs write them.

`steps` are the operations one by one, `maps` what several of them in a row come to as one synapse.
"""

from neurocuda_hw.linear.maps import Kind, Map, identity, scale_inputs, uniform
from neurocuda_hw.linear.steps import (
    Convolution,
    Pair,
    Pool,
    Product,
    Reshape,
    Scale,
    Shape,
    Step,
    channels,
    image_shape,
    per_channel,
    slid,
    windows,
)

__all__ = [
    "Convolution",
    "Kind",
    "Map",
    "Pair",
    "Pool",
    "Product",
    "Reshape",
    "Scale",
    "Shape",
    "Step",
    "channels",
    "identity",
    "image_shape",
    "per_channel",
    "scale_inputs",
    "slid",
    "uniform",
    "windows",
]
