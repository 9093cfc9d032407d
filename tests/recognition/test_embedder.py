"""The embedder against a bare onnxruntime session, and everything that must not pass for one."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from support.networks import network, sha
from support.places import CROPS, SFACE, needs_sface

from facecli.common.enums import Device
from facecli.common.errors import DeviceError, ModelError
from facecli.common.types import Float32, Image
from facecli.recognition.embedder import OnnxEmbedder
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.sessions import PROVIDERS
from facecli.recognition.model_zoo.specs import ChannelOrder, EmbedderSpec
from facecli.recognition.pipeline import Extractor

ABSENT = [d for d, p in PROVIDERS.items() if p not in onnxruntime.get_available_providers()]


@pytest.fixture(scope="module")
def crops() -> Image:
    """Hopper and Collins, cut out, (2, 112, 112, 3) BGR."""
    return np.stack([cv2.imread(str(crop)) for crop in CROPS.values()])


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    return OnnxEmbedder(spec, registry.read_verified(spec), Device.CPU)


def by_hand(content: bytes, crop: Image, mean: float, std: float, flip: bool) -> Float32:
    """One crop through a bare session: RGB, then normalised, with its mirror image."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    total = 0
    for picture in (crop, cv2.flip(crop, 1)) if flip else (crop,):
        rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.float32)
        blob = ((rgb - mean) / std).transpose(2, 0, 1)[None]
        total = total + session.run(None, {session.get_inputs()[0].name: blob})[0][0]
    return total / np.linalg.norm(total)


def small(content: bytes, **facts: object) -> EmbedderSpec:
    """The facts of a small network of this test's own."""
    spec = EmbedderSpec(
        name="small",
        path=Path("small.onnx"),
        sha256=sha(content),
        input_size=112,
        channel_order=ChannelOrder.RGB,
        mean=127.5,
        std=128.0,
        dimension=48,
        flip=False,
        preprocessing=1,
        licence="MIT",
        commercial_use=True,
        source="a test",
    )
    return dataclasses.replace(spec, **facts)


def test_a_template_is_the_networks_answer(embedder: OnnxEmbedder, crops: Image) -> None:
    content = registry.read_verified(embedder.spec)
    vectors = embedder.embed(crops)
    assert vectors.dtype == np.float32
    assert vectors.shape == (2, embedder.spec.dimension)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
    for vector, crop in zip(vectors, crops, strict=True):
        assert vector == pytest.approx(by_hand(content, crop, 127.5, 128.0, True), abs=1e-5)


def test_flip_averaging_makes_a_face_and_its_mirror_one(
    embedder: OnnxEmbedder, crops: Image
) -> None:
    plain = OnnxEmbedder(
        dataclasses.replace(embedder.spec, flip=False), registry.read_verified(embedder.spec)
    )
    mirrored = np.ascontiguousarray(crops[:, :, ::-1])
    assert embedder.embed(mirrored) == pytest.approx(embedder.embed(crops), abs=1e-6)
    assert np.abs(plain.embed(mirrored) - plain.embed(crops)).max() > 0.01
    content = registry.read_verified(embedder.spec)
    wanted = by_hand(content, crops[0], 127.5, 128.0, False)
    assert plain.embed(crops)[0] == pytest.approx(wanted, abs=1e-5)


def test_swapped_channels_would_be_noticed(embedder: OnnxEmbedder, crops: Image) -> None:
    """The comparison above is to 1e-5; blue for red moves a template a thousand times that."""
    swapped = embedder.embed(crops[..., ::-1])
    assert np.abs(swapped - embedder.embed(crops)).max() > 0.01
    content = network()
    rgb = OnnxEmbedder(small(content), content)
    bgr = OnnxEmbedder(small(content, channel_order=ChannelOrder.BGR), content)
    red = np.zeros((1, 112, 112, 3), np.uint8)
    red[..., 2] = 255
    planes = rgb.embed(red)[0].reshape(3, 16).mean(axis=1)
    assert planes == pytest.approx(bgr.embed(red)[0].reshape(3, 16).mean(axis=1)[::-1])
    shift = network(kernel=112)  # one number a plane: |(x - mean) / std|
    three = OnnxEmbedder(small(shift, dimension=3, mean=0.0, std=1.0), shift)
    assert three.embed(red)[0] == pytest.approx([1, 0, 0])


@pytest.mark.parametrize("count", [1, 2, 5, 33])
def test_the_batch_does_not_matter(count: int, embedder: OnnxEmbedder, crops: Image) -> None:
    """To the bit on a CPU; as an accelerator has it, 32 at once, nearly."""
    rng = np.random.default_rng(count)
    many = rng.integers(0, 256, (count, 112, 112, 3), np.uint8)
    many[-1] = crops[0]
    vectors = embedder.embed(many)
    assert np.array_equal(vectors[-1], embedder.embed(crops[:1])[0])
    assert np.array_equal(vectors[0], embedder.embed(many[:1])[0])
    in_batches = copy.copy(embedder)
    in_batches.device = Device.CUDA
    assert in_batches.embed(many) == pytest.approx(vectors, abs=1e-5)


class Noting:
    """A real session that notes how many crops each run has."""

    def __init__(self, real: onnxruntime.InferenceSession) -> None:
        self.real = real
        self.sizes: list[int] = []

    def run(self, outputs: None, inputs: dict[str, Float32]) -> list[Float32]:
        self.sizes.append(*(len(blob) for blob in inputs.values()))
        return self.real.run(outputs, inputs)  # type: ignore[no-any-return]


def test_an_accelerator_gets_many_crops_at_once_and_a_cpu_one(embedder: OnnxEmbedder) -> None:
    """40 of them, and their mirror images."""
    own = copy.copy(embedder)
    own._session = on_cpu = Noting(embedder._session)
    own.embed(np.zeros((40, 112, 112, 3), np.uint8))
    assert on_cpu.sizes == [1] * 80
    own.device = Device.CUDA
    own._session = elsewhere = Noting(embedder._session)
    own.embed(np.zeros((40, 112, 112, 3), np.uint8))
    assert elsewhere.sizes == [32, 8, 32, 8]


def test_no_crops_no_vectors(embedder: OnnxEmbedder) -> None:
    assert embedder.embed(np.empty((0, 112, 112, 3), np.uint8)).shape == (0, 192)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_network_of_a_fixed_batch(batch: int, crops: Image) -> None:
    content = network()
    fixed = onnx.load_from_string(content)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    content_fixed = fixed.SerializeToString()
    many = np.concatenate([crops, crops[:, ::-1], crops[:1]])
    wanted = OnnxEmbedder(small(content), content).embed(many)
    found = OnnxEmbedder(small(content_fixed), content_fixed).embed(many)
    assert found == pytest.approx(wanted, abs=1e-6)
    assert found.shape == (5, 48)


@needs_sface
def test_sface_with_its_fixed_batch_and_its_mean_vector(crops: Image) -> None:
    shipped = registry.find_embedder("sface")
    content = SFACE.read_bytes()
    known = dataclasses.replace(shipped, path=SFACE, sha256=shipped.published_sha256 or "")
    spec = dataclasses.replace(known, centre=None)
    vectors = OnnxEmbedder(spec, registry.read_verified(spec)).embed(crops)
    wanted = np.stack([by_hand(content, c, 0, 1, True) for c in crops])
    assert vectors == pytest.approx(wanted, abs=1e-5)
    assert known.centre is not None
    mean = np.array(json.loads(known.centre.read_text())["centre"])
    centred = (wanted - mean) / np.linalg.norm(wanted - mean, axis=1, keepdims=True)
    assert OnnxEmbedder(known, content).embed(crops) == pytest.approx(centred, abs=1e-5)


@pytest.mark.parametrize("text", ["{", "[]", '{"centre": [1, 2]}', '{"centre": ["a"]}', None])
def test_a_mean_vector_that_does_not_fit(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "mean.json"
    if text is not None:
        path.write_text(text)
    content = network()
    with pytest.raises(ModelError, match="mean vector"):
        OnnxEmbedder(small(content, centre=path), content)


@pytest.mark.parametrize("device", ABSENT)
def test_a_named_device_that_is_absent(device: Device) -> None:
    content = network()
    with pytest.raises(DeviceError, match=rf"{device} is not there.* offers .*cpu"):
        OnnxEmbedder(small(content), content, device)


def test_auto_says_what_it_took() -> None:
    content = network()
    if onnxruntime.get_device() != "CPU":
        pytest.skip("NOT CHECKED: this onnxruntime has an accelerator")
    assert OnnxEmbedder(small(content), content, Device.AUTO).device is Device.CPU


BROKEN = {
    "not an ONNX file": (b"nothing of the kind", {}, "not a network"),
    "empty": (b"", {}, "not a network"),
    "another dimension": (network(), {"dimension": 47}, "says 47"),
    "not a vector": (network(flat=False), {}, "says 48"),
    "another input size": (network(), {"input_size": 20}, "does not run"),
    "a fixed input of 64 px": (network(side=64), {}, "does not run"),
    "two inputs": (network(inputs=2), {}, "does not run"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_embedder_is_refused(case: str) -> None:
    content, facts, why = BROKEN[case]
    with pytest.raises(ModelError, match=why):
        OnnxEmbedder(small(content, **facts), content)


def test_values_that_are_not_finite_never_become_a_template(crops: Image) -> None:
    content = network(bad=True)
    with pytest.raises(ModelError, match="not finite"):
        OnnxEmbedder(small(content), content).embed(crops)


def test_zeros_never_become_a_template() -> None:
    content = network()
    black = np.zeros((1, 112, 112, 3), np.uint8)
    with pytest.raises(ModelError, match="only zeros"):
        OnnxEmbedder(small(content, mean=0.0), content).embed(black)


def test_same_person_and_another(extractor: Extractor, hopper: Image, collins: Image) -> None:
    """What it is all for: an altered shot of a person is closer than another person."""
    height, width = hopper.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 12, 0.95)
    turned = cv2.warpAffine(hopper, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    dark = cv2.resize(cv2.convertScaleAbs(turned, alpha=0.6), None, fx=0.5, fy=0.5)
    again = cv2.imdecode(cv2.imencode(".jpg", dark, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    first, same, other = (
        extractor.image(image, "").faces[0].template.vector for image in (hopper, again, collins)
    )
    assert first @ same > 0.9
    assert first @ other < 0.3
    assert same @ other < 0.3
