"""What the threshold depends on, read from a gallery: its people, its choice, its own scores."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from facecli import operating
from facecli.database import now
from facecli.errors import GalleryError
from facecli.fit import Observed, observe
from facecli.operating import Situation
from facecli.reference_table import ReferenceTable
from facecli.store import Store
from facecli.types import OperatingPoint


def of(store: Store, table: ReferenceTable | None) -> Situation:
    """The gallery as it is now. table: its embedder's own, None where it ships none."""
    n, _ = store.counts()
    return Situation(store.embedder_id, n, table, observed(store), store.calibration())


def observed(store: Store) -> Observed | None:
    """The gallery's own non-mated scores, observed anew where its templates have changed."""
    revision, kept = store.observed()
    if kept is not None:
        return kept
    with store.snapshot():
        subjects, (vectors, owners) = store.templates(), store.all_vectors()
    rows = np.searchsorted(np.asarray(subjects.ids), owners)
    found = observe(vectors, rows, subjects.templates)
    if found is not None:
        with suppress(GalleryError):  # a reader without the right to write does without
            store.keep_observed(revision, found)
    return found


def point(situation: Situation, threshold: float | None, fpir: float | None) -> OperatingPoint:
    """The operating point asked for: a threshold by hand, a target FPIR, or the one in force."""
    if threshold is not None:
        return operating.by_hand(situation, threshold, now())
    return operating.in_force(situation) if fpir is None else operating.at_fpir(situation, fpir)
