"""Grouping 100,000 faces: processor time and memory.

    python -m benchmarks.scale.grouping ../shared/lfw-dev --cache DIR [--faces 100000]

People are neighbours of real templates, a quarter as many as there are faces; four faces each, as
alike as one person's are in the median. Two faces a photo, drawn by chance. One process, its BLAS
on one thread.
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
PERSON = 0.75  # the cosine of a person to the template
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
    alike = median_mated(people)
    vectors, truth = made_up(people.vectors, args.faces, alike)
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
    print(f"two faces of a person: cosine {alike:.3f}; threshold among all {found.threshold:.3f}")
    print(f"{found.labels.max() + 1:,} groups, {len(found.links):,} links worth a look; "
          f"B-cubed F {f:.3f}, wrongly linked {wrong:.2%}")  # fmt: skip


def median_mated(people: protocol.People) -> float:
    """The median cosine of two faces of a person."""
    scores = []
    for code in people.with_at_least(2):
        own = people.vectors[people.rows(code)]
        scores.append((own @ own.T)[np.triu_indices(len(own), 1)].mean())
    return float(np.median(scores))


def made_up(templates: np.ndarray, faces: int, alike: float) -> tuple[np.ndarray, np.ndarray]:
    """(faces, d) unit vectors, and whose each is. alike: the cosine of two of a person's."""
    draw = np.random.default_rng(1)
    count = -(-faces // FACES_EACH)
    persons = _near(templates[draw.integers(len(templates), size=count)], PERSON, draw)
    truth = np.repeat(np.arange(count), FACES_EACH)[:faces]
    return _near(persons[truth], float(np.sqrt(alike)), draw), truth


def _near(vectors: np.ndarray, cosine: float, draw: np.random.Generator) -> np.ndarray:
    """Vectors at this cosine from each, in directions drawn by chance."""
    other = units(draw.standard_normal(vectors.shape, np.float32))
    across = units(other - np.sum(other * vectors, axis=1, keepdims=True) * vectors)
    moved = cosine * vectors + np.float32(np.sqrt(1 - cosine**2)) * across
    return units(moved).astype(np.float32)


if __name__ == "__main__":
    main()
