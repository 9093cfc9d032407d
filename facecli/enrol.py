"""Photos into the gallery: idempotent by content, resumable, one bad photo never stops a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from facecli import images, quality
from facecli.extract import Extractor, ordered
from facecli.layouts import LabelledPhoto, key
from facecli.records import NewReference
from facecli.store import Store
from facecli.terms import FacesRule, Reason
from facecli.types import FailureToAcquire, Photo

COMMIT_EVERY = 32  # photos: a commit costs milliseconds, a lost photo costs an embedding


class EnrolStatus(StrEnum):
    """What became of a photo."""

    ENROLLED = "enrolled"
    ALREADY = "already there"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class EnrolItem:
    """One photo's outcome. faces: references it added.

    failure: why it was skipped, or what was wrong with a face of it that was.
    """

    path: str
    subject: str
    status: EnrolStatus
    faces: int = 0
    failure: FailureToAcquire | None = None


@dataclass(frozen=True, slots=True)
class EnrolReport:
    """Every photo's outcome, in the order given."""

    items: tuple[EnrolItem, ...]

    def count(self, status: EnrolStatus) -> int:
        """How many photos came to this."""
        return sum(item.status is status for item in self.items)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A photo on its way: its outcome so far, and the references to be written."""

    item: EnrolItem
    new: tuple[NewReference, ...] = ()


def enrol(
    store: Store,
    extractor: Extractor,
    photos: Sequence[LabelledPhoto],
    faces: FacesRule,
    workers: int | None,
    progress: Callable[[EnrolItem], object] | None,
    bar: float = quality.DEFAULT_BAR,
) -> EnrolReport:
    """Extract on threads, write here in groups; a photo is reported once it is committed.

    bar: faces of a lower quality are refused.
    """
    there = store.enrolled_photos()
    done: list[EnrolItem] = []
    waiting: list[_Prepared] = []

    def commit() -> None:
        store.add([new for prepared in waiting for new in prepared.new])
        for prepared in waiting:
            done.append(prepared.item)
            if progress:
                progress(prepared.item)
        waiting.clear()

    prepare = partial(_prepare, extractor, there, faces, bar)
    for prepared in ordered(prepare, photos, workers):
        waiting.append(_once(prepared, there))
        if len(waiting) >= COMMIT_EVERY:
            commit()
    commit()
    return EnrolReport(tuple(done))


def _prepare(
    extractor: Extractor,
    there: set[tuple[str, str]],
    rule: FacesRule,
    bar: float,
    labelled: LabelledPhoto,
) -> _Prepared:
    path, subject = str(labelled.path), labelled.subject
    data = images.read(labelled.path)
    if isinstance(data, FailureToAcquire):
        return _skipped(path, subject, data)
    if (key(subject), hashlib.sha256(data).hexdigest()) in there:
        return _Prepared(EnrolItem(path, subject, EnrolStatus.ALREADY))
    photo = extractor.data(data, path)
    if isinstance(photo, FailureToAcquire):
        return _skipped(path, subject, photo)
    if failure := _refused(photo, rule):
        return _skipped(path, subject, failure)
    chosen = photo.faces if rule is FacesRule.ALL else photo.faces[:1]
    faults = [quality.fault(found.face, bar) for found in chosen]
    worst = next(filter(None, faults), None)
    flaw = FailureToAcquire(path, Reason.LOW_QUALITY, worst) if worst else None
    new = tuple(
        NewReference(subject, found, photo.sha256, index, path)
        for index, (found, fault) in enumerate(zip(chosen, faults, strict=True))
        if fault is None
    )
    if flaw and not new:
        return _skipped(path, subject, flaw)
    return _Prepared(EnrolItem(path, subject, EnrolStatus.ENROLLED, len(new), flaw), new)


def _refused(photo: Photo, rule: FacesRule) -> FailureToAcquire | None:
    if not photo.faces:
        return photo.without_face()
    if rule is FacesRule.ONLY_ONE and len(photo.faces) > 1:
        return FailureToAcquire(
            photo.path, Reason.SEVERAL_FACES, f"{len(photo.faces)} faces; crop it to the one meant"
        )
    return None


def _once(prepared: _Prepared, there: set[tuple[str, str]]) -> _Prepared:
    """Count a photo that stands twice in one run as already there the second time."""
    if not prepared.new:
        return prepared
    mark = (key(prepared.item.subject), prepared.new[0].photo_sha256)
    if mark in there:
        return _Prepared(replace(prepared.item, status=EnrolStatus.ALREADY, faces=0))
    there.add(mark)
    return prepared


def _skipped(path: str, subject: str, failure: FailureToAcquire) -> _Prepared:
    return _Prepared(EnrolItem(path, subject, EnrolStatus.SKIPPED, 0, failure))
