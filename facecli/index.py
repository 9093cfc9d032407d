"""Exact nearest templates by cosine, through FAISS: a cache over SQLite that can be thrown away."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from facecli.types import Float32


class FlatIndex:
    """Every template compared with every probe. Row i is the i-th template given."""

    def __init__(self, templates: Float32) -> None:
        """templates: (n, d) float32 unit vectors, n may be 0."""
        self._index: Any = faiss.IndexFlatIP(templates.shape[1])
        self._index.add(np.ascontiguousarray(templates, np.float32))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, probes: Float32, k: int) -> tuple[Float32, NDArray[np.int64]]:
        """The k best rows for each probe, best first.

        probes: (m, d) float32 unit vectors. Returns scores (m, k') and rows (m, k'),
        k' = min(k, n).
        """
        k = min(k, len(self))
        if k <= 0:
            empty = np.empty((len(probes), 0))
            return empty.astype(np.float32), empty.astype(np.int64)
        scores, rows = self._index.search(np.ascontiguousarray(probes, np.float32), k)
        return scores, rows
