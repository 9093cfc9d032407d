"""Accuracy on lfw-dev, each figure beside what it must reach.

    python -m benchmarks.accuracy.lfw ../shared/lfw-dev [--model NAME]

1:1: pairs.csv through the one extraction path, accuracy at the best threshold and failures to
acquire. 1:N: 300 subjects by their first photo, their second photos and 1,000 single-photo
strangers as probes, ten seeded draws; the reference table is made from the people outside each
draw, so that no stranger has been seen before. The oracle is the threshold that gives the same
FPIR in hindsight.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.accuracy import protocol
from benchmarks.accuracy.rules import Gallery, Rule, realised
from benchmarks.accuracy.tables import table_without
from facecli.datasets.pairs import read_pairs
from facecli.metrics.verification import best_accuracy
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.threshold.from_pairs import measure

DRAWS, ENROLLED, STRANGERS, TARGET = 10, 300, 1000, 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--model")
    args = parser.parse_args()
    one_to_one(args.root, args.model)
    one_to_many(protocol.load(args.root, args.model))


def one_to_one(root: Path, model: str | None) -> None:
    pairs = read_pairs(root / "pairs.csv").pairs
    extractor = Extractor.load(registry.find_embedder(model))
    scores = measure(extractor, pairs)
    accuracy, threshold = best_accuracy(scores.mated, scores.nonmated)
    print(f"model {extractor.spec.name}")
    print(
        f"1:1  accuracy {accuracy:.2%} at {threshold:.3f} (reference 99.3 %); "
        f"{len(scores.failures)} of {scores.photos} photos failed to acquire (reference 0)"
    )


def one_to_many(people: protocol.People) -> None:
    rows = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        enrolled = rng.permutation(people.with_at_least(2))[:ENROLLED]
        strangers = rng.permutation(people.single())[:STRANGERS]
        rows.append(draw(people, enrolled, strangers))
    fpir, dir_, oracle = np.mean(rows, axis=0)
    print(
        f"1:N  {ENROLLED} subjects, target FPIR {TARGET:.0%}, mean of {DRAWS} draws: "
        f"DIR {dir_:.2%} (reference 91.5 %) at realised FPIR {fpir:.2%} (at most 1.5 %); "
        f"DIR at the threshold best in hindsight {oracle:.2%}"
    )
    spread = [f"{row[0]:.1%}" for row in rows]
    print(f"     FPIR of each draw: {', '.join(spread)}")


def draw(
    people: protocol.People, enrolled: np.ndarray, strangers: np.ndarray
) -> tuple[float, float, float]:
    """Realised FPIR, DIR, and DIR at the hindsight threshold."""
    table = table_without(people, np.concatenate([enrolled, strangers]))
    gallery = Gallery.of(people.photo(enrolled, 0)[:, None], people.children)
    found = realised(
        table, gallery, people.photo(strangers, 0), people.photo(enrolled, 1),
        np.arange(len(enrolled)),
    )  # fmt: skip
    return found.fpir[Rule.FACECLI], found.dir[Rule.FACECLI], found.best_dir


if __name__ == "__main__":
    main()
