"""The comparisons and searches that went worst, to look at: mostly label faults and poor photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from facecli.common.decision import accepts
from facecli.evaluation.acquire import Acquired
from facecli.evaluation.comparisons import Comparisons
from facecli.evaluation.searches import Found, SearchResults

SHOWN = 12  # of each kind


class MistakeKind(StrEnum):
    """What went wrong, as a heading."""

    NON_MATED = "Two people most alike"
    MATED = "One person least alike"
    STRANGER = "Strangers most like somebody enrolled"
    WRONG_FIRST = "Somebody else ranked first"


@dataclass(frozen=True, slots=True)
class Shown:
    """A face. box: px of the upright photo. subject: the name behind it, empty where unknown."""

    path: str
    box: tuple[float, float, float, float]
    subject: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """Two faces and their cosine; of a search, the probe and the nearest reference of the subject.

    score: what was decided by: of a search, the cosine to the subject's mean template.
    accepted: whether the operating point accepts it; None where there is none.
    """

    kind: MistakeKind
    score: float
    accepted: bool | None
    first: Shown
    second: Shown


def of_comparisons(
    acquired: Acquired, comparisons: Comparisons, names: dict[str, str]
) -> Iterator[Mistake]:
    """The highest non-mated and the lowest mated scores, one of each two people, or person.

    names: path to subject.
    """
    for kind, mated in ((MistakeKind.NON_MATED, False), (MistakeKind.MATED, True)):
        chosen = np.flatnonzero((comparisons.mated == mated) & np.isfinite(comparisons.scores))
        order = np.argsort(comparisons.scores[chosen] * (1 if mated else -1), kind="stable")
        for i in islice(_each_couple(comparisons, chosen[order]), SHOWN):
            yield Mistake(
                kind,
                float(comparisons.scores[i]),
                None,
                _shown(acquired, comparisons.first[i], names),
                _shown(acquired, comparisons.second[i], names),
            )


def _each_couple(comparisons: Comparisons, order: NDArray[np.intp]) -> Iterator[np.intp]:
    """The first comparison of each two people, in order; all of them where nobody is named."""
    seen: set[frozenset[int]] = set()
    for i in order:
        if comparisons.people is not None:
            rows = comparisons.first[i], comparisons.second[i]
            couple = frozenset(int(comparisons.people[row]) for row in rows)
            if couple in seen:
                continue
            seen.add(couple)
        yield i


def of_searches(
    acquired: Acquired, result: SearchResults, names: dict[str, str]
) -> Iterator[Mistake]:
    """The strangers that scored highest, and the mated searches another subject came first in."""
    everyone = np.ones(len(result.strangers.probes), bool)
    yield from _worst(acquired, result, result.strangers, everyone, MistakeKind.STRANGER, names)
    wrong = result.mated.ranks != 1
    yield from _worst(acquired, result, result.mated, wrong, MistakeKind.WRONG_FIRST, names)


def _worst(
    acquired: Acquired,
    result: SearchResults,
    found: Found,
    chosen: NDArray[np.bool_],
    kind: MistakeKind,
    names: dict[str, str],
) -> Iterator[Mistake]:
    rows = np.flatnonzero(chosen & np.isfinite(found.scores))
    for i in rows[np.argsort(-found.scores[rows], kind="stable")[:SHOWN]]:
        theirs = result.gallery.references[result.gallery.owners == found.best[i]]
        nearest = theirs[np.argmax(acquired.vectors[theirs] @ acquired.vectors[found.probes[i]])]
        score = float(found.scores[i])
        yield Mistake(
            kind,
            score,
            bool(accepts(score, result.point.threshold)) if result.point else None,
            _shown(acquired, found.probes[i], names),
            _shown(acquired, nearest, names),
        )


def _shown(acquired: Acquired, row: np.intp, names: dict[str, str]) -> Shown:
    path, face = str(acquired.paths[row]), acquired.faces[row]
    if face is None:
        raise ValueError(f"{path} gave no template and cannot be shown")
    return Shown(path, face.box, names.get(path, ""))
