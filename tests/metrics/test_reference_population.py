"""A table made from templates: every two people once, and what their crowds do."""

from __future__ import annotations

import numpy as np
import pytest

from facecli.metrics.crowd import crowd
from facecli.metrics.face_kinds import Direction, FaceKind
from facecli.metrics.reference_population import make_table


def population(people: int, groups: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two photos a person; `groups`: how much each person shares with one of three groups."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, 48))
    faces = rng.normal(size=(people, 48)) + groups * centres[np.arange(people) % 3]
    photos = np.repeat(faces, 2, axis=0) + 0.3 * rng.normal(size=(2 * people, 48))
    vectors = (photos / np.linalg.norm(photos, axis=1, keepdims=True)).astype(np.float32)
    return vectors, np.repeat(np.arange(people), 2)


def test_the_same_templates_give_the_same_table() -> None:
    vectors, subjects = population(60, 0.5)
    one, two = (make_table(vectors, subjects, "x", "e:1:p", (5, 20), 500) for _ in range(2))
    assert one == two
    assert (one.subjects, one.comparisons) == (60, 60 * 59 // 2 * 4)
    assert (one.embedder_id, [row.n for row in one.effects]) == ("e:1:p", [5, 20])


def test_no_gallery_takes_more_than_half_of_the_people() -> None:
    vectors, subjects = population(60, 0.5)
    assert [row.n for row in make_table(vectors, subjects, "x", "", (5, 30, 31), 500).effects] == [
        5, 30,
    ]  # fmt: skip


def test_a_person_with_many_photos_counts_once() -> None:
    vectors, subjects = population(60, 0.5)
    more = np.concatenate([vectors, np.repeat(vectors[:1], 200, axis=0)])
    whose = np.concatenate([subjects, np.zeros(200, np.int64)])
    plain = make_table(vectors, subjects, "x", "", (), 1)
    many = make_table(more, whose, "x", "", (), 1)
    assert many.mean() == pytest.approx(plain.mean(), abs=0.01)
    assert many.score(0.1) == pytest.approx(plain.score(0.1), abs=0.01)


def test_steeper_slopes_are_only_that() -> None:
    vectors, subjects = population(100, 0.5)
    plain, steeper = (
        make_table(vectors, subjects, "x", "", (20,), 2000, steeper=by) for by in (1, 1.5)
    )
    one, other = plain.effects[0], steeper.effects[0]
    assert other.slope == pytest.approx(1.5 * one.slope, abs=2e-4)
    assert (other.likeness, steeper.scores) == (one.likeness, plain.scores)
    assert other.spread > one.spread, "the measured slope leaves the least"


@pytest.mark.parametrize("steeper", [1.0, 1.5])
@pytest.mark.parametrize("groups", [0.0, 1.0])
def test_the_effect_describes_searches_of_the_same_people(groups: float, steeper: float) -> None:
    """From both sides: at the table's 5 % among 30, 3 to 8 % of other people are named."""
    vectors, subjects = population(400, groups)
    table = make_table(vectors[:400], subjects[:400], "x", "", (30,), 5000, steeper)
    gallery, strangers = vectors[400:460:2], vectors[460::2]
    scores = strangers @ gallery.T
    effect = table.effect(30)
    assert effect.crowd is not None
    less = scores.max(axis=1) - effect.crowd.share(crowd(scores))
    middle = table.median(30)
    moved = table.mapped(middle, middle + effect.centre, effect.stretch)
    assert 0.01 <= float(np.mean(less >= moved.threshold(0.05, 30))) <= 0.12
    assert 0.3 <= float(np.mean(less >= moved.threshold(0.5, 30))) <= 0.7


def test_the_share_is_taken_off_the_kind_alone_and_as_much_steeper() -> None:
    vectors, subjects = population(100, 0.5)
    kind = FaceKind((Direction.towards(vectors[0], -0.5, 0.5),), "towards one", 0.25)
    plain = make_table(vectors, subjects, "x", "", (20,), 2000)
    table = make_table(vectors, subjects, "x", "", (20,), 2000, 1.0, kind, 2.0)
    assert table.off_all() == plain, "the others stay"
    assert table.crowding == kind
    (all_,), (own,) = table.effects, table.crowding_effects
    assert own.slope == pytest.approx(2 * all_.slope, abs=2e-4) and own.likeness == all_.likeness
    assert (own.centre, own.spread) != (all_.centre, all_.spread)
    everybody = FaceKind((Direction.towards(vectors[0], -1, -0.999),), "all")
    whole = make_table(vectors, subjects, "x", "", (20,), 2000, 1.0, everybody, 1.0)
    assert whole.crowding_effects == plain.effects
