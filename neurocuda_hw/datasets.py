"""``load(path, part)``: images and labels from the files that people have; see `data.datasets`."""

from neurocuda_hw.data.datasets import load as load
