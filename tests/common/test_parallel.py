"""Work in batches and on threads, in order, and how many processors there are for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from support.patience import LAST_RESORT

from facecli.common import parallel
from facecli.common.errors import ModelError
from facecli.common.parallel import (
    BATCH,
    BATCH_BYTES,
    batches,
    cpu_quota,
    ordered,
    processors,
)


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


def test_work_stays_a_bounded_number_ahead_and_in_order() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.001 * (item % 3))
        return item * item

    stream = ordered(work, iter(range(100)), 2)
    assert next(stream) == 0
    time.sleep(0.05)
    assert len(begun) <= 9
    assert list(stream) == [i * i for i in range(1, 100)]
    assert list(ordered(work, [], 2)) == []


def test_what_was_queued_is_dropped_when_the_reader_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    dropped = threading.Event()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            dropped.set()
            super().shutdown(wait=wait)

    def work(item: int) -> None:
        begun.append(item)
        if item:
            assert dropped.wait(LAST_RESORT)

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Pool)
    stream = ordered(work, range(100), 1)
    next(stream)
    stream.close()
    assert len(begun) <= 2


def test_an_error_in_the_work_comes_out_and_stops_the_threads() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ModelError("the network broke")
        return item

    stream = ordered(work, range(100), 2)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ModelError, match="broke"):
        next(stream)
    assert not [t for t in threading.enumerate() if t.name.startswith("facecli")]


def test_there_is_at_least_one_processor() -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ({}, float("inf")),
    ],
)
def test_a_container_s_cpu_quota(files: dict[str, str], quota: float, tmp_path: Path) -> None:
    """Both versions of Linux's control groups, as the kernel writes their files."""
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == quota
