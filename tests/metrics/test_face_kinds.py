"""Kinds of faces: what is no photographed face, of low quality whichever kind; small children."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.accuracy import odd_faces
from facecli.common.errors import ModelError
from facecli.common.types import Image, Template
from facecli.metrics import face_kinds
from facecli.recognition import orientation
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR, fault

KINDS = ["upside down", "edges", "negative", "grey negative", "motion, 25 px down"]


def written(path: Path, *more: object, **facts: object) -> Path:
    one = {"vector": [0.0, 2.0], "other": 0.2, "same": 0.4, **facts}
    path.write_text(json.dumps({"directions": [one, *more], "made_from": "tests"}))
    return path


def test_likeness_rises_between_the_two_cosines(tmp_path: Path) -> None:
    kind = face_kinds.from_file(written(tmp_path / "kind.json"), 2)
    cosines = np.array([-1, 0.2, 0.3, 0.4, 1])
    vectors = np.stack([np.sqrt(1 - cosines**2), cosines], axis=1).astype(np.float32)
    assert kind.likeness(vectors) == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-6)
    template = Template(vectors[2], "e")
    assert kind.likeness_of(template) == pytest.approx(0.5, abs=1e-6)
    (tmp_path / "again.json").write_text(kind.to_json())
    again = face_kinds.from_file(tmp_path / "again.json", 2)
    (direction,) = again.directions
    assert (direction.vector, direction.other, direction.same) == ((0, 1), 0.2, 0.4)
    assert again.made_from == "tests"


def test_of_several_directions_the_nearest_counts(tmp_path: Path) -> None:
    more = {"vector": [1, 0], "other": 0.5, "same": 1}
    kind = face_kinds.from_file(written(tmp_path / "kind.json", more), 2)
    vectors = np.float32([[1, 0], [0, 1], [-1, 0], [0.75, 0], [0, 0.3]])
    assert kind.likeness(vectors) == pytest.approx([1, 1, 0, 0.5, 0.5], abs=1e-6)


@pytest.mark.parametrize(
    "facts", [{"vector": [1.0]}, {"vector": [0, 0]}, {"other": 0.5}, {"same": "x"},
              {"vector": [0, float("nan")]}, {"vector": [0, float("inf")]},
              {"vector": None}, {"other": 0.4}, {"other": -1.01}, {"same": 1.01}],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, facts: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="kind of faces"):
        face_kinds.from_file(written(tmp_path / "kind.json", **facts), 2)


def test_any_face_may_be_somewhat_of_a_kind(tmp_path: Path) -> None:
    (tmp_path / "kind.json").write_text(
        json.dumps({"directions": [{"vector": [0, 1], "other": 0, "same": 1}], "least": 0.4})
    )
    kind = face_kinds.from_file(tmp_path / "kind.json", 2)
    vectors = np.float32([[1, 0], [0, 0.3], [0, 0.5], [0, 1]])
    assert kind.likeness(vectors) == pytest.approx([0.4, 0.4, 0.5, 1])
    assert face_kinds.from_facts(json.loads(kind.to_json())) == kind
    assert face_kinds.FaceKind(kind.directions, "").likeness(vectors)[0] == 0
    for least in (-0.1, 1):
        with pytest.raises(ValueError, match="least likeness"):
            face_kinds.from_facts({**kind.facts(), "least": least})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"directions": []}', '{"directions": 3}'])
def test_a_file_without_a_direction_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "kind.json").write_text(text)
    with pytest.raises(ModelError, match=r"kind\.json, directions of a kind of faces"):
        face_kinds.from_file(tmp_path / "kind.json", 2)


def test_the_two_cosines_may_be_the_ends(tmp_path: Path) -> None:
    kind = face_kinds.from_file(written(tmp_path / "kind.json", other=-1, same=1), 2)
    assert kind.likeness(np.float32([[0, 1], [1, 0], [0, -1]])) == pytest.approx([1, 0.5, 0])
    assert kind.directions[0].vector == (0, 1), "of unit norm"


def test_every_shipped_embedder_that_has_a_table_knows_odd_faces_and_children() -> None:
    specs = (*registry.shipped_embedders(), *(known.spec for known in registry.known_models()))
    for spec in (s for s in specs if s.table):
        assert spec.odd is not None, spec.name
        assert face_kinds.from_file(spec.odd, spec.dimension).made_from
        children = spec.small_children()
        assert children is not None and children.made_from, spec.name
        assert spec.of_other_templates().small_children() is None


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


@pytest.mark.parametrize(("likeness", "named"), [(0, True), (0.499, True), (0.5, False)])
def test_from_the_bar_on_a_face_is_a_small_child_s(likeness: float, named: bool) -> None:
    fault = face_kinds.child_fault(likeness)
    assert (fault is None) == named
    assert named or f"(likeness {likeness:.2f}, one of theirs from 0.50)" in str(fault)


def test_adults_are_not_taken_for_children(
    extractor: Extractor, pictures: dict[str, Image]
) -> None:
    children = extractor.spec.small_children()
    assert children is not None
    for name, image in pictures.items():
        for found in extractor.image(image, "").faces:
            assert children.likeness_of(found.template) < face_kinds.SMALL_CHILD, name
