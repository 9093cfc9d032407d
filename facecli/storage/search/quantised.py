"""Scans over compressed templates, by FAISS: they propose subjects, and score nobody.

RaBitQ FastScan keeps a bit a dimension (Gao and Long, SIGMOD 2024); what it proposes must be
ranked anew. The 8-bit scan keeps a byte, and bounds how wrong it can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from facecli.common.types import Float32

STEPS = 255


class Quantised:
    """(n, d) float32 unit vectors, compressed. Row i is the i-th that was added."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def rabitq(cls, sample: Float32) -> Quantised:
        """An empty one of a bit a dimension. sample: (m, d), some of the templates to come.

        They are turned at random first, so that each bit is worth the same.
        """
        d = sample.shape[1]
        scan = faiss.IndexRaBitQFastScan(d, faiss.METRIC_INNER_PRODUCT)
        turned = faiss.IndexPreTransform(faiss.RandomRotationMatrix(d, d), scan)
        turned.train(np.ascontiguousarray(sample))
        return cls(turned)

    @classmethod
    def eight_bit(cls, low: Float32, high: Float32) -> Quantised:
        """An empty one of a byte a dimension. low, high: (d,), what no template exceeds."""
        index = faiss.IndexScalarQuantizer(
            len(low), faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        index.train(np.stack([low, high]))
        return cls(index)

    @classmethod
    def from_bytes(cls, data: NDArray[np.uint8]) -> Quantised | None:
        """What `to_bytes` gave; None where this FAISS cannot read it. The bytes must be sound."""
        try:
            return cls(faiss.deserialize_index(data))
        except RuntimeError:
            return None

    def to_bytes(self) -> NDArray[np.uint8]:
        """FAISS's own format."""
        return np.asarray(faiss.serialize_index(self._index))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    def add(self, templates: Float32) -> None:
        """templates: (n, d) float32 unit vectors."""
        self._index.add(np.ascontiguousarray(templates))

    def search(self, probes: Float32, k: int) -> tuple[Float32, NDArray[np.int64]]:
        """The k best rows for (m, d) probes by approximate scores, best first; 1 <= k <= n."""
        with _one_thread():
            scores, rows = self._index.search(np.ascontiguousarray(probes, np.float32), k)
        return scores, rows

    def slack(self, probe: Float32) -> float:
        """How far an 8-bit score can be from the true one: sum |q_i| step_i / 2.

        A byte stands for the middle of its step, so each value is off by half a step at most.
        Added to it is what summing d products in float32 can lose, d * 2^-23 (Higham 2002, 3.1).
        """
        trained = faiss.vector_to_array(self._index.sq.trained)
        steps = trained[self.dimension :] / STEPS
        rounding = self.dimension * 2.0**-23
        return float(np.abs(probe).astype(np.float64) @ steps) / 2 + 2 * rounding


@contextmanager
def _one_thread() -> Iterator[None]:
    """FAISS splits among threads what a single probe does not need split: they only wait."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def ranges(blocks: Iterable[Float32]) -> tuple[Float32, Float32]:
    """The least and greatest value in each dimension of (n, d) blocks; at least one block."""
    lows, highs = zip(*((b.min(axis=0), b.max(axis=0)) for b in blocks), strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)
