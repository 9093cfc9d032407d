"""Enrolled people so alike that they may be one: named at once, where the audit would find them."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from facecli.evaluation.audit.blocks import pairs_above
from facecli.metrics.reference_table import ReferenceTable
from facecli.storage.records import Subjects
from facecli.threshold.operating_point import SURPRISING

MOST_PEOPLE = 5000  # whose pairs are looked at: a tenth of a second


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Two subjects and the cosine of their templates."""

    first: str
    second: str
    score: float


def look_alikes(
    subjects: Subjects, table: ReferenceTable, distinct: Set[frozenset[str]] = frozenset()
) -> tuple[LookAlikes, ...]:
    """Pairs as alike as would surprise of any two people among them, the most alike first.

    table: the embedder's. distinct: names of who was said to be two people. None of more than
    MOST_PEOPLE: an audit takes the time that takes.
    """
    n = len(subjects.ids)
    if not 2 <= n <= MOST_PEOPLE:
        return ()
    bar = table.threshold(SURPRISING / n, n - 1)
    pairs = pairs_above(subjects.templates, bar, np.arange(n))
    found = (LookAlikes(subjects.names[i], subjects.names[j], score) for score, i, j in pairs)
    return tuple(pair for pair in found if frozenset((pair.first, pair.second)) not in distinct)
