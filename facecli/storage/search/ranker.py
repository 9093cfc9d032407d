"""Which subjects are most alike to a probe. A scan proposes; the gallery file answers.

Every subject that a scan proposes is read from the file and scored anew, so that no score is
approximate, nobody who was removed is found, and what others enrol meanwhile is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facecli.common.types import Candidate, Float32
from facecli.storage.records import Subjects
from facecli.storage.search import candidates, sidecar
from facecli.storage.search.candidates import Scan, Templates
from facecli.storage.search.sidecar import ScanKind

GROWTH = 4  # as many times more are proposed while a scan's bound asks for it
SAME = 1e-5  # a template's cosine to itself may be so far from 1


@dataclass(frozen=True, slots=True)
class Ranked:
    """A subject with its score, the cosine of its template and the probe."""

    id: int
    name: str
    score: float


class FileRanker:
    """A gallery's subjects, searched many times."""

    at_once = 1  # SQLite answers on the thread that asked first

    def __init__(self, reader: Templates, scan: Scan, revision: int) -> None:
        """scan: of the templates at this revision."""
        self._reader = reader
        self._scan = scan
        self._made = self._seen = revision
        self._tail: Scan | None = None

    @classmethod
    def open(cls, reader: Templates, exact: bool = False, threshold: float = -1) -> FileRanker:
        """Ready to search the gallery.

        exact: find what brute force would find, whatever the size; where the gallery is small or
        `exact` is set, that is proven: nobody is left out whose scan score, with the bound on its
        error, could reach the k-th best. threshold: who may reach this cosine must be found; the
        lower it is, the more subjects are looked at where nothing bounds the error.
        """
        if candidates.needs_sidecar(reader):
            kind = ScanKind.EIGHT if exact else ScanKind.RABITQ
            return cls(reader, *candidates.sidecar_scan(reader, kind, threshold))
        with reader.snapshot():
            few = reader.blocks(rows=candidates.FLAT_BLOCK)
            whole = candidates.flat_scan(few, reader.subject_count(), reader.dimension)
            return cls(reader, whole, reader.seal().revision)

    def best(self, probe: Float32, k: int) -> list[Ranked]:
        """The k best subjects, best first; of equal ones the one enrolled first.

        probe: (d,) float32 unit vector. Call it within a snapshot of the gallery, so that what is
        read of them next is of the same moment.
        """
        self._follow()
        parts = [self._scan, self._tail] if self._tail else [self._scan]
        counts = [max(part.first, k) for part in parts]
        while True:
            proposed = [p.propose(probe, n) for p, n in zip(parts, counts, strict=True)]
            # Not np.unique: that imports numpy.ma, 20 ms.
            ids = np.array(sorted({i for ids, _ in proposed for i in ids.tolist()}), np.int64)
            found = _ranked(self._reader.subjects_at(ids), probe)[:k]
            least = found[-1].score if len(found) == k else -np.inf
            # A scan that might hide one who belongs among the k proposes more, until none can.
            short = [
                i
                for i, part in enumerate(parts)
                if counts[i] < len(part.ids) and _may_hide(part, probe, proposed[i][1], least)
            ]
            if not short:
                return found
            for i in short:
                counts[i] *= GROWTH

    def candidates(self, probe: Float32, k: int) -> list[Candidate]:
        """The same with which of each one's references is most like the probe."""
        found: list[Candidate] = []
        with self._reader.snapshot():
            for subject in self.best(probe, k):
                ids, vectors = self._reader.vectors(subject.id)
                if ids:  # as in every gallery that is sound
                    nearest = ids[int(np.argmax(vectors @ probe))]
                    found.append(Candidate(len(found) + 1, subject.name, nearest, subject.score))
        return found

    def _follow(self) -> None:
        """Scan what changed since the scan was made, too, where somebody wrote meanwhile."""
        now = self._reader.seal().revision
        if now != self._seen:
            count = self._reader.changed(self._made)
            blocks = self._reader.blocks(after=self._made)
            self._tail = (
                candidates.flat_scan(blocks, count, self._reader.dimension) if count else None
            )
            self._seen = now


def faults(reader: Templates) -> list[str]:
    """What is wrong with the scans, a line each: stored templates that do not find themselves."""
    if not candidates.needs_sidecar(reader):
        fault = "the search index disagrees with the stored templates"
        return [] if _finds_itself(reader, exact=False) else [fault]
    files = {exact: sidecar.path(reader.path, kind)
             for exact, kind in ((False, ScanKind.RABITQ), (True, ScanKind.EIGHT))}  # fmt: skip
    return [
        f"{file} disagrees with the stored templates: delete it, the next search makes it anew"
        for exact, file in files.items()
        if file.exists() and not _finds_itself(reader, exact)
    ]


def _finds_itself(reader: Templates, exact: bool) -> bool:
    ranker = FileRanker.open(reader, exact)
    with reader.snapshot():
        best = [ranker.best(template, 1) for template in reader.some_templates(candidates.PROBES)]
    return all(found and found[0].score >= 1 - SAME for found in best)


def _ranked(subjects: Subjects, probe: Float32) -> list[Ranked]:
    """All of them, best first. Summed in float64, so that the order of summing does not show."""
    scores = (subjects.templates.astype(np.float64) @ probe.astype(np.float64)).astype(np.float32)
    order = np.argsort(-scores, kind="stable")  # they come by id
    return [Ranked(subjects.ids[i], subjects.names[i], float(scores[i])) for i in order]


def _may_hide(scan: Scan, probe: Float32, scores: Float32, least: float) -> bool:
    """Whether one it did not propose can score `least`; not asked where nothing bounds it."""
    return scan.slack is not None and float(scores[-1]) + scan.slack(probe) >= least
