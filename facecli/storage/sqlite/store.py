"""The gallery file in use: one class that writes, and holds what reads. No faces are found here.

Each write is one transaction: all of it, its audit log and the templates that follow, or nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Self

from facecli.common import atomic
from facecli.common.enums import LogAction
from facecli.common.errors import EmbedderMismatchError, GalleryError
from facecli.common.files import followed, private_folder
from facecli.common.names import require_name
from facecli.common.timestamp import now
from facecli.metrics.gallery_fit import Observed
from facecli.storage.interface import Deleted, Erasure, Group, Whom, require_embedder
from facecli.storage.keys import Key
from facecli.storage.records import CalibrationRow, NewReference, ReferenceRow, Refiled, SubjectRow
from facecli.storage.search import candidates
from facecli.storage.sqlite import (
    audit_log,
    consistency,
    deletion,
    distinct_rows,
    erasure_check,
    files_beside,
    grouping_life,
    reference_rows,
    subject_rows,
    undo,
    values,
)
from facecli.storage.sqlite.audit_log import AuditLog
from facecli.storage.sqlite.connection import (
    FileKind,
    connect,
    copy_into,
    explained,
    give_log_back,
    make_file,
    present,
    recognise,
    set_kind,
    waiting,
)
from facecli.storage.sqlite.consistency import Mended
from facecli.storage.sqlite.reader import OBSERVED, FileReader
from facecli.storage.sqlite.reference_rows import StoredReference
from facecli.storage.sqlite.undo import Journal

_ENCRYPTED = "the encrypted gallery, written anew without it, whose bytes show nothing either way"
_OTHER_NAMES = "what lies beside other names of the file, which are hard links: {}"


class GalleryFile:
    """An open gallery file. Use it from one thread; any number of processes may read and write,
    each with one that it opened itself. Raises MisuseError where it is used otherwise.

    reader: answers; journal: what can be undone; audit_log: who was enrolled, removed, searched.
    Every method raises GalleryError when SQLite cannot do its part.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, key: Key | None = None) -> None:
        """key: that of an encrypted file; None where it is not encrypted."""
        self.path = path
        self.key = key
        self._db = connection
        self._rehearsing = False
        self.reader = FileReader(path, connection, encrypted=key is not None)
        self.journal = Journal(path, connection, self._transaction)
        self.audit_log = AuditLog(path, connection, self._transaction)

    @classmethod
    def open(
        cls,
        path: Path,
        key: Key | None = None,
        kinds: Collection[FileKind] = (FileKind.GALLERY,),
    ) -> Self:
        """Open what is there; a link's is the file that it leads to, in whose folder all else lies.

        Raises GalleryError when it is missing, foreign, of another kind or too new, or when `key`
        is not the one it is encrypted with.
        """
        path = followed(path)
        if not present(path, key):
            raise GalleryError(
                f"there is no gallery at {path}: make one with `facecli enroll PHOTOS`, "
                "or name another with --gallery"
            )
        if atomic.sweep(path.parent):  # perhaps a conversion's draft, killed before the swap
            give_log_back(path, key)
        with explained(path):
            connection = connect(path, key)
            try:
                recognise(path, connection, kinds)
                return cls(path, connection, key)
            except BaseException:
                connection.close()
                raise

    @classmethod
    def create(
        cls,
        path: Path,
        embedder_id: str,
        dimension: int,
        key: Key | None = None,
        kinds: Sequence[FileKind] = (FileKind.GALLERY,),
    ) -> Self:
        """Open the gallery at `path`, made first if it is not there; 0600, its folder 0700.

        key: what a new one is encrypted with, and what opens an encrypted one that is there.
        kinds: what it may be; of the first a new one is. Raises EmbedderMismatchError when it is
        there and another embedder's, GalleryError where a link leads to nothing.
        """
        if not present(path, key):
            if path.is_symlink():
                raise GalleryError(
                    f"{path} is a link to {followed(path)}, and nothing is there: name that file "
                    "itself to make a gallery of it"
                )
            with explained(path):
                private_folder(path.parent)
                make_file(path, embedder_id, dimension, key, kinds[0])
        opened = cls.open(path, key, kinds)
        try:
            require_embedder(opened, embedder_id)
        except EmbedderMismatchError:
            opened.close()
            raise
        return opened

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    # transactions ----------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside, or nothing; within a rehearsal a part of it."""
        # IMMEDIATE: one that began by reading would fail at once, without waiting, where another
        # program has written between its reading and its writing.
        begin, back, commit = "BEGIN IMMEDIATE", "ROLLBACK", "COMMIT"
        if self._rehearsing:  # within its transaction: SQLite has no second one inside
            begin, back, commit = "SAVEPOINT step", "ROLLBACK TO step", "RELEASE step"
        with explained(self.path):
            with waiting(self.path):
                self._db.execute(begin)
            try:
                # Since it was opened, another program may have moved it to another embedder.
                self.reader.require_same_embedder()
                yield self._db
            except BaseException:
                if self._db.in_transaction:  # SQLite itself rolls back when the disk is full
                    self._db.execute(back)
                raise
            self._db.execute(commit)

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Whatever is written inside is taken back at the end: a dry run."""
        with explained(self.path), waiting(self.path):
            self._db.execute("BEGIN IMMEDIATE")
        self._rehearsing = True
        try:
            yield
        finally:
            self._rehearsing = False
            with explained(self.path):
                self._db.rollback()

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Nothing can be written inside; others may: a dry run that takes long."""
        # No transaction, as in a rehearsal: nobody else could write while photos are looked at.
        with explained(self.path):
            self._db.execute("PRAGMA query_only = ON")
        try:
            yield
        finally:
            with explained(self.path):
                self._db.execute("PRAGMA query_only = OFF")

    # people ----------------------------------------------------------------------------------

    def add(self, new: Sequence[NewReference]) -> int:
        """Enrol faces, all in one transaction; those already there are left as they are.

        Returns how many were added.
        """
        with self._transaction() as db:
            added = 0
            touched = set[int]()
            for item in new:
                subject_id = subject_rows.found_or_made(db, item.subject, now())
                added += _enrol(db, item.subject, StoredReference.new(subject_id, item, now()))
                touched.add(subject_id)
            subject_rows.refresh(db, touched)
        return added

    def adopt(self, people: Mapping[str, SubjectRow], rows: Sequence[ReferenceRow]) -> int:
        """Take another gallery's references over as they are; returns how many were new.

        people: by name, what their subjects are to be where they are not there. Ids are kept
        where they are free. From then on the file is a copy, which nothing else opens, until
        `copied`: half a copy looks like a whole one.
        """
        with self._transaction() as db:
            added = 0
            touched = set[int]()
            for row in rows:
                subject = people[row.subject]
                subject_id = subject_rows.found_or_made(
                    db, subject.name, subject.created_at, _free(db, "subject", subject.id)
                )
                free = _free(db, "reference", row.id)
                if _enrol(db, row.subject, StoredReference.taken_over(subject_id, row, free)):
                    added += 1
                    touched.add(subject_id)
            subject_rows.refresh(db, touched)
            if added:
                set_kind(db, FileKind.COPY)
        return added

    def copied(self) -> None:
        """Nothing more is taken over: it is a gallery like others."""
        with self._transaction() as db:
            set_kind(db, FileKind.GALLERY)

    def rename(self, old: str, new: str) -> None:
        """Give a subject another name.

        Raises GalleryError when that one is taken, UsageError when it cannot be a name.
        """
        require_name(new)
        with self._transaction() as db:
            subject = self.reader.find(old)
            undo.rename(db, subject, new)
            audit_log.append(db, LogAction.RENAMED, subject.name)

    def merge(self, source: str, target: str) -> int:
        """Move all references of `source` to `target`; returns how many. Doubles are dropped."""
        with self._transaction() as db:
            gone, kept = self.reader.find(source), self.reader.find(target)
            if gone.id == kept.id:
                raise GalleryError(f"{source!r} and {target!r} are the same subject")
            moved = undo.merge(db, gone, kept)
            subject_rows.refresh(db, {kept.id})
            audit_log.append(db, LogAction.MERGED, gone.name)
        return moved

    def distinct(self, first: str, second: str, *, forget: bool = False) -> None:
        """Say that they are two people, however alike. forget: take that back.

        Raises GalleryError where they are one subject, or where there is nothing to take back.
        """
        with self._transaction() as db:
            one, other = self.reader.find(first), self.reader.find(second)
            if one.id == other.id:
                raise GalleryError(f"{first!r} and {second!r} are the same subject")
            (undo.forget_distinct if forget else undo.distinct)(db, one, other)
            subject_rows.refresh(db, ())  # for they are not each other's strangers any more
            for subject in (one, other):
                action = LogAction.NOT_DISTINCT if forget else LogAction.DISTINCT
                audit_log.append(db, action, subject.name)

    def remove(self, name: str) -> int:
        """Take a subject out with all references; returns how many. The journal brings it back."""
        with self._transaction() as db:
            subject = self.reader.find(name)
            undo.remove(db, subject)
            subject_rows.refresh(db, ())
            audit_log.append(db, LogAction.REMOVED, subject.name)
        return subject.references

    def remove_reference(self, name: str, reference_id: int) -> int:
        """Take out one reference of a subject, and the subject with its last; returns how many
        stay. The journal brings it back. Raises GalleryError when there is no such reference.
        """
        with self._transaction() as db:
            subject = self.reader.find(name)
            left = undo.remove_reference(db, subject, reference_id)
            subject_rows.refresh(db, {subject.id} if left else ())
            audit_log.append(db, LogAction.REMOVED, subject.name)
        return left

    def refile(self, photos: Sequence[Refiled]) -> None:
        """Note where photos lie now, and what their bytes are; what is not there is passed over."""
        with self._transaction() as db:
            for photo in photos:
                subject_id = subject_rows.named(db, photo.subject)
                if subject_id is not None:
                    reference_rows.refile(db, subject_id, photo)

    def log_search(self, photo: str, subjects: Iterable[str]) -> None:
        """Where the audit log is on, note a search. photo: sha256; subjects: who was identified."""
        with explained(self.path):
            on = audit_log.is_on(self._db)
        if on:
            with self._transaction() as db:
                named: list[str | None] = [*sorted(subjects)]
                for name in named or [None]:
                    audit_log.append(db, LogAction.SEARCHED, name, photo)

    # erasing ---------------------------------------------------------------------------------

    def doomed(self, whom: Whom) -> Deleted:
        """What `erase` would delete. Raises GalleryError where nobody is called so."""
        with self.rehearsal():  # by doing it: whom a name concerns is told in one place
            return self.purge(whom)

    def purge(self, whom: Whom) -> Deleted:
        """Delete people and changes for good: the rows. Their bytes go with `compact`."""
        with self._transaction() as db:
            gone = deletion.delete(db, whom)
            subject_rows.refresh(db, ())
            for name in sorted(gone.people):
                audit_log.append(db, LogAction.PURGED, name)
        return gone

    def erase(self, whom: Whom) -> Erasure:
        """Delete people for good, and every byte of them in the gallery's files.

            delete -> drop derived files -> overwrite in place -> write the file anew
            -> empty its log -> the same in the grouping beside it
            -> search the bytes of every file for what was deleted

        Where that is cut short the next one ends it: of anybody, or of whoever it was.
        Raises GalleryError where nobody is called so.
        """
        with explained(self.path):
            resumed = deletion.is_unfinished(self._db)
            # It raises where a read of our own would keep the bytes.
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        deleted = self.purge(whom)  # from here on nobody is found, whatever fails below
        try:
            files_beside.discard_derived(self.path, self.key)
            busy = not self.compact()
            grouping_life.erase(self.path, self.key, deleted, whom is Group.EVERYBODY)
        except GalleryError as error:
            raise GalleryError(
                f"the people are deleted, but their bytes are not overwritten yet: {error}; then "
                "`facecli gallery purge --removed` ends it"
            ) from error
        found = erasure_check.find_remains(self.path, deleted, self.reader.held)
        if not busy and not found.remains:
            with self._transaction() as db:
                deletion.finish(db)
        return Erasure(now(), deleted, busy, found, self._unproven(), resumed)

    def _unproven(self) -> tuple[str, ...]:
        """What a search of the files in the gallery's folder does not tell."""
        others = files_beside.other_names(self.path)
        return (
            *(() if self.key is None else (_ENCRYPTED,)),
            *((_OTHER_NAMES.format(others),) if others else ()),
        )

    def compact(self) -> bool:
        """Write the file anew without what was deleted, and empty its write-ahead log.

        False where another program's reading keeps the old bytes for now.
        """
        with explained(self.path):
            # First so that pages are overwritten in their place before the file gets shorter.
            if self._emptied_log():
                self._db.execute("VACUUM")
                # The log holds the new pages now, and the file the old ones until they are
                # replaced.
                return self._emptied_log()
        return False

    def _emptied_log(self) -> bool:
        """Whether all of the log went into the file; waits for readers, BUSY_SECONDS at most."""
        with waiting(self.path):
            return not self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    # the threshold, and what is derived ------------------------------------------------------

    def calibrate(self, row: CalibrationRow) -> None:
        """Put a threshold choice in force; earlier ones stay on record."""
        with self._transaction() as db:
            undo.calibrate(db, row)
            audit_log.append(db, LogAction.THRESHOLD)

    def keep_observed(self, revision: int, observed: Observed) -> None:
        """Remember what was observed of the templates at this revision."""
        with self._transaction() as db:
            values = (1, revision, *astuple(observed))
            marks = ", ".join("?" * len(values))
            db.execute(
                f"INSERT OR REPLACE INTO fit (id, revision, {OBSERVED}) VALUES ({marks})", values
            )

    def settle(self) -> None:
        """After writing: make the sidecar anew where it has fallen behind."""
        candidates.keep_in_step(self.reader)

    # the file as a whole ---------------------------------------------------------------------

    def mend(self, drop_orphans: bool) -> Mended:
        """Put rows and SQLite's own indices in step again, see `consistency`; references without a
        template go to the journal. Raises GalleryError, all as it was, where pages are damaged.
        """
        dimension = self.reader.dimension
        with self._transaction() as db:
            db.execute("REINDEX")
            fault = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if fault != "ok":
                raise sqlite3.DatabaseError(fault)
            spoilt = tuple(consistency.spoilt(db, dimension))
            for reference_id, name in spoilt:
                undo.remove_reference(db, self.reader.find(name), reference_id)
            dropped = consistency.drop_orphans(db) if drop_orphans else 0
            stale = tuple(consistency.stale(db, dimension))
            subject_rows.refresh(db, stale)
            faults = tuple(self.reader.check())
        return Mended(spoilt, len(stale), dropped, faults)

    def switch_embedder(
        self, embedder_id: str, dimension: int, made: Iterable[ReferenceRow], left_out: Set[int]
    ) -> int:
        """Make the gallery another embedder's; returns how many references it has.

        made: each one's new face and template, its `subject` the reference's id, of another
        gallery and read at one moment. left_out: ids of those that are known to get none.
        What belonged to the old embedder goes: threshold choices, what could be undone.
        Raises GalleryError, all as it was, where others get none either.
        """
        with self._transaction() as db:
            done = set[int]()
            for row in made:
                if not row.subject.isdecimal():
                    raise values.Unsound(f"{row.subject!r} is no reference's id")
                if reference_rows.replace_template(db, int(row.subject), row):
                    done.add(int(row.subject))
            _drop_without(db, done, left_out)
            db.execute("UPDATE gallery SET embedder_id = ?, dimension = ?",
                       (embedder_id, dimension))  # fmt: skip
            # Templates and cosines of the old embedder: no score could be compared with them.
            for table in ("change", "calibration", "fit"):  # a change's rows follow it
                db.execute(f"DELETE FROM {table}")
            gone = db.execute(
                "DELETE FROM subject WHERE id NOT IN (SELECT subject_id FROM reference) "
                "RETURNING name"
            ).fetchall()
            distinct_rows.drop_lost(db)
            kept = [int(row[0]) for row in db.execute("SELECT id FROM subject")]
            subject_rows.refresh(db, kept)
            audit_log.append(db, LogAction.RE_EMBEDDED)
            for (name,) in gone:
                audit_log.append(db, LogAction.REMOVED, name)
        self.reader = FileReader(self.path, self._db, self.reader.encrypted)
        return len(done)

    def unfinished(self) -> tuple[str, ...]:
        """What was begun and not finished, beside the gallery, a line each; it is sound without."""
        with explained(self.path):
            models = files_beside.works(self.path, self.key)
        return tuple(
            f"a re-embedding was not finished: `facecli gallery re-embed --model {model}` goes on, "
            f"or delete {file}"
            for model, file in models.items()
        )

    def copy_to(self, path: Path, final: Path) -> None:
        """Copy this moment of the gallery into the empty file `path`; others may go on writing.

        The copy of an encrypted one is encrypted with the same key. final: where the copy is to
        be, to speak of. Raises OutputError where its disk is full, GalleryError where the gallery
        cannot be read.
        """
        with explained(self.path):
            copy_into(self._db, path, self.key, final)

    def copy_beside(self, what: str) -> Path:
        """The same in a new file beside it, with `what` and the time in its name."""
        copy = files_beside.free_name(self.path, what)
        with explained(copy), atomic.draft(copy) as draft:
            self.copy_to(draft, copy)
            atomic.place(draft, copy)
        return copy


def _enrol(db: sqlite3.Connection, subject: str, row: StoredReference) -> bool:
    """Whether it was not there yet."""
    added = reference_rows.insert(db, row)
    if added:
        audit_log.append(db, LogAction.ENROLLED, subject, row.photo_sha256)
    return added


def _free(db: sqlite3.Connection, table: str, number: int) -> int | None:
    """The id if nothing has it, else None: SQLite then gives another."""
    taken = db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (number,)).fetchone()
    return None if taken else number


def _drop_without(db: sqlite3.Connection, done: Set[int], left_out: Set[int]) -> None:
    """Delete the references that got no new template, if none was to get one."""
    without = {row[0] for row in db.execute("SELECT id FROM reference")} - done
    if late := without - left_out:
        raise GalleryError(
            f"{len(late)} of the references were enrolled while others were re-embedded: run the "
            "same command again, it goes on"
        )
    if not done:
        raise GalleryError("nothing was changed: no reference could be re-embedded")
    db.executemany("DELETE FROM reference WHERE id = ?", ((number,) for number in without))
