"""What is asked of a gallery, wherever it is kept: in a file (`sqlite`) or in Milvus (`milvus`).

What only a file has, an undo journal, the audit log, backups, is asked of `opening.file_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from facecli.common.errors import EmbedderMismatchError
from facecli.common.types import Candidate, Float32
from facecli.metrics.face_kinds import NO_KINDS, FaceKinds
from facecli.metrics.gallery_fit import Observed
from facecli.storage.records import (
    CalibrationRow,
    IndexInfo,
    NewReference,
    ReferenceRow,
    Refiled,
    SubjectRow,
    Subjects,
)

NOT_A_FILE = "a gallery in Milvus has no {what}: make a file of it with `facecli gallery copy`"


# erasing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Called:
    """One subject, enrolled or removed, by name."""

    name: str


class Group(Enum):
    """REMOVED: all that could be undone. EVERYBODY: all people, enrolled or removed."""

    REMOVED = auto()
    EVERYBODY = auto()


Whom = Called | Group
"""Whom to erase."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted. people: keys of their names, enrolled or removed; references: faces.

    changes: of the journal. vectors: templates as stored; texts: names and paths, but for the
    names of those who stay; both are empty where no bytes can be searched.
    """

    people: frozenset[str]
    references: int
    changes: int = 0
    vectors: frozenset[bytes] = frozenset()
    texts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ByteSearch:
    """What a search of the files' bytes for all that was deleted came to.

    files: how many were searched; sought: byte strings, or rows where the files are out of reach;
    remains: the gallery's own files that still hold some; copies: other galleries, backups and
    exports in its folder that do; shared: strings that stand there, or seem to, for somebody who
    stays has the same photo or a like name.
    """

    files: int
    sought: int
    remains: tuple[Path, ...] = ()
    copies: tuple[Path, ...] = ()
    shared: int = 0


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased. deleted: the rows; busy: another program's reading keeps the old bytes.

    at: ISO 8601 UTC. unproven: where bytes may be left that cannot be looked at from here.
    resumed: an earlier erasure was not finished, and this one ended it.
    """

    at: str
    deleted: Deleted
    busy: bool
    verified: ByteSearch
    unproven: tuple[str, ...] = ()
    resumed: bool = False

    @property
    def failed(self) -> bool:
        """Whether some of it is known to be left in the gallery."""
        return self.busy or bool(self.verified.remains)

    @property
    def complete(self) -> bool:
        """Whether it is shown that no byte of it is left in the gallery."""
        return not self.failed and not self.unproven


# the gallery ---------------------------------------------------------------------------------


class Ranker(Protocol):
    """A gallery's subjects, searched many times."""

    at_once: int
    """How many searches may run at the same time; 1: only where it was opened, one by one."""

    def candidates(self, probe: Float32, k: int) -> list[Candidate]:
        """The k best subjects for a (d,) float32 unit vector, best first, scored exactly."""


class Reader(Protocol):
    """What an open gallery answers. Every method raises GalleryError when it cannot be read."""

    embedder_id: str
    dimension: int
    created_at: str
    encrypted: bool
    """Whether facecli itself keeps it encrypted."""

    # who is there
    def counts(self) -> tuple[int, int]: ...
    def subject_count(self) -> int: ...
    def changed(self, after: int) -> int: ...
    def subjects(self) -> tuple[SubjectRow, ...]: ...
    def find(self, name: str) -> SubjectRow: ...
    def distinct(self) -> tuple[tuple[SubjectRow, SubjectRow], ...]:
        """Pairs of subjects who were said to be two people, in the order that was said."""

    def references(self, subject_id: int | None = None) -> Iterator[ReferenceRow]: ...
    def templates(self) -> Subjects: ...
    def enrolled_photos(self, names: Iterable[str]) -> dict[tuple[str, str], str]:
        """By subject key and photo sha256, the paths of the photos of the subjects called so."""

    def snapshot(self) -> AbstractContextManager[None]: ...

    # the threshold
    def calibration(self) -> CalibrationRow | None: ...
    def calibrations(self) -> tuple[CalibrationRow, ...]: ...
    def observed(self) -> tuple[int, Observed | None]: ...
    def last_observed(self) -> tuple[int, Observed] | None: ...
    def observe(self, kinds: FaceKinds = NO_KINDS) -> Observed | None: ...

    def ranker(self, exact: bool, threshold: float) -> Ranker:
        """What searches it. exact: rank as brute force would, whatever the size."""

    def index(self, threshold: float | None) -> IndexInfo:
        """What a search starts from. threshold: the one in force."""

    def size(self) -> int | None:
        """Bytes on this machine's disk; None where it is on none."""

    def faults(self) -> list[str]:
        """What is wrong with it, a line each."""

    def gallery_id(self) -> str:
        """What names it in receipts: random, 32 hex digits."""

    def hashed(self, name: str) -> str:
        """A subject's name in receipts: keyed with the gallery's own secret, hex."""


class Storage(Protocol):
    """An open gallery: its reader answers, and here is what changes it.

    Every method raises GalleryError when it cannot be written.
    """

    @property
    def path(self) -> Path | str:
        """Where it is, as the user names it."""

    @property
    def reader(self) -> Reader: ...

    def close(self) -> None: ...

    def add(self, new: Sequence[NewReference]) -> int: ...

    def adopt(self, people: Mapping[str, SubjectRow], rows: Sequence[ReferenceRow]) -> int:
        """Take references over from another gallery; returns how many were new.

        One that took some is a copy, which nothing else opens, until `copied`.
        """

    def copied(self) -> None:
        """Nothing more is taken over."""

    def rename(self, old: str, new: str) -> None: ...
    def merge(self, source: str, target: str) -> int: ...
    def distinct(self, first: str, second: str, *, forget: bool = False) -> None:
        """Say that they are two people, however alike; nothing where that was said.

        forget: take it back. Raises GalleryError where they are one subject, or where there is
        nothing to take back.
        """

    def remove(self, name: str) -> int: ...
    def remove_reference(self, name: str, reference_id: int) -> int: ...
    def refile(self, photos: Sequence[Refiled]) -> None:
        """Note where photos lie now, and what their bytes are; what is not there is passed over."""

    def calibrate(self, row: CalibrationRow) -> None: ...
    def keep_observed(self, revision: int, observed: Observed) -> None: ...
    def log_search(self, photo: str, subjects: Iterable[str]) -> None: ...

    def rehearsal(self) -> AbstractContextManager[None]:
        """Whatever is written inside is taken back at the end; others cannot write meanwhile."""

    def untouched(self) -> AbstractContextManager[None]:
        """Nothing can be written inside; others may: a dry run that takes long."""

    def settle(self) -> None:
        """After writing: bring what is derived up to date, so that no search waits for it."""

    def doomed(self, whom: Whom) -> Deleted:
        """What `erase` would delete. Raises GalleryError where nobody is called so."""

    def erase(self, whom: Whom) -> Erasure:
        """Delete them for good, and look whether anything of them is left."""


def require_embedder(storage: Storage, embedder_id: str) -> None:
    """Raise EmbedderMismatchError unless this embedder made the gallery."""
    made_by = storage.reader.embedder_id
    if made_by != embedder_id:
        raise EmbedderMismatchError(
            f"{storage.path} was made with the embedder {made_by}, not {embedder_id}: "
            "their scores cannot be compared. Use --model with the gallery's own, "
            "or enrol into another --gallery"
        )
