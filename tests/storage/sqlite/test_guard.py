"""A statement ends on any file; a connection is used by who opened it, and wrong use is told so."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from support import hostile_galleries
from support.galleries import new_store, reference
from support.patience import LAST_RESORT

from facecli.common.errors import GalleryError, MisuseError
from facecli.storage import export
from facecli.storage.interface import Called
from facecli.storage.sqlite import guard
from facecli.storage.sqlite.store import GalleryFile

# ends ------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = new_store(tmp_path / "g")
    store.add([reference(f"S{i}", i) for i in range(8)])
    store.close()
    return tmp_path / "g"


@pytest.fixture
def endless(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gallery whose references, read one after the other, are 10^13."""
    monkeypatch.setattr(guard, "MOST_STEPS", 1_000_000)  # only to wait less
    monkeypatch.setattr(guard, "COUNTED_WITHIN", 0.5)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'reference'"
        ).fetchone()
    hostile_galleries.lead_round(path, root)
    return path


ASKED: dict[str, Callable[[GalleryFile], object]] = {
    "all references": lambda store: sum(1 for _ in store.reader.references()),
    "an observation": lambda store: store.reader.some_vectors(10),
    "the check": lambda store: store.reader.check(),
    "a copy's contents": lambda store: list(export.exported(store.reader)),
}


@pytest.mark.parametrize("what", ASKED)
def test_pages_that_lead_to_each_other_are_not_followed_for_ever(endless: Path, what: str):
    with closing(GalleryFile.open(endless)) as store:
        try:
            found = ASKED[what](store)
        except GalleryError as error:
            assert "damaged" in str(error) and "\n" not in str(error)
        else:
            assert what == "the check" and found, "it was answered"


def test_a_count_that_is_one_step_of_sqlite_ends_too(endless: Path):
    with closing(GalleryFile.open(endless)) as store, store.reader.snapshot():
        # A plain count takes the smallest index; without indices it walks the table itself.
        with (
            pytest.raises(GalleryError, match="does not come to an end"),
            guard.counting(store._db),
        ):
            store.reader._one("SELECT count(*) FROM reference NOT INDEXED")
        assert store.reader.subject_count() == 8, "the next question is answered"


def test_a_long_statement_on_a_sound_file_is_left_to_end(path: Path):
    """The limit follows the file's size: what sound files need is far below it."""
    with closing(GalleryFile.open(path)) as store:
        for _ in range(3):
            assert store.reader.check() == []
        looks = store._db.guard._looks  # type: ignore[attr-defined]
        assert looks * guard.STRIDE >= guard.MOST_STEPS - guard.STRIDE


def test_a_row_of_more_bytes_than_the_file_is_no_row(path: Path):
    with closing(GalleryFile.open(path)) as store, pytest.raises(GalleryError, match="too big"):
        store.reader._one("SELECT zeroblob(100000000)")


# who may use it --------------------------------------------------------------------------------


@pytest.fixture
def store(path: Path) -> Iterator[GalleryFile]:
    with closing(GalleryFile.open(path)) as opened:
        yield opened


USES: dict[str, Callable[[GalleryFile], object]] = {
    "counts": lambda store: store.reader.counts(),
    "templates": lambda store: store.reader.templates(),
    "references": lambda store: list(store.reader.references()),
    "ranker": lambda store: store.reader.ranker(False, 0.5),
    "check": lambda store: store.reader.check(),
    "add": lambda store: store.add([reference("Late", 99)]),
    "remove": lambda store: store.remove("S1"),
    "erase": lambda store: store.erase(Called("S1")),
    "undo": lambda store: store.journal.undo(),
    "changes": lambda store: store.journal.changes(),
    "log": lambda store: store.audit_log.entries(),
}


def told(use: Callable[[], object], says: str) -> None:
    with pytest.raises(MisuseError, match=says) as caught:
        use()
    assert "damaged" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("use", USES)
def test_after_close(store: GalleryFile, use: str):
    store.close()
    store.close()  # twice is no mistake
    told(lambda: USES[use](store), "it was closed: open the gallery again")


@pytest.mark.parametrize("use", USES)
def test_from_another_thread(store: GalleryFile, use: str):
    with ThreadPoolExecutor(1) as elsewhere:
        told(elsewhere.submit(USES[use], store).result, "in another thread")
    assert store.reader.counts() == (8, 8), "nothing was done, and its own thread goes on"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT CHECKED: no processes are forked here")
@pytest.mark.parametrize("use", USES)
def test_after_a_fork(store: GalleryFile, use: str):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            USES[use](store)
        except MisuseError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert "opened before this process was forked" in said.read()
    os.waitpid(child, 0)
    assert store.add([reference("Here", 50)]) == 1


WRITES = ("add", "remove", "erase", "undo")


@pytest.mark.parametrize("use", WRITES)
def test_writing_within_a_read(store: GalleryFile, use: str):
    with store.reader.snapshot():
        told(lambda: USES[use](store), "not finished: end its `with` block")
    assert store.reader.counts() == (8, 8)


def test_a_rehearsal_within_a_rehearsal(store: GalleryFile):
    with store.rehearsal():
        told(lambda: store.rehearsal().__enter__(), "not finished")
        store.remove("S1")
    assert store.reader.counts() == (8, 8)


def test_erasing_while_a_generator_is_left_open(store: GalleryFile):
    rows = store.reader.references()
    next(rows)
    told(lambda: store.erase(Called("S1")), "read to the end or close what it yields")
    rows.close()
    assert store.erase(Called("S2")).complete


def test_a_generator_read_on_after_close(store: GalleryFile):
    rows, lines = store.reader.references(), export.exported(store.reader)
    next(rows), next(lines)
    store.close()
    told(lambda: list(rows), "it was closed")
    told(lambda: list(lines), "it was closed")


def test_a_generator_that_another_thread_reads_on(store: GalleryFile):
    rows = store.reader.references()
    next(rows)
    found: list[BaseException] = []

    def read() -> None:
        try:
            list(rows)
        except MisuseError as error:
            found.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(LAST_RESORT)
    assert [type(error) for error in found] == [MisuseError]
