"""The gallery as a library user sees it: open, enroll, identify, verify, calibrate."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facecli import exchange, operating, plugins, reference_table, weights
from facecli.database import now, present
from facecli.decide import accepts, decide
from facecli.enrol import EnrolItem, EnrolReport, enrol
from facecli.errors import CalibrationError, InputError, UsageError
from facecli.extract import Extractor
from facecli.layouts import LabelledPhoto, name_fault
from facecli.reference_table import ReferenceTable
from facecli.store import CalibrationRow, ReferenceRow, Store, SubjectRow, Subjects
from facecli.terms import Basis, Device, FacesRule, Outcome, Target
from facecli.types import (
    Candidate,
    Decision,
    FaceTemplate,
    FailureToAcquire,
    Float32,
    OperatingPoint,
    Photo,
    Probe,
)

if TYPE_CHECKING:
    from facecli.calibrate import Calibration
    from facecli.trials import Pairs


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """What a gallery is. bytes: size of the file with its write-ahead log."""

    path: Path
    subjects: int
    references: int
    embedder: str
    dimension: int
    created_at: str
    bytes: int
    operating_point: OperatingPoint | None


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """Two photos compared, the largest face of each. score: cosine.

    accepted: the score reaches the operating point's threshold: taken for the same subject.
    """

    first: Probe
    second: Probe
    score: float
    accepted: bool
    operating_point: OperatingPoint


def default_path() -> Path:
    """FACECLI_GALLERY, else `gallery.facecli` in facecli's home folder."""
    chosen = os.environ.get("FACECLI_GALLERY")
    return Path(chosen).expanduser() if chosen else weights.home() / "gallery.facecli"


class Gallery:
    """An open gallery file with the embedder that made it. Use it from one thread.

    Models load at the first photo. Close it, or use it in a `with` statement.
    """

    def __init__(self, store: Store, spec: weights.EmbedderSpec, device: Device) -> None:
        self._store = store
        self._spec = spec
        self._device = device

    @classmethod
    def open(
        cls,
        path: Path | str | None = None,
        *,
        model: str | None = None,
        device: Device = Device.AUTO,
        create: bool = False,
    ) -> Gallery:
        """Open the gallery at `path` (default: `default_path()`).

        model: an embedder's name; None takes FACECLI_MODEL, else the one that made the gallery,
        else the default. create: make the file when it is not there.
        Raises GalleryError when it is missing or damaged, EmbedderMismatchError when another
        embedder made it, ModelError when that embedder is not to be had.
        """
        where = Path(path) if path is not None else default_path()
        asked = model or os.environ.get("FACECLI_MODEL")
        if create and not present(where):
            spec = weights.find_embedder(asked)
            return cls(Store.create(where, spec.embedder_id, spec.dimension), spec, device)
        store = Store.open(where)
        try:
            spec = weights.find_embedder(asked or store.embedder_id.split(":")[0])
            store.require(spec.embedder_id)
        except BaseException:
            store.close()
            raise
        return cls(store, spec, device)

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._store.close()

    @cached_property
    def extractor(self) -> Extractor:
        """The one path from photos to templates, loaded when first used."""
        return Extractor.load(self._spec, self._device)

    @cached_property
    def built_in_table(self) -> ReferenceTable | None:
        """The embedder's reference table; None where it ships none."""
        return reference_table.load(self._spec.table) if self._spec.table else None

    # the main job ----------------------------------------------------------------------------

    def enroll(
        self,
        photos: Sequence[LabelledPhoto],
        *,
        faces: FacesRule = FacesRule.LARGEST,
        workers: int | None = None,
        progress: Callable[[EnrolItem], object] | None = None,
    ) -> EnrolReport:
        """Enrol photos under their subjects' names; what is there already costs a hash.

        Committed in small groups: an interrupted run keeps what it reported and resumes.
        """
        return enrol(self._store, self.extractor, photos, faces, workers, progress)

    def identify(
        self,
        photos: Iterable[Path | bytes],
        *,
        top: int = 5,
        threshold: float | None = None,
        workers: int | None = None,
    ) -> Iterator[Decision]:
        """Decide for every face of every photo, in order; a photo without one gives one row.

        top: how many candidates to rank. threshold: a cosine instead of the operating point's.
        """
        search = self._search(threshold)
        for result in self.extractor.photos(photos, workers):
            yield from search.photo(result, top)

    def verify(self, first: Path, second: Path, *, threshold: float | None = None) -> Verification:
        """Compare the largest faces of two photos at the operating point.

        Raises InputError when a photo gives no template.
        """
        return verify(self.extractor, first, second, self.operating_point(threshold))

    # the threshold ---------------------------------------------------------------------------

    def operating_point(self, threshold: float | None = None) -> OperatingPoint:
        """The one in force for the subjects enrolled now, or one by hand.

        Raises CalibrationError where the embedder has no table and nothing was calibrated.
        """
        n = len(self._store.templates().ids)
        if threshold is not None:
            return operating.by_hand(
                threshold, n, self._scores_behind(), self._store.embedder_id, now()
            )
        row = self._store.calibration()
        return operating.in_force(row, self.built_in_table, n, self._store.embedder_id)

    def set_threshold(self, threshold: float) -> OperatingPoint:
        """Put a threshold in force by hand. Raises CalibrationError outside (-1, 1)."""
        if not -1 < threshold < 1:
            raise CalibrationError(
                f"a threshold is a cosine between -1 and 1, not {threshold}: an L2 distance d "
                "of unit vectors is the cosine 1 - d*d/2"
            )
        hand = operating.by_hand(threshold, 0, None, self._store.embedder_id, now())
        self._store.calibrate(
            CalibrationRow(
                hand.basis, hand.target, None, threshold, None, hand.made_from, hand.made_at
            )
        )
        return self.operating_point()

    def calibrate(
        self,
        pairs: Pairs,
        *,
        target: Target = Target.FPIR,
        rate: float = operating.DEFAULT_FPIR,
        workers: int | None = None,
        store: bool = True,
    ) -> Calibration:
        """Measure the user's own pairs and put the threshold they give in force.

        store: False only measures. Raises CalibrationError when the pairs cannot serve.
        """
        from facecli.calibrate import calibrate  # scipy costs 0.3 s; nothing else here needs it

        n = len(self._store.templates().ids)
        result = calibrate(self.extractor, pairs, self.built_in_table, target, rate, n, workers)
        if store:
            self._store.calibrate(result.row())
        return result

    # the people ------------------------------------------------------------------------------

    def info(self) -> GalleryInfo:
        """Counts, embedder and operating point (None where there is none yet)."""
        subjects, references = self._store.counts()
        try:
            point = self.operating_point()
        except CalibrationError:
            point = None
        path = self._store.path
        log = path.with_name(path.name + "-wal")
        size = path.stat().st_size + (log.stat().st_size if log.exists() else 0)
        return GalleryInfo(
            path, subjects, references, self._store.embedder_id, self._store.dimension,
            self._store.created_at, size, point,
        )  # fmt: skip

    def subjects(self) -> tuple[SubjectRow, ...]:
        """Everyone enrolled, by name."""
        return self._store.subjects()

    def references(self, subject: str) -> tuple[ReferenceRow, ...]:
        """One subject's references. Raises GalleryError when nobody is called so."""
        return tuple(self._store.references(self._store.find(subject).id))

    def rename(self, old: str, new: str) -> None:
        """Give a subject another name.

        Raises GalleryError when that one is taken, UsageError when it cannot be a name.
        """
        if fault := name_fault(new):
            raise UsageError(f"{new!r}: {fault}")
        self._store.rename(old, new)

    def merge(self, source: str, target: str) -> int:
        """Move all references of `source` to `target`; returns how many."""
        return self._store.merge(source, target)

    def remove(self, subject: str) -> int:
        """Delete a subject with all references; returns how many."""
        return self._store.remove(subject)

    def export(self, path: Path) -> int:
        """Write every reference to a portable file; returns how many. See `exchange.export`."""
        return exchange.export(self._store, path)

    def import_(self, path: Path) -> int:
        """Add what another gallery exported; returns how many were new."""
        return exchange.import_(self._store, path)

    def check(self) -> list[str]:
        """What is wrong with the gallery, a line each: the file, the vectors, the index."""
        if faults := self._store.check():
            return faults
        return _index_faults(self._store.templates())

    def _scores_behind(self) -> ReferenceTable | None:
        return operating.scores_behind(self._store.calibration(), self.built_in_table)

    def _search(self, threshold: float | None) -> _Search:
        point = self.operating_point(threshold)
        return _Search(self._store, self._store.templates(), point, self._scores_behind())


class _Search:
    """One reading of the gallery, searched many times."""

    def __init__(
        self, store: Store, subjects: Subjects, point: OperatingPoint, table: ReferenceTable | None
    ) -> None:
        self._store = store
        self._subjects = subjects
        self._point = point
        self._table = table
        self._index: plugins.Index = plugins.load("facecli.indexes", "flat")(subjects.templates)

    def photo(self, photo: Photo | FailureToAcquire, top: int) -> Iterator[Decision]:
        """One decision a face; one row for a photo that has none or cannot be read."""
        if isinstance(photo, FailureToAcquire):
            yield Decision(Probe(photo.path), Outcome.FAILED, (), self._point, failure=photo)
            return
        for failure in photo.failures:
            yield Decision(Probe(photo.path), Outcome.FAILED, (), self._point, failure=failure)
        if not photo.faces and not photo.failures:
            yield Decision(Probe(photo.path), Outcome.NO_FACE, (), self._point)
        for index, found in enumerate(photo.faces):
            probe = Probe(photo.path, index, found.face)
            candidates = self._candidates(found.template.vector, top)
            yield decide(probe, candidates, self._point, self._false_alarm(candidates))

    def _candidates(self, vector: Float32, top: int) -> list[Candidate]:
        scores, rows = self._index.search(vector[None], max(1, top))
        return [
            Candidate(
                rank, self._subjects.names[row], self._nearest(int(row), vector), float(score)
            )
            for rank, (score, row) in enumerate(zip(scores[0], rows[0], strict=True), start=1)
        ]

    def _nearest(self, row: int, vector: Float32) -> int:
        """Which of the subject's references is most like the probe."""
        ids, vectors = self._store.vectors(self._subjects.ids[row])
        return ids[int(np.argmax(vectors @ vector))]

    def _false_alarm(self, candidates: Sequence[Candidate]) -> float:
        if self._table is None or not candidates:
            return float("nan")
        return self._table.fpir(candidates[0].score, len(self._subjects.ids))


def verify(extractor: Extractor, first: Path, second: Path, point: OperatingPoint) -> Verification:
    """Compare two photos at an operating point. Raises InputError for one without a template."""
    one, two = (_largest(extractor.photo(path)) for path in (first, second))
    score = float(one[1].template.vector @ two[1].template.vector)
    return Verification(one[0], two[0], score, accepts(score, point.threshold), point)


def verify_without_gallery(
    first: Path,
    second: Path,
    *,
    model: str | None = None,
    device: Device = Device.AUTO,
    threshold: float | None = None,
) -> Verification:
    """Compare two photos at the embedder's own table, FMR 1e-4, or at a threshold by hand."""
    spec = weights.find_embedder(model)
    table = reference_table.load(spec.table) if spec.table else None
    if threshold is not None:
        point = operating.by_hand(threshold, 1, table, spec.embedder_id, now())
    elif table is None:
        point = operating.in_force(None, None, 1, spec.embedder_id)  # raises
    else:
        point = operating.point(
            table, 1, Target.FMR, operating.DEFAULT_FMR, Basis.REFERENCE_TABLE, spec.embedder_id
        )
    return verify(Extractor.load(spec, device), first, second, point)


def _largest(photo: Photo | FailureToAcquire) -> tuple[Probe, FaceTemplate]:
    if isinstance(photo, FailureToAcquire):
        raise InputError(f"{photo.path}: {photo.reason}. {photo.detail}".strip())
    if not photo.faces:
        raise InputError(f"{photo.path}: no face found; give a photo that shows one")
    return Probe(photo.path, 0, photo.faces[0].face), photo.faces[0]


def _index_faults(subjects: Subjects) -> list[str]:
    """Compare the search index with plain arithmetic on a sample of the templates."""
    index: plugins.Index = plugins.load("facecli.indexes", "flat")(subjects.templates)
    probes = subjects.templates[:: max(1, len(subjects.ids) // 100)]
    scores, _ = index.search(probes, 1)
    if np.allclose(scores[:, 0], (probes @ subjects.templates.T).max(axis=1), atol=1e-5):
        return []
    return ["the search index disagrees with the stored templates"]
