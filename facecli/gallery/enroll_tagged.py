"""Photos whose faces another program named, into the gallery: the faces that the names stand at.

As `enroll` it is idempotent and resumable, with the same quality bar; which face of a photo is
whose, the tags say (`datasets.regions`), and where they do not say it clearly, nobody is enrolled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from facecli.common.enums import Reason
from facecli.common.names import name_key
from facecli.common.parallel import batches
from facecli.common.types import FailureToAcquire, Photo
from facecli.datasets.matching import match
from facecli.datasets.regions import Tags, read_tags
from facecli.gallery.enroll import (
    COMMIT_EVERY,
    EnrollItem,
    EnrollReport,
    EnrollStatus,
    PeopleOfRun,
)
from facecli.gallery.gallery import Gallery
from facecli.gallery.known_photos import KnownPhotos
from facecli.recognition import images, quality
from facecli.recognition.pipeline import Extractor, OpenedPhoto, decode_photo
from facecli.storage.records import NewReference
from facecli.threshold import operating_point


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A photo with its tags, and its bytes' EXIF orientation. sha256: hex digest of them."""

    path: str
    sha256: str
    tags: Tags
    orientation: int


@dataclass(frozen=True, slots=True, eq=False)
class _Named:
    """What a photo came to. items: an outcome a name, or a fault; none of a photo without tags.

    sha256: of its bytes; empty where they could not be looked at as a photo.
    """

    items: tuple[EnrollItem, ...]
    new: tuple[NewReference, ...] = ()
    sha256: str = ""


def enroll_tagged(
    gallery: Gallery,
    photos: Sequence[Path],
    *,
    min_quality: float = quality.DEFAULT_BAR,
    workers: int | None = None,
    progress: Callable[[], object] = lambda: None,
    dry_run: bool = False,
    replace_them: bool = False,
) -> EnrollReport:
    """Enrol every face that a tag names; a tag that is not used is an item that says why.

    A photo whose names are all enrolled from it costs a hash. Photos without tags give no item.
    Committed in groups, and photos that moved, were edited or replaced are known, as by
    `Gallery.enroll`.
    """
    storage = gallery.storage
    known = KnownPhotos(storage, (subject.name for subject in storage.reader.subjects()))
    people = PeopleOfRun(storage, gallery.models.measured.table, not dry_run)
    done: list[tuple[EnrollItem, str]] = []
    waiting: list[_Named] = []
    written: set[tuple[str, str, int]] = set()

    def commit() -> None:
        if not dry_run:
            storage.add([new for named in waiting for new in named.new])
        for named in waiting:
            done.extend((item, named.sha256) for item in named.items)
            people.note(named.new)
            progress()
        waiting.clear()

    dry = storage.untouched() if dry_run else nullcontext()
    with gallery.models.run(None, workers) as run, dry:
        there = known.all_hashes()
        for named in run(partial(_named, min_quality, there), batches(photos, lambda path: path)):
            waiting.append(_unless_known(_once(named, written), known))
            if len(waiting) >= COMMIT_EVERY:
                commit()
        commit()
        items = tuple(_with_change(item, sha256, known) for item, sha256 in done)
        taken_out = 0 if dry_run else known.write(replace_them)
        report = EnrollReport(items, tuple(people.mixed()), taken_out)
    if not dry_run:
        operating_point.own_nonmated_scores(storage, gallery.models.measured.kinds)
        storage.settle()
    return report


def _once(named: _Named, written: set[tuple[str, str, int]]) -> _Named:
    """Count what another file of the same photo gave in this run as there already."""
    marks = {new.subject: (name_key(new.subject), new.photo_sha256, new.face_index)
             for new in named.new}  # fmt: skip
    double = {subject for subject, mark in marks.items() if mark in written}
    written.update(marks.values())
    return _already(named, double)


def _unless_known(named: _Named, known: KnownPhotos) -> _Named:
    """Count who is enrolled from this photo, under other bytes, too, as there already."""
    there = set[str]()
    for item in named.items if named.sha256 else ():
        if _looked_at(item):
            own = [new for new in named.new if new.subject == item.subject]
            known.seen(item.subject, named.sha256, item.path, own)
            if known.edited(item.subject, named.sha256):
                there.add(item.subject)
    return _already(named, there)


def _already(named: _Named, subjects: Set[str]) -> _Named:
    items = tuple(
        replace(item, status=EnrollStatus.ALREADY, faces=0) if item.subject in subjects else item
        for item in named.items
    )
    new = tuple(new for new in named.new if new.subject not in subjects)
    return replace(named, items=items, new=new)


def _with_change(item: EnrollItem, sha256: str, known: KnownPhotos) -> EnrollItem:
    if not sha256 or not _looked_at(item):
        return item
    return replace(item, change=known.change(item.subject, sha256))


def _looked_at(item: EnrollItem) -> bool:
    """Whether it tells of a face, not of a tag that is none's."""
    return item.failure is None or item.failure.reason is Reason.LOW_QUALITY


def _named(
    bar: float, known: Set[tuple[str, str]], extractor: Extractor, paths: Sequence[Path]
) -> Iterator[_Named]:
    read: list[_Read] = []

    def opened() -> Iterator[OpenedPhoto | _Named]:
        for path in paths:
            found, photo = _open(path, known)
            read.append(found)
            yield photo

    made = extractor.extract(opened())
    for number in range(len(paths)):
        photo = next(made)
        yield photo if isinstance(photo, _Named) else _judged(read[number], photo, bar)


def _open(path: Path, known: Set[tuple[str, str]]) -> tuple[_Read, OpenedPhoto | _Named]:
    name = str(path)
    data = images.read_photo(path)
    if isinstance(data, FailureToAcquire):
        return _Read(name, "", Tags(), 1), _Named((_skipped(name, "", data),))
    sha256 = hashlib.sha256(data).hexdigest()
    read = _Read(name, sha256, read_tags(path, data), images.frame(data, name).orientation)
    faults = tuple(_unused(name, "", fault) for fault in read.tags.faults)
    names = {*(region.name for region in read.tags.regions), *read.tags.names}
    if all((name_key(subject), sha256) in known for subject in names):
        there = (EnrollItem(name, subject, EnrollStatus.ALREADY) for subject in sorted(names))
        return read, _Named((*there, *faults), sha256=sha256)
    photo = decode_photo(data, name, sha256)
    if isinstance(photo, FailureToAcquire):
        return read, _Named((_skipped(name, "", photo), *faults))
    return read, photo


def _judged(read: _Read, photo: Photo | FailureToAcquire, bar: float) -> _Named:
    """The references that the tags of a photo give, and what they do not."""
    faults = [_unused(read.path, "", fault) for fault in read.tags.faults]
    if isinstance(photo, FailureToAcquire):
        return _Named((_skipped(read.path, "", photo), *faults))
    found = match(read.tags, [one.face.box for one in photo.faces], photo.size, read.orientation)
    items: list[EnrollItem] = []
    new: list[NewReference] = []
    for index, subject in found.named:
        face = photo.faces[index]
        if fault := quality.fault(face.face, bar):
            flaw = FailureToAcquire(read.path, Reason.LOW_QUALITY, fault)
            items.append(_skipped(read.path, subject, flaw))
            continue
        new.append(NewReference(subject, face, photo.sha256, index, read.path))
        items.append(EnrollItem(read.path, subject, EnrollStatus.ENROLLED, 1))
    items += [_unused(read.path, subject, fault) for subject, fault in found.faults]
    return _Named((*items, *faults), tuple(new), photo.sha256)


def _unused(path: str, subject: str, fault: str) -> EnrollItem:
    detail = f"{subject}: {fault}" if subject else fault
    return _skipped(path, subject, FailureToAcquire(path, Reason.TAG, detail))


def _skipped(path: str, subject: str, failure: FailureToAcquire) -> EnrollItem:
    return EnrollItem(path, subject, EnrollStatus.SKIPPED, 0, failure)
