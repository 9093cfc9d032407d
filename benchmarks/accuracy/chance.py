"""What groups of people would show by chance if they were all alike. Not a benchmark itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

DEALS = 2000


def dealt_anew(
    groups: Sequence[np.ndarray], statistic: Callable[[list[float]], float]
) -> tuple[float, float]:
    """The median and the 95 % quantile of a statistic of the groups' means.

    groups: (people,) each, how often each person was named. They are dealt anew, at random, to
    groups of the same sizes: what those differ by is chance.
    """
    everybody, ends = np.concatenate(groups), np.cumsum([len(group) for group in groups])[:-1]
    rng = np.random.default_rng(0)
    found = [
        statistic([float(part.mean()) for part in np.split(rng.permutation(everybody), ends)])
        for _ in range(DEALS)
    ]
    middle, high = np.quantile(found, [0.5, 0.95])
    return float(middle), float(high)
