"""Reference tables made from the people outside a test. Not a benchmark itself."""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy import protocol
from facecli.metrics.reference_population import make_table
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.model_zoo import registry
from facecli.threshold.operating_point import built_in_table

# Fewer than behind what ships, for a benchmark makes a table for each of its splits.
SIZES, SEARCHES = (2, 3, 5, 10, 20, 50, 100, 200, 400, 600), 20_000
# As the shipped tables were made (the models' cards).
STEEPER = {"sface": 1.3}
CROWDING_STEEPER = {"mobilefacenet-arcface": 1.3, "sface": 2.0}


def table_without(people: protocol.People, subjects: np.ndarray) -> ReferenceTable:
    """The table of everybody but these subjects, each pair of people counting once.

    Whom the crowd's share is taken off is as in the shipped table: means of 30 of all the people.
    """
    kept = ~np.isin(people.subjects, subjects)
    vectors, codes = people.vectors[kept], people.subjects[kept]
    shipped = built_in_table(registry.find_embedder(people.model))
    return make_table(
        vectors, codes, "the people outside the test", "", SIZES, SEARCHES,
        STEEPER.get(people.model, 1.0), shipped.crowding if shipped else None,
        CROWDING_STEEPER.get(people.model, 1.0),
    )  # fmt: skip
