"""Reference tables made from the people outside a test. Not a benchmark itself."""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy import protocol
from facecli.metrics.reference_population import make_table
from facecli.metrics.reference_table import ReferenceTable

# Fewer than behind what ships, for a benchmark makes a table for each of its splits.
SIZES, SEARCHES = (2, 3, 5, 10, 20, 50, 100, 200, 400, 600), 20_000
# As the shipped tables were made (the models' cards): SFace has DIR to spare for other populations.
STEEPER = {"sface": 1.3}


def table_without(people: protocol.People, subjects: np.ndarray) -> ReferenceTable:
    """The table of everybody but these subjects, each pair of people counting once."""
    kept = ~np.isin(people.subjects, subjects)
    vectors, codes = people.vectors[kept], people.subjects[kept]
    steeper = STEEPER.get(people.model, 1.0)
    return make_table(vectors, codes, "the people outside the test", "", SIZES, SEARCHES, steeper)
