"""12-megapixel photos: what decoding them reduced saves, and what it costs.

    python -m benchmarks.speed.large_photos ../shared/lfw-dev [--photos 20]

Faces of lfw-dev, enlarged or shrunk to each size, one in a picture of 4000 x 3000 px with a
camera's noise, and a group of 43 px. Every photo is decoded and detected three ways, in turn: "full
size" is OpenCV's decoder and its detector on all pixels at once, "all pixels" is facecli's passes
on them, "facecli" what it does. Times are CPU ms of one thread, medians; the cosine is between
the last two's templates.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tabulate import tabulate

from facecli.common.types import Face, FailureToAcquire
from facecli.recognition import alignment, images
from facecli.recognition.images import View
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.recognition.yunet import OpenCvNetwork

WIDTH, HEIGHT, NOISE, JPEG_QUALITY = 4000, 3000, 4.0, 92
SIZES = (60, 120, 240, 480, 960, 1800)  # px: a face's longer side
GROUP, GROUP_SIZE = (12, 7), 43  # columns and rows of faces, px
TILE = 1.9  # of the face's longer side: what is cut around it

NAIVE = OpenCvNetwork(registry.read_verified(registry.find_detector()))
Seen = tuple[View, tuple[Face, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A face with its surroundings, (S, S, 3) uint8 BGR; `side` px is its longer side."""

    image: np.ndarray
    side: float


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One photo each way. ms, found: of the three; cosines: templates of all pixels and ours."""

    ms: tuple[float, ...]
    found: tuple[int, ...]
    planted: int
    cosines: tuple[float, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="lfw-dev")
    parser.add_argument("--photos", type=int, default=20, help="of each face size")
    args = parser.parse_args()
    extractor = Extractor.load(registry.find_embedder())
    paths = sorted(args.root.glob("photos/*/*.jpg"))
    step = len(paths) // (2 * max(args.photos, GROUP[0] * GROUP[1]))
    tiles = [tile for p in paths[::step] if (tile := cut(extractor, p)) is not None]
    rows, every = [], []
    for size in SIZES:
        trials = [trial(extractor, *alone(t, size, i)) for i, t in enumerate(tiles[: args.photos])]
        rows.append(row(f"one of {size} px", trials))
        every += trials
    rows.append(row("all of these", every))
    rows.append(row(f"group of {GROUP_SIZE} px", [trial(extractor, *group(tiles))]))
    header = (
        "faces", "full size", "all pixels", "facecli", "full size /\nfacecli",
        "all pixels /\nfacecli", "planted", "found\nfull size", "found\nall pixels",
        "found\nfacecli", "median\ncosine", "lowest\ncosine",
    )  # fmt: skip
    print(tabulate(rows, header, disable_numparse=True))


def cut(extractor: Extractor, path: Path) -> Tile | None:
    """The photo's face, alone in its tile; None where the tile reaches over the edge."""
    image = images.decode(path.read_bytes(), path.name)
    assert not isinstance(image, FailureToAcquire), image
    faces = extractor.detector.detect(image)
    if not faces:
        return None
    x1, y1, x2, y2 = faces[0].box
    side = max(x2 - x1, y2 - y1)
    left, top = (round((a + b - TILE * side) / 2) for a, b in ((x1, x2), (y1, y2)))
    part = image[max(0, top) : top + round(TILE * side), max(0, left) : left + round(TILE * side)]
    return Tile(part, side) if len(extractor.detector.detect(part)) == 1 else None


def alone(tile: Tile, size: int, seed: int) -> tuple[bytes, np.ndarray]:
    """A JPEG with one face of `size` px anywhere, and its (1, 2) centre, px."""
    rng = np.random.default_rng(seed)
    face = scaled(tile, size)
    room = (max(1, WIDTH - face.shape[1]), max(1, HEIGHT - face.shape[0]))
    return picture([face], np.array([rng.integers(0, room)]), seed)


def group(tiles: Sequence[Tile]) -> tuple[bytes, np.ndarray]:
    """A JPEG of everybody in rows, and the (n, 2) centres."""
    columns, lines = GROUP
    faces = [scaled(tile, GROUP_SIZE) for tile in tiles[: columns * lines]]
    places = [(30 + i % columns * 330, 30 + i // columns * 420) for i in range(len(faces))]
    return picture(faces, np.array(places), 0)


def scaled(tile: Tile, size: int) -> np.ndarray:
    k = size / tile.side
    how = cv2.INTER_AREA if k < 1 else cv2.INTER_CUBIC
    return cv2.resize(tile.image, None, fx=k, fy=k, interpolation=how)[:HEIGHT, :WIDTH]


def picture(
    faces: Sequence[np.ndarray], corners: np.ndarray, seed: int
) -> tuple[bytes, np.ndarray]:
    """The faces at their left top corners, (n, 2) px, on a grey wall; with the centres."""
    canvas = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    for face, (x, y) in zip(faces, corners, strict=True):
        canvas[y : y + face.shape[0], x : x + face.shape[1]] = face
    noise = np.random.default_rng(seed).normal(0, NOISE, canvas.shape).astype(np.float32)
    noisy = np.clip(canvas + noise, 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    sizes = np.array([(face.shape[1], face.shape[0]) for face in faces])
    return data, corners + sizes / 2


def trial(extractor: Extractor, data: bytes, centres: np.ndarray) -> Trial:
    def full_size() -> Seen:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return View(image, 1), tuple(naive_face(row) for row in NAIVE.rows(image))

    def all_pixels() -> Seen:
        image = images.decode(data, "all")
        assert not isinstance(image, FailureToAcquire), image
        return View(image, 1), extractor.detector.detect(image)

    def ours() -> Seen:
        seen = extractor.detect(data, "ours")
        assert not isinstance(seen, FailureToAcquire), seen
        return seen

    ms, seen = zip(*(timed(way) for way in (full_size, all_pixels, ours)), strict=True)
    faces = [[at(one, centre) for centre in centres] for one in seen]
    both = [(a, b) for a, b in zip(faces[1], faces[2], strict=True) if a and b]
    cosines = tuple(
        float(template(extractor, seen[1][0], a) @ template(extractor, seen[2][0], b))
        for a, b in both
    )
    found = tuple(sum(face is not None for face in one) for one in faces)
    return Trial(ms, found, len(centres), cosines)


def naive_face(row: np.ndarray) -> Face:
    x, y, width, height = map(float, row[:4])
    return Face((x, y, x + width, y + height), row[4:14].reshape(5, 2), float(row[14]))


def timed(work: Callable[[], Seen]) -> tuple[float, Seen]:
    start = time.thread_time()
    result = work()
    return 1000 * (time.thread_time() - start), result


def at(seen: Seen, centre: np.ndarray) -> Face | None:
    """The face whose box holds this point of the photo."""
    view, faces = seen
    x, y = (centre + 0.5) / view.scale - 0.5
    return next((f for f in faces if f.box[0] < x < f.box[2] and f.box[1] < y < f.box[3]), None)


def template(extractor: Extractor, view: View, face: Face) -> np.ndarray:
    return extractor.embedder.embed(alignment.crop(view.image, face.landmarks)[None])[0]


def row(name: str, trials: Sequence[Trial]) -> tuple[str, ...]:
    full, whole, ours = np.median([t.ms for t in trials], axis=0)
    found = np.sum([t.found for t in trials], axis=0)
    cosines = [cosine for t in trials for cosine in t.cosines]
    return (
        name,
        *(f"{ms:.0f}" for ms in (full, whole, ours)),
        f"{full / ours:.2f}",
        f"{whole / ours:.2f}",
        str(sum(t.planted for t in trials)),
        *map(str, found),
        f"{np.median(cosines):.4f}",
        f"{min(cosines):.4f}",
    )


if __name__ == "__main__":
    main()
