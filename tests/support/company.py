"""Writers and readers of one gallery at once, each a process, every one looking for contradictions.

python company.py FOLDER WRITERS READERS SECONDS        prints how many operations went well
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from support.galleries import environment, new_store, reference
from support.patience import LAST_RESORT

from facecli.storage.export import export
from facecli.storage.interface import Called
from facecli.storage.maintenance.backup import backup
from facecli.storage.records import CalibrationRow, mean_template
from facecli.storage.search import candidates
from facecli.storage.search.ranker import FileRanker, faults
from facecli.storage.sqlite.store import GalleryFile

EACH = 1_000_000  # photo numbers of a writer
AT_LEAST = 6  # operations of each process, however little time it gets


def write(store: GalleryFile, who: int) -> Iterator[None]:
    """Change people that are this writer's, and let no change be refused."""
    draw, photo = random.Random(who), who * EACH
    for turn in range(1, EACH // 4):
        name = f"W{who}-{turn}"
        store.add([reference(name, photo + 4 * turn + i) for i in range(3)])
        yield
        store.rename(name, f"{name} the Second")
        yield
        if draw.random() < 0.5:
            store.journal.undo(newest(store, name))
        else:
            store.merge(f"{name} the Second", "Everybody")
        yield
        store.calibrate(CalibrationRow("set by hand", "none", None, 0.5, None, "", ""))
        yield
        if turn % 5 == 0:
            candidates.keep_in_step(store.reader)
        if turn % 7 == 0:
            copy = store.path.with_name(f"backup-{who}")
            copy.unlink(missing_ok=True)  # it may hold people who were erased since
            backup(store, copy)
            yield
        if turn % 11 == 0 and (
            mine := [s.name for s in store.reader.subjects() if f"W{who}-" in s.name]
        ):
            store.erase(Called(draw.choice(mine)))
            yield


def newest(store: GalleryFile, name: str) -> int:
    """The number of the newest change of the subject that was called so."""
    return next(change.id for change in store.journal.changes() if change.name == name)


def read(store: GalleryFile, who: int) -> Iterator[None]:
    """Ask everything at one moment, and want one story."""
    draw = random.Random(who)
    for turn in range(10**9):
        ranking = FileRanker.open(store.reader, exact=turn % 2 == 0)
        with store.reader.snapshot():
            rows, found, counts = (
                store.reader.subjects(),
                store.reader.templates(),
                store.reader.counts(),
            )
            assert counts == (len(rows), sum(row.references for row in rows)), counts
            assert sorted(found.names) == sorted(row.name for row in rows)
            at = draw.randrange(len(rows))
            vectors = store.reader.vectors(found.ids[at])[1]
            assert np.array_equal(mean_template(list(vectors)), found.templates[at])
            best = ranking.best(found.templates[at], 1)[0]
            assert best.score > 1 - 1e-5, (best, found.names[at])
        yield
        if turn % 9 == 0:
            export(store.reader, store.path.with_name(f"export-{who}"), force=True)
            yield


def work(
    path: Path, job: Callable[[GalleryFile, int], Iterator[None]], who: int, seconds: float
) -> int:
    """Do it for so long, and AT_LEAST so many times; how many operations that were."""
    end = time.time() + seconds
    candidates.SIDECAR_FROM, candidates.tail_limit = 1, lambda count: 20
    operations = 0
    while time.time() < end or operations < AT_LEAST:
        store = GalleryFile.open(path)
        for _ in job(store, who + 1000 * operations):
            operations += 1
            over = time.time() > end and operations >= AT_LEAST
            if over or (job is read and operations % 50 == 0):
                break
        store.close()
    return operations


def gather(folder: Path, writers: int, readers: int, seconds: float) -> int:
    """So many at once; the operations. Raises AssertionError at the first thing that is wrong."""
    path = folder / "g"
    store = new_store(path)
    store.add([reference("Everybody", 1), reference("Ada", 2)])
    store.close()
    people = [("write", i) for i in range(1, writers + 1)] + [("read", i) for i in range(readers)]
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(path), job, str(who), str(seconds)], text=True,
            env=environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for job, who in people
    ]  # fmt: skip
    for process in processes:  # all are loaded before the first begins
        assert process.stdout is not None and process.stdout.readline() == "in\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=seconds + LAST_RESORT) for process in processes]
    assert [errors for _, errors in told] == [""] * len(people), told
    store = GalleryFile.open(path)
    usual, candidates.SIDECAR_FROM = candidates.SIDECAR_FROM, 1
    try:
        wrong = [fault for fault in store.reader.check() if "erasure was not finished" not in fault]
        assert (wrong, faults(store.reader)) == ([], [])
    finally:  # of this process, in which other tests run
        candidates.SIDECAR_FROM = usual
    assert not [p.name for p in folder.iterdir() if p.name.startswith(".")]
    store.close()
    assert all(int(out) for out, _ in told), told
    return sum(int(out) for out, _ in told)


if __name__ == "__main__":
    if sys.argv[2] in ("write", "read"):
        job = {"write": write, "read": read}[sys.argv[2]]
        print("in", flush=True)
        sys.stdin.readline()
        print(work(Path(sys.argv[1]), job, int(sys.argv[3]), float(sys.argv[4])))
    else:
        print(gather(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
