"""Enrolment against the naive loop and against what its stages cost alone.

    python -m benchmarks.speed.pipeline ../shared/lfw-dev/photos SOURCE.tflite [--photos 1000]

SOURCE.tflite is the embedder as it was published, ../shared/models/mobilefacenet_arcface.tflite.

Whole processes, start-up included, run in turn so that a busy machine slows both; medians. The
naive loop runs twice: with onnxruntime's and OpenCV's defaults, where both processors work on
each photo, and on one thread. The stage bound is the processors there are over the CPU time of the
stages on one thread: decode, detect, landmarks again, align, quality, embed, once a photo, each
stage over all photos before the next, so that none finds its code and weights pushed out. Needs
Linux or macOS.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from benchmarks.speed.timing import Cost, Row, cost, table
from facecli.common.parallel import processors
from facecli.common.types import Face, FailureToAcquire, Image
from facecli.recognition import alignment, images, quality
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor, prominence

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
    ours, naive, alone = [], [], []
    for _ in range(RUNS):
        ours.append(enrolled(people, folder))
        naive.append(looped(plain, people, folder))
        alone.append(looped(plain, people, folder, "--one-thread"))
    stages = stage_costs(photos[:: max(1, count // SAMPLE)])
    fast, slow, slower = (
        count / median(c.seconds for c in costs) for costs in (ours, naive, alone)
    )
    bound, total = 1000 * processors() / sum(stages.values()), sum(stages.values())
    work, loop = (1000 * median(c.cpu for c in costs) / count for costs in (ours, naive))
    memory, small = median(c.memory for c in ours), enrolled(fewer, folder).memory
    name, told = f"enrol {count:,} photos", ", ".join(f"{k} {v:.2f}" for k, v in stages.items())
    return [
        row(name, fast, slow, "photos/s", "naive loop, a photo at a time, default settings"),
        row(name, fast, slower, "photos/s", "naive loop, a photo at a time, on one thread"),
        row(name, fast, bound, "photos/s", f"stage bound on {processors()} processors"),
        row("CPU a photo", work, loop, "ms", "naive loop, default settings"),
        row("CPU a photo", work, total, "ms", f"the stages alone: {told}"),
        row("peak memory", memory, small, "MB", f"a quarter of the photos ({count // 4:,})"),
    ]


def row(what: str, ours: float, other: float, unit: str, name: str) -> Row:
    return what, f"{ours:.1f} {unit}", f"{other:.1f} {unit}", name, f"{ours / other:.2f}"


def plain_graph(source: Path, folder: Path) -> Path:
    """The embedder as it was published, PReLU and all."""
    target = folder / "plain.onnx"
    tool = HERE.parents[1] / "models" / "make" / "convert_mobilefacenet.py"
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


def looped(plain: Path, people: Path, folder: Path, *settings: str) -> Cost:
    """What the naive loop over them costs."""
    return cost((sys.executable, HERE / "naive.py", plain, people, folder / "n.npz", *settings))


def stage_costs(photos: Sequence[Path]) -> dict[str, float]:
    """CPU ms a photo of each stage on this one thread; the most prominent face of each."""
    extractor = Extractor.load(registry.find_embedder())
    spent: dict[str, float] = {}

    def stage(name: str, work: Callable[..., T], *inputs: Sequence[Any]) -> list[T]:
        start = time.thread_time()
        results = [work(*items) for items in zip(*inputs, strict=True)]
        spent[name] = 1000 * (time.thread_time() - start) / len(photos)
        return results

    data = [path.read_bytes() for path in photos]
    found = stage("decode", partial(images.decode, path=""), data)
    seen = [image for image in found if not isinstance(image, FailureToAcquire)]
    faces = stage("detect and landmarks", extractor.detector.detect, seen)
    shown = [(image, some) for image, some in zip(seen, faces, strict=True) if some]
    whose = [_foremost(image, some) for image, some in shown]
    crops = stage("align", lambda seen, face: alignment.crop(seen[0], face.landmarks), shown, whose)
    stage("quality", quality.assess, whose, crops)
    stage("embed", lambda crop: extractor.embedder.embed(crop[None]), crops)
    return spent


def _foremost(image: Image, faces: Sequence[Face]) -> Face:
    height, width = image.shape[:2]
    return max(faces, key=lambda face: prominence(face, (width, height)))


if __name__ == "__main__":
    main()
