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

    rates: FMR and FNMR at the chosen threshold. others: the same at other thresholds, rising.
    table: the non-mated scores behind the threshold. remarks: what the data can and cannot show.
    """

    point: OperatingPoint
    rates: VerificationRates
    others: tuple[VerificationRates, ...]
    table: ReferenceTable
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
    reference table, an estimate. Raises CalibrationError where the pairs can support neither, n is
    0 for an FPIR, or no cosine is high enough; UsageError for a rate outside (0, 1).
    """
    if not 0 < rate < 1:
        raise UsageError(f"the target is a rate between 0 and 1, not {rate}: 0.01 is 1 %")
    n = inputs.n
    if target is Target.FPIR and n == 0:
        raise CalibrationError(
            "an FPIR depends on how many subjects are enrolled, and the gallery is empty: "
            "enrol first, or give --target-fmr"
        )
    scores = measure(extractor, pairs.pairs, workers)
    needed = rate if target is Target.FMR else -float(np.expm1(np.log1p(-rate) / n))
    table, basis, remarks = _table(scores, inputs.built_in, needed)
    measured = replace(inputs, built_in=table)
    point = operating_point.at(measured, target, rate, basis, now())
    thresholds = sorted({round(table.score(fmr), 4) for fmr in SHOWN_FMR})
    return Calibration(
        point,
        error_rates(scores.mated, scores.nonmated, point.threshold),
        tuple(error_rates(scores.mated, scores.nonmated, t) for t in thresholds),
        table,
        scores,
        remarks,
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
    count, people = len(values), _people(scores.nonmated)
    who = f"{scores.mated.trials} mated and {scores.nonmated.trials} non-mated pairs"
    independent = _independent(scores.nonmated, needed)
    if independent >= trials_for_rule_of_30(needed):
        return from_scores(values, people, who), Basis.PAIRS, _few(people)
    shows = _shown(count, people, independent, needed)
    if built_in is None or count < FEWEST_NONMATED:
        fewest = trials_for_rule_of_30(needed) if built_in is None else FEWEST_NONMATED
        raise CalibrationError(
            f"{shows}. Give at least {fewest:,} pairs of different people"
            + ("" if built_in else ": this embedder ships no reference table to shift")
        )
    shift = float(np.mean(values)) - built_in.mean()
    made_from = f"{who}; {built_in.made_from}, shifted by {shift:+.4f}"
    remark = f"{shows}: the embedder's reference table, shifted by {shift:+.4f}, is used instead"
    return built_in.shifted(shift, made_from), Basis.SHIFTED_TABLE, (remark,)


def _shown(count: int, people: int, independent: float, needed: float) -> str:
    """What so many non-mated pairs can show of the FMR needed, in numbers."""
    if not count:
        return "there are no non-mated pairs"
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
