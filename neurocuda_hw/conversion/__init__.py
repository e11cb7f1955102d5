"""From a trained PyTorch classifier to an integer spiking network.

snn, stats = convert(model, train_loader, test_loader=test_loader, strategy="exact")
"""

from neurocuda_hw.conversion.activation import QCFS
from neurocuda_hw.conversion.averaging import average_weights
from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.choices import STRATEGIES
from neurocuda_hw.conversion.fold import fold_batchnorm
from neurocuda_hw.conversion.further import finetune, quantized_ann
from neurocuda_hw.conversion.mismatch import LayerMismatch, mismatch
from neurocuda_hw.conversion.modules import IFNeuron, LIFNeuron, OverTime
from neurocuda_hw.conversion.pipeline import convert
from neurocuda_hw.conversion.qcfs import Settings
from neurocuda_hw.conversion.quantize import Code, QuantizedAnn, to_network
from neurocuda_hw.conversion.recoding import recode
from neurocuda_hw.conversion.replace import with_qcfs
from neurocuda_hw.conversion.stats import Stats
from neurocuda_hw.conversion.validate import Validation, validate_snn

__all__ = [
    "QCFS",
    "STRATEGIES",
    "Code",
    "IFNeuron",
    "LIFNeuron",
    "LayerMismatch",
    "OverTime",
    "QuantizedAnn",
    "Settings",
    "Stats",
    "Validation",
    "average_weights",
    "capture",
    "convert",
    "finetune",
    "fold_batchnorm",
    "mismatch",
    "quantized_ann",
    "recode",
    "to_network",
    "validate_snn",
    "with_qcfs",
]
