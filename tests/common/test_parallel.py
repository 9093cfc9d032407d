"""Work in batches; `ordered` and the processors are tested with what uses them, test_extract.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from support.patience import LAST_RESORT

from facecli.common import parallel
from facecli.common.parallel import BATCH, BATCH_BYTES, batches, ordered


def test_small_photos_go_together_and_a_large_one_ends_its_batch(tmp_path: Path) -> None:
    sizes = {"a": 10, "large": BATCH_BYTES, "b": 20, "c": 30}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"x" * size)
    found = list(batches(sizes, lambda name: tmp_path / name))
    assert found == [("a", "large"), ("b", "c")]


def test_no_batch_is_longer_than_it_may_be_and_nothing_is_lost() -> None:
    found = list(batches(range(3 * BATCH + 1), lambda _: b"small"))
    assert [len(batch) for batch in found] == [BATCH, BATCH, BATCH, 1]
    assert [item for batch in found for item in batch] == list(range(3 * BATCH + 1))


def test_what_is_not_there_is_small(tmp_path: Path) -> None:
    """Whoever reads it says what is wrong."""
    gone = [tmp_path / "gone", Path("nul\0byte"), tmp_path]
    assert list(batches(gone, lambda path: path)) == [tuple(gone)]


def test_batches_are_drawn_as_they_are_wanted() -> None:
    drawn: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            drawn.append(len(drawn))
            yield drawn[-1]

    assert next(batches(endless(), lambda _: b"")) == tuple(range(BATCH))
    assert len(drawn) == BATCH


def test_a_result_that_is_ready_does_not_wait_for_a_full_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list that somebody still writes is answered as it comes."""
    finished = Event()
    answered: list[int] = []

    def written_slowly() -> Iterator[int]:
        yield 0
        yield 1
        assert finished.wait(LAST_RESORT)
        yield 2
        assert answered, "what was ready before the third line came was held back"

    def work(number: int) -> int:
        if number == 1:
            finished.set()  # on the only thread, so 0 is done
        return number

    monkeypatch.setattr(parallel, "QUEUED_PER_WORKER", 10)
    for result in ordered(work, written_slowly(), 1):
        answered.append(result)
    assert answered == [0, 1, 2]
