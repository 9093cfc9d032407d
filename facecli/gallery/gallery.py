"""The gallery as a library user sees it: open, enroll, identify, verify, calibrate."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from facecli.common import places
from facecli.common.enums import DetectorName, Device, FacesRule, Target
from facecli.common.errors import CalibrationError, EmbedderMismatchError, ModelError, UsageError
from facecli.common.names import name_fault
from facecli.common.timestamp import now
from facecli.common.types import Decision, OperatingPoint
from facecli.datasets.labels import LabelledPhoto
from facecli.gallery.identify import identify
from facecli.gallery.loaded_models import Equipped
from facecli.gallery.search import Search
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor, Source
from facecli.recognition.quality import DEFAULT_BAR
from facecli.storage import opening
from facecli.storage.keys import Key
from facecli.storage.records import CalibrationRow, GalleryInfo
from facecli.threshold import operating_point, situation
from facecli.threshold.operating_point import DEFAULT_FPIR

if TYPE_CHECKING:
    from facecli.datasets.pairs import Pairs
    from facecli.evaluation.audit.findings import Audit
    from facecli.gallery.enroll import EnrolItem, EnrolReport
    from facecli.gallery.re_embed import LeftOut, ReEmbedding
    from facecli.gallery.verify import Verification
    from facecli.threshold.from_pairs import Calibration
    from facecli.threshold.from_strangers import Person, StrangerCalibration

REEMBED = "re-embedding"


def default_path() -> Path:
    """FACECLI_GALLERY, else `gallery.facecli` in facecli's home folder."""
    chosen = os.environ.get("FACECLI_GALLERY")
    return Path(chosen).expanduser() if chosen else places.home() / "gallery.facecli"


class Gallery(Equipped):
    """An open gallery file with the embedder that made it. Use it from one thread.

    Models load at the first photo. Close it, or use it in a `with` statement.
    """

    @classmethod
    def open(
        cls,
        path: Path | str | None = None,
        *,
        model: str | None = None,
        device: Device = Device.AUTO,
        detector: DetectorName = DetectorName.YUNET,
        create: bool = False,
        key: Key | None = None,
    ) -> Gallery:
        """Open the gallery at `path` (default: `default_path()`).

        model: an embedder's name; None takes the one that made the gallery, for a new one
        FACECLI_MODEL, else the default. detector: what finds the faces, with either the same.
        create: make the file when it is not there. key: that of an encrypted gallery, see `keys`;
        a new one is encrypted with it.
        Open a file once in a process: SQLite's locks are a process's, and what looks at the file's
        bytes, as opening and purging do, ends those of another connection to it.
        Raises GalleryError when it is missing or damaged, EmbedderMismatchError when `model` did
        not make it, ModelError when there is no `model`.
        """
        where = Path(path) if path is not None else default_path()
        if create and not opening.present(where, key):
            spec = registry.find_embedder(model)
            made = opening.create_storage(where, spec.embedder_id, spec.dimension, key)
            return cls(made, spec.name, device, detector)
        opened = cls(opening.open_storage(where, key), model, device, detector)
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

    # the main job ----------------------------------------------------------------------------

    def enroll(
        self,
        photos: Sequence[LabelledPhoto],
        *,
        faces: FacesRule = FacesRule.LARGEST,
        min_quality: float = DEFAULT_BAR,
        workers: int | None = None,
        scheduler: str | None = None,
        progress: Callable[[EnrolItem], object] | None = None,
        dry_run: bool = False,
    ) -> EnrolReport:
        """Enrol photos under their subjects' names; what is there already costs a hash.

        Committed in small groups: an interrupted run keeps what it reported and resumes.
        min_quality: faces below it, in [0, 1], are refused with the reason. scheduler: work on
        Dask workers, `local` processes or those of an address (see `spread`). dry_run: look at
        the photos, enrol nothing. Raises UsageError where a subject's name cannot be one,
        SchedulerError where the workers are not there.
        """
        from facecli.gallery.enroll import (
            enrol,  # what searching does not need is not imported for it
        )

        for name in {photo.subject for photo in photos}:
            if fault := name_fault(name):
                raise UsageError(f"{name!r}: {fault}")
        with self._run(scheduler, workers) as run, self.untouched(dry_run):
            report = enrol(self._store, run, photos, faces, progress, min_quality, not dry_run)
        if dry_run:
            return report
        situation.observed(self._store)  # now, so that the next search need not wait for it
        self._store.settle()
        return report

    def identify(
        self,
        photos: Iterable[Source],
        *,
        top: int = 5,
        threshold: float | None = None,
        fpir: float | None = None,
        min_quality: float = DEFAULT_BAR,
        workers: int | None = None,
        exact: bool = False,
    ) -> Iterator[Decision]:
        """Decide for every face of every photo, in order; a photo without one gives one row.

        top: how many candidates to rank. threshold, fpir: as for `operating_point`.
        min_quality: a face below it is of low quality where it would be unknown.
        exact: rank as brute force would, where the gallery is so large that a sidecar proposes.
        """
        self._spec  # noqa: B018 (looked up here: SQLite is asked for it, on the thread it opened on)
        yield from identify(
            self._store,
            photos,
            lambda lone: self._lone_extractor if lone else self.extractor,
            lambda: self._search(threshold, fpir, min_quality, exact),
            top,
            workers,
        )

    def verify(self, first: Path, second: Path, *, threshold: float | None = None) -> Verification:
        """Compare the largest faces of two photos at the operating point.

        Raises InputError when a photo gives no template.
        """
        from facecli.gallery.verify import verify

        return verify(self.extractor, first, second, self.operating_point(threshold))

    def re_embed(
        self,
        model: str,
        *,
        to: Path | None = None,
        accept: Callable[[Sequence[LeftOut]], object] = lambda _: None,
        workers: int | None = None,
        progress: Callable[[], object] = lambda: None,
        dry_run: bool = False,
    ) -> ReEmbedding:
        """Move the gallery to another embedder, from its original photos; see `reembed`.

        to: a new file, and this gallery stays. accept: called with the references that would be
        left out; may raise. dry_run: only look for the photos. Raises UsageError when the gallery
        is this model's, GalleryError when nothing could be re-embedded.
        """
        from facecli.gallery.re_embed import re_embed, survey

        spec = registry.find_embedder(model)
        file = opening.file_of(self._store, REEMBED)
        if dry_run:
            return survey(file, spec)
        if to is not None:
            opening.file_path(to, REEMBED)
        extractor = Extractor.load(spec, self._device, self._detector)
        result = re_embed(file, extractor, to, accept, workers, progress)
        if to is None:
            self._take(model)
        return result

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
        hand = operating_point.by_hand(self._situation(), threshold, now())
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
        rate: float = DEFAULT_FPIR,
        workers: int | None = None,
        store: bool = True,
    ) -> Calibration:
        """Measure the user's own pairs and put the threshold they give in force.

        store: False only measures. Raises CalibrationError when the pairs cannot serve.
        """
        from facecli.threshold.from_pairs import (
            calibrate,  # scipy costs 0.3 s; nothing else here needs it
        )

        now_ = replace(self._situation(), choice=None)
        result = calibrate(self.extractor, pairs, now_, target, rate, workers)
        if store:
            self._store.calibrate(result.row())
        return result

    def calibrate_strangers(
        self,
        people: Sequence[Person],
        *,
        rate: float = DEFAULT_FPIR,
        assurance: float | None = None,
        workers: int | None = None,
        store: bool = True,
    ) -> StrangerCalibration:
        """Search for people who are not enrolled and put the threshold for FPIR `rate` in force.

        people: see `strangers.read_people`. assurance: a confidence in (0, 1), None for the
        conformal quantile. store: False only measures. Raises CalibrationError when these people
        cannot serve.
        """
        from facecli.threshold.from_strangers import calibrate_strangers

        subjects, now_ = self._store.reader.templates(), self._situation()
        result = calibrate_strangers(
            self.extractor, people, subjects, now_, rate, assurance, workers
        )
        if store:
            self._store.calibrate(result.choice)
        return result

    # what it is ------------------------------------------------------------------------------

    def info(self) -> GalleryInfo:
        """Counts, embedder and operating point (None without a threshold or the embedder)."""
        reader = self._store.reader
        subjects, references = reader.counts()
        try:
            point = self.operating_point()
        except (CalibrationError, EmbedderMismatchError, ModelError):
            point = None
        return GalleryInfo(
            self._store.path, subjects, references, reader.embedder_id, reader.dimension,
            reader.created_at, reader.size(), point,
            reader.index(point.threshold if point else None), encrypted=reader.encrypted,
        )  # fmt: skip

    def audit(self) -> Audit:
        """What is probably wrong with the gallery, most certain first; changes nothing.

        Raises CalibrationError where the embedder has no table and nothing was calibrated.
        """
        from facecli.evaluation.audit.listing import (
            audit,  # scipy costs 0.1 s; nothing else here needs it
        )

        reader, table = self._store.reader, self._situation().table()
        if table is None:
            raise CalibrationError(
                f"the embedder {reader.embedder_id.split(':')[0]} comes without a reference "
                "table, so no likeness can be judged: measure one with "
                "`facecli threshold --calibrate pairs.csv`"
            )
        with reader.snapshot():
            references = tuple(reader.references())
        return audit(references, table)

    def _search(
        self, threshold: float | None, fpir: float | None, bar: float, exact: bool
    ) -> Search:
        now_ = self._situation()
        point = situation.point(now_, threshold, fpir)
        ranker = self._store.reader.ranker(exact, point.threshold)
        return Search(ranker, point, now_.fitted_table(), bar)
