"""What a gallery in Milvus answers.

Every read is strong, but for rows that never change: who was removed is never answered from again,
who was enrolled is found at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facecli.common.errors import GalleryError
from facecli.common.names import name_key
from facecli.common.types import Float32
from facecli.metrics.face_kinds import NO_KINDS, FaceKinds
from facecli.metrics.gallery_fit import Observed, observe_blocks, sample_size
from facecli.storage.interface import NOT_A_FILE
from facecli.storage.milvus import layout, ranker
from facecli.storage.milvus.client import Client
from facecli.storage.milvus.layout import LISTED, REFERENCES, SUBJECTS, WHOLE, Subject
from facecli.storage.records import (
    CalibrationRow,
    IndexInfo,
    ReferenceRow,
    SubjectRow,
    Subjects,
    mean_template,
)

SCHEMA = 1
DISTINCT = "distinct"
CHOICE = "calibration "  # and when, so that the last one by name is in force
COPYING = "copying"  # while `gallery copy` fills it: half a copy looks like a whole one
SAME = 1e-5  # what a stored template's values may be off by
LEFT_OVER = 3600 * 1000 * 4096  # an hour, in stamps: after it nobody will list a reference any more


class MilvusReader:
    """Every method raises GalleryError when the engine cannot answer."""

    encrypted = False  # that is the server's to do

    def __init__(self, client: Client, to_copy: bool = False) -> None:
        """to_copy: see `MilvusStore`."""
        self._client = client
        self._path = client.address.shown
        self.rehearsed: list[CalibrationRow] = []  # threshold choices of a dry run
        facts = client.facts()
        if "gallery" not in facts:
            raise GalleryError(f"{self._path}: the gallery was never finished; enrol again")
        made = self._made = facts["gallery"]
        if made["schema"] > SCHEMA:
            raise GalleryError(f"{self._path} was made by a newer facecli: upgrade facecli")
        if COPYING in facts and not to_copy:
            raise GalleryError(
                f"{self._path} cannot be used here: it is a copy that was not finished: run the "
                "same `facecli gallery copy` again, which goes on, or drop its collections"
            )
        self.embedder_id, self.dimension = str(made["embedder"]), int(made["dimension"])
        self.created_at = str(made["created_at"])

    def gallery_id(self) -> str:
        """What names it in receipts: random, 32 hex digits."""
        return str(self._made["id"])

    def hashed(self, name: str) -> str:
        """A subject's name in receipts: keyed with the gallery's own secret, hex."""
        secret = bytes.fromhex(self._made["secret"])
        return hmac.new(secret, name_key(name).encode(), hashlib.sha256).hexdigest()

    def size(self) -> int | None:
        """None: bytes are the engine's to tell."""
        return None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """None: what is read inside is of several moments, each after its reading began."""
        yield

    def counts(self) -> tuple[int, int]:
        """How many subjects and references there are."""
        pages = self._client.pages(SUBJECTS, ["members"])
        sizes = [row["members"].count(",") + 1 for page in pages for row in page]
        return len(sizes), sum(sizes)

    def subject_count(self) -> int:
        """How many subjects there are."""
        return self._client.count(SUBJECTS)

    def changed(self, after: int) -> int:
        """How many of the subjects came or changed after this revision."""
        return self._client.count(SUBJECTS, f"revision > {after}")

    def subjects(self) -> tuple[SubjectRow, ...]:
        """Everyone enrolled, by name."""
        rows = [subject.listed() for subject in self.everyone()]
        return tuple(sorted(rows, key=lambda row: name_key(row.name)))

    def find(self, name: str) -> SubjectRow:
        """The subject called `name`. Raises GalleryError when nobody is."""
        return self.subject(name).listed()

    def distinct(self) -> tuple[tuple[SubjectRow, SubjectRow], ...]:
        """Pairs of subjects who were said to be two people, in the order that was said."""
        pairs = self._client.facts().get(DISTINCT, [])
        rows = self._client.get(SUBJECTS, [i for pair in pairs for i in pair], LISTED)
        known = {row["id"]: layout.subject_from(row).listed() for row in rows}
        return tuple((known[a], known[b]) for a, b in pairs if a in known and b in known)

    def templates(self) -> Subjects:
        """The mean template of every subject, in the order of their ids."""
        rows = [row for page in self._client.pages(SUBJECTS, ["name", "vector"]) for row in page]
        ids, names = tuple(row["id"] for row in rows), tuple(row["name"] for row in rows)
        return Subjects(ids, names, layout.matrix(rows, self.dimension))

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], Float32]]:
        """Every subject's id and template, some thousand at a time: (b,) and (b, d), by id."""
        for page in self._client.pages(SUBJECTS, ["vector"]):
            yield np.array([row["id"] for row in page]), layout.matrix(page, self.dimension)

    def references(self, subject_id: int | None = None) -> Iterator[ReferenceRow]:
        """Every reference that a subject lists, or one subject's, in the order of their ids."""
        if subject_id is not None:
            rows = self._client.get(SUBJECTS, [subject_id], LISTED)
            for subject in map(layout.subject_from, rows):
                for row in self._client.get(REFERENCES, subject.members, ["*"]):
                    yield layout.reference_from(row, subject.name, self.embedder_id)
            return
        names = {i: subject.name for subject in self.everyone() for i in subject.members}
        for page in self._client.pages(REFERENCES, ["*"]):
            for row in page:
                if row["id"] in names:
                    yield layout.reference_from(row, names[row["id"]], self.embedder_id)

    def enrolled_photos(self, names: Iterable[str]) -> dict[tuple[str, str], str]:
        """By subject key and photo sha256, the paths of the photos of the subjects called so."""
        found = self.called(names, LISTED)
        owners = {i: name_key(subject.name) for subject in found.values() for i in subject.members}
        rows = self._client.get(REFERENCES, tuple(owners), ["photo", "details"])
        return {(owners[row["id"]], row["photo"]): layout.path_of(row) for row in rows}

    # the threshold ---------------------------------------------------------------------------

    def observed(self) -> tuple[int, Observed | None]:
        """The templates' revision, and what was observed of them if that was at this revision."""
        revision, last = int(self._client.facts().get("revision", 0)), self.last_observed()
        return revision, last[1] if last is not None and last[0] == revision else None

    def last_observed(self) -> tuple[int, Observed] | None:
        """The revision at which the templates were last observed, and what was; None if never."""
        kept = self._client.facts().get("observed")
        if kept is None or len(kept) != 3:  # an older facecli's: observed anew
            return None
        found = Observed(int(kept[1]), base64.b64decode(kept[2]))
        return None if found.older else (int(kept[0]), found)

    def observe(self, kinds: FaceKinds = NO_KINDS) -> Observed | None:
        """Each reference among the other subjects: of a sample with a fixed seed, where many.

        All templates are fetched for it, block by block.
        """
        owners = {i: s.id for s in self.everyone() for i in s.members}
        ids = np.array(sorted(owners), np.int64)
        most = sample_size(len(set(owners.values())))
        if len(ids) > most:
            ids = np.sort(np.random.default_rng(0).choice(ids, most, replace=False))
        rows = self._client.never_changed(REFERENCES, ids.tolist(), ["vector"])
        whose = np.array([owners[row["id"]] for row in rows], np.int64)
        pairs = [(one.id, other.id) for one, other in self.distinct()]
        vectors = layout.matrix(rows, self.dimension)
        return observe_blocks(vectors, whose, self.blocks(), pairs, kinds)

    def calibration(self) -> CalibrationRow | None:
        """The threshold choice in force; None while the built-in default is."""
        return next(reversed(self.calibrations()), None)

    def calibrations(self) -> tuple[CalibrationRow, ...]:
        """Every threshold choice, the one in force last."""
        facts = self._client.facts()
        stored = [CalibrationRow(**facts[n]) for n in sorted(facts) if n.startswith(CHOICE)]
        return (*stored, *self.rehearsed)

    # searching -------------------------------------------------------------------------------

    def ranker(self, exact: bool, threshold: float) -> ranker.MilvusRanker:
        """What searches it. Raises GalleryError for `exact`."""
        if exact:
            what = "exact search (`gallery info` tells how much its index finds)"
            raise GalleryError(NOT_A_FILE.format(what=what))
        return ranker.MilvusRanker(self._client)

    def index(self, threshold: float | None) -> IndexInfo:
        """The index's recall at the threshold, measured now."""
        return ranker.recall(self._client, self.subject_count(), threshold)

    # is it whole? ----------------------------------------------------------------------------

    def faults(self) -> list[str]:
        """What is wrong, a line each: references missing, templates not their references' mean."""
        listed: set[int] = set()
        lines: list[str] = []
        for page in self._client.pages(SUBJECTS, WHOLE):
            subjects = [layout.subject_from(row) for row in page]
            members = [i for subject in subjects for i in subject.members]
            rows = self._client.get(REFERENCES, members, ["vector"])
            vectors = {r["id"]: np.asarray(r["vector"], np.float32) for r in rows}
            lines += [line for subject in subjects if (line := _fault(subject, vectors))]
            listed |= set(members)
        if left := len(self.left_over(listed)):
            lines.append(
                f"{left} references that no subject lists, left by a command that was killed: "
                "`facecli gallery purge --removed` deletes them"
            )
        return lines

    def left_over(self, listed: set[int]) -> list[int]:
        """Ids of references that are none of `listed`, nor so new that they may yet be."""
        before = layout.Stamps().next() - LEFT_OVER
        return [
            row["id"] for page in self._client.pages(REFERENCES, ["id"], f"id < {before}")
            for row in page if row["id"] not in listed
        ]  # fmt: skip

    # whole subjects, as they are stored ------------------------------------------------------

    def everyone(self) -> Iterator[Subject]:
        for page in self._client.pages(SUBJECTS, LISTED):
            yield from map(layout.subject_from, page)

    def called(self, names: Iterable[str], fields: Sequence[str] = WHOLE) -> dict[str, Subject]:
        """Those of these subjects that are enrolled, by `layout.name_hash`."""
        hashes = {f(name) for name in names for f in (layout.name_hash, layout.name_hash_before)}
        rows: list[Any] = self._client.matching(SUBJECTS, "hash", sorted(hashes), fields)
        return {layout.name_hash(row["name"]): layout.subject_from(row) for row in rows}

    def subject(self, name: str) -> Subject:
        """The one called `name`. Raises GalleryError when nobody is."""
        found = self.called([name])
        if not found:
            raise GalleryError(f"nobody called {name!r} is enrolled: see `facecli gallery list`")
        return next(iter(found.values()))


def _fault(subject: Subject, vectors: dict[int, Float32]) -> str | None:
    own = [vectors[i] for i in subject.members if i in vectors]
    if missing := len(subject.members) - len(own):
        return f"{subject.name!r} lists {missing} references that are not there"
    if not own or not np.allclose(subject.template, mean_template(own), atol=SAME):
        return f"the template of {subject.name!r} is not the mean of its references"
    return None
