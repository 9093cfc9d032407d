"""The gallery as a library user sees it: open, enroll, identify, verify, calibrate."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from facecli import operating, reference_table, situation, weights
from facecli.database import now, present
from facecli.enrol import EnrolItem, EnrolReport, enrol
from facecli.errors import (
    CalibrationError,
    EmbedderMismatchError,
    ModelError,
    UsageError,
)
from facecli.extract import Extractor
from facecli.layouts import LabelledPhoto, name_fault
from facecli.operating import Situation
from facecli.people import People
from facecli.quality import DEFAULT_BAR
from facecli.records import CalibrationRow, GalleryInfo
from facecli.reference_table import ReferenceTable
from facecli.search import Search
from facecli.store import Store
from facecli.terms import Device, FacesRule, Target
from facecli.types import (
    Decision,
    OperatingPoint,
)
from facecli.verification import Verification, verify

if TYPE_CHECKING:
    from facecli.audit import Audit
    from facecli.calibrate import Calibration
    from facecli.strangers import Person, StrangerCalibration
    from facecli.trials import Pairs


def default_path() -> Path:
    """FACECLI_GALLERY, else `gallery.facecli` in facecli's home folder."""
    chosen = os.environ.get("FACECLI_GALLERY")
    return Path(chosen).expanduser() if chosen else weights.home() / "gallery.facecli"


class Gallery(People):
    """An open gallery file with the embedder that made it. Use it from one thread.

    Models load at the first photo. Close it, or use it in a `with` statement.
    """

    def __init__(self, store: Store, model: str | None, device: Device) -> None:
        super().__init__(store)
        self._model = model
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

        model: an embedder's name; None takes the one that made the gallery, for a new one
        FACECLI_MODEL, else the default. create: make the file when it is not there.
        Raises GalleryError when it is missing or damaged, EmbedderMismatchError when `model` did
        not make it, ModelError when there is no `model`.
        """
        where = Path(path) if path is not None else default_path()
        if create and not present(where):
            spec = weights.find_embedder(model)
            return cls(Store.create(where, spec.embedder_id, spec.dimension), spec.name, device)
        opened = cls(Store.open(where), model, device)
        try:
            if model is not None:
                opened._spec  # noqa: B018 (it is looked up and compared here)
        except BaseException:
            opened.close()
            raise
        return opened

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._store.close()

    @cached_property
    def _spec(self) -> weights.EmbedderSpec:
        """Looked up when a photo or a table needs it: people can be removed without the model."""
        spec = weights.find_embedder(self._model or self._store.embedder_id.split(":")[0])
        self._store.require(spec.embedder_id)
        return spec

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
        min_quality: float = DEFAULT_BAR,
        workers: int | None = None,
        progress: Callable[[EnrolItem], object] | None = None,
    ) -> EnrolReport:
        """Enrol photos under their subjects' names; what is there already costs a hash.

        Committed in small groups: an interrupted run keeps what it reported and resumes.
        min_quality: faces below it, in [0, 1], are refused with the reason.
        Raises UsageError where a subject's name cannot be one.
        """
        for name in {photo.subject for photo in photos}:
            if fault := name_fault(name):
                raise UsageError(f"{name!r}: {fault}")
        report = enrol(self._store, self.extractor, photos, faces, workers, progress, min_quality)
        situation.observed(self._store)  # now, so that the next search need not wait for it
        return report

    def identify(
        self,
        photos: Iterable[Path | bytes],
        *,
        top: int = 5,
        threshold: float | None = None,
        fpir: float | None = None,
        min_quality: float = DEFAULT_BAR,
        workers: int | None = None,
    ) -> Iterator[Decision]:
        """Decide for every face of every photo, in order; a photo without one gives one row.

        top: how many candidates to rank. threshold, fpir: as for `operating_point`.
        min_quality: a face below it is of low quality where it would be unknown.
        """
        search = self._search(threshold, fpir, min_quality)
        for result in self.extractor.photos(photos, workers):
            yield from search.photo(result, top)

    def verify(self, first: Path, second: Path, *, threshold: float | None = None) -> Verification:
        """Compare the largest faces of two photos at the operating point.

        Raises InputError when a photo gives no template.
        """
        return verify(self.extractor, first, second, self.operating_point(threshold))

    # the threshold ---------------------------------------------------------------------------

    def operating_point(
        self, threshold: float | None = None, fpir: float | None = None
    ) -> OperatingPoint:
        """The one in force for the subjects enrolled now.

        threshold: a cosine, or fpir: another target rate, instead of it; nothing is stored.
        Raises CalibrationError where the embedder has no table and nothing was calibrated.
        """
        return situation.point(self._situation(), threshold, fpir)

    def set_threshold(self, threshold: float) -> OperatingPoint:
        """Put a threshold in force by hand. Raises UsageError outside (-1, 1)."""
        hand = operating.by_hand(self._situation(), threshold, now())
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

        now_ = replace(self._situation(), choice=None)
        result = calibrate(self.extractor, pairs, now_, target, rate, workers)
        if store:
            self._store.calibrate(result.row())
        return result

    def calibrate_strangers(
        self,
        people: Sequence[Person],
        *,
        rate: float = operating.DEFAULT_FPIR,
        assurance: float | None = None,
        workers: int | None = None,
        store: bool = True,
    ) -> StrangerCalibration:
        """Search for people who are not enrolled and put the threshold for FPIR `rate` in force.

        people: see `strangers.read_people`. assurance: a confidence in (0, 1), None for the
        conformal quantile. store: False only measures. Raises CalibrationError when these people
        cannot serve.
        """
        from facecli.strangers import calibrate_strangers

        subjects, now_ = self._store.templates(), self._situation()
        result = calibrate_strangers(
            self.extractor, people, subjects, now_, rate, assurance, workers
        )
        if store:
            self._store.calibrate(result.choice)
        return result

    # what it is ------------------------------------------------------------------------------

    def info(self) -> GalleryInfo:
        """Counts, embedder and operating point (None without a threshold or the embedder)."""
        subjects, references = self._store.counts()
        try:
            point = self.operating_point()
        except (CalibrationError, EmbedderMismatchError, ModelError):
            point = None
        path = self._store.path
        log = path.with_name(path.name + "-wal")
        size = path.stat().st_size + (log.stat().st_size if log.exists() else 0)
        return GalleryInfo(
            path, subjects, references, self._store.embedder_id, self._store.dimension,
            self._store.created_at, size, point,
        )  # fmt: skip

    def audit(self) -> Audit:
        """What is probably wrong with the gallery, most certain first; changes nothing.

        Raises CalibrationError where the embedder has no table and nothing was calibrated.
        """
        from facecli.audit import audit  # scipy costs 0.1 s; nothing else here needs it

        table = self._situation().table()
        if table is None:
            raise CalibrationError(
                f"the embedder {self._store.embedder_id.split(':')[0]} comes without a reference "
                "table, so no likeness can be judged: measure one with "
                "`facecli threshold --calibrate pairs.csv`"
            )
        with self._store.snapshot():
            references = tuple(self._store.references())
        return audit(references, table)

    def _search(self, threshold: float | None, fpir: float | None, bar: float) -> Search:
        now_ = self._situation()
        point = situation.point(now_, threshold, fpir)
        return Search(self._store, self._store.templates(), point, now_.fitted_table(), bar)

    def _situation(self) -> Situation:
        return situation.of(self._store, self.built_in_table)
