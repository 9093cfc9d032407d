"""The photos that a gallery knows, as they are found again: moved, edited, or replaced by others.

A photo is known by its bytes. Where these are elsewhere now, the gallery notes the new path; where
the bytes are others and the picture is the same, it notes them; where another picture lies under
an enrolled photo's path, it is told, and the enrolled one removed on request.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from enum import StrEnum

from facecli.common.files import on_disk
from facecli.common.names import name_key
from facecli.evaluation.audit.blocks import SAME_PICTURE
from facecli.storage.interface import Storage
from facecli.storage.records import NewReference, ReferenceRow, Refiled


class PhotoChange(StrEnum):
    """What became of an enrolled photo since.

    MOVED: its bytes are elsewhere. EDITED: other bytes, the same picture. REPLACED: another picture
    lies where it was.
    """

    MOVED = "moved"
    EDITED = "metadata changed"
    REPLACED = "replaced"


class KnownPhotos:
    """What the gallery has of some subjects, held against the photos of a run as they come."""

    def __init__(self, store: Storage, subjects: Iterable[str]) -> None:
        self._store = store
        self._paths: defaultdict[str, dict[str, str]] = defaultdict(dict)  # by key, then sha256
        for (key, sha256), path in store.reader.enrolled_photos(subjects).items():
            self._paths[key][sha256] = path
        self._hashes = {key: frozenset(paths) for key, paths in self._paths.items()}
        self._at: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)  # sha256s, by place
        for key, paths in self._paths.items():
            for sha256, path in paths.items():
                self._at[key].setdefault(place(path), []).append(sha256)
        self._seen: defaultdict[str, dict[str, str]] = defaultdict(dict)  # paths, by sha256
        self._now: dict[tuple[str, str], set[str]] = {}  # sha256s of the run, by key and place
        self._edited: dict[tuple[str, str], str] = {}  # by key and new sha256: the old one
        self._there: dict[str, bool] = {}
        self._names: dict[str, str] = {}
        self._rows: tuple[str, list[ReferenceRow]] = ("", [])  # of the last subject asked for

    def hashes(self, subject: str) -> Set[str]:
        """sha256 of the subject's photos."""
        return self._hashes.get(name_key(subject), frozenset())

    def all_hashes(self) -> Set[tuple[str, str]]:
        """(name's key, photo's sha256) of all of the subjects' photos."""
        return frozenset((key, sha256) for key, some in self._hashes.items() for sha256 in some)

    def seen(self, subject: str, sha256: str, path: str, new: Sequence[NewReference]) -> None:
        """A photo of the run. new: its references, where its bytes are not known; none where it
        shows no face that could be used.
        """
        key = name_key(subject)
        self._names[key] = subject
        if sha256 not in self._seen[key]:
            self._seen[key][sha256] = path
            self._now.setdefault((key, place(path)), set()).add(sha256)
            if new and (old := self._same_picture(key, sha256, path, new)):
                self._edited[key, sha256] = old

    def edited(self, subject: str, sha256: str) -> bool:
        """Whether the subject has the same picture from the same place, under other bytes."""
        return (name_key(subject), sha256) in self._edited

    def change(self, subject: str, sha256: str) -> PhotoChange | None:
        """What became of the photo with these bytes, once all of the run were seen."""
        key = name_key(subject)
        if (key, sha256) in self._edited:
            return PhotoChange.EDITED
        if self._has_moved(key, sha256):
            return PhotoChange.MOVED
        replaced = any(True for _ in self._replaced_by(key, sha256))
        return PhotoChange.REPLACED if replaced else None

    def write(self, take_out: bool) -> int:
        """Note in the gallery what was found; returns how many references were taken out.

        take_out: whether those of photos that were replaced are removed.
        """
        every = [(key, sha256) for key, some in self._seen.items() for sha256 in some]
        refiled = [
            Refiled(self._names[key], old, self._seen[key][new], new)
            for (key, new), old in self._edited.items()
        ]
        refiled += [
            Refiled(self._names[key], sha256, self._seen[key][sha256], sha256)
            for key, sha256 in every
            if self._has_moved(key, sha256)
        ]
        if refiled:
            self._store.refile(refiled)
        count = 0
        for key, sha256 in every if take_out else ():
            if gone := set(self._replaced_by(key, sha256)):
                rows = self._store.reader.references(self._store.reader.find(self._names[key]).id)
                for row in [row for row in rows if row.photo_sha256 in gone]:
                    self._store.remove_reference(self._names[key], row.id)
                    count += 1
        return count

    def _same_picture(
        self, key: str, sha256: str, path: str, new: Sequence[NewReference]
    ) -> str | None:
        """The sha256 under which the subject has this very picture, from here or a lost place."""
        old = {s for s, p in self._paths[key].items() if s != sha256 and not self._exists(p)}
        old |= set(self._at[key].get(place(path), ())) - {sha256}
        rows = [row for row in self._references(key) if row.photo_sha256 in old] if old else []
        for candidate in dict.fromkeys(row.photo_sha256 for row in rows):
            vectors = [r.template.vector for r in rows if r.photo_sha256 == candidate]
            if all(
                max(float(vector @ reference.found.template.vector) for vector in vectors)
                >= SAME_PICTURE
                for reference in new
            ):
                return candidate
        return None

    def _has_moved(self, key: str, sha256: str) -> bool:
        """Whether a known photo lies elsewhere now, and no longer where it was."""
        was, now = self._paths[key].get(sha256), self._seen[key].get(sha256)
        if was is None or now is None or place(was) == place(now):
            return False
        return not self._exists(was) or bool(self._now.get((key, place(was)), set()) - {sha256})

    def _replaced_by(self, key: str, sha256: str) -> Iterator[str]:
        """The photos that were enrolled from where this one lies, and are nowhere in the run."""
        here = self._at[key].get(place(self._seen[key][sha256]), ())
        edited, seen = self._edited.get((key, sha256)), self._seen[key]
        return (old for old in here if old != edited and old not in seen)

    def _exists(self, path: str) -> bool:
        if path not in self._there:
            self._there[path] = on_disk(path).exists()
        return self._there[path]

    def _references(self, key: str) -> list[ReferenceRow]:
        """The subject's, as they were before the run."""
        if self._rows[0] != key:
            subject = self._store.reader.find(self._names[key])
            self._rows = (key, list(self._store.reader.references(subject.id)))
        return self._rows[1]


def place(path: str) -> str:
    """Where a stored path leads from the folder one stands in, as two spellings of it agree."""
    return os.path.abspath(on_disk(path))  # noqa: PTH100 (links may be what was moved)
