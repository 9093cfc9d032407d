"""Search at 1,000 to 1,000,000 references: latency, memory, cold start, and what enrolling costs.

    python -m benchmarks.scale.search [--sizes 1000 10000 100000 1000000] [--dimension 192]
        [--probes 2000] [--photo FILE]

Galleries of made-up people (see `synthetic`) in a temporary folder; a million of 192 numbers
takes 2.2 GB there and a minute to write. Each figure stands beside its reference from the same
run: numpy's float32 matrix-vector product on one thread, and brute force for every answer.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy: the reference is one thread's

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from tabulate import tabulate

from benchmarks.scale import synthetic
from facecli.common.types import Face, FaceTemplate, Float32, Template
from facecli.metrics.face_kinds import NO_KINDS
from facecli.recognition.model_zoo import registry
from facecli.storage.records import NewReference
from facecli.storage.search import candidates, sidecar
from facecli.storage.search.ranker import FileRanker
from facecli.storage.sqlite.store import GalleryFile
from facecli.threshold import operating_point

FPIR = 0.01
COLD_RUNS = 7
TIMED = 100  # probes whose latency is taken
BATCH = 32  # references a transaction, as `facecli enroll` writes them

T = TypeVar("T")
Row = tuple[str, str, str, str, str]
HEADER = ("what", "facecli", "reference", "what it is", "ratio")


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """vectors: (m, d) float32, the first half mated. score, row: brute force's best of each.

    threshold: what 1 % of the non-mated reach.
    """

    vectors: Float32
    scores: Float32
    rows: np.ndarray
    threshold: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--dimension", type=int, default=192)
    parser.add_argument("--probes", type=int, default=2000)
    parser.add_argument("--photo", type=Path, help="for the cold starts; else left out")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = rows(Path(folder), args.sizes, args.dimension, args.probes, args.photo)
    print(tabulate(found, HEADER, disable_numparse=True))
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")


def rows(
    folder: Path, sizes: Sequence[int], dimension: int, probes: int, photo: Path | None = None
) -> list[Row]:
    """All figures as rows of a table; galleries are written into `folder` and deleted."""
    found: list[Row] = []
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    made = spec.embedder_id if spec.dimension == dimension else synthetic.EMBEDDER
    smallest = folder / f"{sizes[0]}.facecli"
    for size in sizes:
        path = folder / f"{size}.facecli"
        seconds, _ = timed(lambda p=path, n=size: synthetic.gallery(p, n, dimension, made))
        print(f"wrote {size:,} x {dimension} in {seconds:.0f} s", file=sys.stderr)
        found += _of_one(path, size, dimension, probes)
        if photo is not None and made != synthetic.EMBEDDER:
            found += cold(path, smallest, photo, size)
        if path != smallest:
            sidecar.discard_sidecars(path)
            path.unlink()
    return found


def _of_one(path: Path, size: int, dimension: int, probes: int) -> list[Row]:
    store, name = GalleryFile.open(path), f"{size:,} x {dimension}"
    observed, _ = timed(lambda: operating_point.own_nonmated_scores(store, NO_KINDS))
    built, _ = timed(lambda: candidates.keep_in_step(store.reader))
    found = [(f"{name}: prepared once", f"{observed + built:.1f} s", "", "fit and sidecar", "")]
    everybody = synthetic.templates(size, dimension)
    asked = made_probes(everybody, probes)
    found += [
        row
        for exact in ((False, True) if candidates.needs_sidecar(store.reader) else (False,))
        for row in search(store, name, everybody, asked, exact)
    ]
    del everybody
    found += [enrolling(store, name, dimension), *memory(path, name, dimension)]
    store.close()
    return found


def made_probes(everybody: Float32, count: int) -> Probes:
    """Half other photos of the enrolled, with cosines about the threshold; half strangers."""
    dimension = everybody.shape[1]
    strangers = synthetic.people(count // 2, dimension, seed=-1 % 2**32)
    best, row = brute_force(everybody, strangers)
    # Between two scores, so that no rounding decides.
    threshold = float(np.mean([np.quantile(best, 1 - FPIR, method=m) for m in ("lower", "higher")]))
    draw = np.random.default_rng(3)
    mates = draw.integers(0, len(everybody), count - count // 2)
    cosines = np.clip(draw.normal(threshold + 0.05, 0.1, len(mates)), 0.1, 0.99)
    mated = synthetic.again(everybody[mates], cosines.astype(np.float32), seed=-2 % 2**32)
    best_mated, row_mated = brute_force(everybody, mated)
    return Probes(
        np.concatenate([mated, strangers]), np.concatenate([best_mated, best]),
        np.concatenate([row_mated, row]), threshold,
    )  # fmt: skip


def brute_force(everybody: Float32, probes: Float32) -> tuple[Float32, np.ndarray]:
    """The best score of each probe and its row."""
    scores, rows = np.empty(len(probes), np.float32), np.empty(len(probes), np.int64)
    for start in range(0, len(probes), 64):
        product = probes[start : start + 64] @ everybody.T
        rows[start : start + 64] = product.argmax(axis=1)
        scores[start : start + 64] = product.max(axis=1)
    return scores, rows


def search(
    store: GalleryFile, name: str, everybody: Float32, asked: Probes, exact: bool
) -> list[Row]:
    """Latency in turn with numpy's, and every answer against brute force's."""
    ranking, mode = (
        FileRanker.open(store.reader, exact, asked.threshold),
        "--exact" if exact else "search",
    )
    ours, numpy = [], []
    best, decided, same = 0, 0, 0
    for i, probe in enumerate(asked.vectors):
        with store.reader.snapshot():
            seconds, found = timed(lambda p=probe: ranking.best(p, 5))
        ours.append(seconds)
        if i % max(1, len(asked.vectors) // TIMED) == 0:
            numpy.append(timed(lambda p=probe: everybody @ p)[0])
        score, mate = found[0].score, found[0].id - 1 == asked.rows[i]
        accepted, should = score >= asked.threshold, asked.scores[i] >= asked.threshold
        best += not mate
        decided += accepted != should or (accepted and not mate)
        same += abs(score - asked.scores[i]) > 1e-5
    mine, theirs = median(ours), median(numpy)
    answers = len(asked.vectors)
    return [
        (f"{name}: {mode}, warm", f"{mine * 1e3:.2f} ms", f"{theirs * 1e3:.2f} ms",
         "numpy matrix product, one thread", f"{mine / theirs:.2f}x"),
        (f"{name}: {mode}, changed decisions", f"{decided}", f"{answers:,}",
         f"brute force at FPIR 1 % ({asked.threshold:.3f})", ""),
        (f"{name}: {mode}, other best subject", f"{best} ({same} by score)", f"{answers:,}",
         "brute force", ""),
    ]  # fmt: skip


def enrolling(store: GalleryFile, name: str, dimension: int) -> Row:
    """100 references, as `facecli enroll` does it after embedding."""
    vectors = synthetic.people(100, dimension, seed=77)
    points = np.zeros((5, 2), np.float32)
    face = Face((0, 0, 9, 9), points, 0.9, 0.8)
    new = [
        NewReference(
            f"New {i}",
            FaceTemplate(face, Template(vector, store.reader.embedder_id)),
            f"{i:064x}", 0, f"new/{i}.jpg",
        )
        for i, vector in enumerate(vectors)
    ]  # fmt: skip

    def all_of_it() -> None:
        store.reader.enrolled_photos(n.subject for n in new)
        for start in range(0, len(new), BATCH):
            store.add(new[start : start + BATCH])
        operating_point.own_nonmated_scores(store, NO_KINDS)
        candidates.keep_in_step(store.reader)
        store.reader.counts()

    seconds, _ = timed(all_of_it)
    return (f"{name}: enrolling 100 faces, without embedding", f"{seconds:.2f} s", "", "", "")


SEARCHER = """
import sys
from pathlib import Path
import numpy as np
from facecli.storage.search.ranker import FileRanker
from facecli.storage.sqlite.store import GalleryFile
store = GalleryFile.open(Path(sys.argv[1]))
ranking = FileRanker.open(store.reader)
probe = np.random.default_rng(0).normal(size=store.reader.dimension)
with store.reader.snapshot():
    ranking.best((probe / np.linalg.norm(probe)).astype(np.float32), 5)
"""


LAUNCHER = """
import os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss)
sys.exit(status != 0)
"""


def memory(path: Path, name: str, dimension: int) -> list[Row]:
    """The peak of a cold process that opens the gallery and searches once, without models."""
    seconds, peak = process([sys.executable, "-c", SEARCHER, str(path)])
    matrix = (
        path.stat().st_size and GalleryFile.open(path).reader.subject_count() * dimension * 4 / 1e6
    )
    return [
        (f"{name}: cold search without models", f"{seconds:.2f} s", "", "a new process", ""),
        (f"{name}: its peak memory", f"{peak:.0f} MB", f"{matrix:.0f} MB", "the templates", ""),
    ]


def cold(path: Path, smallest: Path, photo: Path, size: int) -> list[Row]:
    """`facecli identify` of one photo, in turn with the same against the smallest gallery."""

    def identify(gallery: Path) -> tuple[float, float]:
        return process([sys.executable, "-m", "facecli", "identify", str(photo), "--gallery",
                        str(gallery), "--jsonl"])  # fmt: skip

    pairs = [(identify(path), identify(smallest)) for _ in range(COLD_RUNS)]
    mine, least = (median(p[i][0] for p in pairs) for i in (0, 1))
    peak = max(p[0][1] for p in pairs)
    return [
        (f"{size:,}: identify a photo, cold", f"{mine:.2f} s", f"{least:.2f} s",
         f"against {smallest.stem}", f"{mine - least:+.2f} s"),
        (f"{size:,}: its peak memory", f"{peak:.0f} MB", "", "", ""),
    ]  # fmt: skip


def process(command: Sequence[str]) -> tuple[float, float]:
    """Wall seconds and peak memory, MB, of a command. Linux, macOS."""
    # From a small process of its own: a child's peak begins with that of who starts it.
    out = subprocess.run([sys.executable, "-c", LAUNCHER, *command], check=True, text=True,
                         stdout=subprocess.PIPE)  # fmt: skip
    seconds, peak = out.stdout.split()
    return float(seconds), float(peak) * (1 if sys.platform == "darwin" else 1024) / 1e6


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds and the result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
