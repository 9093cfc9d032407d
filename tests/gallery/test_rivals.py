"""Two who were said to be two people: named by a margin, in every command that names anybody."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.galleries import EMBEDDER, new_store, reference, unit_vector

from facecli.common.types import Candidate, FaceTemplate, Template
from facecli.gallery.rivals import Rivals
from facecli.metrics.reference_table import from_scores
from facecli.metrics.twins import FEWEST
from facecli.storage.records import NewReference
from facecli.storage.sqlite.store import GalleryFile

PEOPLE = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def ranked(*scores: float) -> list[Candidate]:
    return [
        Candidate(i, name, i, score)
        for i, (name, score) in enumerate(zip(PEOPLE, scores, strict=False), 1)
    ]


class Asked:
    """What is searched for, and how deep."""

    def __init__(self, *scores: float) -> None:
        self.all = ranked(*scores)
        self.depths: list[int] = []

    def __call__(self, k: int) -> list[Candidate]:
        self.depths.append(k)
        return self.all[:k]


def pair(one: str, other: str, margin: float = 0.3) -> Rivals:
    return Rivals({one: {other: margin}, other: {one: margin}})


def test_nobody_has_a_rival_who_was_not_named():
    search = Asked(0.9, 0.89, 0.5)
    assert pair("B", "C").of_best(search(3), search) is None
    assert Rivals({}).of_best(search(3), search) is None
    assert search.depths == [3, 3], "and nobody is looked for"


def test_the_other_one_is_found_however_far_down_where_it_may_matter():
    scores = [0.9, *np.linspace(0.8, 0.65, 20), *[0.1] * 5]
    search = Asked(*scores)
    found = pair("A", "T").of_best(search(3), search)
    assert found is not None and (found.candidate, found.margin) == (search.all[19], 0.3)
    assert search.depths == [3, 12, 48]
    search = Asked(*scores)
    assert pair("A", "Z").of_best(search(3), search) == pair("A", "Z").of_best(search.all, search)
    search = Asked(0.9, 0.8, 0.5, 0.4)
    assert pair("A", "Z").of_best(search(3), search) is None
    assert search.depths == [3], "who is below the third is further off than the margin"


def test_who_is_not_enrolled_is_not_looked_for_without_an_end():
    search = Asked(*np.linspace(0.9, 0.8, 20))
    assert pair("A", "nobody").of_best(search(3), search) is None
    assert search.depths == [3, 12, 48, 80]


def test_of_several_the_one_who_is_least_told_from():
    three = Rivals({"A": {"B": 0.1, "C": 0.4}})
    search = Asked(0.9, 0.7, 0.6)
    found = three.of_best(search(3), search)
    assert found is not None and found.candidate.subject == "C"


@pytest.fixture
def store(tmp_path: Path):
    opened = new_store(tmp_path / "g")
    opened.add([reference("Ada", 1), reference("Ada", 2), reference("Bea", 3), reference("Bea", 4)])
    opened.add([reference("Cem", 5)])
    opened.distinct("Ada", "Bea")
    opened.distinct("Cem", "Ada")
    yield opened
    opened.close()


def test_the_embedder_s_margins_by_the_references_of_both(store: GalleryFile):
    table = from_scores(np.random.default_rng(0).normal(0, 0.1, 5000), 50, "noise")
    found = Rivals.of(store.reader, replace(table, margins=(0.3, 0.2))).margins
    assert found == {"Ada": {"Bea": 0.2, "Cem": 0.3}, "Bea": {"Ada": 0.2}, "Cem": {"Ada": 0.3}}


def test_without_a_table_the_gallery_s_own_people_say_it_if_they_are_enough(store: GalleryFile):
    assert math.isnan(Rivals.of(store.reader, None).margins["Ada"]["Bea"])
    more = []
    for person in range(FEWEST):
        for photo in range(5):
            vector = unit_vector(1000 + person) + 0.5 * unit_vector(2000 + 5 * person + photo)
            template = Template((vector / np.linalg.norm(vector)).astype(np.float32), EMBEDDER)
            face = reference("x", 1).found.face
            number = 100 + 5 * person + photo
            more.append(
                NewReference(
                    f"P{person}", FaceTemplate(face, template), f"{number:064x}", 0, f"{number}.jpg"
                )
            )
    store.add(more)
    found = Rivals.of(store.reader, None).margins
    assert 0 < found["Ada"]["Bea"] < found["Cem"]["Ada"] < 0.5
