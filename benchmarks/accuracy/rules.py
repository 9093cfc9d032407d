"""What the rules for a threshold make of one gallery. Not a benchmark itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from facecli.metrics import gallery_fit
from facecli.metrics.identification import threshold_for_fpir
from facecli.metrics.rates import Scores
from facecli.metrics.reference_table import ReferenceTable
from facecli.storage.records import mean_template
from facecli.threshold import operating_point

TARGET = 0.01


class Rule(StrEnum):
    """Ways to come by a threshold."""

    FACECLI = "facecli"
    TABLE = "table alone"
    FMR = "fixed FMR 1 %"
    L2 = "L2 < 1.5"


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """vectors: (r, d) references. owners: (r,) the row in `templates` of each one's subject."""

    vectors: np.ndarray
    owners: np.ndarray
    templates: np.ndarray

    @classmethod
    def of(cls, references: np.ndarray) -> Gallery:
        """references: (n, k, d), k for each of n subjects."""
        n, k, d = references.shape
        means = np.stack([mean_template(list(vectors)) for vectors in references])
        return cls(references.reshape(n * k, d), np.repeat(np.arange(n), k), means)


@dataclass(frozen=True, slots=True)
class Realised:
    """What the strangers and the enrolled met with. fpir, dir: by rule.

    best_dir: with the threshold that gives the target FPIR on these very strangers, in hindsight.
    """

    enrolled: int
    fpir: dict[Rule, float]
    dir: dict[Rule, float]
    best_dir: float


def thresholds(table: ReferenceTable, gallery: Gallery) -> dict[Rule, float]:
    """Each rule's cosine for a target FPIR of 1 %; facecli's as `operating_point` has it."""
    n = len(gallery.templates)
    observed = gallery_fit.observe(gallery.vectors, gallery.owners, gallery.templates)
    inputs = operating_point.ThresholdInputs("benchmark", n, built_in=table, own_scores=observed)
    return {
        Rule.FACECLI: operating_point.at_fpir(inputs, TARGET).threshold,
        Rule.TABLE: table.threshold(TARGET, n),
        Rule.FMR: table.score(TARGET),
        Rule.L2: 1 - 1.5**2 / 2,
    }


def fpirs(table: ReferenceTable, gallery: Gallery, strangers: np.ndarray) -> dict[Rule, float]:
    """The share of (m, d) strangers that each rule names."""
    best = Scores((strangers @ gallery.templates.T).max(axis=1))
    return {
        rule: float(best.accepted(threshold).mean())
        for rule, threshold in thresholds(table, gallery).items()
    }


def realised(
    table: ReferenceTable,
    gallery: Gallery,
    strangers: np.ndarray,
    mated: np.ndarray,
    owners: np.ndarray,
) -> Realised:
    """strangers: (m, d). mated: (q, d) probes of the subjects `owners` (q,)."""
    scores = mated @ gallery.templates.T
    best, own = Scores(scores.max(axis=1)), scores[np.arange(len(mated)), owners]
    first = own >= best.values

    def found(threshold: float) -> float:
        return float((best.accepted(threshold) & first).mean())

    hindsight = threshold_for_fpir((strangers @ gallery.templates.T).max(axis=1), TARGET)
    dirs = {rule: found(t) for rule, t in thresholds(table, gallery).items()}
    named = fpirs(table, gallery, strangers)
    return Realised(len(gallery.templates), named, dirs, found(hindsight))
