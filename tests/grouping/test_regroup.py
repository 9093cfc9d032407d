"""Grouped again with more photos: what a person decided stays, and groups keep their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.faces_seen import photo, threshold, track
from support.galleries import DIMENSION, EMBEDDER

from facecli.common.enums import GroupState, LinkKind
from facecli.grouping.regroup import Known, free, regroup
from facecli.grouping.review import shown
from facecli.storage.records import SeenPhoto
from facecli.storage.sqlite.grouping_file import GroupingFile


@pytest.fixture
def grouping(tmp_path: Path) -> Iterator[GroupingFile]:
    with closing(GroupingFile.open(tmp_path / "g", None, EMBEDDER, DIMENSION, create=True)) as file:
        yield file


def again(
    grouping: GroupingFile, *photos: SeenPhoto, names: tuple[str, ...] = (), **known: Known
) -> dict[int, set[int]]:
    """Add photos and group; the numbers of the photos (by sha256) in each group."""
    grouping.add(photos)
    by_id = {int(key.removeprefix("face_")): who for key, who in known.items()}
    regroup(grouping, threshold, 0.55, names, by_id)
    return members(grouping)


def members(grouping: GroupingFile) -> dict[int, set[int]]:
    return {
        g.id: {int(face.photo_sha256, 16) for face in grouping.faces(g.id)}
        for g in grouping.groups()
    }


def test_the_largest_group_is_number_one_and_poor_faces_stand_apart(
    grouping: GroupingFile,
) -> None:
    found = again(
        grouping, photo(0, 1), photo(1, 2), photo(2, 2), photo(3, 2, 1), photo(4, 2, quality=0.3)
    )
    assert found == {1: {1, 2, 3}, 2: {0, 3}}
    assert grouping.counts() == (5, 6, 1)
    regroup(grouping, threshold, 0.2, (), {})
    assert members(grouping)[1] == {1, 2, 3, 4}, "with a lower bar it belongs"


def test_groups_keep_their_numbers_as_photos_come(grouping: GroupingFile) -> None:
    again(grouping, photo(0, 1), photo(1, 1), photo(2, 2))
    found = again(grouping, photo(3, 2), photo(4, 2), photo(5, 2), photo(6, 3))
    assert found == {1: {0, 1}, 2: {2, 3, 4, 5}, 3: {6}}


def test_what_was_merged_stays_and_grows(grouping: GroupingFile) -> None:
    again(grouping, photo(0, 1), photo(1, 1), photo(2, 2))
    grouping.merge(2, 1)
    found = again(grouping, photo(3, 2), photo(4, 1), photo(5, 3))
    assert found[1] == {0, 1, 2, 3, 4} and set(found) == {1, 3}
    assert grouping.group(1).state is GroupState.KEPT


def test_what_was_split_stays_apart_however_alike(grouping: GroupingFile) -> None:
    again(grouping, *(photo(n, 1) for n in range(4)))
    faces = [face.id for face in grouping.faces(1)]
    new = grouping.split(1, faces[:2])
    found = again(grouping, photo(9, 1))
    assert set(found) == {1, new} and len(found[1]) + len(found[new]) == 5
    assert LinkKind.REFUSED not in {link.kind for link in grouping.links()}, "a person settled it"


def test_the_ignored_stay_so_and_their_new_faces_join_them(grouping: GroupingFile) -> None:
    again(grouping, photo(0, 1), photo(1, 1), photo(2, 2))
    grouping.ignore(1)
    assert again(grouping, photo(3, 1))[1] == {0, 1, 3}
    assert grouping.group(1).state is GroupState.IGNORED


def test_the_named_stay_until_they_are_enrolled_no_more(grouping: GroupingFile) -> None:
    again(grouping, photo(0, 1), photo(1, 1))
    grouping.name(1, "Ada", [1, 2])
    assert [face.id for face in free(grouping, ["Ada"])] == []
    found = again(grouping, photo(2, 1), names=("Ada",), face_3=Known("Ada", enrolled=False))
    assert found == {1: {0, 1}, 2: {2}}
    assert [(g.state, g.name) for g in grouping.groups()] == [
        (GroupState.NAMED, "Ada"), (GroupState.OFFERED, "Ada")
    ]  # fmt: skip
    assert [face.id for face in free(grouping, ["Ada"])] == [3], "searched for again"
    assert again(grouping)[1] == {0, 1, 2} and grouping.group(1).state is GroupState.FOUND


def test_of_a_photo_that_is_enrolled_the_face_is_named_already(grouping: GroupingFile) -> None:
    again(grouping, photo(0, 1, 2), names=("Ada",), face_1=Known("Ada", enrolled=True))
    again(grouping, photo(1, 1), names=("Ada",), face_3=Known("Ada", enrolled=True))
    named = [g for g in grouping.groups() if g.name == "Ada"]
    assert [(g.state, g.faces) for g in named] == [(GroupState.NAMED, 2)], "one group, not two"


def test_a_face_that_does_not_belong_is_among_those_shown(grouping: GroupingFile) -> None:
    again(grouping, *(photo(n, 1) for n in range(9)), photo(20, 2))
    grouping.merge(2, 1)
    faces = grouping.faces(1)
    seen = shown(faces, 4)
    assert seen[0] == faces[0] and len(seen) == 4
    assert 20 in {int(face.photo_sha256, 16) for face in seen}
    assert shown(faces[:1], 4) == faces[:1]


def test_tracks_that_are_seen_at_once_are_two_people(grouping: GroupingFile) -> None:
    """Each as alike as one person's: 0 to 3 s and 2 to 5 s never, 0 to 3 s and 4 to 5 s may be."""
    for number, spans, groups in (
        (0, ((0, 3), (2, 5)), 2), (10, ((0, 3), (4, 5)), 1), (20, ((0, 9), (2, 3), (5, 6)), 2),
    ):  # fmt: skip
        tracks = tuple(track(number, number + i, *span) for i, span in enumerate(spans))
        again(grouping, SeenPhoto(f"{number:064x}", "clip.mp4", tracks))
        found = [g for g in grouping.groups() if number in members(grouping)[g.id]]
        assert len(found) == groups, spans
    face = grouping.faces(grouping.groups()[0].id)[0]
    assert face.seen is not None and face.seen.start <= face.seen.best <= face.seen.end
