"""What can be undone comes back exactly, or not at all."""

from __future__ import annotations

import sqlite3
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.galleries import Command, new_store, reference

from facecli.common.enums import ChangeKind
from facecli.common.errors import GalleryError
from facecli.common.names import name_key
from facecli.storage.interface import Called, Group
from facecli.storage.records import CalibrationRow, mean_template
from facecli.storage.sqlite import deletion
from facecli.storage.sqlite.store import GalleryFile

NFC, NFD = (unicodedata.normalize(form, "Đức") for form in ("NFC", "NFD"))
Face = tuple[int, str, bytes]


@pytest.fixture
def store(tmp_path: Path):
    opened = new_store(tmp_path / "g.facecli")
    yield opened
    opened.close()


def contents(store: GalleryFile) -> dict[str, list[tuple[int, bytes, str, str]]]:
    """By name: every reference's id, vector, photo and path."""
    found: dict[str, list[tuple[int, bytes, str, str]]] = {
        s.name: [] for s in store.reader.subjects()
    }
    for row in store.reader.references():
        vector = row.template.vector.tobytes()
        found[row.subject].append((row.id, vector, row.photo_sha256, row.path))
    return found


def finish_erasing(store: GalleryFile) -> None:
    """What `erase` does after `purge`, but for searching bytes."""
    assert store.compact()
    with store._transaction() as db:
        deletion.finish(db)


def assert_templates_follow(store: GalleryFile) -> None:
    assert store.reader.check() == []
    subjects = store.reader.templates()
    for i, template in zip(subjects.ids, subjects.templates, strict=True):
        vectors = list(store.reader.vectors(i)[1])
        assert template.tobytes() == mean_template(vectors).tobytes()


def by_hand(threshold: float) -> CalibrationRow:
    return CalibrationRow("set by hand", "none", None, threshold, None, "the user", "now")


def test_thresholds_come_back_the_newest_first(store: GalleryFile):
    store.add([reference("Ada", 1)])
    store.calibrate(by_hand(0.4))
    store.rename("Ada", "Bo")
    store.calibrate(by_hand(0.5))
    newest, rename, first = store.journal.changes()
    assert (newest.kind, newest.name, newest.other) == (ChangeKind.THRESHOLD, "", "set by hand")
    with pytest.raises(GalleryError, match="the threshold was changed again since: undo change 3"):
        store.journal.undo(first.id)
    assert store.reader.calibrations() == (by_hand(0.4), by_hand(0.5))
    store.journal.undo()
    assert store.reader.calibration() == by_hand(0.4)
    store.journal.undo(first.id)  # the rename in between is another matter
    assert store.reader.calibration() is None
    assert store.journal.changes() == (rename,)


def test_who_is_purged_takes_no_threshold_along(store: GalleryFile):
    store.add([reference("Ada", 1), reference("Bo", 2)])
    store.calibrate(by_hand(0.4))
    store.remove("Ada")
    assert store.erase(Group.REMOVED).complete
    assert [c.kind for c in store.journal.changes()] == [ChangeKind.THRESHOLD]
    store.journal.undo()
    assert store.reader.calibration() is None


def test_each_change_comes_back_to_the_bit(store: GalleryFile):
    store.add([reference("Ada", 1), reference("Ada", 2), reference("A. L.", 2), reference("B", 3)])
    states = [contents(store)]
    store.rename("Ada", "Ada Lovelace")
    states.append(contents(store))
    store.merge("A. L.", "Ada Lovelace")  # its photo 2 is a double
    states.append(contents(store))
    store.remove_reference("Ada Lovelace", 1)
    states.append(contents(store))
    store.remove("B")
    assert [change.kind for change in store.journal.changes()] == [
        ChangeKind.REMOVE, ChangeKind.REMOVE_REFERENCE, ChangeKind.MERGE, ChangeKind.RENAME,
    ]  # fmt: skip
    assert [change.references for change in store.journal.changes()] == [1, 1, 0, 0]
    while states:
        assert contents(store) != states[-1]
        store.journal.undo()
        assert contents(store) == states.pop()
        assert_templates_follow(store)
    assert store.journal.changes() == ()
    with pytest.raises(GalleryError, match="nothing to undo"):
        store.journal.undo()


def test_a_subject_comes_back_with_its_last_reference(store: GalleryFile):
    store.add([reference("Ada", 1)])
    before = contents(store)
    assert store.remove_reference("Ada", 1) == 0
    assert store.reader.counts() == (0, 0)
    store.journal.undo()
    assert contents(store) == before


def test_a_removed_photo_can_be_enrolled_again_and_the_old_one_waits(store: GalleryFile):
    store.add([reference("Ada", 1), reference("Ada", 2)])
    store.remove("Ada")
    assert store.reader.enrolled_photos(["Ada"]) == {}, "so that enrolling takes it for new"
    assert store.add([reference("Ada", 1)]) == 1
    state = contents(store)
    with pytest.raises(GalleryError, match="another 'Ada' was enrolled meanwhile"):
        store.journal.undo()
    assert contents(store) == state and len(store.journal.changes()) == 1
    store.rename("Ada", "Ada the second")
    store.journal.undo(1)
    assert {name: len(rows) for name, rows in contents(store).items()} == {
        "Ada": 2, "Ada the second": 1,
    }  # fmt: skip


def test_a_face_enrolled_again_is_not_enrolled_twice(store: GalleryFile):
    store.add([reference("Ada", 1), reference("Ada", 2)])
    store.remove_reference("Ada", 1)
    store.add([reference("Ada", 1)])
    state = contents(store)
    with pytest.raises(GalleryError, match="enrolled again meanwhile, as reference 3"):
        store.journal.undo()
    assert contents(store) == state
    store.add([reference("Bob", 4)])  # no transaction was left open


def test_an_older_change_waits_for_the_newer_of_the_same_subject(store: GalleryFile):
    store.add([reference("Ada", 1), reference("Bob", 2)])
    store.rename("Ada", "Eva")
    store.rename("Bob", "Rob")
    store.remove("Eva")
    with pytest.raises(GalleryError, match="undo change 3 first"):
        store.journal.undo(1)
    assert store.journal.undo(2).other == "Rob"  # another's may go first
    store.journal.undo(3)
    store.journal.undo(1)
    assert sorted(contents(store)) == ["Ada", "Bob"]
    with pytest.raises(GalleryError, match="no change 9"):
        store.journal.undo(9)


def test_renaming_to_the_same_name_is_no_change(store: GalleryFile):
    store.add([reference(NFD, 1)])
    store.rename(NFD, NFD)
    assert store.journal.changes() == ()
    store.rename(NFD, NFC)
    store.journal.undo()
    assert [s.name for s in store.reader.subjects()] == [NFD]


def test_the_journal_keeps_every_column_of_a_reference(store: GalleryFile):
    with sqlite3.connect(store.path) as db:
        columns = {
            table: {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
            for table in ("reference", "removed_reference")
        }
    assert columns["removed_reference"] == columns["reference"] | {"change_id"}


# any sequence, against a model in plain Python ------------------------------------------------


class Refused(Exception):
    """The model says no."""


class Model:
    """people: id -> name; faces: id -> (person, seed); changes: id -> what undoes it.

    pairs: who is or was distinct: the two people, the change that said so, the one that ended it.
    """

    def __init__(self) -> None:
        self.people: dict[int, str] = {}
        self.faces: dict[int, tuple[int, int]] = {}
        self.changes: dict[int, tuple[str, set[int], str, dict[int, tuple[int, int]]]] = {}
        self.merged: list[tuple[int, int, int]] = []
        self.pairs: list[tuple[frozenset[int], int | None, int | None]] = []
        self.used = {"people": 0, "faces": 0, "changes": 0}

    def next(self, what: str) -> int:
        self.used[what] += 1
        return self.used[what]

    def named(self, name: str) -> int | None:
        return next((i for i, n in self.people.items() if name_key(n) == name_key(name)), None)

    def find(self, name: str) -> int:
        if (person := self.named(name)) is None:
            raise Refused
        return person

    def of(self, person: int) -> dict[int, tuple[int, int]]:
        return {f: face for f, face in self.faces.items() if face[0] == person}

    def keep(self, kind: str, people: set[int], name: str, faces: dict) -> None:
        self.changes[self.next("changes")] = (kind, people, name, faces)

    def enroll(self, name: str, seed: int) -> None:
        if (person := self.named(name)) is None:
            person = self.next("people")
            self.people[person] = name
        number = self.next("faces")  # SQLite counts one that is there already, too
        if (person, seed) not in self.faces.values():
            self.faces[number] = (person, seed)

    def rename(self, old: str, new: str) -> None:
        person = self.find(old)
        if self.named(new) not in (None, person):
            raise Refused
        if self.people[person] != new:
            self.keep("rename", {person}, self.people[person], {})
            self.people[person] = new

    def merge(self, source: str, target: str) -> None:
        gone, kept = self.find(source), self.find(target)
        if gone == kept:
            raise Refused
        faces = self.of(gone)
        self.keep("merge", {gone, kept}, self.people[gone], faces)
        self.merged.append((max(self.changes), gone, kept))
        for others in [pair - {gone} for pair in self.apart() if gone in pair]:
            if kept not in others and others | {kept} not in self.apart():
                self.pairs.append((others | {kept}, max(self.changes), None))
        self.end({gone})
        for f, (_, seed) in faces.items():
            if (kept, seed) in self.faces.values():
                del self.faces[f]
            else:
                self.faces[f] = (kept, seed)
        del self.people[gone]

    def remove(self, name: str) -> None:
        person = self.find(name)
        self.take(person, self.of(person))

    def remove_reference(self, name: str, number: int) -> None:
        person = self.find(name)
        if number not in self.of(person):
            raise Refused
        self.take(person, {number: self.faces[number]})

    def take(self, person: int, faces: dict[int, tuple[int, int]]) -> None:
        self.keep("remove", {person}, self.people[person], faces)
        for f in faces:
            del self.faces[f]
        if not self.of(person):
            self.end({person})
            del self.people[person]

    def apart(self) -> set[frozenset[int]]:
        return {two for two, _, ended in self.pairs if not ended and two <= self.people.keys()}

    def end(self, people: set[int]) -> None:
        number = max(self.changes)
        self.pairs = [
            (two, made, number if people <= two and not ended else ended)
            for two, made, ended in self.pairs
        ]

    def distinct(self, one: str, other: str) -> None:
        two = frozenset((self.find(one), self.find(other)))
        if len(two) == 1:
            raise Refused
        if two not in self.apart():
            self.keep("distinct", set(two), "", {})
            self.pairs.append((two, max(self.changes), None))

    def forget(self, one: str, other: str) -> None:
        two = frozenset((self.find(one), self.find(other)))
        if two not in self.apart():
            raise Refused
        self.keep("forget", set(two), "", {})
        self.end(set(two))

    def undo(self, number: int | None) -> None:
        if not self.changes or number not in {None, *self.changes}:
            raise Refused
        number = max(self.changes) if number is None else number
        kind, people, name, faces = self.changes[number]
        if any(n > number and others & people for n, (_, others, _, _) in self.changes.items()):
            raise Refused
        if kind in ("distinct", "forget"):
            self.bring_back_pairs(number)
            del self.changes[number]
            return
        person = next(iter(people - {t for n, _, t in self.merged if n == number}))
        if (kind == "rename" or person not in self.people) and self.named(name) not in (
            None, person,
        ):  # fmt: skip
            raise Refused
        if kind == "remove" and any(face in self.faces.values() for face in faces.values()):
            raise Refused
        if kind == "rename" or person not in self.people:
            self.people[person] = name
        self.faces |= faces
        self.bring_back_pairs(number)
        del self.changes[number]

    def bring_back_pairs(self, number: int) -> None:
        self.pairs = [
            (two, made, None if ended == number else ended)
            for two, made, ended in self.pairs
            if made != number
        ]

    def purge_removed(self) -> None:
        self.changes = {}
        self.pairs = [(two, None, None) for two in self.apart()]

    def purge(self, name: str) -> None:
        gone = {i for i, n in self.people.items() if name_key(n) == name_key(name)}
        gone |= self.removed_as(name)
        if not gone:
            raise Refused
        current = [m for m in self.merged if m[0] in self.changes]
        while more := {s for _, s, t in current if t in gone} - gone:
            gone |= more
        for person in gone:
            for f in self.of(person):
                del self.faces[f]
            self.people.pop(person, None)
        self.changes = {n: c for n, c in self.changes.items() if not c[1] & gone}
        self.pairs = [
            (two, made if made in self.changes else None, ended)
            for two, made, ended in self.pairs
            if not two & gone and (ended is None or ended in self.changes)
        ]

    def removed_as(self, name: str) -> set[int]:
        return {
            person
            for kind, people, called, _ in self.changes.values()
            for person in people
            if kind == "remove" and person not in self.people and name_key(called) == name_key(name)
        }

    def state(self) -> dict[str, list[tuple[int, int]]]:
        return {
            name: sorted((f, seed) for f, (_, seed) in self.of(person).items())
            for person, name in self.people.items()
        }


NAMES = st.sampled_from(["Ada", "Bob", NFC, NFD])
STEPS = st.one_of(
    st.tuples(st.just("enroll"), NAMES, st.integers(1, 4)),
    st.tuples(st.just("enroll"), NAMES, st.integers(1, 4)),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("merge"), NAMES, NAMES),
    st.tuples(st.just("distinct"), NAMES, NAMES),
    st.tuples(st.just("distinct"), NAMES, NAMES),
    st.tuples(st.just("forget"), NAMES, NAMES),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.just("remove_reference"), NAMES, st.integers(1, 8)),
    st.tuples(st.just("undo"), st.none() | st.integers(1, 9)),
    st.tuples(st.just("undo"), st.none()),
    st.tuples(st.just("purge"), NAMES),
    st.tuples(st.just("purge_removed")),
)


def carry_out(store: GalleryFile, step: tuple) -> None:
    match step:
        case ("enroll", name, seed):
            store.add([reference(name, seed)])
        case ("purge", name):
            store.purge(Called(name))
            finish_erasing(store)
        case ("purge_removed",):
            store.purge(Group.REMOVED)
            finish_erasing(store)
        case ("undo", number):
            store.journal.undo(number)
        case ("forget", one, other):
            store.distinct(one, other, forget=True)
        case (verb, *arguments):
            getattr(store, verb)(*arguments)


def refused(call) -> bool:
    try:
        call()
    except (GalleryError, Refused):
        return True
    return False


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "g"
    new_store(path).close()
    return path


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(steps=st.lists(STEPS, min_size=1, max_size=30))
def test_any_sequence_is_what_a_model_in_plain_python_says(steps, empty: Path, tmp_path: Path):
    for old in tmp_path.iterdir():
        old.unlink()
    (tmp_path / "g").write_bytes(empty.read_bytes())
    store, model = GalleryFile.open(tmp_path / "g"), Model()
    try:
        for step in steps:
            verb, *arguments = step
            expected = refused(lambda: getattr(model, verb)(*arguments))  # noqa: B023
            assert refused(lambda: carry_out(store, step)) == expected, step  # noqa: B023
            assert {change.id for change in store.journal.changes()} == set(model.changes), step
            found = contents(store)
            assert found.keys() == model.state().keys(), step
            apart = {frozenset((one.id, other.id)) for one, other in store.reader.distinct()}
            assert apart == model.apart(), step
            for name, rows in found.items():
                numbers = [row[0] for row in sorted(rows)]
                faces = model.state()[name]
                assert numbers == [number for number, _ in faces], step
                vectors = [reference("x", seed).found.template.vector for _, seed in faces]
                assert [row[1] for row in sorted(rows)] == [v.tobytes() for v in vectors]
        assert_templates_follow(store)
    finally:
        store.close()


# the command ---------------------------------------------------------------------------------


def test_undo_from_the_command_line(tmp_path: Path):
    command, path = Command(tmp_path / "home"), tmp_path / "g"
    with_two = new_store(path)
    with_two.add([reference("Ada", 1), reference("Bob", 2)])
    with_two.close()
    assert command("gallery", "undo", "--list", "-g", path).stdout == "nothing can be undone\n"
    command("gallery", "remove", "Bob", "-g", path)
    command("gallery", "rename", "Ada", "Eva", "-g", path)
    listed = command("gallery", "undo", "--list", "-g", path).stdout
    assert listed.index("rename of Ada to Eva") < listed.index("removal of Bob and 1 reference")
    assert command("gallery", "undo", "1", "-g", path).stdout == (
        "undone: removal of Bob and 1 reference\n"
    )
    assert command("gallery", "undo", "-g", path).stdout == "undone: rename of Ada to Eva\n"
    again = command("gallery", "undo", "-g", path)
    assert (again.returncode, again.stdout) == (4, "") and "nothing to undo" in again.stderr
    store = GalleryFile.open(path)
    assert np.array_equal([s.name for s in store.reader.subjects()], ["Ada", "Bob"])
    store.close()
