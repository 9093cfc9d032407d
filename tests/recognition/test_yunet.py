"""YuNet through onnxruntime is YuNet through OpenCV: on real photos, at every size."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from support.places import ROOT, YUNET_PUBLISHED

from facecli.common.types import Float32, Image
from facecli.recognition import images
from facecli.recognition.detector import YuNet, opencv
from facecli.recognition.model_zoo import registry
from facecli.recognition.yunet import (
    HEADS,
    NMS_IOU,
    SCORE_MIN,
    STRIDES,
    OpenCvNetwork,
    RuntimeNetwork,
)

TOOL = ROOT / "models" / "make" / "convert_yunet.py"
SOURCE = YUNET_PUBLISHED
SIZES = [(31, 40), (64, 64), (97, 150), (240, 200), (250, 250), (336, 331), (353, 353), (480, 640),
         (641, 500), (1280, 1000), (777, 1300)]  # fmt: skip

needs_source = pytest.mark.skipif(
    not SOURCE.is_file(), reason=f"NOT CHECKED AGAINST OPENCV ZOO: {SOURCE} is not there"
)


@pytest.fixture(scope="module")
def shipped() -> bytes:
    return registry.read_verified(registry.find_detector())


@pytest.fixture(scope="module")
def runtime(shipped: bytes) -> RuntimeNetwork:
    return RuntimeNetwork(shipped)


def crowd(pictures: dict[str, Image]) -> Image:
    """Both portraits six times, overlapping: suppression has work to do."""
    tile = np.hstack(
        [cv2.resize(p, (160, 180), interpolation=cv2.INTER_AREA) for p in pictures.values()]
    )
    return np.tile(tile, (2, 3, 1))


def same(runtime: RuntimeNetwork, reference: OpenCvNetwork, image: Image) -> int:
    """Compare box, landmarks (0.01 px) and score of every face, in order; how many there are."""
    ours, theirs = runtime.rows(image), reference.rows(image)
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    assert np.abs(ours[:, :14] - theirs[:, :14]).max(initial=0) < 0.01
    assert np.abs(ours[:, 14] - theirs[:, 14]).max(initial=0) < 1e-5
    return len(ours)


def test_the_same_faces_as_opencv_at_every_size(
    shipped: bytes, runtime: RuntimeNetwork, pictures: dict[str, Image]
) -> None:
    reference, found = OpenCvNetwork(shipped), 0
    for picture in (*pictures.values(), crowd(pictures)):
        for size in SIZES:
            found += same(runtime, reference, cv2.resize(picture, size[::-1]))
    assert found > 3 * len(SIZES)


def test_opencv_is_asked_for_the_same(
    shipped: bytes, runtime: RuntimeNetwork, hopper: Image
) -> None:
    """The reference itself is FaceDetectorYN, not a relative of ours."""
    height, width = hopper.shape[:2]
    plain = cv2.FaceDetectorYN.create(
        str(registry.find_detector().path), "", (width, height), SCORE_MIN, NMS_IOU
    )
    _, rows = plain.detect(hopper)
    assert np.array_equal(rows, OpenCvNetwork(shipped).rows(hopper))
    assert np.abs(rows - runtime.rows(hopper)).max() < 0.01


def test_overlapping_views_of_a_face_are_one(
    runtime: RuntimeNetwork, pictures: dict[str, Image]
) -> None:
    assert len(runtime.rows(crowd(pictures))) == 12


@pytest.mark.parametrize("size", [(1, 1), (5, 700), (33, 64)])
def test_nobody(size: tuple[int, int], runtime: RuntimeNetwork) -> None:
    assert runtime.rows(np.zeros((*size, 3), np.uint8)).shape == (0, 15)


def test_both_detectors_find_the_same_on_lfw(shipped: bytes, lfw: Path) -> None:
    """Through all passes, the landmarks of the cut-out included."""
    ours, theirs = YuNet(shipped), opencv(shipped)
    for path in sorted(lfw.glob("photos/*/*.jpg"))[::80]:
        image = images.decode(path.read_bytes(), path.name)
        assert not hasattr(image, "reason"), image
        for one, other in zip(ours.detect(image), theirs.detect(image), strict=True):
            assert np.abs(np.subtract(one.box, other.box)).max() < 0.01, path
            assert np.abs(one.landmarks - other.landmarks).max() < 0.01, path


# --- the converter ------------------------------------------------------------------------------


def heads(network: bytes, picture: Image) -> list[Float32]:
    """All outputs for a (640, 640, 3) picture, the source's only size, in the order of HEADS."""
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    pixels = picture.transpose(2, 0, 1)[None].astype(np.float32)
    return session.run(HEADS, {"input": pixels})


@needs_source
def test_every_output_is_the_sources(shipped: bytes, pictures: dict[str, Image]) -> None:
    for picture in (*pictures.values(), crowd(pictures)):
        image = cv2.resize(picture, (640, 640))
        pairs = zip(heads(shipped, image), heads(SOURCE.read_bytes(), image), strict=True)
        for name, (ours, theirs) in zip(HEADS, pairs, strict=True):
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max(), name


@needs_source
def test_the_same_faces_as_the_source_at_every_size(
    runtime: RuntimeNetwork, pictures: dict[str, Image]
) -> None:
    source = OpenCvNetwork(SOURCE.read_bytes())
    for size in SIZES:
        same(runtime, source, cv2.resize(crowd(pictures), size[::-1]))


def test_the_heads_are_merged(shipped: bytes) -> None:
    """Of 53 convolutions 29 are before the heads; the four heads of a stride share two."""
    graph = onnx.load_from_string(shipped).graph
    kinds = Counter(node.op_type for node in graph.node)
    assert (kinds["Conv"], kinds["Split"], kinds["Transpose"], kinds["Reshape"]) == (35, 3, 3, 3)
    shapes = {each.name: numpy_helper.to_array(each).shape for each in graph.initializer}
    for stride in STRIDES:
        assert shapes[f"heads.{stride}.conv1.weight"] == (16, 64, 1, 1)
        assert shapes[f"heads.{stride}.conv2.weight"] == (16, 1, 3, 3)


def convert(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), str(source), str(target)]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("source", [SOURCE, registry.find_detector().path], ids=["zoo", "shipped"])
def test_the_shipped_file_is_what_the_tool_makes(source: Path, tmp_path: Path) -> None:
    """Of OpenCV Zoo's file, and of its own result."""
    if not source.is_file():
        pytest.skip(f"NOT CHECKED AGAINST OPENCV ZOO: {source} is not there")
    done = convert(source, tmp_path / "made.onnx")
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "made.onnx").read_bytes()
    assert hashlib.sha256(made).hexdigest() == registry.find_detector().sha256
    assert done.stdout.startswith(registry.find_detector().sha256)


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        ("models/mobilefacenet_arcface.onnx", 5, "not YuNet"),
        ("models/yunet.md", 5, "not an ONNX file"),
        ("no/such.onnx", 3, "not a file"),
    ],
)
def test_the_tool_refuses_other_files(source: str, code: int, says: str, tmp_path: Path) -> None:
    done = convert(ROOT / source, tmp_path / "made.onnx")
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / "made.onnx").exists()


def test_the_tool_refuses_heads_made_in_another_way(shipped: bytes, tmp_path: Path) -> None:
    """The shipped file's own, once it no longer says that they are merged."""
    other = tmp_path / "other.onnx"
    other.write_bytes(shipped.replace(b"heads.shape", b"heads.other"))
    done = convert(other, tmp_path / "made.onnx")
    assert (done.returncode, "cls_8 lacks Reshape" in done.stderr) == (5, True), done.stderr
    assert not (tmp_path / "made.onnx").exists()
