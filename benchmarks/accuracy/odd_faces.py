"""Faces that are not like photographed faces: how many get a stranger's name, of each kind.

    python -m benchmarks.accuracy.odd_faces ../shared/lfw-dev [--model NAME] [--pictures FOLDER]

Each kind is made from lfw-dev's photos. N = 120 people are enrolled, 100 by a photo as it is and 20
by one of the kind, as far as enrolment takes it; 100 others of the kind are searched, of people
whom models/make/make_odd.py did not see (every second one). Named: those that reach the embedder's
table's threshold for an FPIR of 1 %, without the quality bar and with it. Faces upside down are
looked at as they are: the search for the orientation is off for all kinds. Then what the bar costs
on photos as they are: how many are refused, DIR and FPIR with all people. --pictures: a folder of
clip art or stamps, searched with half of them enrolled.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np

from facecli.common.parallel import ordered
from facecli.common.types import FaceTemplate, FailureToAcquire, Image, Photo
from facecli.metrics import reference_table
from facecli.recognition import images, orientation
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR

ENROLLED, ODD, SEARCHED, FPIR = 100, 20, 100, 0.01


def _grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _colour(grey: Image) -> Image:
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def edges(image: Image) -> Image:
    """A drawing of the edges, black on white: Pillow's FIND_EDGES, inverted."""
    kernel = np.full((3, 3), -1, np.float32)
    kernel[1, 1] = 8
    return _colour(255 - cv2.filter2D(_grey(image), -1, kernel))


def contour(image: Image) -> Image:
    """The same with thinner lines: Pillow's CONTOUR."""
    kernel = np.full((3, 3), -1, np.float32)
    kernel[1, 1] = 8
    return _colour(cv2.filter2D(_grey(image), -1, kernel, delta=255))


def sketch(size: int) -> Callable[[Image], Image]:
    """A pencil drawing: the photo over its blurred negative. size: px, of the strokes."""

    def apply(image: Image) -> Image:
        grey = _grey(image)
        blurred = cv2.GaussianBlur(255 - grey, (size, size), 0)
        return _colour(cv2.divide(grey, 255 - blurred, scale=256))

    return apply


def posterised(image: Image) -> Image:
    return (image // 64 * 85).astype(np.uint8)


def stamp(image: Image) -> Image:
    """Black and white by the brightness around."""
    return _colour(
        cv2.adaptiveThreshold(
            _grey(image), 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, 31, 5
        )
    )


def stencil(image: Image) -> Image:
    """Black and white by one threshold."""
    return _colour(cv2.threshold(_grey(image), 0, 255, cv2.THRESH_OTSU)[1])


def halftone(image: Image) -> Image:
    """Dots, ordered as in newspapers (Bayer's 4 x 4)."""
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) * 16 + 8
    grey = _grey(image)
    height, width = grey.shape
    mask = np.tile(bayer, (height // 4 + 1, width // 4 + 1))[:height, :width]
    return _colour(np.where(grey > mask, 255, 0).astype(np.uint8))


def motion(across: int, down: int) -> Callable[[Image], Image]:
    """A camera that moved by so many px."""
    kernel = np.full((down, across), 1 / (across * down), np.float32)
    return lambda image: np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)


def night(gain: float, noise: float) -> Callable[[Image], Image]:
    """Too little light. noise: grey levels, of the picture as it is dark."""

    def apply(image: Image) -> Image:
        random = np.random.default_rng(int(image.sum()) % 2**32).normal(0, noise, image.shape)
        return np.clip(image * gain + random, 0, 255).astype(np.uint8)

    return apply


def turned(degrees: int) -> Callable[[Image], Image]:
    return lambda image: np.ascontiguousarray(orientation.turned(image, degrees))


KINDS: Mapping[str, Callable[[Image], Image]] = {
    "upside down": turned(180),
    "on its side": turned(90),
    "edges": edges,
    "contour": contour,
    "sketch, fine": sketch(9),
    "sketch, coarse": sketch(21),
    "negative": lambda image: 255 - image,
    "grey negative": lambda image: _colour(255 - _grey(image)),
    "stamp": stamp,
    "stencil": stencil,
    "halftone": halftone,
    "motion, 25 px across": motion(25, 1),
    "motion, 25 px down": motion(1, 25),
    "night, 6 %": night(0.06, 4),
    "night, 15 %, noisy": night(0.15, 12),
}
"""What models/make/make_odd.py makes the direction of."""

UNSEEN: Mapping[str, Callable[[Image], Image]] = {
    "posterised": posterised,
    "motion, 15 px across": motion(15, 1),
    "noise": night(1, 50),
}
"""Kinds that it is not made of."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    spec = registry.find_embedder(args.model)
    assert spec.table is not None
    extractor, table = Extractor.load(spec), reference_table.from_file(spec.table, spec.embedder_id)
    people = [sorted(folder.glob("*.jpg")) for folder in sorted((args.root / "photos").iterdir())]
    shuffled = np.random.default_rng(0).permutation(range(1, len(people), 2))
    first = [people[i][0] for i in shuffled[: ENROLLED + ODD + SEARCHED]]
    with patch.object(orientation, "turn_needed", lambda *_: 0):
        usual = faces(extractor, first[:ENROLLED], lambda image: image)
        gallery = [face for face in usual if face and good(face)]
        limit = table.threshold(FPIR, ENROLLED + ODD)
        print(f"{spec.name}: N = {ENROLLED + ODD}, threshold {limit:.3f}; strangers named")
        print(f"{'kind':22}{'faces':>8}{'before':>8}{'now':>6}   low quality")
        for kind, make in {**KINDS, **UNSEEN}.items():
            odd = faces(extractor, first[ENROLLED : ENROLLED + ODD], make)
            named(kind, gallery, odd, faces(extractor, first[ENROLLED + ODD :], make), limit)
        if args.pictures:
            found = [face for face in pictures(extractor, args.pictures) if face]
            named("pictures", gallery, found[::2], found[1::2], limit)
    cost(extractor, people, table)


def good(face: FaceTemplate) -> bool:
    return face.face.quality >= DEFAULT_BAR


def named(
    kind: str,
    gallery: Sequence[FaceTemplate],
    odd: Sequence[FaceTemplate | None],
    searched: Sequence[FaceTemplate | None],
    limit: float,
) -> None:
    """A line: how many strangers reach the threshold, with all that was found and with the bar."""
    probes = [face for face in searched if face]
    counts = []
    for bar in (False, True):
        enrolled = np.stack(
            [f.template.vector for f in (*gallery, *odd) if f and (good(f) or not bar)]
        )
        scores = [(enrolled @ p.template.vector).max() for p in probes if good(p) or not bar]
        counts.append(int(np.count_nonzero(np.array(scores) >= limit)))
    low = sum(not good(face) for face in probes)
    print(f"{kind:22}{len(probes):8}{counts[0]:8}{counts[1]:6}   {low / max(1, len(probes)):.0%}")


def faces(
    extractor: Extractor, paths: Sequence[Path], make: Callable[[Image], Image]
) -> list[FaceTemplate | None]:
    """The most prominent face of each photo made into a kind, None where there is none."""

    def found(path: Path) -> FaceTemplate | None:
        image = images.decode(path.read_bytes(), str(path))
        assert not isinstance(image, FailureToAcquire)
        return next(iter(extractor.image(make(image), "").faces), None)

    return list(ordered(found, paths))


def pictures(extractor: Extractor, folder: Path) -> Iterator[FaceTemplate]:
    """Every face found in a folder of clip art."""
    for photo in extractor.photos(sorted(folder.rglob("*.png"))):
        if isinstance(photo, Photo):
            yield from photo.faces


def cost(
    extractor: Extractor,
    people: Sequence[Sequence[Path]],
    table: reference_table.ReferenceTable,
) -> None:
    """What the bar costs on photos as they are: first photos enrolled, second ones searched."""
    every = [path for paths in people for path in paths]
    found = {
        path: photo.faces[0]
        for path, photo in zip(every, extractor.photos(every), strict=True)
        if isinstance(photo, Photo) and photo.faces
    }
    low = sum(not good(face) for face in found.values())
    print(f"photos as they are: {low} of {len(found)} of low quality ({low / len(found):.2%})")
    several = [paths for paths in people if len(paths) > 1]
    strangers = [paths[0] for paths in people if len(paths) == 1]
    limit = table.threshold(FPIR, len(several))
    for bar in (False, True):
        enrolled = [i for i, paths in enumerate(several) if good(found[paths[0]]) or not bar]
        matrix = np.stack([found[several[i][0]].template.vector for i in enrolled])
        hits = 0
        for i, paths in enumerate(several):
            probe = found[paths[1]]
            scores = matrix @ probe.template.vector
            best = int(scores.argmax())
            hits += enrolled[best] == i and scores[best] >= limit and (good(probe) or not bar)
        false = sum(
            (matrix @ found[p].template.vector).max() >= limit and (good(found[p]) or not bar)
            for p in strangers
        )
        print(
            f"  {'with' if bar else 'without'} the bar: DIR {hits / len(several):.2%} of "
            f"{len(several)}, FPIR {false / len(strangers):.2%} of {len(strangers)}"
        )


if __name__ == "__main__":
    main()
