"""A network's C++, compiled once and run on any inputs: behind ``compile(snn, target="hls")``."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from neurocuda_hw.data.stimulus import observed_trace, stimulus_bytes
from neurocuda_hw.ground.ap_headers import find_ap_headers
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.hls.context import word_bits
from neurocuda_hw.hls.csim import Model, compile_csim, faults, replay, write
from neurocuda_hw.hls.emit import STIMULUS, emit
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.study import Study


class CSimulation:
    """A compiled C simulation; its files live in a temporary folder, as long as the object does.

    Parameters
    ----------
    subject : Network or Study
        A study has its own lanes and bursts.
    lanes : mapping of str to int, optional
        Lanes of each population; the widest up to 16 where None.
    model : Model, optional
        ``AP_INT`` where None, or ``FAST`` if the vendor's headers are not here.
    optimise : int
        g++'s ``-O``.

    Raises
    ------
    ModelError
        If the network does not suit the target.
    ToolError
        If there is no compiler, no header, or the code does not compile.
    """

    def __init__(
        self,
        subject: Network | Study,
        *,
        lanes: Mapping[str, int] | None = None,
        model: Model | None = None,
        optimise: int = 2,
    ) -> None:
        study = Study.of(subject, lanes=lanes)
        self.network = study.network
        self.model = model or (Model.AP_INT if find_ap_headers().usable else Model.FAST)
        files = emit(study)
        self.folder = Path(mkdtemp(prefix="nchw_"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        write(files, self.folder)
        self.program, self.compile_seconds = compile_csim(
            self.folder, self.model, optimise=optimise
        )

    def run(self, inputs: object) -> Trace:
        """Every spike and output, as the C++ computes them.

        Parameters
        ----------
        inputs : array of int, (S, steps of the input window, *shape), or (S, *shape) for CURRENT

        Raises
        ------
        DataError
            If the inputs do not fit the network.
        ToolError
            If the program crashes, or loses an event or a packet.
        """
        from neurocuda_hw.reference.reference import check_inputs

        checked = check_inputs(self.network, inputs).numpy()
        write(
            {STIMULUS: stimulus_bytes(self.network, checked, word_bits(self.network))}, self.folder
        )
        content, done = replay(self.folder, self.program, (STIMULUS,))
        wrong = faults(done.stdout)
        if wrong:
            raise ToolError("the C simulation broke off: " + "; ".join(wrong))
        blank = Trace(
            network_hash=self.network.hash,
            timesteps=self.network.timesteps,
            sizes={p.name: p.size for p in self.network.populations if p.spiking},
            inputs=checked,
            spikes={},
            outputs=np.zeros((len(checked), self.network.output.size), dtype=np.int64),
        )
        return observed_trace(content, blank)
