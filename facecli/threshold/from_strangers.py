"""Photos of people who are not enrolled, searched for in the gallery: its FPIR, measured.

One search a person, with the first photo that shows a face: FPIR is a rate over people who come
by, so ten photos of one stranger tell little more than one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facecli.common.enums import Basis, Reason, Target
from facecli.common.errors import CalibrationError, UsageError
from facecli.common.names import name_key
from facecli.common.timestamp import now
from facecli.common.types import FailureToAcquire, Float32, Interval, OperatingPoint, Photo
from facecli.datasets.labels import labelled
from facecli.datasets.photo_files import LeftOut
from facecli.metrics.crowd import crowd
from facecli.metrics.face_kinds import child_fault
from facecli.metrics.identification import assured_threshold, conformal_threshold
from facecli.metrics.intervals import clopper_pearson
from facecli.metrics.rates import Scores
from facecli.metrics.reference_table import ReferenceTable, from_scores
from facecli.recognition.pipeline import Extractor
from facecli.storage.records import CalibrationRow, Subjects
from facecli.threshold import operating_point
from facecli.threshold.operating_point import ThresholdInputs

FEWEST_PEOPLE = 20  # for a shift: its standard error is then about 0.02 of cosine
SHOWN_SUSPECTS = 10  # in an error; all of them where there is a result
SURPRISING = 0.05  # the chance that any of all the strangers scores so high


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody who is not enrolled. name: for messages. photos: at least one."""

    name: str
    photos: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Strangers:
    """Each person once. problems: what was not taken below the folder, and why.

    left_out: see `LabelledPhotos`.
    """

    people: tuple[Stranger, ...]
    problems: tuple[FailureToAcquire, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class StrangerSearch:
    """A stranger's search: the photo used, the subject that came first, and its score, a cosine.

    crowd: how much higher this face's own threshold is, see `metrics.crowd`.
    """

    person: str
    path: str
    subject: str
    score: float
    crowd: float = 0.0

    @property
    def compared(self) -> float:
        """What is held against the threshold of a usual face; not a cosine, it may exceed 1."""
        return self.score - self.crowd


@dataclass(frozen=True, slots=True, eq=False)
class StrangerScores:
    """What the searches came to.

    searches: one a person who could be searched for. comparisons: (searches, n) float32 scores.
    people: all of them, `photos` how many photos were read, failures: those without a template,
    and small children's.
    """

    searches: tuple[StrangerSearch, ...]
    comparisons: Float32
    people: int
    photos: int
    failures: tuple[FailureToAcquire, ...]

    @property
    def best(self) -> Scores:
        """The best score of each search; people without a usable photo count as failed."""
        values = np.array([s.compared for s in self.searches], np.float32)
        return Scores(values, self.people - len(self.searches))


@dataclass(frozen=True, slots=True, eq=False)
class StrangerCalibration:
    """A threshold with the FPIR that the user's strangers show at it.

    before: what was in force until now, None where nothing was. fpir: over all people, those
    without a usable photo as rejected; observed on the same people that chose the threshold.
    likely_enrolled: strangers who score as only an enrolled subject should, highest first; they
    are not left out. choice: as the gallery stores it, the table moved so that it gives this
    threshold at this N, and another at another N. remarks: what the data can and cannot show.
    """

    point: OperatingPoint
    before: OperatingPoint | None
    fpir: Interval
    likely_enrolled: tuple[StrangerSearch, ...]
    scores: StrangerScores
    choice: CalibrationRow
    remarks: tuple[str, ...]


def read_people(folder: Path) -> Strangers:
    """Who is below `folder`: a folder is a person, and a photo directly in it is one, too.

    `Ada_1.jpg` and `Ada_2.jpg` are one person; photos that name nobody (`IMG_1234.jpg`) are
    taken for a person each. Raises InputError where there is no photo.
    """
    layout = labelled([folder], one_person=False)
    known: dict[str, Stranger] = {}
    for photo in layout.photos:
        person = known.get(name_key(photo.subject), Stranger(photo.subject, ()))
        known[name_key(photo.subject)] = replace(person, photos=(*person.photos, photo.path))
    nameless = [p for p in layout.problems if _is_photo(p)]
    alone = [Stranger(Path(p.path).name, (Path(p.path),)) for p in nameless]
    others = tuple(p for p in layout.problems if p not in nameless)
    return Strangers((*known.values(), *alone), others, layout.left_out)


def _is_photo(problem: FailureToAcquire) -> bool:
    return problem.reason is Reason.NO_NAME and Path(problem.path).is_file()


def calibrate_strangers(
    extractor: Extractor,
    people: Sequence[Stranger],
    subjects: Subjects,
    inputs: ThresholdInputs,
    rate: float,
    assurance: float | None = None,
    workers: int | None = None,
) -> StrangerCalibration:
    """Search for every stranger and choose the threshold for an FPIR of `rate` at this N.

    assurance: None takes the conformal quantile: the next stranger is named with a chance of at
    most `rate`. A confidence in (0, 1) takes the bound that keeps the gallery's true FPIR there
    so surely. Where the people are too few for either, the table as the gallery's own people
    have it is moved by the strangers' median excess over its median best score: an estimate.
    Raises CalibrationError for an empty gallery or where nothing supports a threshold below 1,
    UsageError for rates outside (0, 1).
    """
    for value, name in ((rate, "the target"), (assurance, "the assurance")):
        if value is not None and not 0 < value < 1:
            raise UsageError(f"{name} is a rate between 0 and 1, not {value}: 0.01 is 1 %")
    n = inputs.n
    if n == 0:
        raise CalibrationError("the gallery is empty, so no stranger can be named: enrol first")
    base = replace(inputs, choice=None).fitted_table()
    scores = search_strangers(extractor, people, subjects, base, workers)
    suspects = likely_enrolled(scores.searches, base, n)
    table, basis, remarks = _table(scores, base, n, rate, assurance)
    _check_reachable(table.threshold(rate, n), rate, suspects, scores)
    choice = CalibrationRow(
        basis, Target.FPIR, rate, None, table.to_json(), table.made_from, now(), n
    )
    point = operating_point.in_force(replace(inputs, choice=choice))
    accepted = int(np.count_nonzero(scores.best.accepted(point.threshold)))
    fpir = clopper_pearson(accepted, scores.people)
    before = operating_point.before(inputs)
    return StrangerCalibration(point, before, fpir, suspects, scores, choice, remarks)


def search_strangers(
    extractor: Extractor,
    people: Sequence[Stranger],
    subjects: Subjects,
    base: ReferenceTable | None = None,
    workers: int | None = None,
) -> StrangerScores:
    """Search for everybody with the first photo that gives a template, through the one path.

    Small children get no name whatever they score, so they are left out: nobody else's threshold
    need be raised for them. base: says what is taken off the scores of those who resemble many
    people.
    """
    children = extractor.spec.small_children()
    found: dict[int, Photo] = {}
    failures: list[FailureToAcquire] = []
    photos = turn = 0
    waiting = list(range(len(people)))
    while waiting:
        paths = [people[i].photos[turn] for i in waiting]
        for i, photo in zip(waiting, extractor.photos(paths, workers), strict=True):
            if isinstance(photo, FailureToAcquire):
                failures.append(photo)
            elif not photo.faces:
                failures.append(photo.without_face())
            elif children and (fault := child_fault(children.likeness_of(photo.faces[0].template))):
                failures.append(FailureToAcquire(photo.path, Reason.SMALL_CHILD, fault))
            else:
                found[i] = photo
        photos, turn = photos + len(paths), turn + 1
        waiting = [i for i in waiting if i not in found and len(people[i].photos) > turn]
    searched = sorted(found)
    vectors = [found[i].faces[0].template.vector for i in searched]
    probes = np.stack(vectors) if vectors else np.empty((0, subjects.templates.shape[1]), "f4")
    comparisons = probes @ subjects.templates.T
    first, best = comparisons.argmax(axis=1), comparisons.max(axis=1)
    crowded = base.deciding_effect(len(subjects.names)).crowd if base else None
    kinds = base.kinds(probes) if base else 1.0
    shares = 0 * best if crowded is None else crowded.share(crowd(comparisons), kinds)
    searches = tuple(
        StrangerSearch(people[i].name, found[i].path, subjects.names[f], float(score), float(share))
        for i, f, score, share in zip(searched, first, best, shares, strict=True)
    )
    return StrangerScores(searches, comparisons, len(people), photos, tuple(failures))


def likely_enrolled(
    searches: Iterable[StrangerSearch], table: ReferenceTable | None, n: int
) -> tuple[StrangerSearch, ...]:
    """Who scores so high that it would surprise of any stranger among them; highest first.

    The table is moved to their scores first, so that photos unlike the reference set's surprise
    nobody; then the chance of such a score in any of the searches is below 5 %. Moved by the
    smaller excess of their median and their lower quartile: the latter is still strangers' where
    half of them are enrolled. Empty without a table or anybody.
    """
    ranked = sorted(searches, key=lambda s: s.compared, reverse=True)
    if table is None or not ranked:
        return ()
    quartile, median = np.quantile([s.compared for s in ranked], (0.25, 0.5))
    excess = min(median - table.threshold(0.5, n), quartile - table.threshold(0.75, n))
    usual = table.shifted(max(0.0, float(excess)), table.made_from)
    return tuple(s for s in ranked if len(ranked) * usual.fpir(s.compared, n) < SURPRISING)


def _table(
    scores: StrangerScores,
    base: ReferenceTable | None,
    n: int,
    rate: float,
    assurance: float | None,
) -> tuple[ReferenceTable, Basis, tuple[str, ...]]:
    """The non-mated scores to choose from, whose they are, and what is to be said about it."""
    # Only faces choose: a photo without one must not loosen the threshold.
    values = scores.best.values
    who = f"{len(values):,} strangers"
    try:
        if assurance is None:
            threshold, how = conformal_threshold(values, rate), "conformal quantile"
        else:
            threshold = assured_threshold(values, rate, assurance)
            how = f"assured at {100 * assurance:g} % confidence"
    except CalibrationError as error:
        table, remark = _estimate(values, base, n, error)
        return table, Basis.SHIFTED_BY_STRANGERS, (remark,)
    if base is None:
        size = scores.comparisons.size
        base = from_scores(scores.comparisons.ravel(), len(values), f"their {size:,} comparisons")
    shift = threshold - base.threshold(rate, n)
    made_from = f"{who}, {how}; {base.made_from}, shifted by {shift:+.4f}"
    return _raised(base, shift, made_from), Basis.STRANGERS, ()


def _estimate(
    values: Float32, base: ReferenceTable | None, n: int, shortage: CalibrationError
) -> tuple[ReferenceTable, str]:
    """The table moved to the mean of too few strangers. Raises CalibrationError for far too few."""
    if base is None:
        raise CalibrationError(f"{shortage} This embedder ships no reference table to use instead")
    if len(values) < FEWEST_PEOPLE:
        raise CalibrationError(
            f"{shortage} Even to shift the reference table it takes {FEWEST_PEOPLE} people"
        )
    shift = float(np.median(values)) - base.median(n)
    # The median's standard error, of normal values that of the mean times sqrt(pi / 2).
    error = float(np.sqrt(np.pi / 2) * np.std(values, ddof=1) / np.sqrt(len(values)))
    made_from = f"{len(values):,} strangers; {base.made_from}, shifted by {shift:+.4f}"
    remark = (
        f"{shortage} Used instead, an estimate: the reference table, shifted by {shift:+.4f} "
        f"(standard error {error:.3f}), the strangers' median excess over what it expects"
    )
    return _raised(base, shift, made_from), remark


def _raised(base: ReferenceTable, by: float, made_from: str) -> ReferenceTable:
    """The table with its scores moved, but not its crowds: they are in the scores already."""
    return replace(base.mapped(0.0, by, 1.0), made_from=made_from)


def _check_reachable(
    threshold: float, rate: float, suspects: Sequence[StrangerSearch], scores: StrangerScores
) -> None:
    """Raise CalibrationError where no cosine is high enough, naming who makes it so."""
    if threshold < 1:
        return
    ranked = sorted(scores.searches, key=lambda s: s.compared, reverse=True)
    shown = (suspects or ranked)[:SHOWN_SUSPECTS]
    who = "; ".join(f"{s.path} as {s.subject} ({s.score:.3f})" for s in shown)
    more = len(suspects or ranked) - len(shown)
    raise CalibrationError(
        f"no threshold gives FPIR {rate:g}: "
        + (f"{len(suspects)} of these strangers" if suspects else "these strangers")
        + f" are probably enrolled: {who}{f'; and {more} more' if more else ''}. "
        "Take out who is, then calibrate again, or give a larger rate"
    )
