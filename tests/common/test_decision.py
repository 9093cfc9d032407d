"""The one place that accepts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecli.common.decision import accepts, decide
from facecli.common.enums import Basis, Outcome, Reason, Target
from facecli.common.types import Candidate, FailureToAcquire, OperatingPoint, Probe, Rival

PROBE = Probe("a.jpg", 0)
BEST = (Candidate(1, "Grace Hopper", 7, 0.5), Candidate(2, "Eileen Collins", 3, 0.2))


def point(threshold: float) -> OperatingPoint:
    nan = math.nan
    return OperatingPoint(threshold, Basis.BY_HAND, Target.NONE, nan, nan, nan, nan, 2, "e", "")


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_at_the_threshold_is_accepted_and_just_below_is_not(score: float, other: float) -> None:
    assert accepts(score, score)
    assert not accepts(math.nextafter(score, -2), score)
    assert accepts(math.nextafter(score, 2), score)
    assert accepts(np.array([score, other]), other).tolist() == [score >= other, True]


def test_nan_is_never_accepted() -> None:
    assert not accepts(math.nan, -1.0)
    assert not accepts(1.0, math.nan)
    assert accepts(np.array([math.nan, 1.0]), -1.0).tolist() == [False, True]


@pytest.mark.parametrize(("threshold", "subject"), [(0.5, "Grace Hopper"), (0.5000001, None)])
def test_the_best_candidate_or_nobody(threshold: float, subject: str | None) -> None:
    decision = decide(PROBE, BEST, point(0.1), threshold, 0.03)
    assert decision.subject == subject
    assert decision.outcome is (Outcome.IDENTIFIED if subject else Outcome.UNKNOWN)
    assert decision.candidates == BEST  # shown, whatever their scores
    assert decision.threshold == threshold, "the one of this face"
    assert decision.operating_point.threshold == 0.1
    assert decision.false_alarm == 0.03
    assert decision.probe is PROBE


TWIN = Candidate(2, "Eileen Collins", 3, 0.2)
APART = BEST[0].score - TWIN.score


@pytest.mark.parametrize(
    ("threshold", "margin", "outcome"),
    [
        (0.5, APART, Outcome.IDENTIFIED), (0.5, math.nextafter(APART, 1), Outcome.POSSIBLE),
        (0.5, math.nan, Outcome.POSSIBLE), (0.6, 0.1, Outcome.UNKNOWN),
    ],
)  # fmt: skip
def test_one_of_two_is_named_only_where_the_other_is_as_much_less_alike(
    threshold: float, margin: float, outcome: Outcome
) -> None:
    rival = Rival(TWIN, margin)
    decision = decide(PROBE, BEST, point(0.5), threshold, 0.03, rival=rival)
    assert decision.outcome is outcome
    assert decision.subject == ("Grace Hopper" if outcome is Outcome.IDENTIFIED else None)
    too_close = outcome is Outcome.POSSIBLE
    assert decision.possible == (BEST if too_close else ())
    assert decision.rival == (rival if too_close else None)
    flaw = FailureToAcquire("a.jpg", Reason.LOW_QUALITY, "blurred")
    poor = decide(PROBE, BEST, point(0.5), threshold, 0.03, flaw, rival=rival)
    assert (poor.outcome, poor.possible, poor.rival) == (Outcome.LOW_QUALITY, (), None)


def test_the_other_of_two_is_shown_however_few_candidates_were_asked_for() -> None:
    third = Candidate(3, "Third", 9, 0.4)
    decision = decide(PROBE, BEST[:1], point(0.5), 0.5, rival=Rival(third, 0.2))
    assert decision.candidates == (BEST[0], third) == decision.possible
    leads = decide(PROBE, BEST, point(0.5), 0.5, 0.03, None, point(0.1), 0.1, Rival(third, 0.2))
    assert leads.possible == (BEST[0], third), "surely one of them, and nobody else"


CHILD = FailureToAcquire("a.jpg", Reason.SMALL_CHILD, "alike")


def test_who_is_like_a_small_child_is_possible_and_nobody_is_named() -> None:
    decision = decide(PROBE, BEST, point(0.5), 0.5, doubt=CHILD)
    assert (decision.outcome, decision.subject) == (Outcome.POSSIBLE, None)
    assert (decision.possible, decision.failure) == (BEST[:1], CHILD)
    assert decision.to_dict()["reason"] == "a small child's face"
    both = decide(PROBE, BEST, point(0.5), 0.2, doubt=CHILD)
    assert both.possible == BEST, "all who reach the threshold"
    lax = decide(PROBE, BEST, point(0.5), 0.5, 0.03, None, point(0.1), 0.1, doubt=CHILD)
    assert (lax.possible, lax.failure) == (BEST, CHILD)
    flaw = FailureToAcquire("a.jpg", Reason.LOW_QUALITY, "blurred")
    poor = decide(PROBE, BEST, point(0.5), 0.5, flaw=flaw, doubt=CHILD)
    assert (poor.outcome, poor.failure, poor.possible) == (Outcome.LOW_QUALITY, flaw, ())
    rival = Rival(TWIN, 0.1)
    apart = decide(PROBE, BEST, point(0.5), 0.5, rival=rival, doubt=CHILD)
    assert (apart.outcome, apart.possible, apart.rival) == (Outcome.POSSIBLE, BEST[:1], None)
    close = decide(PROBE, BEST, point(0.5), 0.5, rival=Rival(TWIN, 0.4), doubt=CHILD)
    assert (close.possible, close.failure) == (BEST, CHILD)


def test_a_small_child_who_is_like_nobody_is_unknown() -> None:
    decision = decide(PROBE, BEST, point(0.6), 0.6, doubt=CHILD)
    assert (decision.outcome, decision.possible, decision.failure) == (Outcome.UNKNOWN, (), None)
    lax = decide(PROBE, BEST, point(0.6), 0.6, 0.03, None, point(0.2), 0.5, doubt=CHILD)
    assert (lax.outcome, lax.possible, lax.failure) == (Outcome.POSSIBLE, BEST[:1], None)


def test_nobody_to_choose_from() -> None:
    decision = decide(PROBE, (), point(-1), -1)
    assert (decision.outcome, decision.subject, decision.candidates) == (Outcome.UNKNOWN, None, ())
    assert math.isnan(decision.false_alarm)


def test_a_score_that_is_not_a_number_identifies_nobody() -> None:
    decision = decide(PROBE, [Candidate(1, "Grace Hopper", 7, math.nan)], point(-1), -1)
    assert (decision.outcome, decision.subject) == (Outcome.UNKNOWN, None)


@pytest.mark.parametrize(
    ("threshold", "lax", "outcome", "leads"),
    [
        (0.6, 0.5, Outcome.POSSIBLE, BEST[:1]), (0.6, 0.2, Outcome.POSSIBLE, BEST),
        (0.6, 0.5000001, Outcome.UNKNOWN, ()), (0.5, 0.2, Outcome.IDENTIFIED, ()),
        (0.6, math.nan, Outcome.UNKNOWN, ()),
    ],
)  # fmt: skip
def test_between_the_thresholds_somebody_is_possible_and_nobody_identified(
    threshold: float, lax: float, outcome: Outcome, leads: tuple[Candidate, ...]
) -> None:
    decision = decide(PROBE, BEST, point(0.6), threshold, 0.03, None, point(0.2), lax)
    assert (decision.outcome, decision.possible) == (outcome, leads)
    assert (decision.subject is None) == (outcome is not Outcome.IDENTIFIED)
    flaw = FailureToAcquire("a.jpg", Reason.LOW_QUALITY, "blurred")
    poor = decide(PROBE, BEST, point(0.6), threshold, 0.03, flaw, point(0.2), lax)
    assert (poor.outcome, poor.possible) == (Outcome.LOW_QUALITY, ())


@pytest.mark.parametrize("threshold", [0.4, 0.6])
def test_a_flaw_keeps_a_face_from_a_name_and_its_candidates_are_shown(threshold: float) -> None:
    flaw = FailureToAcquire("a.jpg", Reason.DEGENERATE, "blurred")
    decision = decide(PROBE, BEST, point(threshold), threshold, flaw=flaw)
    assert (decision.outcome, decision.subject) == (Outcome.LOW_QUALITY, None)
    assert decision.failure is flaw
    assert decision.candidates == BEST
