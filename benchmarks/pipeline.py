"""Enrolment against the naive loop and against what its stages cost alone.

    python benchmarks/pipeline.py ../shared/lfw-dev/photos SOURCE.tflite [--photos 1000]

SOURCE.tflite is the embedder as it was published, ../shared/models/mobilefacenet_arcface.tflite.

Whole processes, start-up included, run in turn so that a busy machine slows both; medians. The
stage bound is the processors there are over the CPU time of the stages on one thread: decode,
detect, landmarks again, align, quality, embed, once a photo. Needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TypeVar

from timing import Cost, Row, cost, table

from facecli import align, images, quality, weights
from facecli.extract import Extractor, processors, prominence
from facecli.types import FailureToAcquire

HERE = Path(__file__).parent
RUNS, SAMPLE = 3, 300
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="a folder per person")
    parser.add_argument("source", type=Path, help="the embedder's TFLite file")
    parser.add_argument("--photos", type=int, default=1000)
    args = parser.parse_args()
    photos = sorted(args.root.resolve().glob("*/*.jpg"))[: args.photos]
    with tempfile.TemporaryDirectory() as folder:
        print(table(rows(photos, args.source, Path(folder))))


def rows(photos: Sequence[Path], source: Path, folder: Path) -> list[Row]:
    """Enrolment's rows. `folder` is left with what was made."""
    plain, people = plain_graph(source, folder), folder / "people.csv"
    fewer, count = folder / "fewer.csv", len(photos)
    listed(photos, people)
    listed(photos[: count // 4], fewer)
    ours, naive = [], []
    for _ in range(RUNS):
        ours.append(enrolled(people, folder))
        naive.append(cost((sys.executable, HERE / "naive.py", plain, people, folder / "n.npz")))
    stages = stage_costs(photos[:: max(1, count // SAMPLE)])
    fast, slow = (count / median(c.seconds for c in costs) for costs in (ours, naive))
    bound, total = 1000 * processors() / sum(stages.values()), sum(stages.values())
    work, loop = (1000 * median(c.cpu for c in costs) / count for costs in (ours, naive))
    memory, small = median(c.memory for c in ours), enrolled(fewer, folder).memory
    name, told = f"enrol {count:,} photos", ", ".join(f"{k} {v:.2f}" for k, v in stages.items())
    return [
        row(name, fast, slow, "photos/s", "naive loop, a photo at a time, default settings"),
        row(name, fast, bound, "photos/s", f"stage bound on {processors()} processors"),
        row("CPU a photo", work, loop, "ms", "naive loop"),
        row("CPU a photo", work, total, "ms", f"the stages alone: {told}"),
        row("peak memory", memory, small, "MB", f"a quarter of the photos ({count // 4:,})"),
    ]


def row(what: str, ours: float, other: float, unit: str, name: str) -> Row:
    return what, f"{ours:.1f} {unit}", f"{other:.1f} {unit}", name, f"{ours / other:.2f}"


def plain_graph(source: Path, folder: Path) -> Path:
    """The embedder as it was published, PReLU and all."""
    target = folder / "plain.onnx"
    tool = HERE.parent / "tools" / "convert_mobilefacenet.py"
    subprocess.run(
        (sys.executable, tool, "--keep-prelu", source, target),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return target


def listed(photos: Sequence[Path], target: Path) -> None:
    """A CSV of path,subject, which both read."""
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("path", "subject"))
        writer.writerows((photo, photo.parent.name) for photo in photos)


def enrolled(people: Path, folder: Path) -> Cost:
    """What enrolling them into a new gallery costs."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        gallery = Path(fresh) / "g.facecli"
        return cost((sys.executable, "-m", "facecli", "enroll", people, "-g", gallery, "--quiet"))


def stage_costs(photos: Sequence[Path]) -> dict[str, float]:
    """CPU ms of each stage on this one thread, mean over the photos; the largest face of each."""
    extractor = Extractor.load(weights.find_embedder())
    spent: dict[str, float] = defaultdict(float)

    def stage(name: str, work: Callable[[], T]) -> T:
        start = time.thread_time()
        result = work()
        spent[name] += 1000 * (time.thread_time() - start) / len(photos)
        return result

    for path in photos:
        data = path.read_bytes()
        image = stage("decode", lambda data=data: images.decode(data, ""))
        assert not isinstance(image, FailureToAcquire), image
        faces = stage("detect and landmarks", lambda image=image: extractor.detector.detect(image))
        if not faces:
            continue
        size = (image.shape[1], image.shape[0])
        face = max(faces, key=lambda face: prominence(face, size))
        crop = stage("align", lambda i=image, f=face: align.crop(i, f.landmarks))
        stage("quality", lambda f=face, c=crop: quality.assess(f, c))
        stage("embed", lambda c=crop: extractor.embedder.embed(c[None]))
    return dict(spent)


if __name__ == "__main__":
    main()
