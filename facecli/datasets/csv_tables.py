"""Tables that users have: any usual delimiter and encoding, titles by alias, paths as meant."""

from __future__ import annotations

import csv
import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from facecli.common.errors import InputError
from facecli.common.files import lines, regular


@dataclass(frozen=True, slots=True)
class Columns:
    """indexes: two or more columns to read, in the reader's order. header: whether to skip it."""

    indexes: tuple[int, ...]
    header: bool


def plain(title: str) -> str:
    """A column's title without case, blanks and punctuation: `Image_1` and `image 1` are one."""
    return "".join(letter for letter in title.casefold() if letter.isalnum())


def column(titles: Sequence[str], aliases: Iterable[str]) -> int | None:
    """The index of the first alias that stands among the plain titles."""
    return next((titles.index(alias) for alias in aliases if alias in titles), None)


def rows(
    path: Path, recognise: Callable[[Sequence[str]], Columns | None], expected: str
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The cells that `recognise` picks from each row, with the line that the row begins on.

    The delimiter (tab, semicolon, comma, bar) is the first by which the first row is recognised.
    UTF-8 with or without BOM, UTF-16 with; any line ends; cells that lack are empty; blank rows
    are skipped. Raises InputError where no column is recognised or the text is damaged.
    """
    try:
        delimiter, columns = _dialect(path, recognise, expected)
        pick, width = itemgetter(*columns.indexes), max(columns.indexes) + 1
        records = _records(path, delimiter)
        if columns.header:
            next(records)
        for line, cells in records:
            cells += [""] * (width - len(cells))
            yield line, pick(cells)
    except UnicodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise InputError(f"{path}: {error}; mend the quotes of the table") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _dialect(
    path: Path, recognise: Callable[[Sequence[str]], Columns | None], expected: str
) -> tuple[str, Columns]:
    found: list[str] = []
    for delimiter in "\t;,|":
        try:
            _, cells = next(_records(path, delimiter), (0, list[str]()))
        except csv.Error:  # a quote closed before another delimiter than this one
            continue
        if columns := recognise(cells):
            return delimiter, columns
        found = max(found, cells, key=len)
    shown = ", ".join(cell[:40] for cell in found[:10]) or "nothing"
    raise InputError(f"{path}: its first row has {shown}; expected the columns {expected}")


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    with regular(path).open("rb") as file:
        bom = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    with path.open(encoding="utf-16" if bom else "utf-8-sig", newline="") as text:
        reader = csv.reader(lines(text), delimiter=delimiter, skipinitialspace=True, strict=True)
        start = 1
        for cells in reader:
            if any(cells):
                yield start, cells
            start = reader.line_num + 1


class Lookup:
    """Finds the files that a table names, relative to its folder, asking the disk once a name.

    Two names of one file give the very same Path, so that templates and pairs are not doubled.
    A name is also tried in NFC and NFD, and with / for the backslashes of Windows.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._named: dict[str, Path | None] = {"": None}
        self._files: dict[str, Path] = {}
        self._parents: dict[str, str] = {}

    def __call__(self, name: str) -> Path | None:
        """The file, None where there is none."""
        if name not in self._named:
            self._named[name] = next(filter(None, map(self._find, _spellings(name))), None)
        return self._named[name]

    def _find(self, name: str) -> Path | None:
        path = os.path.join(self._folder, name)  # noqa: PTH118 (a third of Path's time)
        try:
            mode = os.lstat(path).st_mode
        except (OSError, ValueError):  # ValueError: a null character
            return None
        if not stat.S_ISREG(mode) and not os.path.isfile(path):  # noqa: PTH113
            return None
        return self._files.setdefault(self._real(path, stat.S_ISLNK(mode)), Path(path))

    def _real(self, path: str, link: bool) -> str:
        """realpath, at one look-up a folder instead of one a file."""
        if link:
            return os.path.realpath(path)
        folder, name = os.path.split(path)
        if folder not in self._parents:
            self._parents[folder] = os.path.realpath(folder)
        return f"{self._parents[folder]}{os.sep}{name}"


def _spellings(name: str) -> Iterator[str]:
    yield from (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    if "\\" in name:
        yield from _spellings(name.replace("\\", "/"))
