"""Names in XMP and JSON, in every form that programs write; hostile files are a line each."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import tags as written

from facecli.datasets.regions import LARGEST, Region, Tags, read_tags

ADA, BOB = ("Ada Lovelace", (0.1, 0.2, 0.3, 0.5)), ("Bob & 'Bø'", (0.5, 0.1, 0.75, 0.4))
PHOTO = b"\xff\xd8\xff\xe1 a photo of which only the XMP counts here "


def rounded(tags: Tags) -> list[Region]:
    return [Region(r.name, tuple(round(edge, 9) for edge in r.box)) for r in tags.regions]  # type: ignore[arg-type]


@pytest.mark.parametrize("form", written.FORMS)
def test_every_form_of_rdf_is_read(form: str, tmp_path: Path) -> None:
    packet = written.xmp(form, [ADA, BOB], (640, 480))
    found = read_tags(tmp_path / "a.jpg", PHOTO + packet + b" pixels")
    assert rounded(found) == [Region(*ADA), Region(*BOB)]
    assert (found.faults, found.names, found.source) == ((), (), "a.jpg")
    assert found.size == (None if form.startswith("microsoft") else (640, 480))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_xmp_is_found_in_real_files(kind: str, tmp_path: Path) -> None:
    out = io.BytesIO()
    picture = Image.new("RGB", (64, 48))
    packet = written.xmp("lightroom", [ADA])
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        picture.save(out, kind, pnginfo=info)
    elif kind == "TIFF":
        picture.save(out, kind, tiffinfo={700: packet})
    else:
        picture.save(out, kind, xmp=packet)
    assert rounded(read_tags(tmp_path / "a", out.getvalue())) == [Region(*ADA)]


def test_a_sidecar_counts_before_the_photo_and_both_names_of_it(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    inside = PHOTO + written.xmp("digikam", [ADA])
    assert read_tags(photo, inside).source == "a.jpg"
    (tmp_path / "a.xmp").write_bytes(written.xmp("picasa", [BOB]))
    assert rounded(read_tags(photo, inside)) == [Region(*BOB)]
    (tmp_path / "a.jpg.xmp").write_bytes(written.xmp("elements", [ADA, BOB]))
    assert len(read_tags(photo, inside).regions) == 2
    (tmp_path / "a.jpg.xmp").write_bytes(written.xmp("elements", []))
    assert rounded(read_tags(photo, inside)) == [Region(*BOB)], "that one names nobody"
    assert not read_tags(tmp_path / "b.jpg", PHOTO)


def test_both_kinds_of_regions_for_one_face_are_one(tmp_path: Path) -> None:
    both = written.xmp("digikam", [ADA]).replace(
        b"</rdf:Description></rdf:RDF>",
        written.xmp("microsoft", [ADA]).partition(b'rdf:about="">')[2].partition(b"</rdf:RDF>")[0]
        + b"</rdf:RDF>",
    )
    assert both.count(b"Ada") == 2
    assert rounded(read_tags(tmp_path / "a.jpg", both)) == [Region(*ADA)]


@pytest.mark.parametrize(
    "name", ["", "  ", "Unknown", "unnamed", "a\x07b".replace("\x07", "‮"), "IGNORED"]
)
def test_nobody_s_names_are_told_and_not_used(name: str, tmp_path: Path) -> None:
    packet = written.xmp("digikam", [(name, ADA[1]), BOB])
    found = read_tags(tmp_path / "a.jpg", packet)
    assert rounded(found) == [Region(*BOB)]
    assert len(found.faults) == 1 and "called" in found.faults[0]


@pytest.mark.parametrize(
    "box",
    [(float("nan"), 0.1, 0.3, 0.3), (1.5, 0.1, 1.8, 0.3), (0.3, 0.3, 0.3, 0.3),
     (-9.0, -9.0, 9.0, 9.0), (0.5, 0.5, 0.2, 0.9), (float("inf"), 0.0, 0.1, 0.1)],
)  # fmt: skip
@pytest.mark.parametrize("form", ["lightroom", "microsoft"])
def test_a_region_that_is_nowhere_is_told(
    form: str, box: tuple[float, float, float, float], tmp_path: Path
) -> None:
    found = read_tags(tmp_path / "a.jpg", written.xmp(form, [("Ada", box), BOB]))
    assert rounded(found) == [Region(*BOB)]
    assert found.faults == ("a.jpg: the region of 'Ada' has no place in the picture",)


def test_other_regions_are_no_faces_and_other_units_no_places(tmp_path: Path) -> None:
    packet = written.xmp("lightroom", [ADA, BOB])
    pet = packet.replace(b'mwg-rs:Type="Face"', b'mwg-rs:Type="Pet"', 1)
    assert rounded(read_tags(tmp_path / "a.jpg", pet)) == [Region(*BOB)]
    pixels = packet.replace(b'unit="normalized"', b'unit="pixel"', 1)
    assert len(read_tags(tmp_path / "a.jpg", pixels).faults) == 1
    untyped = packet.replace(b' mwg-rs:Type="Face"', b"")
    assert len(read_tags(tmp_path / "a.jpg", untyped).regions) == 2
    circle = packet.replace(b"stArea:w=", b"stArea:d=").replace(b"stArea:h=", b"stArea:x2=")
    assert read_tags(tmp_path / "a.jpg", circle).regions[0].box == pytest.approx(
        (0.1, 0.25, 0.3, 0.45)
    )


BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>
<x:xmpmeta xmlns:x="adobe:ns:meta/">&c;</x:xmpmeta>"""


@pytest.mark.parametrize(
    ("text", "said"),
    [(BOMB, "no XMP"), (b"<x:xmpmeta", "no XMP"), (b"", "no XMP"), (b"\xff\xfe\x00", "no XMP"),
     (b"<a>" * 100_000, "no XMP"), (b" " * (LARGEST + 1), "limit")],
    ids=["entities", "cut", "empty", "noise", "deep", "large"],
)  # fmt: skip
def test_a_hostile_sidecar_is_one_line_and_the_photo_s_own_names_stand(
    text: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "a.xmp").write_bytes(text)
    found = read_tags(tmp_path / "a.jpg", PHOTO + written.xmp("lightroom", [ADA]))
    assert rounded(found) == [Region(*ADA)]
    (fault,) = found.faults
    assert fault.startswith("a.xmp: ") and said in fault and "\n" not in fault


def test_what_is_too_large_inside_a_photo_is_not_parsed(tmp_path: Path) -> None:
    packet = written.xmp("lightroom", [("A" * (10 << 20), ADA[1])])
    found = read_tags(tmp_path / "a.jpg", PHOTO + packet)
    assert found.regions == () and "10 MiB of XMP" in found.faults[0]


def test_a_folder_where_a_sidecar_would_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").mkdir()
    assert "directory" in read_tags(tmp_path / "a.jpg", PHOTO).faults[0].casefold()


@given(st.binary(max_size=300))
def test_no_bytes_raise(noise: bytes) -> None:
    read_tags(Path("/nowhere/a.jpg"), b"<x:xmpmeta" + noise + b"</x:xmpmeta>")


def test_takeout_and_immich_name_people_in_json(tmp_path: Path) -> None:
    takeout = {"title": "a.jpg", "people": [{"name": "Ada"}, {"name": "Unknown"}, {"name": 3}]}
    (tmp_path / "a.jpg.supplemental-metadata.json").write_text(json.dumps(takeout))
    found = read_tags(tmp_path / "a.jpg", PHOTO)
    assert (found.names, found.regions, len(found.faults)) == (("Ada",), (), 2)
    long = "x" * 40 + ".jpg"
    (tmp_path / f"{(long + '.supplemental-metadata')[:46]}.json").write_text(json.dumps(takeout))
    assert read_tags(tmp_path / long, PHOTO).names == ("Ada",)
    face = {"boundingBoxX1": 64, "boundingBoxY1": 96, "boundingBoxX2": 192, "boundingBoxY2": 240,
            "imageWidth": 640, "imageHeight": 480}  # fmt: skip
    immich = {"people": [{"name": "Ada Lovelace", "faces": [face, {"imageWidth": 0}]}]}
    (tmp_path / "b.json").write_text(json.dumps(immich))
    found = read_tags(tmp_path / "b.jpg", PHOTO)
    assert rounded(found) == [Region(*ADA)] and len(found.faults) == 1
    for other in ("[]", "{}", '{"people": 3}', "no json", "[" * 100_000):
        (tmp_path / "c.json").write_text(other)
        assert not read_tags(tmp_path / "c.jpg", PHOTO)


@pytest.mark.parametrize(
    ("photo", "sidecar"),
    [
        ("IMG_3397.JPG", "IMG_3397.JPG.supplemental-metadata.json"),
        ("IMG_3397.JPG", "IMG_3397.JPG.json"),  # until 2024
        ("Peanut Butter Balls.jpg", "Peanut Butter Balls.supplemental-metadata.json"),
        ("photo(1).jpg", "photo.jpg.supplemental-metadata(1).json"),
        ("Negative0-36(1)(1).jpg", "Negative0-36(1).jpg.supplemental-metadata(1).json"),
        ("DSC_0101(1).JPG", "DSC_0101.JPG(1).json"),
        ("skytree (2).jpg", "skytree (2).jpg.supplemental-metadata.json"),
        (
            "PXL_20240506_142610305.LONG_EXPOSURE-01.COVER.jpg",
            "PXL_20240506_142610305.LONG_EXPOSURE-01.COVER..json",
        ),
        (
            "PXL_20211120_223243932.MOTION-02.ORIGINAL.jpg",
            "PXL_20211120_223243932.MOTION-02.ORIGINAL.jpg..json",
        ),
        (
            "PXL_20230809_203449253.LONG_EXPOSURE-02.ORIGINA.jpg",
            "PXL_20230809_203449253.LONG_EXPOSURE-02.ORIGIN.json",
        ),
        (
            "13039_327707840323_537645323_9470255_27214_n(1).jpg",
            "13039_327707840323_537645323_9470255_27214_n.j(1).json",
        ),
        (
            "Backyard_ceremony_wedding_photography_xxxxxxx_m(494).jpg",
            "Backyard_ceremony_wedding_photography_xxxxxxx_(494).json",
        ),
    ],
)
def test_takeouts_names_as_people_met_them(photo: str, sidecar: str, tmp_path: Path) -> None:
    """From the reports of immich-go, Ente and GooglePhotosTakeoutHelper."""
    (tmp_path / sidecar).write_text(json.dumps({"people": [{"name": "Ada"}]}))
    assert read_tags(tmp_path / photo, PHOTO).names == ("Ada",)


@pytest.mark.parametrize(
    ("photo", "sidecar"),
    [
        ("DSC_0102(1).JPG", "DSC_0102.JPG(2).json"),
        ("DSC_0103.JPG", "DSC_0103.JPG(1).json"),
        ("DSC_0104(1).JPG", "DSC_0104.JPG.json"),
        ("PXL_20211013_220651983.jpg", "PXL_20211013_220651958.jpg.json"),
    ],
)
def test_a_twins_sidecar_is_not_taken(photo: str, sidecar: str, tmp_path: Path) -> None:
    (tmp_path / sidecar).write_text(json.dumps({"people": [{"name": "Ada"}]}))
    assert not read_tags(tmp_path / photo, PHOTO)


def test_of_photos_that_share_a_cut_name_the_title_tells(tmp_path: Path) -> None:
    shared = "original_1d4caa6f-16c6-4c3d-901b-9387de10e528_"
    takeout = {"title": f"{shared}P & co.jpg", "people": [{"name": "Ada"}]}
    (tmp_path / f"{shared}.json").write_text(json.dumps(takeout))
    assert read_tags(tmp_path / f"{shared}P _ co.jpg", PHOTO).names == ("Ada",)
    other = read_tags(tmp_path / f"{shared}Q.jpg", PHOTO)
    assert not other.names and "another photo" in other.faults[0]


def test_immich_answers_in_two_ways(tmp_path: Path) -> None:
    """`GET /api/assets/ID`, as published by its users, and `GET /api/faces?id=ID`."""
    box = {"boundingBoxX1": 250, "boundingBoxX2": 580, "boundingBoxY1": 364, "boundingBoxY2": 785}
    face = {"id": "8c24", "imageHeight": 1920, "imageWidth": 1440, **box,
            "sourceType": "machine-learning"}  # fmt: skip
    who = {"id": "60e5", "name": "Ada", "birthDate": None, "isHidden": False}
    asset = {"originalFileName": "a.jpg", "people": [{**who, "faces": [face]}],
             "unassignedFaces": [face]}  # fmt: skip
    faces = [{**face, "person": who}, {**face, "person": None}]
    wanted = (250 / 1440, 364 / 1920, 580 / 1440, 785 / 1920)
    for answer in (asset, faces):
        (tmp_path / "a.jpg.json").write_text(json.dumps(answer))
        found = read_tags(tmp_path / "a.jpg", PHOTO)
        assert [(r.name, r.box) for r in found.regions] == [("Ada", pytest.approx(wanted))]
        assert (found.size, found.faults) == ((1440, 1920), ())


def test_a_name_that_leaves_no_room_for_an_ending_has_no_sidecar(tmp_path: Path) -> None:
    assert not read_tags(tmp_path / ("x" * 250 + ".jpg"), PHOTO)
