"""All against all by blocks of a matrix product: memory does not grow with the square."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facecli.common.types import Float32

Rows = NDArray[np.int64]

BLOCK = 1024  # rows a matrix product
SAME_PICTURE = 1 - 1e-6
"""Cosine: from here two templates are of the same pixels. An edit of a photo's title or rating
leaves them as they are; the last bits hang on a processor's arithmetic."""

MOST_PAIRS = 100_000  # the strongest are kept; nobody reads so many


def best_other(vectors: Float32, owners: Rows, templates: Float32) -> tuple[Float32, Rows]:
    """The best score of each reference among the other subjects' templates, and whose it is.

    vectors: (r, d). owners: (r,) rows of `templates` (n, d). Returns (r,) scores, -inf where
    there is no other subject, and (r,) rows of `templates`.
    """
    best = np.empty(len(vectors), np.float32)
    who = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), BLOCK):
        rows = slice(start, start + BLOCK)
        scores = vectors[rows] @ templates.T
        at = np.arange(len(scores))
        scores[at, owners[rows]] = -np.inf
        who[rows] = scores.argmax(axis=1)
        best[rows] = scores[at, who[rows]]
    return best, who


def pairs_above(vectors: Float32, bar: float, owners: Rows) -> Iterator[tuple[float, int, int]]:
    """Pairs of rows of different owners whose cosine is `bar` or more, the strongest first.

    vectors: (r, d). owners: (r,). At most MOST_PAIRS of them.
    """
    scores, pairs = np.empty(0, np.float32), np.empty((0, 2), np.int64)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK] @ vectors[start:].T
        found = np.argwhere(block >= bar)
        found = found[found[:, 0] < found[:, 1]]  # each pair once, none with itself
        new = block[found[:, 0], found[:, 1]]
        found += start
        apart = owners[found[:, 0]] != owners[found[:, 1]]
        scores = np.concatenate([scores, new[apart]])
        pairs = np.concatenate([pairs, found[apart]])
        strongest = np.argsort(-scores, kind="stable")[:MOST_PAIRS]
        scores, pairs = scores[strongest], pairs[strongest]
    for score, (i, j) in zip(scores, pairs, strict=True):
        yield float(score), int(i), int(j)


class Groups:
    """Which of `size` things belong together, told pair by pair (union-find)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, i: int) -> int:
        """The same for all that were joined."""
        while self._parent[i] != i:
            self._parent[i] = i = self._parent[self._parent[i]]
        return i

    def join(self, i: int, j: int) -> bool:
        """Put two together; False where they were already."""
        i, j = self.root(i), self.root(j)
        self._parent[max(i, j)] = min(i, j)
        return i != j

    def several(self) -> Iterator[list[int]]:
        """Every group of two or more."""
        members: dict[int, list[int]] = {}
        for i in range(len(self._parent)):
            members.setdefault(self.root(i), []).append(i)
        return (group for group in members.values() if len(group) > 1)
