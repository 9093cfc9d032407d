"""Where things lie: this repository, what is kept beside it, the tests' own data."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
DATA = TESTS / "data"
CROPS = {  # aligned faces of 112 x 112 px
    "Grace Hopper": DATA / "grace_hopper_112.png",
    "Eileen Collins": DATA / "eileen_collins_112.png",
}

# May be missing: tests that need one of these are skipped aloud.
SHARED = ROOT.parent / "shared"
LFW = SHARED / "lfw-dev"
SFACE = SHARED / "models" / "face_recognition_sface_2021dec.onnx"
MOBILEFACENET_TFLITE = SHARED / "models" / "mobilefacenet_arcface.tflite"
YUNET_PUBLISHED = SHARED / "models" / "face_detection_yunet_2023mar.onnx"
needs_sface = pytest.mark.skipif(
    not SFACE.is_file(), reason=f"NOT CHECKED WITH SFACE: {SFACE} is not there"
)
