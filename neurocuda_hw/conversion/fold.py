"""Batch normalisation, folded into the layer before it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Tracer
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from neurocuda_hw.conversion.tracing import check_evaluating, trace

_FUSIONS: tuple[tuple[tuple[type, ...], tuple[type, ...], Any], ...] = (
    ((nn.Conv1d, nn.Conv2d), (nn.BatchNorm1d, nn.BatchNorm2d), fuse_conv_bn_eval),
    ((nn.Linear,), (nn.BatchNorm1d,), fuse_linear_bn_eval),
)


def fold_batchnorm(model: nn.Module) -> nn.Module:
    """A copy of `model` without the batch normalisations that follow a convolution or a Linear.

    `convert` does this by itself (and more: it also folds those that stand before a layer); this is
    for looking at, or training, the folded weights. `model` is left as it is.

    Raises
    ------
    ModelError
        If the model is in training mode, or its control flow depends on the data.
    """
    check_evaluating(model)
    folded = copy.deepcopy(model)
    graph = trace(folded, Tracer())
    modules = dict(folded.named_modules())
    calls: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            calls[str(node.target)] = calls.get(str(node.target), 0) + 1
    for node in list(graph.nodes):
        if node.op != "call_module" or node.args[0].op != "call_module":
            continue
        before = node.args[0]
        names = str(before.target), str(node.target)
        fuse = _fusion(modules[names[0]], modules[names[1]])
        alone = len(before.users) == 1 and all(calls[name] == 1 for name in names)
        if fuse is None or not alone:
            continue
        with torch.no_grad():
            fused = fuse(modules[names[0]], modules[names[1]])
        folded.set_submodule(names[0], fused)
        folded.set_submodule(names[1], nn.Identity())
        modules.update({names[0]: fused, names[1]: nn.Identity()})
        node.replace_all_uses_with(before)
        graph.erase_node(node)
    return GraphModule(folded, graph, type(model).__name__).eval()


def _fusion(layer: nn.Module, norm: nn.Module) -> Any:
    for layers, norms, fuse in _FUSIONS:
        tracked = isinstance(norm, norms) and norm.running_mean is not None
        if isinstance(layer, layers) and tracked:
            return fuse
    return None
