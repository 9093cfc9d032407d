"""The gallery file in use: each write is a transaction. No faces are found here.

The only SQL stands here, in `reader` (answers), `writer` (transactions), `journal` (what can be
undone), `purge` (what cannot), `adopted` (copies), `mend`, `repair`, `auditlog`, and in `database`
and `schema`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from pathlib import Path
from typing import Self

import numpy as np

from facecli.common import atomic
from facecli.common.enums import LogAction
from facecli.common.errors import EmbedderMismatchError, GalleryError
from facecli.common.files import private_folder
from facecli.common.names import key, require_name
from facecli.common.timestamp import now
from facecli.metrics.gallery_fit import Observed
from facecli.storage.keys import Key
from facecli.storage.records import (
    CalibrationRow,
    Change,
    LogEntry,
    NewReference,
    ReferenceRow,
    mean_template,
)
from facecli.storage.sqlite import audit_log, consistency, deletion, sidecar, switch, undo
from facecli.storage.sqlite.connection import connect, explained, make, present, recognise
from facecli.storage.sqlite.consistency import Mended
from facecli.storage.sqlite.writer import Writer


class Store(Writer):
    """An open gallery file. Use it from one thread; any number of processes may read and write.

    Every method raises GalleryError when SQLite cannot do its part.
    """

    @classmethod
    def open(cls, path: Path, key: Key | None = None) -> Self:
        """Open what is there. Raises GalleryError when it is missing, foreign or too new, or when
        `key` is not the one it is encrypted with.
        """
        if not present(path, key):
            raise GalleryError(
                f"there is no gallery at {path}: make one with `facecli enroll PHOTOS`, "
                "or name another with --gallery"
            )
        atomic.sweep(path.parent)
        sidecar.sweep(path)
        with explained(path):
            connection = connect(path, key)
            try:
                recognise(path, connection)
                return cls(path, connection, key)
            except BaseException:
                connection.close()
                raise

    @classmethod
    def create(cls, path: Path, embedder_id: str, dimension: int, key: Key | None = None) -> Self:
        """Open the gallery at `path`, made first if it is not there; 0600, its folder 0700.

        key: what a new one is encrypted with, and what opens an encrypted one that is there.
        Raises EmbedderMismatchError when it is there and another embedder's.
        """
        if not present(path, key):
            with explained(path):
                private_folder(path.parent)
                make(path, embedder_id, dimension, key)
        store = cls.open(path, key)
        try:
            store.require(embedder_id)
        except EmbedderMismatchError:
            store.close()
            raise
        return store

    def add(self, new: Sequence[NewReference]) -> int:
        """Enrol faces, all in one transaction; those already there are left as they are.

        Returns how many were added.
        """
        with self._transaction() as db:
            added = 0
            touched: set[int] = set()
            for item in new:
                subject_id = self._subject_id(item.subject)
                if self._insert(subject_id, item):
                    added += 1
                    audit_log.append(db, LogAction.ENROLLED, item.subject, item.photo_sha256)
                touched.add(subject_id)
            self._refresh(touched)
        return added

    def rename(self, old: str, new: str) -> None:
        """Give a subject another name.

        Raises GalleryError when that one is taken, UsageError when it cannot be a name.
        """
        require_name(new)
        with self._transaction() as db:
            subject = self.find(old)
            undo.rename(db, subject, new)
            audit_log.append(db, LogAction.RENAMED, subject.name)

    def merge(self, source: str, target: str) -> int:
        """Move all references of `source` to `target`; returns how many. Doubles are dropped."""
        with self._transaction() as db:
            gone, kept = self.find(source), self.find(target)
            if gone.id == kept.id:
                raise GalleryError(f"{source!r} and {target!r} are the same subject")
            moved = undo.merge(db, gone, kept)
            self._refresh({kept.id})
            audit_log.append(db, LogAction.MERGED, gone.name)
        return moved

    def remove(self, name: str) -> int:
        """Take a subject out with all references; returns how many. `undo` brings it back."""
        with self._transaction() as db:
            subject = self.find(name)
            undo.remove(db, subject)
            self._refresh(())
            audit_log.append(db, LogAction.REMOVED, subject.name)
        return subject.references

    def remove_reference(self, name: str, reference_id: int) -> int:
        """Take out one reference of a subject, and the subject with its last; returns how many
        stay. `undo` brings it back. Raises GalleryError when the subject has no such reference.
        """
        with self._transaction() as db:
            subject = self.find(name)
            left = undo.remove_reference(db, subject, reference_id)
            self._refresh({subject.id} if left else ())
            audit_log.append(db, LogAction.REMOVED, subject.name)
        return left

    def changes(self) -> tuple[Change, ...]:
        """Everything that can be undone, newest first."""
        with explained(self.path):
            return undo.changes(self._db)

    def undo(self, change_id: int | None = None) -> Change:
        """Take a change back, the newest for None. Raises GalleryError where that cannot be."""
        with self._transaction() as db:
            change, touched = undo.undo(db, change_id)
            self._refresh(touched)
            audit_log.append(db, LogAction.UNDONE, change.name)
        return change

    def purge(self, whom: Callable[[sqlite3.Connection], deletion.Doomed]) -> deletion.Deleted:
        """Delete people and changes for good. Their bytes go with `compact`, see `erasure`."""
        with self._transaction() as db:
            gone = deletion.delete(db, whom(db))
            self._refresh(())
            for name in sorted(gone.people):
                audit_log.append(db, LogAction.PURGED, name)
        return gone

    def log(self) -> tuple[LogEntry, ...]:
        """The audit log, oldest first."""
        with explained(self.path):
            return audit_log.entries(self._db)

    def keep_log(self, on: bool) -> None:
        """Turn the audit log on or off; what it holds stays."""
        with self._transaction() as db:
            audit_log.switch(db, on)

    def log_search(self, photo: str, subjects: Iterable[str]) -> None:
        """Where the audit log is on, note a search. photo: sha256; subjects: who was identified."""
        if audit_log.is_on(self._db):
            with self._transaction() as db:
                named: list[str | None] = [*sorted(subjects)]
                for name in named or [None]:
                    audit_log.append(db, LogAction.SEARCHED, name, photo)

    def mend(self, drop_orphans: bool) -> Mended:
        """Put rows and SQLite's own indices in step again, see `mend`; references without a
        template go to the journal. Raises GalleryError, all as it was, where pages are damaged.
        """
        with self._transaction() as db:
            db.execute("REINDEX")
            fault = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if fault != "ok":
                raise sqlite3.DatabaseError(fault)
            spoilt = tuple(consistency.spoilt(db, self.dimension))
            for reference_id, name in spoilt:
                undo.remove_reference(db, self.find(name), reference_id)
            dropped = consistency.drop_orphans(db) if drop_orphans else 0
            stale = tuple(consistency.stale(db, self.dimension))
            self._refresh(stale)
            faults = tuple(self.check())
        return Mended(spoilt, len(stale), dropped, faults)

    def switch(
        self, embedder_id: str, dimension: int, made: Iterable[ReferenceRow], left_out: Set[int]
    ) -> int:
        """Make the gallery another embedder's, see `switch`; returns how many references it has.

        made: of another gallery, read at one moment. Raises GalleryError, all as it was, where a
        reference is in neither.
        """
        with self._transaction() as db:
            count = switch.references(db, made, left_out)
            gone, kept = switch.gallery(db, embedder_id, dimension)
            self._refresh(kept)
            audit_log.append(db, LogAction.RE_EMBEDDED)
            for name in gone:
                audit_log.append(db, LogAction.REMOVED, name)
        self.embedder_id, self.dimension = embedder_id, dimension
        return count

    def gallery_id(self) -> str:
        """What names the file in receipts: random, 32 hex digits, the same in its copies."""
        with explained(self.path):
            return str(self._db.execute("SELECT gallery_id FROM custody").fetchone()[0])

    def hashed(self, name: str) -> str:
        """A subject's name as the audit log has it."""
        with explained(self.path):
            return audit_log.hashed(self._db, name)

    def holds(self, pieces: Collection[bytes]) -> set[bytes]:
        """Those of these bytes that stand in some row's template, name or path, see `purge`."""
        with explained(self.path):
            return deletion.held(self._db, pieces) if pieces else set()

    def keep_observed(self, revision: int, observed: Observed) -> None:
        """Remember what was observed of the templates at this revision."""
        with self._transaction():
            self._db.execute(
                'INSERT OR REPLACE INTO fit (id, revision, n, mean, deviation, "references") '
                "VALUES (1, ?, ?, ?, ?, ?)",
                (revision, observed.n, observed.mean, observed.deviation, observed.references),
            )

    def calibrate(self, row: CalibrationRow) -> None:
        """Put a threshold choice in force; earlier ones stay on record."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO calibration (basis, target, target_rate, threshold, scores, "
                "made_from, made_at, n) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (row.basis, row.target, row.target_rate, row.threshold, row.scores,
                 row.made_from, row.made_at, row.n),
            )  # fmt: skip

    def _subject_id(self, name: str) -> int:
        row = self._db.execute("SELECT id FROM subject WHERE key = ?", (key(name),)).fetchone()
        if row is None:
            row = self._db.execute(
                "INSERT INTO subject (name, key, created_at) VALUES (?, ?, ?) RETURNING id",
                (name, key(name), now()),
            ).fetchone()
        return int(row[0])

    def _insert(self, subject_id: int, new: NewReference) -> int:
        face = new.found.face
        return self._db.execute(
            "INSERT INTO reference (subject_id, vector, x1, y1, x2, y2, landmarks, "
            "detection_score, quality, photo_sha256, face, path, enrolled_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (subject_id, photo_sha256, face) DO NOTHING",
            (subject_id, new.found.template.vector.astype(np.float32).tobytes(), *face.box,
             face.landmarks.astype(np.float32).tobytes(), face.detection_score, face.quality,
             new.photo_sha256, new.face_index, _utf8(new.path), now()),
        ).rowcount  # fmt: skip

    def _refresh(self, subject_ids: Iterable[int]) -> None:
        """Within a transaction: templates follow their references, and the revision moves on."""
        self._db.execute("UPDATE gallery SET revision = revision + 1")
        (revision,) = self._db.execute(
            "INSERT INTO revision (id, token) SELECT revision, randomblob(16) FROM gallery "
            "RETURNING id"
        ).fetchone()
        for subject_id in sorted(subject_ids):
            rows = self._db.execute(
                "SELECT vector FROM reference WHERE subject_id = ? ORDER BY id", (subject_id,)
            ).fetchall()
            mean = mean_template([np.frombuffer(r[0], np.float32) for r in rows]) if rows else None
            self._db.execute(
                "UPDATE subject SET template = ?, revision = ? WHERE id = ?",
                (None if mean is None else mean.tobytes(), revision, subject_id),
            )


def _utf8(path: str) -> str:
    """A file name may be any bytes; SQLite's text is UTF-8. What is not becomes \\udcXX."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
