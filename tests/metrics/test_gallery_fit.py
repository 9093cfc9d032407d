"""The gallery's own shift and scale: against brute force, and always of the gallery of now."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.galleries import collins, hopper, reference, variant
from support.observations import observed

from facecli import Gallery
from facecli.common.enums import Basis, Target
from facecli.common.types import Crowd
from facecli.datasets.labels import LabelledPhoto
from facecli.metrics import gallery_fit, reference_table
from facecli.metrics.face_kinds import (
    NO_KINDS,
    PERHAPS_A_CHILD,
    SMALL_CHILD,
    Direction,
    FaceKind,
    FaceKinds,
)
from facecli.metrics.gallery_fit import Observed, observe, quantiles
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.model_zoo import registry
from facecli.storage import export
from facecli.storage.opening import file_of
from facecli.storage.records import mean_template
from facecli.threshold import operating_point
from facecli.threshold.operating_point import ThresholdInputs

SPEC = registry.find_embedder(registry.DEFAULT_EMBEDDER)


def shipped() -> ReferenceTable:
    path = SPEC.table
    assert path is not None
    return reference_table.from_file(path, SPEC.embedder_id)


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def people(
    counts: list[int], dimension: int = 16, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """References, shuffled, of people with so many each: vectors, owners, mean templates."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(len(counts)), counts)
    rng.shuffle(owners)
    centres = rng.normal(size=(len(counts), dimension))
    vectors = centres[owners] + 0.7 * rng.normal(size=(len(owners), dimension))
    vectors = unit(vectors)
    means = [mean_template(list(vectors[owners == i])) for i in range(len(counts))]
    return vectors, owners, np.stack(means)


def brute_force(
    vectors: np.ndarray,
    owners: np.ndarray,
    templates: np.ndarray,
    distinct: Sequence[tuple[int, int]] = (),
    crowding: FaceKind | None = None,
) -> np.ndarray:
    """(4, r): each reference's best score among the others, its crowd, its kind, and its share."""
    found = []
    for vector, owner in zip(vectors, owners, strict=True):
        known = {owner, *(i for pair in distinct if owner in pair for i in pair)}
        others = [float(vector @ t) for row, t in enumerate(templates) if row not in known]
        if not others:
            continue
        ranked = sorted(others, reverse=True)
        crowd = ranked[2:10]
        alike = sum(crowd) / len(crowd) if crowd else float("nan")
        kind = 1.0 if crowding is None else crowding.likeness(vector[None])[0]
        found.append((ranked[0], alike, kind, 1 / np.count_nonzero(owners == owner)))
    return np.array(found).T


@given(st.lists(st.integers(1, 5), min_size=2, max_size=14), st.integers(0, 1000))
def test_observed_is_what_brute_force_finds(counts: list[int], seed: int) -> None:
    gallery = people(counts, seed=seed)
    found = observe(*gallery)
    assert found is not None and found.n == len(counts)
    np.testing.assert_allclose(found.columns(), brute_force(*gallery), atol=6e-4)


@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda p: p[0] != p[1])),
    st.integers(0, 1000),
)
def test_who_is_distinct_is_no_stranger_to_the_other(
    counts: list[int], pairs: list[tuple[int, int]], seed: int
) -> None:
    gallery = people(counts, seed=seed)
    found = observe(*gallery, pairs)
    expected = brute_force(*gallery, pairs)
    if expected.size < 8:
        assert found is None
    else:
        assert found is not None and found.whole()
        np.testing.assert_allclose(found.columns(), expected, atol=6e-4)
        crowd = Crowd(0.5, 0.1)
        assert np.isfinite(found.less(crowd)).all()
        assert np.isfinite(quantiles(found, crowd, (0.1, 0.5, 0.9))).all()


def test_more_references_than_a_block_are_all_searched() -> None:
    gallery = people([30] * 40, seed=3)
    assert len(gallery[0]) > gallery_fit.BLOCK
    found = observe(*gallery)
    assert found is not None
    np.testing.assert_allclose(found.columns(), brute_force(*gallery), atol=6e-4)


def test_how_far_a_reference_is_of_a_kind_is_observed_with_it() -> None:
    gallery = people([2] * 30, seed=5)
    axis = np.eye(16)[3]
    kind = FaceKind((Direction.towards(axis, -0.2, 0.4),), "an axis")
    found = observe(*gallery, (), FaceKinds(kind))
    assert found is not None and found.whole()
    expected = brute_force(*gallery, (), kind)
    assert 0 < np.count_nonzero(expected[2] == 1) < np.count_nonzero(expected[2]) < 60
    np.testing.assert_allclose(found.columns(), expected, atol=6e-4)
    share = 0.5 * expected[2] * (expected[1] - 0.1)
    np.testing.assert_allclose(found.less(Crowd(0.5, 0.1)), expected[0] - share, atol=2e-3)


def test_a_table_without_kinds_takes_the_share_off_whoever_it_is() -> None:
    """As one does that an older facecli stored with a calibration."""
    gallery = people([2] * 30, dimension=192, seed=5)
    table = shipped()
    told, plain = observe(*gallery, (), FaceKinds(table.crowding)), observe(*gallery)
    assert told is not None and plain is not None
    assert told.less(Crowd(0.5, 0.9)).tolist() != plain.less(Crowd(0.5, 0.9)).tolist()
    assert told.seen_by(table) is told
    assert told.seen_by(table.off_all()) == plain
    assert gallery_fit.fit(table.off_all(), told) == gallery_fit.fit(table.off_all(), plain)
    assert gallery_fit.fit(table, told) != gallery_fit.fit(table, plain)


def test_what_was_observed_knows_of_which_kinds_it_tells() -> None:
    gallery = people([2] * 5)
    one, other = (FaceKind((Direction.towards(axis, 0, 0.5),), "") for axis in np.eye(16)[:2])
    several = [
        NO_KINDS, FaceKinds(one), FaceKinds(other), FaceKinds(None, one), FaceKinds(one, other),
    ]  # fmt: skip
    for kinds in several:
        found = observe(*gallery, (), kinds)
        assert found is not None and not found.older
        assert [found.made_with(some) for some in several] == [some is kinds for some in several]


def test_small_children_are_not_searched_but_the_others_meet_them() -> None:
    vectors, owners, templates = people([2] * 30, seed=5)
    kind = FaceKind((Direction.towards(np.eye(16)[3], 0, 0.2),), "an axis")
    grown = kind.likeness(vectors) < PERHAPS_A_CHILD
    assert 20 < np.count_nonzero(grown) < 55
    found = observe(vectors, owners, templates, (), FaceKinds(None, kind))
    assert found is not None and found.n == 30
    expected = brute_force(vectors[grown], owners[grown], templates)
    np.testing.assert_allclose(found.columns(), expected, atol=6e-4)
    assert found.people == len(np.unique(owners[grown])) < 30


def test_a_fit_is_worth_as_many_as_were_asked() -> None:
    table = shipped()
    best, alike, _, share = observed(table, 600, -0.03, 1.5).columns().astype(np.float32)
    found = gallery_fit.fit(table, Observed.of(600, best, alike, share / 20))
    assert found.n == 600
    assert found.shift == pytest.approx(-0.03 * 30 / (30 + 30), abs=0.001)
    assert found.scale == pytest.approx(1 + (found.ratio - 1) * 30 / (30 + 150), abs=1e-6)


def test_who_is_a_quarter_of_the_way_to_a_small_child_stands_for_no_stranger() -> None:
    kind = FaceKind((Direction.towards(np.eye(16)[0], 0, 1),), "an axis")
    likeness = [0.0, 0.1, 0.24, 0.26, 0.4, 0.6]
    rows = np.eye(16)[1:7] * np.sqrt(1 - np.square(likeness))[:, None]
    vectors = (rows + np.outer(likeness, np.eye(16)[0])).astype(np.float32)
    assert kind.likeness(vectors) == pytest.approx(likeness)
    found = observe(vectors, np.arange(6), vectors, (), FaceKinds(None, kind))
    assert found is not None and (found.n, found.people) == (6, 3)


@pytest.mark.parametrize("grown", [0, 1, 2])
def test_where_nobody_is_grown_up_everybody_is_searched(grown: int) -> None:
    vectors, owners, templates = people([1] * 6, seed=5)
    order = np.argsort(vectors[:, 3])
    bar = float(vectors[order[grown], 3]) - 1e-4
    kind = FaceKind((Direction.towards(np.eye(16)[3], bar - 0.001, bar),), "an axis")
    assert np.count_nonzero(kind.likeness(vectors) < PERHAPS_A_CHILD) == grown
    found = observe(vectors, owners, templates, (), FaceKinds(None, kind))
    searched = order[:grown] if grown == gallery_fit.FEWEST_GROWN else order
    assert found is not None and found.n == 6 and found.people == len(searched)
    rows = np.sort(searched)
    expected = brute_force(vectors[rows], owners[rows], templates)
    np.testing.assert_allclose(found.columns(), expected, atol=6e-4)


@pytest.mark.parametrize("model", ["mobilefacenet-arcface", "sface"])
def test_toddlers_enrolled_do_not_raise_the_threshold_of_the_others(model: str) -> None:
    spec = registry.find_embedder(model)
    measured = operating_point.Measured.of(spec)
    kinds, table = measured.kinds, measured.table
    assert kinds.children is not None and table is not None
    rng = np.random.default_rng(0)
    others = unit(rng.normal(size=(60, spec.dimension)))
    others = others[kinds.children.likeness(others) < PERHAPS_A_CHILD]
    toward = np.asarray(kinds.children.directions[0].vector)
    toddlers = unit(unit(rng.normal(size=(60, spec.dimension))) + 2.0 * toward)
    assert len(others) > 50 and (kinds.children.likeness(toddlers) > SMALL_CHILD).all()

    def threshold(*enrolled: np.ndarray, kinds: FaceKinds = kinds) -> float:
        vectors = np.concatenate(enrolled)
        own = observe(vectors, np.arange(len(vectors)), vectors, (), kinds)
        inputs = ThresholdInputs(spec.embedder_id, 120, table, own)
        return operating_point.in_force(inputs).threshold

    alone, mixed = threshold(others), threshold(others, toddlers)
    assert mixed == pytest.approx(alone, abs=0.02)
    assert threshold(others, toddlers, kinds=FaceKinds(kinds.crowding)) > mixed + 0.015


@pytest.mark.parametrize("rows", [3, 4, 8])
def test_what_an_older_facecli_observed_is_known_as_such(rows: int) -> None:
    before = np.full((3, rows), 0.5, np.float16).tobytes()
    assert Observed(5, before).older and not Observed(5, before).whole()
    now = Observed.of(5, *np.full((3, rows), 0.5, np.float32))
    assert now.whole() and not now.older
    assert not Observed(5, b"").whole() and not Observed(5, b"").older
    assert not Observed(5, now.scores[:-1]).whole() and not Observed(5, now.scores[:-2]).whole()
    beyond = Observed.of(5, *np.full((3, rows), 0.5, np.float32), crowding=1.5)
    assert not beyond.whole()


def test_templates_in_parts_give_the_same() -> None:
    vectors, owners, templates = people([2] * 30, seed=4)
    ids = np.arange(30)
    parts = [(ids[:7], templates[:7]), (ids[7:8], templates[7:8]), (ids[8:], templates[8:])]
    assert gallery_fit.observe_blocks(vectors, owners, parts) == observe(vectors, owners, templates)


def test_a_subject_counts_once_however_many_photos_it_has() -> None:
    vectors, owners, templates = people([1] * 20, seed=1)
    plain = observe(vectors, owners, templates)
    again = np.concatenate([vectors, np.repeat(vectors[:1], 500, axis=0)])
    many = observe(again, np.concatenate([owners, np.repeat(owners[:1], 500)]), templates)
    assert plain is not None and many is not None
    assert many.columns().shape == (4, 520)
    levels = (0.1, 0.5, 0.9)
    found = quantiles(many, None, levels)
    assert found == pytest.approx(quantiles(plain, None, levels), abs=0.02)


def test_one_person_under_two_names_moves_nothing_for_the_others() -> None:
    """The mean and standard deviation, which stood here before, were raised for everybody."""
    table = shipped()
    vectors, owners, templates = people([1] * 50, dimension=192, seed=2)
    plain = observe(vectors, owners, templates)
    assert plain is not None
    twice = np.concatenate([vectors, vectors[:2]])
    doubled = observe(twice, np.arange(52), twice)
    assert doubled is not None
    before, after = (
        gallery_fit.fitted(table, gallery_fit.fit(table, seen), seen.n).threshold(0.01, seen.n)
        for seen in (plain, doubled)
    )
    assert after == pytest.approx(before, abs=0.02)


@pytest.mark.parametrize("counts", [[], [4]])
def test_fewer_than_two_subjects_show_nothing(counts: list[int]) -> None:
    vectors = np.eye(4, dtype=np.float32)[: sum(counts)]
    owners, templates = np.zeros(len(vectors), np.int64), vectors[: len(counts)]
    assert observe(vectors, owners, templates) is None


def test_beyond_the_bound_a_sample_is_searched_and_says_so(monkeypatch) -> None:
    gallery = people([1] * 4000, dimension=8, seed=5)
    everybody = observe(*gallery)
    monkeypatch.setattr(gallery_fit, "COMPARISONS", 6_000_000)
    sample = observe(*gallery)
    assert everybody is not None and sample is not None
    assert (everybody.columns().shape[1], sample.columns().shape[1]) == (4000, 1500)
    assert sample.n == 4000
    assert sample == observe(*gallery), "the same gallery must always give the same threshold"
    (all_of_them,), (some) = quantiles(everybody, None, (0.5,)), quantiles(sample, None, (0.5,))
    error = 1.25 * everybody.columns()[0].std() / 1500**0.5
    assert abs(some[0] - all_of_them) < 4 * error
    monkeypatch.setattr(gallery_fit, "COMPARISONS", 1)
    few = observe(*gallery)
    assert few is not None and few.columns().shape[1] == gallery_fit.FEWEST_PROBES


@pytest.mark.parametrize("others", [0, 1, 2, 3])
def test_a_double_among_very_few_costs_little(others: int) -> None:
    """With 2 or 3 people the threshold was above 1 once, and nothing was answered."""
    table = shipped()
    vectors, _, _ = people([1] * (others + 1), dimension=192, seed=6)
    twice = np.concatenate([vectors, vectors[:1]])
    seen = observe(twice, np.arange(len(twice)), twice)
    assert seen is not None
    own = gallery_fit.fitted(table, gallery_fit.fit(table, seen), seen.n)
    plain = gallery_fit.fitted(table, None, seen.n)
    assert 0 <= own.threshold(0.01, seen.n) - plain.threshold(0.01, seen.n) <= 0.05


@given(
    n=st.integers(2, 100_000),
    moved=st.floats(-0.3, 0.3),
    ratio=st.floats(0.2, 4.0),
    rate=st.floats(1e-4, 0.2),
)
def test_a_fit_raises_in_full_lowers_in_part_and_stretches_within_bounds(
    n: int, moved: float, ratio: float, rate: float
) -> None:
    table = shipped()
    seen = observed(table, n, moved, ratio)
    found, counted = gallery_fit.fit(table, seen), seen.people
    assert found.ratio == pytest.approx(ratio, rel=0.03)
    assert counted == pytest.approx(n, rel=0.001)
    effect, middle = table.deciding_effect(n), table.median(n)
    shift = min(moved, 0.002 * counted**2) if moved > 0 else max(-0.02, moved * n / (n + 30))
    assert found.shift == pytest.approx(shift, abs=0.001)
    scale = min(2.0, max(0.9, 1 + (found.ratio - 1) * counted / (counted + 150)))
    own = gallery_fit.fitted(table, found, n).threshold(rate, n)
    margin = (table.threshold(rate, n) - middle) * effect.stretch * scale
    assert own == pytest.approx(middle + effect.centre + found.shift + margin, abs=1e-9)


def test_a_table_without_measured_crowds_stands_as_it_is() -> None:
    plain = replace(shipped().off_all(), effects=())
    assert gallery_fit.fitted(plain, None, 50).threshold(0.01, 50) == plain.threshold(0.01, 50)


@pytest.mark.parametrize("n", [30, 100, 900])
def test_without_a_table_the_gallery_s_own_people_make_one(n: int) -> None:
    """The shape of another's, at the place and as wide as what these people find."""
    shape = shipped().off_all()
    seen = observed(shape, n, shift=-0.11, ratio=0.6)
    made = gallery_fit.estimate(shape, seen)
    levels = (0.1, 0.5, 0.9)
    found = quantiles(seen, made.effect(n - 1).crowd, levels)
    for level, value in zip(levels, found, strict=True):
        assert made.threshold(1 - level, n - 1) == pytest.approx(value, abs=0.02)
    assert made.effect(n - 1).likeness == pytest.approx(shape.effect(n - 1).likeness, abs=1e-3)


@pytest.mark.parametrize("counts", [[1], [2]], ids=["one reference", "two references"])
def test_the_threshold_grows_with_the_gallery(counts: list[int]) -> None:
    """More people, one more chance each to be mistaken for somebody."""
    table, seen = shipped(), []
    for n in (2, 10, 100, 1000):
        found = observe(*people(counts * n, dimension=192, seed=n))
        assert found is not None
        own = gallery_fit.fitted(table, gallery_fit.fit(table, found), n)
        seen.append(own.threshold(0.01, n))
    assert all(low + 0.02 < high for low, high in pairwise(seen)), seen


def test_ten_thousand_subjects_take_seconds() -> None:
    """Under 3 s on two idle cores; asserted is processor time, with room for slower ones."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(10_000, 192)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    start = time.process_time()
    found = observe(vectors, np.arange(10_000), vectors)
    took = time.process_time() - start
    print(f"10,000 subjects x 192: {took:.2f} s")
    assert found is not None and found.columns().shape[1] == gallery_fit.MOST_PROBES
    assert took < 20


# the gallery of now --------------------------------------------------------------------------


@pytest.fixture
def gallery(tmp_path: Path, extractor) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "g.facecli", create=True) as opened:
        opened.models.extractor = extractor  # loaded once for all tests
        opened.enroll([LabelledPhoto(hopper(), "Grace Hopper")])
        opened.storage.add([reference(f"visitor {seed}", seed) for seed in range(4)])
        yield opened


def check_fit(gallery: Gallery) -> float:
    """The point in force rests on the people enrolled now; returns its threshold."""
    rows = list(gallery.storage.reader.references())
    names = sorted({row.subject for row in rows})
    vectors = np.stack([row.template.vector for row in rows])
    owners = np.array([names.index(row.subject) for row in rows])
    templates = [mean_template(list(vectors[owners == i])) for i in range(len(names))]
    kinds = gallery.models.measured.kinds
    assert kinds.children is not None and kinds.crowding is not None
    assert (kinds.children.likeness(vectors) < PERHAPS_A_CHILD).all()
    best, alike, crowding, share = brute_force(
        vectors, owners, np.stack(templates), (), kinds.crowding
    )
    brute = Observed.of(len(names), best, alike, share, crowding, kinds)
    expected = gallery_fit.fit(shipped(), brute)
    point = gallery.operating_point()
    assert point.fit is not None
    assert (point.n, point.fit.n, point.fit.references) == (len(names), len(names), len(rows))
    assert point.fit.median == pytest.approx(expected.median, abs=1e-3)
    assert point.fit.ratio == pytest.approx(expected.ratio, rel=0.02)
    return point.threshold


def test_every_change_of_the_people_is_followed(gallery: Gallery, tmp_path: Path) -> None:
    photo = tmp_path / "again.jpg"
    photo.write_bytes(variant(hopper(), 1))
    before = check_fit(gallery)
    gallery.enroll([LabelledPhoto(photo, "somebody else")])  # the same face under two names
    doubled = check_fit(gallery)
    assert doubled == pytest.approx(before, abs=0.05), "a double is nobody else's fault"
    gallery.storage.merge("somebody else", "Grace Hopper")
    assert check_fit(gallery) == pytest.approx(before, abs=0.05)
    gallery.storage.remove("visitor 0")
    smaller = check_fit(gallery)
    gallery.enroll([LabelledPhoto(collins(), "Eileen Collins")])
    assert check_fit(gallery) != smaller


def test_what_an_older_facecli_kept_is_read_anew(gallery: Gallery) -> None:
    point = gallery.operating_point()
    older = np.full((3, 5), 0.5, np.float16).tobytes()
    with closing(sqlite3.connect(file_of(gallery.storage, "this").path)) as db, db:
        assert db.execute("UPDATE fit SET scores = ?", (older,)).rowcount == 1
    assert gallery.storage.reader.last_observed() is None
    assert gallery.operating_point() == point
    assert gallery.storage.reader.last_observed() is not None


def test_an_import_is_followed(gallery: Gallery, tmp_path: Path) -> None:
    export.export(gallery.storage.reader, tmp_path / "people.jsonl")
    with Gallery.open(tmp_path / "other.facecli", create=True) as other:
        other.storage.add([reference(f"visitor {seed}", seed) for seed in (10, 11)])
        check_fit(other)
        export.import_(other.storage, tmp_path / "people.jsonl")
        check_fit(other)
        assert other.operating_point().n == 7


def test_what_was_observed_is_kept_until_the_people_change(gallery: Gallery) -> None:
    gallery.operating_point()
    revision, kept = gallery.storage.reader.observed()
    assert kept is not None and kept.n == 5
    gallery.storage.rename("visitor 1", "somebody")
    assert gallery.storage.reader.observed() == (revision, kept), "a name changes no score"
    gallery.storage.remove("somebody")
    assert gallery.storage.reader.observed() == (revision + 1, None)
    gallery.operating_point()
    assert gallery.storage.reader.observed()[1] is not None


def test_another_reader_sees_the_fit_without_doing_it_again(gallery: Gallery) -> None:
    gallery.operating_point()
    with Gallery.open(gallery.storage.path) as reader:
        assert reader.storage.reader.observed() == gallery.storage.reader.observed()
        assert reader.operating_point() == gallery.operating_point()


def test_a_threshold_by_hand_or_by_fmr_is_not_fitted(gallery: Gallery) -> None:
    point = operating_point.at(gallery._threshold_inputs(), Target.FMR, 1e-3, Basis.REFERENCE_TABLE)
    assert point.fit is None
    assert point.threshold == pytest.approx(shipped().score(1e-3))
    assert gallery.set_threshold(0.5).threshold == 0.5


@pytest.mark.parametrize(("n", "most"), [
    (1, 4000), (25_000, 4000), (25_001, 3999), (50_000, 2000), (100_000, 1000), (10**9, 1000),
])  # fmt: skip
def test_about_as_many_comparisons_are_made_in_a_gallery_of_any_size(n: int, most: int) -> None:
    assert gallery_fit.sample_size(n) == most


@pytest.mark.parametrize(("shift", "ratio"), [(-0.2, 0.7), (0.1, 1.3)])
def test_an_estimate_is_another_shape_at_the_place_and_of_the_width_that_was_seen(
    shift: float, ratio: float
) -> None:
    """What the people seen find is less the crowd's share; a stranger's tail is as the shape's."""
    table, n = shipped().off_all(), 61
    seen = observed(table, n, shift, ratio)
    made, effect = gallery_fit.estimate(table, seen), table.effect(n - 1)
    middle = table.median(n - 1) + effect.centre
    assert min(abs(effect.centre), abs(effect.spread - 1), abs(effect.stretch - 1)) > 0.005
    for rate in (0.5, 0.1, 0.01):
        away = table.threshold(rate, n - 1) - middle
        wanted = middle + shift + away * ratio * effect.stretch
        assert made.threshold(rate, n - 1) == pytest.approx(wanted, abs=0.001)
    assert made.effect(n - 1).likeness == pytest.approx(effect.likeness, abs=0.001)
    assert (made.subjects, made.comparisons) == (61, 61 * 60)
    assert made.made_from == "61 people of this gallery"


def test_a_shift_is_whole_upwards_but_of_few_and_a_part_downwards() -> None:
    shift = gallery_fit.shift
    assert [shift(0.3, n) for n in (5, 10, 20)] == pytest.approx([0.05, 0.2, 0.3])
    assert [shift(0.0, 5), shift(-0.01, 30), shift(-0.01, 90)] == pytest.approx(
        [0, -0.005, -0.0075]
    )
    assert [shift(-0.5, 30), shift(-0.04, 30)] == pytest.approx([-0.02, -0.02])


def test_a_stretch_is_shrunk_towards_one_and_bounded() -> None:
    scale = gallery_fit.scale
    assert [scale(1.4, 150), scale(1.4, 450), scale(0.9, 150)] == pytest.approx([1.2, 1.3, 0.95])
    assert [scale(9.0, 150), scale(3.0, 150), scale(0.1, 150)] == pytest.approx([2.0, 2.0, 0.9])
