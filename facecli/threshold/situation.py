"""What the threshold depends on, read from a gallery: its people, its choice, its own scores."""

from __future__ import annotations

from contextlib import suppress

from facecli.common.errors import GalleryError
from facecli.common.timestamp import now
from facecli.common.types import OperatingPoint
from facecli.metrics.gallery_fit import Observed
from facecli.metrics.reference_table import ReferenceTable
from facecli.storage.interface import Reader, Storage
from facecli.storage.search import candidates
from facecli.threshold import operating_point
from facecli.threshold.operating_point import Situation


def of(store: Storage, table: ReferenceTable | None) -> Situation:
    """The gallery as it is now. table: its embedder's own, None where it ships none."""
    reader = store.reader
    n = reader.subject_count()
    return Situation(reader.embedder_id, n, table, observed(store), reader.calibration())


def observed(store: Storage) -> Observed | None:
    """The gallery's own non-mated scores, observed anew where its templates have changed.

    Among very many subjects what was observed stands until some hundredths of them have changed:
    looking again takes seconds, and could move nothing.
    """
    revision, kept = store.reader.observed()
    if kept is not None or (kept := _standing(store.reader)) is not None:
        return kept
    found = store.reader.observe()
    if found is not None:
        with suppress(GalleryError):  # a reader without the right to write does without
            store.keep_observed(revision, found)
    return found


def _standing(reader: Reader) -> Observed | None:
    last, n = reader.last_observed(), reader.subject_count()
    if last is None or n < candidates.SIDECAR_FROM:
        return None
    then, kept = last
    return kept if candidates.drift(reader, then, kept.n) <= candidates.tail_limit(kept.n) else None


def point(situation: Situation, threshold: float | None, fpir: float | None) -> OperatingPoint:
    """The operating point asked for: a threshold by hand, a target FPIR, or the one in force."""
    if threshold is not None:
        return operating_point.by_hand(situation, threshold, now())
    return (
        operating_point.in_force(situation)
        if fpir is None
        else operating_point.at_fpir(situation, fpir)
    )
