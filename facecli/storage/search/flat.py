"""Exact nearest templates by cosine: one matrix product. Made anew from SQLite, kept nowhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facecli.common.types import Float32

BLOCK = 32  # probes a matrix product: their scores against 100,000 templates are 13 MB


class FlatIndex:
    """Every template compared with every probe. Row i is the i-th template given."""

    def __init__(self, templates: Float32) -> None:
        """templates: (n, d) float32 unit vectors, n may be 0; kept, not copied."""
        self._templates = np.ascontiguousarray(templates, np.float32)

    def __len__(self) -> int:
        return len(self._templates)

    def search(self, probes: Float32, k: int) -> tuple[Float32, NDArray[np.int64]]:
        """The k best rows for each probe, best first, equal scores in the order of rows.

        probes: (m, d) float32 unit vectors. Returns scores (m, k') and rows (m, k'),
        k' = min(k, n).
        """
        k = max(0, min(k, len(self)))
        scores = np.empty((len(probes), k), np.float32)
        rows = np.empty((len(probes), k), np.int64)
        if k:
            # float32 both: one float64 would make numpy copy every template.
            probes = np.ascontiguousarray(probes, np.float32)
            for start in range(0, len(probes), BLOCK):
                some = slice(start, start + BLOCK)
                scores[some], rows[some] = best(probes[some] @ self._templates.T, k)
        return scores, rows


def best(scores: Float32, k: int) -> tuple[Float32, NDArray[np.int64]]:
    """The k largest of each row of (m, n) scores, best first; ties in the order of columns.

    k must be in [1, n].
    """
    last = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k]
    chosen = np.empty((len(scores), k), np.int64)
    for i, (row, least) in enumerate(zip(scores, last, strict=True)):
        # All that tie with the k-th: which of them `partition` put first is chance.
        at_least = np.flatnonzero(row >= least)
        chosen[i] = at_least[np.argsort(-row[at_least], kind="stable")][:k]
    return np.take_along_axis(scores, chosen, axis=1), chosen
