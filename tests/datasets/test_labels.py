"""Folders, flat files and tables as users have them, in real folders."""

from __future__ import annotations

import csv
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecli.common.enums import Reason
from facecli.common.errors import InputError, UsageError
from facecli.common.names import name_fault, name_key
from facecli.datasets.csv_tables import Lookup
from facecli.datasets.labels import LabelledPhotos, NamedBy, labelled, photos
from facecli.datasets.photo_files import left_out_lines


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def told(root: Path, *paths: Path, subject: str | None = None) -> list[tuple[str, str]]:
    """(path below root, subject) of a layout that must be without problems."""
    layout = labelled(paths or [root], subject)
    assert layout.problems == ()
    return [(photo.path.relative_to(root).as_posix(), photo.subject) for photo in layout.photos]


def test_a_folder_per_subject_at_any_depth(tmp_path: Path) -> None:
    make(tmp_path, "Bo/2.png", "Ada/IMG_1.jpg", "Ada/2019/summer/x.JPEG", "0042/1.webp")
    assert told(tmp_path) == [
        ("0042/1.webp", "0042"),
        ("Ada/2019/summer/x.JPEG", "Ada"),
        ("Ada/IMG_1.jpg", "Ada"),
        ("Bo/2.png", "Bo"),
    ]


@pytest.mark.parametrize(
    ("file", "subject"),
    [
        ("Ada.jpg", "Ada"),
        ("Ada_1.jpg", "Ada"),
        ("Aaron_Eckhart_0001.jpg", "Aaron Eckhart"),
        ("Jean-Luc-2.png", "Jean-Luc"),
        ("Ada (3).jpg", "Ada"),
        ("Ada 2.heic", "Ada"),
        ("Ada_1 (2).jpg", "Ada"),
        ("Ada - Copy.jpg", "Ada"),
        ("Ada_Lovelace-edited.jpg", "Ada Lovelace"),
        ("Tony_Blair_20190101.jpg", "Tony Blair"),
        ("Ursula von der Leyen 04711.jpg", "Ursula von der Leyen"),
        ("Imagene.jpg", "Imagene"),
        ("Abbe.jpg", "Abbe"),
        ("Tony_Blair_IMG_1234.jpg", "Tony Blair"),
        ("JohnSmith2001.jpg", "JohnSmith2001"),
        ("김민준_2.jpg", "김민준"),
        ("Nguyễn Thị Ánh.jpg", "Nguyễn Thị Ánh"),
        ("سارة-1.jpg", "سارة"),
        ("王芳(2).jpg", "王芳"),
        ("Ўльга.jpg", "Ўльга"),
    ],
)
def test_a_flat_file_names_its_subject(tmp_path: Path, file: str, subject: str) -> None:
    make(tmp_path, file)
    assert told(tmp_path) == [(file, subject)]
    assert told(tmp_path, tmp_path / file) == [(file, subject)]


def test_a_mixed_folder_agrees_with_itself(tmp_path: Path) -> None:
    make(tmp_path, "Aaron_Eckhart/IMG_7.jpg", "Aaron_Eckhart_0001.jpg", "Bo.jpg")
    assert {subject for _, subject in told(tmp_path)} == {"Aaron_Eckhart", "Bo"}


@pytest.mark.parametrize(
    "file",
    [
        *("IMG_2031", "IMG-20190101-WA0001", "IMG_E1234", "DSC01234", "_DSC1234", "_MG_0042"),
        *("DSCN0001", "P1010001", "PXL_20230101_123456789.PORTRAIT", "image", "image (2)"),
        *("photo1", "photo_2023-01-01_12-00-00", "Screenshot 2023-01-01 at 12.00.00"),
        *("WhatsApp Image 2023-01-01 at 12.00.00", "mmexport1550000000", "微信图片_2019", "사진1"),
        *("20190101_120000", "12345", "_1", "469823984_1234567890_n", "3f2a9b1c8d"),
        *("0b0e7a0e-61a5-4f0e-9d0c-0123456789ab", "Person_1", "face-12"),
        *("DJI_0001", "SAM_0002", "WIN_20200101_12_00_00_Pro", "PANO_20200101_120000", "L1000001"),
        *("R0012345", "GX010123", "YDXJ0042", "Snapchat-123456789", "front_door-1696310855.96-kdf"),
        *("Photo on 12-3-20 at 3.45 PM", "IMG_0001 - Copy", "IMG_0001 (2)", "IMG_0001-edited"),
        *("ORG_DSC01234", "thumb_IMG_1234", "Copy of IMG_1234", "cropped-DSCN0001", "EPSON001"),
        *("Panorama1", "Live_Photo_1", "capture_001", "截屏2020-01-01", "EkX3abcXUAE1234"),
        *("Front Door 2023-01-01 10.00.00", "ring_20230101", "Ada 2019-05-12"),
    ],
)
def test_a_device_names_nobody(tmp_path: Path, file: str) -> None:
    make(tmp_path, f"{file}.jpg")
    layout = labelled([tmp_path])
    assert layout.photos == ()
    assert [problem.path for problem in layout.problems] == [str(tmp_path / f"{file}.jpg")]
    assert "--subject" in layout.problems[0].detail
    assert told(tmp_path, subject="Ada") == [(f"{file}.jpg", "Ada")]


@pytest.mark.parametrize(
    "album",
    [
        *("train", "photos", "DCIM", "100CANON", "Camera Roll", "Google Photos", "iCloud Photos"),
        *("Photos from 2020", "WhatsApp Images", "Meine Bilder", "Fotos Handy", "Screenshots"),
        *("Laura.photoslibrary", "New Folder (2)", "Familienalbum", "Takeout", "微信图片 2019"),
        *("Фотографии", "Nouveau dossier (2)", "Obrázky", "Slideshow", "Thumbnails"),
    ],
)
def test_an_album_is_nobody(tmp_path: Path, album: str) -> None:
    make(tmp_path, f"{album}/Ada/1.jpg")
    layout = labelled([tmp_path])
    assert layout.photos == ()
    assert "--subject" in layout.problems[0].detail
    assert told(tmp_path, tmp_path / album) == [(f"{album}/Ada/1.jpg", "Ada")]


@pytest.mark.parametrize("name", ["Val", "Bild Lilli", "Alba", "Foto Ng", "Ima Gesell", "0042"])
def test_what_is_like_an_album_may_be_somebody(tmp_path: Path, name: str) -> None:
    make(tmp_path, f"{name}/1.jpg")
    if name == "Foto Ng":
        assert labelled([tmp_path]).photos == (), "this one is refused, with advice"
    else:
        assert told(tmp_path) == [(f"{name}/1.jpg", name)]


@pytest.mark.parametrize("name", ["2019", "Rome 2019", "0042", "2019-05-12"])
def test_a_number_may_be_an_id_and_is_told(tmp_path: Path, name: str) -> None:
    make(tmp_path, f"{name}/1.jpg", "Ada/1.jpg")
    layout = labelled([tmp_path])
    assert {photo.subject for photo in layout.photos} == {name, "Ada"}
    (note,) = layout.notes
    assert name in note and "Ada" not in note and "--subject" in note


def named(layout: LabelledPhotos) -> dict[str, str]:
    """Subject by file name."""
    return {photo.path.name: photo.subject for photo in layout.photos}


@pytest.mark.parametrize(
    ("folder", "files", "subjects"),
    [
        # The folder is written more like a person's name than its files are.
        ("Tony Blair", ["front.jpg", "side.jpg"], {"Tony Blair"}),
        ("Tony Blair", ["IMG_0001.jpg", "Paris.jpg"], {"Tony Blair"}),
        ("Ben", ["IMG_0001.jpg", "x.jpg"], {"Ben"}),
        ("王芳", ["front.jpg"], {"王芳"}),
        # They agree: as the folder writes it.
        ("tony_blair", ["Tony_Blair_0001.jpg", "Tony_Blair_0002.jpg"], {"tony_blair"}),
        # Its files are.
        ("flat", ["Ada.jpg", "Bo_1.jpg"], {"Ada", "Bo"}),
        ("Work", ["Ada Lovelace.jpg", "Tony_Blair_0001.jpg"], {"Ada Lovelace", "Tony Blair"}),
        # Nobody's.
        ("flat", ["IMG_0001.jpg", "DJI_0002.jpg"], set()),
        ("DCIM", ["IMG_0001.jpg"], set()),
    ],
)
def test_a_folder_that_is_given_may_be_a_person_s_own(
    tmp_path: Path, folder: str, files: list[str], subjects: set[str]
) -> None:
    make(tmp_path / folder, *files)
    layout = labelled([tmp_path / folder])
    assert {photo.subject for photo in layout.photos} == subjects
    if not subjects:
        assert len(layout.problems) == len(files)


def test_the_folder_one_stands_in_has_a_name(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path / "Tony Blair", "front.jpg")
    monkeypatch.chdir(tmp_path / "Tony Blair")
    assert named(labelled([Path()])) == {"front.jpg": "Tony Blair"}


def test_several_folders_that_are_given_are_people_s(tmp_path: Path) -> None:
    """As a shell's `photos/*` gives them."""
    make(tmp_path, "ben/front.jpg", "Ada/Front.jpg", "Ada/2019/old.jpg", "photos/IMG_1.jpg")
    make(tmp_path, "group/Cy/1.jpg")
    layout = labelled(sorted(tmp_path.iterdir()))
    assert named(layout) == {
        "front.jpg": "ben",
        "Front.jpg": "Ada",
        "old.jpg": "Ada",
        "1.jpg": "Cy",
    }
    assert [problem.reason for problem in layout.problems] == [Reason.NO_NAME]


def test_files_of_several_folders_are_these_folders_people_s(tmp_path: Path) -> None:
    """As a shell's `photos/*/*` gives them."""
    make(tmp_path, "ben/front.jpg", "Ada/side.jpg", "Cy.jpg")
    paths = [tmp_path / "ben/front.jpg", tmp_path / "Ada/side.jpg"]
    assert named(labelled(paths)) == {"front.jpg": "ben", "side.jpg": "Ada"}
    assert named(labelled([tmp_path / "Cy.jpg"])) == {"Cy.jpg": "Cy"}


def test_a_folder_known_to_hold_many_is_nobody_s_own(tmp_path: Path) -> None:
    make(tmp_path / "Tony Blair", "front.jpg", "IMG_1.jpg")
    layout = labelled([tmp_path / "Tony Blair"], one_person=False)
    assert named(layout) == {"front.jpg": "front"}
    assert [problem.reason for problem in layout.problems] == [Reason.NO_NAME]


def test_where_each_name_was_read(tmp_path: Path) -> None:
    make(tmp_path, "in/Ada/1.jpg", "in/Bo_1.jpg", "c.jpg")
    (tmp_path / "who.csv").write_text("path,subject\nc.jpg,Cy\n")
    layout = labelled([tmp_path / "in", tmp_path / "who.csv"])
    assert {p.subject: p.named_by for p in layout.photos} == {
        "Ada": NamedBy.FOLDER, "Bo": NamedBy.FILE, "Cy": NamedBy.TABLE,
    }  # fmt: skip
    given = labelled([tmp_path / "c.jpg"], "Cy").photos[0]
    assert given.named_by is NamedBy.CALLER


def test_underscores_stay_where_a_folder_has_them(tmp_path: Path) -> None:
    make(tmp_path, "Aaron_Eckhart/IMG_7.jpg", "Aaron_Eckhart_0001.jpg", "Bo_Ek_1.jpg")
    assert {subject for _, subject in told(tmp_path)} == {"Aaron_Eckhart", "Bo Ek"}


JPEG = b"\xff\xd8\xff\xe0"
MOV = b"\0\0\0\x14ftypqt  \0\0\0\0qt  "
CR2 = b"II*\0\x10\0\0\0CR\2\0" + bytes(40)


def test_content_decides_what_is_a_photo(tmp_path: Path) -> None:
    names = {"IMG_0003", "3.mpo", "photo.jpg_large", "4.MOV", "5.CR2", "6.txt"}
    (tmp_path / "Ada").mkdir()
    for name in names:
        (tmp_path / "Ada" / name).write_bytes(JPEG + name.encode())
    assert {path for path, _ in told(tmp_path)} == {f"Ada/{name}" for name in names}


def test_what_is_no_photo_is_counted_in_a_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("facecli.datasets.photo_files.reads_raw", lambda: False)
    make(tmp_path, "Ada/1.jpg", "Ada/notes.txt", "Ada/a.json", "Ada/b.json", "Ada/.hidden")
    for name, content in (("a.CR2", CR2), ("1.CR2", CR2), ("b.mov", MOV), ("IMG_0004", MOV)):
        (tmp_path / "Ada" / name).write_bytes(content)
    os.mkfifo(tmp_path / "Ada" / "pipe")
    layout = labelled([tmp_path])
    assert named(layout) == {"1.jpg": "Ada"} and layout.problems == ()
    (line,) = left_out_lines(layout.left_out)
    assert (
        line.startswith("left out 8 files: 2 JSON, 2 MOV, 1 CR2, 1 CR2 beside its JPEG, 1 ")
        and "facecli[raw]" in line
    )
    assert {item.kind for item in layout.left_out} == {
        "CR2", "CR2 beside its JPEG", "JSON", "MOV", "TXT", "without a known ending",
    }  # fmt: skip
    assert photos([tmp_path]).left_out == layout.left_out


def test_raw_files_are_photos_where_the_extra_is_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("facecli.datasets.photo_files.reads_raw", lambda: True)
    make(tmp_path, "Ada/1.jpg")
    for name in ("1.CR2", "2.CR2"):
        (tmp_path / "Ada" / name).write_bytes(CR2)
    assert [name for name, _ in told(tmp_path)] == ["Ada/1.jpg", "Ada/2.CR2"]


def test_without_any_photo_the_line_says_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "Ada").mkdir()
    (tmp_path / "Ada" / "a.mov").write_bytes(MOV)
    (tmp_path / "Ada" / "b.pdf").write_bytes(b"%PDF-1.7")
    with pytest.raises(InputError, match="left out 2 files: 1 MOV, 1 PDF"):
        labelled([tmp_path])


def test_a_system_s_folders_are_passed_over_and_by_rule_only_aloud(tmp_path: Path) -> None:
    clutter = ["@Recycle/2020", "#recycle", "@eaDir", "RECYCLER", "System Volume Information",
               "#snapshot/x", "@tmp", "~snapshot/hourly.0", "$Extend", ".git", "found.000",
               "Recently Deleted", unicodedata.normalize("NFD", "Zuletzt gelöscht")]  # fmt: skip
    make(tmp_path, "Laura/k.jpg", *(f"{folder}/k.jpg" for folder in clutter))
    layout = labelled([tmp_path])
    assert named(layout) == {"k.jpg": "Laura"} and layout.problems == ()
    (line,) = left_out_lines(layout.left_out)
    assert ": #snapshot, $Extend, @tmp, Recently Deleted, Zuletzt gel" in line
    assert named(labelled([tmp_path / "@tmp"], "Ada")) == {"k.jpg": "Ada"}, "named, it is taken"


def test_subject_takes_files_and_folders(tmp_path: Path) -> None:
    make(tmp_path, "IMG_1.jpg", "more/Bo/2.jpg")
    paths = [tmp_path / "more", tmp_path / "IMG_1.jpg"]
    assert told(tmp_path, *paths, subject="Ada") == [("more/Bo/2.jpg", "Ada"), ("IMG_1.jpg", "Ada")]


@pytest.mark.parametrize("subject", ["", " \t", "..", "a\nb", "Unknown", "Ada\u202e"])
def test_subject_must_be_a_name(tmp_path: Path, subject: str) -> None:
    make(tmp_path, "1.jpg")
    with pytest.raises(UsageError, match="name"):
        labelled([tmp_path], subject)


def test_clutter_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "Ada/1.jpg", "Ada/._1.jpg", "Ada/.DS_Store", "Ada/Thumbs.db", "Ada/notes.txt")
    make(tmp_path, "Ada/@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg", ".trash/Bo/1.jpg")
    assert told(tmp_path) == [("Ada/1.jpg", "Ada")]


def test_what_is_named_and_no_photo_is_a_problem(tmp_path: Path) -> None:
    make(tmp_path, "Ada.jpg", "notes.txt")
    (tmp_path / "empty").mkdir()
    given_paths = [tmp_path / name for name in ("notes.txt", "nowhere", "Ada.jpg", "empty")]
    layout = labelled(given_paths)
    assert [photo.subject for photo in layout.photos] == ["Ada"]
    assert [(Path(p.path).name, p.reason) for p in layout.problems] == [
        ("notes.txt", Reason.NOT_AN_IMAGE),
        ("nowhere", Reason.NOT_FOUND),
        ("empty", Reason.NOT_FOUND),
    ]


def test_nothing_usable_is_an_error_that_says_so(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="nowhere: not found"):
        labelled([tmp_path / "nowhere", tmp_path / "notes.txt", tmp_path / "empty"])
    with pytest.raises(InputError, match="no photos"):
        labelled([])


def test_links_are_followed_once(tmp_path: Path) -> None:
    make(tmp_path, "photos/Zoe/1.jpg", "elsewhere/2.jpg")
    top = tmp_path / "photos"
    (top / "Zoe" / "loop").symlink_to(top)
    (top / "Alias").symlink_to(top / "Zoe")
    (top / "Bo").symlink_to(tmp_path / "elsewhere")
    (top / "Zoe" / "again.jpg").symlink_to(top / "Zoe" / "1.jpg")
    assert told(tmp_path, top) == [("photos/Bo/2.jpg", "Bo"), ("photos/Zoe/1.jpg", "Zoe")]


def test_a_broken_link_is_a_problem(tmp_path: Path) -> None:
    make(tmp_path, "Ada/1.jpg")
    (tmp_path / "Ada" / "2.jpg").symlink_to("gone.jpg")
    layout = labelled([tmp_path])
    assert len(layout.photos) == 1
    assert [(p.path, p.reason) for p in layout.problems] == [
        (str(tmp_path / "Ada/2.jpg"), Reason.NOT_FOUND)
    ]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may enter every folder")
def test_a_closed_folder_is_a_problem(tmp_path: Path) -> None:
    make(tmp_path, "Ada/1.jpg", "Bo/1.jpg")
    (tmp_path / "Bo").chmod(0)
    try:
        layout = labelled([tmp_path])
    finally:
        (tmp_path / "Bo").chmod(0o700)
    assert [photo.subject for photo in layout.photos] == ["Ada"]
    assert layout.problems[0].reason is Reason.UNREADABLE


def test_a_file_reached_twice_counts_once(tmp_path: Path) -> None:
    make(tmp_path, "Ada/Ada_1.jpg")
    twice = [tmp_path, tmp_path / "Ada", tmp_path / "Ada" / ".." / "Ada" / "Ada_1.jpg"]
    assert told(tmp_path, *twice) == [("Ada/Ada_1.jpg", "Ada")]


def test_a_file_under_two_names_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    table = tmp_path / "who.csv"
    table.write_text("path,subject\na.jpg,Ada\nb.jpg,Bo\n./a.jpg,Cy\na.jpg,Ada\n")
    layout = labelled([table])
    assert [photo.subject for photo in layout.photos] == ["Bo"]
    assert len(layout.problems) == 1
    assert "'Ada' and 'Cy'" in layout.problems[0].detail


def test_order_does_not_come_from_the_file_system(tmp_path: Path) -> None:
    names = ["Zoe/1.jpg", "Ada/2.jpg", "Ada/10.jpg", "A-da/1.jpg", "E\u0301/1.jpg", "\u00c9/1.jpg"]
    for root, order in ((tmp_path / "x", names), (tmp_path / "y", names[::-1])):
        make(root, *order)
    assert told(tmp_path / "x") == told(tmp_path / "y")
    first = [path for path, _ in told(tmp_path / "x")][:3]
    assert first == ["A-da/1.jpg", "Ada/10.jpg", "Ada/2.jpg"]


@pytest.mark.parametrize("subject", ["unknown", "\u200b", "a\u0007"])
def test_a_folder_that_is_no_name(tmp_path: Path, subject: str) -> None:
    make(tmp_path, f"{subject}/1.jpg", "Ada/1.jpg")
    layout = labelled([tmp_path])
    assert [photo.subject for photo in layout.photos] == ["Ada"]
    assert "name" in layout.problems[0].detail


def test_names_compare_in_nfc_and_show_as_given(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "José")
    make(tmp_path, f"{nfd}/1.jpg", "José/2.jpg")
    layout = labelled([tmp_path])
    assert {photo.subject for photo in layout.photos} == {"José", nfd}
    assert {name_key(photo.subject) for photo in layout.photos} == {"José"}


def test_key() -> None:
    assert name_key("  Ada \u00a0\t Lovelace ") == "Ada Lovelace"
    assert name_key("ada") != name_key("Ada")
    assert name_key("Ö") == name_key("O\u0308")


@given(st.text())
def test_key_is_its_own_key(name: str) -> None:
    assert (
        name_key(name_key(name)) == name_key(name) == name_key(unicodedata.normalize("NFD", name))
    )


@pytest.mark.parametrize(
    "text",
    [
        "path,subject\nx/1.jpg,Ada Lovelace\nx/2.jpg,Bo\n",
        "\ufeffFile Name;Person\r\nx/1.jpg;Ada Lovelace\r\nx/2.jpg; Bo \r\n",
        "label\timage\nAda Lovelace\tx/1.jpg\n\n\nBo\tx/2.jpg\n",
        'x/1.jpg, "Ada Lovelace"\n./x/2.jpg, Bo\n',
        "\ufeffAda Lovelace;x/1.jpg\nBo;x/2.jpg",
        "id,img,name,note\n7,x\\1.jpg,Ada Lovelace,\n8,x/2.jpg,Bo\n,,,\n",
        "path,subject\rx/1.jpg,Ada Lovelace\rx/2.jpg,Bo\r",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_tables(tmp_path: Path, text: str, encoding: str) -> None:
    make(tmp_path, "x/1.jpg", "x/2.jpg")
    table = tmp_path / "who.csv"
    table.write_bytes(text.removeprefix("\ufeff" * (encoding != "utf-8")).encode(encoding))
    assert told(tmp_path, table) == [("x/1.jpg", "Ada Lovelace"), ("x/2.jpg", "Bo")]


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("id,path,person_name\n101,1.jpg,Ada\n102,2.jpg,Bo\n", "'person_name'"),
        ("image_id,file_name,class,employee\n1,1.jpg,A,Ada\n2,2.jpg,A,Bo\n", "'employee'"),
        ("path,label,Full Name\n1.jpg,0,Ada\n2.jpg,1,Bo\n", "'Full Name'"),
        ("photo_path,customer_name\n1.jpg,Ada\n2.jpg,Bo\n", "'customer_name'"),
        ("path,label\n1.jpg,Ada\n2.jpg,Bo\n", "'label'"),
        ("id,image\nAda,1.jpg\nBo,2.jpg\n", "'id'"),
        ("1.jpg,Ada\n2.jpg,Bo\n", "'column 2'"),
    ],
)
def test_which_column_was_taken_is_told(tmp_path: Path, text: str, taken: str) -> None:
    make(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "who.csv").write_text(text)
    layout = labelled([tmp_path / "who.csv"])
    assert named(layout) == {"1.jpg": "Ada", "2.jpg": "Bo"}
    (note,) = layout.notes
    assert note.endswith(f"people by {taken}")


@pytest.mark.parametrize(
    ("titles", "taken"),
    [
        ("id;photo;first_name;last_name", "'first_name' and 'last_name'"),
        ("id;photo;Vorname;Nachname", "'Vorname' and 'Nachname'"),
        ("class;photo;name;surname", "'name' and 'surname'"),
    ],
)
def test_first_and_last_name_are_one(tmp_path: Path, titles: str, taken: str) -> None:
    make(tmp_path, "1.jpg")
    (tmp_path / "who.csv").write_text(f"{titles}\n1;1.jpg;Laura;Bush\n")
    layout = labelled([tmp_path / "who.csv"])
    assert named(layout) == {"1.jpg": "Laura Bush"}
    assert layout.notes[0].endswith(taken)


@pytest.mark.parametrize(
    ("titles", "message"),
    [
        ("path,id,department", "'id' may name people or not, and 'department' may"),
        ("id,class,path", "'class' may name people or not, and 'id' may"),
        ("path,department,age", "of 'department', 'age' none is known to name people"),
    ],
)
def test_a_column_that_may_be_no_name_is_not_guessed(
    tmp_path: Path, titles: str, message: str
) -> None:
    make(tmp_path, "1.jpg")
    (tmp_path / "who.csv").write_text(f"{titles}\n1.jpg,1.jpg,1.jpg\n")
    with pytest.raises(InputError, match=message) as caught:
        labelled([tmp_path / "who.csv"])
    assert "'subject'" in str(caught.value)


@pytest.mark.parametrize("bom", [b"", b"\xff\xfe"])
@pytest.mark.parametrize("order", ["le", "be"])
def test_excel_s_own_ways(tmp_path: Path, bom: bytes, order: str) -> None:
    make(tmp_path, "1.jpg", "2.jpg")
    table = tmp_path / "who.csv"
    for first in ("sep=;\r\n", '"sep=;"\n', ""):
        text = f"{first}path;subject\r\n1.jpg;Zoë, Ada\r\n2.jpg;\u738b\r\n"
        mark = bom if order == "le" else bom[::-1]
        table.write_bytes(mark + text.encode(f"utf-16-{order}"))
        assert named(labelled([table])) == {"1.jpg": "Zoë, Ada", "2.jpg": "\u738b"}
        table.write_bytes(text.encode())
        assert named(labelled([table])) == {"1.jpg": "Zoë, Ada", "2.jpg": "\u738b"}
    table.write_text("sep=;\npath;subject\ngone.jpg;Ada\n1.jpg;Bo\n")
    assert labelled([table]).problems[0].detail.startswith("line 3 ")


def test_a_comma_in_a_name_does_not_mislead(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg")
    (tmp_path / "who.csv").write_text("1.jpg;Lovelace, Ada\n")
    assert told(tmp_path, tmp_path / "who.csv") == [("1.jpg", "Lovelace, Ada")]


def test_a_table_may_name_folders(tmp_path: Path) -> None:
    make(tmp_path, "one/IMG_1.jpg", "one/deep/IMG_2.jpg")
    (tmp_path / "who.csv").write_text("path,subject\none,Ada\n")
    assert {subject for _, subject in told(tmp_path, tmp_path / "who.csv")} == {"Ada"}


def test_rows_that_fail_are_named(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", "2.jpg")
    table = tmp_path / "who.csv"
    table.write_text(
        'path,subject\n1.jpg,Ada\n"gone\nfar.jpg",Bo\n2.jpg,\n,Cy\n2.jpg\nhttp://x/y.jpg,Di\n'
    )
    layout = labelled([table])
    assert [photo.subject for photo in layout.photos] == ["Ada"]
    assert [problem.detail.split(" of ")[0] for problem in layout.problems] == [
        "line 3",
        "line 5",
        "line 6",
        "line 7",
        "line 8",
    ]
    assert "names no photo" in layout.problems[2].detail
    url = layout.problems[-1]
    assert url.path == "http://x/y.jpg" and "a URL: nothing is fetched" in url.detail


@pytest.mark.parametrize(
    ("file", "said"),
    [("who.xlsx", "a spreadsheet: save it as CSV"), ("who.txt", "a table is called .csv or .tsv")],
)
def test_a_table_under_another_name_is_told_what_it_must_be(
    tmp_path: Path, file: str, said: str
) -> None:
    (tmp_path / file).write_bytes(b"PK\3\4" if file == "who.xlsx" else b"path,subject\n")
    with pytest.raises(InputError, match=said):
        labelled([tmp_path / file])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"colour,size\nred,1\n", "colour, size; expected the columns path,subject"),
        (b"", "expected the columns"),
        ("path,subject\n1.jpg,José\n".encode("latin-1"), "UTF-8"),
        (b'path,subject\n"1.jpg,Ada\n', "quotes"),
        (b"Name,path,name\nAda,1.jpg,Bo\n", "two columns are called 'Name'"),
    ],
)
def test_a_table_that_is_not_understood(tmp_path: Path, content: bytes, message: str) -> None:
    make(tmp_path, "1.jpg")
    (tmp_path / "who.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        labelled([tmp_path / "who.csv"])


FILE_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0\\"), max_size=20
).map(lambda text: f"x{text}.jpg")
SUBJECTS = st.text(max_size=20).filter(lambda name: name_fault(name) is None)


@given(
    table=st.dictionaries(FILE_NAMES, SUBJECTS, min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    ending=st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_table_written_in_any_dialect_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    table: dict[str, str],
    delimiter: str,
    ending: tuple[str, int],
    encoding: str,
) -> None:
    root = tmp_path_factory.mktemp("dialect")
    make(root, *table)
    with (root / "who.csv").open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=ending[0], quoting=ending[1])
        writer.writerow(["photo", "name"])
        writer.writerows(table.items())
    layout = labelled([root / "who.csv"])
    assert layout.problems == ()
    assert {p.path.name: p.subject for p in layout.photos} == {
        file: subject.strip() for file, subject in table.items()
    }


def test_lookup_tries_the_other_normal_form(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "José.jpg")
    make(tmp_path, nfd)
    found = Lookup(tmp_path)("José.jpg")
    assert found is not None
    assert found.samefile(tmp_path / nfd)


def test_lookup_gives_one_path_a_file(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg")
    (tmp_path / "b.jpg").symlink_to("a/1.jpg")
    (tmp_path / "c").symlink_to("a")
    lookup = Lookup(tmp_path)
    first = lookup("a/1.jpg")
    assert first == tmp_path / "a/1.jpg"
    assert all(lookup(name) is first for name in ("./a/1.jpg", "b.jpg", "c/1.jpg", "a/../a/1.jpg"))
    assert [lookup(name) for name in ("a", "", "gone.jpg", "a\0b", "n" * 999)] == [None] * 5


def test_photos_keep_the_order_given(tmp_path: Path) -> None:
    make(tmp_path, "z.jpg", "IMG_1.jpg", "album/b/2.jpg", "album/a/1.jpg", "no-suffix")
    names = ("z.jpg", "album", "no-suffix", "IMG_1.jpg", "z.jpg")
    found = photos([tmp_path / name for name in names])
    assert [path.relative_to(tmp_path).as_posix() for path in found.paths] == [
        "z.jpg",
        "album/a/1.jpg",
        "album/b/2.jpg",
        "no-suffix",
        "IMG_1.jpg",
    ]
    assert found.problems == ()


def test_photos_that_are_not_there_are_failures(tmp_path: Path) -> None:
    make(tmp_path, "who.csv")
    found = photos([tmp_path / "gone.jpg", tmp_path / "who.csv"])
    assert found.paths == ()
    assert [failure.reason for failure in found.problems] == [Reason.NOT_FOUND, Reason.NOT_AN_IMAGE]
