"""Which faces are one person's: links at facecli's own threshold, and what they hold together.

    n faces: pairs at or above the threshold for FPIR 1 % among n are links, the strongest first:
    each joins what its two faces belong to by now, if the mean templates of these reach it, too
    -> m groups, each with its mean template: the same among m; again, up to ROUNDS times

No number of its own: the thresholds are the embedder's table's, as everywhere. Two faces may be
alike by chance where their people's others are not, and one link would make all of them one
person's: so what is joined is judged by its means, as subjects are. Two faces of one photo are
never one person's (siblings, twins, couples who are in every photo). A refused link is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from facecli.common.decision import accepts
from facecli.common.enums import LinkKind
from facecli.common.parallel import ordered
from facecli.common.types import Float32

RATE = 0.01  # FPIR: of searches among n, those that find a stranger
ROUNDS = 3
# A link is worth a look where its FPIR is within ten times of that rate, either way.
DOUBTFUL = 10.0
BLOCK = 1024  # rows of a matrix product: 4 MB of scores, which a processor's cache holds
HELD = 5_000_000  # links in memory, 100 MB; of more, the strongest that hold all of it together

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Threshold = Callable[[float, int], float]
"""The cosine for a target FPIR among n, as `ReferenceTable.threshold`."""


@dataclass(frozen=True, slots=True)
class Link:
    """Two faces by row, with their cosine, and what it was held against.

    Where groups were compared it is the cosine of their mean templates, and the faces are those
    most like the other group's.
    """

    kind: LinkKind
    first: int
    second: int
    score: float
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """labels: (n,) each face's group in [0, m), in the order of their first faces.

    links: those worth a look: of a kind one for two groups, or for one. threshold: among n.
    """

    labels: Rows
    links: tuple[Link, ...]
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """first, second: (k,) rows. scores: (k,) float32 cosines."""

    first: Rows
    second: Rows
    scores: Float32

    def at(self, chosen: Mask | Rows) -> Pairs:
        """Some of them."""
        return Pairs(self.first[chosen], self.second[chosen], self.scores[chosen])


def group(
    vectors: Float32,
    photos: Rows,
    threshold: Threshold,
    fixed: Rows | None = None,
    workers: int | None = None,
) -> Grouped:
    """Group n faces by person.

    vectors: (n, d) float32 unit vectors. photos: (n,) numbers of the photos that they are in; or
    (p, 2) rows of a face and a photo, where a face is in several, as a clip's track is.
    fixed: (n,) numbers of what a person put together, -1 for nothing: such faces stay together,
    whatever photos they are in, and apart from those of another number. workers: threads.
    """
    n = len(vectors)
    if n == 0:
        return Grouped(np.empty(0, np.int64), (), float("nan"))
    fixed = np.full(n, -1) if fixed is None else fixed
    shown = photos if photos.ndim == 2 else np.stack([np.arange(n), photos], axis=1)
    labels = _numbered(np.where(fixed < 0, np.arange(n), n + fixed))
    doubts: list[Link] = []
    for turn in range(ROUNDS + 1):
        compared = unit_means(vectors, labels) if turn else vectors
        owners = np.arange(len(compared)) if turn else labels
        bars = _Bars.among(len(compared), threshold)
        pairs = strong_pairs(compared, bars.near if turn else bars.link, workers)
        units = _Units.of(vectors, labels, shown, fixed)
        joining = _Joining.of(units, compared, pairs, owners, bars)
        doubts = [link for link in doubts if link.kind is not LinkKind.NEAR]
        order = np.argsort(labels, kind="stable")
        starts = np.append(np.flatnonzero(np.diff(labels[order], prepend=-1)), n)
        for kind, edge in joining.doubtful(bars):
            rows = int(pairs.first[edge]), int(pairs.second[edge])
            one, other = _nearest(vectors, order, starts, compared, rows) if turn else rows
            doubts.append(Link(kind, one, other, float(pairs.scores[edge]), bars.link))
        labels = _numbered(joining.found[labels])
        if turn and not joining.tree.size:
            break
    return Grouped(labels, _worth_a_look(doubts, labels, shown, fixed), threshold(RATE, n))


def strong_pairs(vectors: Float32, bar: float, workers: int | None = None) -> Pairs:
    """The pairs among (k, d) unit vectors whose cosine is at or above `bar`; first < second.

    Worked out in blocks: k x k scores are never in memory. Of more than HELD pairs the strongest
    are handed out that link as much.
    """
    starts = range(0, len(vectors), BLOCK)
    blocks = [(i, j) for i in starts for j in starts if i <= j]
    held: list[Pairs] = []
    count = 0
    for found in ordered(lambda block: _block(vectors, *block, bar), blocks, workers):
        held.append(found)
        count += len(found.scores)
        if count > HELD:
            every = _together(held)
            held = [every.at(_forest(len(vectors), every))]
            count = len(held[0].scores)
    return _together(held)


def unit_means(vectors: Float32, labels: Rows) -> Float32:
    """(m, d): the mean template of each label in [0, m), of unit norm."""
    sums = _sums(vectors, labels)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    means: Float32 = (sums / np.maximum(norms, 1e-9)).astype(np.float32)
    return means


# one round ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bars:
    """Thresholds: what links, and how far below and above a link is worth a look."""

    near: float
    link: float
    sure: float

    @classmethod
    def among(cls, n: int, threshold: Threshold) -> _Bars:
        return cls(*(threshold(rate, n) for rate in (RATE * DOUBTFUL, RATE, RATE / DOUBTFUL)))


@dataclass(frozen=True, slots=True, eq=False)
class _Units:
    """What is joined: faces, or groups of them. sums: (count, d) of their vectors. unit, photo:
    (p,) each photo of each unit, once. fixed: (count,) the number of what a person put together,
    -1 for nothing.
    """

    sums: Float32
    unit: Rows
    photo: Rows
    fixed: Rows

    @classmethod
    def of(cls, vectors: Float32, labels: Rows, shown: Rows, fixed: Rows) -> _Units:
        sums = _sums(vectors, labels)
        faces, photos = shown.T
        unit, photo = np.unique(np.stack([labels[faces], photos]), axis=1)
        by_unit = np.full(len(sums), -1)
        np.maximum.at(by_unit, labels, fixed)
        return cls(sums, unit, photo, by_unit)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.sums)

    def joined(self, vectors: Float32, owners: Rows, pairs: Pairs, bar: float) -> tuple[Rows, Mask]:
        """(count,) each unit's new number, and (k,) which of the pairs were refused.

        vectors, owners: of the rows that the pairs are of, with the unit that each belongs to.
        """
        clusters = _Clusters(self, vectors, owners.tolist(), bar)
        refused = np.zeros(len(pairs.scores), bool)
        links = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
        for edge in np.argsort(-pairs.scores, kind="stable").tolist():
            refused[edge] = not clusters.join(*links[edge])
        return _numbered(np.array([clusters.root(unit) for unit in range(self.count)])), refused


class _Clusters:
    """Units joined one link at a time (union by size): never two that must stay apart, nor two
    whose mean templates are less alike than `bar`.

    What a person put together may be of several looks, which have no mean: there the linked face
    stands for all.
    """

    def __init__(self, units: _Units, vectors: Float32, owners: list[int], bar: float) -> None:
        self._vectors = vectors
        self._owners = owners
        self._bar = bar
        self._parent = list(range(units.count))
        self._sums = units.sums.copy()
        self._photos: list[set[int]] = [set() for _ in self._parent]
        for unit, photo in zip(units.unit.tolist(), units.photo.tolist(), strict=True):
            self._photos[unit].add(photo)
        self._fixed = units.fixed.tolist()
        self._alone = [True] * units.count

    def root(self, unit: int) -> int:
        """What it belongs to by now."""
        parent = self._parent
        while parent[unit] != unit:
            parent[unit] = unit = parent[parent[unit]]
        return unit

    def join(self, first: int, second: int) -> bool:
        """Join what two linked rows belong to; False where that may not be."""
        a, b = self.root(self._owners[first]), self.root(self._owners[second])
        if a == b:
            return True
        both_fixed = self._fixed[a] >= 0 and self._fixed[b] >= 0
        if both_fixed or not self._photos[a].isdisjoint(self._photos[b]):
            return False
        if not ((self._alone[a] and self._alone[b]) or self._alike(a, first, b, second)):
            return False
        if len(self._photos[a]) < len(self._photos[b]):
            a, b = b, a
        self._parent[b] = a
        self._alone[a] = False
        self._sums[a] += self._sums[b]
        self._photos[a] |= self._photos[b]
        self._photos[b] = set()
        self._fixed[a] = max(self._fixed[a], self._fixed[b])
        return True

    def _alike(self, a: int, first: int, b: int, second: int) -> bool:
        one, other = self._looks(a, first), self._looks(b, second)
        norms = float(np.sqrt((one @ one) * (other @ other)))
        return accepts(float(one @ other) / max(norms, 1e-9), self._bar)

    def _looks(self, root: int, row: int) -> Float32:
        """What stands for it: a vector of any length."""
        found: Float32 = self._vectors[row] if self._fixed[root] >= 0 else self._sums[root]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Joining:
    """What a round came to, of `pairs` of rows that belong to units.

    found: (units,) each one's new number. first, second: (k,) those of each pair. refused, below:
    indices of pairs that were above the threshold, and not; tree: of those that joined.
    """

    pairs: Pairs
    found: Rows
    first: Rows
    second: Rows
    refused: Rows
    below: Rows
    tree: Rows

    @classmethod
    def of(
        cls, units: _Units, vectors: Float32, pairs: Pairs, owners: Rows, bars: _Bars
    ) -> _Joining:
        between = Pairs(owners[pairs.first], owners[pairs.second], pairs.scores)
        above = accepts(pairs.scores, bars.link)
        linked = np.flatnonzero(above & (between.first != between.second))
        found, refused = units.joined(vectors, owners, pairs.at(linked), bars.link)
        taken = linked[~refused]
        tree = taken[_forest(units.count, between.at(taken))]
        first, second = found[between.first], found[between.second]
        return cls(pairs, found, first, second, linked[refused], np.flatnonzero(~above), tree)

    def doubtful(self, bars: _Bars) -> Iterator[tuple[LinkKind, int]]:
        """The pairs worth a look: of a kind the most doubtful for two units, or for one."""
        for kind, edges in ((LinkKind.REFUSED, self.refused), (LinkKind.NEAR, self.below)):
            apart = edges[self.first[edges] != self.second[edges]]
            order = apart[np.argsort(-self.pairs.scores[apart], kind="stable")]
            yield from ((kind, int(edge)) for edge in self._once(order))
        weak = self.tree[~accepts(self.pairs.scores[self.tree], bars.sure)]
        order = weak[np.argsort(self.pairs.scores[weak], kind="stable")]
        yield from ((LinkKind.WEAK, int(edge)) for edge in self._once(order))

    def _once(self, edges: Rows) -> Rows:
        """Of several between the same two, or within the same one, the first."""
        low = np.minimum(self.first[edges], self.second[edges])
        high = np.maximum(self.first[edges], self.second[edges])
        keys = low * (len(self.found) + 1) + high
        return edges[np.sort(np.unique(keys, return_index=True)[1])]


def _nearest(
    vectors: Float32, order: Rows, starts: Rows, means: Float32, units: tuple[int, int]
) -> tuple[int, int]:
    """The face of each of two units that is most like the other's mean.

    order, starts: unit u has the faces order[starts[u] : starts[u + 1]].
    """
    found = []
    for unit, other in (units, units[::-1]):
        rows = order[starts[unit] : starts[unit + 1]]
        found.append(int(rows[np.argmax(vectors[rows] @ means[other])]))
    return found[0], found[1]


def _worth_a_look(
    doubts: Sequence[Link], labels: Rows, photos: Rows, fixed: Rows
) -> tuple[Link, ...]:
    """Those that the later rounds left: the most doubtful first, once for two groups or one.

    Between groups that must stay apart only what was refused.
    """
    ends = {link.first for link in doubts} | {link.second for link in doubts}
    concerned = {int(labels[face]) for face in ends}
    shown: dict[int, set[int]] = {label: set() for label in concerned}
    for face, photo in photos.tolist():
        label = int(labels[face])
        if label in shown:
            shown[label].add(photo)
            if fixed[face] >= 0:
                shown[label].add(-1)  # two of a person's making are apart as well
    seen: set[tuple[bool, int, int]] = set()
    left = []
    for link in sorted(doubts, key=lambda d: (d.kind is not LinkKind.REFUSED, d.kind, _margin(d))):
        low, high = sorted((int(labels[link.first]), int(labels[link.second])))
        key = (link.kind is LinkKind.WEAK, low, high)
        if key in seen or (low == high) != (link.kind is LinkKind.WEAK):
            continue
        if link.kind is LinkKind.NEAR and not shown[low].isdisjoint(shown[high]):
            continue
        seen.add(key)
        left.append(link)
    return tuple(left)


def _margin(link: Link) -> float:
    """How far from the threshold; of what was refused, the strongest is the oddest."""
    return -link.score if link.kind is LinkKind.REFUSED else abs(link.score - link.threshold)


# pairs ----------------------------------------------------------------------------------------


def _block(vectors: Float32, i: int, j: int, bar: float) -> Pairs:
    scores = vectors[i : i + BLOCK] @ vectors[j : j + BLOCK].T
    hits = np.flatnonzero(accepts(scores, bar))
    first, second = np.divmod(hits, scores.shape[1])
    if i == j:
        above = first < second
        hits, first, second = hits[above], first[above], second[above]
    return Pairs(first + i, second + j, scores.ravel()[hits])


def _sums(vectors: Float32, labels: Rows) -> Float32:
    """(m, d): the sum of the vectors of each label in [0, m)."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    sums: Float32 = np.add.reduceat(vectors[order], starts, axis=0, dtype=np.float32)
    return sums


def _together(parts: Sequence[Pairs]) -> Pairs:
    if not parts:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    return Pairs(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _forest(count: int, pairs: Pairs) -> Rows:
    """Which of the pairs are enough to link all that they link, the strongest that are.

    count: how many rows there are.
    """
    low, high = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    order = np.argsort(-pairs.scores, kind="stable")
    # of several between the same two the first is the strongest
    keys, at = np.unique((low * count + high)[order], return_index=True)
    once = order[at]
    weights = 2.0 - pairs.scores[once].astype(np.float64)  # above 0, which would be no link
    graph = coo_array((weights, (low[once], high[once])), shape=(count, count))
    tree = minimum_spanning_tree(graph.tocsr()).tocoo()
    rows = tree.row.astype(np.int64), tree.col.astype(np.int64)
    kept = np.minimum(*rows) * count + np.maximum(*rows)
    found: Rows = once[np.searchsorted(keys, kept)]
    return found


def _numbered(labels: Rows) -> Rows:
    """The same groups, numbered from 0 in the order of their first rows."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]
