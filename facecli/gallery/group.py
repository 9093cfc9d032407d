"""People without names: photos and clips into groups of faces, and groups into the gallery.

Of a clip every track counts as a face, with the mean template of its best ones.
The faces, and what was decided about them, lie in a file beside the gallery (`grouping_file`), so
that more photos can come later. Faces of people already enrolled are found by the ordinary search
and offered; what is left is grouped by likeness (`grouping.regroup`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from facecli.common.decision import accepts, told_apart
from facecli.common.enums import GroupState, Reason
from facecli.common.errors import CalibrationError, GalleryError
from facecli.common.names import name_key, require_name
from facecli.common.parallel import batches
from facecli.common.types import FaceTemplate, FailureToAcquire, Photo
from facecli.gallery.enroll import COMMIT_EVERY, EnrollItem, EnrollReport, EnrollStatus
from facecli.gallery.gallery import Gallery
from facecli.gallery.rivals import Rivals
from facecli.grouping.links import RATE
from facecli.grouping.regroup import Known, free, regroup
from facecli.metrics.crowd import LAST, own_threshold
from facecli.recognition import images, quality
from facecli.recognition.pipeline import Extractor, OpenedPhoto, decode_photo
from facecli.storage import opening
from facecli.storage.records import NewReference, SeenFace, SeenPhoto
from facecli.storage.sqlite.grouping_file import GroupingFile, Undone
from facecli.storage.sqlite.store import GalleryFile
from facecli.threshold import operating_point
from facecli.threshold.operating_point import ThresholdInputs
from facecli.video import frames
from facecli.video.frames import Sampling
from facecli.video.templates import Tracking, tracks

WHAT = "a grouping of photos"


@dataclass(frozen=True, slots=True)
class GroupReport:
    """What became of the photos given. looked_at: for the first time; already: seen before.

    failures: photos, or faces of them, that gave no template. threshold: what linked faces, cosine;
    NaN where there were none. rate: its target FPIR.
    """

    looked_at: int
    already: int
    failures: tuple[FailureToAcquire, ...]
    threshold: float
    rate: float = RATE

    def with_problems(self, problems: Sequence[FailureToAcquire]) -> GroupReport:
        """The same, and what could not even be looked at."""
        return replace(self, failures=(*problems, *self.failures))


@contextmanager
def grouping_of(gallery: GalleryFile, *, create: bool = False) -> Iterator[GroupingFile]:
    """The grouping beside a gallery file. Raises GalleryError where there is none."""
    reader = gallery.reader
    file = GroupingFile.open(
        gallery.path, gallery.key, reader.embedder_id, reader.dimension, create=create
    )
    try:
        yield file
    finally:
        file.close()


def group(
    gallery: Gallery,
    photos: Sequence[Path],
    *,
    min_quality: float = quality.DEFAULT_BAR,
    workers: int | None = None,
    progress: Callable[[], object] = lambda: None,
) -> GroupReport:
    """Look at photos and clips and group every face there is by person; run it again with more.

    A photo that was seen costs a hash. Committed in small groups: an interrupted run goes on where
    it was. min_quality: faces below it stand apart. Raises CalibrationError where the embedder has
    no table to link by.
    """
    file = opening.file_of(gallery.storage, WHAT)
    models = gallery.models
    inputs = ThresholdInputs.of(file, models.measured)
    table = inputs.table()
    if table is None:
        raise CalibrationError(
            f"the embedder {inputs.embedder_id.split(':')[0]} comes without a reference table, so "
            "nothing says which faces are one person's: enrol two people or more, or measure with "
            "`facecli threshold --calibrate pairs.csv`"
        )
    with grouping_of(file, create=True) as grouping:
        looked_at, already, failures = _look(
            gallery, grouping, photos, min_quality, workers, progress
        )
        names = [subject.name for subject in file.reader.subjects()]
        faces = free(grouping, names)
        known = _known(file, inputs, faces, min_quality) if names else {}
        bar = regroup(grouping, table.threshold, min_quality, names, known, workers)
    return GroupReport(looked_at, already, tuple(failures), bar)


def name(
    gallery: Gallery,
    grouping: GroupingFile,
    group: int,
    subject: str | None = None,
    *,
    min_quality: float = quality.DEFAULT_BAR,
) -> EnrollReport:
    """Enrol a group's faces under a name, as `enroll` would: the same bar, log and threshold.

    subject: None takes the name that it is offered for. Raises GalleryError where there is none,
    or nothing of it can be enrolled, UsageError where the name cannot be one.
    """
    found = grouping.group(group)
    if subject is None:
        subject = found.name
    if subject is None:
        raise GalleryError(f"group {group} has no name yet: `facecli group name {group} NAME`")
    require_name(subject)
    if found.state is GroupState.NAMED and found.name and name_key(found.name) != name_key(subject):
        raise GalleryError(
            f"group {group} is enrolled as {found.name}: rename that with `facecli gallery rename`"
        )
    storage = opening.file_of(gallery.storage, WHAT)
    there = storage.reader.enrolled_photos([subject])
    items: list[EnrollItem] = []
    new: list[tuple[SeenFace, NewReference]] = []
    for face in grouping.faces(group):
        fault = quality.fault(face.found.face, min_quality)
        status, flaw = EnrollStatus.ENROLLED, None
        if (name_key(subject), face.photo_sha256) in there:
            status = EnrollStatus.ALREADY
        elif fault:
            status = EnrollStatus.SKIPPED
            flaw = FailureToAcquire(face.path, Reason.LOW_QUALITY, fault)
        else:
            new.append(
                (face, NewReference(subject, face.found, face.photo_sha256, face.face_index,
                                    face.path))
            )  # fmt: skip
        items.append(
            EnrollItem(face.path, subject, status, int(status is EnrollStatus.ENROLLED), flaw)
        )
    if all(item.status is EnrollStatus.SKIPPED for item in items):
        raise GalleryError(
            f"no face of group {group} is good enough to be enrolled: see `facecli group show "
            f"{group}`; --min-quality 0 takes any"
        )
    storage.add([reference for _, reference in new])
    grouping.name(group, storage.reader.find(subject).name, [face.id for face, _ in new])
    operating_point.own_nonmated_scores(storage, gallery.models.measured.kinds)
    storage.settle()
    return EnrollReport(tuple(items))


def undo(gallery: GalleryFile, grouping: GroupingFile) -> Undone:
    """Take back what was last decided about groups, enrolment included.

    References that a naming added are removed as `gallery remove` does it. Raises GalleryError
    where there is nothing to undo.
    """
    last = grouping.newest()
    if last.name is not None:
        _withdraw(gallery, last.name, last.enrolled)
    grouping.undo()
    return last


def _withdraw(gallery: GalleryFile, name: str, enrolled: Sequence[SeenFace]) -> None:
    """Remove what a naming enrolled, as far as it is still there."""
    key = name_key(name)
    subject = next((s for s in gallery.reader.subjects() if name_key(s.name) == key), None)
    if subject is None:
        return
    added = {(face.photo_sha256, face.face_index) for face in enrolled}
    there = tuple(gallery.reader.references(subject.id))
    gone = [row for row in there if (row.photo_sha256, row.face_index) in added]
    if len(gone) == len(there):
        gallery.remove(name)
        return
    for row in gone:
        gallery.remove_reference(name, row.id)


# photos to faces ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """A photo on its way. sha256: empty where it could not be read. photo: None where it was
    seen before.
    """

    path: str
    sha256: str
    photo: Photo | FailureToAcquire | None


def _look(
    gallery: Gallery,
    grouping: GroupingFile,
    photos: Sequence[Path],
    bar: float,
    workers: int | None,
    progress: Callable[[], object],
) -> tuple[int, int, list[FailureToAcquire]]:
    """Keep the faces of the photos that were not seen before; how many were new, and were not."""
    seen = grouping.seen()
    failures: list[FailureToAcquire] = []
    waiting: list[SeenPhoto] = []
    moved: dict[str, str] = {}
    looked_at = already = 0
    known = frozenset(seen)
    with gallery.models.run(None, workers) as run:
        for looked in run(partial(_faces, known, bar), batches(photos, lambda path: path)):
            photo = looked.photo
            if isinstance(photo, FailureToAcquire):
                failures.append(photo)
            elif photo is None or photo.sha256 in seen:
                already += 1
                if not Path(seen[looked.sha256]).exists():
                    moved[looked.sha256] = looked.path
            else:
                looked_at += 1
                failures += photo.failures
                seen[photo.sha256] = photo.path
                waiting.append(SeenPhoto(photo.sha256, photo.path, photo.faces))
            if len(waiting) >= COMMIT_EVERY:
                grouping.add(waiting)
                waiting.clear()
            progress()
    grouping.add(waiting)
    grouping.moved(moved)
    return looked_at, already, failures


def _faces(
    known: Set[str], bar: float, extractor: Extractor, paths: Sequence[Path]
) -> Iterator[_Looked]:
    made = extractor.extract(_open(path, known, bar, extractor) for path in paths)
    for path in paths:
        photo = next(made)
        if isinstance(photo, _Looked):
            yield photo
        else:
            yield _Looked(str(path), photo.sha256 if isinstance(photo, Photo) else "", photo)


def _open(path: Path, known: Set[str], bar: float, extractor: Extractor) -> OpenedPhoto | _Looked:
    """A photo that waits for its faces; a clip is done at once."""
    if Sampling().takes(path):
        return _clip(path, known, bar, extractor)
    data = images.read_photo(path)
    if isinstance(data, FailureToAcquire):
        return _Looked(str(path), "", data)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 in known:
        return _Looked(str(path), sha256, None)
    opened = decode_photo(data, str(path), sha256)
    return _Looked(str(path), sha256, opened) if isinstance(opened, FailureToAcquire) else opened


def _clip(path: Path, known: Set[str], bar: float, extractor: Extractor) -> _Looked:
    """A clip's tracks as the faces of a photo. bar: of the faces that a track's mean is made of."""
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        fault = error.strerror or str(error)
        return _Looked(str(path), "", FailureToAcquire(str(path), Reason.UNREADABLE, fault))
    if sha256 in known:
        return _Looked(str(path), sha256, None)
    seen: list[FaceTemplate] = []
    failures: list[FailureToAcquire] = []
    for found in tracks(extractor, frames.read(path, Sampling()), Tracking(bar=bar, workers=1)):
        if isinstance(found, FailureToAcquire):
            failures.append(found)
        else:
            seen.append(found)
    if failures and not seen:
        return _Looked(str(path), "", failures[0])
    return _Looked(str(path), sha256, Photo(str(path), sha256, tuple(seen), tuple(failures)))


# faces to people who are enrolled -------------------------------------------------------------


def _known(
    gallery: GalleryFile, inputs: ThresholdInputs, faces: Sequence[SeenFace], bar: float
) -> dict[int, Known]:
    """Who of the enrolled each face is found to be; of one photo one face at most is anybody, but
    of a clip the same person may be several tracks.
    """
    point = operating_point.in_force(inputs)
    ranker = gallery.reader.ranker(False, point.threshold)
    table = inputs.table()
    rivals = Rivals.of(gallery.reader, inputs.built_in)
    best: dict[tuple[int, float, str], tuple[float, int]] = {}
    for face in faces:
        if face.found.face.quality < bar:
            continue
        search = partial(ranker.candidates, face.found.template.vector)
        ranked = search(LAST)
        scores = [candidate.score for candidate in ranked]
        kind = float(table.kinds(face.found.template.vector[None])[0]) if table else 1.0
        if (
            ranked
            and accepts(scores[0], own_threshold(point, scores, kind))
            and told_apart(ranked[0], rivals.of_best(ranked, search))
        ):
            who = face.photo, face.seen.start if face.seen else 0.0, ranked[0].subject
            best[who] = max(best.get(who, (-2.0, 0)), (ranked[0].score, face.id))
    subjects = {subject for _, _, subject in best}
    there = gallery.reader.enrolled_photos(subjects)
    photos = {face.id: face.photo_sha256 for face in faces}
    return {
        number: Known(subject, (name_key(subject), photos[number]) in there)
        for (_, _, subject), (_, number) in best.items()
    }
