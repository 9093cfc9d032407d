"""Who is in a gallery: listed, renamed, merged, removed, exported, checked. No model is needed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from facecli.common.errors import UsageError
from facecli.common.names import name_fault
from facecli.storage import copying, export, opening
from facecli.storage.copying import Copied
from facecli.storage.interface import Called, Deleted, Erasure, Group, Storage, Whom
from facecli.storage.keys import Key
from facecli.storage.maintenance import backup
from facecli.storage.receipt import write_receipt
from facecli.storage.records import Change, LogEntry, ReferenceRow, SubjectRow

UNDO, LOG = "undo", "audit log"


class People:
    """The verbs that concern the people of an open gallery; `gallery.Gallery` adds the photos."""

    def __init__(self, store: Storage) -> None:
        self._store = store

    def subjects(self) -> tuple[SubjectRow, ...]:
        """Everyone enrolled, by name."""
        return self._store.reader.subjects()

    def references(self, subject: str) -> tuple[ReferenceRow, ...]:
        """One subject's references. Raises GalleryError when nobody is called so."""
        return tuple(self._store.reader.references(self._store.reader.find(subject).id))

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
        """Take a subject out with all references; returns how many. `undo` brings it back."""
        return self._store.remove(subject)

    def remove_reference(self, subject: str, reference_id: int) -> int:
        """Take one reference out, and the subject with its last; returns how many it keeps."""
        return self._store.remove_reference(subject, reference_id)

    def changes(self) -> tuple[Change, ...]:
        """Every rename, merge and removal that can be undone, newest first."""
        return opening.file_of(self._store, UNDO).journal.changes()

    def undo(self, change: int | None = None) -> Change:
        """Take a change back, the newest for None; all is as it was before it.

        Raises GalleryError, and changes nothing, when there is no such change, when its subjects
        were changed since, or when their name or face was enrolled again meanwhile.
        """
        return opening.file_of(self._store, UNDO).journal.undo(change)

    def purge(self, subject: str) -> Erasure:
        """Erase a subject, enrolled or removed, for good. See `Storage.erase`."""
        return self._store.erase(Called(subject))

    def purge_removed(self) -> Erasure:
        """Erase for good all that could be undone."""
        return self._store.erase(Group.REMOVED)

    def purge_all(self) -> Erasure:
        """Erase all people for good; an empty gallery of the same embedder stays."""
        return self._store.erase(Group.EVERYBODY)

    def write_receipt(self, done: Erasure, path: Path, *, names: bool = False) -> None:
        """Write what was erased as JSON, 0600. See `receipt`."""
        write_receipt(self._store.reader, done, path, names)

    def doomed(self, whom: Whom) -> Deleted:
        """What a purge would delete."""
        return self._store.doomed(whom)

    def backup(self, path: Path, *, replace: bool = False) -> int:
        """Copy the gallery as it is now to `path`; returns the copy's bytes. See `backup`."""
        return backup.backup(opening.file_of(self._store, "backups"), path, replace=replace)

    def log(self) -> tuple[LogEntry, ...]:
        """The audit log, oldest first; see `audit_log`."""
        return opening.file_of(self._store, LOG).audit_log.entries()

    def keep_log(self, on: bool) -> None:
        """Turn the audit log on or off; what it holds stays."""
        opening.file_of(self._store, LOG).audit_log.turn(on)

    def rehearsal(self, wanted: bool = True) -> AbstractContextManager[None]:
        """Where `wanted`, whatever is changed inside is taken back at the end: a dry run.

        Others cannot write meanwhile: only for what takes no time.
        """
        return self._store.rehearsal() if wanted else nullcontext()

    def untouched(self, wanted: bool = True) -> AbstractContextManager[None]:
        """Where `wanted`, nothing can be written inside: a dry run that takes long."""
        return self._store.untouched() if wanted else nullcontext()

    def export(self, path: Path) -> int:
        """Write every reference to a portable file; returns how many. See `exchange.export`."""
        return export.export(self._store.reader, path)

    def import_(self, path: Path) -> int:
        """Add what another gallery exported; returns how many were new."""
        added = export.import_(self._store, path)
        self._store.settle()
        return added

    def copy_to(
        self, path: Path, *, key: Key | None = None, progress: Callable[[int], object]
    ) -> Copied:
        """Copy the gallery whole to another, made first if it is not there; see `copying`.

        key: of the other. progress: told how many references went.
        """
        store = self._store
        made = store.reader
        other = opening.create_storage(path, made.embedder_id, made.dimension, key)
        with closing(other):
            return copying.copy(store, other, progress)

    def check(self) -> list[str]:
        """What is wrong with the gallery, a line each: the file, the vectors, the index."""
        return self._store.reader.faults()
