"""People who look alike: are they told apart by the margin between twins? And galleries of them.

    python -m benchmarks.accuracy.lookalikes ../shared/lfw-dev \\
        --populations ../shared/populations --models mobilefacenet-arcface sface --cache DIR

The margin comes from one half of lfw-dev's people, all else from the other, in 20 draws. Made-up
twins: one person's photos under two names, another photo searched; at worst twins are so alike.
Look-alikes: of the people with photos enough the pairs who are most alike, whose other photos are
searched. Pins: made-up twins again, of people whose photos are years apart, with LFW's margin.

Galleries, for `fpir.py`: clusters are found by the *other* embedder, so that they are alike in what
people see and not in this embedder's faults. Half of a cluster is enrolled, the other half are
strangers.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from tabulate import tabulate

from benchmarks.accuracy import protocol
from benchmarks.accuracy.rules import Gallery, Rule, accepted
from benchmarks.accuracy.tables import table_without
from facecli.common.decision import accepts
from facecli.metrics import twins
from facecli.storage.records import mean_template

FEWEST, HALVES = 30, 40
SPLITS, PAIRS, DRAWS = 20, 25, 50  # halves of the people; look-alikes of each; made-up twins each
HEAD = ("searched", "references each", "margin", "named rightly", "wrongly", "neither")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--populations", type=Path)
    parser.add_argument("--models", nargs="+", default=["mobilefacenet-arcface"])
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    args = parser.parse_args()
    for model in args.models:
        people = protocol.load(args.root, model, args.cache)
        rows = list(told_apart(people))
        if args.populations:
            file = args.populations / f"pins.{model.removesuffix('-arcface')}.npz"
            pins = np.load(file, allow_pickle=False)
            codes = np.unique(pins["person"], return_inverse=True)[1]
            found = twins.margins(people.vectors, people.subjects)
            for k, margin in enumerate(found, 1):
                rows.append(_row("made-up twins, Pins", k, [margin],
                                 made_up(pins["vectors"], codes, k)))  # fmt: skip
        print(f"\n{model}: at most {twins.ERROR:.0%} of the searches may name the other")
        print(tabulate(rows, HEAD, disable_numparse=True))


def told_apart(people: protocol.People) -> Iterator[tuple[str, ...]]:
    """A row for made-up twins and for look-alikes, with one reference each and with two."""
    halves = [
        np.random.default_rng(seed).permutation(int(people.subjects.max()) + 1) % 2 == 0
        for seed in range(SPLITS)
    ]
    tried = [(half[people.subjects], ~half[people.subjects]) for half in halves]
    margins = [twins.margins(people.vectors[a], people.subjects[a]) for a, _ in tried]
    for what, differences in (("made-up twins", made_up), ("look-alikes", most_alike)):
        for k in range(1, twins.MOST_REFERENCES + 1):
            parts = [
                (margin[k - 1], differences(people.vectors[b], people.subjects[b], k))
                for margin, (_, b) in zip(margins, tried, strict=True)
            ]
            over = np.concatenate([found / margin for margin, found in parts])
            yield _row(what, k, [margin for margin, _ in parts], over, scaled=True)


def made_up(vectors: np.ndarray, subjects: np.ndarray, k: int) -> np.ndarray:
    """(q,) how much more a photo is like k photos of its person than like k others of them."""
    rng, found = np.random.default_rng(0), []
    for person in np.flatnonzero(np.bincount(subjects) > 2 * k):
        for _ in range(DRAWS):
            probe, *others = vectors[rng.permutation(np.flatnonzero(subjects == person))]
            one, two = mean_template(others[:k]), mean_template(others[k : 2 * k])
            found.append(probe @ (one - two))
    return np.array(found)


def most_alike(vectors: np.ndarray, subjects: np.ndarray, k: int) -> np.ndarray:
    """(q,) how much more a photo is like its person than like the most alike other one.

    Of the PAIRS most alike pairs, everybody in one at most, by k photos each.
    """
    people = np.flatnonzero(np.bincount(subjects) > k)
    photos = [vectors[subjects == person] for person in people]
    templates = np.stack([mean_template(list(own[:k])) for own in photos])
    alike = np.triu(templates @ templates.T, 1)
    found, paired = [], set[int]()
    for i, j in zip(*np.unravel_index(np.argsort(-alike, axis=None), alike.shape), strict=True):
        if {i, j} & paired:
            continue
        paired |= {int(i), int(j)}
        found += [photos[i][k:] @ (templates[i] - templates[j])]
        found += [photos[j][k:] @ (templates[j] - templates[i])]
        if len(paired) == 2 * PAIRS:
            break
    return np.concatenate(found)


def _row(
    what: str, k: int, margins: list[float], differences: np.ndarray, scaled: bool = False
) -> tuple[str, ...]:
    """scaled: the differences are in margins."""
    bar = 1.0 if scaled else margins[0]
    rightly, wrongly = accepts(differences, bar).mean(), accepts(-differences, bar).mean()
    return (
        what, f"{k}", f"{np.mean(margins):.2f}", f"{rightly:.1%}", f"{wrongly:.1%}",
        f"{1 - rightly - wrongly:.1%}",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """people: how many. fpir: by rule, the mean over random halves.

    named: (people,) how much of that each stranger is, of facecli's rule; `people` times.
    """

    people: int
    fpir: dict[Rule, float]
    named: np.ndarray


def clusters(people: protocol.People, other: protocol.People, count: int) -> list[Cluster]:
    """All of `count` k-means clusters of the other embedder's mean templates, if large enough.

    Raises ValueError where the two do not show the same people.
    """
    if not np.array_equal(people.names, other.names):
        raise ValueError("the embedders have not seen the same photos")
    labels = KMeans(count, random_state=0, n_init=3).fit_predict(other.means())
    found = [np.flatnonzero(labels == label) for label in range(count)]
    return [_cluster(people, members) for members in found if len(members) >= FEWEST]


def _cluster(people: protocol.People, members: np.ndarray) -> Cluster:
    """The table is made from everybody outside the cluster."""
    table = table_without(people, members)
    vectors = people.photo(members, 0)
    runs, named = [], np.zeros(len(members))
    for seed in range(HALVES):
        order = np.random.default_rng(seed).permutation(len(members))
        enrolled, strangers = np.array_split(order, 2)
        gallery = Gallery.of(vectors[enrolled][:, None], people.children)
        found = accepted(table, gallery, vectors[strangers])
        named[strangers] += found[Rule.FACECLI] / len(strangers)
        runs.append({rule: float(some.mean()) for rule, some in found.items()})
    fpir = {rule: float(np.mean([run[rule] for run in runs])) for rule in Rule}
    return Cluster(len(members), fpir, named * len(members) / HALVES)


if __name__ == "__main__":
    main()
