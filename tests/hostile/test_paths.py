"""What stands in a folder besides photos, and what photos may be called."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest
from support.sandbox import Facecli

NAMES = (
    "Ada", "Žofie Šťastná", "Дмитрий", "Ελένη", "محمد", "שרה", "हिन्दी नाम", "தமிழ்", "ไทย ชื่อ",
    "王芳", "さくら", "홍길동", "ამირანი", "Անի", "አበበ", "ខ្មែរ", "မြန်မာ", "👩‍🚀 Astro",
    "O'Neil; rm -rf $HOME", "%s %d {0} {{x}}", "-rf", "--help", "a" * 240,
    "~", "$(id)", "`id`", "NUL", "CON.txt", "a\\b",
)  # fmt: skip


def statuses(out: str) -> dict[str, str]:
    rows = json.loads(out)["photos"]
    return {row["path"]: (row["reason"] or row["status"]).split(": ")[0] for row in rows}


def test_names_in_every_script_come_back_as_given(
    facecli: Facecli, good: Path, tmp_path: Path
) -> None:
    """As a person's folder and as a file's own name; a path that is like an option is a path."""
    photos = tmp_path / "photos"
    for number, name in enumerate(NAMES):
        (photos / name).mkdir(parents=True)
        (photos / name / f"{name}.jpg").write_bytes(good.read_bytes() + bytes([number]))
    done = facecli("enroll", photos, "-g", tmp_path / "g", "--json")
    found = {row["path"]: row["subject"] for row in json.loads(done.out)["photos"]}
    assert found == {str(photos / name / f"{name}.jpg"): name for name in NAMES}
    listed = json.loads(facecli("gallery", "list", "-g", tmp_path / "g", "--json").out)
    assert {row["subject"] for row in listed} == set(NAMES)
    for name in ("-rf", "O'Neil; rm -rf $HOME", "हिन्दी नाम"):
        shown = facecli("gallery", "show", "-g", tmp_path / "g", "--json", "--", name)
        assert [row["subject"] for row in json.loads(shown.out)] == [name]


def test_twins_in_nfc_and_nfd_are_one_subject(facecli: Facecli, good: Path, tmp_path: Path) -> None:
    for number, form in enumerate(("NFC", "NFD")):
        folder = tmp_path / "photos" / unicodedata.normalize(form, "José Núñez")
        folder.mkdir(parents=True)
        (folder / "1.jpg").write_bytes(good.read_bytes() + bytes([number]))
    facecli("enroll", tmp_path / "photos", "-g", tmp_path / "g")
    (row,) = json.loads(facecli("gallery", "list", "-g", tmp_path / "g", "--json").out)
    assert row["references"] == 2


def test_file_names_with_lines_emoji_escapes_and_any_bytes(
    facecli: Facecli, good: Path, enrolled: Path, tmp_path: Path
) -> None:
    """A line a face, whatever the names hold; programs get the very name."""
    photos = os.fsencode(tmp_path / "photos")
    os.mkdir(photos)  # noqa: PTH102 (Path takes no bytes)
    names = [b"two\nlines.jpg", b"\x1b[31mred\x07.jpg", "🦊.jpg".encode(), b"\xff\xfe raw.jpg",
             b"'); DROP TABLE subject;--.jpg", "\u202egpj.jpg".encode(), b" .jpg",
             b"tab\t.jpg"]  # fmt: skip
    for name in names:
        with open(os.path.join(photos, name), "wb") as file:  # noqa: PTH118, PTH123
            file.write(good.read_bytes())
    table = facecli("identify", tmp_path / "photos", "-g", enrolled)
    assert len(table.out.splitlines()) == 6 + len(names)
    assert table.out.count("Grace") == len(names)
    rows = json.loads(facecli("identify", tmp_path / "photos", "-g", enrolled, "--json").out)
    assert len(rows) == len(names)
    assert {"two\nlines.jpg", "\x1b[31mred\x07.jpg"} <= {Path(row["path"]).name for row in rows}
    done = facecli("enroll", tmp_path / "photos", "-s", "G", "-g", tmp_path / "g", "--json")
    assert len(statuses(done.out)) == len(names)
    done = facecli("enroll", tmp_path / "photos", "-g", tmp_path / "h")
    assert len(done.out.splitlines()) == 2 + done.out.count("  skipped ")


def test_what_is_no_regular_file_is_reported_and_the_batch_goes_on(
    facecli: Facecli, good: Path, enrolled: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    (photos / "folder.jpg").mkdir(parents=True)
    (photos / "folder.jpg" / "inside.jpg").write_bytes(good.read_bytes() + b"1")
    os.mkfifo(photos / "fifo.jpg")
    (photos / "zero.jpg").symlink_to("/dev/zero")
    (photos / "random.png").symlink_to("/dev/urandom")
    (photos / "loop.jpg").symlink_to("loop.jpg")
    (photos / "around").symlink_to(photos)
    (photos / "gone.jpg").symlink_to("nowhere")
    (photos / "good.jpg").write_bytes(good.read_bytes())
    done = facecli("enroll", photos, "-s", "Grace", "-g", tmp_path / "g", "--json")
    assert {Path(path).name: said for path, said in statuses(done.out).items()} == {
        "inside.jpg": "enrolled", "good.jpg": "enrolled", "fifo.jpg": "cannot be read",
        "zero.jpg": "cannot be read", "random.png": "cannot be read", "loop.jpg": "not found",
        "gone.jpg": "not found",
    }  # fmt: skip
    found = json.loads(facecli("identify", *sorted(photos.iterdir()), "-g", enrolled, "--json").out)
    known = {Path(row["path"]).name for row in found if row["subject"] == "Grace"}
    assert known == {"inside.jpg", "good.jpg"}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="NOT CHECKED: root reads all")
def test_what_one_may_not_read_is_reported(facecli: Facecli, good: Path, tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(good.read_bytes() + name.encode())
    (tmp_path / "1.jpg").chmod(0)
    done = facecli("enroll", tmp_path, "-s", "Grace", "-g", tmp_path / "g", "--json")
    assert list(statuses(done.out).values()) == ["cannot be read", "enrolled"]


def test_pictures_of_the_longest_names_are_drawn(
    facecli: Facecli, good: Path, tmp_path: Path
) -> None:
    """Ten thousand letters fit a label, in letters and in marks that take no room."""
    for number, name in enumerate(("W" * 10_000, "a" + "\u0301" * 10_000)):
        where = tmp_path / f"{number}"
        assert facecli("enroll", good, "-s", name, "-g", where).code == 0
        done = facecli("identify", good, "-g", where, "--annotate", tmp_path / "drawn", "--json")
        assert json.loads(done.out)[0]["subject"] == name
        assert done.seconds < 60 and done.rss < 1 << 30
    assert len(list((tmp_path / "drawn").iterdir())) == 2
