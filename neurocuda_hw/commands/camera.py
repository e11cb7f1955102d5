"""What ``nchw build --front`` keeps for ``nchw verify``: a camera's words of the recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from neurocuda_hw.commands.stimuli import Cut

if TYPE_CHECKING:
    import numpy as np

    from neurocuda_hw.data.events import Events
    from neurocuda_hw.network import Network

_FAR = 1_000_000  # steps, as in `data.binning`


def camera_words(
    network: Network, kind: str, cut: Cut, recordings: Sequence[Events], inputs: np.ndarray
) -> list[np.ndarray]:
    """What `nchw verify` sends to the front block: the recordings, else events of the inputs.

    Raises
    ------
    ModelError
        If the network can have no front block.
    DataError
        If a recording has what a camera's words cannot say.
    """
    import numpy as np

    from neurocuda_hw.data.camera import events_of_frames, words_of
    from neurocuda_hw.ground.errors import DataError
    from neurocuda_hw.rtl.front_plan import FrontPlan

    FrontPlan(network=network, kind=kind, crop=cut.crop, downsample=cut.downsample)
    if not recordings:
        frames = inputs.reshape(*inputs.shape[:2], *network.input.chw)
        recordings = [
            events_of_frames(sample, step_us=cut.step_us, crop=cut.crop, downsample=cut.downsample)
            for sample in frames
        ]
    words = []
    for events in recordings:
        if len(events):
            # a first event's time is no matter where the block starts there
            start = max(0, int(events.time.min())) if cut.grid == "first" else 0
            time = events.time - start
            if np.diff(time, prepend=0).max() > _FAR * cut.step_us:
                raise DataError(
                    f"--front must not meet a gap of more than {_FAR:,} steps: --grid first starts "
                    "at the first event, --step-us lengthens a step"
                )
            words.append(words_of(kind, replace(events, time=time)))
    return words
