"""Does the promise hold for everybody? Galleries that are a mixture of groups, and doubles.

    python -m benchmarks.accuracy.mixed ../shared/lfw-dev ../shared/populations --cache DIR

The table is made from one half of LFW's people; enrolled and strangers come from the other half.
Into their gallery of 200 go people of another group, none, a tenth or a half of it; strangers of
both are searched for. Then half of a group is a gallery of its own, the other half its strangers.
Doubles are people enrolled again under another name, with another photo; DIR is of the others, who
are searched where nobody is twice, too. Beside each figure stands
the same rule without the crowd's share (see docs/choosing-a-threshold.md). The tenths are searched
at a target of 10 %, too, where the groups' own rates can be told apart: 100 people show a rate of
1 % to no better than 1 point. 95 %: the interval of the others' FPIR, by drawing them again; who is
enrolled stays. Pairs of a group that are surely one person twice
are left out: see `CUTS`. The ranks of the crowd were chosen on these very groups, with the default
embedder; SFace had no part in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.accuracy import protocol
from benchmarks.accuracy.chance import dealt_anew
from benchmarks.accuracy.rules import TARGET, Gallery, named, observed, point_of
from benchmarks.accuracy.tables import table_without
from facecli.common.types import OperatingPoint
from facecli.metrics.by_subject import search_interval
from facecli.metrics.reference_table import ReferenceTable

SIZE, DRAWS = 200, 8
EVEN = 0.1
HEAD = (
    "others in the gallery", "FPIR of others", "95 %", "FPIR of LFW's", "DIR of LFW's",
    "others at 10%",
)  # fmt: skip
YOUNG = ("children of 4 to 12, UTKFace", "toddlers, UTKFace")
MODELS = {"mobilefacenet-arcface": "mobilefacenet", "sface": "sface"}
# Above these scores nearly all pairs are one person twice: of adults, of children.
CUTS = {"mobilefacenet": (0.65, 0.88), "sface": (0.55, 0.80)}
FEWEST, BAR = 60, 0.55
RACES = {"0": "White", "1": "Black", "2": "Asian", "3": "Indian"}
DOUBLES = ((4, 1), (50, 2), (200, 6))


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One gallery: strangers of both kinds and mated probes of LFW's people, searched for.

    others: (m, d), and who they are: (m,) rows of their group.
    """

    gallery: Gallery
    strangers: np.ndarray
    others: np.ndarray
    who: np.ndarray
    mated: np.ndarray
    owners: np.ndarray

    def rates(self, table: ReferenceTable) -> tuple[float, ...]:
        """FPIR of LFW's strangers and of the others, DIR of LFW's people; FPIR of the others and of
        LFW's where EVEN is aimed at. NaN without others."""
        templates = self.gallery.templates
        own, n = observed(self.gallery, table), len(self.gallery.templates)
        point, even = (point_of(table, own, n, aim) for aim in (TARGET, EVEN))
        (fpir, other), (usual, group) = (
            [_share(aim, table, who, templates) for who in (self.strangers, self.others)]
            for aim in (point, even)
        )
        first = (self.mated @ templates.T).argmax(axis=1) == self.owners
        found = named(point, table, self.mated, templates) & first
        return fpir, other, float(found.mean()) if len(found) else float("nan"), group, usual

    def of_first(self, size: int) -> Trial:
        """The same searches where only the first `size` people are enrolled."""
        references = self.gallery.vectors[:size][:, None]
        return replace(self, gallery=Gallery.of(references, self.gallery.children))

    def others_named(self, table: ReferenceTable) -> np.ndarray:
        """(m, 2) which of the others get a name where TARGET, and where EVEN, is aimed at."""
        own, templates = observed(self.gallery, table), self.gallery.templates
        points = [point_of(table, own, len(templates), aim) for aim in (TARGET, EVEN)]
        return np.stack([named(at, table, self.others, templates) for at in points], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Mean rates, as of `Trial.rates`, with the crowd's share and without.

    found: (m, 2) of `Trial.others_named`, of all trials; who: (m,) of whom.
    """

    name: str
    ours: np.ndarray
    without: np.ndarray
    found: np.ndarray
    who: np.ndarray

    @classmethod
    def of(cls, name: str, table: ReferenceTable, trials: list[Trial]) -> Row:
        plain = replace(table.off_all(), effects=())
        ours, without = (np.mean([t.rates(at) for t in trials], axis=0) for at in (table, plain))
        who = np.concatenate([trial.who for trial in trials])
        return cls(
            name, ours, without, np.concatenate([t.others_named(table) for t in trials]), who
        )

    def cells(self) -> tuple[str, ...]:
        shown = (1, 0, 2, 3) if self.name.startswith("10%") else (1, 0, 2)
        cells = [f"{self.ours[i]:6.2%} ({self.without[i]:.2%})" for i in shown]
        known = search_interval(self.found[:, 0], self.who) if len(self.who) else None
        cells.insert(1, f"{known.low:.1%} to {known.high:.1%}" if known else "")
        return self.name, *(cell if "nan" not in cell else "" for cell in cells)

    def by_person(self) -> np.ndarray:
        """(people, 2) how often each of the others was named, at both targets."""
        return np.stack([self.found[self.who == one].mean(axis=0) for one in np.unique(self.who)])


def _share(
    point: OperatingPoint, table: ReferenceTable, probes: np.ndarray, templates: np.ndarray
) -> float:
    if not len(probes):
        return float("nan")
    return float(named(point, table, probes, templates).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("populations", type=Path)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    args = parser.parse_args()
    for model in args.models:
        people = protocol.load(args.root, model, args.cache)
        groups = dict(groups_of(args.populations, MODELS[model]))
        order = np.random.default_rng(1).permutation(int(people.subjects.max()) + 1)
        half = order[len(order) // 2 :]
        table = table_without(people, half)
        print(f"\n{model}, N = {SIZE}, target FPIR {TARGET:.0%}: with, and without, the crowd")
        rows = list(_rows(people, half, table, groups))
        print(tabulate([row.cells() for row in rows], HEAD, disable_numparse=True))
        tenths = [row for row in rows if row.name.startswith("10%")]
        for how in ("ours", "without"):
            usual = float(np.mean([getattr(row, how)[4] for row in tenths]))
            even = [getattr(row, how)[3] for row in tenths if not row.name.endswith(YOUNG)]
            even.append(usual)
            print(f"adult groups and LFW, aimed at {EVEN:.0%}, {how}: {min(even):.1%} to "
                  f"{max(even):.1%}, the ratio {max(even) / min(even):.1f}")  # fmt: skip
        _by_chance([row.by_person() for row in tenths if not row.name.endswith(YOUNG)])


def _by_chance(groups: list[np.ndarray]) -> None:
    """What the most often named group, and the ratio, show; and if all groups were alike."""
    for number, what, statistic in ((0, "worst", max), (1, "ratio", lambda r: max(r) / min(r))):
        rates = [group[:, number] for group in groups]
        middle, high = dealt_anew(rates, statistic)
        seen, mean = statistic([float(r.mean()) for r in rates]), np.concatenate(rates).mean()
        shown = [f"{value:.1f}" if number else f"{value:.1%}" for value in (seen, middle, high)]
        print(f"adult groups, {what}: {shown[0]} where the mean is {mean:.1%}; of people dealt to "
              f"the groups at random {shown[1]}, 1 time in 20 over {shown[2]}")  # fmt: skip


def _rows(
    people: protocol.People, half: np.ndarray, table: ReferenceTable, groups: dict[str, np.ndarray]
) -> Iterator[Row]:
    none = np.empty((0, people.vectors.shape[1]), np.float32)
    alone = [_trial(people, half, none, 0, 0, SIZE, s) for s in range(DRAWS)]
    yield Row.of("none", table, alone)
    for share in (0.1, 0.5):
        kept = round(SIZE * (1 - share))  # whom the rows of that share enrol, too
        some = [replace(t, mated=t.mated[:kept], owners=t.owners[:kept]) for t in alone]
        yield Row.of(f"none: the {kept} searched", table, some)
    for share in (0, 0.1, 0.5):
        for name, vectors in groups.items():
            if len(vectors) - share * SIZE < FEWEST / 2:
                continue
            count = round(SIZE * share)
            trials = [_trial(people, half, vectors, count, 0, SIZE, s) for s in range(DRAWS)]
            yield Row.of(f"{share:.0%} {name}", table, trials)
    for name, vectors in groups.items():
        count = min(SIZE, len(vectors) // 2)
        trials = [_trial(people, half, vectors, count, 0, count, seed) for seed in range(DRAWS)]
        yield Row.of(f"{count} of {name} alone", table, trials)
    for size, doubles in DOUBLES:
        trials = [_trial(people, half, none, 0, doubles, size, s) for s in range(5 * DRAWS)]
        yield Row.of(f"{size}, nobody twice", table, [trial.of_first(size) for trial in trials])
        yield Row.of(f"{size}, {doubles} of them twice", table, trials)


def _trial(
    people: protocol.People,
    half: np.ndarray,
    others: np.ndarray,
    count: int,
    doubles: int,
    size: int,
    seed: int,
) -> Trial:
    """size people, `count` of them of the others; `doubles` of LFW's again besides."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.intersect1d(half, people.with_at_least(2)))[: size - count]
    who = rng.permutation(len(others))
    rows = [rng.permutation(people.rows(subject)) for subject in chosen]
    first = people.vectors[[own[0] for own in rows]]
    again = people.vectors[[own[1] for own in rows[:doubles]]]
    strangers = people.photo(np.intersect1d(half, people.single()), 0)
    return Trial(
        Gallery.of(np.concatenate([first, others[who[:count]], again])[:, None], people.children),
        strangers,
        others[who[count:]],
        who[count:],
        people.vectors[[own[-1] for own in rows[doubles:]]],
        np.arange(doubles, len(rows)),
    )


def groups_of(folder: Path, model: str) -> Iterator[tuple[str, np.ndarray]]:
    """Each group's templates, a person each."""
    adults, children = CUTS[model]
    utk = np.load(folder / f"utk.{model}.npz")
    facts = [name.split("_") for name in utk["group"]]
    ages = np.array([int(parts[0]) if len(parts) == 3 else -1 for parts in facts])
    races = np.array([parts[-1] for parts in facts])
    grown = (ages >= 18) & (ages < 60)
    for code, name in RACES.items():
        yield from _group(f"{name}, UTKFace", utk, grown & (races == code), adults)
    yield from _group("over 60 years, UTKFace", utk, ages >= 60, adults)
    yield from _group("children of 4 to 12, UTKFace", utk, (ages >= 4) & (ages <= 12), children)
    yield from _group("toddlers, UTKFace", utk, (ages >= 0) & (ages <= 3), children)
    meb = np.load(folder / f"meb.{model}.npz")
    origins = np.array([name.split("_")[1] for name in meb["group"]])
    for origin in np.unique(origins):
        yield from _group(f"{origin}, MEBeauty", meb, origins == origin, adults)


def _group(
    name: str, data: np.lib.npyio.NpzFile, chosen: np.ndarray, cut: float
) -> Iterator[tuple[str, np.ndarray]]:
    vectors = data["vectors"][chosen & (data["quality"] >= BAR)]
    kept: list[int] = []
    for i, vector in enumerate(vectors):
        if not kept or float((vectors[kept] @ vector).max()) <= cut:
            kept.append(i)
    if len(kept) >= FEWEST:
        yield name, vectors[kept]


if __name__ == "__main__":
    main()
