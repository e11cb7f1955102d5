"""``verify(folder)``: equal, bit for bit, or the first divergence; see `project.verify`."""

from neurocuda_hw.project.verify import verify as verify
