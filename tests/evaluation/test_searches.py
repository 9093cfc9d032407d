"""Searches and comparisons on made-up templates equal brute force, failures included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facecli.common.types import Face
from facecli.datasets.labels import LabelledPhoto
from facecli.evaluation import comparisons, searches
from facecli.evaluation.acquire import Acquired
from facecli.metrics.crowd import own_threshold
from facecli.metrics.face_kinds import Direction, FaceKind, FaceKinds
from facecli.recognition.model_zoo import registry
from facecli.threshold.operating_point import Measured, built_in_table


def made_up(seed: int, subjects: int = 30, each: int = 3) -> tuple[Acquired, list[LabelledPhoto]]:
    """Noisy templates around a direction a subject; one photo in ten gave none."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(subjects, 16))
    vectors = np.repeat(centres, each, axis=0) + rng.normal(size=(subjects * each, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    photos = [
        LabelledPhoto(Path(f"{i // each}-{i % each}.jpg"), f"s{i // each}")
        for i in range(len(vectors))
    ]
    face = Face((0, 0, 9, 9), np.zeros((5, 2), np.float32), 1.0, quality=1.0)
    faces = tuple(None if i % 10 == 7 else face for i in range(len(photos)))
    paths = tuple(photo.path for photo in photos)
    rows = {path: i for i, path in enumerate(paths)}
    blank_rows = np.array([face is None for face in faces])
    vectors[blank_rows] = 0
    none = np.zeros(len(paths), bool)
    found = Acquired(paths, vectors.astype(np.float32), faces, ("",) * len(paths), (), rows, none)
    return found, photos


@pytest.mark.parametrize("seed", range(5))
def test_searching_equals_brute_force(seed: int) -> None:
    acquired, photos = made_up(seed)
    enrolled = [p for p in photos if p.path.name.endswith("-0.jpg") and int(p.subject[1:]) < 20]
    mated = [p for p in photos if not p.path.name.endswith("-0.jpg") and int(p.subject[1:]) < 20]
    strangers = [p for p in photos if int(p.subject[1:]) >= 20]
    gallery = searches.mean_templates(acquired, enrolled)
    found = searches.search_results(
        acquired, gallery, mated, strangers, "e:1:p", Measured(None), 0.01, ranks=5
    )
    assert found.point is None and "comes without a reference table" in found.remark
    assert gallery.names == tuple(
        sorted(p.subject for p in enrolled if acquired.faces[acquired.rows[p.path]])
    )
    expected: list[int] = []
    for probe in mated:
        row = acquired.rows[probe.path]
        scores = {
            p.subject: float(acquired.vectors[row] @ acquired.vectors[acquired.rows[p.path]])
            for p in enrolled
            if p.subject in gallery.names
        }
        order = sorted(scores, key=lambda name: -scores[name])
        there = acquired.faces[row] is not None and probe.subject in scores
        expected.append(order.index(probe.subject) + 1 if there else 0)
    assert found.mated.ranks.tolist() == expected
    assert found.cmc[0].errors == expected.count(1)
    assert found.cmc[4].errors == sum(1 <= rank <= 5 for rank in expected)
    assert found.searches.nonmated.trials == len(strangers)


def test_scores_are_less_the_crowd_s_share_as_identify_decides() -> None:
    acquired, photos = made_up(3)
    enrolled = [p for p in photos if p.path.name.endswith("-0.jpg") and int(p.subject[1:]) < 20]
    strangers = [p for p in photos if int(p.subject[1:]) >= 20]
    gallery = searches.mean_templates(acquired, enrolled)
    shipped = built_in_table(registry.find_embedder())
    assert shipped is not None
    kind = FaceKind((Direction.towards(np.eye(16)[0], -0.2, 0.2),), "an axis", 0.3)
    table = replace(shipped, crowding=kind)
    measured = Measured(table, kinds=FaceKinds(kind))
    found = searches.search_results(acquired, gallery, [], strangers, "e:1:p", measured, 0.01)
    assert found.point is not None and found.point.crowd is not None
    kinds = set[float]()
    for probe, score in zip(found.strangers.probes, found.strangers.scores, strict=True):
        ranked = sorted(map(float, gallery.templates @ acquired.vectors[probe]), reverse=True)
        (own,) = kind.likeness(acquired.vectors[probe][None])
        taken_off = own_threshold(found.point, ranked, own) - found.point.threshold
        if acquired.usable[probe]:
            assert score == pytest.approx(ranked[0] - taken_off, abs=1e-5)
            assert abs(taken_off) > 1e-5
            kinds.add(round(float(own), 3))
    assert min(kinds) == 0.3 and max(kinds) == 1 and len(kinds) > 5


def test_a_smaller_gallery_keeps_its_people_s_templates() -> None:
    acquired, photos = made_up(1)
    whole = searches.mean_templates(acquired, photos)
    small = searches.drawn(whole, 10, seed=5)
    assert small.templates.shape == (10, 16)
    for name, template in zip(small.names, small.templates, strict=True):
        assert (template == whole.templates[whole.names.index(name)]).all()
    for row, owner in zip(small.references, small.owners, strict=True):
        assert photos[row].subject == small.names[owner]
    assert searches.drawn(whole, 10, seed=5).names == small.names
    assert searches.drawn(whole, 10, seed=6).names != small.names


def test_comparisons_are_every_two_photos_once() -> None:
    acquired, photos = made_up(2)
    found = comparisons.of_photos(acquired, photos, seed=0)
    couples = {frozenset((int(a), int(b))) for a, b in zip(found.first, found.second, strict=True)}
    assert len(couples) == len(found.scores) == 90 * 89 // 2 == found.drawn_from
    subjects = np.array([photo.subject for photo in photos])
    assert (found.mated == (subjects[found.first] == subjects[found.second])).all()
    usable = acquired.usable[found.first] & acquired.usable[found.second]
    assert (np.isfinite(found.scores) == usable).all()
    direct = (acquired.vectors[found.first] * acquired.vectors[found.second]).sum(axis=1)
    assert found.scores[usable] == pytest.approx(direct[usable], abs=1e-6)


def test_too_many_comparisons_are_drawn_with_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    acquired, photos = made_up(3)
    monkeypatch.setattr(comparisons, "MOST_COMPARISONS", 50)
    one, again, other = (comparisons.of_photos(acquired, photos, seed) for seed in (0, 0, 1))
    assert (one.mated.sum(), (~one.mated).sum(), one.drawn_from) == (50, 50, 90 * 89 // 2)
    assert (one.first == again.first).all() and (one.second == again.second).all()
    assert (one.first != other.first).any()
    subjects = np.array([photo.subject for photo in photos])
    assert (one.mated == (subjects[one.first] == subjects[one.second])).all()
