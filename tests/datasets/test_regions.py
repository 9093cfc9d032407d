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
