"""Every device that this onnxruntime offers, tried on known faces."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from time import perf_counter

from facecli.cli.doctor.diagnosis import BROKEN, Check, Part, Verdict, first_line
from facecli.common.enums import Device
from facecli.common.errors import ModelError
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import EmbedderSpec


def devices() -> Iterator[Check]:
    """Every device that this onnxruntime offers, tried with the embedder in use."""
    try:
        import onnxruntime

        from facecli.recognition.model_zoo.sessions import PROVIDERS

        spec = registry.find_embedder()
        content = registry.read_verified(spec)
        offered = set(onnxruntime.get_available_providers())
    except BROKEN as error:
        yield Check(Part.DEVICES, "none", Verdict.NOTE, f"not tried: {first_line(error)}")
        return
    for device, provider in PROVIDERS.items():
        if device is Device.TENSORRT and provider in offered:
            detail = "offered, not tried: it would build an engine for minutes"
            yield Check(Part.DEVICES, device, Verdict.NOTE, detail)
        elif provider in offered:
            yield _device(device, spec, content)
    if PROVIDERS[Device.CUDA] not in offered and shutil.which("nvidia-smi"):
        yield Check(
            Part.DEVICES, Device.CUDA, Verdict.NOTE,
            "there is an NVIDIA GPU, and this onnxruntime cannot use it", _build(Device.CUDA),
        )  # fmt: skip


def _device(device: Device, spec: EmbedderSpec, content: bytes) -> Check:
    from facecli.common import plugins
    from facecli.recognition import selftest

    embedder = plugins.load("facecli.embedders", "onnx")
    try:
        tried = embedder(spec, content, device)
        found = selftest.agreement(
            spec, tried.embed, lambda: embedder(spec, content, Device.CPU).embed
        )
        selftest.require(found, device)
        start = perf_counter()
        tried.embed(crops := selftest.crops())
        spent = 1000 * (perf_counter() - start) / len(crops)
    except ModelError as error:
        return Check(Part.DEVICES, device, Verdict.FAULT, first_line(error), _cure(device))
    detail = f"works: {spent:.1f} ms a face, cosine to the known template {min(found, 1):.6f}"
    return Check(Part.DEVICES, device, Verdict.OK, detail)


def _cure(device: Device) -> str:
    if device is Device.CUDA and not shutil.which("nvidia-smi"):
        return "install NVIDIA's driver, so that `nvidia-smi` lists the GPU"
    return _build(device)


def _build(device: Device) -> str:
    """How to put onnxruntime's build for a device in the place of the one that is there."""
    wheels = {
        Device.CUDA: "onnxruntime-gpu[cuda,cudnn]",
        Device.OPENVINO: "onnxruntime-openvino",
        Device.DIRECTML: "onnxruntime-directml",
    }
    wheel = wheels.get(device, "onnxruntime")
    owners = sorted({*packages_distributions().get("onnxruntime", ()), "onnxruntime"})
    return f"pip uninstall -y {' '.join(owners)} && pip install '{wheel}'"
