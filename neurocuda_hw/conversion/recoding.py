"""One trained network under another code, or with other steps: what was trained stays.

QCFS activations that were trained with L levels serve the rate code at any number of steps T, and
the exact code with any number of levels (Bu et al., ICLR 2022, train once and choose T afterwards).
"""

from __future__ import annotations

import copy
from typing import Any

from neurocuda_hw.conversion import choices
from neurocuda_hw.conversion.correction import correct
from neurocuda_hw.conversion.drift import correct_drift
from neurocuda_hw.conversion.further import in_integers, judgement, trained_model
from neurocuda_hw.conversion.quantize import Code
from neurocuda_hw.conversion.tasks import clearly_better
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.reference.snn import SpikingNetwork


def recode(
    snn: SpikingNetwork, *, code: str | Code, steps: int, val_loader: Any = None
) -> SpikingNetwork:
    """The network of `snn`'s trained model under `code`; `snn` itself stays as it is.

    What was trained is taken as it is; or with biases and clip values fitted anew to the code and
    its steps, if that is clearly better, which `notes` then say, as they say what it costs.

    Parameters
    ----------
    snn : SpikingNetwork
        From `convert` or `finetune`, of static inputs.
    code : "exact" or "rate"
    steps : int
        L of the exact code, 1 to 255; T of the rate code.
    val_loader : as `convert` takes it, optional
        What is judged by; else samples that were held out when the model was converted, and the
        trained model's answers to them.

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
    notes = []
    scores = judgement(module, val_loader, snn.device)
    if scores is not None and module.judged is not None and module.settings != trained.settings:
        fitted = copy.deepcopy(module)
        correct(fitted, module.judged.x, channel_wise=True, seed=0)
        if wanted is Code.RATE:
            correct_drift(fitted, module.judged.x)
        found = judgement(fitted, val_loader, snn.device)
        if found is not None and clearly_better(found, scores):
            module, scores = fitted, found
            notes.append("biases and clip values were fitted anew: as trained it was worse")
        before = judgement(copy.deepcopy(trained), val_loader, snn.device)
        if before is not None and clearly_better(before[:, :1], scores[:, :1]):
            now, then = (float(found[:, 0].mean()) for found in (scores, before))
            notes.append(
                f"under this code it is worse than it was, {now:.4g} for {then:.4g} (share of "
                "right answers, or minus the squared error)"
            )
    return in_integers(module, snn.network.name, snn.device, notes)
