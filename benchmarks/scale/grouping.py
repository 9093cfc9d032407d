"""Grouping 100,000 faces: processor time and memory.

    python -m benchmarks.scale.grouping ../shared/lfw-dev --cache DIR [--faces 100000]

People are neighbours of real templates, a quarter as many as there are faces, as far from these
as one person's faces are from each other; four faces each, spread as much. Two faces a photo,
drawn by chance. One process, its BLAS on one thread.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.accuracy import protocol
from benchmarks.accuracy.grouping import bcubed
from benchmarks.scale.synthetic import units
from facecli.grouping.links import group
from facecli.recognition.model_zoo import registry
from facecli.threshold.operating_point import built_in_table

FACES_EACH = 4
PERSON, FACE = 0.75, 0.75  # the cosine of a person to the template, of a face to its person
SECONDS, MEMORY = 60, 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", default=registry.DEFAULT_EMBEDDER)
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    parser.add_argument("--faces", type=int, default=100_000)
    args = parser.parse_args()
    people = protocol.load(args.root, args.model, args.cache)
    table = built_in_table(registry.find_embedder(args.model))
    assert table is not None
    vectors, truth = made_up(people.vectors, args.faces)
    photos = np.random.default_rng(2).permutation(args.faces) // 2
    # Linux counts kilobytes, macOS bytes; what was read before counts, too.
    unit = 1 if sys.platform == "darwin" else 1024
    start, wall = time.process_time(), time.perf_counter()
    found = group(vectors, photos, table.threshold)
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    f, _, _, wrong = bcubed(found.labels, truth)
    print(
        f"{args.faces:,} faces of {vectors.shape[1]} numbers: {seconds:.1f} s of processor time "
        f"(at most {SECONDS}), {wall:.1f} s, {memory / 1e6:,.0f} MB at most ({MEMORY / 1e6:,.0f})"
    )
    print(f"{found.labels.max() + 1:,} groups, {len(found.links):,} links worth a look; "
          f"B-cubed F {f:.3f}, wrongly linked {wrong:.2%}")  # fmt: skip


def made_up(templates: np.ndarray, faces: int) -> tuple[np.ndarray, np.ndarray]:
    """(faces, d) unit vectors, and whose each is."""
    draw = np.random.default_rng(1)
    count = -(-faces // FACES_EACH)
    persons = _near(templates[draw.integers(len(templates), size=count)], PERSON, draw)
    truth = np.repeat(np.arange(count), FACES_EACH)[:faces]
    return _near(persons[truth], FACE, draw), truth


def _near(vectors: np.ndarray, cosine: float, draw: np.random.Generator) -> np.ndarray:
    """Vectors at this cosine from each, in directions drawn by chance."""
    other = units(draw.standard_normal(vectors.shape, np.float32))
    across = units(other - np.sum(other * vectors, axis=1, keepdims=True) * vectors)
    moved = cosine * vectors + np.float32(np.sqrt(1 - cosine**2)) * across
    return units(moved).astype(np.float32)


if __name__ == "__main__":
    main()
