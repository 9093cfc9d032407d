"""The margin between two people who are as alike as one is to themselves."""

from __future__ import annotations

import json
import math
from itertools import permutations

import numpy as np
import pytest

from facecli.common.errors import ModelError
from facecli.metrics import twins
from facecli.metrics.reference_table import ReferenceTable, from_json, from_scores
from facecli.metrics.twins import FEWEST, margin, margins
from facecli.storage.records import mean_template

DIMENSION = 32


def photos(people: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors about a centre for each person, and whose they are."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(people, DIMENSION)), each, axis=0)
    vectors = centres + 0.7 * rng.normal(size=centres.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.repeat([f"P{i}" for i in range(people)], each)


def test_it_is_the_quantile_of_all_differences_there_are():
    vectors, subjects = photos(40, 5)
    for k, found in enumerate(margins(vectors, subjects), 1):
        every = []
        for person in np.unique(subjects):
            own = list(vectors[subjects == person])
            for order in permutations(range(5), 2 * k + 1):
                probe, sides = own[order[0]], (order[1 : k + 1], order[k + 1 :])
                one, two = (mean_template([own[i] for i in side]) for side in sides)
                every.append(float(probe @ one - probe @ two))
        wrong = np.mean(np.array(every) < -found)
        assert wrong == pytest.approx(twins.ERROR, abs=0.002), k


def test_it_names_the_wrong_one_of_people_never_seen_in_one_search_of_a_hundred():
    one, two = margins(*photos(300, 5, seed=1))
    assert two < one
    vectors, _ = photos(20_000, 3, seed=2)
    probes, first, second = vectors[0::3], vectors[1::3], vectors[2::3]
    difference = np.einsum("ij,ij->i", probes, first) - np.einsum("ij,ij->i", probes, second)
    assert 0.005 < np.mean(difference < -one) < 0.015


@pytest.mark.parametrize(
    ("people", "each", "known"),
    [(FEWEST - 1, 5, 0), (FEWEST, 2, 0), (FEWEST, 4, 1), (FEWEST, 5, 2)],
)
def test_too_few_people_or_photos_say_nothing(people: int, each: int, known: int):
    found = margins(*photos(people, each))
    assert len(found) == known
    assert margins(*photos(people, each)) == found, "always the same"


def test_who_has_many_photos_weighs_no_more_than_others():
    vectors, subjects = photos(60, 3)
    lone, _ = photos(1, 500, seed=9)
    with_one = margins(
        np.concatenate([vectors, lone]), np.concatenate([subjects, np.repeat("Z", 500)])
    )
    assert with_one[0] == pytest.approx(margins(vectors, subjects)[0], rel=0.1)


def test_who_has_fewer_references_decides():
    assert [margin((0.3, 0.2), *counts) for counts in ((1, 1), (1, 9), (9, 1), (2, 2), (5, 4))] == [
        0.3, 0.3, 0.3, 0.2, 0.2,
    ]  # fmt: skip
    assert margin((0.3,), 4, 4) == 0.3
    assert math.isnan(margin((), 4, 4))


def table(**more: object) -> ReferenceTable:
    scores = np.random.default_rng(0).normal(0, 0.1, 5000)
    made = json.loads(from_scores(scores, 50, "noise").to_json())
    return from_json(json.dumps({**made, **more}))


def test_a_table_keeps_them():
    assert table(margins=[0.28, 0.18]).margins == (0.28, 0.18)
    assert from_json(table(margins=[0.28]).to_json()).margins == (0.28,)
    older = json.loads(table().to_json())
    del older["margins"]
    assert from_json(json.dumps(older)).margins == ()


@pytest.mark.parametrize("hostile", [[0], [-0.1], [3], [float("nan")], ["x"], "0.3", 0.3, None])
def test_a_table_with_other_margins_is_refused(hostile: object):
    with pytest.raises(ModelError):
        table(margins=hostile)
