"""An embedder on people it was not trained on, strangers included; two of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from facecli.common.types import Float32, Float64, Interval
from facecli.metrics.identification import (
    IdentificationRates,
    Searches,
    identification_rates,
    threshold_for_fpir,
)
from facecli.metrics.paired import DirDifference, dir_difference
from facecli.metrics.rates import Scores

FPIR = 0.01


class Verdict(StrEnum):
    """What the paired interval of the difference in DIR says: above 0, holding 0, below 0."""

    BETTER = "better"
    SAME = "no difference shown"
    WORSE = "worse"


@dataclass(frozen=True, slots=True, eq=False)
class PanelTemplates:
    """The templates of a panel, unit vectors; rows of zeros where no face was found.

    gallery: (n, d). probes: (p, d). owners: (p,) the place of each one's person in the gallery.
    strangers: (m, d).
    """

    gallery: Float32
    probes: Float32
    owners: np.ndarray
    strangers: Float32


@dataclass(frozen=True, eq=False)
class Measured:
    """What an embedder makes of a panel of n enrolled people.

    searches: all of them, each probe's best score. known: (p,) score of each probe with its own
    person, NaN where no face was found. unknown: (m,) best score of each stranger, likewise.
    nonmated: scores of probes with other people, all of them.
    """

    searches: Searches
    known: Float64
    unknown: Float64
    nonmated: Float64

    @cached_property
    def rates(self) -> IdentificationRates:
        """At the threshold that gives FPIR on these very strangers, with intervals."""
        limit = threshold_for_fpir(self.searches.nonmated, FPIR)
        return identification_rates(self.searches, limit)

    @property
    def rank_one(self) -> Interval:
        """Mated searches with the right person first, whatever the score."""
        return self.rates.rank_one

    def dir_at(self, fpir: float) -> float:
        """The DIR at the threshold that names this share of these strangers, in [0, 1].

        fpir: in (0, 1]; at 1 every best candidate counts: rank 1. Without the interval of `rates`,
        which takes a hundred times as long.
        """
        found = self.searches.all_ranks == 1
        if fpir < 1:
            limit = threshold_for_fpir(self.searches.nonmated, fpir)
            found &= self.searches.mated.accepted(limit)
        return float(found.mean())

    @property
    def mean_dir(self) -> float:
        """Of the DIRs at an FPIR of 1, 10 and 100 %.

        Among a few hundred strangers the DIR at 1 % hangs on two or three of them.
        """
        return sum(map(self.dir_at, (FPIR, 10 * FPIR, 1.0))) / 3


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One embedder before and after, on the same photos. condition: how these look, in words."""

    condition: str
    n: int
    before: Measured
    after: Measured
    dir: DirDifference

    @property
    def verdict(self) -> Verdict:
        """In words; see `Verdict`."""
        if self.dir.low > 0:
            return Verdict.BETTER
        return Verdict.WORSE if self.dir.high < 0 else Verdict.SAME


def measure(panel: PanelTemplates) -> Measured:
    """Search for every probe and every stranger among the gallery.

    A face that was not found counts: a probe as missed, a stranger as not named.
    """
    grid = (panel.probes @ panel.gallery.T).astype(np.float64)
    found = _there(panel.probes)
    rows = np.arange(len(grid))
    own = grid[rows, panel.owners]
    ranks = 1 + (grid > own[:, None]).sum(axis=1)
    best = np.where(found, grid.max(axis=1), -np.inf)
    others = np.ones(grid.shape, bool)
    others[rows, panel.owners] = False
    seen = _there(panel.strangers)
    nearest = (panel.strangers @ panel.gallery.T).astype(np.float64).max(axis=1)
    nearest = np.where(seen, nearest, -np.inf)
    searches = Searches(
        Scores(best, 0, panel.owners), np.where(found, ranks, 0), Scores(nearest),
        len(panel.gallery),
    )  # fmt: skip
    return Measured(
        searches,
        np.where(found, own, np.nan),
        np.where(seen, nearest, np.nan),
        grid[others & found[:, None]],
    )


def compare(
    condition: str, before: PanelTemplates, after: PanelTemplates, seed: int = 0
) -> Comparison:
    """The same panel through two embedders."""
    first, second = measure(before), measure(after)
    difference = dir_difference(first.searches, second.searches, FPIR, seed)
    return Comparison(condition, len(before.gallery), first, second, difference)


def _there(templates: Float32) -> NDArray[np.bool_]:
    """(n,) where there is a template."""
    return np.asarray(templates.any(axis=1), bool)


def mean_angle(scores: Float64 | Sequence[float]) -> float:
    """The mean of the angles behind cosines, degrees; NaN ones left out, NaN where none is left."""
    known = np.asarray(scores, np.float64)
    known = known[np.isfinite(known)]
    return (
        float(np.degrees(np.arccos(np.clip(known, -1, 1))).mean()) if len(known) else float("nan")
    )
