"""YuNet through onnxruntime is YuNet through OpenCV: on real photos, at every size."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from facecli import images, weights
from facecli.detect import YuNet, opencv
from facecli.types import Image
from facecli.yunet import NMS_IOU, SCORE_MIN, OpenCvNetwork, RuntimeNetwork

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "convert_yunet.py"
SOURCE = ROOT.parent / "shared" / "models" / "face_detection_yunet_2023mar.onnx"
SIZES = [(31, 40), (64, 64), (97, 150), (240, 200), (250, 250), (336, 331), (353, 353), (480, 640),
         (641, 500), (1280, 1000), (777, 1300)]  # fmt: skip


@pytest.fixture(scope="module")
def onnx() -> bytes:
    return weights.read_verified(weights.find_detector())


@pytest.fixture(scope="module")
def runtime(onnx: bytes) -> RuntimeNetwork:
    return RuntimeNetwork(onnx)


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
    onnx: bytes, runtime: RuntimeNetwork, pictures: dict[str, Image]
) -> None:
    reference, found = OpenCvNetwork(onnx), 0
    for picture in (*pictures.values(), crowd(pictures)):
        for size in SIZES:
            found += same(runtime, reference, cv2.resize(picture, size[::-1]))
    assert found > 3 * len(SIZES)


def test_opencv_is_asked_for_the_same(onnx: bytes, runtime: RuntimeNetwork, hopper: Image) -> None:
    """The reference itself is FaceDetectorYN, not a relative of ours."""
    height, width = hopper.shape[:2]
    plain = cv2.FaceDetectorYN.create(
        str(weights.find_detector().path), "", (width, height), SCORE_MIN, NMS_IOU
    )
    _, rows = plain.detect(hopper)
    assert np.array_equal(rows, OpenCvNetwork(onnx).rows(hopper))
    assert np.abs(rows - runtime.rows(hopper)).max() < 0.01


def test_overlapping_views_of_a_face_are_one(
    runtime: RuntimeNetwork, pictures: dict[str, Image]
) -> None:
    assert len(runtime.rows(crowd(pictures))) == 12


@pytest.mark.parametrize("size", [(1, 1), (5, 700), (33, 64)])
def test_nobody(size: tuple[int, int], runtime: RuntimeNetwork) -> None:
    assert runtime.rows(np.zeros((*size, 3), np.uint8)).shape == (0, 15)


@pytest.mark.lfw
def test_both_detectors_find_the_same_on_lfw(onnx: bytes, lfw: Path) -> None:
    """Through all passes, the landmarks of the cut-out included."""
    ours, theirs = YuNet(onnx), opencv(onnx)
    for path in sorted(lfw.glob("photos/*/*.jpg"))[::80]:
        image = images.decode(path.read_bytes(), path.name)
        assert not hasattr(image, "reason"), image
        for one, other in zip(ours.detect(image), theirs.detect(image), strict=True):
            assert np.abs(np.subtract(one.box, other.box)).max() < 0.01, path
            assert np.abs(one.landmarks - other.landmarks).max() < 0.01, path


def convert(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), str(source), str(target)]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("source", [SOURCE, weights.find_detector().path], ids=["zoo", "shipped"])
def test_the_shipped_file_is_what_the_tool_makes(source: Path, tmp_path: Path) -> None:
    """Of OpenCV Zoo's file, and of its own result."""
    if not source.is_file():
        pytest.skip(f"NOT CHECKED AGAINST OPENCV ZOO: {source} is not there")
    done = convert(source, tmp_path / "made.onnx")
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "made.onnx").read_bytes()
    assert hashlib.sha256(made).hexdigest() == weights.find_detector().sha256
    assert done.stdout.startswith(weights.find_detector().sha256)


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        ("facecli/models/mobilefacenet_arcface.onnx", 5, "not YuNet"),
        ("facecli/models/yunet.md", 5, "not an ONNX file"),
        ("no/such.onnx", 3, "not a file"),
    ],
)
def test_the_tool_refuses_other_files(source: str, code: int, says: str, tmp_path: Path) -> None:
    done = convert(ROOT / source, tmp_path / "made.onnx")
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / "made.onnx").exists()
