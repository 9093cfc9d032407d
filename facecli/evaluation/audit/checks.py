"""One check a fault. `free` says which references no earlier check has put in doubt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Set

import numpy as np

from facecli.common.types import Float32, Float64
from facecli.evaluation.audit.blocks import BLOCK, SAME_PICTURE, Groups, Rows, pairs_above
from facecli.evaluation.audit.evidence import Chance, Faces, Mask, middle, unit
from facecli.evaluation.audit.findings import AuditFinding, FindingKind
from facecli.evaluation.several_people import one_of_each
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.quality import DEFAULT_BAR
from facecli.storage.records import ReferenceRow

COPY = 0.95  # cosine: 3 of 3,492 pairs of one person's photos in LFW reach it, and no strangers
DOUBLE = 0.98  # cosine: of 3,488 pairs of one person's photos in LFW none reaches 0.97
LOW = 0.02  # the share of mated scores below which a reference is looked at


def copies(faces: Faces) -> list[list[int]]:
    """References of one photograph under several names: equal files, or too alike to be two."""
    group = Groups(len(faces.rows))
    first: dict[tuple[str, int], int] = {}
    for i in range(len(faces.rows)):
        group.join(first.setdefault(_face_of_photo(faces, i), i), i)
    for _, i, j in pairs_above(faces.vectors, COPY, faces.owners):
        group.join(i, j)
    return [rows for rows in group.several() if len({faces.name(i) for i in rows}) > 1]


def same_photo(
    faces: Faces, chance: Chance, own: Float64, groups: list[list[int]]
) -> Iterator[AuditFinding]:
    """groups: of `copies`."""
    for group in groups:
        rows = sorted(group, key=lambda i: np.nan_to_num(own[i], nan=-1.0))
        score = float((faces.vectors[rows] @ faces.vectors[rows].T).min())
        equal = len({_face_of_photo(faces, i) for i in rows}) == 1
        yield AuditFinding(
            FindingKind.SAME_PHOTO, score, 0.0 if equal else chance.pairs(score),
            tuple(dict.fromkeys(faces.name(i) for i in reversed(rows))), faces.at(rows),
            own_score=float(own[rows[-1]]), false_alarm=chance.shown_alarm(score),
        )  # fmt: skip


def _face_of_photo(faces: Faces, i: int) -> tuple[str, int]:
    return faces.rows[i].photo_sha256, faces.rows[i].face_index


def somebody_else(
    faces: Faces, chance: Chance, own: Float64, nearest: tuple[Float32, Rows], free: Mask
) -> Iterator[AuditFinding]:
    """Nearer to another subject than to the rest of its own, while that rest is not.

    nearest: of `best_other`.
    """
    if chance.n < 2:
        return
    (best, who), everything = nearest, np.ones_like(free)
    bar, sums = chance.notable(), faces.sums(everything)
    templates = unit(sums)
    for i in map(int, np.flatnonzero(free & ~np.isnan(own) & (best >= bar))):
        score, other = float(best[i]), int(who[i])
        rest = unit((sums[faces.owners[i]] - faces.vectors[i])[None])[0]
        if rest @ faces.vectors[i] >= score or rest @ templates[other] >= bar:
            continue  # its own are nearer, or they are all like the other: one person
        alike = faces.subject(other, everything)
        alike = alike[[int(np.argmax(faces.vectors[alike] @ faces.vectors[i]))]]
        yield AuditFinding(
            FindingKind.SOMEBODY_ELSE, score, chance.r * _both(chance, score, float(own[i])),
            (faces.name(i), faces.names[other]), faces.at([i]), faces.at(alike),
            float(own[i]), chance.shown_alarm(score),
        )  # fmt: skip


def _both(chance: Chance, score: float, own: float) -> float:
    """The chance of being so like another and so unlike one's own.

    Two independent chances multiply to q or less with probability q (1 - ln q) (Fisher).
    """
    q = chance.false_alarm(score) * float(chance.low(own))
    return q * (1 - float(np.log(q))) if q > 0 else 0.0


def outliers(faces: Faces, chance: Chance, free: Mask) -> Iterator[AuditFinding]:
    """References unlike the rest of their subject."""
    own = faces.own_scores(free)
    low = free & ~np.isnan(own)
    low[low] = chance.low(own[low]) <= LOW
    for subject in np.unique(faces.owners[low]):
        yield from _peeled(faces, chance, faces.subject(int(subject), free))


def _peeled(faces: Faces, chance: Chance, rows: Rows) -> Iterator[AuditFinding]:
    """The worst of a subject's references first; the others are judged without it."""
    while len(rows) > 1:
        scores = middle(faces.vectors[rows])
        worst, typical = int(np.argmin(scores)), int(np.argmax(scores))
        score, only_two = float(scores[worst]), len(rows) == 2
        share = float(chance.low(score))
        if share > LOW:
            return
        # Of two references nobody can say which one is wrong.
        suspects, beside = (rows, rows[:0]) if only_two else (rows[[worst]], rows[[typical]])
        yield AuditFinding(
            FindingKind.OUTLIER, score, chance.r * share, (faces.name(rows[0]),),
            faces.at(suspects), faces.at(beside), own_score=score,
        )  # fmt: skip
        rows = np.delete(rows, worst)


def one_person(
    faces: Faces, chance: Chance, free: Mask, distinct: Set[frozenset[str]] = frozenset()
) -> Iterator[AuditFinding]:
    """Subjects whose templates are too alike for strangers', and alike enough for one person's.

    k names of one person take k - 1 rows. distinct: names of who was said to be two people.
    """
    counts = faces.counts(free)
    there = np.flatnonzero(counts)
    if len(there) < 2:
        return
    templates = unit(faces.sums(free)[there])
    bar = chance.notable()
    joined = Groups(len(there))
    for score, i, j in pairs_above(templates, bar, there):
        names = frozenset(faces.names[there[k]] for k in (i, j))
        if chance.low(score) <= LOW or names in distinct or not joined.join(i, j):
            continue
        more, fewer = sorted((there[i], there[j]), key=lambda s: (-counts[s], s))
        a, b = faces.subject(fewer, free), faces.subject(more, free)
        at = int(np.argmax(faces.vectors[a] @ faces.vectors[b].T))
        yield AuditFinding(
            FindingKind.ONE_PERSON, score, chance.pairs(score),
            (faces.names[more], faces.names[fewer]), faces.at([a[at // len(b)]]),
            faces.at([b[at % len(b)]]), false_alarm=chance.shown_alarm(score),
        )  # fmt: skip


def several_people(
    faces: Faces, table: ReferenceTable, free: Mask, told: Iterable[str]
) -> Iterator[AuditFinding]:
    """Subjects that enrolment, too, takes for an album: no chain of likeness joins their faces.

    Held against the embedder's own table, so that it shows where a gallery's few people have no
    scores to be unlike. told: subjects of whom another check says what does not belong to them.
    """
    good = free & np.array([row.face.quality >= DEFAULT_BAR for row in faces.rows])
    for code in set(np.flatnonzero(faces.counts(good) > 1)):
        rows = faces.subject(int(code), good)
        if faces.names[code] in told:
            continue
        people = rows[one_of_each(faces.vectors[rows], table)]
        if len(people) > 1:
            alike = np.triu(faces.vectors[people] @ faces.vectors[people].T, 1)
            yield AuditFinding(
                FindingKind.SEVERAL_PEOPLE, float(alike.max()), math.nan,
                (faces.names[code],), faces.at(people),
            )  # fmt: skip


def doubles(faces: Faces, free: Mask) -> Iterator[AuditFinding]:
    """Photographs that one subject has twice: all but the first of each are in doubt."""
    order = np.flatnonzero(free)[np.argsort(faces.owners[free], kind="stable")]
    for rows in np.split(order, np.flatnonzero(np.diff(faces.owners[order])) + 1):
        group = Groups(len(rows))
        for start in range(0, len(rows), BLOCK):
            alike = faces.vectors[rows[start : start + BLOCK]] @ faces.vectors[rows].T >= DOUBLE
            for i, j in np.argwhere(alike):
                group.join(int(i) + start, int(j))
        for members in group.several():
            first, *others = rows[members]
            score = float((faces.vectors[others] @ faces.vectors[first]).min())
            yield AuditFinding(
                FindingKind.DOUBLE, score, 0.0 if score >= SAME_PICTURE else math.nan,
                (faces.name(first),), faces.at(others), faces.at([first]),
            )  # fmt: skip


def changed(rows: Iterable[tuple[ReferenceRow, ...]]) -> Iterator[AuditFinding]:
    """rows: of `photos.changed`."""
    for some in rows:
        yield AuditFinding(FindingKind.CHANGED, math.nan, math.nan, (some[0].subject,), some)


def low_quality(faces: Faces, free: Mask) -> Iterator[AuditFinding]:
    """References that enrolment would refuse today, the worst first."""
    quality = np.array([row.face.quality for row in faces.rows])
    poor = np.flatnonzero(free & (quality < DEFAULT_BAR))
    for i in poor[np.argsort(quality[poor], kind="stable")]:
        yield AuditFinding(
            FindingKind.LOW_QUALITY, float(quality[i]), math.nan, (faces.name(i),), faces.at([i])
        )
