"""Names written into sidecars by exiftool, read back by it: what was there stays."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import tags as written

from facecli.common.errors import OutputError, UsageError
from facecli.datasets import sidecars
from facecli.datasets.matching import match
from facecli.datasets.regions import read_tags
from facecli.datasets.sidecars import Shown, SidecarWriter

pytest.importorskip("exiftool", reason="NOT CHECKED: pip install 'facecli[tags]'")
TOOL = shutil.which("exiftool")
needs_exiftool = pytest.mark.skipif(
    TOOL is None, reason="NOT CHECKED: names in sidecars, the program exiftool is missing"
)
pytestmark = needs_exiftool

SIZE = (400, 200)  # upright, px
ADA, BOB = (40.0, 50.0, 100.0, 130.0), (250.0, 40.0, 320.0, 120.0)
NAME = "Ada {a|b}, [c] 'é' \"😀\" & <3>"


@pytest.fixture(scope="module")
def writer() -> Iterator[SidecarWriter]:
    with sidecars.opened() as made:
        yield made


def shown(
    folder: Path, *named: tuple[int, str], orientation: int = 1, packet: bytes = b""
) -> Shown:
    path = folder / "a photo.jpg"
    path.write_bytes(written.jpeg(Image.new("RGB", SIZE, "grey"), orientation, packet))
    stored = SIZE[::-1] if orientation >= 5 else SIZE
    return Shown(path, path.read_bytes(), stored, orientation, (ADA, BOB), named)


def exiftool(path: Path) -> dict[str, Any]:
    """What exiftool itself reads there."""
    assert TOOL
    out = subprocess.run([TOOL, "-j", "-struct", "-G1", path], capture_output=True, check=True)
    return json.loads(out.stdout)[0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_names_are_written_and_read_back(
    writer: SidecarWriter, tmp_path: Path, orientation: int
) -> None:
    photo = shown(tmp_path, (0, NAME), (1, "123"), orientation=orientation)
    before = hashlib.sha256(photo.path.read_bytes()).digest()
    assert writer.write(photo, dry_run=True).names == (NAME, "123")
    assert [path.name for path in tmp_path.iterdir()] == ["a photo.jpg"]
    done = writer.write(photo)
    assert (done.path, done.names, done.left) == (tmp_path / "a photo.jpg.xmp", (NAME, "123"), ())
    assert hashlib.sha256(photo.path.read_bytes()).digest() == before
    found = exiftool(done.path)
    assert [str(v) for v in found["XMP-dc:Subject"]] == [NAME, "123"]
    assert [str(v) for v in found["XMP-iptcExt:PersonInImage"]] == [NAME, "123"]
    info = found["XMP-mwg-rs:RegionInfo"]
    assert (info["AppliedToDimensions"]["W"], info["AppliedToDimensions"]["H"]) == photo.size
    assert [(str(r["Name"]), r["Type"]) for r in info["RegionList"]] == [
        (NAME, "Face"),
        ("123", "Face"),
    ]
    own = read_tags(photo.path, photo.data)
    assert dict(match(own, [ADA, BOB], SIZE, orientation).named) == {0: NAME, 1: "123"}
    text = done.path.read_bytes()
    assert writer.write(photo).names == () and done.path.read_bytes() == text


@pytest.mark.parametrize("form", ["lightroom", "digikam"])
@pytest.mark.parametrize("name", ["a photo.jpg.xmp", "a photo.xmp"])
def test_what_others_wrote_stays(
    writer: SidecarWriter, tmp_path: Path, form: str, name: str
) -> None:
    place = tuple(edge / side for edge, side in zip(BOB, (*SIZE, *SIZE), strict=True))
    packet = written.xmp(form, [("Bob", place), ("Zoe", (0.9, 0.8, 0.98, 0.95))], SIZE).replace(  # type: ignore[list-item]
        b"</rdf:Description></rdf:RDF>",
        b"<dc:subject><rdf:Bag><rdf:li>1.10</rdf:li><rdf:li>sea</rdf:li></rdf:Bag></dc:subject>"
        b'<mine:own xmlns:mine="http://example.org/mine/">kept as it was</mine:own>'
        b"</rdf:Description></rdf:RDF>",
    )
    (tmp_path / name).write_bytes(packet)
    (tmp_path / name).chmod(0o640)
    done = writer.write(shown(tmp_path, (0, "Ada"), (1, "bob and others")))
    assert done.path.name == name and done.path.stat().st_mode & 0o777 == 0o640
    assert done.names == ("Ada",) and "the sidecar says Bob" in done.left[0]
    found = exiftool(done.path)
    assert [str(v) for v in found["XMP-dc:Subject"]][1:] == ["sea", "Ada"]
    assert b"<rdf:li>1.10</rdf:li>" in done.path.read_bytes()
    assert b"kept as it was" in done.path.read_bytes()
    assert [r["Name"] for r in found["XMP-mwg-rs:RegionInfo"]["RegionList"]] == [
        "Bob",
        "Zoe",
        "Ada",
    ]


def test_a_region_that_names_nobody_gets_the_name(writer: SidecarWriter, tmp_path: Path) -> None:
    place = tuple(edge / side for edge, side in zip(ADA, (*SIZE, *SIZE), strict=True))
    (tmp_path / "a photo.xmp").write_bytes(written.xmp("digikam", [("Unknown", place)], SIZE))  # type: ignore[list-item]
    done = writer.write(shown(tmp_path, (0, "Ada")))
    regions = exiftool(done.path)["XMP-mwg-rs:RegionInfo"]["RegionList"]
    assert [r["Name"] for r in regions] == ["Ada"]


def test_regions_drawn_as_the_photo_is_shown_are_joined_by_such(
    writer: SidecarWriter, tmp_path: Path
) -> None:
    place = tuple(edge / side for edge, side in zip(BOB, (*SIZE, *SIZE), strict=True))
    (tmp_path / "a photo.xmp").write_bytes(written.xmp("digikam", [("Bob", place)], SIZE))  # type: ignore[list-item]
    photo = shown(tmp_path, (0, "Ada"), (1, "Bob"), orientation=6)
    writer.write(photo)
    own = read_tags(photo.path, photo.data)
    assert dict(match(own, [ADA, BOB], SIZE, 6).named) == {0: "Ada", 1: "Bob"}


def test_a_new_sidecar_begins_with_what_is_in_the_photo(
    writer: SidecarWriter, tmp_path: Path
) -> None:
    packet = written.xmp("lightroom", [("Zoe", (0.9, 0.8, 0.98, 0.95))], SIZE)
    done = writer.write(shown(tmp_path, (0, "Ada"), packet=packet))
    regions = exiftool(done.path)["XMP-mwg-rs:RegionInfo"]["RegionList"]
    assert [r["Name"] for r in regions] == ["Zoe", "Ada"]


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x:xmpmeta xmlns:x='adobe:ns:meta/'/>", "no XMP"),
     (b"not XML", "no XMP"), (b"\0\1\2", "no text"), (b" " * (5 << 20), "MiB"),
     (written.xmp("digikam", [("Bob", (0.1, 0.1, 0.2, 0.2))], (300, 400)), "another shape"),
     (written.xmp("digikam", [("Bob", (float("nan"), 0.1, 0.2, 0.2))]), "'Bob'.*no number")],
    ids=["entities", "no XML", "binary", "large", "another photo's", "no numbers"],
)  # fmt: skip
def test_a_sidecar_that_is_not_understood_is_left_as_it_is(
    writer: SidecarWriter, tmp_path: Path, text: bytes, said: str
) -> None:
    (tmp_path / "a photo.xmp").write_bytes(text)
    with pytest.raises((OutputError, UsageError), match=said) as error:
        writer.write(shown(tmp_path, (0, "Ada")))
    assert "\n" not in str(error.value)
    assert (tmp_path / "a photo.xmp").read_bytes() == text
    assert {path.name for path in tmp_path.iterdir()} == {"a photo.jpg", "a photo.xmp"}


def test_a_link_or_a_folder_in_its_place_is_refused(writer: SidecarWriter, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "a photo.xmp").symlink_to(tmp_path / "mine")
    with pytest.raises(UsageError, match="is a link"):
        writer.write(shown(tmp_path, (0, "Ada")))
    assert (tmp_path / "mine").read_text() == "mine"
    (tmp_path / "a photo.jpg.xmp").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        writer.write(shown(tmp_path, (0, "Ada")))


def test_without_the_program_it_is_said_which_package_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="libimage-exiftool-perl"), sidecars.opened():
        pass
    monkeypatch.setitem(__import__("sys").modules, "exiftool", None)
    with pytest.raises(UsageError, match=r"facecli\[tags\]"), sidecars.opened():
        pass
