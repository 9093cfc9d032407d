"""What the rules for a threshold make of one gallery. Not a benchmark itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from facecli.common.decision import accepts
from facecli.common.types import OperatingPoint
from facecli.metrics import gallery_fit
from facecli.metrics.crowd import crowd
from facecli.metrics.face_kinds import FaceKind, FaceKinds
from facecli.metrics.gallery_fit import Observed
from facecli.metrics.identification import threshold_for_fpir
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
    """vectors: (r, d) references. owners: (r,) the row in `templates` of each one's subject.

    children: what tells small children's; None where the embedder ships nothing that does.
    """

    vectors: np.ndarray
    owners: np.ndarray
    templates: np.ndarray
    children: FaceKind | None

    @classmethod
    def of(cls, references: np.ndarray, children: FaceKind | None) -> Gallery:
        """references: (n, k, d), k for each of n subjects."""
        n, k, d = references.shape
        means = np.stack([mean_template(list(vectors)) for vectors in references])
        return cls(references.reshape(n * k, d), np.repeat(np.arange(n), k), means, children)


@dataclass(frozen=True, slots=True)
class Realised:
    """What the strangers and the enrolled met with. fpir, dir: by rule.

    best_dir: with the threshold that gives the target FPIR on these very strangers, in hindsight.
    lost: (q,) of each mated search, 1 where that finds and facecli does not, -1 the other way.
    """

    enrolled: int
    fpir: dict[Rule, float]
    dir: dict[Rule, float]
    best_dir: float
    lost: np.ndarray


def observed(gallery: Gallery, table: ReferenceTable) -> Observed | None:
    """What each of its people finds among the others. table: the embedder's."""
    references = gallery.vectors, gallery.owners, gallery.templates
    return gallery_fit.observe(*references, (), FaceKinds(table.crowding, gallery.children))


def point_of(
    table: ReferenceTable, own: Observed | None, n: int, target: float = TARGET
) -> OperatingPoint:
    """facecli's own operating point, as shipped, with this table as the embedder's.

    own: of `observed`, for n subjects.
    """
    inputs = operating_point.ThresholdInputs("benchmark", n, built_in=table, own_scores=own)
    return operating_point.at_fpir(inputs, target)


def named(
    point: OperatingPoint, table: ReferenceTable, probes: np.ndarray, templates: np.ndarray
) -> np.ndarray:
    """(m,) which searches for (m, d) probes among (n, d) templates it names somebody in.

    table: the one that the point was made from.
    """
    scores = probes @ templates.T
    taken_off = point.crowd.share(crowd(scores), table.kinds(probes)) if point.crowd else 0.0
    return accepts(scores.max(axis=1) - taken_off, point.threshold)


def accepted(table: ReferenceTable, gallery: Gallery, probes: np.ndarray) -> dict[Rule, np.ndarray]:
    """Which of (m, d) probes each rule names somebody for, for a target FPIR of 1 %.

    facecli's rule through `operating_point`, as shipped.
    """
    n, best = len(gallery.templates), (probes @ gallery.templates.T).max(axis=1)
    point = point_of(table, observed(gallery, table), n)
    return {
        Rule.FACECLI: named(point, table, probes, gallery.templates),
        Rule.TABLE: accepts(best, table.threshold(TARGET, n)),
        Rule.FMR: accepts(best, table.score(TARGET)),
        Rule.L2: accepts(best, 1 - 1.5**2 / 2),
    }


def fpirs(table: ReferenceTable, gallery: Gallery, strangers: np.ndarray) -> dict[Rule, float]:
    """The share of (m, d) strangers that each rule names."""
    named = accepted(table, gallery, strangers)
    return {rule: float(some.mean()) for rule, some in named.items()}


def realised(
    table: ReferenceTable,
    gallery: Gallery,
    strangers: np.ndarray,
    mated: np.ndarray,
    owners: np.ndarray,
) -> Realised:
    """strangers: (m, d). mated: (q, d) probes of the subjects `owners` (q,)."""
    scores = mated @ gallery.templates.T
    best, own = scores.max(axis=1), scores[np.arange(len(mated)), owners]
    first = own >= best
    hindsight = threshold_for_fpir((strangers @ gallery.templates.T).max(axis=1), TARGET)
    found = {rule: some & first for rule, some in accepted(table, gallery, mated).items()}
    at_best = accepts(best, hindsight) & first
    return Realised(
        len(gallery.templates),
        fpirs(table, gallery, strangers),
        {rule: float(some.mean()) for rule, some in found.items()},
        float(at_best.mean()),
        at_best.astype(float) - found[Rule.FACECLI],
    )
