"""What the commands need of a gallery, wherever it is kept: a file (`local`) or Milvus (`milvus`).

What only a file has, an undo journal, the audit log, backups, is asked of `Vault.file`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from facecli.common.types import Candidate, Float32
from facecli.metrics.gallery_fit import Observed
from facecli.storage.records import (
    CalibrationRow,
    IndexInfo,
    NewReference,
    ReferenceRow,
    SubjectRow,
    Subjects,
)
from facecli.storage.sqlite.deletion import Deleted
from facecli.storage.sqlite.store import Store

NOT_A_FILE = "a gallery in Milvus has no {what}: make a file of it with `facecli gallery copy`"


@dataclass(frozen=True, slots=True)
class Verification:
    """What a search of the files' bytes for all that was deleted came to.

    files: how many were searched; sought: byte strings, or rows where the files are out of reach;
    remains: the gallery's own files that still hold some; copies: other galleries, backups and
    exports in its folder that do; shared: strings that stand there, or seem to, for somebody who
    stays has the same photo or a like name.
    """

    files: int
    sought: int
    remains: tuple[Path, ...]
    copies: tuple[Path, ...]
    shared: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased. deleted: the rows; busy: another program's reading keeps the old bytes.

    at: ISO 8601 UTC. unproven: where bytes may be left that cannot be looked at from here.
    """

    at: str
    deleted: Deleted
    busy: bool
    verified: Verification
    unproven: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether some of it is known to be left in the gallery."""
        return self.busy or bool(self.verified.remains)

    @property
    def complete(self) -> bool:
        """Whether it is shown that no byte of it is left in the gallery."""
        return not self.failed and not self.unproven


class Ranker(Protocol):
    """A gallery's subjects, searched many times."""

    at_once: int
    """How many searches may run at the same time; 1: only where it was opened, one by one."""

    def candidates(self, probe: Float32, k: int) -> list[Candidate]:
        """The k best subjects for a (d,) float32 unit vector, best first, scored exactly."""


class Vault(Protocol):
    """An open gallery. Every method raises GalleryError when it cannot be read or written."""

    embedder_id: str
    dimension: int
    created_at: str

    @property
    def label(self) -> Path | str:
        """Where it is, as the user names it."""

    @property
    def encrypted(self) -> bool:
        """Whether facecli itself keeps it encrypted."""

    def file(self, what: str) -> Store:
        """The file itself, for what only files have. Raises GalleryError where there is none."""

    def close(self) -> None: ...

    def require(self, embedder_id: str) -> None:
        """Raise EmbedderMismatchError unless this embedder made the gallery."""

    # who is there
    def counts(self) -> tuple[int, int]: ...
    def subject_count(self) -> int: ...
    def changed(self, after: int) -> int: ...
    def subjects(self) -> tuple[SubjectRow, ...]: ...
    def find(self, name: str) -> SubjectRow: ...
    def references(self, subject_id: int | None = None) -> Iterator[ReferenceRow]: ...
    def templates(self) -> Subjects: ...
    def enrolled_photos(self, names: Iterable[str]) -> set[tuple[str, str]]: ...
    def snapshot(self) -> AbstractContextManager[None]: ...

    # what changes
    def add(self, new: Sequence[NewReference]) -> int: ...
    def adopt(self, people: Mapping[str, SubjectRow], rows: Sequence[ReferenceRow]) -> int: ...
    def rename(self, old: str, new: str) -> None: ...
    def merge(self, source: str, target: str) -> int: ...
    def remove(self, name: str) -> int: ...
    def remove_reference(self, name: str, reference_id: int) -> int: ...
    def rehearsal(self) -> AbstractContextManager[None]: ...
    def untouched(self) -> AbstractContextManager[None]: ...
    def log_search(self, photo: str, subjects: Iterable[str]) -> None: ...

    # the threshold
    def calibration(self) -> CalibrationRow | None: ...
    def calibrations(self) -> tuple[CalibrationRow, ...]: ...
    def calibrate(self, row: CalibrationRow) -> None: ...
    def observed(self) -> tuple[int, Observed | None]: ...
    def last_observed(self) -> tuple[int, Observed] | None: ...
    def observe(self) -> Observed | None: ...
    def keep_observed(self, revision: int, observed: Observed) -> None: ...

    # searching, and what is derived for it
    def ranker(self, exact: bool, threshold: float) -> Ranker: ...

    def settle(self) -> None:
        """After writing: bring what is derived up to date, so that no search waits for it."""

    def index(self, threshold: float | None) -> IndexInfo:
        """What a search starts from. threshold: the one in force."""

    def size(self) -> int | None:
        """Bytes on this machine's disk; None where it is on none."""

    def faults(self) -> list[str]:
        """What is wrong with it, a line each."""

    # erasing
    def doomed(self, subject: str | None, *, enrolled: bool) -> Deleted: ...
    def erase(self, subject: str | None, *, enrolled: bool) -> Erasure: ...
    def gallery_id(self) -> str: ...
    def hashed(self, name: str) -> str: ...
