"""Work spread over this process's threads, in order, and how many processors there are for it."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

QUEUED_PER_WORKER = 2  # one under way and one in store; more would only hold more memory
# Photos that a thread takes at once. One step over all of them before the next finds its code and
# its weights in the processor's caches: of 250 px photos 15 % more a second than one by one.
BATCH = 8
BATCH_BYTES = 1 << 19  # of files: large photos gain nothing by company, and are spread better alone

T = TypeVar("T")
R = TypeVar("R")


def batches(items: Iterable[T], source: Callable[[T], object]) -> Iterator[tuple[T, ...]]:
    """BATCH items at a time, in order; fewer where their photos are large.

    source: the photo of an item, a path or bytes.
    """
    batch: list[T] = []
    size = 0
    for item in items:
        batch.append(item)
        size += _bytes(source(item))
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield tuple(batch)
            batch, size = [], 0
    if batch:
        yield tuple(batch)


def _bytes(source: object) -> int:
    """How large a photo's file is; 0 where that cannot be told, which whoever reads it reports."""
    if isinstance(source, bytes):
        return len(source)
    try:
        return source.stat().st_size if isinstance(source, Path) else 0
    except (OSError, ValueError):
        return 0


def ordered(
    work: Callable[[T], R],
    items: Iterable[T],
    workers: int | None = None,
    queued: int = QUEUED_PER_WORKER,
) -> Iterator[R]:
    """Apply `work` on threads and yield the results in order.

    queued: for each thread, how many are under way or wait; 1 where an item is large.
    """
    count = workers or processors()
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(count, thread_name_prefix="facecli")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            # What is done goes out at once: it is written or printed while others are worked on.
            if len(waiting) >= count * queued or waiting[0].done():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also where whoever reads the results stops early, or Ctrl-C is pressed
        pool.shutdown(wait=True, cancel_futures=True)


def processors() -> int:
    """The processors this process may use: its affinity, capped by a container's CPU quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS or Windows
        count = os.cpu_count() or 1
    return max(1, math.ceil(min(count, cpu_quota(Path("/sys/fs/cgroup")))))


def cpu_quota(root: Path) -> float:
    """Processors' worth of time that a Linux control group grants; infinite where it sets none.

    root: where control groups are mounted. cgroup v2 writes `quota period` or `max period` (us)
    in one file, v1 in two, with -1 for no limit.
    """
    files = ((root / "cpu.max",), (root / "cpu/cpu.cfs_quota_us", root / "cpu/cpu.cfs_period_us"))
    for found in files:
        try:
            quota, period = " ".join(file.read_text() for file in found).split()
            return int(quota) / int(period) if int(quota) > 0 else math.inf
        except (OSError, ValueError, ZeroDivisionError):  # not this version, or "max"
            continue
    return math.inf
