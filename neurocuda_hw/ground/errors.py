"""The exceptions that users see, and the exit code that the command line gives to each."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """What an error of others says, fit for a sentence: one line of up to 200 characters."""
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


class NeurocudaError(Exception):
    """Root of every error this package raises on purpose: one sentence that says the way out."""

    exit_code = 2


class ModelError(NeurocudaError):
    """A model, network or trace cannot be used: corrupt, inconsistent, or out of range."""


class UnsupportedLayerError(ModelError):
    """A layer of a trained model has no integer spiking equivalent here.

    Parameters
    ----------
    path : str
        Where the layer stands in the model, such as ``features.3``.
    kind : str
        Its type, such as ``LSTM``.
    way_out : str
        What the user can do about it.
    """

    def __init__(self, *, path: str, kind: str, way_out: str) -> None:
        super().__init__(f"layer {path!r} ({kind}) cannot be converted: {way_out}")
        self.path = path
        self.kind = kind
        self.way_out = way_out


class DataError(NeurocudaError):
    """Input data has the wrong shape, type or range."""


def no_data(path: object) -> DataError:
    """What to say of a data set that is not there."""
    return DataError(
        f"there is no data at {str(path)!r}; name a folder of idx or CIFAR binary files, or a .npz "
        "with x and y"
    )


class OutputError(NeurocudaError):
    """A file or folder cannot be written."""


class ToolError(NeurocudaError):
    """An external tool is missing, too old, or failed."""

    exit_code = 3


class DivergenceError(NeurocudaError):
    """A target computed something else than the reference."""

    exit_code = 1


def missing_package(error: ModuleNotFoundError) -> ToolError:
    """What to say of a package that is not installed: how to get it."""
    from neurocuda_hw.ground.extras import PACKAGE, extra_of

    package = (error.name or "?").split(".")[0]
    way_out = f"pip install '{PACKAGE}{extra_of(package)}'"
    return ToolError(f"the package {package!r} is missing; {way_out}")
