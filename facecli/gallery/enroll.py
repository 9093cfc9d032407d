"""Photos into the gallery: idempotent by content, resumable, one bad photo never stops a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np

from facecli.common.enums import FacesRule, Reason
from facecli.common.file_kinds import Family, kind_of
from facecli.common.names import name_key
from facecli.common.parallel import batches
from facecli.common.types import FailureToAcquire, Float32, Photo
from facecli.datasets.labels import LabelledPhoto, NamedBy
from facecli.gallery.known_photos import KnownPhotos, PhotoChange
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition import images, quality
from facecli.recognition.pipeline import (
    Extractor,
    OpenedPhoto,
    Run,
    Source,
    decode_photo,
    open_photo,
    prominence,
)
from facecli.storage.interface import Storage
from facecli.storage.records import NewReference

COMMIT_EVERY = 32  # photos: a commit costs milliseconds, a lost photo costs an embedding

NEAR = 0.3
"""Of the most prominent face's prominence: from here another face may be the one that is meant. Of
3,929 LFW photos, 18 % of which show several faces, it refuses 0.7 %."""

UNSEEN = "it is here, but a worker does not see it: workers need it under the same path"


class EnrollStatus(StrEnum):
    """What became of a photo."""

    ENROLLED = "enrolled"
    ALREADY = "already there"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class EnrollItem:
    """One photo's outcome. faces: references it added. left_out: other faces that it shows.

    failure: why it was skipped, or what was wrong with a face of it that was.
    change: how the gallery knew it, or that another photo was enrolled from its path.
    """

    path: str
    subject: str
    status: EnrollStatus
    faces: int = 0
    failure: FailureToAcquire | None = None
    left_out: int = 0
    change: PhotoChange | None = None


@dataclass(frozen=True, slots=True)
class Mixed:
    """A subject whose references are of several people, at least so many."""

    subject: str
    people: int
    references: int


@dataclass(frozen=True, slots=True)
class EnrollReport:
    """Every photo's outcome, in the order given.

    mixed: of the subjects that got references, those that are not one person. taken_out:
    references of photos that were replaced, removed on request.
    """

    items: tuple[EnrollItem, ...]
    mixed: tuple[Mixed, ...] = ()
    taken_out: int = 0

    def count(self, status: EnrollStatus) -> int:
        """How many photos came to this."""
        return sum(item.status is status for item in self.items)


@dataclass(frozen=True, slots=True)
class _Task:
    """A photo to look at, perhaps on another machine.

    file: where it lies, absolute. known: sha256 of the photos its subject has in the gallery.
    """

    photo: LabelledPhoto
    file: Path
    known: Set[str]


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A photo on its way: its outcome so far, and the references to be written.

    sha256: of its bytes; empty where they could not be looked at as a photo.
    """

    item: EnrollItem
    new: tuple[NewReference, ...] = ()
    sha256: str = ""


def enroll(
    store: Storage,
    run: Run,
    photos: Sequence[LabelledPhoto],
    faces: FacesRule,
    progress: Callable[[EnrollItem], object] | None,
    bar: float = quality.DEFAULT_BAR,
    store_them: bool = True,
    replace_them: bool = False,
    table: ReferenceTable | None = None,
) -> EnrollReport:
    """Extract where `run` does, write here in groups; a photo is reported once it is committed.

    bar: faces of a lower quality are refused. store_them: False only says what would be enrolled.
    replace_them: where another picture lies under an enrolled photo's path, that photo's
    references are removed. table: the embedder's, which tells whether a subject is one person.
    """
    photos = _as_enrolled(store, photos)
    known = KnownPhotos(store, (photo.subject for photo in photos))
    people = PeopleOfRun(store, table, store_them)
    written: set[tuple[str, str]] = set()
    done: list[_Prepared] = []
    waiting: list[_Prepared] = []

    def commit() -> None:
        if store_them:
            store.add([new for prepared in waiting for new in prepared.new])
        for prepared in waiting:
            done.append(prepared)
            people.note(prepared.new)
            if progress:
                progress(prepared.item)
        waiting.clear()

    # Hashes of what is there go along with each photo, so that a worker elsewhere, who has no
    # gallery, leaves out what is enrolled before it decodes anything.
    tasks = batches(
        (_Task(photo, photo.path.absolute(), known.hashes(photo.subject)) for photo in photos),
        lambda task: task.file,
    )
    for prepared in run(partial(_prepare, faces, bar), tasks):
        waiting.append(_unless_edited(_once(_located(prepared), written), known))
        if len(waiting) >= COMMIT_EVERY:
            commit()
    commit()
    items = [prepared.item for prepared in done]
    for number, prepared in enumerate(done):
        if prepared.sha256 and (change := known.change(prepared.item.subject, prepared.sha256)):
            items[number] = replace(prepared.item, change=change)
    taken_out = known.write(replace_them) if store_them else 0
    return EnrollReport(tuple(items), tuple(people.mixed()), taken_out)


def enroll_pictures(
    store: Storage,
    extractor: Extractor,
    pictures: Sequence[Source],
    subject: str,
    faces: FacesRule,
    bar: float = quality.DEFAULT_BAR,
    store_them: bool = True,
) -> EnrollReport:
    """The same of pictures that lie in no file, all of one subject, in one commit."""
    written = set(KnownPhotos(store, [subject]).hashes(subject))
    most = None if faces is FacesRule.ALL else 1
    items, new = list[EnrollItem](), list[NewReference]()
    for found in extractor.extract(map(open_photo, pictures), most):
        prepared = _judged(faces, bar, LabelledPhoto(Path(found.path), subject), found)
        if prepared.sha256 in written:
            items.append(replace(prepared.item, status=EnrollStatus.ALREADY, faces=0))
            continue
        items.append(prepared.item)
        new += prepared.new
        written |= {prepared.sha256} if prepared.new else set()
    if store_them:
        store.add(new)
    return EnrollReport(tuple(items))


def joined(report: EnrollReport, items: Iterable[EnrollItem]) -> EnrollReport:
    """The report with more outcomes after its own."""
    return replace(report, items=(*report.items, *items))


def not_named(failure: FailureToAcquire) -> EnrollItem:
    """What became of a file that is nobody's, or no photo."""
    return _skipped(failure.path, "", failure).item


def _as_enrolled(store: Storage, photos: Sequence[LabelledPhoto]) -> list[LabelledPhoto]:
    """A name that files gave as the gallery has it, where it was enrolled with underscores."""
    spaced = {p.subject for p in photos if p.named_by is NamedBy.FILE and " " in p.subject}
    if not spaced:
        return list(photos)
    enrolled = {name_key(subject.name) for subject in store.reader.subjects()}
    old = {
        name: name.replace(" ", "_")
        for name in spaced
        if name_key(name) not in enrolled and name_key(name.replace(" ", "_")) in enrolled
    }
    return [replace(photo, subject=old.get(photo.subject, photo.subject)) for photo in photos]


class PeopleOfRun:
    """The subjects of a run that get references, and which of them are several people."""

    def __init__(self, store: Storage, table: ReferenceTable | None, stored: bool) -> None:
        """stored: whether the references can be read from the gallery, once they are written."""
        self._store = store
        self._table = table
        self._stored = stored
        self._new: dict[str, list[Float32]] = {}
        self._names: dict[str, str] = {}

    def note(self, new: Sequence[NewReference]) -> None:
        """These are, or would be, written."""
        for reference in new:
            key = name_key(reference.subject)
            self._names[key] = reference.subject
            if not self._stored and reference.found.face.quality >= quality.DEFAULT_BAR:
                self._new.setdefault(key, []).append(reference.found.template.vector)

    def mixed(self) -> Iterator[Mixed]:
        """Who is not one person."""
        if self._table is None:
            return
        from facecli.evaluation.several_people import one_of_each

        listed = {name_key(row.name): row for row in self._store.reader.subjects()}
        for key, name in self._names.items():
            vectors = list(self._new.get(key, ()))
            row = listed.get(key)
            if row is not None and (row.references > 1 or vectors):
                found = self._store.reader.references(row.id)
                vectors += [
                    r.template.vector for r in found if r.face.quality >= quality.DEFAULT_BAR
                ]
            people = len(one_of_each(np.stack(vectors), self._table)) if vectors else 1
            if people > 1:
                yield Mixed(name, people, len(vectors))


def _prepare(
    rule: FacesRule, bar: float, extractor: Extractor, tasks: Sequence[_Task]
) -> Iterator[_Prepared]:
    most = None if rule is FacesRule.ALL else 1
    results: Iterator[Photo | FailureToAcquire | _Prepared]
    results = extractor.extract(map(partial(_opened, extractor, bar), tasks), most)
    for task in tasks:
        found = next(results)
        yield found if isinstance(found, _Prepared) else _judged(rule, bar, task.photo, found)


def _opened(
    extractor: Extractor, bar: float, task: _Task
) -> OpenedPhoto | FailureToAcquire | _Prepared:
    """A photo that waits for its faces; a clip is done at once."""
    path = str(task.photo.path)
    kind = kind_of(task.file)
    if kind is not None and kind.family is Family.VIDEO:
        return _clip(extractor, bar, task)
    data = images.read_photo(task.file)
    if isinstance(data, FailureToAcquire):
        return replace(data, path=path)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 in task.known:
        item = EnrollItem(path, task.photo.subject, EnrollStatus.ALREADY)
        return _Prepared(item, sha256=sha256)
    return decode_photo(data, path, sha256)


def _clip(extractor: Extractor, bar: float, task: _Task) -> _Prepared:
    """The best faces of the one person whom a clip shows."""
    from facecli.video.person import faces_of_one_person  # photos do without

    path, subject = str(task.photo.path), task.photo.subject
    sha256 = images.sha256_of(task.file)
    if isinstance(sha256, FailureToAcquire):
        return _skipped(path, subject, replace(sha256, path=path))
    if sha256 in task.known:
        return _Prepared(EnrollItem(path, subject, EnrollStatus.ALREADY), sha256=sha256)
    found = faces_of_one_person(extractor, task.file, bar)
    if isinstance(found, FailureToAcquire):
        return _skipped(path, subject, replace(found, path=path))
    new = tuple(NewReference(subject, face, sha256, i, path) for i, face in enumerate(found))
    return _Prepared(EnrollItem(path, subject, EnrollStatus.ENROLLED, len(new)), new, sha256)


def _judged(
    rule: FacesRule, bar: float, labelled: LabelledPhoto, photo: Photo | FailureToAcquire
) -> _Prepared:
    """The references that a photo gives, or why it gives none."""
    path, subject = str(labelled.path), labelled.subject
    if isinstance(photo, FailureToAcquire):
        return _skipped(path, subject, photo)
    if failure := _refused(photo, rule):
        return _skipped(path, subject, failure, photo.sha256)
    chosen = photo.faces
    faults = [quality.fault(found.face, bar) for found in chosen]
    worst = next(filter(None, faults), None)
    flaw = FailureToAcquire(path, Reason.LOW_QUALITY, worst) if worst else None
    new = tuple(
        NewReference(subject, found, photo.sha256, index, path)
        for index, (found, fault) in enumerate(zip(chosen, faults, strict=True))
        if fault is None
    )
    if flaw and not new:
        return _skipped(path, subject, flaw, photo.sha256)
    item = EnrollItem(
        path, subject, EnrollStatus.ENROLLED, len(new), flaw, left_out=len(photo.others)
    )
    return _Prepared(item, new, photo.sha256)


def _refused(photo: Photo, rule: FacesRule) -> FailureToAcquire | None:
    if not photo.faces:
        return photo.without_face()
    several = [found.face for found in photo.faces] + list(photo.others)
    if rule is FacesRule.CLEAR:
        near = NEAR * prominence(several[0], photo.size)
        several = [face for face in several if prominence(face, photo.size) >= near]
    if rule in (FacesRule.CLEAR, FacesRule.ONLY_ONE) and len(several) > 1:
        where = ", ".join(face.position for face in several)
        cure = "crop it to the one meant"
        if rule is FacesRule.CLEAR:
            cure += ", or take the largest with --faces largest"
        detail = f"{len(several)} faces, at {where} px; {cure}"
        return FailureToAcquire(photo.path, Reason.SEVERAL_FACES, detail)
    return None


def _once(prepared: _Prepared, written: set[tuple[str, str]]) -> _Prepared:
    """Count a photo that stands twice in one run as already there the second time."""
    if not prepared.new:
        return prepared
    mark = (name_key(prepared.item.subject), prepared.new[0].photo_sha256)
    if mark in written:
        item = replace(prepared.item, status=EnrollStatus.ALREADY, faces=0)
        return _Prepared(item, sha256=prepared.sha256)
    written.add(mark)
    return prepared


def _unless_edited(prepared: _Prepared, known: KnownPhotos) -> _Prepared:
    """Count a photo whose picture its subject has, under other bytes, as already there."""
    if prepared.sha256:
        known.seen(prepared.item.subject, prepared.sha256, prepared.item.path, prepared.new)
    if known.edited(prepared.item.subject, prepared.sha256):
        item = replace(prepared.item, status=EnrollStatus.ALREADY, faces=0)
        return _Prepared(item, sha256=prepared.sha256)
    return prepared


def _located(prepared: _Prepared) -> _Prepared:
    """Say so where a photo that was not found is here, only not for the worker that looked."""
    failure = prepared.item.failure
    if failure is None or failure.reason is not Reason.NOT_FOUND or not Path(failure.path).exists():
        return prepared
    unseen = replace(failure, detail=UNSEEN)
    return replace(prepared, item=replace(prepared.item, failure=unseen))


def _skipped(path: str, subject: str, failure: FailureToAcquire, sha256: str = "") -> _Prepared:
    return _Prepared(EnrollItem(path, subject, EnrollStatus.SKIPPED, 0, failure), (), sha256)
