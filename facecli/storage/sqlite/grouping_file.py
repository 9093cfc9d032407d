"""Faces that nobody named yet, in a file of their own beside the gallery: SQL, and what it keeps.

It holds every face of the photos that were looked at, the groups they are in, and what a person
decided about these, so that more photos can come later and decisions stay. The gallery's secrets
are its own: 0600, encrypted with the gallery's key, and what `gallery purge` erases goes here, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from facecli.common.enums import GroupState, LinkKind
from facecli.common.errors import GalleryError
from facecli.common.timestamp import now
from facecli.storage.keys import Key
from facecli.storage.records import FaceGroup, FaceLink, GroupChange, SeenFace, SeenPhoto
from facecli.storage.sqlite import grouping_life, grouping_rows, values
from facecli.storage.sqlite.connection import connect, explained
from facecli.storage.sqlite.files_beside import grouping_path
from facecli.storage.sqlite.reference_rows import utf8


@dataclass(frozen=True, slots=True)
class Assignment:
    """A group as it is to be. id: None for a new one. faces: ids of all that belong to it."""

    id: int | None
    state: GroupState
    name: str | None
    faces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Undone:
    """A change taken back. name, enrolled: whom it enrolled, and which faces; None and none where
    it enrolled nobody.
    """

    change: GroupChange
    name: str | None
    enrolled: tuple[SeenFace, ...]


class GroupingFile:
    """An open grouping file. Use it from one thread.

    Every method raises GalleryError when SQLite cannot do its part.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db

    @classmethod
    def open(
        cls, gallery: Path, key: Key | None, embedder_id: str, dimension: int, *, create: bool
    ) -> Self:
        """Open the one beside a gallery file. create: make it where there is none.

        Raises GalleryError where there is none, where it is another embedder's, or no such file.
        """
        path = grouping_path(gallery)
        with explained(path):
            if not path.exists():
                if not create:
                    raise GalleryError(
                        f"no photos were grouped for {gallery} yet: `facecli group PHOTOS` does it"
                    )
                grouping_life.make(path, key, embedder_id, dimension)
            db = connect(path, key)
            try:
                grouping_life.recognise(path, db, embedder_id)
                grouping_life.migrate(db)
            except BaseException:
                db.close()
                raise
        return cls(path, db)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    # what there is ---------------------------------------------------------------------------

    def seen(self) -> dict[str, str]:
        """The photos that were looked at: sha256 to path."""
        with self._reading():
            return dict(self._db.execute("SELECT sha256, path FROM photo"))

    def faces(self, group: int | None = None) -> tuple[SeenFace, ...]:
        """Those of a group, the best quality first; by default all, in the order they came."""
        where, order, given = "", "f.id", tuple[int, ...]()
        if group is not None:
            where, order, given = " WHERE f.person_id = ?", "f.quality DESC, f.id", (group,)
        return self._faces(f"{where} ORDER BY {order}", given)

    def face(self, face_id: int) -> SeenFace:
        """One face. Raises GalleryError where there is none of this number."""
        found = self._faces(" WHERE f.id = ?", (face_id,))
        if not found:
            raise GalleryError(f"there is no face {face_id}: see `facecli group show GROUP`")
        return found[0]

    def groups(self) -> tuple[FaceGroup, ...]:
        """All groups that have faces, the largest first."""
        with self._reading():
            # SQLite takes plain columns from the row that has the maximum.
            rows = self._db.execute(
                "SELECT p.id, p.state, p.name, count(*), o.path, t.best, max(f.quality) "
                "FROM person p JOIN face f ON f.person_id = p.id JOIN photo o ON o.id = f.photo_id "
                "LEFT JOIN track t ON t.photo_id = f.photo_id AND t.face = f.face "
                "GROUP BY p.id ORDER BY count(*) DESC, p.id"
            ).fetchall()
            return tuple(
                FaceGroup(number, GroupState(state), name, count, photo, at)
                for number, state, name, count, photo, at, _ in rows
            )

    def group(self, group: int) -> FaceGroup:
        """One of them. Raises GalleryError where there is none of this number."""
        found = next((g for g in self.groups() if g.id == group), None)
        if found is None:
            raise GalleryError(f"there is no group {group}: see `facecli group list`")
        return found

    def counts(self) -> tuple[int, int, int]:
        """Photos, faces, and of these how many stand apart."""
        with self._reading():
            (photos,) = self._db.execute("SELECT count(*) FROM photo").fetchone()
            faces, grouped = self._db.execute(
                "SELECT count(*), count(person_id) FROM face"
            ).fetchone()
        return photos, faces, faces - grouped

    def links(self) -> tuple[FaceLink, ...]:
        """Links worth a look that nobody has settled: by merging, splitting, naming or ignoring."""
        with self._reading():
            rows = self._db.execute(
                "SELECT l.kind, l.first, l.second, a.person_id, b.person_id, l.score, l.threshold, "
                "p.state, q.state FROM link l JOIN face a ON a.id = l.first "
                "JOIN face b ON b.id = l.second JOIN person p ON p.id = a.person_id "
                "JOIN person q ON q.id = b.person_id ORDER BY l.rowid"
            ).fetchall()
            return tuple(
                FaceLink(LinkKind(kind), (first, second), (a, b), score, bar)
                for kind, first, second, a, b, score, bar, *states in rows
                if (a == b) == (kind == LinkKind.WEAK)
                and not all(GroupState(state).decided for state in states)
                and GroupState.IGNORED not in states
            )

    def changes(self) -> tuple[GroupChange, ...]:
        """What can be undone, the newest first."""
        with self._reading():
            rows = self._db.execute("SELECT id, text, at FROM change ORDER BY id DESC").fetchall()
        return tuple(GroupChange(*row) for row in rows)

    # what the program finds ------------------------------------------------------------------

    def add(self, photos: Sequence[SeenPhoto]) -> None:
        """Keep photos with their faces, all or none; those that are there stay as they are."""
        with self._transaction() as db:
            for photo in photos:
                grouping_rows.insert(db, photo)

    def moved(self, paths: Mapping[str, str]) -> None:
        """Note where photos lie now, by sha256."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE photo SET path = ? WHERE sha256 = ?",
                ((utf8(path), sha256) for sha256, path in paths.items()),
            )

    def regroup(self, groups: Iterable[Assignment], links: Sequence[FaceLink]) -> None:
        """Put every face into these groups, and those that are in none apart; keep the links."""
        with self._transaction() as db:
            db.execute("UPDATE face SET person_id = NULL")
            for group in groups:
                number = group.id
                if number is None:
                    number = grouping_rows.new_person(db, group.state, group.name)
                else:
                    db.execute(
                        "UPDATE person SET state = ?, name = ? WHERE id = ?",
                        (group.state, group.name, number),
                    )
                grouping_rows.move(db, group.faces, number)
            db.execute(
                "DELETE FROM person WHERE id NOT IN "
                "(SELECT person_id FROM face WHERE person_id IS NOT NULL)"
            )
            db.execute("DELETE FROM link")
            db.executemany(
                "INSERT INTO link (kind, first, second, score, threshold) VALUES (?, ?, ?, ?, ?)",
                ((link.kind, *link.faces, link.score, link.threshold) for link in links),
            )

    # what a person decides -------------------------------------------------------------------

    def merge(self, group: int, into: int) -> int:
        """Make two groups one; returns how many faces it has."""
        first, second = self.group(group), self.group(into)
        if first.id == second.id:
            raise GalleryError(f"{group} and {into} are the same group")
        for one, other in ((first, second), (second, first)):
            if one.state in (GroupState.NAMED, GroupState.OFFERED):
                raise GalleryError(
                    f"group {one.id} is {one.name}'s: give the other that name, with "
                    f"`facecli group name {other.id} '{one.name}'`"
                )
        moved = [face.id for face in self.faces(group)]
        with self._changing(f"merge {group} into {into}", (group, into), moved) as (db, _):
            grouping_rows.move(db, moved, into)
            db.execute("DELETE FROM person WHERE id = ?", (group,))
            db.execute("UPDATE person SET state = ? WHERE id = ?", (GroupState.KEPT, into))
        return first.faces + second.faces

    def split(self, group: int, faces: Sequence[int]) -> int:
        """Move some faces of a group to a new one; returns its number."""
        found = self.group(group)
        if found.state is GroupState.NAMED:
            raise GalleryError(
                f"group {group} is enrolled as {found.name}: take its naming back with "
                "`facecli group undo`, or single faces with `facecli gallery remove --reference`"
            )
        there = {face.id for face in self.faces(group)}
        if strange := sorted(set(faces) - there):
            raise GalleryError(
                f"face {strange[0]} is not in group {group}: see `facecli group show {group}`"
            )
        if set(faces) == there:
            raise GalleryError(f"these are all faces of group {group}: leave one there")
        text = f"split {len(set(faces))} of {found.faces} faces off {group}"
        with self._changing(text, (group,), faces) as (db, change):
            new = grouping_rows.new_person(db, GroupState.KEPT, None)
            db.execute("INSERT INTO changed_person VALUES (?, ?, NULL, NULL)", (change, new))
            grouping_rows.move(db, faces, new)
            if found.state is GroupState.FOUND:
                db.execute("UPDATE person SET state = ? WHERE id = ?", (GroupState.KEPT, group))
        return new

    def ignore(self, group: int) -> FaceGroup:
        """Set a group aside; returns it as it was."""
        found = self.group(group)
        if found.state is GroupState.NAMED:
            raise GalleryError(
                f"group {group} is enrolled as {found.name}: `facecli group undo` takes that "
                "back, or `facecli gallery remove`"
            )
        with self._changing(f"ignore {group}", (group,), ()) as (db, _):
            db.execute(
                "UPDATE person SET state = ?, name = NULL WHERE id = ?", (GroupState.IGNORED, group)
            )
        return found

    def name(self, group: int, name: str, enrolled: Sequence[int]) -> None:
        """Note that a group was enrolled. enrolled: ids of the faces that were added for it."""
        with self._changing(f"name {group} {name}", (group,), ()) as (db, change):
            db.execute(
                "UPDATE person SET state = ?, name = ? WHERE id = ?",
                (GroupState.NAMED, name, group),
            )
            db.executemany(
                "INSERT INTO enrolled_face VALUES (?, ?)", ((change, face) for face in enrolled)
            )

    def newest(self) -> Undone:
        """The change that `undo` would take back. Raises GalleryError where there is none."""
        changes = self.changes()
        if not changes:
            raise GalleryError("nothing was changed that could be undone")
        change = changes[0]
        with explained(self.path):
            row = self._db.execute(
                "SELECT p.name FROM changed_person c JOIN person p ON p.id = c.person_id "
                "WHERE c.change_id = ? AND p.state = ?",
                (change.id, GroupState.NAMED),
            ).fetchone()
        faces = self._faces(
            " JOIN enrolled_face e ON e.face_id = f.id WHERE e.change_id = ?", (change.id,)
        )
        return Undone(change, row[0] if row else None, faces)

    def undo(self) -> None:
        """Take the newest change back."""
        change = self.newest().change.id
        with self._transaction() as db:
            persons = db.execute(
                "SELECT person_id, state, name FROM changed_person WHERE change_id = ?", (change,)
            ).fetchall()
            for person, state, name in persons:
                if state is not None:
                    db.execute(
                        "INSERT INTO person (id, state, name) VALUES (?1, ?2, ?3) "
                        "ON CONFLICT (id) DO UPDATE SET state = ?2, name = ?3",
                        (person, state, name),
                    )
            moved = db.execute(
                "SELECT person_id, face_id FROM changed_face WHERE change_id = ?", (change,)
            ).fetchall()
            db.executemany("UPDATE face SET person_id = ? WHERE id = ?", moved)
            # What came to a group that was new since then stands apart until the next grouping.
            made = [(person,) for person, state, _ in persons if state is None]
            db.executemany("DELETE FROM person WHERE id = ?", made)
            db.execute("DELETE FROM change WHERE id = ?", (change,))

    # within ----------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What SQLite says, and values that facecli did not write, as one clear line."""
        with explained(self.path):
            try:
                yield
            except (TypeError, ValueError, OverflowError) as error:
                raise values.Unsound(f"a value is not of its kind ({error})") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _changing(
        self, text: str, groups: Iterable[int], faces: Iterable[int]
    ) -> Iterator[tuple[sqlite3.Connection, int]]:
        """A transaction that first notes how groups and faces are, for `undo`; and its number."""
        with self._transaction() as db:
            (change,) = db.execute(
                "INSERT INTO change (text, at) VALUES (?, ?) RETURNING id", (text, now())
            ).fetchone()
            for group in groups:
                db.execute(
                    "INSERT INTO changed_person SELECT ?, id, state, name FROM person WHERE id = ?",
                    (change, group),
                )
            db.executemany(
                "INSERT INTO changed_face SELECT ?, id, person_id FROM face WHERE id = ?",
                ((change, face) for face in faces),
            )
            yield db, change

    def _faces(self, rest: str, given: tuple[int, ...]) -> tuple[SeenFace, ...]:
        with self._reading():
            made = self._db.execute("SELECT embedder_id, dimension FROM grouping").fetchone()
            return tuple(
                grouping_rows.read(row, *made)
                for row in self._db.execute(grouping_rows.FACES + rest, given)
            )


def faults(gallery: Path, key: Key | None) -> list[str]:
    """What is wrong with the grouping beside a gallery, a line each; none where there is none."""
    path = grouping_path(gallery)
    if not path.exists():
        return []
    try:
        with explained(path), closing(connect(path, key)) as db:
            grouping_life.recognise(path, db)
            found = list(grouping_life.faults(db))
            if not found:
                grouping_life.migrate(db)
                file = GroupingFile(path, db)
                (
                    file.faces(),
                    file.groups(),
                    file.links(),
                    file.changes(),
                )  # each looks at its values
    except GalleryError as error:
        found = [str(error.__cause__ or error)]
    return [
        f"{path.name}, groups of unnamed faces: {fault}; move it away and group the photos again, "
        "or put a backup's in its place"
        for fault in found
    ]
