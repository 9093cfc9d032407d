"""The gallery file: SQLite, and with `reader` the only SQL. No faces are found here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from facecli.database import connect, explained, make, now, present, recognise
from facecli.errors import EmbedderMismatchError, GalleryError
from facecli.fit import Observed
from facecli.layouts import key
from facecli.reader import Reader
from facecli.records import CalibrationRow, NewReference, mean_template


class Store(Reader):
    """An open gallery file. Use it from one thread; any number of processes may read and write.

    Every method raises GalleryError when SQLite cannot do its part.
    """

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open what is there. Raises GalleryError when it is missing, foreign or too new."""
        if not present(path):
            raise GalleryError(
                f"there is no gallery at {path}: make one with `facecli enroll PHOTOS`, "
                "or name another with --gallery"
            )
        with explained(path):
            connection = connect(path)
            try:
                recognise(path, connection)
                return cls(path, connection)
            except BaseException:
                connection.close()
                raise

    @classmethod
    def create(cls, path: Path, embedder_id: str, dimension: int) -> Store:
        """Open the gallery at `path`, made first if it is not there; 0600, its folder 0700.

        Raises EmbedderMismatchError when it is there and another embedder's.
        """
        if not present(path):
            with explained(path):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                make(path, embedder_id, dimension)
        store = cls.open(path)
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
        with self._transaction():
            added = 0
            touched: set[int] = set()
            for item in new:
                subject_id = self._subject_id(item.subject)
                added += self._insert(subject_id, item)
                touched.add(subject_id)
            self._refresh(touched)
        return added

    def rename(self, old: str, new: str) -> None:
        """Give a subject another name. Raises GalleryError when that one is taken."""
        with self._transaction():
            subject = self.find(old)
            taken = self._db.execute(
                "SELECT id FROM subject WHERE key = ? AND id <> ?", (key(new), subject.id)
            ).fetchone()
            if taken:
                raise GalleryError(
                    f"{new!r} is enrolled already: use `facecli gallery merge` to make them one"
                )
            self._db.execute(
                "UPDATE subject SET name = ?, key = ? WHERE id = ?", (new, key(new), subject.id)
            )

    def merge(self, source: str, target: str) -> int:
        """Move all references of `source` to `target`; returns how many. Doubles are dropped."""
        with self._transaction():
            gone, kept = self.find(source), self.find(target)
            if gone.id == kept.id:
                raise GalleryError(f"{source!r} and {target!r} are the same subject")
            moved = self._db.execute(
                "UPDATE OR IGNORE reference SET subject_id = ? WHERE subject_id = ?",
                (kept.id, gone.id),
            ).rowcount
            self._db.execute("DELETE FROM subject WHERE id = ?", (gone.id,))
            self._refresh({kept.id})
        return int(moved)

    def remove(self, name: str) -> int:
        """Delete a subject with all references; returns how many. Their bytes are overwritten.

        Raises GalleryError when another program reads for so long that the bytes stay for now.
        """
        with self._transaction():
            subject = self.find(name)
            self._db.execute("DELETE FROM subject WHERE id = ?", (subject.id,))
            self._refresh(())
        self._erase(repr(name))
        return subject.references

    def remove_reference(self, name: str, reference_id: int) -> int:
        """Delete one reference of a subject, and the subject with its last; returns how many stay.

        Erases as `remove` does. Raises GalleryError when the subject has no such reference.
        """
        with self._transaction():
            subject = self.find(name)
            found = self._db.execute(
                "DELETE FROM reference WHERE id = ? AND subject_id = ?", (reference_id, subject.id)
            ).rowcount
            if not found:
                raise GalleryError(
                    f"{name!r} has no reference {reference_id}: `facecli gallery show` lists them"
                )
            left = subject.references - 1
            if not left:
                self._db.execute("DELETE FROM subject WHERE id = ?", (subject.id,))
            self._refresh({subject.id} if left else ())
        self._erase(f"reference {reference_id} of {name!r}")
        return left

    def _erase(self, what: str) -> None:
        """After a deletion: fold the write-ahead log into the file, where bytes are overwritten."""
        with explained(self.path):
            busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise GalleryError(
                f"{what} is removed, but another program reads {self.path} and keeps the old "
                "bytes on disk: they go when the last program closes the gallery"
            )

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
        for subject_id in sorted(subject_ids):
            rows = self._db.execute(
                "SELECT vector FROM reference WHERE subject_id = ? ORDER BY id", (subject_id,)
            ).fetchall()
            mean = mean_template([np.frombuffer(r[0], np.float32) for r in rows]) if rows else None
            self._db.execute(
                "UPDATE subject SET template = ? WHERE id = ?",
                (None if mean is None else mean.tobytes(), subject_id),
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.rollback()
                raise
            self._db.commit()


def _utf8(path: str) -> str:
    """A file name may be any bytes; SQLite's text is UTF-8. What is not becomes \\udcXX."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
