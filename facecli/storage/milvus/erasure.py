"""Erasing people from Milvus: what the engine offers, asked for and waited for; what it may keep.

    delete -> flush -> compact -> wait -> ask for every row by its number, strongly

That no read finds them can be shown. That no byte of them is left on the server's disks cannot be
from outside: segments that compaction replaced wait for garbage collection, the message log keeps
what was written for days, object storage may keep versions.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from facecli.common.names import name_key
from facecli.common.timestamp import now
from facecli.storage.interface import ByteSearch, Called, Deleted, Erasure, Group, Whom
from facecli.storage.milvus.client import ANSWER_WITHIN, READY_WITHIN, Client
from facecli.storage.milvus.layout import REFERENCES, SUBJECTS, Subject
from facecli.storage.milvus.reader import MilvusReader

COMPACT_WITHIN, ASK_EVERY = 60.0, 0.5  # s
KEPT_BY_SERVER = (
    "segments that compaction replaced, until the server's garbage collection drops them "
    "(dataCoord.gc.dropTolerance)",
    "the message log, which keeps what was written for 3 days by default "
    "(rocksmq.retentionTimeInMinutes, or the retention of Pulsar or Kafka)",
    "backups, snapshots and versions of its disks and object storage",
)
KEPT_BY_LITE = (
    "milvus-lite's files, which hold deleted rows until it merges them: to be sure, "
    "`facecli gallery copy` to another file and delete this folder",
)


@dataclass(frozen=True, slots=True)
class Doomed:
    """told: for people. subjects, references: ids of rows."""

    told: Deleted
    subjects: tuple[int, ...]
    references: tuple[int, ...]


def doomed(reader: MilvusReader, whom: Whom) -> Doomed:
    """Whose rows are to go. REMOVED: references that nobody lists. Raises GalleryError when nobody
    is called so.
    """
    if isinstance(whom, Called):
        return _of([reader.subject(whom.name)], ())
    everybody = list(reader.everyone())
    left_over = reader.left_over({i for s in everybody for i in s.members})
    return _of(everybody if whom is Group.EVERYBODY else [], left_over)


def end(client: Client, gone: Doomed) -> Erasure:
    """After the rows were deleted: have them compacted, and look again."""
    collections = [client.name(collection) for collection in (SUBJECTS, REFERENCES)]
    with client.milvus(READY_WITHIN) as milvus:
        for collection in collections:
            milvus.flush(collection, timeout=READY_WITHIN)
        jobs = [milvus.compact(collection, timeout=ANSWER_WITHIN) for collection in collections]
    done = _wait(client, jobs)
    left = len(client.get(SUBJECTS, gone.subjects, ["id"]))
    left += len(client.get(REFERENCES, gone.references, ["id"]))
    kept = KEPT_BY_LITE if client.address.lite else KEPT_BY_SERVER
    if not done:
        kept = (f"its segments: compaction was not done within {COMPACT_WITHIN:.0f} s", *kept)
    if left:
        kept = (f"{left} rows, which are still found: erase them again", *kept)
    sought = len(gone.subjects) + len(gone.references)
    return Erasure(now(), gone.told, left > 0, ByteSearch(0, sought), kept)


def _of(subjects: Sequence[Subject], left_over: Sequence[int]) -> Doomed:
    references = (*(i for subject in subjects for i in subject.members), *left_over)
    people = frozenset(name_key(subject.name) for subject in subjects)
    told = Deleted(people, len(references))
    return Doomed(told, tuple(subject.id for subject in subjects), references)


def _wait(client: Client, jobs: Sequence[int]) -> bool:
    until = time.monotonic() + COMPACT_WITHIN
    while not all(_compacted(client, job) for job in jobs):
        if time.monotonic() > until:
            return False
        time.sleep(ASK_EVERY)
    return True


def _compacted(client: Client, job: int) -> bool:
    with client.milvus() as milvus:
        state = milvus.get_compaction_state(job, timeout=ANSWER_WITHIN)
    return str(state) == "Completed"
