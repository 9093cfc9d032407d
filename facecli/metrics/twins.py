"""By how much two people's scores must differ before one of them is named, however alike they are.

No photos of twins are needed to know it: at worst two people are as alike as two photos of one. So
two sets of k photos of one person are taken for the references of two twins, another photo of the
same person for a probe of one of them, and d is the difference of its two scores. Which twin's it
is, nothing but chance says: d and -d are as likely, and a margin m names the wrong one with
probability P(d < -m). The margin is where that is ERROR. People who do differ are told apart more
often, and less often wrongly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facecli.common.types import Float32, Float64

ERROR = 0.01  # of searches for one of two, at most: those that name the other
FEWEST = 30  # people
MOST_REFERENCES = 2  # each that is measured: LFW's people have six photos at most
DRAWS = 200  # of each person


def margins(vectors: Float32, subjects: NDArray[np.generic]) -> tuple[float, ...]:
    """The margin for one reference each, then for two, as far as FEWEST people have photos enough.

    vectors: (n, d) float32 templates, one a photo. subjects: (n,) whose; each counts once. Always
    the same for the same templates.
    """
    _, codes = np.unique(subjects, return_inverse=True)
    found: list[float] = []
    for k in range(1, MOST_REFERENCES + 1):
        people = np.flatnonzero(np.bincount(codes) > 2 * k)
        if len(people) < FEWEST:
            break
        differences = [_differences(vectors[codes == person], k) for person in people]
        found.append(round(float(np.quantile(np.abs(differences), 1 - 2 * ERROR)), 4))
    return tuple(found)


def margin(by_references: tuple[float, ...], one: int, other: int) -> float:
    """The margin for two subjects with so many references; NaN where none was measured.

    by_references: of `margins`. Who has fewer decides; with more than were measured it is no less.
    Where one has more than the other, errors are rarer for a probe of the first, and as much more
    frequent for one of the second.
    """
    if not by_references:
        return float("nan")
    return by_references[min(one, other, len(by_references)) - 1]


def _differences(photos: Float32, k: int) -> Float64:
    """(DRAWS,) scores of a photo with the means of k others and of k others again."""
    rng = np.random.default_rng(len(photos))
    drawn = rng.permuted(np.tile(np.arange(len(photos)), (DRAWS, 1)), axis=1)[:, : 2 * k + 1]
    chosen = photos[drawn].astype(np.float64)
    sides = chosen[:, 1:].reshape(DRAWS, 2, k, -1).mean(axis=2)
    sides /= np.linalg.norm(sides, axis=2, keepdims=True)
    scores = np.einsum("ijk,ik->ij", sides, chosen[:, 0])
    return np.asarray(scores[:, 0] - scores[:, 1])
