"""Photos with face tags into the gallery: whose face is whose, and what is left out and told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from support import tags
from support.galleries import collins, hopper, two_faces, variant

from facecli.common.enums import Reason
from facecli.datasets.labels import LabelledPhotos
from facecli.gallery.enroll import EnrollReport, EnrollStatus
from facecli.gallery.enroll_tagged import enroll_tagged
from facecli.gallery.gallery import Gallery
from facecli.gallery.known_photos import PhotoChange
from facecli.recognition.pipeline import Extractor
from facecli.report.enrollment import enroll_row, enroll_text


@pytest.fixture
def gallery(tmp_path: Path, extractor: Extractor) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "g.facecli", create=True) as opened:
        opened.models.__dict__["extractor"] = extractor  # loaded once for all tests
        yield opened


@pytest.fixture(scope="module")
def boxes(
    extractor: Extractor, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Image.Image, dict[str, tags.Box]]:
    """A photo of both, and where each face is, in shares."""
    path = two_faces(tmp_path_factory.mktemp("both") / "both.png")
    photo = extractor.photo(path)
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    width, height = picture.size
    found = sorted((one.face.box for one in photo.faces), key=lambda box: box[0])  # type: ignore[union-attr]
    shares = [(x1 / width, y1 / height, x2 / width, y2 / height) for x1, y1, x2, y2 in found]
    return picture, dict(zip(("Grace", "Eileen"), shares, strict=True))


def outcome(report: EnrollReport) -> list[tuple[str, str]]:
    return [(item.subject, str(item.status)) for item in report.items]


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_both_people_of_a_photo_are_enrolled_by_their_tags(
    gallery: Gallery,
    boxes: tuple[Image.Image, dict[str, tags.Box]],
    tmp_path: Path,
    orientation: int,
) -> None:
    picture, places = boxes
    regions = [(name, tags.stored(box, orientation)) for name, box in places.items()]
    path = tmp_path / "both.jpg"
    path.write_bytes(tags.jpeg(picture, orientation, tags.xmp("lightroom", regions)))
    plain = tmp_path / "plain.jpg"
    plain.write_bytes(variant(hopper(), 1))
    report = enroll_tagged(gallery, [path, plain])
    assert sorted(outcome(report)) == [("Eileen", "enrolled"), ("Grace", "enrolled")]
    (left,) = gallery.identify([hopper()])
    (right,) = gallery.identify([collins()])
    assert (left.subject, right.subject) == ("Grace", "Eileen")
    again = enroll_tagged(gallery, [path, plain])
    assert again.count(EnrollStatus.ALREADY) == 2 and gallery.storage.reader.counts() == (2, 2)


def test_what_is_not_used_is_said(
    gallery: Gallery, boxes: tuple[Image.Image, dict[str, tags.Box]], tmp_path: Path
) -> None:
    picture, places = boxes
    path = tmp_path / "both.jpg"
    path.write_bytes(tags.jpeg(picture))
    sidecar = tmp_path / "both.xmp"
    sidecar.write_bytes(
        tags.xmp("digikam", [("Grace", places["Grace"]), ("Unknown", places["Eileen"]),
                             ("Cem", (0.4, 0.8, 0.5, 0.95))])
    )  # fmt: skip
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo" + tags.xmp("digikam", [("Ada", (0.1, 0.1, 0.2, 0.2))]))
    dry = enroll_tagged(gallery, [path, broken], dry_run=True)
    assert gallery.storage.reader.counts() == (0, 0)
    report = enroll_tagged(gallery, [path, broken])
    assert outcome(report) == outcome(dry)
    assert outcome(report) == [
        ("Grace", "enrolled"), ("Cem", "skipped"), ("", "skipped"), ("", "skipped")
    ]  # fmt: skip
    reasons = [item.failure.reason for item in report.items if item.failure]
    assert reasons == [Reason.TAG, Reason.TAG, Reason.NOT_AN_IMAGE]
    poor = enroll_tagged(gallery, [path], min_quality=1)
    assert poor.items[0].status is EnrollStatus.SKIPPED
    assert gallery.storage.reader.counts() == (1, 1)


def test_two_files_of_one_photo_count_once(gallery: Gallery, tmp_path: Path) -> None:
    packet = tags.xmp("lightroom", [("Grace", (0.0, 0.0, 1.0, 0.9))])
    data = variant(hopper(), 1)
    for name in ("a", "b"):
        (tmp_path / f"{name}.jpg").write_bytes(data)
        (tmp_path / f"{name}.xmp").write_bytes(packet)
    report = enroll_tagged(gallery, sorted(tmp_path.glob("*.jpg")))
    assert outcome(report) == [("Grace", "enrolled"), ("Grace", "already there")]


def test_a_tagged_photo_that_moves_or_is_edited_or_replaced_is_known(
    gallery: Gallery, boxes: tuple[Image.Image, dict[str, tags.Box]], tmp_path: Path
) -> None:
    """To tag one more face is to edit the photo: who was tagged before is not enrolled again."""
    picture, places = boxes
    (name, box), (other, second) = places.items()
    path = tmp_path / "both.jpg"
    path.write_bytes(tags.jpeg(picture, 1, tags.xmp("digikam", [(name, box)])))
    assert outcome(enroll_tagged(gallery, [path])) == [(name, "enrolled")]
    path.write_bytes(tags.jpeg(picture, 1, tags.xmp("digikam", [(name, box), (other, second)])))
    report = enroll_tagged(gallery, [path])
    assert sorted(outcome(report)) == sorted([(name, "already there"), (other, "enrolled")])
    assert {i.subject: i.change for i in report.items} == {name: PhotoChange.EDITED, other: None}
    assert gallery.storage.reader.counts() == (2, 2)
    moved = path.rename(tmp_path / "moved.jpg")
    report = enroll_tagged(gallery, [moved])
    assert {item.change for item in report.items} == {PhotoChange.MOVED}
    text = enroll_text(enroll_row(report, LabelledPhotos((), (), ())), None)
    assert "noted where they are: 1 photo: " in text
    assert {row.path for row in gallery.storage.reader.references()} == {str(moved)}
    turned = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    x1, y1, x2, y2 = second
    regions = [(name, (1 - x2, y1, 1 - x1, y2))]  # the other one, under the first one's name
    moved.write_bytes(tags.jpeg(turned, 1, tags.xmp("digikam", regions)))
    report = enroll_tagged(gallery, [moved], replace_them=True)
    assert [(i.subject, i.change) for i in report.items] == [(name, PhotoChange.REPLACED)]
    assert report.taken_out == 1 and gallery.storage.reader.counts() == (2, 2)


def test_tags_of_several_people_under_one_name_are_told(
    gallery: Gallery, boxes: tuple[Image.Image, dict[str, tags.Box]], tmp_path: Path
) -> None:
    picture, places = boxes
    for number, box in enumerate(places.values()):
        photo = tags.jpeg(picture, 1, tags.xmp("digikam", [("Crew", box)]))
        (tmp_path / f"{number}.jpg").write_bytes(photo)
    photos = sorted(tmp_path.glob("*.jpg"))
    for dry_run in (True, False):
        report = enroll_tagged(gallery, photos, dry_run=dry_run)
        assert [(m.subject, m.people) for m in report.mixed] == [("Crew", 2)]
