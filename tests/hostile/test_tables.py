"""Tables as no program should write them: read as meant, or refused in a line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from support.sandbox import Facecli

from facecli.common.errors import InputError
from facecli.datasets.labels import labelled
from facecli.datasets.pairs import read_pairs

MANY = 1_000_000
ROWS = "path,subject\na.jpg,Ada\nb.jpg,Bo\n"
READ = {
    "plain": ROWS.encode(),
    "BOM": b"\xef\xbb\xbf" + ROWS.encode(),
    "CRLF": ROWS.replace("\n", "\r\n").encode(),
    "CR": ROWS.replace("\n", "\r").encode(),
    "semicolons": ROWS.replace(",", ";").encode(),
    "tabs": ROWS.replace(",", "\t").encode(),
    "UTF-16": ROWS.encode("utf-16"),
    "quotes": b'"path","subject"\n"a.jpg","Ada"\n"b.jpg","Bo"',
    "blank lines": b"\n\n" + ROWS.replace("\n", "\n\n").encode(),
    "more columns": b"id,path,x,subject\n1,a.jpg,,Ada\n2,b.jpg,,Bo,,,\n",
    "short rows": ROWS.encode() + b"a.jpg\n,\n",
    "NUL in a row": ROWS.encode() + b"a\0.jpg,Cy\nb.jpg,C\0y\n",
    "a path upwards": ROWS.encode() + b"../../../../etc/passwd,Cy\n/dev/zero,Cy\n",
    "SQL": ROWS.encode() + b"x'; DROP TABLE subject;--,'); DROP TABLE subject;--\n",
}
REFUSED = {
    "empty": b"",
    "blank": b"\n\r\n \n",
    "only a header": b"path,subject\n",
    "one column": b"path\na.jpg\n",
    "other columns": b"when,where\n1,2\n",
    "quotes not closed": b'path,subject\n"a.jpg,Ada\nb.jpg,Bo\n',
    "text after a quote": b'path,subject\n"a.jpg"x,Ada\n',
    "Latin-1": "path,subject\na.jpg,Zoë\n".encode("latin-1"),
    "cut UTF-8": ROWS.encode() + "a.jpg,é".encode()[:-1],
    "NUL bytes": bytes(5000),
    "random bytes": bytes(range(256)) * 9,
    "a photo": b"\xff\xd8\xff\xe0" + bytes(3000),
    "a long line": b"path,subject\n" + b"x" * (1 << 21),
    "a long cell": b'path,subject\n"' + b"x\n" * (1 << 18) + b'",Ada\n',
}


@pytest.fixture
def folder(tmp_path: Path, good: Path) -> Path:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(good.read_bytes() + name.encode())
    return tmp_path


@pytest.mark.parametrize("kind", READ)
def test_people_are_read_as_meant(folder: Path, kind: str) -> None:
    (folder / "people.csv").write_bytes(READ[kind])
    layout = labelled([folder / "people.csv"])
    assert [(p.path.name, p.subject) for p in layout.photos if p.subject != "Cy"] == [
        ("a.jpg", "Ada"), ("b.jpg", "Bo"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_no_table_is_refused_in_a_line(folder: Path, kind: str) -> None:
    for name, read in (("people.csv", lambda p: labelled([p])), ("pairs.csv", read_pairs)):
        (folder / name).write_bytes(REFUSED[kind])
        with pytest.raises(InputError) as caught:
            read(folder / name)
        assert name in str(caught.value) or "no photos found" in str(caught.value)
        assert len(str(caught.value)) < 2000


DIGITS = "9" * 5000  # more than Python makes a number of


@pytest.mark.parametrize(
    "text",
    [
        f"10\nAda 1 {DIGITS}\nAda 1 2\n",
        f"{DIGITS}\nAda 1 2\n",
        f"10 {DIGITS}\nAda 1 2\n",
        "10 folds\nAda 1 2\n",
        f"file1,file2,same,fold\nAda/Ada_0001.jpg,Ada/Ada_0002.jpg,1,{DIGITS}\n",
    ],
    ids=["a photo's number", "a first line", "pairs a fold", "a word", "a fold"],
)
def test_numbers_that_are_none_cost_their_line_only(tmp_path: Path, good: Path, text: str) -> None:
    for number in (1, 2):
        photo = tmp_path / "Ada" / f"Ada_000{number}.jpg"
        photo.parent.mkdir(exist_ok=True)
        photo.write_bytes(good.read_bytes())
    (tmp_path / "pairs.txt").write_text(text)
    assert len(read_pairs(tmp_path / "pairs.txt").pairs) == 1


def test_the_commands_say_so_and_the_good_rows_are_enrolled(
    facecli: Facecli, folder: Path, enrolled: Path
) -> None:
    people = folder / "people.csv"
    people.write_bytes(READ["SQL"] + READ["a path upwards"][len(ROWS) :])
    done = facecli("enroll", people, "-g", folder / "g", "--json")
    assert (done.code, json.loads(done.out)["enrolled"]) == (0, 2)
    people.write_bytes(REFUSED["quotes not closed"])
    assert "quotes" in facecli.refused(3, "enroll", people, "-g", folder / "g")
    pairs = folder / "pairs.csv"
    pairs.write_bytes(REFUSED["random bytes"])
    facecli.refused(3, "threshold", "--calibrate", pairs, "-g", enrolled)
    facecli.refused(3, "evaluate", pairs)


@pytest.mark.parametrize("kind", ["fifo", "zero", "loop"])
def test_a_table_that_never_ends_is_refused(facecli: Facecli, folder: Path, kind: str) -> None:
    path = folder / "people.csv"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to({"zero": "/dev/zero", "loop": "people.csv"}[kind])
    facecli.refused(3, "enroll", path, "-g", folder / "g")
    facecli.refused(3, "evaluate", path)
    assert not (folder / "g").exists()


@pytest.mark.parametrize("rows", [MANY // 20, pytest.param(MANY, marks=pytest.mark.slow)])
def test_very_many_rows_take_bounded_time(folder: Path, rows: int) -> None:
    path = folder / "people.csv"
    path.write_text("path,subject\n" + "a.jpg,Ada\nnone.jpg,Bo\n" * (rows // 2))
    start = time.process_time()
    layout = labelled([path])
    assert [photo.subject for photo in layout.photos] == ["Ada"]
    assert len(layout.problems) == rows // 2
    assert time.process_time() - start < 60
    path.write_text("file1,file2,same\n" + "a.jpg,b.jpg,0\n" * rows)
    start = time.process_time()
    assert len(read_pairs(path).pairs) == 1
    assert time.process_time() - start < 60
