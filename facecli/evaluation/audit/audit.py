"""The checks in turn, and their findings as one list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

import numpy as np

from facecli.evaluation.audit import checks
from facecli.evaluation.audit.blocks import best_other
from facecli.evaluation.audit.evidence import Faces, Mask, chance, unit
from facecli.evaluation.audit.findings import Audit, AuditFinding, FindingKind
from facecli.metrics.reference_table import ReferenceTable
from facecli.storage.records import ReferenceRow

CHANCE_SHARE = 0.5  # the list ends where chance would make more than this share of it
FEW = 3.0  # ... or three rows of a kind by chance, which anyone can look through


def audit(
    references: Sequence[ReferenceRow],
    table: ReferenceTable,
    changed: Iterable[tuple[ReferenceRow, ...]] = (),
    distinct: Set[frozenset[str]] = frozenset(),
) -> Audit:
    """Compare every reference with its own subject and with all others.

    table: the non-mated scores of the embedder that made the references. changed: those of photos
    that are others now, see `photos.changed`. distinct: names of who was said to be two people.
    Findings about who is who come first, by `AuditFinding.expected`, which makes kinds comparable;
    the list of them ends where chance would explain half of it (the step-up rule of Benjamini and
    Hochberg, 1995, at 0.5), at three expected rows at the earliest. Subjects of several people
    follow, then photos that a subject has twice, that have changed and that are poor, the worst
    first. Each fault is told once: what a check has put in doubt, the later ones leave out.
    """
    if not references:
        return Audit((), 0, 0, 0)
    faces = Faces.of(references)
    everything = np.ones(len(references), np.bool_)
    own = faces.own_scores(everything)
    nearest = best_other(faces.vectors, faces.owners, unit(faces.sums(everything)))
    groups = checks.copies(faces)
    free = np.ones_like(everything)
    free[[i for group in groups for i in group]] = False
    by = chance(faces, table, own, nearest[0], free)

    copies = list(checks.same_photo(faces, by, own, groups))
    strays = list(checks.somebody_else(faces, by, own, nearest, free))
    free &= ~_suspects(faces, strays)
    odd = list(checks.outliers(faces, by, free))
    free &= ~_suspects(faces, (f for f in odd if len(f.suspects) == 1))
    twins = list(checks.one_person(faces, by, free, distinct))

    # Two names that have more in common than the photograph are one person's: that row says it.
    told = {frozenset(f.subjects) for f in twins if f.expected <= CHANCE_SHARE}
    copies = [f for f in copies if frozenset(f.subjects) not in told]
    found = _believable([*copies, *strays, *odd, *twins])
    rest = ~_suspects(faces, found)
    unlike = {f.subjects[0] for f in found if f.kind is FindingKind.OUTLIER}
    mixed = checks.several_people(faces, table, rest, unlike)
    found += sorted(mixed, key=lambda f: -len(f.suspects))
    found += checks.doubles(faces, rest)
    found += checks.changed(changed)
    found += checks.low_quality(faces, ~_suspects(faces, found))
    ranked = tuple(replace(f, rank=rank) for rank, f in enumerate(found, 1))
    return Audit(ranked, len(faces.names), len(references), int(np.sum(~np.isnan(own))))


def _suspects(faces: Faces, findings: Iterable[AuditFinding]) -> Mask:
    """(r,) which references are in doubt."""
    doubted = {row.id for finding in findings for row in finding.suspects}
    return np.array([row.id in doubted for row in faces.rows], np.bool_)


def _believable(findings: Sequence[AuditFinding]) -> list[AuditFinding]:
    """By `expected`, as far as the list is worth reading."""
    ordered = sorted(findings, key=lambda f: (f.expected, -abs(f.score)))
    ends = [i for i, f in enumerate(ordered, 1) if f.expected <= max(FEW, CHANCE_SHARE * i)]
    return ordered[: max(ends, default=0)]
