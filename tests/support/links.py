"""Commands that open a gallery through a link, beside the same commands on the file itself.

links/...            only links, by which it is named
real/g, real/...     the gallery and what lies beside it
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from support.cuts import (
    ENCRYPT,
    GONE,
    TRACES,
    InProcess,
    Place,
    behind,
    encrypted,
    gallery,
    stale,
    to_be_encrypted,
    words_purge,
)

Words = Callable[[Place], list[str | Path]]


def _relative(links: Path, target: Path) -> Path:
    (links / "g").symlink_to(os.path.relpath(target, links))
    return links / "g"


def _absolute(links: Path, target: Path) -> Path:
    (links / "g").symlink_to(target)
    return links / "g"


def _chained(links: Path, target: Path) -> Path:
    """A link to a link to a link in another folder."""
    (links / "further").mkdir()
    (links / "further" / "c").symlink_to(target)
    (links / "b").symlink_to("further/c")
    (links / "g").symlink_to(links / "b")
    return links / "g"


def _another_name(links: Path, target: Path) -> Path:
    (links / "people").symlink_to(target)
    return links / "people"


def _folder(links: Path, target: Path) -> Path:
    """The gallery is a file, in a folder that is a link."""
    (links / "d").symlink_to(target.parent)
    return links / "d" / "g"


def _folder_and_file(links: Path, target: Path) -> Path:
    (links / "d").symlink_to(target.parent)
    (links / "g").symlink_to("d/g")
    return links / "g"


KINDS = {
    "relative": _relative,
    "absolute": _absolute,
    "chained": _chained,
    "another name": _another_name,
    "folder": _folder,
    "folder and file": _folder_and_file,
}


def _on(*words: str) -> Words:
    return lambda place: [*words, "-g", place.gallery]


def _into(*words: str) -> Words:
    return lambda place: [*words, place.more / "out", "-g", place.gallery]


COMMANDS: dict[str, tuple[Callable[[Place], object], Words]] = {
    "list": (gallery, _on("gallery", "list")),
    "check": (gallery, _on("gallery", "check")),
    "remove": (gallery, _on("gallery", "remove", GONE)),
    "undo": (gallery, _on("gallery", "undo")),
    "purge": (gallery, lambda place: words_purge(place)[:5]),
    "purge --all": (gallery, _on("gallery", "purge", "--all", "--yes")),
    "repair": (stale, _on("gallery", "check", "--repair")),
    "backup": (gallery, _into("gallery", "backup")),
    "export": (gallery, _into("gallery", "export")),
    "copy": (gallery, lambda place: ["gallery", "copy", place.gallery, place.more / "out"]),
    "log": (behind, _on("gallery", "log", "--on")),
    "encrypt": (to_be_encrypted, ENCRYPT[0]),
    "decrypt": (
        encrypted,
        lambda place: [
            "gallery", "decrypt", "-g", place.gallery, "--key-file", place.more / "key"
        ],
    ),
}  # fmt: skip


def attack(folder: Path, kind: str, command: str, facecli: InProcess) -> None:
    """Raise AssertionError where a link makes a difference, or something is made beside it."""
    before, words = COMMANDS[command]
    found = []
    for name in ("straight", "linked"):
        place = Place(folder / name / "real", folder / name / "more", facecli)
        links = folder / name / "links"
        for made in (place.here, place.more, links):
            made.mkdir(parents=True)
        before(place)
        inode = place.gallery.stat().st_ino
        called, there = place.gallery, place
        if name == "linked":
            called = KINDS[kind](links, place.gallery)
            there = Place(links, place.more, facecli, name=str(called.relative_to(links)))
        seen = sorted(links.rglob("*"))
        done = facecli(*words(there))
        assert sorted(links.rglob("*")) == seen, "something was made beside the link"
        assert all(path.is_symlink() or path.is_dir() for path in seen)
        assert called.samefile(place.gallery), "the link was replaced"
        if command.startswith("purge"):
            assert place.holds(*TRACES) == []
        if command == "encrypt":
            assert place.holds(b"Somebody") == []
        moved = place.gallery.stat().st_ino != inode
        names = sorted(re.sub(r"\d+", "N", path.name) for path in place.here.iterdir())
        more = sorted(path.name for path in place.more.iterdir())
        found.append((done.code, names, more, moved))
    assert found[0] == found[1] and found[0][0] == 0, found
