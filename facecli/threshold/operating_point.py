"""Where the threshold in force comes from: a table of non-mated scores, the gallery, a target."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real

from facecli.common.decision import accepts
from facecli.common.enums import Basis, Target
from facecli.common.errors import CalibrationError, GalleryError, ModelError, UsageError
from facecli.common.timestamp import now
from facecli.common.types import Crowd, GalleryFit, OperatingPoint
from facecli.metrics.face_kinds import NO_KINDS, FaceKinds
from facecli.metrics.gallery_fit import Observed, estimate, fit, fitted, quantiles
from facecli.metrics.reference_table import ReferenceTable, from_file, from_json
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.storage.interface import Reader, Storage
from facecli.storage.records import CalibrationRow
from facecli.storage.search import candidates

DEFAULT_FPIR = 0.01
DEFAULT_FMR = 1e-4  # for a comparison of two photos where no gallery says otherwise
NOTABLE_SHIFT = 0.04  # cosine: what a gallery of photos like the reference set's stays below
MANY_PEOPLE, SOME_PEOPLE = 100, 30  # that an estimate from them alone is good or fair from
SURPRISING = 0.05  # the chance that any of the people enrolled scores so high with another
ROUNDING = 0.01  # of a person: scores are kept to 0.0005, and shares as well
DAMAGED = "the stored calibration is damaged: calibrate again"
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of an embedder before there was a gallery.

    table: strangers' scores; None where it ships none. shape: for such a one another embedder's.
    kinds: what a gallery's own faces are told by.
    """

    table: ReferenceTable | None
    shape: ReferenceTable | None = None
    kinds: FaceKinds = NO_KINDS

    @classmethod
    def of(cls, spec: EmbedderSpec) -> Measured:
        """What it ships. Raises ModelError."""
        if (table := built_in_table(spec)) is not None:
            return cls(table, None, FaceKinds(table.crowding, spec.small_children()))
        default = built_in_table(registry.find_embedder(registry.DEFAULT_EMBEDDER))
        kinds = FaceKinds(None, spec.small_children())
        return cls(None, default.off_all() if default else None, kinds)


@dataclass(frozen=True, slots=True)
class ThresholdInputs:
    """All that a threshold depends on.

    n: enrolled subjects. built_in: the embedder's table, None where it ships none. own_scores: the
    gallery's own non-mated scores, None below two subjects. choice: the user's, None for the
    default. shape: another embedder's table, for one that ships none.
    """

    embedder_id: str
    n: int
    built_in: ReferenceTable | None
    own_scores: Observed | None = None
    choice: CalibrationRow | None = None
    shape: ReferenceTable | None = None

    @classmethod
    def of(cls, storage: Storage, measured: Measured) -> ThresholdInputs:
        """Those of a gallery as it is now. measured: of its embedder."""
        reader, own = storage.reader, own_nonmated_scores(storage, measured.kinds)
        n, choice = reader.subject_count(), reader.calibration()
        return cls(reader.embedder_id, n, measured.table, own, choice, measured.shape)

    @property
    def estimated(self) -> bool:
        """Whether there is no table but what the gallery's own people give."""
        return self.built_in is None and (self.choice is None or not self.choice.scores)

    def table(self) -> ReferenceTable | None:
        """The non-mated scores that stand behind the choice: its own, else the embedder's.

        Of an embedder without a table those of the gallery's own people, see
        `gallery_fit.estimate`; None below two subjects.
        Raises CalibrationError when the stored ones are damaged.
        """
        if self.estimated:
            return estimate(self.shape, self.own_scores) if self.shape and self.own_scores else None
        if self.choice is None or not self.choice.scores:
            return self.built_in
        try:
            return from_json(self.choice.scores)
        except ModelError as error:
            raise CalibrationError(f"{DAMAGED} ({error})") from error

    def gallery_fit(self) -> GalleryFit | None:
        """How the gallery differs from that table.

        None where neither can tell, and where strangers were searched for: their scores hold it.
        """
        if self.estimated or (self.choice is not None and self.choice.n is not None):
            return None
        table = self.table()
        return fit(table, self.own_scores) if table is not None and self.own_scores else None

    def fitted_table(self) -> ReferenceTable | None:
        """That table as the gallery's own people have it: what false alarms are told by."""
        table = self.table()
        return None if table is None else fitted(table, self.gallery_fit(), self.n)

    def least_fpir(self) -> float:
        """The least FPIR that the scores behind the choice can show; 0 where there are none.

        By the number of people searched for; of pairs by that of comparisons, which were enough
        to choose by.
        """
        table = self.table()
        if table is None:
            return 0.0
        if self.choice is not None and self.choice.basis == Basis.PAIRS:
            return -math.expm1(self.n * math.log1p(-table.tails[-1]))
        return table.least_fpir


def built_in_table(spec: EmbedderSpec) -> ReferenceTable | None:
    """The table that an embedder comes with; None where it ships none. Raises ModelError."""
    return from_file(spec.table, spec.embedder_id) if spec.table else None


def own_nonmated_scores(storage: Storage, kinds: FaceKinds) -> Observed | None:
    """The gallery's own non-mated scores, read anew where its templates have changed.

    kinds: the embedder's. Among very many subjects the last ones hold until some hundredths of
    them have changed: reading again takes seconds, and could move nothing. None below two subjects.
    """
    revision, kept = storage.reader.observed()
    kept = kept or _last_if_still_true(storage.reader)
    if kept is not None and kept.made_with(kinds):
        return kept
    found = storage.reader.observe(kinds)
    if found is not None:
        with suppress(GalleryError):  # a reader without the right to write does without
            storage.keep_observed(revision, found)
    return found


def _last_if_still_true(reader: Reader) -> Observed | None:
    last, n = reader.last_observed(), reader.subject_count()
    if last is None or n < candidates.SIDECAR_FROM:
        return None
    revision, kept = last
    changed = candidates.changes_since(reader, revision, kept.n)
    return kept if changed <= candidates.tail_limit(kept.n) else None


def requested(
    inputs: ThresholdInputs, threshold: float | None, fpir: float | None
) -> OperatingPoint:
    """The operating point asked for: a threshold by hand, a target FPIR, or the one in force."""
    if threshold is not None:
        return by_hand(inputs, threshold, now())
    return in_force(inputs) if fpir is None else at_fpir(inputs, fpir)


def in_force(inputs: ThresholdInputs) -> OperatingPoint:
    """The user's choice, else the embedder's table at FPIR 1 %, for the subjects of now.

    Raises CalibrationError when there is neither, or the stored one is damaged.
    """
    choice = inputs.choice
    if choice is None or choice.basis == Basis.REFERENCE_TABLE:
        return at(inputs, Target.FPIR, DEFAULT_FPIR, Basis.REFERENCE_TABLE)
    if choice.threshold is not None:
        return by_hand(inputs, choice.threshold, choice.made_at)
    try:
        target, basis = Target(choice.target), Basis(choice.basis)
    except ValueError as error:
        raise CalibrationError(f"{DAMAGED} ({error})") from error
    rate = choice.target_rate
    if target is Target.NONE or choice.scores is None or rate is None or not 0 < rate < 1:
        raise CalibrationError(DAMAGED)
    return at(inputs, target, rate, basis, choice.made_at)


def back_to_default() -> CalibrationRow:
    """The choice of the default, after others: the embedder's table at FPIR 1 %."""
    return CalibrationRow(
        Basis.REFERENCE_TABLE, Target.FPIR, DEFAULT_FPIR, None, None, "back to the default", now()
    )


def before(inputs: ThresholdInputs) -> OperatingPoint | None:
    """The one in force until another is chosen; None where there was none."""
    try:
        return in_force(inputs)
    except CalibrationError:
        return None


def at_fpir(inputs: ThresholdInputs, rate: float) -> OperatingPoint:
    """Another target for the same gallery and scores. Raises CalibrationError without scores."""
    choice = inputs.choice
    own = choice is not None and choice.scores
    basis = Basis(choice.basis) if choice is not None and own else Basis.REFERENCE_TABLE
    return at(inputs, Target.FPIR, rate, basis, choice.made_at if choice and own else "")


def laxer(inputs: ThresholdInputs, point: OperatingPoint, rate: float) -> OperatingPoint:
    """One for FPIR `rate` below `point`, for leads. Raises UsageError where it is not below."""
    lax = at_fpir(inputs, rate)
    if lax.threshold >= point.threshold:
        raise UsageError(
            f"--possible {rate:g} gives the threshold {lax.threshold:.3f}, which is not below "
            f"the one in force, {point.threshold:.3f}: give a larger rate"
        )
    return lax


def at(
    inputs: ThresholdInputs, target: Target, rate: float, basis: Basis, made_at: str = ""
) -> OperatingPoint:
    """The threshold for the target rate among n subjects.

    FPIR: t0 = Q(1 - (1 - rate)^(1/n)), then t = mu + shift + (t0 - mu) * scale for the gallery (see
    `gallery_fit`), for a face that resembles as many people as is usual (see `crowd`). FMR:
    t = Q(rate), whatever the gallery. Raises UsageError for a rate outside (0, 1),
    CalibrationError where there are no scores behind it, or no cosine is high enough.
    """
    if not _is_between(0, rate, 1):
        raise UsageError(f"the target is a rate between 0 and 1, not {rate!r}: 0.01 is 1 %")
    table, n = inputs.table(), inputs.n
    if table is None:
        raise CalibrationError(
            f"the embedder {inputs.embedder_id.split(':')[0]} comes without a reference table, "
            "and fewer than two people are enrolled to estimate one from: enrol more, measure "
            "with `facecli threshold --calibrate pairs.csv`, or insist with `--set T`"
        )
    by_search = target is Target.FPIR
    own = inputs.gallery_fit() if by_search else None
    scores = fitted(table, own, n) if by_search else table
    threshold = scores.threshold(rate, n) if by_search else scores.score(rate)
    if inputs.estimated and by_search:
        threshold = _seen_among_own(inputs, rate) or threshold
    if not threshold < 1:
        raise CalibrationError(
            f"{target} {rate:g} would need a cosine of {threshold:.2f}, and none is above 1: "
            "give a larger rate"
        )
    crowd = table.deciding_effect(n).crowd if by_search else None
    return OperatingPoint(
        threshold=threshold,
        basis=Basis.OWN_PEOPLE if inputs.estimated else basis,
        target=target,
        target_rate=rate,
        expected_fpir=_expected(inputs, threshold),
        expected_fpir_10n=_expected(inputs, threshold, 10),
        fmr=scores.tail(threshold),
        n=n,
        embedder_id=inputs.embedder_id,
        made_from=table.made_from,
        made_at=made_at,
        fit=own,
        crowd=crowd,
        least_fpir=inputs.least_fpir(),
        notes=(
            *_thin_tail(table, scores.tail(threshold)),
            *_few_people(inputs, rate if by_search else 1.0),
            *_estimate(inputs),
            *_alike(inputs, scores, crowd),
            *_differs(own),
            *_elsewhere(inputs, rate),
        ),
    )


def _seen_among_own(inputs: ThresholdInputs, rate: float) -> float | None:
    """What the enrolled, each a stranger to the others, reach at this rate; None: too few can say.

    The conformal quantile: among n people the next one is above it with at most `rate`.
    """
    n, own = inputs.n, inputs.own_scores
    level = (1 - rate) * (n + 1) / n
    if own is None or inputs.shape is None or level >= 1 - 0.5 / n:
        return None
    return quantiles(own, estimate(inputs.shape, own).effect(n - 1).crowd, (level,))[0]


def _is_between(low: float, value: object, high: float) -> bool:
    """Whether it is a number, and lies there."""
    return isinstance(value, Real) and low < float(value) < high


def by_hand(inputs: ThresholdInputs, threshold: float, made_at: str = "") -> OperatingPoint:
    """A threshold somebody insists on, with what the scores behind it expect.

    Raises UsageError outside (-1, 1).
    """
    if not _is_between(-1, threshold, 1):
        raise UsageError(
            f"a threshold is a cosine between -1 and 1, not {threshold!r}: an L2 distance d "
            "of unit vectors is the cosine 1 - d*d/2"
        )
    table = inputs.fitted_table()
    return OperatingPoint(
        threshold=threshold,
        basis=Basis.BY_HAND,
        target=Target.NONE,
        target_rate=NAN,
        expected_fpir=_expected(inputs, threshold),
        expected_fpir_10n=_expected(inputs, threshold, 10),
        fmr=table.tail(threshold) if table else NAN,
        n=inputs.n,
        embedder_id=inputs.embedder_id,
        made_from="chosen by the user; no error rate was measured for it",
        made_at=made_at,
        fit=inputs.gallery_fit(),
        least_fpir=inputs.least_fpir(),
    )


def _expected(inputs: ThresholdInputs, threshold: float, times: int = 1) -> float:
    table = inputs.fitted_table()
    if table is None or not inputs.n:
        return NAN
    return max(table.fpir(threshold, inputs.n * times), inputs.least_fpir())


def _thin_tail(table: ReferenceTable, fmr: float) -> tuple[str, ...]:
    if not table.extrapolates(fmr):
        return ()
    return (
        f"extrapolated: the scores behind it show nothing rarer than 1 in "
        f"{1 / table.tails[-1]:,.0f} comparisons, this needs 1 in {1 / max(fmr, 1e-300):,.0f}",
    )


def _few_people(inputs: ThresholdInputs, fpir: float) -> tuple[str, ...]:
    """Where a target is rarer than what stands behind it can show."""
    least = inputs.least_fpir()
    if inputs.estimated or fpir >= least:
        return ()
    return (
        f"what stands behind it can show an FPIR of {least:.2g} at best (rule of 3): for "
        f"{fpir:g} the shape of the scores is drawn on",
    )


def _elsewhere(inputs: ThresholdInputs, rate: float) -> tuple[str, ...]:
    """What was measured by searches, where this is for another N or rate."""
    choice, n = inputs.choice, inputs.n
    if choice is None or choice.n is None or (choice.n, choice.target_rate) == (n, rate):
        return ()
    return (
        f"measured at N = {choice.n:,} for FPIR {choice.target_rate:g}; the shape of the table "
        f"carries it to N = {n:,} and FPIR {rate:g}: calibrate again",
    )


def _differs(own: GalleryFit | None) -> tuple[str, ...]:
    """Where the gallery's people are more alike than the reference set's, and what it costs."""
    if own is None or own.shift <= NOTABLE_SHIFT:
        return ()
    return (
        f"the people enrolled here look more alike than the reference set's, by {own.shift:.2f} of "
        "cosine: the threshold is raised by as much, so that strangers like them get no name; "
        "`facecli threshold --strangers DIR` measures it",
    )


def _alike(inputs: ThresholdInputs, scores: ReferenceTable, crowd: Crowd | None) -> tuple[str, ...]:
    """How many of the enrolled score with somebody else's template as surprises of any of them."""
    if inputs.own_scores is None:
        return ()
    threshold = scores.threshold(SURPRISING / inputs.n, inputs.n)
    own = inputs.own_scores.seen_by(scores)
    reached, share = accepts(own.less(crowd), threshold), own.columns()[3]
    count = math.ceil(float(share[reached].sum()) - ROUNDING)
    if not count:
        return ()
    return (
        f"{count} of the people enrolled look like somebody else enrolled: one person under two "
        "names, twins, or the same photo twice; `facecli gallery audit` names them",
    )


def _estimate(inputs: ThresholdInputs) -> tuple[str, ...]:
    if not inputs.estimated:
        return ()
    within = "two" if inputs.n >= MANY_PEOPLE else "three" if inputs.n >= SOME_PEOPLE else "ten"
    return (
        f"estimated from the {inputs.n} people in this gallery, for the embedder comes without a "
        f"reference table: the rate is typically met within a factor of {within}; calibrate with "
        "photos of your own to be sure",
    )
