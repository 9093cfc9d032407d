"""Talking to Milvus: every call has a time limit, every failure becomes one clear line."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facecli.common.errors import GalleryError
from facecli.common.waiting import said
from facecli.storage.milvus.address import Address
from facecli.storage.milvus.layout import FACTS, SUBJECTS, Collection, Row

if TYPE_CHECKING:
    from pymilvus import MilvusClient

CONNECT_WITHIN, ANSWER_WITHIN, READY_WITHIN = 10.0, 30.0, 600.0  # s
PAGE = 4096  # rows a message: 8 MB of templates of 512 values; Milvus takes 64 MB
TOKEN = "FACECLI_MILVUS_TOKEN"
# A strong read waits until it has seen all that was written before it: 0.2 to 0.4 s on a server.
STRONG = "Strong"


class Client:
    """The three collections of one gallery. Any thread may read."""

    def __init__(self, address: Address) -> None:
        """Connect. Raises GalleryError where that fails, or pymilvus is not installed."""
        self.address = address
        with _explained(address), _waiting(address, CONNECT_WITHIN):
            self._milvus = _connect(address)

    @contextmanager
    def milvus(self, within: float = ANSWER_WITHIN) -> Iterator[MilvusClient]:
        """pymilvus's own client; whatever it raises becomes GalleryError, in one clear line.

        Give each call its `timeout`: ANSWER_WITHIN, or READY_WITHIN for what takes long.
        within: the longest of them, which is said where it takes some seconds.
        """
        with _explained(self.address), _waiting(self.address, within):
            yield self._milvus

    def close(self) -> None:
        """Hang up."""
        with self.milvus() as milvus:
            milvus.close()

    def name(self, collection: Collection) -> str:
        """The collection that holds it."""
        return self.address.collection + collection.ending

    def count(self, collection: Collection, where: str = "") -> int:
        """How many rows there are, or those `where`."""
        rows = self._query(collection, filter=where, output_fields=["count(*)"])
        return int(rows[0]["count(*)"])

    def get(
        self, collection: Collection, ids: Sequence[int], fields: Sequence[str], level: str = STRONG
    ) -> list[Row]:
        """The rows with these ids that are there, in the order of their ids."""
        found: list[Row] = []
        for some in _parts(sorted(set(ids))):
            found += self._query(collection, level, ids=list(some), output_fields=[*fields])
        return sorted(found, key=lambda row: row["id"])

    def never_changed(
        self, collection: Collection, ids: Sequence[int], fields: Sequence[str]
    ) -> list[Row]:
        """`get` for rows known to be there that never change: an eventual read will do, 5 ms.

        Those written a moment ago it may not see yet: then a strong one.
        """
        found = self.get(collection, ids, fields, level="Eventually")
        return found if len(found) == len(set(ids)) else self.get(collection, ids, fields)

    def facts(self) -> dict[str, Any]:
        """What is known of the gallery as a whole, by key."""
        rows = self._query(FACTS, filter='id != ""', limit=PAGE, output_fields=["id", "value"])
        return {row["id"]: json.loads(row["value"]) for row in rows}

    def keep(self, fact: str, value: Any) -> None:
        """Note a fact, in the place of what was known."""
        text = json.dumps(value, ensure_ascii=False)
        self.upsert(FACTS, [{"id": fact, "value": text, "vector": [0.0, 0.0]}])

    def matching(
        self, collection: Collection, field: str, values: Sequence[str], fields: Sequence[str]
    ) -> list[Row]:
        """The rows whose `field` is one of these hexadecimal values."""
        found: list[Row] = []
        for some in _parts(sorted(set(values))):
            listed = ", ".join(f'"{value}"' for value in some)
            found += self._query(
                collection, filter=f"{field} in [{listed}]", output_fields=[*fields]
            )
        return found

    def pages(
        self, collection: Collection, fields: Sequence[str], where: str = ""
    ) -> Iterator[list[Row]]:
        """All rows, or those `where`, in the order of their ids, some thousand at a time."""
        last = -1
        condition = f" and {where}" if where else ""
        while True:
            page = self._query(
                collection, filter=f"id > {last}{condition}", limit=PAGE, output_fields=[*fields],
                iterator="True",  # the first ones by id, not any
            )  # fmt: skip
            if not page:
                return
            page.sort(key=lambda row: row["id"])
            yield page
            last = page[-1]["id"]

    def search(
        self, probes: Sequence[Any], limit: int, fields: Sequence[str], effort: int
    ) -> list[list[Row]]:
        """For each probe the `limit` subjects that the index finds most alike, as rows.

        effort: how many it looks at (HNSW's ef), at least `limit`.
        """
        with self.milvus() as milvus:
            found = milvus.search(
                self.name(SUBJECTS), data=[*probes], limit=limit, anns_field="vector",
                output_fields=[*fields], consistency_level=STRONG, timeout=ANSWER_WITHIN,
                search_params={"metric_type": "IP", "params": {"ef": max(effort, limit)}},
            )  # fmt: skip
        return [[{"id": hit["id"], **hit["entity"]} for hit in hits] for hits in found]

    def insert(self, collection: Collection, rows: Sequence[Row]) -> None:
        """Add rows. They are kept once this returns."""
        for some in _parts(rows):
            with self.milvus() as milvus:
                milvus.insert(self.name(collection), data=list(some), timeout=ANSWER_WITHIN)

    def upsert(self, collection: Collection, rows: Sequence[Row]) -> None:
        """Add rows, or put them in the place of those with the same id."""
        for some in _parts(rows):
            with self.milvus() as milvus:
                milvus.upsert(self.name(collection), data=list(some), timeout=ANSWER_WITHIN)

    def delete(self, collection: Collection, ids: Sequence[Any]) -> None:
        """No strong read finds them any more once this returns."""
        for some in _parts(ids):
            with self.milvus() as milvus:
                milvus.delete(self.name(collection), ids=list(some), timeout=ANSWER_WITHIN)

    def _query(self, collection: Collection, level: str = STRONG, **how: Any) -> list[Row]:
        with self.milvus() as milvus:
            rows = milvus.query(
                self.name(collection), consistency_level=level, timeout=ANSWER_WITHIN, **how
            )
        return [dict(row) for row in rows]


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    """Turn what pymilvus and the system raise into one clear line."""
    try:
        import grpc
        from pymilvus.exceptions import MilvusException
    except ImportError as missing:
        raise GalleryError(
            "a gallery in Milvus needs an optional extra: pip install 'facecli[milvus]'"
        ) from missing
    try:
        yield
    except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError, OSError) as error:
        raise GalleryError(f"{address.shown}: {_reason(error, address)}") from error


def _waiting(address: Address, within: float) -> AbstractContextManager[None]:
    return said(f"waiting for Milvus at {address.shown}", within)


def _connect(address: Address) -> MilvusClient:
    from pymilvus import MilvusClient

    for name in ("pymilvus", "milvus_lite", "grpc"):  # what they log is raised as well
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if address.lite:
        Path(address.uri).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return MilvusClient(uri=address.uri, token=os.environ.get(TOKEN, ""), timeout=CONNECT_WITHIN)


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + PAGE] for start in range(0, len(items), PAGE))


def _reason(error: Exception, address: Address) -> str:
    """What is wrong and what to do, in a line."""
    text = " ".join(str(getattr(error, "message", "") or error).split())[:300]
    low = text.lower()
    if address.lite:
        return (
            f"{text}: check that no other program has it open, that you may write to the folder, "
            "and that it is milvus-lite's"
        )
    refused = ("auth", "token", "permission", "privilege")
    if any(word in low for word in refused):
        return f"the server refuses: {text}; put user:password or a token into {TOKEN}"
    gone = ("connect", "unavailable", "deadline", "timeout", "unreachable")
    if any(word in low for word in gone):
        return (
            f"no Milvus server answers ({text}): start it, check the address and, where it asks "
            f"for one, the password in {TOKEN}; what was reported before is kept, run the same "
            "command again"
        )
    return text
