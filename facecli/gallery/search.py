"""One reading of the gallery, searched many times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from facecli.common.decision import decide
from facecli.common.enums import Outcome, Reason
from facecli.common.types import Candidate, Decision, FailureToAcquire, OperatingPoint, Photo, Probe
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition import quality
from facecli.storage.interface import Ranker


class Search:
    """Ranks subjects for faces and decides at one operating point.

    at_once: how many photos may be searched for at the same time, see `interface.Ranker`.

    table: the non-mated scores that false alarms are told by; None where there are none.
    bar: the quality below which a face that is not identified is not called unknown.
    """

    def __init__(
        self,
        ranker: Ranker,
        point: OperatingPoint,
        table: ReferenceTable | None,
        bar: float,
    ) -> None:
        self._ranker = ranker
        self.at_once = ranker.at_once
        self._point = point
        self._table = table
        self._bar = bar

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
            candidates = self._ranker.candidates(found.template.vector, max(1, top))
            fault = quality.fault(found.face, self._bar)
            flaw = FailureToAcquire(photo.path, Reason.LOW_QUALITY, fault) if fault else None
            yield decide(probe, candidates, self._point, self._false_alarm(candidates), flaw)

    def _false_alarm(self, candidates: Sequence[Candidate]) -> float:
        if self._table is None or not candidates:
            return float("nan")
        return self._table.fpir(candidates[0].score, self._point.n)
