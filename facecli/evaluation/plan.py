"""Who is enrolled, who is searched for, who is a stranger: read from folders, or drawn."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from facecli.common.enums import Reason
from facecli.common.errors import InputError, UsageError
from facecli.common.names import name_key
from facecli.datasets.labels import LabelledPhoto, LabelledPhotos, labelled
from facecli.datasets.pairs import Pair, read_pairs
from facecli.datasets.photo_files import left_out_lines

MOST_PROBES = 10  # photos of one person that are searched for: nobody outweighs the others
STRANGERS_SHARE = 3  # at least one person in three is a stranger

T = TypeVar("T")


class PlanSource(StrEnum):
    """What an evaluation was read from."""

    FOLDERS = "folders gallery, mated and strangers"
    SPLIT = "one folder per person, split by chance"
    PAIRS = "pairs"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be compared.

    gallery, mated, strangers: photos to enrol, to search for, and of people who are not enrolled;
        a stranger whose name is not known has the subject "". Empty for PAIRS.
    pairs: of PAIRS only. description: how it came about, in a line. problems: what was left out.
    """

    path: Path
    source: PlanSource
    gallery: tuple[LabelledPhoto, ...]
    mated: tuple[LabelledPhoto, ...]
    strangers: tuple[LabelledPhoto, ...]
    pairs: tuple[Pair, ...]
    description: str
    problems: tuple[str, ...] = ()

    @property
    def photos(self) -> tuple[Path, ...]:
        """Every photo once, in a stable order."""
        searched = (photo.path for photo in (*self.gallery, *self.mated, *self.strangers))
        compared = (path for pair in self.pairs for path in (pair.first, pair.second))
        return tuple(dict.fromkeys((*searched, *compared)))


def read_plan(path: Path, references: int = 1, seed: int = 0) -> Plan:
    """The plan that `path` gives.

    - A folder with gallery/, mated/ and strangers/: each with <Name>/photos; strangers also flat.
    - Any other folder, one folder per person: drawn with `seed`. Of each person `references`
      photos go to the gallery and the others are searched for, at most MOST_PROBES; people with
      no photo to spare are strangers. Where those are fewer than a third of all, others join them.
    - A file of pairs (`read_pairs`): only 1:1.

    Raises InputError where there is nothing to evaluate, UsageError for `references` < 1.
    """
    if references < 1:
        raise UsageError(f"--references is a number of photos from 1, not {references}")
    if not path.is_dir():
        found = read_pairs(path)
        taken = f", by {', '.join(found.columns)}" if found.columns else ""
        line = f"{len(found.pairs):,} pairs of {path.name}{taken}"
        return Plan(path, PlanSource.PAIRS, (), (), (), found.pairs, line, found.problems)
    if (path / "gallery").is_dir() and (path / "mated").is_dir():
        return _from_folders(path)
    return _split(path, references, seed)


def _from_folders(path: Path) -> Plan:
    gallery, mated = (
        labelled([path / name], moving=True, one_person=False) for name in ("gallery", "mated")
    )
    problems = [line for found in (gallery, mated) for line in _not_taken(found)]
    enrolled = {name_key(photo.subject) for photo in gallery.photos}
    probes = [photo for photo in mated.photos if name_key(photo.subject) in enrolled]
    if missing := len(mated.photos) - len(probes):
        problems.append(f"mated/: {_photos(missing)} of people who are not in gallery/, left out")
    there = (path / "strangers").is_dir()
    everybody = _strangers(path / "strangers", problems) if there else []
    strangers = [photo for photo in everybody if name_key(photo.subject) not in enrolled]
    if known := len(everybody) - len(strangers):
        problems.append(f"strangers/: {_photos(known)} of people who are in gallery/, left out")
    if not there:
        problems.append("there is no strangers/ folder: FPIR cannot be measured")
    if not gallery.photos or not probes:
        raise InputError(
            f"{path}: gallery/ and mated/ need photos of the same people, as <Name>/photo.jpg"
        )
    line = (
        f"as laid out in {path.name}/: {_counts(gallery.photos)} enrolled, {_counts(probes)} "
        f"searched for, {_counts(strangers)} as strangers"
    )
    return Plan(
        path, PlanSource.FOLDERS, gallery.photos, tuple(probes), tuple(strangers), (), line,
        tuple(problems),
    )  # fmt: skip


def _strangers(folder: Path, problems: list[str]) -> list[LabelledPhoto]:
    """Every photo; one that names nobody counts as a person of its own."""
    found = labelled([folder], moving=True, one_person=False)
    photos = list(found.photos)
    problems += left_out_lines(found.left_out)
    for problem in found.problems:
        if problem.reason is Reason.NO_NAME and Path(problem.path).is_file():
            photos.append(LabelledPhoto(Path(problem.path), ""))
        else:
            problems.append(f"{problem.path}: {problem.reason}; {problem.detail}")
    return photos


def _split(path: Path, references: int, seed: int) -> Plan:
    layout = labelled([path], moving=True, one_person=False)
    people: dict[str, list[LabelledPhoto]] = {}
    for photo in sorted(layout.photos, key=lambda photo: name_key(photo.subject)):
        people.setdefault(name_key(photo.subject), []).append(photo)
    draw = random.Random(seed)
    several = _shuffled((name for name in people if len(people[name]) > references), draw)
    held_out = max(0, -(-len(people) // STRANGERS_SHARE) - (len(people) - len(several)))
    subjects = sorted(several[held_out:])
    if not subjects:
        raise InputError(
            f"{path}: nobody has {references + 1} photos, to enrol some and search for others; "
            "give a folder per person with several photos each"
        )
    gallery, mated, strangers = list[LabelledPhoto](), list[LabelledPhoto](), list[LabelledPhoto]()
    enrolled = set(subjects)
    for name, photos in people.items():
        drawn = _shuffled(photos, draw)
        if name in enrolled:
            gallery += drawn[:references]
            mated += drawn[references : references + MOST_PROBES]
        else:
            strangers += drawn[:MOST_PROBES]
    line = (
        f"split of {path.name}/ with seed {seed}, at most {MOST_PROBES} probes a person: "
        f"{_counts(gallery)} enrolled, {_counts(mated)} searched for, {_counts(strangers)} as "
        f"strangers ({held_out:,} of them held out to be strangers)"
    )
    problems = tuple(_not_taken(layout))
    return Plan(
        path, PlanSource.SPLIT, tuple(gallery), tuple(mated), tuple(strangers), (), line, problems
    )


def _not_taken(found: LabelledPhotos) -> list[str]:
    lines = [f"{p.path}: {p.reason}; {p.detail}" for p in found.problems]
    return lines + left_out_lines(found.left_out)


def _shuffled(items: Iterable[T], draw: random.Random) -> list[T]:
    # Only random() itself is promised to give the same numbers in every Python.
    drawn = [(draw.random(), item) for item in items]
    return [item for _, item in sorted(drawn, key=lambda pair: pair[0])]


def _counts(photos: Sequence[LabelledPhoto]) -> str:
    people = len({name_key(p.subject) or str(p.path) for p in photos})
    noun = "person" if people == 1 else "people"
    return f"{_photos(len(photos))} of {people:,} {noun}"


def _photos(count: int) -> str:
    return f"{count:,} photo{'' if count == 1 else 's'}"
