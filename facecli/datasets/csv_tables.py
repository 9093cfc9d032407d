"""Tables that users have: any usual delimiter and encoding, titles by alias, paths as meant."""

from __future__ import annotations

import csv
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from facecli.common.errors import InputError
from facecli.common.files import lines, regular

MOSTLY = 0.7  # of a UTF-16 text's bytes, in every second place
_SEPARATOR = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*$', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Columns:
    """indexes: the columns to read, in the reader's order; None for one that the table lacks.

    header: whether the first row holds titles.
    """

    indexes: tuple[int | None, ...]
    header: bool


@dataclass(frozen=True, slots=True)
class Table:
    """taken: what the columns that are read are called, or `column 2`; None for those it lacks.

    rows: the line that each row begins on, and the cells of these columns, "" where it has none.
    """

    taken: tuple[str | None, ...]
    rows: Iterator[tuple[int, tuple[str, ...]]]


def plain(title: str) -> str:
    """A column's title without case, blanks and punctuation: `Image_1` and `image 1` are one."""
    return "".join(letter for letter in title.casefold() if letter.isalnum())


def column(titles: Sequence[str], aliases: Iterable[str]) -> int | None:
    """The index of the first alias that stands among the plain titles."""
    return next((titles.index(alias) for alias in aliases if alias in titles), None)


def read_table(
    path: Path, recognise: Callable[[Sequence[str]], Columns | None], expected: str
) -> Table:
    """The columns that `recognise` finds by the first row, which may be titles.

    The delimiter is what Excel's first line `sep=;` says, else the first of tab, semicolon, comma
    and bar by which the first row is recognised. UTF-8 with or without BOM, UTF-16 likewise; any
    line ends; blank rows are skipped. Raises InputError where no column is recognised, where
    `recognise` does, or, while it is read, where the text is damaged.
    """
    with _explained(path):
        form = _Form.of(path)
        delimiter, columns, first = _dialect(path, form, recognise, expected)
    taken = tuple(
        None if i is None else first[i] if columns.header else f"column {i + 1}"
        for i in columns.indexes
    )
    return Table(taken, _rows(path, form, delimiter, columns))


def _rows(
    path: Path, form: _Form, delimiter: str, columns: Columns
) -> Iterator[tuple[int, tuple[str, ...]]]:
    with _explained(path):
        width = max(i for i in columns.indexes if i is not None) + 1
        # The last cell of each row is an empty one, which -1 picks.
        pick = itemgetter(*(-1 if i is None else i for i in columns.indexes))
        records = _records(path, form, delimiter)
        if columns.header:
            next(records)
        for line, cells in records:
            cells = cells[:width]
            cells += [""] * (width + 1 - len(cells))
            yield line, pick(cells)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise InputError(f"{path}: {error}; mend the quotes of the table") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


@dataclass(frozen=True, slots=True)
class _Form:
    """How a table is written. separator: by its own first line, which is no row; else empty."""

    encoding: str
    separator: str

    @classmethod
    def of(cls, path: Path) -> _Form:
        with regular(path).open("rb") as file:
            encoding = text_encoding(file.read(1024))
        with path.open(encoding=encoding, newline="") as text:
            named = _SEPARATOR.match(text.readline(16))
        return cls(encoding, named[1] if named else "")


def text_encoding(head: bytes) -> str:
    """The encoding of a text that begins so: UTF-8, or UTF-16, which may lack its BOM; UTF-32.

    Without one, the NULs of letters below 256 tell.
    """
    if head[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    pairs = len(head) // 2
    high, low = head[: 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if pairs and max(high, low) >= pairs * MOSTLY and min(high, low) <= pairs * (1 - MOSTLY):
        return "utf-16-be" if high > low else "utf-16-le"
    return "utf-8-sig"


def _dialect(
    path: Path, form: _Form, recognise: Callable[[Sequence[str]], Columns | None], expected: str
) -> tuple[str, Columns, Sequence[str]]:
    """The delimiter, the columns, and the first row."""
    found: list[str] = []
    for delimiter in form.separator or "\t;,|":
        try:
            _, cells = next(_records(path, form, delimiter), (0, list[str]()))
        except csv.Error:  # a quote closed before another delimiter than this one
            continue
        try:
            columns = recognise(cells)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        if columns:
            return delimiter, columns, cells
        found = max(found, cells, key=len)
    shown = ", ".join(cell[:40] for cell in found[:10]) or "nothing"
    raise InputError(f"{path}: its first row has {shown}; expected the columns {expected}")


def _records(path: Path, form: _Form, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding=form.encoding, newline="") as text:
        before = 1 if form.separator else 0
        if before:
            next(lines(text))
        reader = csv.reader(lines(text), delimiter=delimiter, skipinitialspace=True, strict=True)
        start = 1
        for cells in reader:
            if any(cells):
                yield start + before, cells
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
