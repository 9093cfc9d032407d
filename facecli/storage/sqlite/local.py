"""A gallery file with all that is derived from it: what the commands see of `store`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from facecli.metrics.gallery_fit import Observed, observe_blocks, sample_size
from facecli.storage.interface import Erasure
from facecli.storage.keys import Key
from facecli.storage.maintenance import erasure
from facecli.storage.records import CalibrationRow, IndexInfo, ReferenceRow, SubjectRow
from facecli.storage.search import candidates, ranker
from facecli.storage.sqlite import adopted, deletion
from facecli.storage.sqlite.deletion import Deleted
from facecli.storage.sqlite.store import Store


class LocalVault(Store):
    """An open gallery file. Use it from one thread; any number of processes may."""

    @property
    def label(self) -> Path:
        """Where it is."""
        return self.path

    def file(self, what: str) -> Store:
        """This one, whatever is wanted of it."""
        return self

    @property
    def encrypted(self) -> bool:
        """Whether the file can be read with a key only."""
        return self.key is not None

    def size(self) -> int:
        """Bytes of the file with its write-ahead log."""
        log = self.path.with_name(self.path.name + "-wal")
        return self.path.stat().st_size + (log.stat().st_size if log.exists() else 0)

    def ranker(self, exact: bool, threshold: float) -> ranker.Ranking:
        """What searches it, see `ranking`."""
        return ranker.Ranking.open(self, exact, threshold)

    def settle(self) -> None:
        """Make the sidecar anew where it has fallen behind."""
        candidates.keep_in_step(self)

    def index(self, threshold: float | None) -> IndexInfo:
        """What the next search starts from."""
        return candidates.info(self)

    def faults(self) -> list[str]:
        """The file, the vectors, the index."""
        return self.check() or ranker.faults(self)

    def observe(self) -> Observed | None:
        """Each reference among the other subjects: of a sample with a fixed seed, where many."""
        with self.snapshot():
            vectors, owners = self.some_vectors(sample_size(self.subject_count()))
            return observe_blocks(vectors, owners, self.blocks())

    def adopt(self, people: Mapping[str, SubjectRow], rows: Sequence[ReferenceRow]) -> int:
        """Take references over as they are, in one transaction; returns how many were new."""
        with self._transaction() as db:
            added, touched = adopted.adopt(db, people, rows)
            self._refresh(touched)
        return added

    def calibrations(self) -> tuple[CalibrationRow, ...]:
        """Every threshold choice, the one in force last."""
        return adopted.calibrations(self._db)

    def doomed(self, subject: str | None, *, enrolled: bool) -> Deleted:
        """What `erase` would delete."""
        with self.rehearsal():
            if subject is not None:
                return self.purge(partial(deletion.one, name=subject))
            return self.purge(deletion.everybody if enrolled else deletion.removed)

    def erase(self, subject: str | None, *, enrolled: bool) -> Erasure:
        """Erase a subject, enrolled or removed, else all removed, or everybody; see `erasure`."""
        if subject is not None:
            return erasure.one(self, subject)
        return erasure.everybody(self) if enrolled else erasure.removed(self)


def open_file(path: Path, key: Key | None) -> LocalVault:
    """Open what is there; see `Store.open`."""
    return LocalVault.open(path, key)


def create_file(path: Path, embedder_id: str, dimension: int, key: Key | None) -> LocalVault:
    """Open the gallery at `path`, made first if it is not there; see `Store.create`."""
    return LocalVault.create(path, embedder_id, dimension, key)
