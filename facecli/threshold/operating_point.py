"""Where the threshold in force comes from: a table of non-mated scores, the gallery, a target."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from facecli.common.enums import Basis, Target
from facecli.common.errors import CalibrationError, GalleryError, ModelError, UsageError
from facecli.common.timestamp import now
from facecli.common.types import GalleryFit, OperatingPoint
from facecli.metrics.gallery_fit import Observed, fit, fitted
from facecli.metrics.reference_table import ReferenceTable, from_json
from facecli.storage.interface import Reader, Storage
from facecli.storage.records import CalibrationRow
from facecli.storage.search import candidates

DEFAULT_FPIR = 0.01
DEFAULT_FMR = 1e-4  # for a comparison of two photos where no gallery says otherwise
NOTABLE_SHIFT = 0.04  # cosine: what a gallery of photos like the reference set's stays below
DAMAGED = "the stored calibration is damaged: calibrate again"
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class ThresholdInputs:
    """All that a threshold depends on.

    n: enrolled subjects. built_in: the embedder's table, None where it ships none. own_scores: the
    gallery's own non-mated scores, None below two subjects. choice: the user's, None for the
    default.
    """

    embedder_id: str
    n: int
    built_in: ReferenceTable | None
    own_scores: Observed | None = None
    choice: CalibrationRow | None = None

    @classmethod
    def of(cls, storage: Storage, built_in: ReferenceTable | None) -> ThresholdInputs:
        """Those of a gallery as it is now."""
        n, own = storage.reader.subject_count(), own_nonmated_scores(storage)
        return cls(storage.reader.embedder_id, n, built_in, own, storage.reader.calibration())

    def table(self) -> ReferenceTable | None:
        """The non-mated scores that stand behind the choice: its own, else the embedder's.

        Raises CalibrationError when the stored ones are damaged.
        """
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
        if self.choice is not None and self.choice.n is not None:
            return None
        table = self.table()
        return fit(table, self.own_scores) if table is not None and self.own_scores else None

    def fitted_table(self) -> ReferenceTable | None:
        """That table as the gallery's own people have it: what false alarms are told by."""
        table = self.table()
        return None if table is None else fitted(table, self.gallery_fit())


def own_nonmated_scores(storage: Storage) -> Observed | None:
    """The gallery's own non-mated scores, read anew where its templates have changed.

    Among very many subjects the last ones hold until some hundredths of them have changed:
    reading again takes seconds, and could move nothing. None below two subjects.
    """
    revision, kept = storage.reader.observed()
    if kept is not None or (kept := _last_if_still_true(storage.reader)) is not None:
        return kept
    found = storage.reader.observe()
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
    if choice is None:
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


def at_fpir(inputs: ThresholdInputs, rate: float) -> OperatingPoint:
    """Another target for the same gallery and scores. Raises CalibrationError without scores."""
    choice = inputs.choice
    own = choice is not None and choice.scores
    basis = Basis(choice.basis) if choice is not None and own else Basis.REFERENCE_TABLE
    return at(inputs, Target.FPIR, rate, basis, choice.made_at if choice and own else "")


def at(
    inputs: ThresholdInputs, target: Target, rate: float, basis: Basis, made_at: str = ""
) -> OperatingPoint:
    """The threshold for the target rate among n subjects.

    FPIR: t0 = Q(1 - (1 - rate)^(1/n)), then t = mu + shift + (t0 - mu) * scale for the gallery (see
    `gallery_fit`). FMR: t = Q(rate), whatever the gallery. Raises UsageError for a rate outside
    (0, 1), CalibrationError where there are no scores behind it, or no cosine is high enough.
    """
    if not 0 < rate < 1:
        raise UsageError(f"the target is a rate between 0 and 1, not {rate}: 0.01 is 1 %")
    table, n = inputs.table(), inputs.n
    if table is None:
        raise CalibrationError(
            f"the embedder {inputs.embedder_id.split(':')[0]} comes without a reference table, "
            "so there is no default threshold: measure one with "
            "`facecli threshold --calibrate pairs.csv`, or insist with `--set T`"
        )
    own = inputs.gallery_fit() if target is Target.FPIR else None
    scores = fitted(table, own)
    threshold = scores.threshold(rate, n) if target is Target.FPIR else scores.score(rate)
    if not threshold < 1:
        raise CalibrationError(
            f"{target} {rate:g} would need a cosine of {threshold:.2f}, and none is above 1: "
            + (
                "some subjects enrolled under different names look like one person; "
                "see `facecli gallery list`, then `facecli gallery merge` them"
                if own and own.shift > NOTABLE_SHIFT
                else "give a larger rate"
            )
        )
    return OperatingPoint(
        threshold=threshold,
        basis=basis,
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
        notes=(
            *_thin_tail(table, scores.tail(threshold)),
            *_differs(own),
            *_elsewhere(inputs, rate),
        ),
    )


def by_hand(inputs: ThresholdInputs, threshold: float, made_at: str = "") -> OperatingPoint:
    """A threshold somebody insists on, with what the scores behind it expect.

    Raises UsageError outside (-1, 1).
    """
    if not -1 < threshold < 1:
        raise UsageError(
            f"a threshold is a cosine between -1 and 1, not {threshold}: an L2 distance d "
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
    )


def _expected(inputs: ThresholdInputs, threshold: float, times: int = 1) -> float:
    table = inputs.fitted_table()
    return table.fpir(threshold, inputs.n * times) if table and inputs.n else NAN


def _thin_tail(table: ReferenceTable, fmr: float) -> tuple[str, ...]:
    if not table.extrapolates(fmr):
        return ()
    return (
        f"extrapolated: the scores behind it show nothing rarer than 1 in "
        f"{1 / table.tails[-1]:,.0f} comparisons, this needs 1 in {1 / max(fmr, 1e-300):,.0f}",
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
    if own is None or (own.shift <= NOTABLE_SHIFT and own.scale <= 1):
        return ()
    return (
        "your photos differ from the reference set: strangers look more alike here; "
        "calibrate with pairs of your own to be sure",
    )
