"""From photos to decisions: what that takes is made ready all at once, then photos stream through.

A photo by itself is what a user waits for. It is read and decoded while the models load, and has
all processors; several photos are spread over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from facecli.common.decision import decide
from facecli.common.enums import Outcome, Reason
from facecli.common.parallel import ordered
from facecli.common.types import Candidate, Decision, FailureToAcquire, OperatingPoint, Photo, Probe
from facecli.gallery.loaded_models import LoadedModels
from facecli.metrics.crowd import LAST, own_threshold
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition import quality
from facecli.recognition.pipeline import Source, open_ahead
from facecli.storage.interface import Ranker, Storage
from facecli.threshold import operating_point
from facecli.threshold.operating_point import ThresholdInputs


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """One reading of the gallery, searched many times at one operating point.

    table: the non-mated scores that false alarms are told by; None where there are none.
    min_quality: a face below it is of low quality, neither identified nor unknown.
    top: how many candidates a face gets.
    """

    ranker: Ranker
    point: OperatingPoint
    table: ReferenceTable | None
    min_quality: float
    top: int

    def decisions(self, photo: Photo | FailureToAcquire) -> Iterator[Decision]:
        """One decision a face; one row for a photo that has none or cannot be read."""
        if isinstance(photo, FailureToAcquire):
            yield Decision(Probe(photo.path), Outcome.FAILED, (), self.point, failure=photo)
            return
        for failure in photo.failures:
            yield Decision(Probe(photo.path), Outcome.FAILED, (), self.point, failure=failure)
        if not photo.faces and not photo.failures:
            yield Decision(Probe(photo.path), Outcome.NO_FACE, (), self.point)
        for index, found in enumerate(photo.faces):
            probe = Probe(photo.path, index, found.face)
            ranked = self.ranker.candidates(found.template.vector, max(LAST, self.top))
            threshold = own_threshold(self.point, [c.score for c in ranked])
            candidates = ranked[: max(1, self.top)]
            fault = quality.fault(found.face, self.min_quality)
            flaw = FailureToAcquire(photo.path, Reason.LOW_QUALITY, fault) if fault else None
            yield decide(
                probe,
                candidates,
                self.point,
                threshold,
                self._false_alarm(candidates, threshold),
                flaw,
            )

    def _false_alarm(self, candidates: Sequence[Candidate], threshold: float) -> float:
        if self.table is None or not candidates:
            return float("nan")
        crowd = threshold - self.point.threshold
        found = self.table.fpir(candidates[0].score - crowd, self.point.n)
        return max(found, self.point.least_fpir)


def identify(
    storage: Storage,
    models: LoadedModels,
    photos: Iterable[Source],
    *,
    top: int,
    threshold: float | None,
    fpir: float | None,
    min_quality: float,
    workers: int | None,
    exact: bool,
) -> Iterator[Decision]:
    """See `Gallery.identify`."""
    models.spec  # noqa: B018 (looked up once, before two threads ask for it)

    def read() -> Search:
        inputs = ThresholdInputs.of(storage, models.reference_table, models.shape)
        point = operating_point.requested(inputs, threshold, fpir)
        ranker = storage.reader.ranker(exact, point.threshold)
        return Search(ranker, point, inputs.fitted_table(), min_quality, top)

    search, results = _ready(models, photos, read, workers)

    def answer(
        result: Photo | FailureToAcquire,
    ) -> tuple[Photo | FailureToAcquire, tuple[Decision, ...]]:
        return result, tuple(search.decisions(result))

    at_once = search.ranker.at_once
    answers = ordered(answer, results, at_once) if at_once > 1 else map(answer, results)
    for result, decisions in answers:
        if isinstance(result, Photo):
            named = {d.subject for d in decisions if d.subject is not None}
            storage.log_search(result.sha256, named)
        yield from decisions


def _ready(
    models: LoadedModels,
    photos: Iterable[Source],
    read: Callable[[], Search],
    workers: int | None,
) -> tuple[Search, Iterator[Photo | FailureToAcquire]]:
    """The models load on another thread; `read` reads the gallery on this one, as SQLite wants."""
    lone = photos[0] if isinstance(photos, Sequence) and len(photos) == 1 else None
    opening = lone if lone is None or isinstance(lone, Future) else open_ahead(lone)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(lambda: models.extractor if lone is None else models.lone_extractor)
        search, extractor = read(), loading.result()
    if opening is None:
        return search, extractor.photos(photos, workers)
    return search, extractor.batch([opening])
