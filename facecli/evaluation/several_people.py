"""Whether references that go under one name are of several people."""

from __future__ import annotations

import numpy as np

from facecli.common.types import Float32
from facecli.evaluation.audit.blocks import Groups
from facecli.metrics.reference_table import ReferenceTable

UNLIKE = 0.01
"""The share of pairs of strangers that score as high as what links two references here. Of 692
people of LFW with up to 12 photos each, a few of them under wrong names, it takes 8 for several;
of 200 pairs of people with two photos each 97 %, and all of 200 groups of four."""

MOST = 500  # references looked at: their number squared is compared


def one_of_each(vectors: Float32, table: ReferenceTable) -> list[int]:
    """Rows of k (d,) float32 unit vectors, no two of one person; a single one where none shows.

    References are linked where few strangers are as alike; what no chain of links joins is not
    one person's. Strangers who look alike are joined, so there may be more people than rows.
    table: the embedder's.
    """
    every = max(1, -(-len(vectors) // MOST))
    vectors = vectors[::every]
    joined = Groups(len(vectors))
    alike = np.triu(vectors @ vectors.T >= table.score(UNLIKE), 1)
    for i, j in np.argwhere(alike):
        joined.join(int(i), int(j))
    return [i * every for i in range(len(vectors)) if joined.root(i) == i]
