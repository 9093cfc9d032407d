"""Which files below a folder are photos: by what they hold, not by their names. The rest is told.

A file that is named as photos are is taken for one; `recognition.images` says what is wrong with
it if it is none. Of all others the first bytes decide.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from facecli.common.enums import Reason
from facecli.common.file_kinds import CLIP_SUFFIXES, UNKNOWN, Family, FileKind, kind_of, reads_raw
from facecli.common.types import FailureToAcquire

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
    | {".heic", ".heif", ".avif", ".pbm", ".pgm", ".ppm", ".pnm"}
)
MOST_NAMED = 5  # kinds of files, and folders, that a line names

# Folders and files that systems make beside people's own: nobody misses them.
_SYSTEMS = frozenset(
    {"@eadir", "@recycle", "#recycle", "$recycle.bin", "recycler", "recycled", "__macosx"}
    | {"lost+found", "system volume information", "found.000", "network trash folder"}
    | {"temporary items", "_gsdata_"}
)
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "icon\r"})
# By what storage systems, shells and editors call folders of their own begin: @tmp, #snapshot;
# and where what was deleted lies, which must not come back as a person.
_SYSTEM_NAME = re.compile(
    r"[@#~$]\w|(?:recycle bin|trash|deleted items|recently deleted|zuletzt gelöscht|papierkorb"
    r"|corbeille|papelera(?: de reciclaje)?|cestino|lixeira|prullenbak|корзина|回收站|ゴミ箱"
    r"|휴지통)$"
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not taken for a photo, or a folder that was passed over.

    kind: for people, `MOV`, `CR2 beside its JPEG`; empty for a folder. needs_extra: a raw file,
    which the extra would read.
    """

    path: Path
    kind: str = ""
    needs_extra: bool = False


def photos_below(top: Path, moving: bool = False) -> Iterator[Path | FailureToAcquire | LeftOut]:
    """Photos at any depth, sorted by name in NFC; each folder once, so that link loops end.

    moving: whether clips are taken, too, and what is called like one: the decoder will tell.
    What begins with a dot is hidden, and not looked at. A raw file beside a photo of the same name
    is another copy of it.
    """
    found: list[Path] = []
    folders, links, seen = [top], list[Path](), set[str]()
    while folders or links:
        # Links last: a folder is better known by its own name.
        here = folders.pop() if folders else links.pop()
        if (real := os.path.realpath(here)) in seen:
            continue
        seen.add(real)
        try:
            inside = sorted(here.iterdir(), reverse=True)
        except OSError as error:
            yield FailureToAcquire(str(here), Reason.UNREADABLE, error.strerror or "")
            continue
        files: list[Path] = []
        for path in inside:
            known = unicodedata.normalize("NFC", path.name).casefold()
            if known.startswith(".") or known in _SYSTEMS or known in _SYSTEM_FILES:
                continue
            if not is_folder(path):
                files.append(path)
            elif _SYSTEM_NAME.match(known):
                yield LeftOut(path)
            else:
                (links if path.is_symlink() else folders).append(path)
        for item in _judged(files, moving):
            if isinstance(item, LeftOut):
                yield item
            else:
                found.append(item)
    for path in sorted(found, key=_order):
        there = os.access(path, os.F_OK)
        yield path if there else FailureToAcquire(str(path), Reason.NOT_FOUND, "a broken link")


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """What was left out and passed over, in a line each; empty where nothing was."""
    lines = []
    kinds = Counter(item.kind for item in left_out if item.kind)
    if count := kinds.total():
        most = sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))
        listed = _listed([f"{n:,} {kind}" for kind, n in most])
        one = "1 file" if count == 1 else f"{count:,} files"
        hint = any(item.needs_extra for item in left_out)
        lines.append(
            f"left out {one}: {listed}: not photos that can be read"
            + ("; raw files can, after pip install 'facecli[raw]'" if hint else "")
        )
    folders = sorted({item.path.name for item in left_out if not item.kind})
    if folders:
        lines.append(f"passed over what is named as a system's own folders: {_listed(folders)}")
    return lines


def is_folder(path: Path) -> bool:
    """Whether it is one, or a link to one."""
    return os.path.isdir(path)  # noqa: PTH112 (Path's raises where one may not look)


def _judged(files: Sequence[Path], moving: bool) -> Iterator[Path | LeftOut]:
    """Of the files of one folder, the photos, and why the others are none."""
    named = {path for path in files if path.suffix.lower() in SUFFIXES}
    stems = {path.stem.casefold() for path in named}
    yield from (path for path in files if path in named)
    for path in files:
        if path in named:
            continue
        kind = kind_of(path) or UNKNOWN  # not regular, not readable: no photo by its name either
        raw = kind.family is Family.RAW
        if (
            (moving and (kind.family is Family.VIDEO or path.suffix.lower() in CLIP_SUFFIXES))
            or kind.family is Family.PHOTO
            or (raw and reads_raw() and path.stem.casefold() not in stems)
        ):
            yield path
        elif raw and path.stem.casefold() in stems:
            yield LeftOut(path, f"{_called(path, kind)} beside its JPEG")
        else:
            yield LeftOut(path, _called(path, kind), needs_extra=raw)


def _called(path: Path, kind: FileKind) -> str:
    """What people call such a file: by its name's ending, which they see, else by its kind."""
    ending = path.suffix.removeprefix(".")
    if 0 < len(ending) <= 5 and ending.isalnum() and not ending.isdigit():
        return ending.upper()
    return kind.name or "without a known ending"


def _listed(items: Sequence[str]) -> str:
    more = len(items) - MOST_NAMED
    return ", ".join(items[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _order(path: Path) -> tuple[list[str], str]:
    return [unicodedata.normalize("NFC", part) for part in path.parts], str(path)
