"""One trained network under another code, or with other steps: what was trained stays.

QCFS activations that were trained with L levels serve the rate code at any number of steps T, and
the exact code with any number of levels (Bu et al., ICLR 2022, train once and choose T afterwards).
"""

from __future__ import annotations

import copy

from neurocuda_hw.conversion import choices
from neurocuda_hw.conversion.further import in_integers, trained_model
from neurocuda_hw.conversion.quantize import Code
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.reference.snn import SpikingNetwork


def recode(snn: SpikingNetwork, *, code: str | Code, steps: int) -> SpikingNetwork:
    """The network of `snn`'s trained model under `code`; `snn` itself stays as it is.

    Parameters
    ----------
    snn : SpikingNetwork
        From `convert` or `finetune`, of static inputs.
    code : "exact" or "rate"
    steps : int
        L of the exact code, 1 to 255; T of the rate code.

    Raises
    ------
    ModelError
        If `snn` was read from a file, takes recordings, or was made of spiking neurons.
    ValueError
        If `code` or `steps` is out of range.
    """
    wanted = choices.named_code(code)
    choices.whole(steps, "steps", 1, 255 if wanted is Code.EXACT else 65535)
    trained = trained_model(snn)
    graph = trained.graph
    if graph.frames is not None or graph.steps is not None:
        raise ModelError(
            "recode needs a network of static inputs: recordings, and models of spiking neurons, "
            "have steps of their own"
        )
    module = copy.deepcopy(trained)
    module.settings = module.settings.recoded(wanted, steps)
    return in_integers(module, snn.network.name, snn.device)
