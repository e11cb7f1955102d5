"""How states and weights lie in memory for P lanes, and which rows an event visits.

State row ``(y * W + x) * G + g`` holds channels ``g * P`` to ``g * P + P - 1`` of position (y, x),
one per lane, where G = ceil(C / P). Weight row ``(ky * KW + kx) * rows_per_tap + base(ci) + j``
holds what an event of source channel ci adds to the j-th state row that it visits at that tap.

With more lanes than channels, a row holds a block of b x d neighbouring positions, each in as many
lanes as the next power of two holds channels: then G = 1, and the row of position (y, x) is
``(y // b) * ceil(W / d) + x // d``. A convolution of stride s is then laid out as the convolution
of stride (s * b, s * d) that leads to the first positions of the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.fixed import narrow, unsigned_bits
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.synapses import Conv2d, Dense, SumPool, Synapse
from neurocuda_hw.passes.taps import AxisTaps, axis_taps


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLayout:
    """Rows of P lanes that hold one value per neuron of a population ``(C, H, W)``.

    `block` are the positions down and across that share a row; powers of two.
    """

    lanes: int
    channels: int
    height: int
    width: int
    block: tuple[int, int] = (1, 1)

    @property
    def slots(self) -> int:
        """Lanes per position, of which `channels` are used; all of them without blocks."""
        return self.lanes // (self.block[0] * self.block[1])

    @property
    def groups(self) -> int:
        """Rows per position: channel groups G."""
        return -(-self.channels // self.lanes)

    @property
    def lines(self) -> int:
        """Blocks down."""
        return -(-self.height // self.block[0])

    @property
    def columns(self) -> int:
        """Blocks across."""
        return -(-self.width // self.block[1])

    @property
    def rows(self) -> int:
        """Rows in all."""
        return self.lines * self.columns * self.groups

    @property
    def place_bits(self) -> tuple[int, int, int]:
        """Bits that tell a row: of its channel group, its line and its column of blocks."""
        group, y, x = (unsigned_bits(n - 1) for n in (self.groups, self.lines, self.columns))
        return group, y, x

    def neurons(self) -> np.ndarray:
        """Flat neuron index (C order) at each ``(row, lane)``; -1 where there is none."""
        return self.arrange(np.arange(self.channels * self.height * self.width), fill=-1)

    def arrange(self, values: np.ndarray, fill: int = 0) -> np.ndarray:
        """Values ``(..., N)`` as rows ``(..., rows, lanes)``; `fill` where no neuron is."""
        down, across = self.block
        more = values.shape[:-1]
        padded = np.full(
            (*more, self.groups * self.slots, self.lines * down, self.columns * across),
            fill,
            dtype=values.dtype,
        )
        padded[..., : self.channels, : self.height, : self.width] = values.reshape(
            *more, self.channels, self.height, self.width
        )
        blocks = padded.reshape(
            -1, self.groups * self.slots, self.lines, down, self.columns, across
        )
        rows: np.ndarray = blocks.transpose(0, 2, 4, 3, 5, 1).reshape(*more, self.rows, self.lanes)
        return rows


def suitable_lanes(population: Population) -> list[int]:
    """Numbers of lanes that suit `population`, rising.

    Powers of two below its channels, and all its channels; then, but not for a readout, those of
    blocks of 2, 4, 8, ... positions.
    """
    channels, height, width = population.chw
    slots = 1 << (channels - 1).bit_length()
    found = [1 << i for i in range(channels.bit_length()) if 1 << i < channels] + [channels]
    if population.spiking:
        positions = _floor_power(height) * _floor_power(width)
        found += [slots << i for i in range(1, positions.bit_length())]
    return found


def _floor_power(size: int) -> int:
    """The largest power of two that is at most `size`."""
    return 1 << (size.bit_length() - 1)


def _block(positions: int, height: int, width: int) -> tuple[int, int]:
    """As square a block of so many positions as fits, rather wide than high."""
    down = 1 << ((positions.bit_length() - 1) // 2)
    down = max(min(down, _floor_power(height)), positions // _floor_power(width))
    return down, positions // down


def state_layout(population: Population, lanes: int) -> StateLayout:
    """The layout of `population` for `lanes` lanes.

    Raises
    ------
    ModelError
        Unless `suitable_lanes` has that number.
    """
    c, h, w = population.chw
    suitable = suitable_lanes(population)
    if lanes not in suitable:
        wide = [str(n) for n in suitable if n > c]
        raise ModelError(
            f"population {population.name!r}: lanes must be a power of two up to its {c} channels, "
            f"or {c}{', ' if wide else ''}{', '.join(wide)}, not {lanes!r}"
        )
    slots = 1 << (c - 1).bit_length()
    block = _block(lanes // slots, h, w) if lanes > c else (1, 1)
    return StateLayout(lanes=lanes, channels=c, height=h, width=w, block=block)


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


def low_zeros(weights: np.ndarray) -> int:
    """Low bits that are 0 in every one of some `weights`; 0 where all of them are 0."""
    used = int(np.bitwise_or.reduce(weights, axis=None))
    return (used & -used).bit_length() - 1 if used else 0


def fanout(network: Network, projection: Projection, lanes: int) -> Fanout:
    """Lays `projection` out for the lanes of its target."""
    source, target = network[projection.source], network[projection.target]
    layout = state_layout(target, lanes)
    synapse = _without_overlap(projection, source)
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
        outputs = (layout.lines, layout.columns)
        if layout.block == (1, 1):
            rows, channel_rows, channel_first = _convolution_rows(synapse, layout)
            kernel = synapse.weight.shape[2:]
            geometry = (synapse.stride, synapse.padding, synapse.dilation)
        else:
            rows, kernel = _block_rows(synapse, layout)
            channel_rows = np.ones(pool.output(source.chw)[0], dtype=np.int64)
            channel_first = np.zeros_like(channel_rows)
            stride = _each(np.multiply, synapse.stride, layout.block)
            geometry = (stride, synapse.padding, (1, 1))
    present = np.asarray(rows.reshape(*kernel, -1).any(axis=-1))
    y, x = (
        axis_taps(
            size=source.chw[1 + axis],
            outputs=outputs[axis],
            present=np.asarray(present.any(axis=1 - axis)),
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
        row_y=layout.columns * layout.groups,
        row_x=layout.groups,
        channel_rows=channel_rows,
        channel_first=channel_first,
        channel_base=np.cumsum(channel_rows) - channel_rows,
        rows_per_tap=int(channel_rows.sum()),
        kernel_width=kernel[1],
        weights=rows,
    )


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


def _block_rows(synapse: Conv2d, layout: StateLayout) -> tuple[np.ndarray, tuple[int, int]]:
    """Weight rows for blocks, and the kernel that all positions of a block need together.

    The position (i, j) of a block meets tap k of its own kernel where its first position would meet
    tap ``k * dilation + (i, j) * stride``.
    """
    outputs, inner, height, width = synapse.weight.shape
    spans = [
        (k - 1) * d + 1 + s * (b - 1)
        for k, d, s, b in zip(
            (height, width), synapse.dilation, synapse.stride, layout.block, strict=True
        )
    ]
    weight = narrow(synapse.weight)
    rows = np.zeros(
        (*spans, inner * synapse.groups, *layout.block, layout.slots), dtype=weight.dtype
    )
    group = np.arange(outputs) // (outputs // synapse.groups)
    for i, j, ky, kx, ci in np.ndindex(*layout.block, height, width, inner):
        y = ky * synapse.dilation[0] + i * synapse.stride[0]
        x = kx * synapse.dilation[1] + j * synapse.stride[1]
        rows[y, x, group * inner + ci, i, j, np.arange(outputs)] = weight[:, ci, ky, kx]
    return rows.reshape(-1, layout.lanes), (spans[0], spans[1])


def _each(rule: np.ufunc, a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return int(rule(a[0], b[0])), int(rule(a[1], b[1]))


def _without_overlap(projection: Projection, source: Population) -> Conv2d | Dense:
    """The synapse; a pool with overlapping windows is multiplied out into the weights."""
    synapse = projection.synapse.plain(projection.synapse.pooled(source.shape, projection.label))
    pool = synapse.pool
    if pool is None:
        return synapse
    assert pool.stride is not None
    if all(k <= s for k, s in zip(pool.kernel, pool.stride, strict=True)):
        return synapse
    # with padding no kernel does it: windows at the edges are cut short
    if isinstance(synapse, Dense) or any(synapse.padding):
        return _matrix(synapse, source)
    return _multiplied_out(synapse, pool)


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


def _matrix(synapse: Synapse, source: Population) -> Dense:
    """A synapse and its pool as the matrix that they are: what each source neuron delivers."""
    import torch

    weight = torch.from_numpy(synapse.weight.astype(np.float64))
    singles = torch.eye(source.size, dtype=torch.float64).reshape(-1, *source.shape)
    return Dense(weight=synapse.deliver(singles, weight).flatten(1).T.to(torch.int64).numpy())
