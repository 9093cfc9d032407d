"""Photos whose faces are only 16 px. Not a benchmark itself.

A photo is shrunk by area until the detected face's box, the geometric mean of its sides, is
16 px, and enlarged to its old size again (bicubic): what a far-off camera gives, blown up. The
whole path then runs on it anew, detection included.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.accuracy import protocol
from benchmarks.accuracy.rules import Gallery, Realised, realised
from benchmarks.accuracy.tables import table_without
from facecli.common.parallel import ordered
from facecli.common.types import FailureToAcquire, Photo
from facecli.recognition import images
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor

SIDE = 16  # px
ENROLLED, STRANGERS, SPLITS = 150, 300, 20


def reduce(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """image: (H, W, 3) uint8. box: (4,) px of its face. The same size, without its detail."""
    height, width = image.shape[:2]
    scale = SIDE / float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC)


def chosen(people: protocol.People) -> np.ndarray:
    """Rows to reduce, seeded: two photos each of the enrolled, one of each stranger."""
    rng = np.random.default_rng(0)
    enrolled = rng.permutation(people.with_at_least(2))[:ENROLLED]
    strangers = rng.permutation(people.single())[: 2 * STRANGERS]
    pairs = [people.photo_rows(enrolled, number) for number in (0, 1)]
    return np.concatenate([*pairs, people.photo_rows(strangers, 0)])


def cached(
    people: protocol.People, rows: np.ndarray, photos: Path, cache: Path | None
) -> np.ndarray:
    """`templates`, kept between runs in a folder."""
    kept = cache / f"{people.model}-{SIDE}px.npz" if cache else None
    embedder_id = registry.find_embedder(people.model).embedder_id
    if kept and kept.exists():
        data = np.load(kept)
        if data["embedder_id"] == embedder_id and np.array_equal(data["rows"], rows):
            return data["vectors"]
    vectors = templates(people, rows, photos)
    if kept:
        np.savez(kept, vectors=vectors, rows=rows, embedder_id=embedder_id)
    return vectors


def templates(people: protocol.People, rows: np.ndarray, photos: Path) -> np.ndarray:
    """(len(rows), d) templates of the reduced photos, NaN where no face is found any more."""
    extractor = Extractor.load(registry.find_embedder(people.model))
    vectors = np.full((len(rows), people.vectors.shape[1]), np.nan, np.float32)

    def work(row: int) -> Photo:
        image = images.decode((photos / people.names[row]).read_bytes(), people.names[row])
        assert not isinstance(image, FailureToAcquire), image
        return extractor.image(reduce(image, people.boxes[row]), people.names[row])

    for i, photo in enumerate(ordered(work, rows)):
        if photo.faces:
            vectors[i] = photo.faces[0].template.vector
    return vectors


def runs(people: protocol.People, rows: np.ndarray, vectors: np.ndarray) -> Iterator[Realised]:
    """Half of the strangers at a time; the table is made from full-size photos of the others."""
    table = table_without(people, np.unique(people.subjects[rows]))
    found = ~np.isnan(vectors[:, 0])
    first, second = vectors[:ENROLLED], vectors[ENROLLED : 2 * ENROLLED]
    both = found[:ENROLLED] & found[ENROLLED : 2 * ENROLLED]
    others = vectors[2 * ENROLLED :][found[2 * ENROLLED :]]
    for seed in range(SPLITS):
        rng = np.random.default_rng(seed)
        enrolled = rng.permutation(np.flatnonzero(both))
        strangers = others[rng.permutation(len(others))[:STRANGERS]]
        gallery = Gallery.of(first[enrolled][:, None], people.children)
        yield realised(table, gallery, strangers, second[enrolled], np.arange(len(enrolled)))
