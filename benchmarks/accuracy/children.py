"""Children in a gallery of adults: who gets whose name?

    python -m benchmarks.accuracy.children ../shared/lfw-dev ../shared/populations --cache DIR

Galleries of N of lfw-dev's adults, one photo each, at the shipped table's threshold for an FPIR of
1 %, searched for UTKFace's children and toddlers, who are strangers to all of them. Then the same
with one child enrolled in an adult's place. lfw-dev's children are not marked as such: they are
taken to be the SIX people whose first photos are most like UTKFace's children and toddlers, by the
default embedder (looked at: all six are children, and two more are found among the rest).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.accuracy import protocol
from benchmarks.accuracy.mixed import MODELS, YOUNG, groups_of
from benchmarks.accuracy.rules import Gallery, named, observed, point_of
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.model_zoo import registry
from facecli.threshold.operating_point import built_in_table

SIZES, DRAWS, SIX = (50, 200, 600), 12, 6
HEAD = (
    "strangers",
    "N",
    "adults only",
    "one child enrolled",
    "of these by its name",
    "worst child",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("populations", type=Path)
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    args = parser.parse_args()
    usual = protocol.load(args.root, registry.DEFAULT_EMBEDDER, args.cache)
    children = _most_like(usual, _young(args.populations, usual.model))
    for spec in registry.shipped_embedders():
        table = built_in_table(spec)
        assert table is not None
        people = protocol.load(args.root, spec.name, args.cache)
        there = [people.subjects[people.names == name][0] for name in children]
        print(f"\n{spec.name}: strangers named at a target FPIR of 1%")
        rows = list[tuple[str, ...]]()
        for name, strangers in _young(args.populations, spec.name).items():
            rows += _rows(name, strangers, _first(people), np.array(there), table)
        print(tabulate(rows, HEAD, disable_numparse=True))


def _young(populations: Path, model: str) -> dict[str, np.ndarray]:
    """The templates of children and toddlers, a person each."""
    groups = dict(groups_of(populations, MODELS[model]))
    return {name: groups[name] for name in YOUNG if name in groups}


def _first(people: protocol.People) -> np.ndarray:
    """(people, d) the first photo of everybody."""
    return people.photo(np.arange(int(people.subjects.max()) + 1), 0)


def _most_like(people: protocol.People, young: dict[str, np.ndarray]) -> list[str]:
    """The first photos of the SIX who are most like these, as `People.names` has them."""
    codes = np.arange(int(people.subjects.max()) + 1)
    likeness = _first(people) @ np.mean([group.mean(axis=0) for group in young.values()], axis=0)
    return list(people.names[people.photo_rows(codes[np.argsort(-likeness)[:SIX]], 0)])


def _rows(
    name: str,
    strangers: np.ndarray,
    first: np.ndarray,
    children: np.ndarray,
    table: ReferenceTable,
) -> Iterator[tuple[str, ...]]:
    """first: (people, d) a template each. children: which of them are some."""
    adults = np.setdiff1d(np.arange(len(first)), children)
    for n in SIZES:
        alone, beside, its = [], [], []
        for seed in range(DRAWS):
            chosen = np.random.default_rng(seed).permutation(adults)[:n]
            alone.append(_named(first[chosen], strangers, table)[0].mean())
            chosen[-1] = children[seed % SIX]
            hit, best = _named(first[chosen], strangers, table)
            beside.append(hit.mean())
            its.append((hit & (best == n - 1)).mean())
        yield (
            f"{len(strangers)} {name}", f"{n}", f"{np.mean(alone):.1%}", f"{np.mean(beside):.1%}",
            f"{np.mean(its) / np.mean(beside):.0%}", f"{max(its):.0%}",
        )  # fmt: skip


def _named(
    templates: np.ndarray, strangers: np.ndarray, table: ReferenceTable
) -> tuple[np.ndarray, np.ndarray]:
    """Which strangers get a name, and whose is nearest."""
    gallery = Gallery.of(templates[:, None])
    scores = strangers @ gallery.templates.T
    point = point_of(table, observed(gallery), len(templates))
    return named(point, scores), scores.argmax(axis=1)


if __name__ == "__main__":
    main()
