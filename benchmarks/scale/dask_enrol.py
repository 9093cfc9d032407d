"""Enrolment over two local Dask workers against two threads, and with a worker killed half-way.

    python -m benchmarks.scale.dask_enrol ../shared/lfw-dev/photos [--photos N] [--rounds 3]

Both run in this process in turn, so that a busy machine slows both; the figure is the median of
the rounds' ratios. Timed is what grows with the photos: reading, extracting, sending, committing.
Starting is timed by itself: for threads loading the models, for Dask starting the scheduler and the
workers, and loading the models in each. Needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from tabulate import tabulate

from facecli.common.enums import DetectorName, Device, FacesRule
from facecli.datasets.labels import LabelledPhoto, labelled
from facecli.gallery.enroll import EnrollItem, EnrollStatus, enrol
from facecli.recognition import distributed
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor, Run
from facecli.storage.sqlite.store import GalleryFile

WORKERS = 2
LEAST = 0.85  # of the threads' throughput

Row = tuple[str, str, str, str]  # where a photo came from, whom it shows, its hash, its template


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run. start, work: seconds. rows: everything enrolled, in order."""

    start: float
    work: float
    rows: list[Row]


def enrolled(
    run: Run, photos: Sequence[LabelledPhoto], progress: Callable[[EnrollItem], object] | None
) -> tuple[float, list[Row]]:
    """Enrol into an empty gallery: seconds, and what is in it then."""
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    with tempfile.TemporaryDirectory() as folder:
        store = GalleryFile.create(Path(folder) / "gallery", spec.embedder_id, spec.dimension)
        start = time.perf_counter()
        enrol(store, run, photos, FacesRule.LARGEST, progress)
        seconds = time.perf_counter() - start
        rows = [
            (r.path, r.subject, r.photo_sha256, r.template.vector.tobytes().hex())
            for r in store.reader.references()
        ]
        store.close()
    return seconds, rows


def on_threads(photos: Sequence[LabelledPhoto]) -> Outcome:
    """The local run."""
    start = time.perf_counter()
    extractor = Extractor.load(registry.find_embedder(registry.DEFAULT_EMBEDDER))
    loaded = time.perf_counter() - start
    return Outcome(loaded, *enrolled(extractor.on_threads(WORKERS), photos, None))


def on_dask(
    photos: Sequence[LabelledPhoto], progress: Callable[[EnrollItem], object] | None = None
) -> Outcome:
    """The same over worker processes of this machine."""
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    recipe = distributed.Recipe(spec.name, spec.embedder_id, Device.AUTO, DetectorName.YUNET)
    start = time.perf_counter()
    with distributed.over(distributed.LOCAL, recipe, WORKERS) as run:
        # A batch or more for each worker, of files that are not there: they only load the models.
        nothing = [(Path("/nowhere"),)] * (2 * WORKERS * distributed.TOGETHER)
        list(run(Extractor.batch, nothing))
        started = time.perf_counter() - start
        return Outcome(started, *enrolled(run, photos, progress))


def killing_half_way(photos: Sequence[LabelledPhoto]) -> tuple[Outcome, int]:
    """`on_dask`, with one worker killed once half of the photos are committed; how many were."""
    seen: list[EnrollItem] = []
    killed: list[psutil.Process] = []

    def watch(item: EnrollItem) -> None:
        seen.append(item)
        if len(seen) >= len(photos) // 2 and not killed:
            for child in psutil.Process().children():
                with suppress(psutil.Error):
                    if "spawn_main" in " ".join(child.cmdline()):
                        killed.append(child)
                        child.kill()
                        return

    outcome = on_dask(photos, watch)
    assert [item.path for item in seen] == [str(photo.path) for photo in photos]
    assert all(item.status is not EnrollStatus.ALREADY for item in seen)
    return outcome, len(killed)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, help="the first so many; all of them without it")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    photos = labelled([options.folder], None).photos[: options.photos]
    threads: list[Outcome] = []
    dask: list[Outcome] = []
    for _ in range(options.rounds):
        threads.append(on_threads(photos))
        dask.append(on_dask(photos))
    ratio = median(t.work / d.work for t, d in zip(threads, dask, strict=True))
    same = all(outcome.rows == threads[0].rows for outcome in (*threads, *dask))
    survivor, killed = killing_half_way(photos)
    rate = [f"{len(photos) / median(o.work for o in runs):.1f}" for runs in (threads, dask)]
    start = [f"{median(o.start for o in runs):.1f}" for runs in (threads, dask)]
    once = survivor.rows == threads[0].rows
    table = [
        (f"{len(photos)} photos, photos/s", *rate, f"{ratio:.2f}", _met(ratio >= LEAST)),
        ("start, s (not in the above)", *start, "", ""),
        ("same rows, same order, templates to the bit", "", "", "", _met(same)),
        (f"{killed} worker killed half-way: every photo once", "", "", "", _met(once)),
    ]
    header = ("enrolment", f"{WORKERS} threads", f"{WORKERS} Dask workers", "ratio", "verdict")
    print(tabulate(table, header, disable_numparse=True))
    print(f"must be: a ratio of {LEAST:.0%} or more, everything else equal; the last run took "
          f"{survivor.work / median(o.work for o in dask):.2f} times as long")  # fmt: skip


def _met(it: bool) -> str:
    return "met" if it else "MISSED"


if __name__ == "__main__":
    main()
