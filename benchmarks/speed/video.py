"""Clips: frames a second a core, what embedding only the best faces saves, memory, a live stream.

    python -m benchmarks.speed.video ../shared/lfw-dev [--minutes 60]

The clips are made of lfw-dev's photos (see benchmarks/accuracy/shots.py) and stay out of the
project. Run it on an idle machine. Memory is that of a process of its own, at its peak, over a
1080p clip of so many minutes, one frame in 0.2 s; an hour takes about half an hour. The stream is
1080p, 5 frames a second, over HTTP on this machine: it keeps up where no frame is left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from tabulate import tabulate

from benchmarks.accuracy import shots
from facecli.common.types import Image
from facecli.recognition.glimpses import Glimpse, Look
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.video import frames
from facecli.video.frames import Sampling
from facecli.video.live import Live
from facecli.video.templates import Tracking, tracks

SHOTS = 10
FULL_HD = (1920, 1080)
STREAM = 20  # seconds


class EveryFace:
    """An extractor that embeds every face of every frame, as frame-by-frame programs do."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self.spec = extractor.spec

    def glimpses(self, image: Image) -> tuple[Glimpse, ...]:
        found = self._extractor.glimpses(image)
        if found:
            self._extractor.look(found)
        return found

    def look(self, seen: Sequence[Glimpse]) -> tuple[Look, ...]:
        return self._extractor.look(seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--long", type=Path, help=argparse.SUPPRESS)  # the process of its own
    args = parser.parse_args()
    if args.long:
        _search(args.long)
        return
    rows = []
    with TemporaryDirectory() as scratch:
        clip = _acted(args.root, Path(scratch) / "three.mp4", SHOTS)
        extractor = Extractor.load(registry.find_embedder(None))
        best, every = (_rate(one, clip) for one in (extractor, EveryFace(extractor)))
        rows += [
            ("frames a second a core, 960 x 360, three faces", f"{best:.1f}", ">= 13"),
            ("the same with every face embedded", f"{every:.1f}", ""),
            ("times as fast with only the best embedded", f"{best / every:.2f}", ">= 2"),
        ]
        long = _repeated(clip, Path(scratch) / "long.mp4", args.minutes)
        words = [
            sys.executable,
            "-m",
            "benchmarks.speed.video",
            str(args.root),
            "--long",
            str(long),
        ]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
        what = f"peak memory, {args.minutes:g} minutes of 1080p, MB"
        rows += [(what, told[0], "<= 300"), ("its frames a second, all processors", told[1], "")]
        came, seen = _streamed(extractor, clip)
        rows.append(("1080p at 5 a second: frames worked on", f"{seen} of {came}", "all but 2"))
    print(tabulate(rows, ("what", "measured", "must be"), disable_numparse=True))


def _acted(root: Path, path: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    photos = [sorted(folder.glob("*.jpg"))[0] for folder in sorted((root / "photos").iterdir())]
    script = []
    for _ in range(count):
        drawn = [photos[i] for i in rng.choice(len(photos), 4, replace=False)]
        script.append(shots.three([(p, p.stem) for p in drawn[:3]], drawn[3], rng))
    shots.write(path, script, 0)
    return path


def _rate(extractor: Extractor | EveryFace, clip: Path) -> float:
    """Frames a second of processor time, decoding included; the second time."""
    for _ in range(2):
        start, count = time.process_time(), [0]

        def step(_: object, count: list[int] = count) -> None:
            count[0] += 1

        read = frames.read(clip, Sampling())
        list(tracks(extractor, read, Tracking(workers=1), step))  # type: ignore[arg-type]
    return count[0] / (time.process_time() - start)


def _repeated(clip: Path, path: Path, minutes: float) -> Path:
    """The clip enlarged to 1080p, again and again."""
    small = [one.image for one in frames.read(clip, Sampling(every=0))
             if isinstance(one, frames.Frame)]  # fmt: skip
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 5, FULL_HD)
    for number in range(round(minutes * 60 * 5)):
        writer.write(cv2.resize(small[number % len(small)], FULL_HD))
    writer.release()
    return path


def _search(path: Path) -> None:
    """Track it, and print the peak of memory in MB and the frames a second."""
    extractor, start, count = Extractor.load(registry.find_embedder(None)), time.monotonic(), [0]

    def step(_: object) -> None:
        count[0] += 1

    for _ in tracks(extractor, frames.read(path, Sampling()), Tracking(), step):
        pass
    print(f"{_peak():.0f} {count[0] / (time.monotonic() - start):.1f}")


def _peak() -> float:
    """This process's peak of memory, MB. Not getrusage's: that begins with its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _streamed(extractor: Extractor, clip: Path) -> tuple[int, int]:
    """How many frames a camera sent, and how many of them were worked on."""
    sys.path.insert(0, "tests")
    from support.cameras import Camera, running

    large = [cv2.resize(one.image, FULL_HD) for one in frames.read(clip, Sampling())
             if isinstance(one, frames.Frame)]  # fmt: skip
    stop, seen = threading.Event(), [0]

    def step(_: object) -> None:
        seen[0] += 1

    with running(Camera([large * 10], every=0.2)) as camera:
        live = Live(camera.address, 0.0, stop, lambda _: None)

        def until_enough() -> Iterator[frames.Frame | frames.Lost]:
            for frame in live.frames():
                if camera.sent >= STREAM * 5:
                    stop.set()
                yield frame

        list(tracks(extractor, until_enough(), Tracking(), step))
        return camera.sent, seen[0]


if __name__ == "__main__":
    main()
