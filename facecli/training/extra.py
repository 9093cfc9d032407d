"""The extra that training needs, and the device it runs on: what is missing is said in one line."""

from __future__ import annotations

from importlib import import_module, metadata

from facecli.common.enums import Device
from facecli.common.errors import DeviceError, UsageError

_HOW = "pip install 'facecli[train]'; docs/training.md says how to have the smaller CPU build"


def require_torch() -> None:
    """Raise UsageError where torch is missing or cannot be loaded."""
    try:
        import_module("torch")
    except ImportError as error:
        raise UsageError(f"training needs an optional extra: {_HOW}{_detail(error)}") from error


def require_converter() -> None:
    """Raise UsageError where what turns ONNX networks into torch's is missing or does not fit.

    onnx2torch imports torchvision, which must be of torch's own build (CPU or CUDA) and version:
    another one fails with an error that names neither.
    """
    require_torch()
    try:
        import_module("torchvision")
    except (ImportError, RuntimeError, OSError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "torchvision":
            raise UsageError(f"training needs torchvision as well: {_HOW}") from error
        raise UsageError(
            f"torchvision {_version('torchvision')} does not fit torch {_version('torch')}: "
            f"install both in one command, from one place ({_first_line(error)})"
        ) from error
    for name in ("onnx2torch", "lightning_fabric"):
        try:
            import_module(name)
        except ImportError as error:
            raise UsageError(f"training needs {name} as well: {_HOW}{_detail(error)}") from error


def chosen_device(device: Device, count: int = 1) -> Device:
    """CPU or CUDA; AUTO takes CUDA where it is there. count: how many are wanted.

    Raises DeviceError, UsageError.
    """
    import torch

    there = bool(torch.cuda.is_available())
    if device is Device.AUTO:
        return Device.CUDA if there else Device.CPU
    if device is Device.CUDA and not there:
        built = "torch sees no CUDA device" if torch.version.cuda else "this torch is a CPU build"
        raise DeviceError(f"--device cuda was asked for, and {built}: use --device cpu")
    if device not in (Device.CPU, Device.CUDA):
        raise UsageError(f"training runs on cpu or cuda, not on {device}")
    if device is Device.CUDA and count > (seen := torch.cuda.device_count()):
        raise DeviceError(f"--devices {count} was asked for, and torch sees {seen} CUDA devices")
    return device


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _detail(error: ImportError) -> str:
    """Why what is installed cannot be loaded; empty where it is simply not there."""
    return "" if isinstance(error, ModuleNotFoundError) else f" ({_first_line(error)})"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
