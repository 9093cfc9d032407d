"""A gallery moved to another embedder, from the photos that it was enrolled from.

    every photo or clip, unchanged -> its faces -> the one where the reference's was -> the file
    of the work so far, beside the gallery -> all at once, in one transaction, into the gallery or
    a copy

The work is kept when it is interrupted, and the gallery is in use as it was until the last step.
Subjects, names, dates and the audit log stay. The threshold belongs to the old embedder, and what
could be undone holds its templates: both stay behind, in the old gallery.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from facecli.common import atomic
from facecli.common.enums import Reason
from facecli.common.errors import GalleryError, UsageError
from facecli.common.file_kinds import Family, kind_of
from facecli.common.files import on_disk
from facecli.common.parallel import batches
from facecli.common.types import FaceTemplate, FailureToAcquire, Photo
from facecli.datasets.labels import photos
from facecli.recognition import images
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.recognition.pipeline import Extractor, OpenedPhoto, decode_photo
from facecli.storage.records import NewReference, ReferenceRow
from facecli.storage.search import sidecar
from facecli.storage.sqlite.connection import FileKind, explained, require_no_log
from facecli.storage.sqlite.files_beside import discard_work, work_path, works
from facecli.storage.sqlite.store import GalleryFile
from facecli.video.tracks import Box, overlap

COMMIT_EVERY = 32  # photos
SAME_FACE = 0.5  # overlap of two boxes: neighbours in a crowd share less, another detector's more


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A reference without a template of the new embedder, and why."""

    reference: int
    subject: str
    failure: FailureToAcquire


@dataclass(frozen=True, slots=True)
class ReEmbedding:
    """What was moved. gallery: the new one; old: the copy of it as it was, None where it still is
    where it was, or after a dry run.
    """

    embedder_id: str
    references: int
    left_out: tuple[LeftOut, ...]
    gallery: Path
    old: Path | None


@dataclass(slots=True)
class _Shot:
    """A photo's content, where it was seen, and the references to re-embed: those of its faces.

    found: where it was found again.
    """

    sha256: str
    paths: dict[str, None] = field(default_factory=dict)
    faces: list[ReferenceRow] = field(default_factory=list)
    found: str | None = None


_Made = tuple[list[NewReference], list[LeftOut]]


def survey(store: GalleryFile, spec: EmbedderSpec, look_in: Sequence[Path] = ()) -> ReEmbedding:
    """What re-embedding would come to, as far as the photos' bytes tell; loads no model."""
    _require_another(store, spec)
    shots = list(_shots(store, {}))
    _look_for(shots, look_in)
    missing = [out for shot in shots if isinstance(found := _content(shot), FailureToAcquire)
               for out in _all_out(shot, found)]  # fmt: skip
    count = sum(len(shot.faces) for shot in shots) - len(missing)
    return ReEmbedding(spec.embedder_id, count, tuple(missing), store.path, None)


def re_embed(
    store: GalleryFile,
    extractor: Extractor,
    to: Path | None,
    accept: Callable[[Sequence[LeftOut]], object],
    workers: int | None,
    progress: Callable[[], object],
    look_in: Sequence[Path] = (),
) -> ReEmbedding:
    """Move the gallery to the extractor's embedder; what an interrupted call did is not redone.

    to: a new file for it, and the old stays as it is; None switches the gallery itself, once a
    copy of it as it was lies beside it. accept: called with what would be left out, before
    anything is changed; may raise. progress: called once a reference. look_in: folders where
    photos that are no longer in their place are looked for, by their content.
    Raises UsageError when the embedder is the gallery's own, GalleryError when nothing could be
    re-embedded, or others enrolled meanwhile: then the work is kept for another call.
    """
    spec = extractor.spec
    at = work_path(store.path, spec.name)
    if atomic.is_erased(at):  # a call was killed when only its name was left to delete
        atomic.erase(at)
    if to is None and _is_moved(store, spec) and spec.name in works(store.path, store.key):
        discard_work(at, store.key)  # it was killed when only this was left to do
        return ReEmbedding(spec.embedder_id, store.reader.counts()[1], (), store.path, None)
    _require_another(store, spec)
    if to is not None:
        require_no_log(to)
        if os.path.lexists(to):
            raise GalleryError(f"{to} is there already: name another file")
    if atomic.is_erased(at):
        atomic.erase(at)
    if at.is_symlink():
        raise GalleryError(f"{at} is a link, where the work would lie: move it away")
    with closing(
        GalleryFile.create(at, spec.embedder_id, spec.dimension, store.key, (FileKind.WORK,))
    ) as work:
        left_out = _work(store, work, extractor, workers, progress, look_in)
        if left_out:
            accept(left_out)
        put = partial(_put, work, frozenset(out.reference for out in left_out))
        old = None
        if to:
            count = _elsewhere(store, to, put, work)
        else:
            with explained(store.path):  # of the old embedder; afterwards nobody looks for them
                sidecar.discard_sidecars(store.path)
            # Before the change, not as a part of it: it must be whole when a row is changed.
            old = store.copy_beside("before-re-embed")
            try:
                count = put(store)
            except BaseException:
                atomic.erase(old)
                raise
    if to is None:  # last of all: as long as the work is there, an interrupted call goes on
        discard_work(at, store.key)
    return ReEmbedding(spec.embedder_id, count, tuple(left_out), to or store.path, old)


def _is_moved(store: GalleryFile, spec: EmbedderSpec) -> bool:
    return store.reader.embedder_id == spec.embedder_id


def _require_another(store: GalleryFile, spec: EmbedderSpec) -> None:
    if _is_moved(store, spec):
        raise UsageError(f"{store.path} is {spec.name}'s already: name another --model")


# the work ------------------------------------------------------------------------------------


def _work(
    store: GalleryFile,
    work: GalleryFile,
    extractor: Extractor,
    workers: int | None,
    progress: Callable[[], object],
    look_in: Sequence[Path],
) -> list[LeftOut]:
    """Make the templates that are still to be made; returns the references that get none."""
    done = {int(row.subject): row.photo_sha256 for row in work.reader.references()}
    left_out: list[LeftOut] = []
    waiting: list[NewReference] = []
    shots = list(_shots(store, done))
    _look_for(shots, look_in)
    # the first path tells how large a photo is: the others are copies of it
    several = batches(shots, lambda shot: on_disk(next(iter(shot.paths))))
    for number, (made, out) in enumerate(extractor.on_threads(workers)(_make, several), 1):
        waiting += made
        left_out += out
        if number % COMMIT_EVERY == 0 or number == len(shots):
            work.add(waiting)
            waiting.clear()
        for _ in (*made, *out):
            progress()
    return left_out


def _shots(store: GalleryFile, done: dict[int, str]) -> Iterator[_Shot]:
    """Every photo with references that are not done, in the order they were enrolled."""
    shots: dict[str, _Shot] = {}
    with store.reader.snapshot():
        for row in store.reader.references():
            shot = shots.setdefault(row.photo_sha256, _Shot(row.photo_sha256))
            shot.paths[row.path] = None
            if done.get(row.id) != row.photo_sha256:
                shot.faces.append(row)
    return (shot for shot in shots.values() if shot.faces)


def _look_for(shots: Sequence[_Shot], folders: Sequence[Path]) -> None:
    """Where these folders hold a photo that is not where it was, its path goes first."""
    lost = {shot.sha256: shot for shot in shots if not any(map(_is_there, shot.paths))}
    if not folders or not lost:
        return
    names = {Path(path).name for shot in lost.values() for path in shot.paths}
    candidates = photos(folders, moving=True).paths
    # Those of the same name first: then most of the others need not be read.
    for path in sorted(candidates, key=lambda path: path.name not in names):
        if not lost:
            return
        if path.name not in names and _is_clip(path):  # films are large, and seldom renamed
            continue
        digest = images.sha256_of(path)
        if isinstance(digest, str) and (shot := lost.pop(digest, None)):
            shot.paths = {str(path): None, **shot.paths}
            shot.found = str(path)


def _is_there(path: str) -> bool:
    return on_disk(path).exists()


def _make(extractor: Extractor, shots: Sequence[_Shot]) -> Iterator[_Made]:
    found: Iterator[Photo | FailureToAcquire]
    found = extractor.extract(map(partial(_opened, extractor), shots))
    for shot, photo in zip(shots, found, strict=True):
        if isinstance(photo, FailureToAcquire):
            yield [], _all_out(shot, photo)
        else:
            yield _matched(shot, photo)


def _matched(shot: _Shot, photo: Photo) -> _Made:
    made: list[NewReference] = []
    out: list[LeftOut] = []
    for row in shot.faces:
        face = _at(row.face.box, photo.faces)
        if face is None:
            why = FailureToAcquire(row.path, Reason.NO_FACE, "none where the reference's was")
            out.append(LeftOut(row.id, row.subject, why))
        else:
            # In the work's gallery a reference's id is its subject's name, for `switch_embedder`.
            path = shot.found or row.path
            made.append(NewReference(str(row.id), face, shot.sha256, row.face_index, path))
    return made, out


def _all_out(shot: _Shot, failure: FailureToAcquire) -> list[LeftOut]:
    return [LeftOut(row.id, row.subject, failure) for row in shot.faces]


def _opened(extractor: Extractor, shot: _Shot) -> OpenedPhoto | Photo | FailureToAcquire:
    """A photo that waits for its faces; a clip with those that were enrolled from it."""
    found = _content(shot)
    if isinstance(found, FailureToAcquire):
        return found
    path, data = found
    if data is not None:
        return decode_photo(data, path, shot.sha256)
    from facecli.video.person import found_again  # photos do without

    faces = found_again(extractor, on_disk(path), [row.face.box for row in shot.faces])
    if isinstance(faces, FailureToAcquire):
        return replace(faces, path=path)
    return Photo(path, shot.sha256, faces)


_MOVED = "looked for from the folder you are in; if it was moved, --look-in its folder"


def _content(shot: _Shot) -> tuple[str, bytes | None] | FailureToAcquire:
    """The first of its paths where what was enrolled lies, and a photo's bytes; a clip has none."""
    failures = []
    for path in shot.paths:
        found = _read(on_disk(path))
        if isinstance(found, FailureToAcquire):
            lost = found.reason is Reason.NOT_FOUND
            failures.append(FailureToAcquire(path, found.reason, _MOVED if lost else found.detail))
        elif found[0] != shot.sha256:
            failures.append(FailureToAcquire(path, Reason.CHANGED))
        else:
            return path, found[1]
    return failures[0]


def _read(file: Path) -> tuple[str, bytes | None] | FailureToAcquire:
    """The sha256 of a file, and a photo's bytes."""
    if _is_clip(file):
        digest = images.sha256_of(file)
        return digest if isinstance(digest, FailureToAcquire) else (digest, None)
    data = images.read_photo(file)
    return data if isinstance(data, FailureToAcquire) else (hashlib.sha256(data).hexdigest(), data)


def _is_clip(path: Path) -> bool:
    kind = kind_of(path)
    return kind is not None and kind.family is Family.VIDEO


def _at(box: Box, faces: Sequence[FaceTemplate]) -> FaceTemplate | None:
    """The face that was detected there, whatever its place among the photo's faces."""
    best = max(faces, key=lambda found: overlap(box, found.face.box), default=None)
    return best if best and overlap(box, best.face.box) >= SAME_FACE else None


# the switch ----------------------------------------------------------------------------------


def _put(work: GalleryFile, left_out: frozenset[int], store: GalleryFile) -> int:
    with work.reader.snapshot():
        reader = work.reader
        return store.switch_embedder(
            reader.embedder_id, reader.dimension, reader.references(), left_out
        )


def _elsewhere(
    store: GalleryFile, to: Path, put: Callable[[GalleryFile], int], work: GalleryFile
) -> int:
    """Switch a copy, and put it at `to` once it is whole and the work is deleted.

    In this order: killed in between, the same command begins anew. In the other it would find `to`
    there, and never end.
    """
    with explained(to), atomic.draft(to) as draft:
        store.copy_to(draft, to)
        with closing(GalleryFile.open(draft, store.key)) as copy:
            count = put(copy)
            copy.compact()
        work.close()
        discard_work(work.path, store.key)
        try:
            atomic.place(draft, to)
        except FileExistsError:
            raise GalleryError(f"{to} is there already: name another file") from None
    return count
