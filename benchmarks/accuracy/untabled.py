"""Embedders without a reference table: what threshold do the people enrolled give?

    python -m benchmarks.accuracy.untabled ../shared/lfw-dev --cache DIR

The two shipped embedders with their tables taken away; what is below 100 people takes its shape
from the other one's table. Galleries of N of lfw-dev's people, one photo each, drawn from all of
them; all others are strangers, and second photos of the enrolled are mated probes. Beside it, in
brackets, the same galleries with the shipped table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.accuracy import protocol
from benchmarks.accuracy.rules import TARGET, Gallery, named, observed
from facecli.common.types import OperatingPoint
from facecli.metrics.gallery_fit import Observed
from facecli.metrics.identification import threshold_for_fpir
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.model_zoo import registry
from facecli.threshold.operating_point import ThresholdInputs, at_fpir, built_in_table

SIZES, DRAWS = (30, 50, 80, 100, 200, 400, 900), 20
FEW, MANY = (0.003, 0.03), (0.005, 0.02)  # what FPIR must be below 100 people, and from there on
HEAD = ("N", "FPIR", "must be", "verdict", "of the draws", "DIR", "in hindsight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    args = parser.parse_args()
    specs = registry.shipped_embedders()
    tables = {spec.name: built_in_table(spec) for spec in specs}
    for spec in specs:
        people = protocol.load(args.root, spec.name, args.cache)
        other = next(table for name, table in tables.items() if name != spec.name)
        table = tables[spec.name]
        assert table is not None and other is not None
        print(f"\n{spec.name} without its table, target FPIR {TARGET:.0%} (with it)")
        print(tabulate(_rows(people, table, other.off_all()), HEAD, disable_numparse=True))


def _rows(
    people: protocol.People, table: ReferenceTable, shape: ReferenceTable
) -> Iterator[tuple[str, ...]]:
    for n in SIZES:
        runs = np.array([_draw(people, table, shape, n, seed) for seed in range(DRAWS)])
        fpir, with_table, found, best = runs.mean(axis=0)
        least, most = MANY if n >= 100 else FEW
        low, high = np.quantile(runs[:, 0], (0.1, 0.9))
        yield (
            f"{n}", f"{fpir:.2%} ({with_table:.2%})", f"{least:.1%} to {most:.1%}",
            "met" if least <= fpir <= most else "MISSED", f"{low:.1%} to {high:.1%}",
            f"{found:.2%}", f"{best:.2%}",
        )  # fmt: skip


def _draw(
    people: protocol.People,
    table: ReferenceTable,
    shape: ReferenceTable,
    n: int,
    seed: int,
) -> tuple[float, ...]:
    """FPIR without and with the table, DIR, DIR at the threshold best in hindsight."""
    order = np.random.default_rng(seed).permutation(int(people.subjects.max()) + 1)
    enrolled, others = order[:n], order[n:]
    gallery = Gallery.of(people.photo(enrolled, 0)[:, None], people.children)
    twice = np.flatnonzero(np.isin(enrolled, people.with_at_least(2)))
    strangers, mated = people.photo(others, 0), people.photo(enrolled[twice], 1)
    scores = mated @ gallery.templates.T
    first = scores.argmax(axis=1) == twice
    bare = _point(None, shape, observed(gallery, shape), n)
    usual = _point(table, None, observed(gallery, table), n)
    templates = gallery.templates
    best = threshold_for_fpir((strangers @ templates.T).max(axis=1), TARGET)
    return (
        float(named(bare, shape, strangers, templates).mean()),
        float(named(usual, table, strangers, templates).mean()),
        float((named(bare, shape, mated, templates) & first).mean()),
        float(((scores.max(axis=1) >= best) & first).mean()),
    )


def _point(
    table: ReferenceTable | None, shape: ReferenceTable | None, own: Observed | None, n: int
) -> OperatingPoint:
    return at_fpir(ThresholdInputs("benchmark", n, table, own, shape=shape), TARGET)


if __name__ == "__main__":
    main()
