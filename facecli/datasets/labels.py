"""The photos that users have, and whose they are: folders, flat files, tables.

The file system and the alphabet are taken as they come: order is sorted by name, names are
compared in NFC, links are followed once. `photo_files` tells which files are photos, `names` whom
a folder or a file names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from statistics import median

from facecli.common.enums import Reason
from facecli.common.errors import InputError, UsageError
from facecli.common.file_kinds import Family, kind_of
from facecli.common.files import is_url, not_there
from facecli.common.names import name_fault, name_key
from facecli.common.types import FailureToAcquire
from facecli.datasets.csv_tables import Columns, Lookup, column, plain, read_table
from facecli.datasets.names import is_album, is_dubious, person_in_file_name, personal, spaced
from facecli.datasets.photo_files import SUFFIXES, LeftOut, is_folder, left_out_lines, photos_below

_TABLES = frozenset({".csv", ".tsv"})
_SPREADSHEETS = frozenset({".xlsx", ".xls", ".ods", ".numbers"})
_NAMELESS = Reason.NO_NAME
_NOTHING_THERE = frozenset({Reason.NOT_FOUND, Reason.NOT_AN_IMAGE})

# Titles of columns, by `plain`, the likeliest first. Others end so.
_PATH: tuple[str, ...] = (
    "path",
    "file",
    "filename",
    "image",
    "photo",
    "img",
    "picture",
    "pic",
    "foto",
    "bild",
)
_PATH += ("datei", "pfad", "fichier", "chemin", "archivo", "ruta", "imagename", "photoname")
_PATH_ENDS = ("path", "filename", "imagefile", "photofile", "dateiname")
_SUBJECT: tuple[str, ...] = (
    "subject",
    "subjectname",
    "personname",
    "fullname",
    "displayname",
    "person",
)
_SUBJECT += ("identity", "who", "employee", "student", "member", "customer", "player", "actor")
_SUBJECT += ("celebrity", "celeb", "individual", "name", "nom", "nombre")
_FIRST: tuple[str, ...] = (
    "firstname",
    "givenname",
    "forename",
    "first",
    "vorname",
    "prénom",
    "prenom",
    "name",
)
_FIRST += ("nombre",)
_LAST: tuple[str, ...] = (
    "lastname",
    "surname",
    "familyname",
    "last",
    "nachname",
    "nom",
    "apellidos",
    "apellido",
)
_LAST += ("cognome",)
_NO_PERSON = ("file", "image", "img", "photo", "pic", "foto", "bild", "user", "first", "last")
# They may number rows, groups or photos as well as people.
_WEAK: tuple[str, ...] = (
    "label",
    "class",
    "id",
    "subjectid",
    "personid",
    "employeeid",
    "studentid",
    "userid",
)
_WEAK += ("username", "user", "target", "cluster", "code", "number")
_EXPECTED = (
    "path,subject (the photo: path, file, image, photo, ...; who is on it: subject, name, person, "
    "full_name, employee, ..., or first_name and last_name)"
)

_SAY_WHO = "add --subject NAME, or keep photos as NAME/photo.jpg and give the folder above NAME"


class NamedBy(StrEnum):
    """Where a subject's name was read."""

    FOLDER = "the folder's name"
    FILE = "the files' names"
    TABLE = "a table"
    CALLER = "as given"


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo and the name of who is on it, as given: compare names by `key`."""

    path: Path
    subject: str
    named_by: NamedBy = NamedBy.CALLER


Found = Iterator[LabelledPhoto | FailureToAcquire | LeftOut]


@dataclass(frozen=True, slots=True)
class LabelledPhotos:
    """photos: each file once, in a stable order. problems: what was not taken, and why.

    left_out: files that are no photos by what they hold, and folders that were passed over.
    notes: what the user should know of how it was read, a line each.
    """

    photos: tuple[LabelledPhoto, ...]
    problems: tuple[FailureToAcquire, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundPhotos:
    """The same without names. paths: each file once."""

    paths: tuple[Path, ...]
    problems: tuple[FailureToAcquire, ...]
    left_out: tuple[LeftOut, ...]


def labelled(
    paths: Sequence[Path],
    subject: str | None = None,
    *,
    one_person: bool = True,
    moving: bool = False,
) -> LabelledPhotos:
    """The photos to enrol below `paths`, each with its subject.

    An argument is one of
    - a folder: `<Name>/...` at any depth is Name's. Photos straight in it are the folder's own
      person's where its name is written more like a person's than theirs are, and where several
      such folders are given, as a shell's `photos/*` does; else `<Name>.jpg`, `<Name>_1.jpg`,
      `<Name> (2).jpg` are Name's, one counter taken off;
    - a photo, named like the latter; photos of several folders are their folders' people's;
    - a table (.csv, .tsv) of `path,subject`, paths (photos or folders) relative to it.
    With `subject`, all photos are that subject's, whatever their names.
    one_person: whether a folder that is given may be one person's; False where it is known to
    hold many. moving: whether clips are taken like photos.

    A file that two arguments or links lead to counts once; under two subjects' names it is left
    out as a problem, for nobody can tell which is right.

    Raises InputError where there is no photo at all or a table cannot be understood, UsageError
    where `subject` is no name.
    """
    if subject is not None and (fault := name_fault(subject)):
        raise UsageError(f"--subject {subject!r}: {fault}")
    notes: list[str] = []
    layout = _once(_agreeing(_found(paths, subject, one_person, moving, notes)))
    if not layout.photos and all(p.reason in _NOTHING_THERE for p in layout.problems):
        lines = [*_listed(layout.problems), *left_out_lines(layout.left_out)]
        raise InputError("\n  ".join(["no photos found", *lines]))
    return replace(layout, notes=(*notes, *_doubts(layout.photos)))


def photos(paths: Sequence[Path], moving: bool = False) -> FoundPhotos:
    """The photos below `paths`: files as given and in that order, folders in sorted order.

    moving: clips, too.
    A file reached twice is taken once. What is not there or no photo is a problem.
    """
    found = _once(
        item for path in paths for item in _below(path, "anybody", NamedBy.CALLER, moving)
    )
    return FoundPhotos(tuple(p.path for p in found.photos), found.problems, found.left_out)


def _listed(problems: Sequence[FailureToAcquire]) -> list[str]:
    lines = [f"{p.path}: {p.reason}{'; ' + p.detail if p.detail else ''}" for p in problems]
    return lines[:5] + ([f"and {len(lines) - 5} more"] if len(lines) > 5 else [])


def _doubts(found: Sequence[LabelledPhoto]) -> Iterator[str]:
    """Names that may be an album's as well as a person's number."""
    names = {p.subject for p in found if p.named_by is NamedBy.FOLDER and is_dubious(p.subject)}
    if names:
        several = f"{len(names)} folders are named" if len(names) > 1 else "a folder is named"
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        shown = ", ".join(sorted(names)[:5]) + more
        yield (
            f"{several} by a number or a year, taken for a subject's name: {shown}; if these are "
            "albums, say who is on them with --subject"
        )


def _agreeing(found: Found) -> Found:
    """A name that files give is written as a folder has it, where one has: with its underscores."""
    items = list(found)
    folders = {
        name_key(spaced(item.subject)): item.subject
        for item in items
        if isinstance(item, LabelledPhoto) and item.named_by is NamedBy.FOLDER
    }
    for item in items:
        if isinstance(item, LabelledPhoto) and item.named_by is NamedBy.FILE:
            item = replace(item, subject=folders.get(name_key(item.subject), item.subject))
        yield item


def _once(found: Iterable[LabelledPhoto | FailureToAcquire | LeftOut]) -> LabelledPhotos:
    """Each file once, and none that goes under two names."""
    chosen: dict[str, LabelledPhoto] = {}
    rivals: dict[str, LabelledPhoto] = {}
    problems: dict[FailureToAcquire, None] = {}
    left_out: dict[LeftOut, None] = {}
    for item in found:
        if isinstance(item, FailureToAcquire):
            problems[item] = None
            continue
        if isinstance(item, LeftOut):
            left_out[item] = None
            continue
        file = os.path.realpath(item.path)
        first = chosen.setdefault(file, item)
        if name_key(first.subject) != name_key(item.subject):
            rivals.setdefault(file, item)
    for file, rival in rivals.items():
        first = chosen.pop(file)
        detail = f"labelled both {first.subject!r} and {rival.subject!r}: give it one name"
        problems[FailureToAcquire(str(first.path), _NAMELESS, detail)] = None
    return LabelledPhotos(tuple(chosen.values()), tuple(problems), tuple(left_out))


def _found(
    paths: Sequence[Path], subject: str | None, one_person: bool, moving: bool, notes: list[str]
) -> Found:
    """What all arguments lead to. subject: overrules every name. notes: is added to."""
    if subject is not None:
        for path in paths:
            yield from _below(path, subject, NamedBy.CALLER, moving)
        return
    folders = {path: list(_contents(path, moving)) for path in paths if is_folder(path)}
    straight = {path: _straight(path, found) for path, found in folders.items()}
    several = sum(map(bool, straight.values())) > 1
    homes = _homes([path for path in paths if path not in folders])
    for path in paths:
        if path in folders:
            own = _own_person(path, straight[path], several) if one_person else None
            yield from (_in_folder(path, item, own) for item in folders[path])
        elif path.suffix.lower() in _TABLES and os.access(path, os.F_OK):
            yield from _table(path, notes, moving)
        elif home := homes.get(path.parent):
            yield from _below(path, home, NamedBy.FOLDER, moving)
        else:
            yield from _below(path, person_in_file_name(path.stem), NamedBy.FILE, moving)


def _below(path: Path, subject: str | None, named_by: NamedBy, moving: bool) -> Found:
    """What one argument leads to, all of it `subject`'s."""
    if is_folder(path):
        for item in _contents(path, moving):
            yield LabelledPhoto(item, subject or "", named_by) if isinstance(item, Path) else item
    elif not os.access(path, os.F_OK):
        yield FailureToAcquire(str(path), Reason.NOT_FOUND, not_there(path))
    elif what := _no_photo(path, moving):
        yield FailureToAcquire(str(path), Reason.NOT_AN_IMAGE, what)
    else:
        yield _labelled(path, subject, named_by)


def _no_photo(path: Path, moving: bool) -> str:
    """Why a file is none; empty where it may be one. Some are no files: /dev/fd/63."""
    kind = kind_of(path)
    if path.suffix.lower() in SUFFIXES | {""} or kind is None:
        return ""  # the decoder will tell
    if kind.family in (Family.PHOTO, Family.RAW) or (moving and kind.family is Family.VIDEO):
        return ""
    if path.suffix.lower() in _SPREADSHEETS:
        return "a spreadsheet: save it as CSV"
    if kind.name:
        return f"it is {kind.name}"
    return "neither its name nor its bytes are a photo's, and a table is called .csv or .tsv"


def _contents(folder: Path, moving: bool) -> Iterator[Path | FailureToAcquire | LeftOut]:
    """What is below a folder, and that it holds no photo where it does not."""
    empty = True
    for item in photos_below(folder, moving):
        empty = empty and isinstance(item, LeftOut)
        yield item
    if empty:
        yield FailureToAcquire(str(folder), Reason.NOT_FOUND, "the folder holds no photos")


def _straight(folder: Path, found: Sequence[object]) -> list[Path]:
    """The photos that lie in the folder itself."""
    depth = len(folder.parts) + 1
    return [item for item in found if isinstance(item, Path) and len(item.parts) == depth]


def _own_person(folder: Path, straight: Sequence[Path], several: bool) -> str | None:
    """The person whom a folder that was given is of; None where it is nobody's own.

    straight: the photos that lie in it. several: whether other folders were given that hold some.
    """
    name = folder.name if folder.name not in ("", "..") else folder.resolve().name
    if not straight or is_album(name) or name_fault(name):
        return None
    people = [person_in_file_name(path.stem) for path in straight]
    named = {_bare(person) for person in people if person}
    if several or named == {_bare(name)}:
        return name
    theirs = median(personal(person) if person else 0 for person in people)
    in_album = theirs == personal(name) and is_album(folder.absolute().parent.name)
    return name if personal(name) > theirs or in_album else None


def _bare(name: str) -> str:
    return spaced(name_key(name)).casefold()


def _in_folder(
    folder: Path, item: Path | FailureToAcquire | LeftOut, own: str | None
) -> LabelledPhoto | FailureToAcquire | LeftOut:
    """own: whose the photos are that lie straight in the folder; None where their names tell."""
    if not isinstance(item, Path):
        return item
    first, *deeper = item.relative_to(folder).parts
    if not deeper:
        if own is None:
            return _labelled(item, person_in_file_name(item.stem), NamedBy.FILE)
        return _labelled(item, own, NamedBy.FOLDER)
    if is_album(first) or (own and is_dubious(first)):
        return _labelled(item, own, NamedBy.FOLDER)
    return _labelled(item, first, NamedBy.FOLDER)


def _homes(files: Sequence[Path]) -> dict[Path, str]:
    """Folders and whose they are, where the files that are given lie in several of them."""
    lists: dict[Path, list[Path]] = {}
    for path in files:
        if path.suffix.lower() not in _TABLES:
            lists.setdefault(path.parent, []).append(path)
    if len(lists) < 2:
        return {}
    owners = {home: _own_person(home, inside, several=True) for home, inside in lists.items()}
    return {home: owner for home, owner in owners.items() if owner}


def _labelled(path: Path, name: str | None, named_by: NamedBy) -> LabelledPhoto | FailureToAcquire:
    if name is None:
        detail = f"neither file nor folder says who this is: {_SAY_WHO}"
        return FailureToAcquire(str(path), _NAMELESS, detail)
    if fault := name_fault(name):
        return FailureToAcquire(str(path), _NAMELESS, f"{fault}: {_SAY_WHO}")
    return LabelledPhoto(path, name, named_by)


def _table(path: Path, notes: list[str], moving: bool) -> Found:
    """The rows of a `path,subject` table. notes: which columns were taken is added to them."""
    lookup, table = Lookup(path.parent), read_table(path, _label_columns, _EXPECTED)
    file, *who = (title for title in table.taken if title is not None)
    notes.append(f"{path.name}: photos by {file!r}, people by {' and '.join(map(repr, who))}")
    for line, (file, *names) in table.rows:
        where = f"line {line} of {path.name}"
        photo = path.parent / file
        if not file:
            yield FailureToAcquire(str(path), Reason.NOT_FOUND, f"{where}: names no photo")
            continue
        subject = " ".join(filter(None, map(str.strip, names)))
        if fault := name_fault(subject):
            yield FailureToAcquire(str(photo), _NAMELESS, f"{where}: {fault}")
        elif found := lookup(file):
            yield from _below(found, subject, NamedBy.TABLE, moving)
        elif is_folder(photo):
            yield from _below(photo, subject, NamedBy.TABLE, moving)
        elif is_url(Path(file)):
            yield FailureToAcquire(file, Reason.NOT_FOUND, f"{where}: {not_there(Path(file))}")
        else:
            yield FailureToAcquire(str(photo), Reason.NOT_FOUND, where)


def _label_columns(first: Sequence[str]) -> Columns | None:
    """The photo's column, then the name's, or those of the first and the last name.

    Raises InputError where no column surely names people.
    """
    titles = [plain(cell) for cell in first]
    file = column(titles, _PATH)
    if file is None:
        file = next((i for i, title in enumerate(titles) if title.endswith(_PATH_ENDS)), None)
    if file is not None and len(titles) > 1:
        taken = (file, *_who(first, titles, file))
        for i in taken:
            if i is not None and titles.count(titles[i]) > 1:
                raise InputError(f"two columns are called {first[i]!r}: call one of them otherwise")
        return Columns(taken, header=True)
    photo = [Path(cell).suffix.lower() in SUFFIXES for cell in first]
    if len(photo) == 2 and photo[0] != photo[1]:
        return Columns((0, 1, None) if photo[0] else (1, 0, None), header=False)
    return None


def _who(first: Sequence[str], titles: Sequence[str], file: int) -> tuple[int, int | None]:
    """The columns of the name: one, or first and last."""
    others = [title if i != file else "" for i, title in enumerate(titles)]
    forename, surname = column(others, _FIRST), column(others, _LAST)
    name = column(others, _SUBJECT)
    if name is None:
        ends = (i for i, title in enumerate(others) if title.endswith("name"))
        name = next((i for i in ends if not titles[i].startswith(_NO_PERSON)), None)
    parted = forename is not None and surname is not None and forename != surname
    if parted and name in (None, forename, surname):
        assert forename is not None
        return forename, surname
    if name is not None:
        return name, None
    weak = column(others, _WEAK)
    unknown = [first[i] for i, title in enumerate(others) if title and i != weak]
    if weak is not None and not unknown:
        return weak, None
    shown = ", ".join(repr(title[:40]) for title in unknown[:5])
    if weak is not None:
        raise InputError(
            f"{first[weak]!r} may name people or not, and {shown} may, too: call the column that "
            "names them 'subject'"
        )
    raise InputError(
        f"{first[file]!r} names the photos, but of {shown or 'its other columns'} none is known to "
        "name people: call it 'subject' (or name, person, full_name, first_name and last_name)"
    )
