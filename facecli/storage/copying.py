"""A gallery moved whole, between files and Milvus either way: run it again to go on.

References go over as they are, with ids, times and paths; then who is said to be distinct, the
threshold choices and what was observed. At the end both are read whole and compared, so that only a
copy that is the same is called done. Until then it says of itself that it is a copy, and is not
opened as a gallery: half a copy looks like a whole one. Not part of it: what could be undone, and
the audit log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from facecli.common.errors import GalleryError
from facecli.storage.interface import Reader, Storage, require_embedder
from facecli.storage.records import ReferenceRow

AT_ONCE = 4096  # references: 8 MB of vectors of 512 values
SAME_BYTES = 32


@dataclass(frozen=True, slots=True)
class Contents:
    """What a gallery holds. checksum: hex, the same whatever the order and the ids."""

    subjects: int
    references: int
    choices: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied. added: references that were not there yet; contents: of both."""

    added: int
    contents: Contents


def copy(
    source: Storage, target: Storage, progress: Callable[[int], object] = lambda _: None
) -> Copied:
    """Copy what `target` does not have yet, and compare. progress: told how many references went.

    Raises EmbedderMismatchError when another model made `target`, GalleryError when it holds
    people or choices that `source` does not, or when what it holds at the end is not the same.
    """
    if source.path == target.path or _same(Path(source.path), Path(target.path)):
        raise GalleryError(f"{source.path} cannot be copied onto itself: name another gallery")
    require_embedder(target, source.reader.embedder_id)
    with source.reader.snapshot():
        people = {row.name: row for row in source.reader.subjects()}
        others = [row.name for row in target.reader.subjects() if row.name not in people]
        if others:
            raise GalleryError(
                f"{target.path} holds people that {source.path} does not, {others[0]!r} for "
                "one: copy into a new gallery"
            )
        _require_no_other_choices(source, target)
        added = 0
        for rows in _groups(source.reader.references()):
            added += target.adopt(people, rows)
            progress(len(rows))
        for one, other in source.reader.distinct():
            target.distinct(one.name, other.name)
        _copy_choices(source, target)
        _copy_observed(source, target)
        there = contents(source.reader)
    here = contents(target.reader)
    target.copied()  # or it never was one, and is as it was
    if here != there:
        raise GalleryError(
            f"the copy is not the same: {source.path} has {_told(there)}, {target.path} "
            f"{_told(here)}. It may have held others before: copy into a new gallery"
        )
    target.settle()
    return Copied(added, here)


def _same(source: Path, target: Path) -> bool:
    """Whether both names lead to one file; an address of Milvus leads to none."""
    return source.exists() and target.exists() and source.samefile(target)


def contents(reader: Reader) -> Contents:
    """Read the whole gallery. Each row's sha256 is added up, modulo 2^256."""
    people = {row.name: row for row in reader.subjects()}
    total = sum(_digest([row.name, row.created_at, row.references]) for row in people.values())
    count = 0
    for row in reader.references():
        total += _digest(_facts(row), row.template.vector.astype("<f4").tobytes(),
                         row.face.landmarks.astype("<f4").tobytes())  # fmt: skip
        count += 1
    for pair in reader.distinct():
        total += _digest(["distinct", *sorted(subject.name for subject in pair)])
    choices = reader.calibrations()
    total += sum(_digest([i, asdict(choice)]) for i, choice in enumerate(choices))
    subjects = reader.templates()
    for name, template in zip(subjects.names, subjects.templates, strict=True):
        total += _digest([name], template.astype("<f4").tobytes())
    checksum = (total % (1 << 8 * SAME_BYTES)).to_bytes(SAME_BYTES, "big").hex()
    return Contents(len(people), count, len(choices), checksum)


def _require_no_other_choices(source: Storage, target: Storage) -> None:
    there = target.reader.calibrations()
    if source.reader.calibrations()[: len(there)] != there:
        raise GalleryError(
            f"{target.path} has threshold choices of its own: copy into a new gallery"
        )


def _copy_choices(source: Storage, target: Storage) -> None:
    for choice in source.reader.calibrations()[len(target.reader.calibrations()) :]:
        target.calibrate(choice)


def _copy_observed(source: Storage, target: Storage) -> None:
    """So that the threshold is the same to the last digit where a sample is observed."""
    _, observed = source.reader.observed()
    if observed is not None:
        revision, _ = target.reader.observed()
        target.keep_observed(revision, observed)


def _groups(rows: Iterator[ReferenceRow]) -> Iterator[list[ReferenceRow]]:
    return iter(lambda: list(islice(rows, AT_ONCE)), [])


def _facts(row: ReferenceRow) -> list[object]:
    face = row.face
    numbers = [
        float(np.float64(value)) for value in (*face.box, face.detection_score, face.quality)
    ]
    return [row.subject, row.photo_sha256, row.face_index, row.path, row.enrolled_at, numbers]


def _digest(facts: object, *blobs: bytes) -> int:
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(b"\0".join([text, *blobs])).digest(), "big")


def _told(found: Contents) -> str:
    return (
        f"{found.subjects:,} subjects, {found.references:,} references, {found.choices:,} "
        f"threshold choices, checksum {found.checksum[:12]}"
    )
