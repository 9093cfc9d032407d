"""What is no photographed face: of low quality, whichever kind, and with either side's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.accuracy import odd_faces
from facecli.common.errors import ModelError
from facecli.common.types import Image
from facecli.recognition import naturalness, orientation
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR, fault

KINDS = ["upside down", "edges", "negative", "grey negative", "motion, 25 px down"]


def written(path: Path, **facts: object) -> Path:
    path.write_text(json.dumps({"direction": [0.0, 2.0], "natural": 0.2, "odd": 0.4, **facts}))
    return path


def test_naturalness_falls_between_the_two_cosines(tmp_path: Path) -> None:
    odd = naturalness.from_file(written(tmp_path / "odd.json"), 2)
    cosines = np.array([-1, 0.2, 0.3, 0.4, 1])
    vectors = np.stack([np.sqrt(1 - cosines**2), cosines], axis=1).astype(np.float32)
    assert odd.naturalness(vectors) == pytest.approx([1, 1, 0.5, 0, 0], abs=1e-6)


@pytest.mark.parametrize(
    "facts", [{"direction": [1.0]}, {"direction": [0, 0]}, {"natural": 0.5}, {"odd": "x"},
              {"direction": [0, float("nan")]}, {"direction": [0, float("inf")]},
              {"direction": None}, {"natural": 0.4}, {"natural": -1.01}, {"odd": 1.01}],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, facts: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="odd faces"):
        naturalness.from_file(written(tmp_path / "odd.json", **facts), 2)


def test_the_two_cosines_may_be_the_ends(tmp_path: Path) -> None:
    odd = naturalness.from_file(written(tmp_path / "odd.json", natural=-1, odd=1), 2)
    assert odd.naturalness(np.float32([[0, 1], [1, 0], [0, -1]])) == pytest.approx([0, 0.5, 1])
    assert odd.direction.tolist() == [0, 1], "of unit norm"


def test_every_shipped_embedder_that_has_a_table_knows_odd_faces() -> None:
    specs = (*registry.shipped_embedders(), *(known.spec for known in registry.known_models()))
    for spec in (s for s in specs if s.table):
        assert spec.odd is not None, spec.name
        assert naturalness.from_file(spec.odd, spec.dimension).made_from


@pytest.mark.parametrize("kind", KINDS)
def test_odd_portraits_are_below_the_bar(
    extractor: Extractor, pictures: dict[str, Image], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(orientation, "turn_needed", lambda *_: 0)
    for name, image in pictures.items():
        small = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        for found in extractor.image(odd_faces.KINDS[kind](small), "").faces:
            assert found.face.quality < DEFAULT_BAR, name


def test_portraits_are_natural_and_drawings_are_told_why(
    extractor: Extractor, hopper: Image
) -> None:
    assert extractor.image(hopper, "").faces[0].face.naturalness > 0.8
    (drawn,) = extractor.image(255 - hopper, "").faces[:1]
    assert "unlike a photographed face" in (fault(drawn.face, DEFAULT_BAR) or "")
