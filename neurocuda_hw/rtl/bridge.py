"""The files of the serial bridge: ``serial/nchw_bridge.v``, and the network behind it in one module.

``serial/nchw_serial.v`` holds what a board needs::

    module nchw_serial (input clk, input rst, input rx, output tx);

one clock, a synchronous reset (high), two pins of a UART (8N1, idle high, `rx` may come straight
from a pin: it passes two registers). It instantiates ``nchw_top`` (``rtl/nchw_top.v`` and all that
stands beside it) and ``nchw_bridge``. The protocol is in docs/host.md.
"""

from __future__ import annotations

from neurocuda_hw.network import Network
from neurocuda_hw.passes.study import Study

SERIAL = "nchw_serial"


def bridge_files(subject: Network | Study, *, divisor: int) -> dict[str, bytes]:
    """``serial/nchw_serial.v`` and ``serial/nchw_bridge.v``; they need the files of `emit`, too.

    Parameters
    ----------
    subject : Network or Study
        What `emit` was asked for; only the widths of its streams and its hash count here.
    divisor : int
        Cycles of `clk` per bit on the line, 4 to 65,535: the clock divided by the baud rate. The
        line works if both ends agree within 3 %.

    Raises
    ------
    ValueError
        If the divisor is out of range.
    """
    raise NotImplementedError
