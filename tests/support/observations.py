"""What a gallery's people might have found among each other, made up to measure."""

from __future__ import annotations

import numpy as np

from facecli.metrics.gallery_fit import HIGH, LOW, Observed, quantiles
from facecli.metrics.reference_table import ReferenceTable


def observed(table: ReferenceTable, n: int, shift: float = 0.0, ratio: float = 1.0) -> Observed:
    """n people as the table has them, but for the median and the 10-90 % range of their scores.

    shift: added to the median, cosine. ratio: of the range.
    """
    effect = table.deciding_effect(n - 1)
    unit = np.linspace(-0.5, 0.5, 2001)
    low, high = quantiles(_of(n, unit, 0.0), None, (LOW, HIGH))
    wide = table.spread(n - 1, LOW, HIGH) * effect.spread * ratio / (high - low)
    return _of(n, table.median(n - 1) + effect.centre + shift + unit * wide, effect.likeness)


def _of(n: int, best: np.ndarray, alike: float) -> Observed:
    return Observed.of(n, best, np.full(len(best), alike), np.ones(len(best)) * n / len(best))
