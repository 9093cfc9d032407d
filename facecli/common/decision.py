"""Policy: candidates and an operating point make a decision. Retrieval ranks; this accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from facecli.common.enums import Outcome
from facecli.common.types import Candidate, Decision, FailureToAcquire, OperatingPoint, Probe


@overload
def accepts(score: float, threshold: float) -> bool: ...
@overload
def accepts(score: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]: ...
def accepts(score: float | NDArray[np.floating], threshold: float) -> bool | NDArray[np.bool_]:
    """True where a score is at or above the threshold: the only place that compares the two.

    NaN is never accepted.
    """
    return score >= threshold


def decide(
    probe: Probe,
    candidates: Sequence[Candidate],
    point: OperatingPoint,
    threshold: float,
    false_alarm: float = float("nan"),
    flaw: FailureToAcquire | None = None,
) -> Decision:
    """Accept the best candidate, or say unknown; neither of a face of low quality.

    candidates: best first. threshold: the one that applies to this face. false_alarm: see
    `types.Decision`. flaw: what is wrong with the face: a threshold says nothing of such faces, for
    they can be alike whoever they show.
    """
    best = candidates[0] if candidates else None
    reached = best is not None and accepts(best.score, threshold)
    identified = reached and flaw is None
    rejected = Outcome.UNKNOWN if flaw is None else Outcome.LOW_QUALITY
    return Decision(
        probe=probe,
        outcome=Outcome.IDENTIFIED if identified else rejected,
        candidates=tuple(candidates),
        operating_point=point,
        threshold=threshold,
        subject=best.subject if best is not None and identified else None,
        false_alarm=false_alarm,
        failure=flaw,
    )
