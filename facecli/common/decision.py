"""Policy: candidates and an operating point make a decision. Retrieval ranks; this accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from facecli.common.enums import Outcome
from facecli.common.types import (
    Candidate,
    Decision,
    FailureToAcquire,
    OperatingPoint,
    Probe,
    Rival,
)


@overload
def accepts(score: float, threshold: float) -> bool: ...
@overload
def accepts(score: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]: ...
def accepts(score: float | NDArray[np.floating], threshold: float) -> bool | NDArray[np.bool_]:
    """True where a score is at or above the threshold: the only place that compares the two.

    NaN is never accepted.
    """
    return score >= threshold


def told_apart(best: Candidate, rival: Rival | None) -> bool:
    """Whether the best candidate's score is so much higher that it is they, and not the rival."""
    return rival is None or accepts(best.score - rival.candidate.score, rival.margin)


def decide(
    probe: Probe,
    candidates: Sequence[Candidate],
    point: OperatingPoint,
    threshold: float,
    false_alarm: float = float("nan"),
    flaw: FailureToAcquire | None = None,
    possible_point: OperatingPoint | None = None,
    possible_threshold: float = float("nan"),
    rival: Rival | None = None,
    doubt: FailureToAcquire | None = None,
) -> Decision:
    """Accept the best candidate, or say unknown; neither of a face of low quality.

    candidates: best first. threshold: the one that applies to this face. false_alarm: see
    `types.Decision`. flaw: what is wrong with the face: a threshold says nothing of such faces, for
    they can be alike whoever they show. possible_point, possible_threshold: a laxer one; who is
    between the two is possible, and never identified. rival: of the best candidate; where they are
    not told apart, both are possible. doubt: why whoever reaches the threshold is possible at most.
    """
    best = candidates[0] if candidates else None
    somebody = best is not None and accepts(best.score, threshold) and flaw is None
    apart = best is None or told_apart(best, rival)
    identified = somebody and apart and doubt is None
    leads = tuple(c for c in candidates if accepts(c.score, possible_threshold))
    if somebody and not apart and best is not None and rival is not None:
        leads = (best, rival.candidate)
        candidates = [*candidates, *(c for c in leads if c not in candidates)]
    else:
        rival = None
        leads = leads or tuple(c for c in candidates if accepts(c.score, threshold))
    possible = () if identified or flaw else leads
    if flaw is not None:
        outcome = Outcome.LOW_QUALITY
    elif identified:
        outcome = Outcome.IDENTIFIED
    else:
        outcome = Outcome.POSSIBLE if possible else Outcome.UNKNOWN
    return Decision(
        probe=probe,
        outcome=outcome,
        candidates=tuple(candidates),
        operating_point=point,
        threshold=threshold,
        subject=best.subject if best is not None and identified else None,
        false_alarm=false_alarm,
        failure=flaw or (doubt if somebody else None),
        possible=possible,
        possible_threshold=possible_threshold,
        possible_point=possible_point,
        rival=rival,
    )
