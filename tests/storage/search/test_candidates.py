"""What a scan proposes, when a sidecar is made, and how its recall is measured: at the edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.galleries import DIMENSION, new_store, reference, unit_vector

from facecli.common.enums import IndexKind
from facecli.common.types import Float32
from facecli.storage.interface import Called
from facecli.storage.search import candidates, sidecar
from facecli.storage.search.candidates import Scan, flat_scan
from facecli.storage.search.flat import FlatIndex
from facecli.storage.search.sidecar import ScanKind
from facecli.storage.sqlite.store import GalleryFile


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GalleryFile]:
    """40 made-up people, in a gallery that counts as large."""
    opened = new_store(tmp_path / "g.facecli")
    opened.add([reference(f"S{i:02}", i) for i in range(40)])
    yield opened
    opened.close()


def reader(**facts: object) -> Any:
    """A gallery as far as it is asked here: 100,000 subjects, none of whom changed."""
    return SimpleNamespace(**{
        "encrypted": False, "subject_count": lambda: 100_000, "changed": lambda revision: 0,
    } | facts)  # fmt: skip


class Scored:
    """An index whose rows have these scores, whatever is searched for; falling."""

    def __init__(self, *scores: float) -> None:
        self._scores = np.array(scores, np.float32)

    def __len__(self) -> int:
        return len(self._scores)

    def search(self, probes: Float32, k: int) -> tuple[Float32, np.ndarray]:
        return self._scores[:k][None], np.arange(k)[None]


# proposed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("floor", "least", "proposed"),
    [(0.5, 1, 3), (0.5000001, 1, 2), (0.9, 2, 2), (0.9, 1, 1), (-np.inf, 1, 4), (0.5, 9, 4)],
)
def test_who_may_reach_the_threshold_is_proposed_and_some_in_any_case(
    monkeypatch: pytest.MonkeyPatch, floor: float, least: int, proposed: int
) -> None:
    monkeypatch.setattr(candidates, "PROPOSED_LEAST", least)
    scan = Scan(np.array([7, 5, 3, 1]), Scored(0.75, 0.625, 0.5, 0.25), None, 4, floor)
    ids, scores = scan.propose(unit_vector(0), 9)
    assert ids.tolist() == [7, 5, 3, 1][:proposed]
    assert scores.tolist() == [0.75, 0.625, 0.5, 0.25][:proposed]


def test_what_a_flat_scan_can_be_off_by_is_what_summing_in_float32_loses() -> None:
    vectors = np.stack([unit_vector(i) for i in range(500)])
    scan = flat_scan(
        [(np.arange(300), vectors[:300]), (np.arange(300, 500), vectors[300:])], 500, DIMENSION
    )
    assert scan.slack is not None
    probe = unit_vector(1000)
    assert scan.slack(probe) == DIMENSION * 2**-23  # twice Higham's d u: for both sides
    ids, scores = scan.propose(probe, 500)
    true = vectors[ids].astype(np.float64) @ probe.astype(np.float64)
    assert np.abs(true - scores).max() <= scan.slack(probe)


@pytest.mark.parametrize("counted", [0, 1, 3, 4, 9])
def test_a_flat_scan_holds_everybody_however_many_were_counted(counted: int) -> None:
    vectors = np.stack([unit_vector(i) for i in range(4)])
    blocks = [(np.array([2, 3]), vectors[:2]), (np.array([5, 8]), vectors[2:])]
    ids, scores = flat_scan(blocks, counted, DIMENSION).propose(vectors[3], 9)
    assert (ids[0], len(ids)) == (8, 4)
    assert scores[0] == pytest.approx(1)


@pytest.mark.parametrize(("score", "error"), [(0, 0.25), (0.6, 0.2), (-0.6, 0.2), (1, 0), (2, 0)])
def test_rabitq_s_error_shrinks_towards_a_cosine_of_1(score: float, error: float) -> None:
    assert candidates.rabitq_error(score, 10) == pytest.approx(error)
    assert candidates.rabitq_error(score, 1) == pytest.approx(3 * error), "no division by 0"


def test_a_sidecar_proposes_whom_four_errors_may_lift_to_the_threshold_or_all_in_its_bound(
    store: GalleryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "SIDECAR_FROM", 1)
    rabitq, _ = candidates.sidecar_scan(store.reader, ScanKind.RABITQ, 0.4)
    assert rabitq.floor == 0.4 - 4 * candidates.rabitq_error(0.4, DIMENSION)
    assert (rabitq.slack, rabitq.first) == (None, 1000)
    eight, revision = candidates.sidecar_scan(store.reader, ScanKind.EIGHT, 0.4)
    assert (eight.floor, eight.first, revision) == (-np.inf, 64, store.reader.seal().revision)
    assert eight.slack is not None


# when a sidecar is made ----------------------------------------------------------------------


def test_a_sidecar_pays_from_100_000_subjects_and_none_lies_beside_an_encrypted_gallery() -> None:
    assert candidates.needs_sidecar(reader())
    assert not candidates.needs_sidecar(reader(subject_count=lambda: 99_999))
    assert not candidates.needs_sidecar(reader(encrypted=True))


@pytest.mark.parametrize(
    ("new", "now", "changes"), [(0, 100, 0), (7, 100, 7), (7, 104, 7), (2, 104, 4), (2, 95, 5)]
)
def test_changes_are_whoever_came_or_changed_and_at_least_the_difference(
    new: int, now: int, changes: int
) -> None:
    asked = reader(changed=lambda revision: new if revision == 3 else 0, subject_count=lambda: now)
    assert candidates.changes_since(asked, 3, 100) == changes


def test_a_fiftieth_and_a_thousand_may_change_before_it_is_made_anew(
    store: GalleryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [candidates.tail_limit(n) for n in (0, 49, 50, 100_000)] == [1000, 1000, 1001, 3000]
    monkeypatch.setattr(candidates, "SIDECAR_FROM", 40)
    monkeypatch.setattr(candidates, "tail_limit", lambda count: 2)
    assert candidates.index_info(store.reader).kind is IndexKind.MISSING
    candidates.keep_in_step(store.reader)
    for number in (1, 2):
        store.add([reference(f"new {number}", 50 + number)])
        info = candidates.index_info(store.reader)
        assert (info.kind, info.tail) == (IndexKind.SIDECAR, number)
    made = sidecar.path(store.path, ScanKind.RABITQ).read_bytes()
    candidates.keep_in_step(store.reader)
    assert sidecar.path(store.path, ScanKind.RABITQ).read_bytes() == made
    store.add([reference("new 3", 53)])
    assert candidates.index_info(store.reader).kind is IndexKind.MISSING
    candidates.keep_in_step(store.reader)
    assert candidates.index_info(store.reader).tail == 0


def test_what_is_read_for_it_is_of_the_moment_that_its_seal_names(
    store: GalleryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody is enrolled once the seal is read: not in it, but in its tail."""
    other, probes = GalleryFile.open(store.path), candidates._probes

    def enrol_and_draw(reader: candidates.Templates) -> Float32:
        other.add([reference("new", 99)])
        return probes(reader)

    monkeypatch.setattr(candidates, "SIDECAR_FROM", 1)
    monkeypatch.setattr(candidates, "_probes", enrol_and_draw)
    candidates.keep_in_step(store.reader)
    other.close()
    header = sidecar.peek(store.path, ScanKind.RABITQ)
    assert header is not None and header.count == 40
    assert candidates.index_info(store.reader).tail == 1


def test_one_of_templates_of_another_length_does_not_serve(store: GalleryFile) -> None:
    made = candidates._make(store.reader, ScanKind.RABITQ)
    header = sidecar.peek(store.path, ScanKind.RABITQ)
    assert header is not None and made.dimension == header.dimension == DIMENSION
    assert candidates._serves(store.reader, header)
    assert not candidates._serves(store.reader, replace(header, dimension=DIMENSION // 2))


@pytest.mark.parametrize("kind", list(ScanKind))
def test_whoever_is_purged_while_it_is_made_is_in_none(
    store: GalleryFile, monkeypatch: pytest.MonkeyPatch, kind: ScanKind
) -> None:
    """Their template was read already: the file is erased again as soon as it is there."""
    monkeypatch.setattr(candidates, "SIDECAR_FROM", 1)
    other, write = GalleryFile.open(store.path), sidecar.write_sidecar

    def purge_and_write(*given: Any) -> None:
        other.purge(Called("S07"))
        write(*given)
        assert sidecar.path(store.path, kind).exists()

    monkeypatch.setattr(sidecar, "write_sidecar", purge_and_write)
    candidates.sidecar_scan(store.reader, kind, 0.4)
    other.close()
    assert not sidecar.path(store.path, kind).exists()


def test_whoever_is_removed_while_it_is_made_is_not_found_by_it(
    store: GalleryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removal can be undone, so the file stays; what it proposes is read from the gallery."""
    from facecli.storage.search.ranker import FileRanker

    monkeypatch.setattr(candidates, "SIDECAR_FROM", 1)
    other, write = GalleryFile.open(store.path), sidecar.write_sidecar

    def remove_and_write(*given: Any) -> None:
        other.remove("S07")
        write(*given)

    monkeypatch.setattr(sidecar, "write_sidecar", remove_and_write)
    found = FileRanker.open(store.reader)
    assert sidecar.path(store.path, ScanKind.RABITQ).exists()
    assert [c.subject for c in found.candidates(unit_vector(7), 40)].count("S07") == 0
    other.journal.undo()
    assert found.candidates(unit_vector(7), 1)[0].subject == "S07"
    other.close()


# its recall ----------------------------------------------------------------------------------


def test_agreement_counts_the_probes_whose_best_is_proposed(store: GalleryFile) -> None:
    vectors = np.stack([unit_vector(i) for i in range(40)])
    agreement = candidates._Agreement(vectors[:10])
    for block in (vectors[:25], vectors[25:]):
        agreement.see(block)
    ids = np.arange(1, 41)
    assert agreement.count(store.reader, Scan(ids, FlatIndex(vectors), None, 9)) == 10
    # A scan that knows of all but three of the ten
    others = FlatIndex(vectors[3:])
    assert agreement.count(store.reader, Scan(ids[3:], others, None, 9)) == 7
    nobody = Scan(np.arange(90, 93), FlatIndex(vectors[:3]), None, 9)
    assert agreement.count(store.reader, nobody) == 0


def test_agreement_is_counted_on_what_a_search_at_that_score_would_propose(
    store: GalleryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    floors = []
    monkeypatch.setattr(
        candidates._Agreement, "count", lambda _, reader, scan: floors.append(scan.floor) or 0
    )
    for kind in (ScanKind.RABITQ, ScanKind.EIGHT):
        candidates._make(store.reader, kind)
    assert floors == [0.6 - 4 * candidates.rabitq_error(0.6, DIMENSION), -np.inf]


@pytest.mark.parametrize(("off", "agrees"), [(0.0, 1), (8e-6, 1), (2e-5, 0)])
def test_agreement_forgives_what_rounding_does_and_no_more(
    store: GalleryFile, off: float, agrees: int
) -> None:
    probe = unit_vector(0)
    agreement = candidates._Agreement(probe[None])
    agreement.see((probe * np.float32(1 + off))[None])
    scan = Scan(np.array([1]), FlatIndex(probe[None]), None, 9)
    assert agreement.count(store.reader, scan) == agrees


def test_the_probes_are_as_far_from_their_templates_as_a_poor_photo(store: GalleryFile) -> None:
    probes = candidates._probes(store.reader)
    templates = store.reader.some_templates(candidates.PROBES)
    assert len(probes) == len(templates) > 20
    assert np.linalg.norm(probes, axis=1) == pytest.approx(1, abs=1e-5)
    own = np.sum(probes * templates, axis=1)
    assert own == pytest.approx(candidates.PROBE_SCORE, abs=1e-5)
