"""The file of faces nobody named: what it keeps, what can be undone, what a purge leaves of it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support import faces_seen
from support.galleries import DIMENSION, EMBEDDER, new_store, reference

from facecli.common.enums import GroupState, LinkKind
from facecli.common.errors import GalleryError
from facecli.storage.interface import Called, Group
from facecli.storage.records import FaceLink, NewReference, OnScreen, SeenPhoto
from facecli.storage.sqlite.byte_search import Needles, pieces
from facecli.storage.sqlite.files_beside import grouping_path
from facecli.storage.sqlite.grouping_file import Assignment, GroupingFile, faults
from facecli.storage.sqlite.store import GalleryFile

Snapshot = tuple[object, ...]


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    return tmp_path / "new" / "g.facecli"


@pytest.fixture
def store(gallery: Path) -> Iterator[GalleryFile]:
    with closing(new_store(gallery)) as opened:
        yield opened


@pytest.fixture
def grouping(store: GalleryFile) -> Iterator[GroupingFile]:
    """Persons 1, 2 and 3 in 3, 2 and 1 photos, each a group: 1, 2, 3; and a poor face."""
    with closing(opened(store.path, create=True)) as file:
        file.add([faces_seen.photo(n, person) for n, person in enumerate((1, 1, 1, 2, 2, 3, 4))])
        ids = [face.id for face in file.faces()]
        found = GroupState.FOUND
        groups = [
            Assignment(None, found, None, tuple(ids[a:b])) for a, b in ((0, 3), (3, 5), (5, 6))
        ]
        file.regroup(groups, [FaceLink(LinkKind.NEAR, (ids[0], ids[3]), (0, 0), 0.45, 0.5)])
        yield file


def opened(gallery: Path, *, create: bool = False, embedder: str = EMBEDDER) -> GroupingFile:
    return GroupingFile.open(gallery, None, embedder, DIMENSION, create=create)


def state(file: GroupingFile) -> Snapshot:
    """All that a person sees of it."""
    return file.groups(), tuple((face.id, face.group) for face in file.faces()), file.links()


def test_a_face_comes_back_as_it_was(grouping: GroupingFile) -> None:
    first = grouping.faces()[0]
    there = faces_seen.photo(0, 1)
    assert (first.photo_sha256, first.path, first.face_index) == (there.sha256, there.path, 0)
    assert first.found.face.box == there.faces[0].face.box
    assert (first.found.template.vector == there.faces[0].template.vector).all()
    assert grouping.counts() == (7, 7, 1)
    assert [(g.id, g.faces, g.state) for g in grouping.groups()] == [
        (n, faces, GroupState.FOUND) for n, faces in ((1, 3), (2, 2), (3, 1))
    ]
    grouping.add([faces_seen.photo(0, 9)])
    assert grouping.counts() == (7, 7, 1), "a photo that is there stays as it is"


def test_it_is_its_owner_s_and_knows_its_gallery(grouping: GroupingFile, gallery: Path) -> None:
    assert grouping.path == grouping_path(gallery)
    assert grouping.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(GalleryError, match="of the embedder"):
        opened(gallery, embedder="another:1:2")
    with pytest.raises(GalleryError, match="facecli group PHOTOS"):
        opened(gallery.with_name("other"))
    grouping_path(gallery.with_name("text")).write_text("mine")
    with pytest.raises(GalleryError):
        opened(gallery.with_name("text"))


def test_decisions_and_what_is_refused(grouping: GroupingFile) -> None:
    assert grouping.merge(2, 1) == 5
    assert [(g.id, g.state) for g in grouping.groups()] == [
        (1, GroupState.KEPT), (3, GroupState.FOUND)
    ]  # fmt: skip
    faces = [face.id for face in grouping.faces(1)]
    new = grouping.split(1, faces[:2])
    assert {face.id for face in grouping.faces(new)} == set(faces[:2])
    grouping.name(new, "Ada", faces[:1])
    refused = {
        "same group": lambda: grouping.merge(1, 1),
        "no group 77": lambda: grouping.ignore(77),
        "is not in group 1": lambda: grouping.split(1, [faces[0]]),
        "leave one": lambda: grouping.split(1, faces[2:]),
        "is Ada's": lambda: grouping.merge(new, 1),
        "that name": lambda: grouping.merge(1, new),
        "enrolled as Ada": lambda: grouping.ignore(new),
        "taken? back|take its naming back": lambda: grouping.split(new, faces[:1]),
    }
    before = state(grouping), grouping.changes()
    for said, do in refused.items():
        with pytest.raises(GalleryError, match=said):
            do()
    assert (state(grouping), grouping.changes()) == before


def test_a_link_is_told_until_somebody_decided(grouping: GroupingFile) -> None:
    (link,) = grouping.links()
    assert (link.kind, link.groups) == (LinkKind.NEAR, (1, 2))
    grouping.ignore(2)
    assert grouping.links() == ()
    grouping.undo()
    assert grouping.links() == (link,)
    grouping.merge(2, 1)
    assert grouping.links() == ()


@pytest.mark.parametrize("seed", range(8))
def test_undo_takes_back_change_by_change(grouping: GroupingFile, seed: int) -> None:
    draw = random.Random(seed)
    states = [state(grouping)]
    for _ in range(12):
        groups = [g for g in grouping.groups() if g.state is not GroupState.NAMED]
        if not groups:
            break
        one, other = draw.choice(groups), draw.choice(groups)
        faces = [face.id for face in grouping.faces(one.id)]
        verb = draw.choice(["merge", "split", "ignore", "name"])
        if verb == "merge" and one != other:
            grouping.merge(one.id, other.id)
        elif verb == "split" and len(faces) > 1:
            grouping.split(one.id, faces[: draw.randrange(1, len(faces))])
        elif verb == "ignore":
            grouping.ignore(one.id)
        elif verb == "name":
            grouping.name(one.id, f"Person {one.id}", faces)
        else:
            continue
        states.append(state(grouping))
    assert len(states) > 3
    for before in reversed(states[:-1]):
        grouping.undo()
        assert state(grouping) == before
    with pytest.raises(GalleryError, match="nothing"):
        grouping.undo()


@pytest.mark.parametrize(
    "damage",
    ["UPDATE person SET state = 'odd'", "UPDATE face SET landmarks = x'00'",
     "UPDATE face SET vector = 'text'", "UPDATE link SET kind = 3", "DROP TABLE link"],
)  # fmt: skip
def test_a_value_of_a_wrong_kind_is_a_line(grouping: GroupingFile, damage: str) -> None:
    with closing(sqlite3.connect(grouping.path)) as db:
        db.execute(damage)
        db.commit()
    with pytest.raises(GalleryError, match="damaged"):
        assert [grouping.groups(), grouping.faces(), grouping.links()] == []


def test_one_of_the_first_version_is_brought_up_to_date(
    grouping: GroupingFile, gallery: Path
) -> None:
    before = state(grouping)
    with closing(sqlite3.connect(grouping.path)) as db:
        db.execute("DROP TABLE track")
        db.execute("PRAGMA user_version = 1")
    assert faults(gallery, None) == []
    with closing(opened(gallery)) as file:
        assert state(file) == before
        clip = SeenPhoto("c" * 64, "clip.mp4", (faces_seen.track(1, 50, 2.0, 4.0),))
        file.add([clip])
        assert file.faces()[-1].seen == OnScreen(2.0, 4.0, 3.0)
    with closing(sqlite3.connect(grouping.path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(GalleryError, match="newer"):
        opened(gallery)


# with the gallery ----------------------------------------------------------------------------


def holds(path: Path, person: int, photo: int) -> bool:
    vector = faces_seen.face(person, photo).template.vector.tobytes()
    return bool(Needles(pieces(vector)).found(path))


def test_a_purge_erases_somebody_s_photos_from_it(
    store: GalleryFile, grouping: GroupingFile
) -> None:
    seen = faces_seen.photo(0, 1)
    store.add([NewReference("Ada", seen.faces[0], seen.sha256, 0, seen.path), reference("Bob", 77)])
    grouping.name(1, "Ada", [face.id for face in grouping.faces(1)])
    grouping.add([faces_seen.photo(20, 5)])
    assert holds(grouping.path, 1, 2) and holds(grouping.path, 2, 3)
    result = store.erase(Called("Ada"))
    assert not result.failed and grouping.path in [
        path for path in store.path.parent.iterdir() if path == grouping.path
    ]
    assert [(g.id, g.name) for g in grouping.groups()] == [(2, None), (3, None)]
    assert grouping.changes() == ()
    for photo in (0, 1, 2):
        assert not holds(grouping.path, 1, photo)
    assert holds(grouping.path, 2, 3) and holds(grouping.path, 5, 20), "of others nothing goes"
    assert b"Ada" not in grouping.path.read_bytes()
    assert b"photos/0.jpg" not in grouping.path.read_bytes()


def test_a_short_name_takes_no_photo_along_whose_path_it_stands_in(
    store: GalleryFile, grouping: GroupingFile
) -> None:
    store.add([reference("ho", 77), reference("Photo", 78)])
    assert not store.erase(Called("ho")).failed
    assert grouping.counts() == (7, 7, 1), "every path begins with photos/"


def test_a_purge_of_everybody_leaves_no_face(store: GalleryFile, grouping: GroupingFile) -> None:
    store.add([reference("Bob", 77)])
    assert not store.erase(Group.EVERYBODY).failed
    assert grouping.counts() == (0, 0, 0)
    assert not any(holds(grouping.path, person, n) for n, person in enumerate((1, 1, 1, 2, 2, 3)))


def test_what_erasure_missed_would_be_seen(
    store: GalleryFile, grouping: GroupingFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = faces_seen.photo(0, 1)
    store.add([NewReference("Ada", seen.faces[0], seen.sha256, 0, seen.path)])
    monkeypatch.setattr("facecli.storage.sqlite.grouping_life.erase", lambda *_: None)
    assert store.erase(Called("Ada")).verified.remains == (grouping.path,)


def test_it_is_encrypted_with_the_gallery_and_decrypted(gallery: Path) -> None:
    pytest.importorskip("sqlcipher3", reason="NOT CHECKED: encrypted galleries")
    from facecli.storage import keys
    from facecli.storage.maintenance.encryption import convert

    key = keys.Key("5" * 64)
    new_store(gallery).close()
    with closing(opened(gallery, create=True)) as file:
        file.add([faces_seen.photo(0, 1)])
        before = state(file)
    convert(gallery, None, key)
    assert not holds(grouping_path(gallery), 1, 0)
    with closing(GroupingFile.open(gallery, key, EMBEDDER, DIMENSION, create=False)) as file:
        assert state(file) == before
        file.add([faces_seen.photo(1, 2)])
    assert grouping_path(gallery).stat().st_mode & 0o777 == 0o600
    with pytest.raises(GalleryError):
        opened(gallery)
    convert(gallery, key, None)
    assert holds(grouping_path(gallery), 1, 0) and holds(grouping_path(gallery), 2, 1)
    new = gallery.with_name("new")
    GalleryFile.create(new, EMBEDDER, DIMENSION, key).close()
    with closing(GroupingFile.open(new, key, EMBEDDER, DIMENSION, create=True)) as file:
        file.add([faces_seen.photo(0, 1)])
    assert not holds(grouping_path(new), 1, 0), "encrypted from the start"
