"""Pairs of photos to compare: tables, LFW's pairs.txt, a folder per person.

A photo that exists but gives no template stays among the trials, for failures to acquire belong
in the denominators. A path that leads nowhere is a slip of the user's: reported, and left out.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import NamedTuple

from facecli.common.errors import InputError
from facecli.common.files import lines, regular
from facecli.common.names import name_key
from facecli.datasets.csv_tables import Columns, Lookup, Table, column, plain, read_table
from facecli.datasets.labels import labelled
from facecli.datasets.photo_files import SUFFIXES, left_out_lines

MOST_PAIRS = 100_000
"""Pairs of each kind drawn from a folder; where there are more, a sample with a fixed seed."""

_STEMS = ("file", "path", "img", "image", "photo", "picture", "filename", "filepath", "imagepath")
_SIDES = (("1", "2"), ("a", "b"), ("x", "y"), ("left", "right"), ("first", "second"))
_BARE: tuple[tuple[str, str], ...] = (
    ("left", "right"),
    ("a", "b"),
    ("first", "second"),
    ("probe", "reference"),
)
_BARE += (("enroll", "probe"), ("enrol", "probe"), ("enrolled", "probe"), ("gallery", "probe"))
_BARE += (("query", "reference"), ("query", "gallery"), ("template", "probe"), ("source", "target"))
_SAME = (
    *("same", "issame", "samesubject", "sameperson", "mated", "ismated", "genuine", "isgenuine"),
    *("match", "ismatch", "decision", "label", "type", "pairtype", "kind", "result", "truth"),
    *("groundtruth", "gt", "expected", "target", "class", "y"),
)
_WHO = ("subject", "person", "name", "identity", "subjectid", "personid", "id", "label", "class")
_EXPECTED = (
    "file1,file2,same (two photos: file, path, image, photo, ... with 1 and 2, a and b, left and "
    "right, or enroll and probe; same, mated, genuine, match, type, label, ...: 1 or 0, yes or no, "
    "genuine or impostor), or file1,subject1,file2,subject2"
)

_TRUE = frozenset({"1", "1.0", "yes", "y", "true", "t", "same", "mated", "genuine", "match"})
_TRUE |= {"positive", "pos", "accept", "accepted", "matched", "authentic", "client", "sameperson"}
_FALSE = frozenset({"0", "0.0", "-1", "-1.0", "no", "n", "false", "f", "different", "diff"})
_FALSE |= {"nonmated", "impostor", "imposter", "nonmatch", "notsame", "negative", "neg", "reject"}
_FALSE |= {"rejected", "unmatched", "mismatch", "nomatch", "differentperson", "zeroeffort"}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos and whether one subject is on both.

    fold: LFW's part, from 1. subjects: the names of who is on them, where known, to count people.
    """

    first: Path
    second: Path
    mated: bool
    fold: int | None = None
    subjects: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """pairs: each at most once, in the order given. problems: what the user should know, by line.

    columns: the titles that were taken, of a table. Two photos have the same Path where they are
    the same file.
    """

    pairs: tuple[Pair, ...]
    problems: tuple[str, ...]
    columns: tuple[str, ...] = ()


class _Row(NamedTuple):
    line: int
    first: Path
    second: Path
    mated: bool
    fold: int | None
    subjects: tuple[str, str] | None = None


def read_pairs(path: Path) -> Pairs:
    """The pairs that `path` holds; photos are looked for relative to its folder.

    - A table with the columns `file1,file2,same` or their like (`path`, `img`, `image`, ... with
      1 and 2, a and b, x and y, left and right; `mated`, `genuine`, `match`, `label`, ...) and
      an optional `fold`; or three columns without titles, the third one yes or no. Or
      `file1,subject1,file2,subject2`: mated where the subjects are the same.
    - LFW's pairs.txt: `name i j` is mated, `name1 i name2 j` non-mated.
    - A folder of photos, labelled as for enrolment: all mated and non-mated pairs, at most
      MOST_PAIRS of each.

    A pair given twice counts once; one labelled both ways, or of a file with itself, is left out.
    Raises InputError where no pair is left or the file is not understood.
    """
    if path.is_dir():
        return _checked(path, *_from_folder(path))
    problems: list[str] = []
    opening = _opening(path)
    if opening and (opening[0].isdecimal() or _lfw_names(opening)):
        found = _unique(_lfw_rows(path, problems), problems)
        return _checked(path, _with_subjects(found, problems), problems)
    table = read_table(path, _pair_columns, _EXPECTED)
    found = _unique(_table_rows(path, table, problems), problems)
    checked = _checked(path, _with_subjects(found, problems), problems)
    return replace(checked, columns=tuple(title for title in table.taken if title))


def _checked(path: Path, pairs: Sequence[Pair], problems: list[str]) -> Pairs:
    if not pairs:
        told = "".join(f"\n  {problem}" for problem in problems[:5])
        where = path if path.is_dir() else path.parent
        raise InputError(f"{path}: no pairs to use; photos were looked for in {where}{told}")
    if all(pair.mated for pair in pairs):
        problems.append("only mated pairs: they give FNMR; add non-mated pairs to measure FMR")
    if not any(pair.mated for pair in pairs):
        problems.append("only non-mated pairs: they give FMR; add mated pairs to measure FNMR")
    return Pairs(tuple(pairs), tuple(problems))


def _unique(found: Iterable[_Row], problems: list[str]) -> list[_Row]:
    """Each pair once, in either order of its photos, and none labelled both ways."""
    chosen: dict[tuple[int, int], _Row] = {}
    torn: set[tuple[int, int]] = set()
    for row in found:
        # One file is one Path (see Lookup), so its id will do; hashing Paths takes seconds.
        one, two = id(row.first), id(row.second)
        pair = (one, two) if one < two else (two, one)
        if one == two:
            problems.append(f"line {row.line}: {row.first} with itself, left out")
            continue
        if (before := chosen.setdefault(pair, row)) is row:
            continue
        if before.mated == row.mated:
            problems.append(f"line {row.line}: the pair of line {before.line} again, counted once")
        else:
            torn.add(pair)
            both = f"lines {before.line} and {row.line}"
            problems.append(f"{both}: one pair, labelled mated and non-mated, left out")
    return [row for pair, row in chosen.items() if pair not in torn]


def _table_rows(path: Path, table: Table, problems: list[str]) -> Iterator[_Row]:
    lookup = Lookup(path.parent)
    labelled = table.taken[2] is not None
    for line, (one, two, label, fold, *names) in table.rows:
        first, second = lookup(one), lookup(two)
        subjects = (names[0].strip(), names[1].strip())
        known = subjects if all(subjects) else None
        mated = _truth(label) if labelled else None
        if not labelled and known:
            mated = name_key(known[0]) == name_key(known[1])
        if first is None or second is None:
            name = one if first is None else two
            problems.append(f"line {line}: no photo {name!r} in {path.parent}, left out")
        elif mated is None and labelled:
            problems.append(f"line {line}: {label!r} is neither 1 nor 0 (yes, no), left out")
        elif mated is None:
            problems.append(f"line {line}: a subject's name is missing, left out")
        else:
            yield _Row(line, first, second, mated, _whole(fold.strip()), known)


def _pair_columns(first: Sequence[str]) -> Columns | None:
    """Two photos' columns, the label's, the fold's, and those of the two subjects."""
    titles = [plain(cell) for cell in first]
    same = column(titles, _SAME)
    fold = column(titles, ["fold"])
    for left, right in _side_titles():
        if left in titles and right in titles:
            sides = titles.index(left), titles.index(right)
            who = _subject_columns(titles)
            label = same if same not in (*sides, *who) else None
            if label is not None or None not in who:
                return Columns((*sides, label, fold, *who), header=True)
    photos = [Path(cell).suffix.lower() in SUFFIXES for cell in first[:2]]
    # "same" and "different" are titles as well as labels: then the first two cells must be photos.
    known = len(first) == 3 and _truth(first[2]) is not None
    if known and (all(photos) or not titles[2].isalpha()):
        return Columns((0, 1, 2, None, None, None), header=False)
    return None


def _subject_columns(titles: Sequence[str]) -> tuple[int | None, int | None]:
    """subject1 and subject2, name_a and name_b, probe_id and reference_id, ...; None for none."""
    for stem in _WHO:
        for one, two in (*_SIDES, *_BARE):
            for pair in ((stem + one, stem + two), (one + stem, two + stem)):
                if pair[0] in titles and pair[1] in titles:
                    return titles.index(pair[0]), titles.index(pair[1])
    return None, None


def _side_titles() -> Iterator[tuple[str, str]]:
    """file1 and file2, image_a and image_b, left_img and right_img, ..., as `plain` gives them."""
    for stem in _STEMS:
        for one, two in _SIDES:
            yield stem + one, stem + two
            yield one + stem, two + stem
    yield from _BARE


def _truth(label: str) -> bool | None:
    """Whether a label says mated; None where it says neither."""
    if label in _TRUE or label in _FALSE:
        return label in _TRUE
    word = label.strip().casefold()
    if not word.startswith("-"):  # the sign of -1, the other class of some tables
        word = word.replace("-", "").replace("_", "").replace(" ", "")
    return True if word in _TRUE else False if word in _FALSE else None


def _opening(path: Path) -> list[str]:
    """The cells of the first line that is not blank, as pairs.txt would have them."""
    try:
        with regular(path).open(encoding="utf-8-sig", errors="replace") as text:
            return next(filter(None, map(_lfw_cells, islice(lines(text), 100))), [])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _lfw_cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")] if "\t" in line.strip() else line.split()


def _lfw_names(cells: Sequence[str]) -> tuple[str, int, str, int] | None:
    """(name, number, name, number) of a line of 3 or 4 cells; None for any other."""
    if len(cells) == 3:
        cells = (cells[0], cells[1], cells[0], cells[2])
    if len(cells) != 4 or (one := _whole(cells[1])) is None or (two := _whole(cells[3])) is None:
        return None
    return cells[0], one, cells[2], two


def _folds(cells: Sequence[str]) -> list[int]:
    """The numbers of a first line `folds n` or `n`; empty for any other line."""
    numbers = [number for cell in cells if (number := _whole(cell)) is not None]
    return numbers if len(numbers) == len(cells) < 3 else []


def _whole(cell: str) -> int | None:
    """The number that a cell holds; None where it holds none, or one of more than 9 digits."""
    return int(cell) if cell.isdecimal() and len(cell) < 10 else None


def _lfw_rows(path: Path, problems: list[str]) -> Iterator[_Row]:
    """The file's first line may say `folds n` or `n`: every 2 n lines are then a fold."""
    text = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    found = [(n, cells) for n, line in enumerate(text, 1) if any(cells := _lfw_cells(line))]
    head = _folds(found[0][1])
    del found[: len(head[:1])]
    size = 2 * head[-1] if head else None
    if size and len(head) == 2 and len(found) != head[0] * size:
        promised = head[0] * size
        problems.append(f"its first line promises {promised:,} pairs, it holds {len(found):,}")
    photo = _LfwPhotos(path.parent)
    for count, (line, cells) in enumerate(found):
        if (names := _lfw_names(cells)) is None:
            problems.append(f"line {line}: neither `name i j` nor `name1 i name2 j`, left out")
            continue
        first, second = photo(*names[:2]), photo(*names[2:])
        if first is None or second is None:
            name, number = names[:2] if first is None else names[2:]
            problems.append(f"line {line}: no photo {number} of {name} found, left out")
        else:
            yield _Row(line, first, second, len(cells) == 3, count // size + 1 if size else None)


class _LfwPhotos:
    """Finds <Name>/<Name>_%04d.jpg below the table's folder or a photo folder beside the table."""

    def __init__(self, folder: Path) -> None:
        beside = ("", "photos", "lfw*", "lfw*/lfw*")
        found = (sorted(folder.glob(name)) if name else [folder] for name in beside)
        roots = [root.relative_to(folder) for some in found for root in some if root.is_dir()]
        self._homes = [(root, end) for root in roots for end in (".jpg", ".png", ".jpeg")]
        self._lookup = Lookup(folder)

    def __call__(self, name: str, number: int) -> Path | None:
        for home in self._homes:
            root, end = home
            if path := self._lookup(f"{root}/{name}/{name}_{number:04d}{end}"):
                if home != self._homes[0]:  # the next photo is most likely here, too
                    self._homes.remove(home)
                    self._homes.insert(0, home)
                return path
        return None


def _with_subjects(found: Sequence[_Row], problems: list[str]) -> list[Pair]:
    """Names each photo's subject by its folder, where folders and labels tell the same story.

    One contradiction in a hundred is borne: label faults are common. All are worth hearing of,
    unless the folders plainly mean something else: then most of the pairs contradict them.
    """
    if any(row.subjects for row in found):
        return _as_named(found, problems)
    photos = {id(photo): photo for row in found for photo in row[1:3]}
    names = {photo: path.parent.name for photo, path in photos.items()}
    same = {photo: name_key(name) for photo, name in names.items()}
    odd = [row for row in found if (same[id(row[1])] == same[id(row[2])]) != row.mated]
    if len(set(same.values())) < 2 or 2 * len(odd) > len(found):
        return [Pair(*row[1:5]) for row in found]
    told = f"{len(odd):,} of {len(found):,} labels contradict the folders' names, first in line "
    if 100 * len(odd) > len(found):
        problems.append(f"{told}{odd[0].line}: the folders are not taken for people")
        return [Pair(*row[1:5]) for row in found]
    if odd:
        problems.append(f"{told}{odd[0].line}")
    return [Pair(*row[1:5], (names[id(row[1])], names[id(row[2])])) for row in found]


def _as_named(found: Sequence[_Row], problems: list[str]) -> list[Pair]:
    """Pairs whose subjects the table names itself; where labels contradict them, that is told."""
    odd = [
        row
        for row in found
        if row.subjects and (name_key(row.subjects[0]) == name_key(row.subjects[1])) != row.mated
    ]
    if odd:
        where = f"first in line {odd[0].line}"
        problems.append(f"{len(odd):,} labels contradict the table's own names, {where}")
    return [Pair(*row[1:]) for row in found]


def _from_folder(folder: Path) -> tuple[list[Pair], list[str]]:
    layout = labelled([folder], one_person=False)
    problems = [f"{item.path}: {item.reason}; {item.detail}" for item in layout.problems]
    problems += left_out_lines(layout.left_out)
    photos = sorted(layout.photos, key=lambda photo: name_key(photo.subject))
    sizes = list(Counter(name_key(photo.subject) for photo in photos).values())
    # Sorted by subject, photo i's mates are the photos i + 1 ... ends[i] - 1, all later strangers.
    ends = [end for end, n in zip(accumulate(sizes), sizes, strict=True) for _ in range(n)]
    mates = [end - i - 1 for i, end in enumerate(ends)]
    others = [len(photos) - end for end in ends]
    pairs: list[Pair] = []
    for mated, partners in ((True, mates), (False, others)):
        drawn = _drawn(partners)
        if len(drawn) < sum(partners):
            kind = "mated" if mated else "non-mated"
            problems.append(f"{len(drawn):,} of {sum(partners):,} {kind} pairs, drawn with seed 0")
        for i, offset in drawn:
            one, two = photos[i], photos[(i + 1 if mated else ends[i]) + offset]
            pairs.append(Pair(one.path, two.path, mated, None, (one.subject, two.subject)))
    return pairs, problems


def _drawn(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """(i, j) with j < sizes[i]: all of them, or MOST_PAIRS drawn evenly, in order."""
    ends = list(accumulate(sizes))
    total = ends[-1] if ends else 0
    ranks: Iterable[int] = range(total)
    if total > MOST_PAIRS:
        # Only random() itself is promised to give the same numbers in every Python.
        draw, taken = random.Random(0), set[int]()
        while len(taken) < MOST_PAIRS:
            taken.add(int(draw.random() * total))
        ranks = sorted(taken)
    homes = ((bisect_right(ends, rank), rank) for rank in ranks)
    return [(i, rank - (ends[i] - sizes[i])) for i, rank in homes]
