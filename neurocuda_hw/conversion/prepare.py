"""What a training script did to its inputs, as a first layer of the model: so data stays as it is.

    x <- (scale x - mean) / std

The network's first layer absorbs it, and takes the same integers as without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.export import ExportedProgram

from neurocuda_hw.conversion.tracing import module_of, unwrapped
from neurocuda_hw.ground.errors import DataError


class Prepared(nn.Module):
    """A model behind the preparation of its inputs ``(B, C, ...)``.

    Parameters
    ----------
    model : nn.Module or ExportedProgram
        In evaluation mode.
    mean, std : sequence of float
        As torchvision's Normalize takes them: one for all, or one per channel.
    scale : float
        What inputs are multiplied by before, such as 255.

    Raises
    ------
    DataError
        If `std` or `scale` is not positive.
    """

    def __init__(
        self,
        model: nn.Module | ExportedProgram,
        *,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if min(std) <= 0 or scale <= 0:
            raise DataError(f"std and scale must be positive, not {(*std, scale)}")
        inner = module_of(model) if isinstance(model, ExportedProgram) else unwrapped(model)
        self.training = False
        if isinstance(model, ExportedProgram):
            for part in inner.modules():  # an exported program has no eval()
                part.training = False
        self.model = inner
        self.register_buffer("factor", scale / torch.tensor(std))
        self.register_buffer("shift", torch.tensor(mean) / torch.tensor(std))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs for inputs as they are in the data."""
        wide = (1, -1, *[1] * (x.ndim - 2))
        found: torch.Tensor = self.model(
            x * self.factor.reshape(wide) - self.shift.reshape(wide)  # type: ignore[operator]
        )
        return found
