"""Changes that can be undone. `rename` to `calibrate` work within a transaction of `store`.

Nothing that a rename, merge or removal takes away is lost: it lies in the journal until it is
undone or purged. Enrolling is not journalled: `remove` undoes it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from facecli.common.enums import ChangeKind, LogAction
from facecli.common.errors import GalleryError
from facecli.common.timestamp import now
from facecli.storage.records import CalibrationRow, Change, SubjectRow
from facecli.storage.sqlite import audit_log, distinct_rows, reference_rows, subject_rows, values
from facecli.storage.sqlite.connection import Transaction, explained
from facecli.storage.sqlite.reader import CHOICE

_RECORDED = 'kind, subject_id, name, other_id, other, "references", at'
_CHANGE = f"id, {_RECORDED}"
_NOBODY = SubjectRow(0, "", 0, "")  # whom a change of the threshold concerns


class Journal:
    """What can be undone, and undoing it. Every method raises GalleryError when SQLite cannot."""

    def __init__(self, path: Path, db: sqlite3.Connection, transaction: Transaction) -> None:
        """transaction: the gallery's, in which a change is taken back."""
        self._path = path
        self._db = db
        self._transaction = transaction

    def changes(self) -> tuple[Change, ...]:
        """Every rename, merge, removal and threshold that can be undone, newest first."""
        with explained(self._path):
            return tuple(read_change(row) for row in recorded(self._db))

    def undo(self, change_id: int | None = None) -> Change:
        """Take a change back, the newest for None; all is as it was before it.

        Raises GalleryError, and changes nothing, when there is none, when its subjects were
        changed since, or when their name or photo was enrolled again meanwhile.
        """
        with self._transaction() as db:
            change = _wanted(db, change_id)
            subject_rows.refresh(db, _take_back(db, change))
            audit_log.append(db, LogAction.UNDONE, change.name or None)
        return change


def recorded(db: sqlite3.Connection) -> sqlite3.Cursor:
    """Every change as it is stored, newest first, for `read_change`."""
    return db.execute(f"SELECT {_CHANGE} FROM change ORDER BY id DESC")


def rename(db: sqlite3.Connection, subject: SubjectRow, new: str) -> None:
    """Give a subject another name. Raises GalleryError when that one is taken."""
    taken = subject_rows.named(db, new)
    if taken not in (None, subject.id):
        raise GalleryError(
            f"{new!r} is enrolled already: use `facecli gallery merge` to make them one"
        )
    if new != subject.name:
        _record(db, ChangeKind.RENAME, subject, 0, other=new)
        subject_rows.set_name(db, subject.id, new)


def merge(db: sqlite3.Connection, source: SubjectRow, target: SubjectRow) -> int:
    """Make `source`'s references `target`'s; doubles go to the journal. Returns how many moved.

    A double is a face of a photo that `target` has, too.
    """
    change = _record(db, ChangeKind.MERGE, source, 0, target.id, target.name)
    # Noted before they move: afterwards nothing tells them from the target's own.
    db.execute(
        "INSERT INTO moved_reference (change_id, reference_id) SELECT ?, id FROM reference r "
        "WHERE subject_id = ? AND NOT EXISTS (SELECT 1 FROM reference k WHERE k.subject_id = ? "
        "AND k.photo_sha256 = r.photo_sha256 AND k.face = r.face)",
        (change, source.id, target.id),
    )
    moved = db.execute(
        "UPDATE reference SET subject_id = ? "
        "WHERE id IN (SELECT reference_id FROM moved_reference WHERE change_id = ?)",
        (target.id, change),
    ).rowcount
    db.execute('UPDATE change SET "references" = ? WHERE id = ?', (moved, change))
    distinct_rows.carry(db, change, source.id, target.id)
    _set_aside(db, change, source.id)  # with the doubles, which did not move
    return int(moved)


def remove(db: sqlite3.Connection, subject: SubjectRow) -> None:
    """Take a subject out with all references."""
    _set_aside(db, _record(db, ChangeKind.REMOVE, subject, subject.references), subject.id)


def remove_reference(db: sqlite3.Connection, subject: SubjectRow, reference_id: int) -> int:
    """Take one reference out, and the subject with its last. Returns how many it keeps.

    Raises GalleryError when the subject has no such reference.
    """
    found = db.execute(
        "SELECT 1 FROM reference WHERE id = ? AND subject_id = ?", (reference_id, subject.id)
    ).fetchone()
    if not found:
        raise GalleryError(
            f"{subject.name!r} has no reference {reference_id}: `facecli gallery show` lists them"
        )
    change = _record(db, ChangeKind.REMOVE_REFERENCE, subject, 1)
    left = subject.references - 1
    if left:  # without any, a subject has no template, and nobody could find it
        reference_rows.archive(db, change, "id = ?", reference_id)
        db.execute("DELETE FROM reference WHERE id = ?", (reference_id,))
    else:
        _set_aside(db, change, subject.id)
    return left


def distinct(db: sqlite3.Connection, one: SubjectRow, other: SubjectRow) -> None:
    """Say that they are two people; nothing where that was said."""
    if not distinct_rows.holds(db, one.id, other.id):
        change = _record(db, ChangeKind.DISTINCT, one, 0, other.id, other.name)
        distinct_rows.make(db, change, one.id, other.id)


def forget_distinct(db: sqlite3.Connection, one: SubjectRow, other: SubjectRow) -> None:
    """Take that back. Raises GalleryError where it was not said."""
    if not distinct_rows.holds(db, one.id, other.id):
        raise GalleryError(
            f"nobody said that {one.name!r} and {other.name!r} are two people: "
            "`facecli gallery distinct` lists who is"
        )
    change = _record(db, ChangeKind.NOT_DISTINCT, one, 0, other.id, other.name)
    distinct_rows.end(db, change, one.id, other.id)


def calibrate(db: sqlite3.Connection, row: CalibrationRow) -> None:
    """Put a threshold choice in force, after those before it."""
    _record(db, ChangeKind.THRESHOLD, _NOBODY, 0, other=row.basis)
    marks = ", ".join("?" * len(astuple(row)))
    db.execute(f"INSERT INTO calibration ({CHOICE}) VALUES ({marks})", astuple(row))


def _take_back(db: sqlite3.Connection, change: Change) -> set[int]:
    """Whose templates it concerns."""
    _last_of_its_subjects(db, change)
    touched = {change.subject_id}
    if change.kind is ChangeKind.THRESHOLD:
        # Its choice is the newest: a later one would have to be taken back first.
        db.execute("DELETE FROM calibration WHERE id = (SELECT max(id) FROM calibration)")
        touched = set()
    elif change.kind is ChangeKind.RENAME:
        _free(db, change)
        subject_rows.set_name(db, change.subject_id, change.name)
        touched = set()
    elif change.kind is ChangeKind.MERGE and change.other_id is not None:
        touched |= {change.other_id}
    elif change.kind in (ChangeKind.DISTINCT, ChangeKind.NOT_DISTINCT):
        touched = set()
    distinct_rows.take_back(db, change.id)
    _bring_back(db, change)
    db.execute("DELETE FROM change WHERE id = ?", (change.id,))
    return touched


def _record(
    db: sqlite3.Connection,
    kind: ChangeKind,
    subject: SubjectRow,
    references: int,
    other_id: int | None = None,
    other: str | None = None,
) -> int:
    row = db.execute(
        f"INSERT INTO change ({_RECORDED}) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (kind, subject.id, subject.name, other_id, other, references, now()),
    ).fetchone()
    return int(row[0])


def _set_aside(db: sqlite3.Connection, change: int, subject_id: int) -> None:
    """The subject, and what references it still has, go to the journal."""
    subject_rows.archive(db, change, subject_id)
    reference_rows.archive(db, change, "subject_id = ?", subject_id)
    db.execute("DELETE FROM subject WHERE id = ?", (subject_id,))  # its references follow


def _wanted(db: sqlite3.Connection, change_id: int | None) -> Change:
    where, values = ("", ()) if change_id is None else ("WHERE id = ?", (change_id,))
    row = db.execute(
        f"SELECT {_CHANGE} FROM change {where} ORDER BY id DESC LIMIT 1", values
    ).fetchone()
    if row is None:
        what = "nothing" if change_id is None else f"no change {change_id}"
        raise GalleryError(f"there is {what} to undo: see `facecli gallery undo --list`")
    return read_change(row)


def _last_of_its_subjects(db: sqlite3.Connection, change: Change) -> None:
    """Raise GalleryError where a later change concerns the same subjects.

    Changes of different people can be taken back in any order, those of one the newest first: the
    later one began from what this one left.
    """
    ids = (change.subject_id, change.subject_id if change.other_id is None else change.other_id)
    later = db.execute(
        f"SELECT {_CHANGE} FROM change WHERE id > ? "
        "AND (subject_id IN (?, ?) OR other_id IN (?, ?)) ORDER BY id DESC LIMIT 1",
        (change.id, *ids, *ids),
    ).fetchone()
    if later:
        what = "the threshold" if change.kind is ChangeKind.THRESHOLD else repr(change.name)
        raise GalleryError(
            f"{what} was changed again since: undo change {later[0]} first "
            f"(`facecli gallery undo {later[0]}`)"
        )


def _bring_back(db: sqlite3.Connection, change: Change) -> None:
    """Put what the change took away where it was."""
    if db.execute("SELECT 1 FROM removed_subject WHERE change_id = ?", (change.id,)).fetchone():
        _free(db, change)
    subject_rows.bring_back(db, change.id)
    db.execute(
        "UPDATE reference SET subject_id = ? "
        "WHERE id IN (SELECT reference_id FROM moved_reference WHERE change_id = ?)",
        (change.subject_id, change.id),
    )
    again = db.execute(
        "SELECT r.id FROM removed_reference a JOIN reference r ON r.subject_id = a.subject_id "
        "AND r.photo_sha256 = a.photo_sha256 AND r.face = a.face WHERE a.change_id = ?",
        (change.id,),
    ).fetchone()
    if again:
        raise GalleryError(
            f"change {change.id} cannot be undone: that face of {change.name!r} was enrolled "
            f"again meanwhile, as reference {again[0]}"
        )
    reference_rows.bring_back(db, change.id)


def _free(db: sqlite3.Connection, change: Change) -> None:
    """Raise GalleryError where somebody else has the subject's name now."""
    if subject_rows.named(db, change.name) not in (None, change.subject_id):
        raise GalleryError(
            f"change {change.id} cannot be undone: another {change.name!r} was enrolled "
            "meanwhile; rename or remove that one, then "
            f"`facecli gallery undo {change.id}`"
        )


def read_change(row: Sequence[object]) -> Change:
    """row: _CHANGE."""
    id, kind, subject_id, name, other_id, other, references, at = row
    if values.text(kind, "a change's kind") not in list(ChangeKind):
        raise values.Unsound(f"a change is of the kind {kind!r:.30}")
    return Change(
        values.whole(id, "a change's id", 1),
        ChangeKind(str(kind)),
        values.whole(subject_id, "a change's subject", int(kind != ChangeKind.THRESHOLD)),
        values.text(name, "a change's name"),
        None if other_id is None else values.whole(other_id, "a change's other subject", 1),
        values.optional_text(other, "a change's other name"),
        values.whole(references, "a change's references"),
        values.text(at, "the day of a change"),
    )
