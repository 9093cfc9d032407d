"""Children in a gallery of adults: who gets whose name, and who is taken for a small child?

    python -m benchmarks.accuracy.children ../shared/lfw-dev ../shared/populations --cache DIR

Galleries of N of lfw-dev's adults, one photo each, at the shipped table's threshold for an FPIR of
1 %, searched for UTKFace's children and toddlers, who are strangers to all of them. Then the same
with one child enrolled in an adult's place: one of lfw-dev's, and one of the same group. Beside
each figure stands the one without the rule that a small child gets no name.

lfw-dev's children are not marked as such: they are taken to be the SIX people whose first photos
are most like UTKFace's children and toddlers, by the default embedder (looked at: all six are
children, and two more are found among the rest).

Then how many are taken for small children, by age and, of adults, by group. The two cosines were
chosen by UTKFace's, whose ages are guesses; FairFace's had no part in it. MEBeauty tells no ages,
so its figures are a bound. lfw-dev's are of the people whom the direction was not made of, who were
ranked below them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.accuracy import protocol
from benchmarks.accuracy.mixed import BAR, MODELS, RACES, YOUNG, groups_of
from benchmarks.accuracy.rules import Gallery, named, observed, point_of
from facecli.metrics.face_kinds import SMALL_CHILD, FaceKind
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.model_zoo import registry
from facecli.threshold.operating_point import built_in_table

SIZES, DRAWS, SIX = (5, 10, 50, 200, 600), 24, 6
YOUNGEST = 30  # of whom models/make/make_face_kinds.py makes the direction
AGES = (0, 4, 7, 10, 13, 18, 30, 60)
HEAD = ("strangers", "N", "adults only", "one child of LFW's", "by its name", "one child like them")
WHO = ("group", "people", "taken for a small child")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("populations", type=Path)
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    args = parser.parse_args()
    usual = protocol.load(args.root, registry.DEFAULT_EMBEDDER, args.cache)
    seeds = _most_like(usual, _young(args.populations, usual.model))
    chosen = youngest(usual, args.populations, YOUNGEST)
    for spec in registry.shipped_embedders():
        table, kind = built_in_table(spec), spec.small_children()
        assert table is not None and kind is not None
        people = protocol.load(args.root, spec.name, args.cache)
        first = first_photos(people)
        there = [people.subjects[people.names == name][0] for name in seeds]
        print(f"\n{spec.name}: strangers named at a target FPIR of 1%, and (without the rule)")
        rows = list[tuple[str, ...]]()
        for name, strangers in _young(args.populations, spec.name).items():
            rows += _rows(name, strangers, first, np.array(there), table, kind)
        print(tabulate(rows, HEAD, disable_numparse=True))
        others = ~np.isin(people.names[people.photo_rows(np.arange(len(first)), 0)], chosen)
        taken = [("LFW's others", first[others]), *_by_age(args.populations, spec.name)]
        print(tabulate([_taken(*row, kind) for row in taken], WHO, disable_numparse=True))


def youngest(people: protocol.People, populations: Path, count: int) -> list[str]:
    """The first photos of those who look youngest: most like the SIX, who are among them.

    people: as the default embedder has them.
    """
    first = first_photos(people)
    names = people.names[people.photo_rows(np.arange(len(first)), 0)]
    seeds = np.isin(names, _most_like(people, _young(populations, people.model)))
    return list(names[np.argsort(-(first @ first[seeds].mean(axis=0)))[:count]])


def first_photos(people: protocol.People) -> np.ndarray:
    """(people, d) the first photo of everybody."""
    return people.photo(np.arange(int(people.subjects.max()) + 1), 0)


def _young(populations: Path, model: str) -> dict[str, np.ndarray]:
    """The templates of children and toddlers, a person each."""
    groups = dict(groups_of(populations, MODELS[model]))
    return {name: groups[name] for name in YOUNG if name in groups}


def _most_like(people: protocol.People, young: dict[str, np.ndarray]) -> list[str]:
    """The first photos of the SIX who are most like these, as `People.names` has them."""
    codes = np.arange(int(people.subjects.max()) + 1)
    means = np.mean([group.mean(axis=0) for group in young.values()], axis=0)
    likeness = first_photos(people) @ means
    return list(people.names[people.photo_rows(codes[np.argsort(-likeness)[:SIX]], 0)])


def _rows(
    name: str,
    strangers: np.ndarray,
    first: np.ndarray,
    children: np.ndarray,
    table: ReferenceTable,
    kind: FaceKind,
) -> Iterator[tuple[str, ...]]:
    """first: (people, d) a template each. children: which of them are some."""
    adults = np.setdiff1d(np.arange(len(first)), children)
    for n in SIZES:
        alone, beside, its, like = [], [], [], []
        for seed in range(DRAWS):
            rng = np.random.default_rng(seed)
            enrolled = first[rng.permutation(adults)[:n]]
            alone.append(_shares(enrolled, strangers, table, kind)[0])
            enrolled[-1] = first[children[seed % SIX]]
            shares, own = _shares(enrolled, strangers, table, kind)
            beside.append(shares)
            its.append(own)
            order = rng.permutation(len(strangers))
            enrolled[-1] = strangers[order[0]]
            like.append(_shares(enrolled, strangers[order[1:]], table, kind)[0])
        by_name = np.sum(its) / max(float(np.sum(beside, axis=0)[1]), 1e-9)
        yield (
            f"{len(strangers)} {name}", f"{n}", _pair(alone), _pair(beside), f"{by_name:.0%}",
            _pair(like),
        )  # fmt: skip


def _pair(shares: list[tuple[float, float]]) -> str:
    ours, without = np.mean(shares, axis=0)
    return f"{ours:.1%} ({without:.1%})"


def _shares(
    templates: np.ndarray, strangers: np.ndarray, table: ReferenceTable, kind: FaceKind
) -> tuple[tuple[float, float], float]:
    """The strangers named, and without the rule; without it, those by the last one's name."""
    gallery = Gallery.of(templates[:, None], kind)
    scores = strangers @ gallery.templates.T
    point = point_of(table, observed(gallery, table), len(templates))
    reached = named(point, table, strangers, gallery.templates)
    grown = kind.likeness(strangers) < SMALL_CHILD
    last = reached & (scores.argmax(axis=1) == len(templates) - 1)
    return (float((reached & grown).mean()), float(reached.mean())), float(last.mean())


def _by_age(populations: Path, model: str) -> Iterator[tuple[str, np.ndarray]]:
    """UTKFace by age, its adults by group, FairFace by age, MEBeauty's people by group."""
    utk = np.load(populations / f"utk.{MODELS[model]}.npz")
    good = utk["quality"] >= BAR
    facts = [name.split("_") for name in utk["group"]]
    ages = np.array([int(parts[0]) if len(parts) == 3 else -1 for parts in facts])
    for low, high in zip(AGES, (*AGES[1:], 200), strict=True):
        band = f"{low} years and more" if high == 200 else f"{low} to {high - 1} years"
        yield f"{band}, UTKFace", utk["vectors"][good & (ages >= low) & (ages < high)]
    for code, race in RACES.items():
        for sex, word in enumerate(("men", "women")):
            own = np.array([parts[1:] == [str(sex), code] for parts in facts])
            yield f"{race} {word}, UTKFace", utk["vectors"][good & own & (ages >= 18)]
    ff = np.load(populations / f"ff.{MODELS[model]}.npz")
    good, bands = ff["quality"] >= BAR, np.array([name.split("_")[-1] for name in ff["group"]])
    for band in np.unique(bands[np.char.str_len(bands) > 0]):
        yield f"{band} years, FairFace", ff["vectors"][good & (bands == band)]
    meb = np.load(populations / f"meb.{MODELS[model]}.npz")
    good = meb["quality"] >= BAR
    for group in np.unique(meb["group"]):
        yield f"{group}, MEBeauty", meb["vectors"][good & (meb["group"] == group)]


def _taken(name: str, vectors: np.ndarray, kind: FaceKind) -> tuple[str, str, str]:
    share = np.mean(kind.likeness(vectors) >= SMALL_CHILD) if len(vectors) else float("nan")
    return name, f"{len(vectors)}", f"{share:.1%}" if len(vectors) else ""


if __name__ == "__main__":
    main()
