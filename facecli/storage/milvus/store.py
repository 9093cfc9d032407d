"""A gallery in Milvus in use. One program writes at a time; any number may search meanwhile.

Milvus has no transactions: a subject's row is written last when it comes or grows and goes first,
so that a command that is killed leaves references that nobody lists, and nothing else.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from facecli.common.errors import GalleryError
from facecli.common.names import require_name
from facecli.common.timestamp import now
from facecli.common.types import Float32
from facecli.metrics.gallery_fit import Observed
from facecli.storage.interface import Deleted, Erasure, Whom, require_embedder
from facecli.storage.milvus import address, erasure, layout
from facecli.storage.milvus.client import ANSWER_WITHIN, READY_WITHIN, STRONG, Client
from facecli.storage.milvus.layout import FACTS, REFERENCES, SUBJECTS, Collection, Subject
from facecli.storage.milvus.reader import CHOICE, COPYING, DISTINCT, SCHEMA, MilvusReader
from facecli.storage.records import (
    CalibrationRow,
    NewReference,
    ReferenceRow,
    Refiled,
    SubjectRow,
    mean_template,
)

AT_ONCE = 4096  # references: what two strong reads are worth


class MilvusStore:
    """An open gallery in Milvus. Every method raises GalleryError when the engine cannot serve."""

    def __init__(self, client: Client, to_copy: bool = False) -> None:
        """to_copy: whether a copy that was not finished will do."""
        self.client = client
        self.path = client.address.shown
        self.reader = MilvusReader(client, to_copy)
        self._stamps = layout.Stamps()
        self._rehearsing = False

    @classmethod
    def present(cls, path: Path) -> bool:
        """Whether there is a gallery. Raises GalleryError for other collections of that name."""
        with closing(Client(address.parse(path))) as client:
            return _is_gallery(client)

    @classmethod
    def open(cls, path: Path) -> MilvusStore:
        """Open what is there. Raises GalleryError when it is missing, foreign, too new, or a copy
        that was not finished.
        """
        client = Client(address.parse(path))
        try:
            if not _is_gallery(client):
                raise GalleryError(
                    f"there is no gallery at {client.address.shown}: make one with "
                    "`facecli enroll PHOTOS`, or name another with --gallery"
                )
            _load(client, layout.ALL)
            return cls(client)
        except BaseException:
            client.close()
            raise

    @classmethod
    def create(
        cls, path: Path, embedder_id: str, dimension: int, to_copy: bool = False
    ) -> MilvusStore:
        """Open the gallery, made first if it is not there. to_copy: one to go on copying into, too.

        Raises EmbedderMismatchError when it is there and another embedder's.
        """
        client = Client(address.parse(path))
        try:
            if not _is_gallery(client):
                _make(client, dimension)
            _load(client, layout.ALL)
            if "gallery" not in client.facts():
                client.keep(
                    "gallery",
                    {"schema": SCHEMA, "embedder": embedder_id, "dimension": dimension,
                     "created_at": now(), "id": secrets.token_hex(16),
                     "secret": secrets.token_hex(32)},
                )  # fmt: skip
            store = cls(client, to_copy)
            require_embedder(store, embedder_id)
            return store
        except BaseException:
            client.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self.client.close()

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Nothing is written inside: a dry run."""
        self._rehearsing = True
        try:
            yield
        finally:
            self._rehearsing = False
            self.reader.rehearsed.clear()

    untouched = rehearsal

    def add(self, new: Sequence[NewReference]) -> int:
        """Enrol faces; those already there are left as they are. Returns how many were added."""
        people = {
            item.subject: SubjectRow(self._stamps.next(), item.subject, 0, now())
            for item in {layout.name_hash(item.subject): item for item in new}.values()
        }
        return self._adopt(people, [self._numbered(item) for item in new], copying=False)

    def adopt(self, people: Mapping[str, SubjectRow], rows: Sequence[ReferenceRow]) -> int:
        """Take references over as they are, with their ids and times; returns how many were new.

        people: by name, what their subjects are to be where they are not there yet. From then on
        it is a copy, which nothing else opens, until `copied`.
        """
        return self._adopt(people, rows, copying=True)

    def copied(self) -> None:
        """Nothing more is taken over: it is a gallery like others."""
        self._write(self.client.delete, FACTS, [COPYING])

    def rename(self, old: str, new: str) -> None:
        """Give a subject another name.

        Raises GalleryError when that one is taken, UsageError when it cannot be a name.
        """
        require_name(new)
        subject = self.reader.subject(old)
        for other in self.reader.called([new]).values():
            if other.id != subject.id:
                raise GalleryError(
                    f"there is already a subject called {other.name!r}: merge them with "
                    "`facecli gallery merge`"
                )
        self._put([replace(subject, name=new)])

    def merge(self, source: str, target: str) -> int:
        """Move all references of `source` to `target`; returns how many. Doubles are dropped."""
        gone, kept = self.reader.subject(source), self.reader.subject(target)
        if gone.id == kept.id:
            raise GalleryError(f"{source!r} and {target!r} are the same subject")
        rows = self.client.get(
            REFERENCES, (*gone.members, *kept.members), ["photo", "face", "vector"]
        )
        known = {row["id"]: row for row in rows}
        faces = {layout.face_of(known[i]) for i in kept.members}
        moved = [i for i in gone.members if layout.face_of(known[i]) not in faces]
        # The target first: killed in between, the same faces are found under both names, not lost.
        self._put([self._listing(kept, (*kept.members, *moved), known)])
        pairs = self._distinct()
        if any(gone.id in pair for pair in pairs):
            now = {gone.id: kept.id}
            renamed = {frozenset(now.get(i, i) for i in pair) for pair in pairs}
            self._keep_distinct([(min(two), max(two)) for two in renamed if len(two) == 2])
        self._delete([gone.id], [i for i in gone.members if i not in moved])
        return len(moved)

    def distinct(self, first: str, second: str, *, forget: bool = False) -> None:
        """Say that they are two people; see `interface.Storage`."""
        one, other = self.reader.subject(first), self.reader.subject(second)
        if one.id == other.id:
            raise GalleryError(f"{first!r} and {second!r} are the same subject")
        pairs = self._distinct()
        there = [pair for pair in pairs if {one.id, other.id} == set(pair)]
        if forget and not there:
            raise GalleryError(
                f"nobody said that {one.name!r} and {other.name!r} are two people: "
                "`facecli gallery distinct` lists who is"
            )
        if forget or not there:
            more = [] if forget else [(one.id, other.id)]
            self._keep_distinct([*(pair for pair in pairs if pair not in there), *more])

    def remove(self, name: str) -> int:
        """Delete a subject with all references; returns how many."""
        subject = self.reader.subject(name)
        self._delete([subject.id], subject.members)
        return len(subject.members)

    def remove_reference(self, name: str, reference_id: int) -> int:
        """Delete one reference of a subject, and the subject with its last; how many stay.

        Raises GalleryError when the subject has no such reference.
        """
        subject = self.reader.subject(name)
        left = tuple(i for i in subject.members if i != reference_id)
        if len(left) == len(subject.members):
            raise GalleryError(
                f"{subject.name!r} has no reference {reference_id}: `facecli gallery show` lists "
                "them"
            )
        if not left:
            self._delete([subject.id], subject.members)
            return 0
        rows = {r["id"]: r for r in self.client.get(REFERENCES, left, ["vector"])}
        self._put([self._listing(subject, left, rows)])
        self._write(self.client.delete, REFERENCES, [reference_id])
        return len(left)

    def refile(self, photos: Sequence[Refiled]) -> None:
        """Note where photos lie now, and what their bytes are; what is not there is passed over."""
        for subject in self.reader.called([p.subject for p in photos], layout.LISTED).values():
            fields = ["photo", "face", "subject", "details", "vector"]
            rows = self.client.get(REFERENCES, subject.members, fields)
            there = {row["photo"] for row in rows}
            now = {
                photo.photo_sha256: photo
                for photo in photos
                if layout.name_hash(photo.subject) == layout.name_hash(subject.name)
                and photo.new_sha256 not in there - {photo.photo_sha256}
            }
            moved = [layout.refiled(r, now[r["photo"]]) for r in rows if r["photo"] in now]
            self._write(self.client.upsert, REFERENCES, moved)

    def calibrate(self, row: CalibrationRow) -> None:
        """Put a threshold choice in force; earlier ones stay on record."""
        if self._rehearsing:
            self.reader.rehearsed.append(row)
        self._write(self.client.keep, f"{CHOICE}{self._stamps.next():016d}", asdict(row))

    def keep_observed(self, revision: int, observed: Observed) -> None:
        """Remember what was observed of the templates at this revision."""
        scores = base64.b64encode(observed.scores).decode()
        self._write(self.client.keep, "observed", (revision, observed.n, scores))

    def settle(self) -> None:
        """Nothing is derived here that could fall behind."""

    def log_search(self, photo: str, subjects: Iterable[str]) -> None:
        """Nothing: the audit log is a gallery file's."""

    def doomed(self, whom: Whom) -> Deleted:
        """What `erase` would delete. Raises GalleryError where nobody is called so."""
        return erasure.doomed(self.reader, whom).told

    def erase(self, whom: Whom) -> Erasure:
        """Delete a subject, what nobody lists, or all; see `erasure`."""
        gone = erasure.doomed(self.reader, whom)
        self._delete(gone.subjects, gone.references)
        return erasure.end(self.client, gone)

    def _delete(self, subjects: Sequence[int], references: Sequence[int]) -> None:
        """Delete rows, subjects first, for they are what counts; and what was observed."""
        self._write(self.client.delete, SUBJECTS, subjects)
        self._write(self.client.delete, REFERENCES, references)
        pairs, gone = self._distinct(), set(subjects)
        if any(gone & set(pair) for pair in pairs):
            self._keep_distinct([pair for pair in pairs if not gone & set(pair)])
        self._write(self.client.delete, FACTS, ["observed"])
        self._write(self.client.keep, "revision", self._stamps.next())

    def _distinct(self) -> list[tuple[int, int]]:
        return [(one.id, other.id) for one, other in self.reader.distinct()]

    def _keep_distinct(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Raises GalleryError where they are more than a fact can hold."""
        if len(json.dumps(pairs)) > layout.MOST_TEXT:
            raise GalleryError(f"{self.path}: {len(pairs):,} pairs of distinct people are too many")
        self._write(self.client.keep, DISTINCT, pairs)
        self._write(self.client.keep, "revision", self._stamps.next())

    def _adopt(
        self, people: Mapping[str, SubjectRow], rows: Sequence[ReferenceRow], copying: bool
    ) -> int:
        return sum(
            self._adopt_some(people, rows[start : start + AT_ONCE], copying)
            for start in range(0, len(rows), AT_ONCE)
        )

    def _adopt_some(
        self, people: Mapping[str, SubjectRow], rows: Sequence[ReferenceRow], copying: bool
    ) -> int:
        faces: dict[str, list[ReferenceRow]] = {}
        for row in rows:
            faces.setdefault(layout.name_hash(row.subject), []).append(row)
        wanted = {layout.name_hash(name): row for name, row in people.items()}
        known = self.reader.called([own[0].subject for own in faces.values()])
        members = [i for subject in known.values() for i in subject.members]
        fields = ["photo", "face", "vector"]
        stored = {r["id"]: r for r in self.client.never_changed(REFERENCES, members, fields)}
        fresh: list[dict[str, Any]] = []
        grown: list[Subject] = []
        for hashed, own in faces.items():
            subject = known.get(hashed) or layout.newcomer(wanted[hashed])
            there = {layout.face_of(stored[i]) for i in subject.members if i in stored}
            more = [layout.reference_to_row(row, subject.id) for row in own]
            more = list({layout.face_of(row): row for row in reversed(more)}.values())[::-1]
            more = [row for row in more if layout.face_of(row) not in there]
            if more:
                stored |= {row["id"]: row for row in more}
                fresh += more
                ids = (*subject.members, *(row["id"] for row in more))
                grown.append(self._listing(subject, ids, stored))
        if fresh and copying:
            self._write(self.client.keep, COPYING, True)
        # Subjects last: killed in between, it leaves references that nobody lists or searches.
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
                f"{self.path}: reference {missing[0]} of {subject.name!r} is not there: the "
                "gallery is damaged; `facecli gallery check` tells more"
            )
        vectors: list[Float32] = [np.asarray(rows[i]["vector"], np.float32) for i in ids]
        return replace(subject, members=ids, template=mean_template(vectors))

    def _put(self, subjects: Sequence[Subject]) -> None:
        if subjects:
            revision = self._stamps.next()
            rows = [layout.subject_to_row(replace(s, revision=revision)) for s in subjects]
            self._write(self.client.upsert, SUBJECTS, rows)
            self._write(self.client.keep, "revision", revision)

    def _write(self, function: Callable[..., None], *what: Any) -> None:
        if not self._rehearsing:
            function(*what)


def _is_there(client: Client, collection: Collection) -> bool:
    with client.milvus() as milvus:
        return bool(milvus.has_collection(client.name(collection), timeout=ANSWER_WITHIN))


def _is_gallery(client: Client) -> bool:
    there = [_is_there(client, collection) for collection in layout.ALL]
    if not any(there):
        return False
    if not there[-1]:
        raise GalleryError(
            f"{client.address.shown} is not a facecli gallery: name another collection"
        )
    if not all(there):
        return False  # its making was interrupted
    _load(client, [FACTS])
    return "gallery" in client.facts()


def _make(client: Client, dimension: int) -> None:
    """Make the collections that are not there yet, with their indexes."""
    for collection in layout.ALL:
        if not _is_there(client, collection):
            with client.milvus() as milvus:
                fields, index = layout.schema(milvus, collection, dimension)
                milvus.create_collection(
                    client.name(collection), schema=fields, index_params=index,
                    consistency_level=STRONG, timeout=ANSWER_WITHIN,
                )  # fmt: skip


def _load(client: Client, collections: Sequence[Collection]) -> None:
    """Have them in memory, where they can be searched; at once where they are."""
    with client.milvus(READY_WITHIN) as milvus:
        for collection in collections:
            milvus.load_collection(client.name(collection), timeout=READY_WITHIN)
