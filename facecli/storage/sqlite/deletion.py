"""Deleting people for good, from the gallery and its journal: SQL within a transaction of `store`.

What is deleted is handed out first, so that `erasure_check` can look for it in the files
afterwards.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from facecli.common.errors import GalleryError
from facecli.common.names import name_key
from facecli.storage.interface import Called, Deleted, Group, Whom
from facecli.storage.sqlite import distinct_rows, subject_rows, values
from facecli.storage.sqlite.byte_search import Needles

MOST_SOUGHT = 20_000  # faces whose bytes are looked for afterwards: 0.1 GB of memory
_REMOVED = (
    "SELECT s.key FROM removed_subject s JOIN change c ON c.id = s.change_id "
    "WHERE c.id = ? AND c.kind <> 'merge'"
)

_OF_PEOPLE = "SELECT id FROM change WHERE kind <> 'threshold'"


@dataclass(frozen=True, slots=True)
class _Doomed:
    """subjects: ids, enrolled or not; changes: ids of the journal's."""

    subjects: frozenset[int]
    changes: frozenset[int]


def delete(db: sqlite3.Connection, whom: Whom) -> Deleted:
    """Delete them, and what was observed of the gallery with them in it.

    Called: everybody who is enrolled so or was removed under that name, and who was merged into
    them. Raises GalleryError when that is nobody, or somebody who has another name now; but where
    an erasure was not finished, nobody is fine: that may have been theirs.
    Of more than MOST_SOUGHT faces, every second, third and so on is handed out.
    """
    match whom:
        case Called(name):
            doomed = _called(db, name)
        case Group.REMOVED:
            doomed = _Doomed(frozenset(), _ids(db, _OF_PEOPLE))
        case Group.EVERYBODY:
            doomed = _Doomed(_ids(db, "SELECT id FROM subject"), _ids(db, _OF_PEOPLE))
    gone = _contents(db, doomed)
    db.executemany("DELETE FROM subject WHERE id = ?", ((i,) for i in doomed.subjects))
    for i in doomed.changes:  # not `executemany`: each looks through all that was removed
        db.execute("DELETE FROM change WHERE id = ?", (i,))
    distinct_rows.drop_lost(db)
    db.execute("DELETE FROM fit")
    db.execute("DELETE FROM revision")  # no sidecar from before serves any more
    # Until the file is written anew: where that is interrupted, `check` says so.
    db.execute("UPDATE custody SET erasing = 1")
    return gone


def is_unfinished(db: sqlite3.Connection) -> bool:
    """Whether an erasure was begun, and deleted templates may still be on disk."""
    row = db.execute("SELECT erasing FROM custody").fetchone()
    return bool(values.whole(row and row[0], "whether an erasure is unfinished", 0, 1))


def finish(db: sqlite3.Connection) -> None:
    """Say that none is under way any more."""
    db.execute("UPDATE custody SET erasing = 0")


def held(db: sqlite3.Connection, pieces: Collection[bytes]) -> set[bytes]:
    """Those of these bytes that something that stayed holds: the same photo, a like name or path.

    A name that lacks the last two letters counts: the byte after it in the file may be anything.
    """
    alike = {piece: {piece, piece[:-1], piece[:-2], piece[1:]} for piece in pieces}
    needles = Needles(set().union(*alike.values()))
    found = set[bytes]().union(*map(needles.within, _columns(db)))
    return {piece for piece in pieces if alike[piece] & found}


def _called(db: sqlite3.Connection, name: str) -> _Doomed:
    found = {
        int(row[0])
        for row in db.execute(
            "SELECT s.id FROM removed_subject s JOIN change c ON c.id = s.change_id "
            "WHERE s.key IN (?, ?) AND c.kind <> 'merge'",
            subject_rows.keys(name),
        )
    }
    if (enrolled := subject_rows.named(db, name)) is not None:
        found.add(enrolled)
    if not found:
        if is_unfinished(db):
            return _Doomed(frozenset(), frozenset())
        raise _nobody(db, name)
    # Who was merged into them is the same person, whose doubles and name the journal still holds.
    merges = db.execute("SELECT subject_id, other_id FROM change WHERE kind = 'merge'").fetchall()
    while more := {source for source, target in merges if target in found} - found:
        found |= more
    concerned = db.execute("SELECT id, subject_id, other_id FROM change").fetchall()
    return _Doomed(frozenset(found), frozenset(c[0] for c in concerned if {c[1], c[2]} & found))


def _columns(db: sqlite3.Connection) -> Iterator[bytes]:
    """All templates, names and paths there are, some thousand values at a time, NUL between."""
    templates = (
        "SELECT vector FROM reference UNION ALL SELECT vector FROM removed_reference "
        "UNION ALL SELECT template FROM subject"
    )
    texts = (
        "SELECT name FROM subject UNION ALL SELECT key FROM subject "
        "UNION ALL SELECT path FROM reference UNION ALL SELECT path FROM removed_reference "
        "UNION ALL SELECT name FROM removed_subject UNION ALL SELECT key FROM removed_subject "
        "UNION ALL SELECT name FROM change UNION ALL SELECT other FROM change "
        "UNION ALL SELECT embedder_id FROM gallery UNION ALL SELECT made_from FROM calibration "
        "UNION ALL SELECT sql FROM sqlite_master"
    )
    for rows in (templates, texts):
        cursor = db.execute(f"WITH held(value) AS ({rows}) SELECT CAST(value AS BLOB) FROM held")
        while some := cursor.fetchmany(4096):
            yield b"\0".join(value for (value,) in some if value is not None)


def _nobody(db: sqlite3.Connection, name: str) -> GalleryError:
    rows = db.execute("SELECT kind, name, other FROM change ORDER BY id DESC").fetchall()
    for kind, before, other in rows:
        if other is not None and name_key(values.text(before, "a name")) == name_key(name):
            return GalleryError(
                f"{name!r} is no longer a subject: see {kind} to {other!r} in "
                "`facecli gallery undo --list`; purge that subject, or undo the change first"
            )
    return GalleryError(
        f"nobody called {name!r} is enrolled or removed: see `facecli gallery list` and "
        "`facecli gallery undo --list`"
    )


def _contents(db: sqlite3.Connection, doomed: _Doomed) -> Deleted:
    faces = sum(1 for _ in _faces(db, doomed))
    every = max(1, faces // MOST_SOUGHT)
    vectors, texts, people = set[bytes](), set[str](), set[str]()
    for vector, path in islice(_faces(db, doomed), None, None, every):
        vectors.add(values.data(vector, "a template"))
        texts.add(values.text(path, "a path"))
    for i in doomed.subjects:
        for name, stored_key, template in db.execute(
            "SELECT name, key, template FROM subject WHERE id = ?", (i,)
        ):
            people.add(name_key(values.text(name, "a subject's name")))
            texts |= {name, values.text(stored_key, "a subject's name")}
            vectors |= {values.data(template, "a template")} if template else set()
    for i in doomed.changes:
        keys = {values.text(row[0], "a name") for row in db.execute(_REMOVED, (i,))}
        people |= set(map(name_key, keys))
        texts |= keys
        for names in db.execute("SELECT name, other FROM change WHERE id = ?", (i,)):
            known = [values.text(name, "a name") for name in names if name]
            texts |= {text for name in known for text in (name, name_key(name))}
    texts |= people
    # A name that somebody else has, too, is allowed to stand in the file.
    stay = {text for row in db.execute("SELECT id, name, key FROM subject")
            if row[0] not in doomed.subjects for text in row[1:]}  # fmt: skip
    return Deleted(
        frozenset(people), faces, len(doomed.changes),
        frozenset(vectors), frozenset(texts - stay),
    )  # fmt: skip


def _faces(db: sqlite3.Connection, doomed: _Doomed) -> Iterator[tuple[bytes, str]]:
    for i in doomed.subjects:
        yield from db.execute("SELECT vector, path FROM reference WHERE subject_id = ?", (i,))
    for i in doomed.changes:
        yield from db.execute(
            "SELECT vector, path FROM removed_reference WHERE change_id = ?", (i,)
        )


def _ids(db: sqlite3.Connection, query: str) -> frozenset[int]:
    rows: Iterable[tuple[int]] = db.execute(query)
    return frozenset(row[0] for row in rows)
