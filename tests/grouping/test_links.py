"""Faces linked into people: by the table's thresholds, never two faces of one photo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from support.galleries import unit_vector

from facecli.common.enums import LinkKind
from facecli.grouping import links
from facecli.grouping.links import Grouped, group, strong_pairs, unit_means
from facecli.metrics.reference_table import from_file
from facecli.recognition.model_zoo import registry

BARS = {0.01: 0.5, 0.1: 0.4, 0.001: 0.6}


def threshold(rate: float, n: int) -> float:
    return BARS[round(rate, 4)]


def at_angles(*degrees: float) -> np.ndarray:
    """(n, 2) unit vectors in a plane: their cosines are those of the angles between."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def faces_of(people: int, each: int, spread: float = 0.03) -> np.ndarray:
    """(people * each, 192): somebody's faces follow each other."""
    centres = np.repeat(np.stack([unit_vector(i) for i in range(people)]), each, axis=0)
    noisy = centres + spread * np.random.default_rng(7).normal(size=centres.shape)
    return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)


def kinds(found: Grouped) -> list[tuple[LinkKind, int, int]]:
    return [(link.kind, link.first, link.second) for link in found.links]


def test_everybody_s_faces_are_one_group_and_strangers_stay_alone() -> None:
    vectors = np.concatenate([faces_of(5, 4), faces_of(9, 1)[5:]])
    found = group(vectors, np.arange(24), threshold)
    assert found.labels.tolist() == [*np.repeat(range(5), 4), 5, 6, 7, 8]
    assert found.links == () and found.threshold == 0.5


def test_the_shipped_table_s_thresholds_are_asked_for_n_faces_and_then_for_the_groups() -> None:
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    assert spec.table
    table, asked = from_file(spec.table, spec.embedder_id), []

    def noted(rate: float, n: int) -> float:
        asked.append((rate, n))
        return table.threshold(rate, n)

    found = group(faces_of(5, 4), np.arange(20), noted)
    assert found.labels.max() == 4 and found.threshold == table.threshold(0.01, 20)
    assert (0.01, 20) in asked and (0.01, 5) in asked and {n for _, n in asked} == {20, 5}


@given(st.integers(1, 40), st.integers(0, 1000))
def test_pairs_are_brute_force_s_whatever_the_blocks(n: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = np.triu(vectors @ vectors.T, 1)
    wanted = set(zip(*map(list, np.nonzero(scores >= 0.9)), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(links, "BLOCK", 7)
        found = strong_pairs(vectors, 0.9, workers=2)
        assert set(zip(found.first, found.second, strict=True)) == wanted
        assert np.allclose(found.scores, [scores[pair] for pair in zip(found.first, found.second)])  # noqa: B905
        patch.setattr(links, "HELD", 3)  # fewer are kept, and link as much
        few = strong_pairs(vectors, 0.9, workers=2)
    joined = [
        connected_components(_graph(n, some.first, some.second), directed=False)[1].tolist()
        for some in (found, few)
    ]
    assert joined[0] == joined[1]


def _graph(n: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    graph = np.zeros((n, n))
    graph[first, second] = 1
    return graph


def test_two_faces_of_one_photo_are_never_one_person() -> None:
    """Twins side by side in three photos, more alike than the threshold asks."""
    twins = at_angles(0, 50, 3, 53, -2, 48)  # cosine of 50 degrees: 0.64
    found = group(twins, np.array([0, 0, 1, 1, 2, 2]), threshold)
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1]
    (refused,) = found.links
    assert refused.kind is LinkKind.REFUSED and refused.score >= 0.5 == refused.threshold
    assert {int(found.labels[refused.first]), int(found.labels[refused.second])} == {0, 1}
    apart = group(twins, np.arange(6), threshold)
    assert apart.labels.max() == 0, "in six photos nothing tells them apart"


def test_a_face_in_several_photos_is_apart_from_all_that_are_in_one_of_them() -> None:
    """A track of a clip is in many frames; photos are then rows of a face and a photo."""
    twins = at_angles(0, 10, 20)
    one_each = np.array([[0, 0], [1, 1], [2, 2]])
    assert group(twins, one_each, threshold).labels.tolist() == [0, 0, 0]
    together = np.array([[0, 0], [0, 5], [1, 1], [2, 2], [2, 5]])
    labels = group(twins, together, threshold).labels
    assert labels[0] != labels[2] and labels[1] in (labels[0], labels[2])


def test_a_third_face_does_not_bring_two_of_one_photo_together() -> None:
    between = at_angles(0, 40, 80)  # the middle one is like both; these are in one photo
    found = group(between, np.array([0, 1, 0]), threshold)
    assert found.labels[0] != found.labels[2]
    closer = group(at_angles(0, 30, 80), np.array([0, 1, 0]), threshold)
    assert closer.labels.tolist() == [0, 0, 1], "the stronger link is taken"
    assert kinds(closer) == [(LinkKind.REFUSED, 1, 2)]


def test_whom_refused_links_keep_apart_is_nobody_else_either() -> None:
    found = group(at_angles(0, 70, 140, 210, 240, 290), np.array([0, 1, 2, 3, 4, 3]), threshold)
    assert found.labels.tolist() == [0, 1, 2, 3, 3, 4]


def test_what_was_refused_is_told_before_what_was_near() -> None:
    vectors = at_angles(0, 50, 3, 53, 150, 152, 214, 216)
    found = group(vectors, np.array([0, 0, 1, 1, 2, 3, 4, 5]), threshold)
    assert [link.kind for link in found.links] == [LinkKind.REFUSED, LinkKind.NEAR]


@pytest.mark.parametrize(("one", "other"), [(4, 9), (0, 1), (1, 0)])
def test_what_a_person_put_together_stays_and_what_was_put_apart(one: int, other: int) -> None:
    vectors = at_angles(0, 2, 100, 102, 1)
    fixed = np.array([one, -1, one, other, other])
    found = group(vectors, np.array([0, 1, 0, 2, 2]), threshold, fixed)
    assert found.labels[0] == found.labels[2], "unlike, and in one photo: a person said so"
    assert found.labels[3] == found.labels[4] != found.labels[0]
    assert found.labels[1] in (found.labels[0], found.labels[4])
    assert LinkKind.REFUSED in {link.kind for link in found.links}


def test_groups_are_joined_by_their_means() -> None:
    """Two sides of which no two faces are alike enough; their means are."""
    axis, rest = unit_vector(1), [unit_vector(seed) for seed in range(2, 10)]
    side = [axis + 0.9 * r - 0.9 * axis * (r @ axis) for r in rest]
    vectors = np.stack([v / np.linalg.norm(v) for v in side]).astype(np.float32)
    scores = vectors @ vectors.T
    bar = float(np.sort(scores[np.triu_indices(8, 1)])[-3]) - 1e-4  # three pairs are linked
    found = group(vectors, np.arange(8), lambda rate, n: bar)
    first = connected_components(np.triu(scores >= bar, 1), directed=False)[0]
    assert found.labels.max() + 1 < first


def test_one_link_of_chance_does_not_make_two_people_one() -> None:
    """Three faces of each, and of one pair a score by chance that strangers seldom reach."""
    vectors = at_angles(0, 10, 20, 79, 90, 100)  # 20 to 79 degrees: 0.515
    found = group(vectors, np.arange(6), threshold)
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert kinds(found) == [(LinkKind.REFUSED, 2, 3)]
    assert group(vectors[[2, 3]], np.arange(2), threshold).labels.tolist() == [0, 0]


def test_what_a_person_put_together_takes_what_is_like_one_of_its_faces() -> None:
    looks = at_angles(0, 100, 130)  # of two looks, merged by a person; a new face is like one
    found = group(looks, np.arange(3), threshold, np.array([5, 5, -1]))
    assert found.labels.tolist() == [0, 0, 0]


def test_doubtful_links_are_told_and_no_others() -> None:
    near = group(at_angles(0, 2, 64, 66), np.arange(4), threshold)  # means: cosine 0.44
    assert near.labels.tolist() == [0, 0, 1, 1]
    assert [(link.kind, round(link.score, 2)) for link in near.links] == [(LinkKind.NEAR, 0.44)]
    weak = group(at_angles(0, 2, 57, 59), np.arange(4), threshold)  # 2 to 57 degrees: 0.57
    assert weak.labels.tolist() == [0, 0, 0, 0]
    assert kinds(weak) == [(LinkKind.WEAK, 1, 2)]
    sure = group(at_angles(0, 2, 45, 47), np.arange(4), threshold)
    assert sure.labels.max() == 0 and sure.links == ()


def test_none_and_one() -> None:
    assert group(np.empty((0, 4), np.float32), np.empty(0, np.int64), threshold).labels.size == 0
    assert group(at_angles(3), np.zeros(1, np.int64), threshold).labels.tolist() == [0]


def test_means_are_unit_vectors_of_each_group() -> None:
    vectors = faces_of(3, 2)
    means = unit_means(vectors, np.array([0, 0, 2, 2, 1, 1]))
    assert np.allclose(np.linalg.norm(means, axis=1), 1)
    assert np.allclose(
        means[2], (vectors[2] + vectors[3]) / np.linalg.norm(vectors[2] + vectors[3])
    )
