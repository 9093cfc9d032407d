"""Reference tables made from the people outside a test. Not a benchmark itself."""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy import protocol
from facecli.metrics import reference_table


def table_without(people: protocol.People, subjects: np.ndarray) -> reference_table.ReferenceTable:
    """The table of everybody but these subjects, each pair of people counting once."""
    kept = ~np.isin(people.subjects, subjects)
    vectors, codes = people.vectors[kept], people.subjects[kept]
    share = 1 / np.bincount(codes)[codes]
    once = codes[:, None] < codes  # every two people once, whichever of their photos
    scores = (vectors @ vectors.T)[once]
    mass = np.outer(share, share)[once]
    count = len(np.unique(codes))
    return reference_table.from_scores(scores, count, "the people outside the test", mass)
