"""A gallery in Milvus in use. One program writes at a time; any number may search meanwhile.

Milvus has no transactions: a subject's row is written last when it comes or grows and goes first,
so that a command that is killed leaves references that nobody lists, and nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from facecli.common.errors import GalleryError
from facecli.common.names import require_name
from facecli.common.timestamp import now
from facecli.common.types import Float32
from facecli.metrics.gallery_fit import Observed
from facecli.storage.interface import Erasure
from facecli.storage.milvus import address, collections, erasure, ranker
from facecli.storage.milvus.client import Client
from facecli.storage.milvus.collections import FACTS, REFERENCES, SUBJECTS, Subject
from facecli.storage.milvus.reader import CHOICE, SCHEMA, Answers
from facecli.storage.records import (
    CalibrationRow,
    IndexInfo,
    NewReference,
    ReferenceRow,
    SubjectRow,
    mean_template,
)
from facecli.storage.sqlite.deletion import Deleted

AT_ONCE = 4096  # references: what two strong reads are worth


class MilvusVault(Answers):
    """An open gallery in Milvus. Every method raises GalleryError when the engine cannot serve."""

    _rehearsing = False

    @classmethod
    def present(cls, path: Path) -> bool:
        """Whether there is a gallery. Raises GalleryError for other collections of that name."""
        client = Client(address.parse(path))
        try:
            return _there(client)
        finally:
            client.close()

    @classmethod
    def open(cls, path: Path) -> MilvusVault:
        """Open what is there. Raises GalleryError when it is missing, foreign or too new."""
        client = Client(address.parse(path))
        try:
            if not _there(client):
                raise GalleryError(
                    f"there is no gallery at {client.address.shown}: make one with "
                    "`facecli enroll PHOTOS`, or name another with --gallery"
                )
            for table in collections.ALL:
                client.load(table)
            return cls(client)
        except BaseException:
            client.close()
            raise

    @classmethod
    def create(cls, path: Path, embedder_id: str, dimension: int) -> MilvusVault:
        """Open the gallery, made first if it is not there.

        Raises EmbedderMismatchError when it is there and another embedder's.
        """
        client = Client(address.parse(path))
        try:
            if not _there(client):
                for table in collections.ALL:
                    if not client.has(table):
                        client.make(table, dimension)
            for table in collections.ALL:
                client.load(table)
            if "gallery" not in client.facts():
                client.keep(
                    "gallery",
                    {"schema": SCHEMA, "embedder": embedder_id, "dimension": dimension,
                     "created_at": now(), "id": secrets.token_hex(16),
                     "secret": secrets.token_hex(32)},
                )  # fmt: skip
            vault = cls(client)
            vault.require(embedder_id)
            return vault
        except BaseException:
            client.close()
            raise

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Nothing is written inside: a dry run."""
        self._rehearsing = True
        try:
            yield
        finally:
            self._rehearsing = False
            self._rehearsed.clear()

    untouched = rehearsal

    def add(self, new: Sequence[NewReference]) -> int:
        """Enrol faces; those already there are left as they are. Returns how many were added."""
        people = {
            item.subject: SubjectRow(self._stamps.next(), item.subject, 0, now())
            for item in {collections.hashed(item.subject): item for item in new}.values()
        }
        return self.adopt(people, [self._numbered(item) for item in new])

    def adopt(self, people: Mapping[str, SubjectRow], rows: Sequence[ReferenceRow]) -> int:
        """Take references over as they are, with their ids and times; returns how many were new.

        people: by name, what their subjects are to be where they are not there yet.
        """
        return sum(
            self._adopt(people, rows[start : start + AT_ONCE])
            for start in range(0, len(rows), AT_ONCE)
        )

    def rename(self, old: str, new: str) -> None:
        """Give a subject another name.

        Raises GalleryError when that one is taken, UsageError when it cannot be a name.
        """
        require_name(new)
        subject = self._find(old)
        for other in self._called([new]).values():
            if other.id != subject.id:
                raise GalleryError(
                    f"there is already a subject called {other.name!r}: merge them with "
                    "`facecli gallery merge`"
                )
        self._put([replace(subject, name=new)])

    def merge(self, source: str, target: str) -> int:
        """Move all references of `source` to `target`; returns how many. Doubles are dropped."""
        gone, kept = self._find(source), self._find(target)
        if gone.id == kept.id:
            raise GalleryError(f"{source!r} and {target!r} are the same subject")
        rows = self.client.get(
            REFERENCES, (*gone.members, *kept.members), ["photo", "face", "vector"]
        )
        known = {row["id"]: row for row in rows}
        faces = {collections.face(known[i]) for i in kept.members}
        moved = [i for i in gone.members if collections.face(known[i]) not in faces]
        self._put([self._listing(kept, (*kept.members, *moved), known)])
        self.delete([gone.id], [i for i in gone.members if i not in moved])
        return len(moved)

    def remove(self, name: str) -> int:
        """Delete a subject with all references; returns how many."""
        subject = self._find(name)
        self.delete([subject.id], subject.members)
        return len(subject.members)

    def remove_reference(self, name: str, reference_id: int) -> int:
        """Delete one reference of a subject, and the subject with its last; how many stay.

        Raises GalleryError when the subject has no such reference.
        """
        subject = self._find(name)
        left = tuple(i for i in subject.members if i != reference_id)
        if len(left) == len(subject.members):
            raise GalleryError(
                f"{subject.name!r} has no reference {reference_id}: `facecli gallery show` lists "
                "them"
            )
        if not left:
            self.delete([subject.id], subject.members)
            return 0
        rows = {r["id"]: r for r in self.client.get(REFERENCES, left, ["vector"])}
        self._put([self._listing(subject, left, rows)])
        self._write(self.client.delete, REFERENCES, [reference_id])
        return len(left)

    def calibrate(self, row: CalibrationRow) -> None:
        """Put a threshold choice in force; earlier ones stay on record."""
        if self._rehearsing:
            self._rehearsed.append(row)
        self._write(self.client.keep, f"{CHOICE}{self._stamps.next():016d}", asdict(row))

    def keep_observed(self, revision: int, observed: Observed) -> None:
        """Remember what was observed of the templates at this revision."""
        kept = (revision, observed.n, observed.mean, observed.deviation, observed.references)
        self._write(self.client.keep, "observed", kept)

    # searching, and what is derived ----------------------------------------------------------

    def ranker(self, exact: bool, threshold: float) -> ranker.MilvusRanker:
        """What searches it. Raises GalleryError for `exact`."""
        if exact:
            self.file("exact search (`gallery info` tells how much its index finds)")
        return ranker.MilvusRanker(self.client)

    def settle(self) -> None:
        """Nothing is derived here that could fall behind."""

    def index(self, threshold: float | None) -> IndexInfo:
        """The index's recall at the threshold, measured now."""
        return ranker.recall(self.client, self.subject_count(), threshold)

    # erasing ---------------------------------------------------------------------------------

    def doomed(self, subject: str | None, *, enrolled: bool) -> Deleted:
        """What `erase` would delete."""
        return erasure.doomed(self, subject, enrolled).told

    def erase(self, subject: str | None, *, enrolled: bool) -> Erasure:
        """Delete a subject, else what nobody lists, or all; see `erasing`."""
        return erasure.erase(self, subject, enrolled)

    # within this package ---------------------------------------------------------------------

    def subject(self, name: str) -> Subject:
        """The subject called `name`, whole. Raises GalleryError when nobody is."""
        return self._find(name)

    def delete(self, subjects: Sequence[int], references: Sequence[int]) -> None:
        """Delete rows, subjects first, for they are what counts; and what was observed."""
        self._write(self.client.delete, SUBJECTS, subjects)
        self._write(self.client.delete, REFERENCES, references)
        self._write(self.client.delete, FACTS, ["observed"])
        self._write(self.client.keep, "revision", self._stamps.next())

    def _adopt(self, people: Mapping[str, SubjectRow], rows: Sequence[ReferenceRow]) -> int:
        faces: dict[str, list[ReferenceRow]] = {}
        for row in rows:
            faces.setdefault(collections.hashed(row.subject), []).append(row)
        wanted = {collections.hashed(name): row for name, row in people.items()}
        known = self._called([own[0].subject for own in faces.values()])
        members = [i for subject in known.values() for i in subject.members]
        fields = ["photo", "face", "vector"]
        stored = {r["id"]: r for r in self.client.never_changed(REFERENCES, members, fields)}
        fresh: list[dict[str, Any]] = []
        grown: list[Subject] = []
        for hashed, own in faces.items():
            subject = known.get(hashed) or collections.newcomer(wanted[hashed])
            there = {collections.face(stored[i]) for i in subject.members if i in stored}
            more = [collections.reference_to_row(row, subject.id) for row in own]
            more = list({collections.face(row): row for row in reversed(more)}.values())[::-1]
            more = [row for row in more if collections.face(row) not in there]
            if more:
                stored |= {row["id"]: row for row in more}
                fresh += more
                ids = (*subject.members, *(row["id"] for row in more))
                grown.append(self._listing(subject, ids, stored))
        self._write(self.client.insert, REFERENCES, fresh)
        self._put(grown)
        return len(fresh)

    def _numbered(self, new: NewReference) -> ReferenceRow:
        return ReferenceRow(
            self._stamps.next(), new.subject, new.found.face, new.found.template,
            new.photo_sha256, new.face_index, new.path, now(),
        )  # fmt: skip

    def _listing(
        self, subject: Subject, members: Sequence[int], rows: Mapping[int, Mapping[str, Any]]
    ) -> Subject:
        """The subject with these references. Raises GalleryError where one is not among `rows`."""
        ids = tuple(sorted(members))
        if missing := [i for i in ids if i not in rows]:
            raise GalleryError(
                f"{self.label}: reference {missing[0]} of {subject.name!r} is not there: the "
                "gallery is damaged; `facecli gallery check` tells more"
            )
        vectors: list[Float32] = [np.asarray(rows[i]["vector"], np.float32) for i in ids]
        return replace(subject, members=ids, template=mean_template(vectors))

    def _put(self, subjects: Sequence[Subject]) -> None:
        if subjects:
            revision = self._stamps.next()
            rows = [collections.subject_to_row(replace(s, revision=revision)) for s in subjects]
            self._write(self.client.upsert, SUBJECTS, rows)
            self._write(self.client.keep, "revision", revision)

    def _write(self, function: Callable[..., None], *what: Any) -> None:
        if not self._rehearsing:
            function(*what)


def _there(client: Client) -> bool:
    there = [client.has(table) for table in collections.ALL]
    if not any(there):
        return False
    if not there[-1]:
        raise GalleryError(
            f"{client.address.shown} is not a facecli gallery: name another collection"
        )
    if not all(there):
        return False  # its making was interrupted
    client.load(collections.FACTS)
    return "gallery" in client.facts()
