"""`identify --write-tags sidecar`: only who was identified, and one bad sidecar stops nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.galleries import Command, blank, collins, hopper, two_faces, variant
from support.read_only import NEEDS_READ_ONLY, Unprivileged, closed

from facecli.datasets.regions import read_tags

pytest.importorskip("exiftool", reason="NOT CHECKED: pip install 'facecli[tags]'")
pytestmark = pytest.mark.skipif(
    shutil.which("exiftool") is None,
    reason="NOT CHECKED: names in sidecars, the program exiftool is missing",
)


@pytest.mark.slow
def test_identified_faces_are_written_and_can_be_enrolled_from(tmp_path: Path) -> None:
    command, photos = Command(tmp_path / "home"), tmp_path / "photos"
    photos.mkdir()
    two_faces(photos / "both.png")
    (photos / "bad.jpg").write_bytes(variant(hopper(), 2))
    (photos / "bad.xmp").write_text("no XMP")
    (photos / "other.jpg").write_bytes(variant(collins(), 3))
    blank(photos / "nobody.png")
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    assert command("enroll", hopper(), "-s", "Grace").returncode == 0
    words = ("identify", photos, "--write-tags", "sidecar")
    dry = command(*words, "--dry-run")
    assert f"would write Grace to {photos / 'both.png.xmp'}" in dry.stderr
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before
    done = command(*words)
    assert done.returncode == 74 and done.stdout == dry.stdout, done.stderr
    lines = done.stderr.splitlines()
    assert [line for line in lines if "error" in line] == [
        f"facecli: error: {photos / 'bad.xmp'}: no XMP that can be read (syntax error: line 1, "
        "column 0); it is left as it is"
    ]
    after = {path.name: path.read_bytes() for path in photos.iterdir()}
    assert set(after) - set(before) == {"both.png.xmp"}
    assert {name: after[name] for name in before} == before
    found = read_tags(photos / "both.png", b"")
    assert [region.name for region in found.regions] == ["Grace"]
    again = command("enroll", photos / "both.png", "--from-tags", "-g", tmp_path / "g")
    assert again.returncode == 0 and "enrolled 1, already there 0, skipped 0" in again.stdout
    assert command("identify", hopper(), "--dry-run").returncode == 2


@NEEDS_READ_ONLY
def test_where_nothing_may_be_written_each_photo_is_a_line(tmp_path: Path) -> None:
    command, photos = Unprivileged(tmp_path / "home"), tmp_path / "photos"
    photos.mkdir()
    for number in (1, 2):
        (photos / f"{number}.jpg").write_bytes(variant(hopper(), number))
    assert command("enroll", hopper(), "-s", "Grace").returncode == 0
    closed(photos)
    try:
        done = command("identify", photos, "--write-tags", "sidecar")
    finally:
        photos.chmod(0o755)
    assert done.returncode == 74 and done.stdout.count("Grace") == 2
    assert done.stderr.count("facecli: error: ") == done.stderr.count("\n") == 2
    assert done.stderr.count("may not write to") == 2
    assert len(list(photos.iterdir())) == 2
