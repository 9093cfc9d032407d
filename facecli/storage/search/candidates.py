"""What a search starts from: all templates in memory, or a sidecar file for very many subjects.

A scan only proposes subjects, see `ranker`. Sidecars are made here: by whoever enrols, once they
have fallen behind, or by the first search that finds none it can use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facecli.common import atomic, plugins
from facecli.common.enums import IndexKind
from facecli.common.errors import GalleryError
from facecli.common.types import Float32
from facecli.storage.interface import Reader
from facecli.storage.records import IndexInfo, Seal, Subjects
from facecli.storage.search import sidecar
from facecli.storage.search.sidecar import ScanKind, Sidecar

SIDECAR_FROM = 100_000  # subjects: below, reading all costs less than loading FAISS
PROPOSED_LEAST, PROPOSED_MOST = 200, 1000  # by RaBitQ, as many as can reach the threshold
PROPOSED_BOUNDED = 64  # by a scan with a bound, at first
PROPOSED_FLAT = 16
FLAT_BLOCK = 256  # templates read at a time: the next ones find the same memory still at hand
ERRORS = 4  # standard ones, that RaBitQ may be off by to the worse: 3 mates of 100,000 are by more
PROBES, PROBE_SCORE = 100, 0.6  # of the agreement measured when a sidecar is made

Block = tuple[NDArray[np.int64], Float32]


class Templates(Reader, Protocol):
    """What a search reads of a gallery file, besides what every reader answers."""

    path: Path

    def blocks(self, after: int | None = None, rows: int = ...) -> Iterator[Block]: ...
    def subjects_at(self, ids: NDArray[np.int64]) -> Subjects: ...
    def some_templates(self, most: int) -> Float32: ...
    def vectors(self, subject_id: int) -> tuple[tuple[int, ...], Float32]: ...
    def seal(self) -> Seal: ...
    def has_seal(self, seal: Seal) -> bool: ...


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """Templates as they are scanned. ids: (n,) subject ids, index: row i for ids[i].

    slack: for a (d,) probe, how far its scores can be from the true ones; None where no bound is
    known. first: how many to propose at first. floor: of those only the ones that it scores so
    high, and PROPOSED_LEAST in any case.
    """

    ids: NDArray[np.int64]
    index: plugins.Index
    slack: Callable[[Float32], float] | None
    first: int
    floor: float = -np.inf

    def propose(self, probe: Float32, count: int) -> Block:
        """Subject ids and scores of the best `count` by its own scores, best first."""
        found, rows = self.index.search(probe[None], min(count, len(self.ids)))
        scores, ids = found[0], self.ids[rows[0]]
        kept = max(PROPOSED_LEAST, int(np.count_nonzero(scores >= self.floor)))
        return ids[:kept], scores[:kept]


def flat_scan(blocks: Iterable[Block], count: int, dimension: int) -> Scan:
    """Of at most `count` templates, in memory."""
    # Filled in place: to join the blocks afterwards would hold all templates twice.
    ids, templates = np.empty(count, np.int64), np.empty((count, dimension), np.float32)
    filled = 0
    for some, vectors in blocks:
        end = filled + len(some)
        if end > len(ids):  # a damaged file counts fewer than it holds
            ids, templates = np.resize(ids, 2 * end), np.resize(templates, (2 * end, dimension))
        ids[filled:end], templates[filled:end] = some, vectors
        filled = end
    index: plugins.Index = plugins.load("facecli.indexes", "flat")(templates[:filled])
    # Twice what summing d products in float32 can lose, d 2^-24 (Higham 2002, section 3.1).
    rounding = dimension * 2.0**-23
    return Scan(ids[:filled], index, lambda _: rounding, PROPOSED_FLAT)


def needs_sidecar(reader: Templates) -> bool:
    """Whether the gallery is so large that a sidecar pays. None lies beside an encrypted one: it
    would hold the templates in the clear.
    """
    return not reader.encrypted and reader.subject_count() >= SIDECAR_FROM


def sidecar_scan(reader: Templates, kind: ScanKind, threshold: float) -> tuple[Scan, int]:
    """The scan, and the revision it is of; the file is made anew where it cannot serve.

    threshold: RaBitQ proposes those who may reach this cosine, at most PROPOSED_MOST.

    A folder where nothing can be written is no fault: the next search makes it once more.
    """
    from facecli.storage.search.quantised import (
        Quantised,  # FAISS costs 0.3 s; small galleries do without
    )

    atomic.sweep(reader.path.parent)
    header = sidecar.peek(reader.path, kind)
    serves = header is not None and _serves(reader, header)
    found = sidecar.read_sidecar(reader.path, kind, header.seal) if header and serves else None
    index = Quantised.from_bytes(found.index) if found else None
    shape = (len(index), index.dimension) if index else None
    if found is None or index is None or shape != (len(found.ids), reader.dimension):
        found = _make(reader, kind)
        index = Quantised.from_bytes(found.index)
        assert index is not None, "FAISS reads what it has just written"
    if kind is ScanKind.EIGHT:
        return Scan(found.ids, index, index.slack, PROPOSED_BOUNDED), found.seal.revision
    floor = threshold - ERRORS * rabitq_error(threshold, reader.dimension)
    return Scan(found.ids, index, None, PROPOSED_MOST, floor), found.seal.revision


def rabitq_error(score: float, dimension: int) -> float:
    """The standard error of RaBitQ's score with a bit a dimension, for unit vectors.

    sqrt((1 - r^2) / r^2 / (d - 1)) * sqrt(1 - score^2), where r, the cosine of a template and its
    bits, is about 0.8 (Gao and Long, SIGMOD 2024, theorem 3.2).
    """
    return 0.75 * float(np.sqrt((1 - min(abs(score), 1.0) ** 2) / max(dimension - 1, 1)))


def keep_in_step(reader: Templates) -> None:
    """After writing: make the sidecar anew where it has fallen behind, so that no search waits."""
    if needs_sidecar(reader):
        atomic.sweep(reader.path.parent)
        header = sidecar.peek(reader.path, ScanKind.RABITQ)
        if header is None or not _serves(reader, header):
            _make(reader, ScanKind.RABITQ)


def index_info(reader: Templates) -> IndexInfo:
    """What the next search starts from."""
    if not needs_sidecar(reader):
        return IndexInfo(IndexKind.FLAT)
    header = sidecar.peek(reader.path, ScanKind.RABITQ)
    if header is None or not _serves(reader, header):
        return IndexInfo(IndexKind.MISSING)
    return IndexInfo(
        IndexKind.SIDECAR, sidecar.path(reader.path, ScanKind.RABITQ), header.bytes,
        changes_since(reader, header.seal.revision, header.count), header.agreed, header.asked,
    )  # fmt: skip


def changes_since(reader: Reader, revision: int, count: int) -> int:
    """How many subjects came, went or changed since the revision when there were `count`."""
    new = reader.changed(revision)  # who came or changed; of the removed only the number is left
    return max(new, abs(reader.subject_count() - count))


def tail_limit(count: int) -> int:
    """How many that may be, of `count`, before what was derived from them is made anew."""
    return 1000 + count // 50


def _serves(reader: Templates, header: sidecar.Header) -> bool:
    """Whether it is of this gallery, and not far behind."""
    return (
        header.dimension == reader.dimension
        and reader.has_seal(header.seal)
        and changes_since(reader, header.seal.revision, header.count) <= tail_limit(header.count)
    )


def _make(reader: Templates, kind: ScanKind) -> Sidecar:
    """Compress the templates of now, some thousand at a time, and leave the result beside them."""
    from facecli.storage.search.quantised import Quantised, ranges

    with reader.snapshot():  # the seal must be of the very moment that the templates are of
        seal, agreement = reader.seal(), _Agreement(_probes(reader))
        blocks = reader.blocks()
        if kind is ScanKind.EIGHT:
            index = Quantised.eight_bit(*ranges(templates for _, templates in reader.blocks()))
        else:
            first = next(blocks, None)
            if first is None:
                raise GalleryError(f"{reader.path} counts people who are not there: it is damaged")
            index = Quantised.rabitq(first[1])
            blocks = chain([first], blocks)
        every = []
        for ids, templates in blocks:
            index.add(templates)
            agreement.see(templates)
            every.append(ids)
        ids = np.concatenate(every)
        floor = PROBE_SCORE - ERRORS * rabitq_error(PROBE_SCORE, reader.dimension)
        scan = Scan(ids, index, None, PROPOSED_MOST, floor if kind is ScanKind.RABITQ else -np.inf)
        asked, agreed = agreement.asked, agreement.count(reader, scan)
    made = Sidecar(kind, reader.dimension, seal, ids, index.to_bytes(), agreed, asked)
    with suppress(OSError):
        sidecar.write_sidecar(reader.path, made)
        if not reader.has_seal(seal):  # people in it were erased meanwhile
            atomic.erase(sidecar.path(reader.path, kind))
    return made


class _Agreement:
    """Whether what a scan proposes holds what brute force finds best, for some probes."""

    def __init__(self, probes: Float32) -> None:
        self._probes = probes
        self._best = np.full(len(probes), -np.inf, np.float32)
        self.asked = len(probes)

    def see(self, templates: Float32) -> None:
        """All templates must pass here."""
        np.maximum(self._best, (self._probes @ templates.T).max(axis=1), out=self._best)

    def count(self, reader: Templates, scan: Scan) -> int:
        """For how many probes it does."""
        agreed = 0
        for probe, best in zip(self._probes, self._best, strict=True):
            ids, _ = scan.propose(probe, PROPOSED_MOST)
            found = (reader.subjects_at(ids).templates @ probe).max(initial=-1.0)
            agreed += bool(found >= best - 1e-5)
        return agreed


def _probes(reader: Templates) -> Float32:
    """Some of the templates, each turned away until its cosine to itself is PROBE_SCORE."""
    templates = reader.some_templates(PROBES)
    noise = np.random.default_rng(0).standard_normal(templates.shape, np.float32)
    noise -= np.sum(noise * templates, axis=1, keepdims=True) * templates
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return PROBE_SCORE * templates + np.float32((1 - PROBE_SCORE**2) ** 0.5) * noise
