"""A trained model with QCFS in the place of each ReLU, to be trained further as any model is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from neurocuda_hw.conversion import choices
from neurocuda_hw.conversion.activation import QCFS
from neurocuda_hw.conversion.calibrate import best_clips, some_positions
from neurocuda_hw.conversion.tracing import check_evaluating, check_forward, trace
from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.errors import ModelError

_SAMPLES = 256
_MODULES = (nn.ReLU, nn.ReLU6, nn.Hardtanh)
_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *(F.relu, F.relu_, F.relu6, F.hardtanh, F.hardtanh_),
    *(torch.relu, torch.relu_),
)
_METHODS = ("relu", "relu_")


class _Tracer(fx.Tracer):
    """Sees a QCFS that is there already as one operation."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, QCFS) or super().is_leaf_module(m, module_qualified_name)


def with_qcfs(
    ann: nn.Module,
    train_loader: Any,
    *,
    levels: int = 8,
    channel_wise: bool = True,
    batch: int = 128,
    seed: int = 0,
) -> fx.GraphModule:
    """A copy of a trained model that computes with `levels` levels.

    Train it as any model, normalisations and all; then `convert(model.eval(), ...)` with the same
    `levels` takes its clip values as they were learnt.

    Parameters
    ----------
    ann : nn.Module
        In evaluation mode; traced by torch.fx, so without control flow that depends on the data.
        Each ReLU (ReLU6, Hardtanh), be it a module, a function or a method, becomes a `QCFS` of its
        own in the copy, which is on the CPU: ``qcfs_0``, ``qcfs_1``, ... All else keeps its name.
    train_loader : as `convert` takes it
        The first 256 samples set the clip values.
    levels : int
        L, 1 to 255.
    channel_wise : bool
        One clip value per channel, or one per layer.

    Raises
    ------
    ModelError
        If the model is in training mode, does not take such inputs, cannot be traced, has no ReLU,
        or holds NaN.
    """
    choices.whole(levels, "levels", 1, 255)
    check_evaluating(ann)
    x = Batches(train_loader, "training data", batch).head(_SAMPLES).cpu()
    model = copy.deepcopy(ann).cpu()
    check_forward(model, x)
    graph = trace(model, _Tracer())
    traced = fx.GraphModule(model, graph).eval()
    nodes = [node for node in graph.nodes if _is_relu(node, traced)]
    if not nodes:
        raise ModelError("the model must have a ReLU to be replaced: it has none")
    calibration = _Calibration(traced, nodes, levels, channel_wise=channel_wise, seed=seed)
    with torch.no_grad():
        calibration.run(x)
    for number, node in enumerate(nodes):
        clips = calibration.clips[node.name]
        activation = QCFS(levels, channels=len(clips))
        with torch.no_grad():
            activation.log_clip.copy_(clips.log())
        traced.add_submodule(f"qcfs_{number}", activation)
        with graph.inserting_before(node):
            new = graph.call_module(f"qcfs_{number}", (node.all_input_nodes[0],))
        node.replace_all_uses_with(new)
        graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced.eval()


def _is_relu(node: fx.Node, model: nn.Module) -> bool:
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        if isinstance(module, nn.Hardtanh) and module.min_val != 0:
            return False
        return isinstance(module, _MODULES)
    if node.op == "call_function" and node.target in (F.hardtanh, F.hardtanh_):
        low = node.kwargs.get("min_val", node.args[1] if len(node.args) > 1 else -1.0)
        return bool(low == 0)
    return (node.op == "call_function" and node.target in _FUNCTIONS) or (
        node.op == "call_method" and node.target in _METHODS
    )


class _Calibration(fx.Interpreter):
    """Runs a model and fits clip values to what its ReLUs give."""

    def __init__(
        self,
        model: fx.GraphModule,
        nodes: list[fx.Node],
        levels: int,
        *,
        channel_wise: bool,
        seed: int,
    ) -> None:
        super().__init__(model)
        self.nodes, self.levels, self.channel_wise = set(nodes), levels, channel_wise
        self.generator = torch.Generator().manual_seed(seed)
        self.clips: dict[str, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        """One operation."""
        result = super().run_node(n)
        if n in self.nodes:
            if not torch.isfinite(result).all():
                raise ModelError(f"the activations at {n.name!r} must be finite, but some are not")
            samples = some_positions(result, self.generator)
            clips = best_clips(samples, self.levels, channel_wise=self.channel_wise)
            self.clips[n.name] = clips if self.channel_wise else clips[:1]
        return result
