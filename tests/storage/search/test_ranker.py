"""A scan may be as wrong as its bound allows, in the worst way: what is found is the best all the
same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.galleries import DIMENSION, new_store, reference, unit_vector

from facecli.common.types import FaceTemplate, Float32, Template
from facecli.storage.records import NewReference
from facecli.storage.search import ranker
from facecli.storage.search.candidates import Scan
from facecli.storage.search.ranker import FileRanker
from facecli.storage.sqlite.store import GalleryFile

PROBE = np.eye(1, DIMENSION, dtype=np.float32)[0]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GalleryFile]:
    opened = new_store(tmp_path / "g.facecli")
    yield opened
    opened.close()


def person(name: str, score: float, seed: int) -> NewReference:
    """Somebody whose cosine to PROBE is `score`."""
    away = unit_vector(seed)
    away[0] = 0
    vector = score * PROBE + np.sqrt(1 - score**2) * away / np.linalg.norm(away)
    return like(name, vector.astype(np.float32), seed)


def like(name: str, vector: Float32, photo: int) -> NewReference:
    given = reference(name, photo)
    found = FaceTemplate(given.found.face, Template(vector, given.found.template.embedder_id))
    return NewReference(name, found, given.photo_sha256, 0, given.path)


class Wrong:
    """An index that scores each row as it was told, whatever is searched for."""

    def __init__(self, scores: Sequence[float]) -> None:
        self._scores = np.array(scores, np.float32)

    def __len__(self) -> int:
        return len(self._scores)

    def search(self, probes: Float32, k: int) -> tuple[Float32, np.ndarray]:
        rows = np.argsort(-self._scores, kind="stable")[:k]
        return self._scores[rows][None], rows[None]


def found_by(
    store: GalleryFile, scores: Sequence[float], slack: float | None, first: int, k: int,
    order: Sequence[int] = (),
) -> list[str]:  # fmt: skip
    """Who is best by a scan of such scores of everybody, by id; or in this order."""
    ids = np.array(order or range(1, len(scores) + 1), np.int64)
    bound = None if slack is None else lambda _: slack
    with store.reader.snapshot():
        seal = store.reader.seal().revision
        found = FileRanker(store.reader, Scan(ids, Wrong(scores), bound, first), seal)
        return [one.name for one in found.best(PROBE, k)]


@given(
    true=st.lists(st.integers(0, 8), min_size=1, max_size=12), k=st.integers(1, 6),
    first=st.integers(1, 3), slack=st.sampled_from([0.0625, 0.25, 1.0]),
)  # fmt: skip
def test_whom_a_scan_does_its_worst_to_hide_is_found(
    tmp_path_factory: pytest.TempPathFactory, true: list[int], k: int, first: int, slack: float
) -> None:
    """The best are scored too low and the others too high, by all that the bound allows."""
    scores = [value / 10 for value in true]
    best = sorted(range(len(scores)), key=lambda i: -scores[i])[:k]
    wrong = [score + (-slack if i in best else slack) for i, score in enumerate(scores)]
    opened = new_store(tmp_path_factory.mktemp("g") / "g.facecli")
    opened.add([person(f"S{i}", score, i) for i, score in enumerate(scores)])
    assert found_by(opened, wrong, slack + 1e-6, first, k) == [f"S{i}" for i in best]
    opened.close()


def test_of_equal_ones_the_first_is_found_where_the_scan_can_just_hide_her(
    store: GalleryFile,
) -> None:
    """Ada and Bob score 0.5; the scan has both at 0.25, wrong by all it may be, and Bob first."""
    store.add([person("Ada", 0.5, 1), person("Bob", 0.5, 1)])
    assert found_by(store, [0.25, 0.25], 0.25, 1, 1, order=(2, 1)) == ["Ada"]
    assert found_by(store, [0.25, 0.25], None, 1, 1, order=(2, 1)) == ["Bob"], "no bound, no proof"


def test_the_last_of_all_can_be_the_best(store: GalleryFile) -> None:
    store.add([person(f"S{i}", i / 10, i) for i in range(5)])
    assert found_by(store, [0.4, 0.4, 0.4, 0.4, 0.3], 0.4, 4, 1) == ["S4"]
    assert len(found_by(store, [0.4, 0.4, 0.4, 0.4, 0.3], None, 1, 3)) == 3, "as many as asked for"
    assert found_by(store, [0.4, 0.4, 0.4, 0.4, 0.3], 0.4, 1, 9) == ["S4", "S3", "S2", "S1", "S0"]


def test_whoever_comes_after_those_who_were_removed_is_found(store: GalleryFile) -> None:
    """The scan still has two who are gone, before the two whom it was asked for."""
    store.add([person(f"S{i}", (9 - i) / 10, i) for i in range(5)])
    store.remove("S1")
    store.remove("S2")
    scores = [0.9, 0.8, 0.7, 0.6, 0.5]
    assert found_by(store, scores, 0.01, 2, 2) == ["S0", "S3"]


@pytest.mark.parametrize("nearest", [0, 1, 2])
def test_a_candidate_names_the_reference_that_is_most_alike(
    store: GalleryFile, nearest: int
) -> None:
    """The score is the subject's own, of all her references."""
    scores = [0.9 if i == nearest else 0.2 for i in range(3)]
    store.add([person("Bob", 0.1, 9)])
    store.add([person("Ada", score, i) for i, score in enumerate(scores)])
    ids = [row.id for row in store.reader.references() if row.subject == "Ada"]
    ada, bob = FileRanker.open(store.reader).candidates(PROBE, 5)
    assert (ada.rank, ada.subject, ada.reference_id) == (1, "Ada", ids[nearest])
    assert (bob.rank, bob.subject) == (2, "Bob")
    (mean,) = (t for i, t in zip(*everybody(store), strict=True) if i == 2)
    assert ada.score == pytest.approx(float(mean @ PROBE), abs=1e-6)


def everybody(store: GalleryFile) -> tuple[Sequence[int], Float32]:
    there = store.reader.templates()
    return there.ids, there.templates


def test_a_search_follows_whom_others_enrol_and_nobody_where_nothing_changed(
    store: GalleryFile,
) -> None:
    store.add([person("Ada", 0.2, 1)])
    found = FileRanker.open(store.reader)
    store.add([person("Bob", 0.8, 2)])
    assert [c.subject for c in found.candidates(PROBE, 3)] == ["Bob", "Ada"]
    store.remove("Bob")
    assert [c.subject for c in found.candidates(PROBE, 3)] == ["Ada"]


def test_the_check_of_the_search_tells_a_template_that_does_not_find_itself(
    store: GalleryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([person("Ada", 0.2, 1), person("Bob", 0.8, 2)])
    assert ranker.faults(store.reader) == []
    blind = Scan(np.array([1]), Wrong([0.5]), None, 1)  # it knows of Ada alone
    monkeypatch.setattr(ranker.candidates, "flat_scan", lambda *_: blind)
    assert ranker.faults(store.reader) == ["the search index disagrees with the stored templates"]
