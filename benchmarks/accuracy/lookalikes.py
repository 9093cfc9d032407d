"""Galleries of people who look alike. Not a benchmark itself.

Clusters are found by the *other* embedder, so that they are alike in what people see and not in
this embedder's faults. Half of a cluster is enrolled, the other half are strangers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from benchmarks.accuracy import protocol
from benchmarks.accuracy.rules import Gallery, Rule, fpirs
from benchmarks.accuracy.tables import table_without

FEWEST, HALVES = 30, 40


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """people: how many. fpir: by rule, the mean over random halves."""

    people: int
    fpir: dict[Rule, float]


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
    runs = []
    for seed in range(HALVES):
        order = np.random.default_rng(seed).permutation(len(members))
        enrolled, strangers = np.array_split(order, 2)
        gallery = Gallery.of(vectors[enrolled][:, None])
        runs.append(fpirs(table, gallery, vectors[strangers]))
    return Cluster(len(members), {rule: float(np.mean([r[rule] for r in runs])) for rule in Rule})
