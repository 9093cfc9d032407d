"""Real photos without names: grouped, named into the gallery, offered when more of them come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import clips
from support.galleries import blank, collins, hopper, two_faces, variant

from facecli.common.enums import GroupState, LinkKind, Reason
from facecli.common.errors import GalleryError, UsageError
from facecli.gallery.enroll import EnrollStatus
from facecli.gallery.gallery import Gallery
from facecli.gallery.group import group, grouping_of, name, undo
from facecli.recognition.pipeline import Extractor
from facecli.storage.sqlite.grouping_file import GroupingFile
from facecli.storage.sqlite.store import GalleryFile


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Grace in 1, 2 and 3, Eileen in 4 and 5, both in 6, nobody in 7, and what is no photo."""
    folder = tmp_path / "box"
    folder.mkdir()
    for number in range(1, 6):
        portrait = hopper() if number < 4 else collins()
        (folder / f"{number}.jpg").write_bytes(variant(portrait, number))
    two_faces(folder / "6.png")
    blank(folder / "7.png")
    (folder / "8.jpg").write_bytes(b"no photo")
    return sorted(folder.iterdir())


@pytest.fixture
def gallery(tmp_path: Path, extractor: Extractor) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "g.facecli", create=True) as opened:
        opened.models.__dict__["extractor"] = extractor  # loaded once for all tests
        yield opened


@pytest.fixture
def grouping(gallery: Gallery) -> Iterator[GroupingFile]:
    with grouping_of(file_of(gallery), create=True) as opened:
        yield opened


def file_of(gallery: Gallery) -> GalleryFile:
    assert isinstance(gallery.storage, GalleryFile)
    return gallery.storage


def members(grouping: GroupingFile) -> dict[int, list[str]]:
    return {
        g.id: sorted(Path(face.path).stem for face in grouping.faces(g.id))
        for g in grouping.groups()
    }


def test_a_box_of_photos_becomes_named_people(
    gallery: Gallery, grouping: GroupingFile, photos: list[Path], tmp_path: Path
) -> None:
    report = group(gallery, photos)
    assert (report.looked_at, report.already) == (7, 0)
    assert [f.reason for f in report.failures] == [Reason.NOT_AN_IMAGE]
    assert report.threshold == pytest.approx(
        gallery.models.measured.table.threshold(0.01, 7)  # type: ignore[union-attr]
    )
    assert members(grouping) == {1: ["1", "2", "3", "6"], 2: ["4", "5", "6"]}

    again = group(gallery, photos)
    assert (again.looked_at, again.already) == (0, 7)
    assert members(grouping) == {1: ["1", "2", "3", "6"], 2: ["4", "5", "6"]}

    file_of(gallery).audit_log.turn(True)
    done = name(gallery, grouping, 1, "Grace Hopper")
    assert done.count(EnrollStatus.ENROLLED) == 4
    rows = list(gallery.storage.reader.references())
    kept = {(f.photo_sha256, f.face_index): f for f in grouping.faces(1)}
    assert {(row.photo_sha256, row.face_index) for row in rows} == set(kept)
    for row in rows:
        found = kept[row.photo_sha256, row.face_index].found
        assert np.array_equal(row.template.vector, found.template.vector)
        assert row.subject == "Grace Hopper" and row.face.box == found.face.box
    assert len(file_of(gallery).audit_log.entries()) == 5
    assert [d.subject for d in gallery.identify([photos[2], photos[3]])] == ["Grace Hopper", None]

    newer = tmp_path / "box" / "9.jpg"
    newer.write_bytes(variant(hopper(), 9))
    group(gallery, [*photos, newer])
    assert members(grouping) == {1: ["1", "2", "3", "6"], 2: ["4", "5", "6"], 3: ["9"]}
    offered = grouping.group(3)
    assert (offered.state, offered.name) == (GroupState.OFFERED, "Grace Hopper")
    name(gallery, grouping, 3)
    assert gallery.storage.reader.find("Grace Hopper").references == 5

    undo(file_of(gallery), grouping)
    assert gallery.storage.reader.find("Grace Hopper").references == 4
    undo(file_of(gallery), grouping)
    assert gallery.storage.reader.subject_count() == 0
    assert {g.state for g in grouping.groups()} == {GroupState.FOUND, GroupState.OFFERED}
    assert file_of(gallery).journal.changes(), "the gallery's own journal has the removals"


def test_one_of_two_who_are_too_close_is_offered_as_neither(
    gallery: Gallery, grouping: GroupingFile, photos: list[Path]
) -> None:
    gallery.enroll(photos[0], "Grace")
    gallery.enroll(photos[1], "Her twin")
    gallery.storage.distinct("Grace", "Her twin")
    group(gallery, photos[2:5])
    assert {g.state for g in grouping.groups()} == {GroupState.FOUND}
    gallery.storage.distinct("Her twin", "Grace", forget=True)
    group(gallery, photos[2:5])
    assert [g.state for g in grouping.groups()].count(GroupState.OFFERED) == 1


def test_people_enrolled_from_the_same_photos_are_known_not_offered(
    gallery: Gallery, grouping: GroupingFile, photos: list[Path]
) -> None:
    from facecli.datasets.labels import LabelledPhoto

    gallery.enroll([LabelledPhoto(photos[0], "Grace")])
    group(gallery, photos)
    states = {(g.state, g.name, tuple(members(grouping)[g.id])) for g in grouping.groups()}
    assert states == {
        (GroupState.NAMED, "Grace", ("1",)),
        (GroupState.OFFERED, "Grace", ("2", "3", "6")),
        (GroupState.FOUND, None, ("4", "5", "6")),
    }


def test_faces_below_the_bar_stand_apart_and_are_not_enrolled(
    gallery: Gallery, grouping: GroupingFile, photos: list[Path]
) -> None:
    group(gallery, photos[:3], min_quality=1)
    assert grouping.groups() == () and grouping.counts() == (3, 3, 3)
    group(gallery, photos[:3])
    with pytest.raises(GalleryError, match="no face of group 1 is good enough"):
        name(gallery, grouping, 1, "Grace", min_quality=1)
    assert gallery.storage.reader.counts() == (0, 0) and grouping.changes() == ()


def test_what_cannot_be_named(gallery: Gallery, grouping: GroupingFile, photos: list[Path]) -> None:
    group(gallery, photos)
    with pytest.raises(GalleryError, match="has no name yet"):
        name(gallery, grouping, 1)
    with pytest.raises(UsageError, match="unknown"):
        name(gallery, grouping, 1, "unknown")
    name(gallery, grouping, 1, "Grace")
    again = name(gallery, grouping, 1, "Grace")
    assert again.count(EnrollStatus.ALREADY) == 4
    with pytest.raises(GalleryError, match="gallery rename"):
        name(gallery, grouping, 1, "Eileen")
    gallery.storage.remove("Grace")
    undo(file_of(gallery), grouping)
    undo(file_of(gallery), grouping)
    assert grouping.group(1).state is GroupState.FOUND


def test_two_of_one_photo_stay_apart_and_it_is_said(
    gallery: Gallery, grouping: GroupingFile, tmp_path: Path
) -> None:
    """One face twice in a picture: as a mirror shows it, or twins."""
    from PIL import Image

    with Image.open(hopper()) as one:
        face = one.convert("RGB").resize((400, 480))
    sheet = Image.new("RGB", (800, 480))
    sheet.paste(face, (0, 0))
    sheet.paste(face, (400, 0))
    sheet.save(tmp_path / "twins.png")
    group(gallery, [tmp_path / "twins.png"])
    assert [g.faces for g in grouping.groups()] == [1, 1]
    (link,) = grouping.links()
    assert link.kind is LinkKind.REFUSED and link.score > 0.9


def test_a_photo_that_was_moved_is_followed(
    gallery: Gallery, grouping: GroupingFile, photos: list[Path], tmp_path: Path
) -> None:
    group(gallery, photos[:1])
    moved = photos[0].rename(tmp_path / "moved.jpg")
    group(gallery, [moved])
    assert [face.path for face in grouping.faces()] == [str(moved)]


# clips -----------------------------------------------------------------------------------------


def test_of_a_clip_every_appearance_is_a_face(
    gallery: Gallery, grouping: GroupingFile, tmp_path: Path
) -> None:
    """Grace, then Eileen, who stays when Grace comes again; and a photo of Grace."""
    grace, eileen = clips.grace(), clips.eileen()
    both = clips.frame(clips.Actor(grace, 0.3), clips.Actor(eileen, 0.75), scenery=3)
    scenes = [
        *clips.walk(grace, 10, 0.3, 0.4, scenery=1),
        *clips.walk(eileen, 10, 0.6, 0.7, scenery=2),
        *[both] * 10,
    ]
    clip = clips.write(tmp_path / "clip.mp4", scenes)
    (tmp_path / "photo.jpg").write_bytes(hopper().read_bytes())
    (tmp_path / "torn.mp4").write_bytes(clip.read_bytes()[:200])
    paths = [clip, tmp_path / "photo.jpg", tmp_path / "torn.mp4"]
    report = group(gallery, paths)
    assert (report.looked_at, report.already, len(report.failures)) == (2, 0, 1)
    assert members(grouping) == {1: ["clip", "clip", "photo"], 2: ["clip"]}
    times = {g.id: sorted(f.seen.start for f in grouping.faces(g.id) if f.seen)
             for g in grouping.groups()}  # fmt: skip
    assert times == {
        1: [pytest.approx(0, abs=0.3), pytest.approx(4, abs=0.3)],
        2: [pytest.approx(2, abs=0.3)],
    }
    assert group(gallery, paths).already == 2, "a clip that was seen costs a hash"
    assert name(gallery, grouping, 1, "Grace").count(EnrollStatus.ENROLLED) == 3
    assert [d.subject for d in gallery.identify([clip])].count("Grace") == 2
    undo(file_of(gallery), grouping)
    assert gallery.storage.reader.counts() == (0, 0)
