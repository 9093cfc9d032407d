"""The gallery as a library user sees it: open, enroll, identify, verify, calibrate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, overload

from facecli.common import places
from facecli.common.enums import DetectorName, Device, FacesRule, Target
from facecli.common.errors import (
    CalibrationError,
    EmbedderMismatchError,
    InputError,
    ModelError,
)
from facecli.common.names import name_key, require_name
from facecli.common.timestamp import now
from facecli.common.types import Decision, Face, FailureToAcquire, OperatingPoint, Photo
from facecli.datasets.labels import LabelledPhoto
from facecli.gallery.identify import Search, identify
from facecli.gallery.loaded_models import LoadedModels
from facecli.gallery.pictures import PhotoLike, is_one, source, sources, to_enroll
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import ChannelOrder
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR
from facecli.storage import opening
from facecli.storage.interface import Reader, Storage
from facecli.storage.keys import Key
from facecli.storage.records import CalibrationRow, GalleryInfo, Subjects
from facecli.threshold import operating_point
from facecli.threshold.operating_point import DEFAULT_FPIR, ThresholdInputs
from facecli.video.frames import Frame, Sampling

if TYPE_CHECKING:
    from facecli.datasets.pairs import Pairs
    from facecli.evaluation.audit.findings import Audit
    from facecli.evaluation.look_alikes import LookAlikes
    from facecli.gallery.enroll import EnrollItem, EnrollReport
    from facecli.gallery.re_embed import LeftOut, ReEmbedding
    from facecli.gallery.verify import Verification
    from facecli.gallery.watch import Watching
    from facecli.threshold.from_pairs import Calibration
    from facecli.threshold.from_strangers import Stranger, StrangerCalibration

REEMBED = "re-embedding"
EVERY_SO_OFTEN = Sampling()


class Gallery:
    """An open gallery with the models that made it. Use it from one thread, in one process.

    Raises MisuseError where it is used from another, after `close`, or where something is written
    within a read that is not finished, such as a generator left open.

    storage: who is enrolled; list, rename, merge and remove people there. models: load at the
    first photo. Close it, or use it in a `with` statement. It has a length and names to go
    through, and says whether somebody is `in` it.
    """

    def __init__(self, storage: Storage, models: LoadedModels) -> None:
        self.storage = storage
        self.models = models
        self._closed = False

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
        """Open the gallery at `path` (default: `places.default_gallery()`).

        model: an embedder's name; None takes the one that made the gallery, for a new one
        FACECLI_MODEL, else the default. detector: what finds the faces, with either the same.
        create: make the file when it is not there. key: that of an encrypted gallery, see `keys`;
        a new one is encrypted with it.
        Open a file once in a process: SQLite's locks are a process's, and what looks at the file's
        bytes, as opening and purging do, ends those of another connection to it.
        Raises GalleryError when it is missing or damaged, EmbedderMismatchError when `model` did
        not make it, ModelError when there is no `model`.
        """
        where = Path(path) if path is not None else places.default_gallery()
        if create and not opening.present(where, key):
            spec = registry.find_embedder(model)
            storage = opening.create_storage(where, spec.embedder_id, spec.dimension, key)
            return cls(storage, LoadedModels(spec.name, storage, device, detector))
        storage = opening.open_storage(where, key)
        made_by = storage.reader.embedder_id.split(":")[0]
        models = LoadedModels(model or made_by, storage, device, detector)
        try:
            if model is not None:
                models.spec  # noqa: B018 (it is looked up and compared here)
        except BaseException:
            storage.close()
            raise
        return cls(storage, models)

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._closed = True
        self.storage.close()

    def __repr__(self) -> str:
        if self._closed:
            return f"<Gallery {self.storage.path}, closed>"
        subjects, references = self.storage.reader.counts()
        made_by = self.storage.reader.embedder_id.split(":")[0]
        counts = ((subjects, "subject"), (references, "reference"))
        held = ", ".join(f"{n:,} {noun}{'' if n == 1 else 's'}" for n, noun in counts)
        return f"<Gallery {self.storage.path}: {held}, embedder {made_by}>"

    def __len__(self) -> int:
        """How many subjects are enrolled."""
        return self.storage.reader.subject_count()

    def __bool__(self) -> bool:
        """True: an empty gallery is one, too."""
        return True

    def __iter__(self) -> Iterator[str]:
        """The subjects' names, in order."""
        return iter([subject.name for subject in self.storage.reader.subjects()])

    def __contains__(self, name: object) -> bool:
        """Whether somebody of this name is enrolled."""
        return isinstance(name, str) and name_key(name) in map(name_key, self)

    # the main job ----------------------------------------------------------------------------

    def enroll(
        self,
        photos: PhotoLike | Sequence[PhotoLike] | Sequence[LabelledPhoto],
        subject: str | None = None,
        *,
        channels: ChannelOrder | str | None = None,
        faces: FacesRule = FacesRule.CLEAR,
        min_quality: float = DEFAULT_BAR,
        workers: int | None = None,
        scheduler: str | None = None,
        progress: Callable[[EnrollItem], object] | None = None,
        dry_run: bool = False,
        replace: bool = False,
    ) -> EnrollReport:
        """Enrol photos under their subjects' names; what is there already costs a hash.

        Committed in small groups: an interrupted run keeps what it reported and resumes.
        photos: as `labelled` gives them; or files and folders, which then are named as `labelled`
        does it, what it cannot name among the report's items; or pictures that lie in no file, with
        `subject`. channels: of arrays, in which order their colours lie. min_quality: faces below
        it, in [0, 1], are refused with the reason. scheduler: work on Dask workers, `local`
        processes or those of an address (see `distributed`). dry_run: look at the photos, enrol
        nothing. replace: where another picture lies under an enrolled photo's path, remove what
        that photo gave. Raises UsageError where a subject's name cannot be one, SchedulerError
        where the workers are not there.
        """
        from facecli.gallery.enroll import enroll, enroll_pictures, joined  # searching does without

        if subject is not None:
            require_name(subject)
        files, pictures, unnamed = to_enroll(photos, subject, channels)
        for name in {photo.subject for photo in files}:
            require_name(name)
        dry = self.storage.untouched() if dry_run else nullcontext()
        with self.models.run(scheduler, workers) as run, dry:
            report = enroll(
                self.storage, run, files, faces, progress, min_quality, not dry_run, replace,
                self.models.measured.table,
            )  # fmt: skip
        if pictures and subject:
            with self.storage.untouched() if dry_run else nullcontext():
                others = enroll_pictures(
                    self.storage, self.models.extractor, pictures, subject, faces, min_quality,
                    not dry_run,
                )  # fmt: skip
            report = joined(report, others.items)
        report = joined(report, unnamed)
        if not dry_run:
            # now, so that the next search need not wait for it
            operating_point.own_nonmated_scores(self.storage, self.models.measured.kinds)
            self.storage.settle()
        return report

    def identify(
        self,
        photos: PhotoLike | Iterable[PhotoLike],
        *,
        channels: ChannelOrder | str | None = None,
        top: int = 5,
        threshold: float | None = None,
        fpir: float | None = None,
        possible: float | None = None,
        min_quality: float = DEFAULT_BAR,
        workers: int | None = None,
        exact: bool = False,
        sampling: Sampling = EVERY_SO_OFTEN,
        boxes: bool = False,
        progress: Callable[[Frame], object] = lambda _: None,
    ) -> Iterator[Decision]:
        """Decide for every face of every photo, in order; a photo without one gives one row.

        Of a clip, which its content tells, there is one decision a track, as it ends.

        channels: of arrays, in which order their colours lie; see `pictures.sources`.
        top: how many candidates to rank. threshold, fpir: as for `operating_point`. possible: a
        laxer target FPIR: an unknown face with candidates between the two thresholds is possible.
        min_quality: a face below it is of low quality, whoever it is like.
        exact: rank as brute force would, where the gallery is so large that a sidecar proposes.
        sampling: which frames of a clip are looked at. boxes: whether tracks keep where they were,
        to be drawn. progress: called once a frame.
        """
        return identify(
            self.storage, self.models, sources(photos, channels), top=top, threshold=threshold,
            fpir=fpir, possible=possible, min_quality=min_quality, workers=workers, exact=exact,
            sampling=sampling, boxes=boxes, progress=progress,
        )  # fmt: skip

    def watch(
        self,
        source: str | int,
        stop: threading.Event,
        *,
        top: int = 5,
        threshold: float | None = None,
        fpir: float | None = None,
        min_quality: float = DEFAULT_BAR,
        how: Watching | None = None,
        note: Callable[[str], object] = lambda _: None,
    ) -> Iterator[Decision]:
        """Decide for everybody whom a camera sees, once they are gone or stay for long.

        source: a camera's number or an address, see `live.source_of`. stop: set it to end; who is
        on screen is answered then. note: called with a line where the source is lost or back.
        """
        from facecli.gallery.watch import Watching, watch

        def search() -> Search:
            return Search.of(
                self.storage, self.models, top=top, threshold=threshold, fpir=fpir, possible=None,
                min_quality=min_quality, exact=False,
            )  # fmt: skip

        return watch(self.storage, self.models, source, search, how or Watching(), stop, note)

    def verify(
        self,
        first: PhotoLike,
        second: PhotoLike,
        *,
        channels: ChannelOrder | str | None = None,
        threshold: float | None = None,
    ) -> Verification:
        """Compare the most prominent faces of two photos at the operating point.

        channels: of arrays, in which order their colours lie.
        Raises InputError when a photo gives no template.
        """
        from facecli.gallery.verify import verify

        point = self.operating_point(threshold)
        pair = source(first, channels), source(second, channels)
        return verify(self.models.extractor, *pair, point)

    def embed(
        self,
        photos: PhotoLike | Iterable[PhotoLike],
        *,
        channels: ChannelOrder | str | None = None,
        workers: int | None = None,
    ) -> Iterator[Photo | FailureToAcquire]:
        """Every photo's faces with their templates, in order, or why there are none.

        Nothing is stored or searched. channels: of arrays, in which order their colours lie.
        """
        return self.models.extractor.photos(sources(photos, channels), workers)

    @overload  # text and arrays can be gone through, too, and are one photo each
    def detect(  # type: ignore[overload-overlap]
        self, photos: PhotoLike, *, channels: ChannelOrder | str | None = None
    ) -> tuple[Face, ...]: ...
    @overload
    def detect(
        self, photos: Iterable[PhotoLike], *, channels: ChannelOrder | str | None = None
    ) -> Iterator[tuple[Face, ...]]: ...
    def detect(
        self,
        photos: PhotoLike | Iterable[PhotoLike],
        *,
        channels: ChannelOrder | str | None = None,
    ) -> tuple[Face, ...] | Iterator[tuple[Face, ...]]:
        """The faces of a photo, the most prominent first, with their quality; of many, one by one.

        Raises InputError where a photo cannot be read: `embed` goes on.
        """
        found = (_faces(photo) for photo in self.embed(photos, channels=channels))
        return next(found) if is_one(photos) else found

    def vectors(self) -> Subjects:
        """Everybody's id and name, and their templates: (n, d) float32 unit vectors, row by row.

        Templates are biometric data: keep them as you keep the gallery.
        """
        return self.storage.reader.templates()

    def re_embed(
        self,
        model: str,
        *,
        to: Path | None = None,
        accept: Callable[[Sequence[LeftOut]], object] = lambda _: None,
        workers: int | None = None,
        progress: Callable[[], object] = lambda: None,
        dry_run: bool = False,
        look_in: Sequence[Path] = (),
    ) -> ReEmbedding:
        """Move the gallery to another embedder, from its original photos; see `gallery.re_embed`.

        to: a new file, and this gallery stays. accept: called with the references that would be
        left out; may raise. dry_run: only look for the photos. look_in: folders where those are
        looked for, by their content, that are not where they were. Raises UsageError when the
        gallery is this model's, GalleryError when nothing could be re-embedded.
        """
        from facecli.gallery.re_embed import re_embed, survey

        spec = registry.find_embedder(model)
        file = opening.file_of(self.storage, REEMBED)
        if dry_run:
            return survey(file, spec, look_in)
        if to is not None:
            opening.file_path(to, REEMBED)
        extractor = Extractor.load(spec, self.models.device, self.models.detector)
        result = re_embed(file, extractor, to, accept, workers, progress, look_in)
        if to is None:
            self.models.take(model)
        return result

    # the threshold ---------------------------------------------------------------------------

    def operating_point(
        self, threshold: float | None = None, fpir: float | None = None
    ) -> OperatingPoint:
        """The one in force for the subjects enrolled now.

        threshold: a cosine, or fpir: another target rate, instead of it; nothing is stored.
        Raises CalibrationError where the embedder has no table and nothing was calibrated.
        """
        return operating_point.requested(self._threshold_inputs(), threshold, fpir)

    def set_threshold(self, threshold: float) -> OperatingPoint:
        """Put a threshold in force by hand. Raises UsageError outside (-1, 1)."""
        hand = operating_point.by_hand(self._threshold_inputs(), threshold, now())
        self.storage.calibrate(
            CalibrationRow(
                hand.basis, hand.target, None, threshold, None, hand.made_from, hand.made_at
            )
        )
        return self.operating_point()

    def reset_threshold(self) -> OperatingPoint:
        """Put the default in force again: the embedder's table at FPIR 1 %."""
        self.storage.calibrate(operating_point.back_to_default())
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
        from facecli.threshold.from_pairs import calibrate  # scipy costs 0.3 s

        inputs = self._threshold_inputs()
        result = calibrate(self.models.extractor, pairs, inputs, target, rate, workers)
        if store:
            self.storage.calibrate(result.choice)
        return result

    def calibrate_strangers(
        self,
        people: Sequence[Stranger],
        *,
        rate: float = DEFAULT_FPIR,
        assurance: float | None = None,
        workers: int | None = None,
        store: bool = True,
    ) -> StrangerCalibration:
        """Search for people who are not enrolled and put the threshold for FPIR `rate` in force.

        people: see `read_people`. assurance: a confidence in (0, 1), None for the conformal
        quantile. store: False only measures. Raises CalibrationError when they cannot serve.
        """
        from facecli.threshold.from_strangers import calibrate_strangers

        subjects, inputs = self.storage.reader.templates(), self._threshold_inputs()
        result = calibrate_strangers(
            self.models.extractor, people, subjects, inputs, rate, assurance, workers
        )
        if store:
            self.storage.calibrate(result.choice)
        return result

    # what it is ------------------------------------------------------------------------------

    def info(self) -> GalleryInfo:
        """Counts, embedder and operating point (None without a threshold or the embedder)."""
        reader = self.storage.reader
        subjects, references = reader.counts()
        try:
            point = self.operating_point()
        except (CalibrationError, EmbedderMismatchError, ModelError):
            point = None
        return GalleryInfo(
            self.storage.path, subjects, references, reader.embedder_id, reader.dimension,
            reader.created_at, reader.size(), point,
            reader.index(point.threshold if point else None), encrypted=reader.encrypted,
        )  # fmt: skip

    def look_alikes(self) -> tuple[LookAlikes, ...]:
        """Enrolled people who may be one person under two names, or twins; see `look_alikes`.

        Not those who were said to be two: `storage.distinct` says it.
        """
        from facecli.evaluation.look_alikes import look_alikes

        table = self._threshold_inputs().table()
        reader = self.storage.reader
        return () if table is None else look_alikes(reader.templates(), table, _distinct(reader))

    def audit(self) -> Audit:
        """What is probably wrong with the gallery, most certain first; changes nothing.

        Raises CalibrationError where the embedder has no table and nothing was calibrated.
        """
        from facecli.evaluation.audit.audit import audit  # scipy costs 0.1 s
        from facecli.evaluation.audit.photos import changed

        reader, table = self.storage.reader, self._threshold_inputs().table()
        if table is None:
            raise CalibrationError(
                f"the embedder {reader.embedder_id.split(':')[0]} comes without a reference "
                "table, so no likeness can be judged: measure one with "
                "`facecli threshold --calibrate pairs.csv`"
            )
        with reader.snapshot():
            references, distinct = tuple(reader.references()), _distinct(reader)
        return audit(references, table, changed(references), distinct)

    def _threshold_inputs(self) -> ThresholdInputs:
        return ThresholdInputs.of(self.storage, self.models.measured)


def _distinct(reader: Reader) -> frozenset[frozenset[str]]:
    """The names of who was said to be two people."""
    return frozenset(frozenset((one.name, other.name)) for one, other in reader.distinct())


def _faces(found: Photo | FailureToAcquire) -> tuple[Face, ...]:
    if isinstance(found, FailureToAcquire):
        raise InputError(": ".join(filter(None, (found.path, found.reason, found.detail))))
    return tuple(one.face for one in found.faces)
