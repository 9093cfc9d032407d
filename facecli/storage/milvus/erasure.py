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
from typing import TYPE_CHECKING

from facecli.common.names import key
from facecli.common.timestamp import now
from facecli.storage.interface import Erasure, Verification
from facecli.storage.milvus.client import Client
from facecli.storage.milvus.collections import LISTED, REFERENCES, SUBJECTS, Subject, subject_from
from facecli.storage.sqlite.deletion import Deleted

if TYPE_CHECKING:
    from facecli.storage.milvus.store import MilvusVault

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


def doomed(vault: MilvusVault, name: str | None, enrolled: bool) -> Doomed:
    """What `erase` would delete. Raises GalleryError when nobody is called `name`."""
    if name is not None:
        return _of([vault.subject(name)], ())
    pages = vault.client.pages(SUBJECTS, LISTED)
    everybody = [subject_from(row) for page in pages for row in page]
    left_over = vault.left_over({i for s in everybody for i in s.members})
    return _of(everybody if enrolled else [], left_over)


def erase(vault: MilvusVault, name: str | None, enrolled: bool) -> Erasure:
    """Delete a subject, else what nobody lists, or all; have it compacted, and look again."""
    gone = doomed(vault, name, enrolled)
    client = vault.client
    vault.delete(gone.subjects, gone.references)
    for table in (SUBJECTS, REFERENCES):
        client.flush(table)
    done = _wait(client, [client.compact(table) for table in (SUBJECTS, REFERENCES)])
    left = len(client.get(SUBJECTS, gone.subjects, ["id"]))
    left += len(client.get(REFERENCES, gone.references, ["id"]))
    kept = KEPT_BY_LITE if client.address.lite else KEPT_BY_SERVER
    if not done:
        kept = (f"its segments: compaction was not done within {COMPACT_WITHIN:.0f} s", *kept)
    if left:
        kept = (f"{left} rows, which are still found: erase them again", *kept)
    sought = len(gone.subjects) + len(gone.references)
    return Erasure(now(), gone.told, busy=left > 0, verified=Verification(0, sought, (), (), 0),
                   unproven=kept)  # fmt: skip


def _of(subjects: Sequence[Subject], left_over: Sequence[int]) -> Doomed:
    references = (*(i for subject in subjects for i in subject.members), *left_over)
    people = frozenset(key(subject.name) for subject in subjects)
    told = Deleted(people, len(references), 0, frozenset(), frozenset())
    return Doomed(told, tuple(subject.id for subject in subjects), references)


def _wait(client: Client, jobs: Sequence[int]) -> bool:
    until = time.monotonic() + COMPACT_WITHIN
    while not all(client.compacted(job) for job in jobs):
        if time.monotonic() > until:
            return False
        time.sleep(ASK_EVERY)
    return True
