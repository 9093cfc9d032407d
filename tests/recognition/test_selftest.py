"""A device must compute what the CPU computes, or it is not used."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from facecli.common.enums import Device
from facecli.common.errors import DeviceError
from facecli.common.types import Float32, Image
from facecli.recognition import selftest
from facecli.recognition.embedder import OnnxEmbedder
from facecli.recognition.model_zoo import registry, sessions
from facecli.recognition.model_zoo.specs import ChannelOrder, EmbedderSpec

REAL = [
    device
    for device, provider in sessions.PROVIDERS.items()
    if provider in onnxruntime.get_available_providers()
    and device not in (Device.CPU, Device.TENSORRT)
]


@pytest.fixture
def spec() -> EmbedderSpec:
    return registry.find_embedder(registry.DEFAULT_EMBEDDER)


@pytest.fixture
def bgr(spec: EmbedderSpec) -> EmbedderSpec:
    """The shipped embedder fed with blue for red: finite unit vectors, and the wrong ones."""
    return dataclasses.replace(spec, channel_order=ChannelOrder.BGR)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Device:
    """A real session of the CPU's under an accelerator's name, as none need be here."""

    def first_working(content: bytes, device: Device, threads: int) -> tuple[object, Device]:
        return sessions.session(content), Device.CPU if device is Device.CPU else Device.CUDA

    monkeypatch.setattr(sessions, "first_working", first_working)
    return Device.CUDA


def never() -> selftest.Embed:
    raise AssertionError("the stored templates serve")


@pytest.mark.parametrize("spec", registry.shipped_embedders(), ids=lambda spec: str(spec.name))
def test_the_cpu_here_agrees_with_the_stored_templates(spec: EmbedderSpec) -> None:
    embedder = OnnxEmbedder(spec, registry.read_verified(spec), Device.CPU)
    found = selftest.agreement(spec, embedder.embed, never)
    assert found == pytest.approx(1, abs=1e-5)
    selftest.require(found, Device.CPU)


def test_the_known_faces_are_two_people_upright_and_in_bgr(spec: EmbedderSpec) -> None:
    one, other = selftest.crops()
    expected = selftest.stored(spec)
    assert expected is not None and abs(expected[0] @ expected[1]) < 0.3
    assert one.shape == other.shape == (112, 112, 3)
    skin = selftest.crops()[:, 60:80, 40:70].mean(axis=(0, 1, 2))
    assert skin[2] > skin[0] + 20, "blue first, red last"


@pytest.mark.parametrize(
    "fault",
    [lambda c: c[..., ::-1], lambda c: np.roll(c, 2, axis=2), lambda c: c[:, ::-1]],
    ids=["red for blue", "two pixels aside", "upside down"],
)
def test_what_is_computed_wrong_is_refused(spec: EmbedderSpec, fault: object) -> None:
    embedder = OnnxEmbedder(spec, registry.read_verified(spec), Device.CPU)

    def wrong(crops: Image) -> Float32:
        return embedder.embed(np.ascontiguousarray(fault(crops)))  # type: ignore[operator]

    with pytest.raises(DeviceError, match=r"--device cpu"):
        selftest.require(selftest.agreement(spec, wrong, never), Device.CUDA)


def test_half_precision_passes(spec: EmbedderSpec) -> None:
    embedder = OnnxEmbedder(spec, registry.read_verified(spec), Device.CPU)

    def half(crops: Image) -> Float32:
        return embedder.embed(crops).astype(np.float16).astype(np.float32)

    selftest.require(selftest.agreement(spec, half, never), Device.COREML)


@pytest.mark.parametrize("value", [0.999, 0.5, -1.0, float("nan")])
def test_the_bar(value: float) -> None:
    with pytest.raises(DeviceError):
        selftest.require(value, Device.CUDA)
    selftest.require(0.9991, Device.CUDA)


def test_an_accelerator_that_agrees_is_used(spec: EmbedderSpec, stand_in: Device) -> None:
    content = registry.read_verified(spec)
    assert OnnxEmbedder(spec, content, stand_in).device is stand_in
    assert OnnxEmbedder(spec, content).device is stand_in


def test_an_accelerator_that_does_not_is_refused_and_auto_takes_the_cpu(
    bgr: EmbedderSpec, stand_in: Device
) -> None:
    content = registry.read_verified(bgr)
    with pytest.raises(DeviceError, match="something else than the CPU"):
        OnnxEmbedder(bgr, content, stand_in)
    assert OnnxEmbedder(bgr, content).device is Device.CPU


def test_an_added_embedder_is_compared_with_its_own_cpu(
    bgr: EmbedderSpec, stand_in: Device, tmp_path: Path
) -> None:
    added = dataclasses.replace(bgr, path=tmp_path / "added.onnx")
    assert selftest.stored(added) is None
    assert OnnxEmbedder(added, registry.read_verified(bgr), stand_in).device is stand_in


@pytest.mark.skipif(not REAL, reason="NOT CHECKED: this onnxruntime offers no accelerator")
@pytest.mark.parametrize("device", REAL)
def test_a_real_accelerator(spec: EmbedderSpec, device: Device, capfd: object) -> None:
    embedder = OnnxEmbedder(spec, registry.read_verified(spec), device)
    assert embedder.device is device
    cpu = OnnxEmbedder(spec, registry.read_verified(spec), Device.CPU)
    many = np.concatenate([selftest.crops()] * 5)
    assert (embedder.embed(many) * cpu.embed(many)).sum(axis=1).min() > selftest.AGREEMENT
    assert capfd.readouterr().out == ""  # type: ignore[attr-defined]
