"""The photos that users have, and whose they are: folders, flat files, tables.

The file system and the alphabet are taken as they come: order is sorted by name, names are
compared in NFC, links are followed once. Whether a file really is a photo is not known here:
`recognition.images` finds that out when it reads it.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from facecli.common.enums import Reason
from facecli.common.errors import InputError, UsageError
from facecli.common.names import name_fault, name_key
from facecli.common.types import FailureToAcquire
from facecli.datasets import clips
from facecli.datasets.csv_tables import Columns, Lookup, column, plain, rows

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
    | {".heic", ".heif", ".avif"}
)
_TABLES = frozenset({".csv", ".tsv"})
_CLUTTER = frozenset({"@eadir", "__macosx", "#recycle", "$recycle.bin", "lost+found"})
_NAMELESS = Reason.NO_NAME
_NOTHING_THERE = frozenset({Reason.NOT_FOUND, Reason.NOT_AN_IMAGE})

# Titles of columns, by `plain`, the likeliest first.
_PATH = ("path", "filepath", "imagepath", "file", "filename", "image", "photo", "img", "picture")
_SUBJECT = ("subject", "name", "person", "identity", "label", "class", "id", "subjectid")

# One counter at the end: Ada_1, Ada_0001, Ada-2, Ada 3, Ada (3).
_COUNTER = re.compile(r"(?:[_\- ]+\d+|\s*\(\d+\))$")
# What cameras, telephones, messengers and scripts call files, with or without a number or date.
_DEVICE = (
    r"_?img|imgp|fb_img|mvimg|_?dsc|dscn|dscf|_mg|pxl|pict|cimg|hpim|kimg|gopr|vid|video|frame|"
    r"images?|pictures?|pics?|photos?|fotos?|bild|imagen|immagine|selfie|portrait|avatar|scan|"
    r"screen ?shot|bildschirmfoto|capture d.écran|captura de pantalla|whatsapp image|signal|"
    r"received|mmexport|kakaotalk|line_album|微信图片|图片|照片|截图|写真|画像|スクリーンショット|"
    r"사진|스크린샷|untitled|unnamed|download|file|faces?|person|people|subject|user|sample"
)
_NOBODY = re.compile(
    rf"(?:{_DEVICE})(?:[\W_]*(?:e|at|from|vom)?[\W_]*\d.*|[\W_]*)"
    r"|p[\W_]*\d{4,}.*|wa\d{4,}|.*burst\d{8,}.*"
    r"|[\W\d_]+[a-z]?"  # digits, dates, 469823984_1234567890_n
    r"|(?=.*\d)[0-9a-f]{8,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.DOTALL,
)
# Folders that hold people's folders or a camera's, never one person. Val may be somebody.
_ALBUM = re.compile(
    r"train|test|val|valid|validation|dev"
    r"|(?i:images?|photos?|pictures?|faces?|dcim|camera|camera roll|screenshots|downloads?)"
    r"|[1-9]\d\d[A-Z_]{5}"
)
_SAY_WHO = "add --subject NAME, or keep photos as NAME/photo.jpg and give the folder above NAME"

Found = Iterator["LabelledPhoto | FailureToAcquire"]


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo and the name of who is on it, as given: compare names by `key`."""

    path: Path
    subject: str


@dataclass(frozen=True, slots=True)
class LabelledPhotos:
    """photos: each file once, in a stable order. problems: what was left out, and why."""

    photos: tuple[LabelledPhoto, ...]
    problems: tuple[FailureToAcquire, ...]


def labelled(
    paths: Sequence[Path], subject: str | None = None, moving: bool = False
) -> LabelledPhotos:
    """The photos to enrol below `paths`, each with its subject.

    An argument is one of
    - a folder: `<Name>/...` at any depth is Name's; `<Name>.jpg`, `<Name>_1.jpg`, `<Name> (2).jpg`
      directly in it are Name's, one counter stripped; both may stand side by side;
    - a photo, named like the latter;
    - a table (.csv, .tsv) of `path,subject`, paths (photos or folders) relative to it.
    With `subject`, all photos are that subject's, whatever their names.

    A file that two arguments or links lead to counts once; under two subjects' names it is left
    out as a problem, for nobody can tell which is right.
    moving: whether clips are taken like photos: of any file what it holds decides.

    Raises InputError where there is no photo at all or a table cannot be understood, UsageError
    where `subject` is no name.
    """
    if subject is not None and (fault := name_fault(subject)):
        raise UsageError(f"--subject {subject!r}: {fault}")
    layout = _once(found for path in paths for found in _below(path, subject, moving))
    if not layout.photos and all(p.reason in _NOTHING_THERE for p in layout.problems):
        raise InputError("no photos found" + _listed(layout.problems))
    return layout


def photos(
    paths: Sequence[Path], moving: bool = False
) -> tuple[list[Path], list[FailureToAcquire]]:
    """The photos below `paths`: files as given and in that order, folders in sorted order.

    moving: clips, too, see `labelled`.
    A file reached twice is taken once. What is not there or no photo by its name is a failure.
    """
    layout = _once(found for path in paths for found in _below(path, "anybody", moving))
    return [photo.path for photo in layout.photos], list(layout.problems)


def _listed(problems: Sequence[FailureToAcquire]) -> str:
    lines = [f"\n  {p.path}: {p.reason}{'; ' + p.detail if p.detail else ''}" for p in problems]
    return "".join(lines[:5]) + (f"\n  and {len(lines) - 5} more" if len(lines) > 5 else "")


def _once(found: Iterable[LabelledPhoto | FailureToAcquire]) -> LabelledPhotos:
    """Each file once, and none that goes under two names."""
    chosen: dict[str, LabelledPhoto] = {}
    rivals: dict[str, LabelledPhoto] = {}
    problems: dict[FailureToAcquire, None] = {}
    for item in found:
        if isinstance(item, FailureToAcquire):
            problems[item] = None
            continue
        file = os.path.realpath(item.path)
        first = chosen.setdefault(file, item)
        if name_key(first.subject) != name_key(item.subject):
            rivals.setdefault(file, item)
    for file, rival in rivals.items():
        first = chosen.pop(file)
        detail = f"labelled both {first.subject!r} and {rival.subject!r}: give it one name"
        problems[FailureToAcquire(str(first.path), _NAMELESS, detail)] = None
    return LabelledPhotos(tuple(chosen.values()), tuple(problems))


def _below(path: Path, subject: str | None, moving: bool) -> Found:
    """What one argument leads to; `subject` overrules every name."""
    if _is_dir(path):
        yield from _folder(path, subject, moving)
    elif not os.access(path, os.F_OK):
        yield FailureToAcquire(str(path), Reason.NOT_FOUND, "check the spelling of the path")
    elif path.suffix.lower() in _TABLES and subject is None:
        yield from _table(path, moving)
    elif path.suffix.lower() not in SUFFIXES | {""} and not (moving and _may_be_clip(path)):
        # Without a suffix it may be anything, /dev/fd/63 included: the decoder will tell.
        yield FailureToAcquire(str(path), Reason.NOT_AN_IMAGE, "its name ends like no photo's")
    else:
        yield _labelled(path, _flat_name(path) if subject is None else subject)


def _may_be_clip(path: Path) -> bool:
    """A clip, or what is called like one, which the decoder will tell."""
    return path.suffix.lower() in clips.SUFFIXES or clips.is_clip(path)


def _folder(folder: Path, subject: str | None, moving: bool) -> Found:
    empty = True
    for item in _walk(folder, moving):
        empty = False
        if isinstance(item, FailureToAcquire):
            yield item
        elif subject is not None:
            yield LabelledPhoto(item, subject)
        else:
            first, *deeper = item.relative_to(folder).parts
            name = (None if _ALBUM.fullmatch(first) else first) if deeper else _flat_name(item)
            yield _labelled(item, name)
    if empty:
        yield FailureToAcquire(str(folder), Reason.NOT_FOUND, "the folder holds no photos")


def _labelled(path: Path, name: str | None) -> LabelledPhoto | FailureToAcquire:
    if name is None:
        detail = f"neither file nor folder says who this is: {_SAY_WHO}"
        return FailureToAcquire(str(path), _NAMELESS, detail)
    if fault := name_fault(name):
        return FailureToAcquire(str(path), _NAMELESS, f"{fault}: {_SAY_WHO}")
    return LabelledPhoto(path, name)


def _flat_name(path: Path) -> str | None:
    """The subject that a file's own name gives, None where a device or a script named the file."""
    if _NOBODY.fullmatch(unicodedata.normalize("NFC", path.stem).casefold()):
        return None
    return _COUNTER.sub("", path.stem)


def _walk(top: Path, moving: bool) -> Iterator[Path | FailureToAcquire]:
    """Photos at any depth, sorted by name in NFC; each folder once, so that link loops end."""
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
        for path in inside:
            if path.name.startswith(".") or path.name.casefold() in _CLUTTER:
                continue
            if _is_dir(path):
                (links if path.is_symlink() else folders).append(path)
            elif path.suffix.lower() in SUFFIXES or (moving and _may_be_clip(path)):
                found.append(path)
    for path in sorted(found, key=_order):
        there = os.access(path, os.F_OK)
        yield path if there else FailureToAcquire(str(path), Reason.NOT_FOUND, "a broken link")


def _is_dir(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 (Path's raises where one may not look)


def _order(path: Path) -> tuple[list[str], str]:
    return [unicodedata.normalize("NFC", part) for part in path.parts], str(path)


def _table(path: Path, moving: bool) -> Found:
    """The rows of a `path,subject` table."""
    lookup = Lookup(path.parent)
    for line, (file, subject) in rows(path, _label_columns, "path,subject"):
        where = f"line {line} of {path.name}"
        photo = path.parent / file
        if fault := name_fault(subject):
            yield FailureToAcquire(str(photo), _NAMELESS, f"{where}: {fault}")
        elif found := lookup(file):
            yield from _below(found, subject.strip(), moving)
        elif file and _is_dir(photo):
            yield from _below(photo, subject.strip(), moving)
        else:
            yield FailureToAcquire(str(photo), Reason.NOT_FOUND, where)


def _label_columns(first: Sequence[str]) -> Columns | None:
    names = [plain(cell) for cell in first]
    file, subject = column(names, _PATH), column(names, _SUBJECT)
    if file is not None and subject is not None:
        return Columns((file, subject), header=True)
    photo = [Path(cell).suffix.lower() in SUFFIXES for cell in first]
    if len(photo) == 2 and photo[0] != photo[1]:
        return Columns((0, 1) if photo[0] else (1, 0), header=False)
    return None
