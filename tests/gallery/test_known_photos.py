"""Photos that moved, were edited, or were replaced by others since they were enrolled."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image as Pillow
from support import clips
from support.galleries import blank, collins, hopper, variant

from facecli.common.enums import FacesRule
from facecli.common.names import name_key
from facecli.datasets.labels import LabelledPhoto, NamedBy, labelled
from facecli.gallery.enroll import EnrollReport, EnrollStatus, enroll
from facecli.gallery.known_photos import PhotoChange
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.report.enrollment import enroll_row, enroll_text
from facecli.storage.records import ReferenceRow
from facecli.storage.sqlite.store import GalleryFile
from facecli.threshold.operating_point import built_in_table


@pytest.fixture
def store(tmp_path: Path):
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    opened = GalleryFile.create(tmp_path / "g.facecli", spec.embedder_id, spec.dimension)
    yield opened
    opened.close()


def put(path: Path, portrait: Path, number: int, width: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(variant(portrait, number, width))
    return path


def rated(path: Path, stars: int) -> None:
    """What a photo manager does: the same pixels with another comment."""
    data = path.read_bytes()
    comment = f"rating {stars}".encode()
    path.write_bytes(
        data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]
    )


def run(store: GalleryFile, extractor: Extractor, folder: Path, **options) -> EnrollReport:
    photos = labelled([folder]).photos
    return enroll(store, extractor.on_threads(1), photos, FacesRule.LARGEST, None, **options)


def told(report: EnrollReport) -> dict[str, tuple[EnrollStatus, PhotoChange | None]]:
    return {Path(item.path).name: (item.status, item.change) for item in report.items}


def rows(store: GalleryFile) -> list[ReferenceRow]:
    assert store.reader.check() == []
    return list(store.reader.references())


ALREADY, ENROLLED, SKIPPED = EnrollStatus.ALREADY, EnrollStatus.ENROLLED, EnrollStatus.SKIPPED


def test_moved_photos_are_noted_where_they_are(store, extractor, tmp_path: Path):
    put(tmp_path / "old/Grace/1.jpg", hopper(), 1)
    put(tmp_path / "old/Grace/2.jpg", hopper(), 2)
    run(store, extractor, tmp_path / "old")
    shutil.move(tmp_path / "old", tmp_path / "new")
    dry = run(store, extractor, tmp_path / "new", store_them=False)
    assert told(dry)["1.jpg"] == (ALREADY, PhotoChange.MOVED)
    assert [Path(row.path).parent.parent.name for row in rows(store)] == ["old", "old"]
    report = run(store, extractor, tmp_path / "new")
    assert told(report) == dict.fromkeys(("1.jpg", "2.jpg"), (ALREADY, PhotoChange.MOVED))
    assert [row.path for row in rows(store)] == [item.path for item in report.items]
    assert told(run(store, extractor, tmp_path / "new"))["1.jpg"] == (ALREADY, None)


def test_a_copy_is_no_move(store, extractor, tmp_path: Path):
    first = put(tmp_path / "in/Grace/1.jpg", hopper(), 1)
    run(store, extractor, tmp_path / "in")
    shutil.copytree(tmp_path / "in", tmp_path / "copy")
    assert told(run(store, extractor, tmp_path / "copy")) == {"1.jpg": (ALREADY, None)}
    assert [row.path for row in rows(store)] == [str(first)]


def test_the_same_place_by_another_path_is_no_move(store, extractor, tmp_path: Path, monkeypatch):
    put(tmp_path / "in/Grace/1.jpg", hopper(), 1)
    monkeypatch.chdir(tmp_path)
    run(store, extractor, Path("in"))
    assert told(run(store, extractor, tmp_path / "in")) == {"1.jpg": (ALREADY, None)}
    assert [row.path for row in rows(store)] == ["in/Grace/1.jpg"]


def test_an_edit_of_metadata_adds_nothing(store, extractor, tmp_path: Path):
    photo = put(tmp_path / "in/Grace/1.jpg", hopper(), 1)
    run(store, extractor, tmp_path / "in")
    (before,) = rows(store)
    for stars in (3, 5):
        rated(photo, stars)
        assert told(run(store, extractor, tmp_path / "in")) == {
            "1.jpg": (ALREADY, PhotoChange.EDITED)
        }
    (after,) = rows(store)
    assert after.photo_sha256 != before.photo_sha256 and after.id == before.id
    assert told(run(store, extractor, tmp_path / "in")) == {"1.jpg": (ALREADY, None)}, "by its hash"


def test_edited_and_moved_at_once(store, extractor, tmp_path: Path):
    photo = put(tmp_path / "in/Grace/1.jpg", hopper(), 1)
    run(store, extractor, tmp_path / "in")
    rated(photo, 4)
    photo.rename(photo.with_name("renamed.jpg"))
    report = run(store, extractor, tmp_path / "in")
    assert told(report) == {"renamed.jpg": (ALREADY, PhotoChange.EDITED)}
    assert [Path(row.path).name for row in rows(store)] == ["renamed.jpg"]


def test_another_picture_in_its_place_is_told_and_replaces_it_on_request(
    store, extractor, tmp_path: Path
):
    put(tmp_path / "in/Crew/a.jpg", hopper(), 1)
    put(tmp_path / "in/Crew/b.jpg", hopper(), 2)
    run(store, extractor, tmp_path / "in")
    put(tmp_path / "in/Crew/a.jpg", collins(), 1)
    report = run(store, extractor, tmp_path / "in")
    assert told(report) == {"a.jpg": (ENROLLED, PhotoChange.REPLACED), "b.jpg": (ALREADY, None)}
    assert len(rows(store)) == 3 and report.taken_out == 0
    dry = run(store, extractor, tmp_path / "in", replace_them=True, store_them=False)
    assert told(dry)["a.jpg"] == (ALREADY, PhotoChange.REPLACED) and len(rows(store)) == 3
    report = run(store, extractor, tmp_path / "in", replace_them=True)
    assert told(report)["a.jpg"] == (ALREADY, PhotoChange.REPLACED) and report.taken_out == 1
    assert [row.id for row in rows(store)] == [2, 3]
    assert told(run(store, extractor, tmp_path / "in"))["a.jpg"] == (ALREADY, None)
    store.journal.undo()
    assert [row.id for row in rows(store)] == [1, 2, 3], "nothing is lost"


def test_the_only_photo_may_be_replaced(store, extractor, tmp_path: Path):
    put(tmp_path / "in/Crew/a.jpg", hopper(), 1)
    run(store, extractor, tmp_path / "in")
    put(tmp_path / "in/Crew/a.jpg", collins(), 1)
    report = run(store, extractor, tmp_path / "in", replace_them=True)
    assert told(report) == {"a.jpg": (ENROLLED, PhotoChange.REPLACED)}
    assert [row.id for row in rows(store)] == [2]


def test_another_picture_without_a_usable_face_is_told_too(store, extractor, tmp_path: Path):
    """Nothing is enrolled from it, and the face of the picture that is gone would stay unsaid."""
    photo = put(tmp_path / "in/Crew/a.jpg", hopper(), 1)
    put(tmp_path / "in/Crew/new.jpg", hopper(), 3)
    run(store, extractor, tmp_path / "in")
    photo.write_bytes(blank(tmp_path / "blank.png").read_bytes())
    report = run(store, extractor, tmp_path / "in")
    assert told(report)["a.jpg"] == (SKIPPED, PhotoChange.REPLACED) and len(rows(store)) == 2
    text = enroll_text(enroll_row(report, labelled([tmp_path / "in"])), None)
    assert "another picture than was enrolled from there: 1 photo:" in text
    assert "what they gave before stays; --replace takes it out" in text
    put(tmp_path / "in/Crew/new.jpg", collins(), 2, 40)  # too small a face
    report = run(store, extractor, tmp_path / "in", replace_them=True)
    assert set(told(report).values()) == {(SKIPPED, PhotoChange.REPLACED)}
    assert report.taken_out == 2 and rows(store) == [], "the subject's last two, in turn"
    store.journal.undo()
    store.journal.undo()
    assert [row.id for row in rows(store)] == [1, 2]
    photo.write_bytes(b"half a download")  # whether that is another picture nobody can say
    assert told(run(store, extractor, tmp_path / "in"))["a.jpg"] == (SKIPPED, None)


def test_photos_that_are_numbered_anew_are_moved_not_replaced(store, extractor, tmp_path: Path):
    for number in (1, 2, 3):
        put(tmp_path / f"in/Grace/{number}.jpg", hopper(), number)
    run(store, extractor, tmp_path / "in")
    folder = tmp_path / "in/Grace"
    for number in (3, 2, 1):
        (folder / f"{number}.jpg").rename(folder / f"{number + 1}.jpg")
    report = run(store, extractor, tmp_path / "in", replace_them=True)
    assert {change for _, change in told(report).values()} == {PhotoChange.MOVED}
    assert report.taken_out == 0
    assert [Path(row.path).name for row in rows(store)] == ["2.jpg", "3.jpg", "4.jpg"]


def test_a_name_that_files_gave_with_underscores_stays_one_person(store, extractor, tmp_path: Path):
    first = put(tmp_path / "in/Grace_Hopper_1.jpg", hopper(), 1)
    old = LabelledPhoto(first, "Grace_Hopper")
    enroll(store, extractor.on_threads(1), [old], FacesRule.LARGEST, None)
    put(tmp_path / "in/Grace_Hopper_2.jpg", hopper(), 2)
    assert {p.named_by for p in labelled([tmp_path / "in"]).photos} == {NamedBy.FILE}
    report = run(store, extractor, tmp_path / "in")
    assert [item.status for item in report.items] == [ALREADY, ENROLLED]
    assert [(name_key(s.name), s.references) for s in store.reader.subjects()] == [
        ("Grace_Hopper", 2)
    ]


def test_a_subject_of_several_people_is_told(store, extractor, tmp_path: Path):
    table = built_in_table(extractor.spec)
    put(tmp_path / "in/Rome/a.jpg", hopper(), 1, 400)
    put(tmp_path / "in/Rome/b.jpg", collins(), 1, 400)
    put(tmp_path / "in/Grace/a.jpg", hopper(), 3, 400)
    put(tmp_path / "in/Grace/b.jpg", hopper(), 5, 400)
    for stored in (False, True):
        report = run(store, extractor, tmp_path / "in", store_them=stored, table=table)
        assert [(m.subject, m.people, m.references) for m in report.mixed] == [("Rome", 2, 2)]
    put(tmp_path / "in/Grace/c.jpg", collins(), 2, 400)
    report = run(store, extractor, tmp_path / "in", table=table)
    assert [(m.subject, m.people, m.references) for m in report.mixed] == [("Grace", 2, 3)]


def test_the_same_pixels_in_another_file_format_count_as_an_edit(store, extractor, tmp_path: Path):
    photo = put(tmp_path / "in/Grace/1.jpg", hopper(), 1)
    run(store, extractor, tmp_path / "in")
    with Pillow.open(io.BytesIO(photo.read_bytes())) as picture:
        picture.save(tmp_path / "in/Grace/1.png")
    photo.unlink()
    assert told(run(store, extractor, tmp_path / "in")) == {"1.png": (ALREADY, PhotoChange.EDITED)}


def test_a_clip_is_known_again_as_photos_are(store, extractor, tmp_path: Path):
    """Moved, then another clip in its place."""
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    clips.write(first, clips.walk(clips.grace(), 5, 0.3, 0.5))

    def once(path: Path, **options) -> tuple[EnrollStatus, PhotoChange | None]:
        wanted = [LabelledPhoto(path, "Crew")]
        report = enroll(store, extractor.on_threads(1), wanted, FacesRule.LARGEST, None, **options)
        return report.items[0].status, report.items[0].change

    assert once(first) == (ENROLLED, None) and once(first) == (ALREADY, None)
    first.rename(second)
    assert once(second) == (ALREADY, PhotoChange.MOVED)
    assert {row.path for row in rows(store)} == {str(second)}
    clips.write(second, clips.walk(clips.eileen(), 5, 0.3, 0.5))
    assert once(second) == (ENROLLED, PhotoChange.REPLACED) and len(rows(store)) == 6
    assert once(second, replace_them=True) == (ALREADY, PhotoChange.REPLACED)
    assert [row.id for row in rows(store)] == [4, 5, 6]
