"""Names made to deceive: each is just a name, escaped where it must be, or clearly refused."""

from __future__ import annotations

import csv
import html
import io
import json
import shutil
from pathlib import Path

import pytest
from support import galleries
from support.sandbox import Facecli

TAKEN = (
    "'); DROP TABLE subject;--",
    '" OR 1=1 --',
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "$\\frac{1}{0$ ^_%&#",
    '=HYPERLINK("http://x")',
    "-rf --help",
    "../../etc/passwd",
    "%s %n %d",
    "\\x1b[31mred",
    "NULL",
    "L" * 10_000,
    "e\u0301" * 50,
)
REFUSED = (
    "\x1b[31mred",
    "a\u202egpj",
    "two\nlines",
    "   ",
    "..",
    ".",
    "",
    "\u200b",
    "a\rb",
    "\x9b2J",
)


@pytest.fixture(scope="module")
def named(
    facecli: Facecli, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Path]]:
    """A gallery of these names, two people in turn, and a photo of each name."""
    folder = tmp_path_factory.mktemp("named")
    people = (galleries.hopper(), galleries.collins())
    photos = {name: folder / f"{number}.jpg" for number, name in enumerate(TAKEN)}
    with (folder / "people.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(("path", "subject"))
        for number, (name, photo) in enumerate(photos.items()):
            photo.write_bytes(galleries.variant(people[number % 2], number))
            writer.writerow((photo.name, name))
    done = facecli("enroll", folder / "people.csv", "-g", folder / "g", "--json")
    assert json.loads(done.out)["enrolled"] == len(TAKEN)
    return folder / "g", photos


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_what_is_no_name_is_refused_with_its_escapes_shown(
    facecli: Facecli, good: Path, tmp_path: Path, name: str
) -> None:
    said = facecli.refused(2, "enroll", good, "-s", name, "-g", tmp_path / "g")
    assert "name" in said and len(said.splitlines()) == 1
    assert not (tmp_path / "g").exists()
    with (tmp_path / "people.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([("path", "subject"), (good, name), (good, "Grace")])
    done = facecli("enroll", tmp_path / "people.csv", "-g", tmp_path / "g", "--json")
    assert [row["subject"] for row in json.loads(done.out)["photos"]] == ["Grace", None]


@pytest.mark.slow
def test_every_name_comes_back_as_it_is(facecli: Facecli, named: tuple[Path, dict]) -> None:
    gallery, photos = named
    rows = json.loads(facecli("gallery", "list", "-g", gallery, "--json").out)
    assert {row["subject"] for row in rows} == set(TAKEN)
    for name in TAKEN[:3]:
        (row,) = json.loads(facecli("gallery", "show", "-g", gallery, "--json", "--", name).out)
        assert (row["subject"], row["path"]) == (name, str(photos[name]))
    table = facecli("gallery", "list", "-g", gallery).out
    assert len(table.splitlines()) == 2 + len(TAKEN)
    assert all(name in table for name in TAKEN if "\u0301" not in name)


@pytest.mark.parametrize("form", ["--json", "--jsonl", "--csv", None])
def test_identify_prints_them_as_they_are(
    facecli: Facecli, named: tuple[Path, dict], form: str | None
) -> None:
    gallery, photos = named
    options = [form] if form else []
    done = facecli("identify", *photos.values(), "-g", gallery, "--threshold", "0.9", *options)
    assert done.code == 0
    if form is None:
        assert (
            len(done.out.splitlines()) == len(TAKEN) + 6
        )  # two lines above, two titles, two below
        found = [name for name in TAKEN if name in done.out]
        assert len(found) >= len(TAKEN) - 1  # the combining name may be composed
        return
    if form == "--csv":
        rows = list(csv.DictReader(io.StringIO(done.out)))
    else:
        rows = json.loads(done.out if form == "--json" else f"[{','.join(done.out.splitlines())}]")
    formulas = {name: f"'{name}" for name in TAKEN if form == "--csv" and name[0] in "=-"}
    assert len(formulas) == (2 if form == "--csv" else 0)
    assert [row["subject"] for row in rows] == [formulas.get(name, name) for name in TAKEN]


def test_the_audit_page_escapes_them(facecli: Facecli, good: Path, tmp_path: Path) -> None:
    """One photo under every name is a finding that shows all of them."""
    with (tmp_path / "people.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([("path", "subject")])
        for number, name in enumerate(TAKEN):
            shutil.copy(good, tmp_path / f"{number}.jpg")
            csv.writer(table).writerow((f"{number}.jpg", name))
    assert facecli("enroll", tmp_path / "people.csv", "-g", tmp_path / "g").code == 0
    done = facecli("gallery", "audit", "-g", tmp_path / "g", "--report", tmp_path / "a.html")
    assert done.code == 0 and TAKEN[0] in done.out
    escaped(tmp_path / "a.html")
    fix = facecli("gallery", "audit", "-g", tmp_path / "g", "--fix").out
    assert all(line.startswith(("#", "facecli ")) for line in fix.splitlines())


def test_the_evaluation_page_escapes_them(facecli: Facecli, tmp_path: Path) -> None:
    """Folders cannot hold a slash: closing tags come from the file names of a table's pairs."""
    photos = tmp_path / "photos <script>alert(1)<"
    names = [name.replace("/", "\u2215") for name in TAKEN[2:6]]
    people = (galleries.hopper(), galleries.collins())
    for number, name in enumerate(names):
        galleries.write_variants(photos / name, people[number % 2], 2, first=2 * number)
    done = facecli(
        "evaluate", photos, "--report", tmp_path / "e.html", "--plots", tmp_path / "plots"
    )
    assert done.code == 0, done.err
    escaped(tmp_path / "e.html")
    assert all(b"<script" not in svg.read_bytes() for svg in (tmp_path / "plots").glob("*.svg"))


def escaped(page: Path) -> None:
    """No tag of the names', but the names as text."""
    text = page.read_text("utf-8")
    assert "<script" not in text and "<img src=x" not in text and "onerror=alert(1)>" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "{{ 7 * 7 }}" in html.unescape(text) and "49 {%" not in text
    assert not set(text) & set("\x1b\u202e\x9b")
