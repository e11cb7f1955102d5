"""``build(network, folder)``: a self-contained folder of hardware; see `project.build`."""

from neurocuda_hw.project.build import build as build
