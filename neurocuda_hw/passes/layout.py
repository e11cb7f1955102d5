"""How states and weights lie in memory for P lanes, and which rows an event visits.

State row ``(y * W + x) * G + g`` holds channels ``g * P`` to ``g * P + P - 1`` of position (y, x),
one per lane, where G = ceil(C / P). Weight row ``(ky * KW + kx) * rows_per_tap + base(ci) + j``
holds what an event of source channel ci adds to the j-th state row that it visits at that tap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurocuda_hw.errors import ModelError
from neurocuda_hw.fixed import narrow
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.passes.taps import AxisTaps, axis_taps
from neurocuda_hw.synapses import Conv2d, Dense, Diagonal, SumPool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLayout:
    """Rows of P lanes that hold one value per neuron of a population ``(C, H, W)``."""

    lanes: int
    channels: int
    height: int
    width: int

    @property
    def groups(self) -> int:
        """Rows per position: channel groups G."""
        return -(-self.channels // self.lanes)

    @property
    def rows(self) -> int:
        """Rows in all."""
        return self.height * self.width * self.groups

    def neurons(self) -> np.ndarray:
        """Flat neuron index (C order) at each ``(row, lane)``; -1 where there is none."""
        index = np.full((self.groups * self.lanes, self.height * self.width), -1, dtype=np.int64)
        index[: self.channels] = np.arange(self.channels * self.height * self.width).reshape(
            self.channels, -1
        )
        return index.T.reshape(self.rows, self.lanes)

    def arrange(self, values: np.ndarray, fill: int = 0) -> np.ndarray:
        """Values ``(..., N)`` as rows ``(..., rows, lanes)``; `fill` where no neuron is."""
        index = self.neurons()
        rows = values[..., np.maximum(index, 0)]
        rows[..., index < 0] = fill
        return rows


def state_layout(population: Population, lanes: int) -> StateLayout:
    """The layout of `population` for `lanes` lanes.

    Raises
    ------
    ModelError
        Unless `lanes` is a power of two, or the number of channels.
    """
    c, h, w = population.chw
    if lanes < 1 or lanes > c or (lanes & (lanes - 1) and lanes != c):
        raise ModelError(
            f"population {population.name!r}: lanes must be a power of two up to its {c} channels, "
            f"or {c}, not {lanes!r}"
        )
    return StateLayout(lanes=lanes, channels=c, height=h, width=w)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fanout:
    """One projection as its target's lanes see it.

    Parameters
    ----------
    y, x : AxisTaps
        Outputs and taps along each axis.
    row_y, row_x : int
        State rows per output position down and to the right.
    channel_rows, channel_first, channel_base : array (C_in,)
        Rows visited per tap, the first of them within a position, and the weight row of it.
    rows_per_tap, kernel_width : int
        Weight rows of one tap, and taps per kernel line.
    weights : array (taps * rows_per_tap, lanes)
        Narrowest integer type that holds them.
    """

    y: AxisTaps
    x: AxisTaps
    row_y: int
    row_x: int
    channel_rows: np.ndarray
    channel_first: np.ndarray
    channel_base: np.ndarray
    rows_per_tap: int
    kernel_width: int
    weights: np.ndarray

    @property
    def uniform(self) -> bool:
        """Whether every source channel visits the same rows: the base is then channel * rows."""
        return bool((self.channel_rows == self.channel_rows[0]).all()) and not (
            self.channel_first.any()
        )

    def visits(self) -> np.ndarray:
        """State rows that an event of each source neuron visits, ``(C, H, W)``."""
        per_position: np.ndarray = self.y.count[None, :, None] * self.x.count[None, None]
        visits: np.ndarray = self.channel_rows[:, None, None] * per_position
        return visits


def fanout(network: Network, projection: Projection, lanes: int) -> Fanout:
    """Lays `projection` out for the lanes of its target."""
    source, target = network[projection.source], network[projection.target]
    layout = state_layout(target, lanes)
    synapse = _without_overlap(projection, source, target)
    pool = synapse.pool or SumPool(kernel=(1, 1))
    assert pool.stride is not None
    if isinstance(synapse, Dense):
        pooled = (source.chw[0], *pool.output(source.chw)[1:])
        weight = narrow(synapse.weight).reshape(-1, *pooled).transpose(2, 3, 1, 0)
        kernel, outputs = pooled[1:], (1, 1)
        rows = layout.arrange(weight).reshape(-1, lanes)
        channel_rows = np.full(pooled[0], layout.rows)
        channel_first = np.zeros_like(channel_rows)
        geometry = ((1, 1), (0, 0), (1, 1))
    else:
        convolution = _as_convolution(synapse)
        kernel, outputs = convolution.weight.shape[2:], target.chw[1:]
        rows, channel_rows, channel_first = _convolution_rows(convolution, layout)
        geometry = (convolution.stride, convolution.padding, convolution.dilation)
    y, x = (
        axis_taps(
            size=source.chw[1 + axis],
            outputs=outputs[axis],
            kernel=kernel[axis],
            stride=geometry[0][axis],
            padding=geometry[1][axis],
            dilation=geometry[2][axis],
            pool_kernel=pool.kernel[axis],
            pool_stride=pool.stride[axis],
        )
        for axis in (0, 1)
    )
    return Fanout(
        y=y,
        x=x,
        row_y=layout.width * layout.groups,
        row_x=layout.groups,
        channel_rows=channel_rows,
        channel_first=channel_first,
        channel_base=np.cumsum(channel_rows) - channel_rows,
        rows_per_tap=int(channel_rows.sum()),
        kernel_width=kernel[1],
        weights=rows,
    )


def _as_convolution(synapse: Conv2d | Diagonal) -> Conv2d:
    if isinstance(synapse, Conv2d):
        return synapse
    weight = synapse.weight.reshape(-1, 1, 1, 1)
    return Conv2d(weight=weight, groups=len(weight), pool=synapse.pool)


def _convolution_rows(
    synapse: Conv2d, layout: StateLayout
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight rows, and per source channel the rows visited and the first of them."""
    outputs, inner, height, width = synapse.weight.shape
    per_group = outputs // synapse.groups
    weight = narrow(synapse.weight).transpose(2, 3, 1, 0)  # (kh, kw, ci within the group, co)
    group = np.arange(inner * synapse.groups) // inner
    first = group * per_group // layout.lanes
    last = ((group + 1) * per_group - 1) // layout.lanes
    rows = []
    for channel, (g, start, stop) in enumerate(zip(group, first, last, strict=True)):
        padded = np.zeros((height, width, (stop - start + 1) * layout.lanes), dtype=weight.dtype)
        offset = g * per_group - start * layout.lanes
        own = weight[:, :, channel % inner, g * per_group : (g + 1) * per_group]
        padded[:, :, offset : offset + per_group] = own
        rows.append(padded.reshape(height, width, -1, layout.lanes))
    stacked = np.concatenate(rows, axis=2).reshape(-1, layout.lanes)
    return stacked, last - first + 1, first


def _without_overlap(
    projection: Projection, source: Population, target: Population
) -> Conv2d | Dense | Diagonal:
    """The synapse; a pool with overlapping windows is multiplied out into the weights."""
    synapse = projection.synapse
    assert isinstance(synapse, Conv2d | Dense | Diagonal)
    pool = synapse.pool
    if pool is None:
        return synapse
    assert pool.stride is not None
    if all(k <= s for k, s in zip(pool.kernel, pool.stride, strict=True)):
        return synapse
    if isinstance(synapse, Dense):
        c, h, w = pool.output(source.chw)
        spread = np.zeros((len(synapse.weight), *source.chw), dtype=np.int64)
        weight = synapse.weight.reshape(-1, c, h, w)
        for ky in range(pool.kernel[0]):
            for kx in range(pool.kernel[1]):
                rows = slice(ky, ky + h * pool.stride[0], pool.stride[0])
                columns = slice(kx, kx + w * pool.stride[1], pool.stride[1])
                spread[:, :, rows, columns] += weight
        return Dense(weight=spread.reshape(len(spread), -1))
    convolution = _as_convolution(synapse)
    if any(convolution.padding):  # no kernel does it: windows at the edges are cut short
        return Dense(weight=_matrix(convolution, pool, source.chw, target.chw))
    return _multiplied_out(convolution, pool)


def _multiplied_out(convolution: Conv2d, pool: SumPool) -> Conv2d:
    """Pool and convolution as one: w'[k * dilation * s + m] += w[k] for m < pool kernel."""
    assert pool.stride is not None
    weight = convolution.weight
    hops = [d * s for d, s in zip(convolution.dilation, pool.stride, strict=True)]
    spans = [
        (k - 1) * hop + p for k, hop, p in zip(weight.shape[2:], hops, pool.kernel, strict=True)
    ]
    merged = np.zeros((*weight.shape[:2], *spans), dtype=np.int64)
    for ky in range(weight.shape[2]):
        for kx in range(weight.shape[3]):
            y, x = ky * hops[0], kx * hops[1]
            merged[:, :, y : y + pool.kernel[0], x : x + pool.kernel[1]] += weight[
                :, :, ky : ky + 1, kx : kx + 1
            ]
    stride = tuple(a * b for a, b in zip(convolution.stride, pool.stride, strict=True))
    return Conv2d(weight=merged, stride=(stride[0], stride[1]), groups=convolution.groups)


def _matrix(
    convolution: Conv2d, pool: SumPool, source: tuple[int, int, int], target: tuple[int, int, int]
) -> np.ndarray:
    """A pooled convolution as the matrix ``(target neurons, source neurons)`` that it is."""
    assert pool.stride is not None
    _, pooled_height, pooled_width = pool.output(source)
    matrix = np.zeros((*target, *source), dtype=np.int64)
    outputs, inner, kernel_height, kernel_width = convolution.weight.shape
    channels = np.arange(outputs)
    first = channels // (outputs // convolution.groups) * inner
    for oy, ox, ky, kx in np.ndindex(*target[1:], kernel_height, kernel_width):
        y = oy * convolution.stride[0] + ky * convolution.dilation[0] - convolution.padding[0]
        x = ox * convolution.stride[1] + kx * convolution.dilation[1] - convolution.padding[1]
        if not (0 <= y < pooled_height and 0 <= x < pooled_width):
            continue
        top, left = y * pool.stride[0], x * pool.stride[1]
        lines, columns = slice(top, top + pool.kernel[0]), slice(left, left + pool.kernel[1])
        for channel in range(inner):
            weights = convolution.weight[:, channel, ky, kx, None, None]
            matrix[channels, oy, ox, first + channel, lines, columns] += weights
    return matrix.reshape(int(np.prod(target)), -1)
