"""The user's own pairs to a threshold: measured where they are many, a shift where they are few."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facecli.common.enums import Basis, Target
from facecli.common.errors import CalibrationError, UsageError
from facecli.common.names import name_key
from facecli.common.timestamp import now
from facecli.common.types import FailureToAcquire, Float32, OperatingPoint
from facecli.datasets.pairs import Pair, Pairs
from facecli.metrics.by_subject import dyadic_design_effect
from facecli.metrics.intervals import rule_of_three, trials_for_rule_of_30
from facecli.metrics.rates import Scores
from facecli.metrics.reference_table import ReferenceTable, from_scores
from facecli.metrics.verification import VerificationRates, error_rates
from facecli.recognition.pipeline import Extractor
from facecli.storage.records import CalibrationRow
from facecli.threshold import operating_point
from facecli.threshold.operating_point import ThresholdInputs

FEWEST_NONMATED = 30  # for a shift: its standard error is then about 0.02 of cosine
FEW_PEOPLE = 30  # below, a design effect is itself a guess
FEWEST_ORDERED = 5  # pairs of each kind, from which their order shows labels the wrong way round
MANY_MISSED = 0.2  # FNMR, above which something is wrong with the photos or the labels
SHOWN_FMR = (0.1, 0.01, 0.001, 0.0001)


@dataclass(frozen=True, slots=True, eq=False)
class TrialScores:
    """What the pairs came to. failures: every photo that gave no template, once.

    A pair with such a photo stays among the trials, as failed: a mated one counts against FNMR,
    a non-mated one as rejected.
    """

    mated: Scores
    nonmated: Scores
    failures: tuple[FailureToAcquire, ...]
    photos: int


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A threshold with what was measured for it.

    before: what was in force until now, None where nothing was. rates: FMR and FNMR at the chosen
    threshold. others: the same at other thresholds, rising. table: the non-mated scores behind the
    threshold. shift: by how much the pairs move the embedder's table, None where they stand alone.
    remarks: what the data can and cannot show.
    """

    point: OperatingPoint
    before: OperatingPoint | None
    rates: VerificationRates
    others: tuple[VerificationRates, ...]
    table: ReferenceTable
    shift: float | None
    scores: TrialScores
    remarks: tuple[str, ...]

    @property
    def choice(self) -> CalibrationRow:
        """As the gallery stores it."""
        p = self.point
        return CalibrationRow(
            p.basis, p.target, p.target_rate, None, self.table.to_json(), p.made_from, p.made_at
        )


def calibrate(
    extractor: Extractor,
    pairs: Pairs,
    inputs: ThresholdInputs,
    target: Target,
    rate: float,
    workers: int | None = None,
) -> Calibration:
    """Measure the pairs and choose the threshold for `rate` of `target` among n subjects.

    With 30 expected errors in the non-mated pairs at the FMR needed (rule of 30, counting pairs
    that share people for less) they stand alone; with fewer, their mean shifts the embedder's
    reference table, an estimate. Raises CalibrationError where the pairs can support neither, the
    labels are the wrong way round, n is 0 for an FPIR, or no cosine is high enough; UsageError for
    a rate outside (0, 1).
    """
    if not 0 < rate < 1:
        raise UsageError(f"the target is a rate between 0 and 1, not {rate}: 0.01 is 1 %")
    n = inputs.n
    if target is Target.FPIR and n == 0:
        raise CalibrationError(
            "an FPIR depends on how many subjects are enrolled, and the gallery is empty: "
            "enrol first, or give --target-fmr"
        )
    needed = rate if target is Target.FMR else -float(np.expm1(np.log1p(-rate) / n))
    # Counted before the photos are looked at: that takes long.
    if problem := _too_few(sum(not p.mated for p in pairs.pairs), inputs.built_in, needed):
        raise CalibrationError(problem)
    scores = measure(extractor, pairs.pairs, workers)
    if problem := wrong_way_round(scores.mated, scores.nonmated):
        raise CalibrationError(problem)
    table, basis, remarks = _table(scores, inputs.built_in, needed)
    measured = replace(inputs, built_in=table, choice=None)
    point = operating_point.at(measured, target, rate, basis, now())
    thresholds = sorted({round(table.score(fmr), 4) for fmr in SHOWN_FMR})
    rates = error_rates(scores.mated, scores.nonmated, point.threshold)
    shifted = inputs.built_in if basis is Basis.SHIFTED_TABLE else None
    return Calibration(
        point,
        operating_point.before(inputs),
        rates,
        tuple(error_rates(scores.mated, scores.nonmated, t) for t in thresholds),
        table,
        table.mean() - shifted.mean() if shifted else None,
        scores,
        (*remarks, *_doubtful(rates, needed, point)),
    )


def measure(extractor: Extractor, pairs: Sequence[Pair], workers: int | None = None) -> TrialScores:
    """Cosines of the largest faces, every photo read once, through the one extraction path."""
    paths = list(dict.fromkeys(p for pair in pairs for p in (pair.first, pair.second)))
    vectors: dict[Path, Float32] = {}
    failures: list[FailureToAcquire] = []
    for path, photo in zip(paths, extractor.photos(paths, workers), strict=True):
        if isinstance(photo, FailureToAcquire):
            failures.append(photo)
        elif photo.faces:
            vectors[path] = photo.faces[0].template.vector
        else:
            failures.append(photo.without_face())
    return TrialScores(
        _scores([p for p in pairs if p.mated], vectors),
        _scores([p for p in pairs if not p.mated], vectors),
        tuple(failures),
        len(paths),
    )


def _scores(pairs: Sequence[Pair], vectors: dict[Path, Float32]) -> Scores:
    usable = [p for p in pairs if p.first in vectors and p.second in vectors]
    values = np.array([vectors[p.first] @ vectors[p.second] for p in usable], np.float32)
    failed = len(pairs) - len(usable)
    people = [p.subjects for p in usable if p.subjects is not None]
    if not usable or len(people) < len(usable):
        return Scores(values, failed)
    first, second = (np.array([names[side] for names in people]) for side in (0, 1))
    return Scores(values, failed, first, None if usable[0].mated else second)


def enrolled_among(pairs: Pairs, names: Iterable[str]) -> tuple[str, ...]:
    """Which of the people on the pairs' photos are enrolled under their names; sorted."""
    people = {name_key(name) for pair in pairs.pairs if pair.subjects for name in pair.subjects}
    return tuple(sorted(name for name in names if name_key(name) in people))


def _table(
    scores: TrialScores, built_in: ReferenceTable | None, needed: float
) -> tuple[ReferenceTable, Basis, tuple[str, ...]]:
    """The non-mated scores to choose from, whose they are, and what is to be said about it."""
    values = scores.nonmated.values
    people = _people(scores.nonmated)
    who = f"{scores.mated.trials} mated and {scores.nonmated.trials} non-mated pairs"
    independent = _independent(scores.nonmated, needed)
    if independent >= trials_for_rule_of_30(needed):
        return from_scores(values, people, who), Basis.PAIRS, _few(people)
    problem = _too_few(len(values), built_in, needed, independent)
    if problem or built_in is None:
        raise CalibrationError(problem)
    shift = float(np.mean(values)) - built_in.mean()
    made_from = f"{who}; {built_in.made_from}, shifted by {shift:+.4f}"
    remark = (
        f"{_shown(len(values), people, independent, needed)}: the embedder's reference table, "
        f"shifted by {shift:+.4f}, is used instead"
    )
    return built_in.shifted(shift, made_from), Basis.SHIFTED_TABLE, (remark,)


def _too_few(
    count: int, built_in: ReferenceTable | None, needed: float, independent: float | None = None
) -> str:
    """Why so many non-mated pairs can neither stand alone nor shift a table; empty if they can.

    independent: what they count for, where some share people; None before that is known.
    """
    alone = trials_for_rule_of_30(needed)
    are = "is" if count == 1 else "are"
    pairs = f"{count:,} {'pair' if count == 1 else 'pairs'} of different people"
    if built_in is not None:
        enough = count >= FEWEST_NONMATED  # to stand alone always takes more
        return "" if enough else f"{pairs} {are} too few: give at least {FEWEST_NONMATED}"
    worth = count if independent is None else independent
    shared = "" if worth == count else f", which share people and count as {worth:,.0f},"
    return (
        ""
        if worth >= alone
        else (
            f"{pairs}{shared} {are} too few: this embedder ships no reference table that fewer "
            f"could shift, so give at least {alone:,}"
        )
    )


def wrong_way_round(mated: Scores, nonmated: Scores) -> str:
    """What is said where mated pairs score lower than non-mated ones; else, or of few, empty.

    Failed trials show nothing of it.
    """
    scores = [kind.values[np.isfinite(kind.values)] for kind in (mated, nonmated)]
    if min(map(len, scores)) < FEWEST_ORDERED:
        return ""
    low, high = (float(np.median(values)) for values in scores)
    if low >= high:
        return ""
    return (
        f"the labels are the wrong way round: pairs labelled as one person score {low:.3f} in "
        f"the median, pairs labelled as two people {high:.3f}; 1 (same, yes, genuine) means "
        "one person"
    )


def _doubtful(rates: VerificationRates, needed: float, point: OperatingPoint) -> tuple[str, ...]:
    """Warnings where the measured rates contradict the target, or most would not be recognised."""
    warnings = []
    fmr, fnmr = rates.fmr, rates.fnmr
    measured = (
        f"the FMR measured at this threshold is {100 * fmr.rate:.2g} % (95 % interval "
        f"{100 * fmr.low:.2g} to {100 * fmr.high:.2g} %), the target needs {100 * needed:.2g} %: "
    )
    if fmr.trials and fmr.low > needed:
        warnings.append(
            measured + "strangers are accepted too often; look for people under two names among "
            "these pairs, or give more of them"
        )
    elif fmr.trials and fmr.high < needed:
        raised = point.fit is not None and point.fit.shift > 0
        warnings.append(
            measured
            + (
                "the gallery's own people, who are more alike than those of your pairs, raised it"
                if raised
                else "the threshold is stricter than your pairs ask for"
            )
        )
    if fnmr.trials and fnmr.rate > MANY_MISSED:
        warnings.append(
            f"{100 * fnmr.rate:.0f} % of the pairs of one person are missed at this threshold: "
            "look at the photos' quality and at the labels before you rely on it"
        )
    return tuple(warnings)


def _shown(count: int, people: int, independent: float, needed: float) -> str:
    """What so many non-mated pairs can show of the FMR needed, in numbers."""
    enough = trials_for_rule_of_30(needed)
    shared = (
        f"; pairs that share people tell less: those of {people} people count as {independent:,.0f}"
        if people and count >= enough
        else ""
    )
    return (
        f"{count} non-mated pairs can show an FMR of {rule_of_three(count):.2g} at best "
        f"(rule of 3); this target needs {needed:.2g} and {enough:,} pairs{shared}"
    )


def _independent(scores: Scores, rate: float) -> float:
    """How many independent comparisons the scores are worth where `rate` of them are accepted.

    Their number over the dyadic design effect, where it is known who is on them.
    """
    count = len(scores.values)
    if scores.subjects is None or scores.others is None or count < trials_for_rule_of_30(rate):
        return float(count)
    accepted = scores.values >= np.quantile(scores.values, 1 - rate)
    return count / dyadic_design_effect(accepted, scores.subjects, scores.others)


def _few(people: int) -> tuple[str, ...]:
    """A warning where very few people are behind many pairs: 0 is not known how many."""
    if not 0 < people < FEW_PEOPLE:
        return ()
    return (
        f"only {people} people are on these pairs: the rates are theirs, and with so few nobody "
        f"can tell how much others differ; {FEW_PEOPLE} or more are better",
    )


def _people(scores: Scores) -> int:
    """How many different people the comparisons show; 0 where that is not known."""
    if scores.subjects is None or scores.others is None:
        return 0
    return len(np.unique(np.concatenate([scores.subjects, scores.others])))
