"""One reading of the gallery, searched many times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from facecli import plugins, quality
from facecli.decide import decide
from facecli.records import Subjects
from facecli.reference_table import ReferenceTable
from facecli.store import Store
from facecli.terms import Outcome, Reason
from facecli.types import (
    Candidate,
    Decision,
    FailureToAcquire,
    Float32,
    OperatingPoint,
    Photo,
    Probe,
)


class Search:
    """Ranks subjects for faces and decides at one operating point.

    table: the non-mated scores that false alarms are told by; None where there are none.
    bar: the quality below which a face that is not identified is not called unknown.
    """

    def __init__(
        self,
        store: Store,
        subjects: Subjects,
        point: OperatingPoint,
        table: ReferenceTable | None,
        bar: float,
    ) -> None:
        self._store = store
        self._subjects = subjects
        self._point = point
        self._table = table
        self._bar = bar
        self._index: plugins.Index = plugins.load("facecli.indexes", "flat")(subjects.templates)

    def photo(self, photo: Photo | FailureToAcquire, top: int) -> Iterator[Decision]:
        """One decision a face; one row for a photo that has none or cannot be read."""
        if isinstance(photo, FailureToAcquire):
            yield Decision(Probe(photo.path), Outcome.FAILED, (), self._point, failure=photo)
            return
        for failure in photo.failures:
            yield Decision(Probe(photo.path), Outcome.FAILED, (), self._point, failure=failure)
        if not photo.faces and not photo.failures:
            yield Decision(Probe(photo.path), Outcome.NO_FACE, (), self._point)
        for index, found in enumerate(photo.faces):
            probe = Probe(photo.path, index, found.face)
            candidates = self._candidates(found.template.vector, top)
            fault = quality.fault(found.face, self._bar)
            flaw = FailureToAcquire(photo.path, Reason.LOW_QUALITY, fault) if fault else None
            yield decide(probe, candidates, self._point, self._false_alarm(candidates), flaw)

    def _candidates(self, vector: Float32, top: int) -> list[Candidate]:
        scores, rows = self._index.search(vector[None], max(1, top))
        found: list[Candidate] = []
        for score, row in zip(scores[0], rows[0], strict=True):
            # Which of the subject's references is most like the probe; none once it was removed.
            ids, vectors = self._store.vectors(self._subjects.ids[row])
            if ids:
                nearest = ids[int(np.argmax(vectors @ vector))]
                name = self._subjects.names[row]
                found.append(Candidate(len(found) + 1, name, nearest, float(score)))
        return found

    def _false_alarm(self, candidates: Sequence[Candidate]) -> float:
        if self._table is None or not candidates:
            return float("nan")
        return self._table.fpir(candidates[0].score, len(self._subjects.ids))
