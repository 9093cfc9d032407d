"""What a gallery is in Milvus: three collections, and their rows to records and back.

COLLECTION           a reference a row; once written only a photo's path and sha256 may change
COLLECTION_subjects  a subject a row: name, the list of its references, their mean template
COLLECTION_facts     embedder, threshold choices, what was observed: JSON by key

Milvus changes one row at a time, so a subject's row is what counts: a reference that no subject
lists is not there, whether it is still to be listed or was left by a command that was killed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from facecli.common.errors import GalleryError
from facecli.common.names import key_with_unseen, name_key
from facecli.common.types import Face, Float32, Template
from facecli.storage.records import ReferenceRow, Refiled, SubjectRow

if TYPE_CHECKING:
    from pymilvus import MilvusClient

Row = dict[str, Any]

MOST_TEXT = 65_535  # bytes: Milvus's own limit for a text


@dataclass(frozen=True, slots=True)
class Collection:
    """ending: of the collection's name. texts: names and bytes of its texts. numbers: 64 bit.

    keyed: by a text, not a number.
    """

    ending: str
    texts: tuple[tuple[str, int], ...]
    numbers: tuple[str, ...]
    keyed: bool = False


REFERENCES = Collection("", (("photo", 64), ("details", MOST_TEXT)), ("subject", "face"))
SUBJECTS = Collection(
    "_subjects",
    (("hash", 64), ("name", 4096), ("members", MOST_TEXT), ("created_at", 32)),
    ("revision",),
)
FACTS = Collection("_facts", (("value", MOST_TEXT),), (), keyed=True)
ALL = (REFERENCES, SUBJECTS, FACTS)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A subject's row. members: ids of its references, ascending. template: (d,) float32."""

    id: int
    name: str
    members: tuple[int, ...]
    created_at: str
    revision: int
    template: Float32

    def listed(self) -> SubjectRow:
        """As commands list it."""
        return SubjectRow(self.id, self.name, len(self.members), self.created_at)


LISTED = ("name", "members", "created_at", "revision")
WHOLE = (*LISTED, "vector")


class Stamps:
    """Ids and revisions: milliseconds, then 12 random bits of this writer.

    They only rise, are given without asking the server, and stay below 2^53, which every reader
    of JSON keeps.
    """

    def __init__(self) -> None:
        self._writer = secrets.randbits(12)
        self._last = 0

    def next(self) -> int:
        """The next one."""
        self._last = max(time.time_ns() // 1_000_000, self._last + 1)
        return self._last * 4096 + self._writer


def schema(client: MilvusClient, collection: Collection, dimension: int) -> tuple[Any, Any]:
    """The collection's fields and its index, as pymilvus wants them."""
    from pymilvus import DataType

    fields = client.create_schema(auto_id=False, enable_dynamic_field=False)
    if collection.keyed:
        fields.add_field("id", DataType.VARCHAR, max_length=64, is_primary=True)
    else:
        fields.add_field("id", DataType.INT64, is_primary=True)
    for name, size in collection.texts:
        fields.add_field(name, DataType.VARCHAR, max_length=size)
    for name in collection.numbers:
        fields.add_field(name, DataType.INT64)
    size = 2 if collection.keyed else dimension  # a collection without a vector is none
    fields.add_field("vector", DataType.FLOAT_VECTOR, dim=size)
    index = client.prepare_index_params()
    # Every template is compared: what a graph misses are mates (docs/milvus.md has the figures).
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    return fields, index


def name_hash(name: str) -> str:
    """What a subject is looked up by: sha256 of its name's key, so that no name is in a query."""
    return _hashed(name_key(name))


def name_hash_before(name: str) -> str:
    """The same as galleries of before 0.3 keep it, until the subject's row is next written."""
    return _hashed(key_with_unseen(name))


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def newcomer(row: SubjectRow) -> Subject:
    """A subject that has no reference yet."""
    return Subject(row.id, row.name, (), row.created_at, 0, np.empty(0, np.float32))


def face_of(row: Mapping[str, Any]) -> tuple[str, int]:
    """Which face of which photo a reference's row is of."""
    return row["photo"], row["face"]


def subject_to_row(subject: Subject) -> Row:
    """Raises GalleryError where a subject has more references than a row can list."""
    members = json.dumps(subject.members, separators=(",", ":"))
    if len(members) > MOST_TEXT:
        raise GalleryError(
            f"{subject.name!r} would have {len(subject.members):,} references, more than a "
            "gallery in Milvus can list for one subject: enrol fewer photos of each person"
        )
    return {
        "id": subject.id, "hash": name_hash(subject.name), "name": subject.name, "members": members,
        "created_at": subject.created_at, "revision": subject.revision, "vector": subject.template,
    }  # fmt: skip


def subject_from(row: Row) -> Subject:
    """row: with the fields WHOLE, or LISTED; then its template is empty."""
    vector = np.asarray(row.get("vector", ()), np.float32)
    members = tuple(json.loads(row["members"]))
    return Subject(row["id"], row["name"], members, row["created_at"], row["revision"], vector)


def reference_to_row(ref: ReferenceRow, subject_id: int) -> Row:
    """What is stored of a reference."""
    details = {
        "box": ref.face.box, "landmarks": _packed(ref.face.landmarks),
        "detection_score": ref.face.detection_score, "quality": ref.face.quality,
        "path": ref.path.encode("utf-8", "backslashreplace").decode(),
        "enrolled_at": ref.enrolled_at,
    }  # fmt: skip
    return {
        "id": ref.id, "subject": subject_id, "photo": ref.photo_sha256, "face": ref.face_index,
        "details": json.dumps(details, ensure_ascii=False), "vector": ref.template.vector,
    }  # fmt: skip


def reference_from(row: Row, subject: str, embedder_id: str) -> ReferenceRow:
    """row: with all its fields."""
    details = json.loads(row["details"])
    landmarks = np.frombuffer(base64.b64decode(details["landmarks"]), "<f4").reshape(5, 2)
    face = Face(tuple(details["box"]), landmarks, details["detection_score"], details["quality"])
    template = Template(np.asarray(row["vector"], np.float32), embedder_id)
    return ReferenceRow(
        row["id"], subject, face, template, row["photo"], row["face"], details["path"],
        details["enrolled_at"],
    )  # fmt: skip


def path_of(row: Mapping[str, Any]) -> str:
    """Where the photo of a reference's row lies. row: with its details."""
    return str(json.loads(row["details"])["path"])


def refiled(row: Row, photo: Refiled) -> Row:
    """The row of a reference whose photo lies elsewhere now, or has other bytes."""
    details = json.loads(row["details"])
    details["path"] = photo.path.encode("utf-8", "backslashreplace").decode()
    vector = np.asarray(row["vector"], np.float32)
    return {**row, "photo": photo.new_sha256, "vector": vector,
            "details": json.dumps(details, ensure_ascii=False)}  # fmt: skip


def matrix(rows: Sequence[Row], dimension: int) -> Float32:
    """(n, d) float32 of the rows' vectors."""
    return np.asarray([row["vector"] for row in rows], np.float32).reshape(-1, dimension)


def _packed(values: Float32) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")
