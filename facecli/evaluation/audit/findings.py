"""What an audit tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from facecli.storage.records import ReferenceRow


class FindingKind(StrEnum):
    """What a finding says."""

    SAME_PHOTO = "same photograph"
    ONE_PERSON = "one person"
    SOMEBODY_ELSE = "somebody else"
    OUTLIER = "outlier"
    SEVERAL_PEOPLE = "several people"
    DOUBLE = "same photograph twice"
    CHANGED = "its photo has changed"
    LOW_QUALITY = "low quality"


@dataclass(frozen=True, slots=True, eq=False)
class AuditFinding:
    """One fault, on one row.

    score: cosine; for LOW_QUALITY the quality in [0, 1], for CHANGED NaN; for SEVERAL_PEOPLE the
        best between any two of the suspects.
    expected: how many rows of this kind, as strong or stronger, chance alone makes in a gallery
        of this size whose labels are all right; NaN for SEVERAL_PEOPLE, LOW_QUALITY and CHANGED,
        and for a DOUBLE that is not the very same picture.
    subjects: whom it is about. SAME_PHOTO: best fit first. ONE_PERSON: most references first.
        SOMEBODY_ELSE: under whose name it stands, then whom it looks like.
    suspects: the references in doubt; several where it cannot be told which one is wrong, the
        one that fits its subject worst first; SEVERAL_PEOPLE: one of each person. beside: what to
        look at next to them.
    own_score: SOMEBODY_ELSE, OUTLIER: the suspect's median cosine to the other references of its
        subject; SAME_PHOTO: that of the one that fits best. NaN where there are no others.
    false_alarm: the chance that a stranger scores as high against this gallery, or NaN.
    """

    kind: FindingKind
    score: float
    expected: float
    subjects: tuple[str, ...]
    suspects: tuple[ReferenceRow, ...]
    beside: tuple[ReferenceRow, ...] = ()
    own_score: float = float("nan")
    false_alarm: float = float("nan")
    rank: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """findings: most certain first, ranked from 1. subjects, references: how many were looked at.

    mated: references that were judged against others of their subject.
    """

    findings: tuple[AuditFinding, ...]
    subjects: int
    references: int
    mated: int
