"""Looking for given bytes in files: how an erasure is shown to have erased. Knows no gallery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 22  # bytes read at a time
_STEPS = (8, 4, 2)  # bytes of a word: the longest that a needle has room for, see `_Scan`
_PIECE = 32
_BITS = 22  # of the hash table: 4 MB
_REST = np.uint64(64 - _BITS)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads words over it


def pieces(vector: bytes) -> list[bytes]:
    """Four pieces of a template's bytes, so that a part of it is found as well as the whole."""
    starts = {round(i * (len(vector) - _PIECE) / 3) for i in range(4)}
    return [vector[at : at + _PIECE] for at in starts if at >= 0] or [vector]


class Needles:
    """Byte strings to look for. Time grows with the file, hardly with the number of needles."""

    def __init__(self, needles: Iterable[bytes]) -> None:
        left = sorted(set(needles) - {b""})
        self._longest = max(map(len, left), default=0)
        self._scans = []
        for step in _STEPS:
            self._scans.append(_Scan([n for n in left if len(n) >= _window(step)], step))
            left = [n for n in left if len(n) < _window(step)]
        self._shortest = left  # under five bytes: one by one

    def found(self, path: Path) -> set[bytes]:
        """Those that stand in the file. Raises OSError where it cannot be read."""
        return set().union(*map(self.within, _blocks(path, self._longest)))

    def within(self, block: bytes) -> set[bytes]:
        """Those that stand in these bytes."""
        there = {needle for needle in self._shortest if needle in block}
        return there.union(*(scan.found(block) for scan in self._scans))


class _Scan:
    """Looks up each aligned pair of words in a hash table of the pairs that needles would show.

    A needle is known by its last bytes, so many that at any offset they cover two aligned words;
    the table holds the pair for each offset. What agrees is compared in full.
    """

    def __init__(self, needles: list[bytes], step: int) -> None:
        self._needles, self._step, width = needles, step, _window(step)
        tails = np.frombuffer(b"".join(n[-width:] for n in needles), np.uint8).reshape(-1, width)
        pairs = [np.ascontiguousarray(tails[:, s : s + 2 * step]) for s in range(step)]
        keys = np.concatenate([_mixed(*pair.view(f"<u{step}").T) for pair in pairs])
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._owners = np.tile(np.arange(len(needles)), step)[order]
        self._shifts = np.repeat(np.arange(step), len(needles))[order]
        self._table = np.zeros(1 << _BITS, bool)
        self._table[self._keys >> _REST] = True

    def found(self, block: bytes) -> set[bytes]:
        """Those that stand in these bytes."""
        words = np.frombuffer(block, f"<u{self._step}", count=len(block) // self._step)
        if not self._needles or len(words) < 2:
            return set()
        mixed = _mixed(words[:-1], words[1:])
        places = np.flatnonzero(self._table[mixed >> _REST])
        first = np.searchsorted(self._keys, mixed[places], "left")
        last = np.searchsorted(self._keys, mixed[places], "right")
        hits = first < last
        there: set[bytes] = set()
        for place, low, high in zip(places[hits], first[hits], last[hits], strict=True):
            for entry in range(low, high):
                needle = self._needles[self._owners[entry]]
                end = int(place) * self._step - int(self._shifts[entry]) + _window(self._step)
                if needle not in there and block.endswith(needle, 0, max(0, end)):
                    there.add(needle)
        return there


def _window(step: int) -> int:
    """So many bytes cover two aligned words, wherever they begin."""
    return 3 * step - 1


def _mixed(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.uint64]:
    """One word from each two."""
    mixed = second.astype(np.uint64) * _MIX
    mixed ^= first
    mixed *= _MIX
    return mixed


def _blocks(path: Path, overlap: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        kept = b""
        while data := file.read(_BLOCK):
            yield kept + data
            kept = (kept + data)[-overlap:] if overlap else b""
