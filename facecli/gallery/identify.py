"""From photos to decisions: what that takes is made ready all at once, then photos stream through.

Of a clip one decision a track is made, see `video`, and photos and clips may be mixed.

A photo by itself is what a user waits for. It is read and decoded while the models load, and has
all processors; several photos are spread over them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from pathlib import Path

from facecli.common.decision import accepts, decide
from facecli.common.enums import Basis, Outcome, Reason
from facecli.common.parallel import ordered
from facecli.common.types import (
    Candidate,
    Decision,
    FailureToAcquire,
    OperatingPoint,
    Photo,
    Probe,
    Template,
)
from facecli.gallery.loaded_models import LoadedModels
from facecli.gallery.rivals import Rivals
from facecli.metrics.crowd import LAST, own_threshold
from facecli.metrics.face_kinds import FaceKind, child_fault
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition import quality
from facecli.recognition.pipeline import Extractor, Source, open_ahead
from facecli.storage.interface import Ranker, Storage
from facecli.threshold import operating_point
from facecli.threshold.operating_point import ThresholdInputs
from facecli.video import frames
from facecli.video.frames import Frame, Sampling
from facecli.video.templates import Tracking, tracks


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """One reading of the gallery, searched many times at one operating point.

    table: the non-mated scores that false alarms are told by; None where there are none.
    rivals: who was said to be distinct.
    min_quality: a face below it is of low quality, neither identified nor unknown.
    top: how many candidates a face gets. possible_point: a laxer one, whose candidates are leads.
    children: of whom the table knows nothing: they get a name only at a threshold set by hand. None
        where nothing tells them.
    """

    ranker: Ranker
    point: OperatingPoint
    table: ReferenceTable | None
    rivals: Rivals
    min_quality: float
    top: int
    possible_point: OperatingPoint | None = None
    children: FaceKind | None = None

    @classmethod
    def of(
        cls,
        storage: Storage,
        models: LoadedModels,
        *,
        top: int,
        threshold: float | None,
        fpir: float | None,
        possible: float | None,
        min_quality: float,
        exact: bool,
    ) -> Search:
        """The gallery read as it is now; see `Gallery.identify`."""
        inputs = ThresholdInputs.of(storage, models.measured)
        point = operating_point.requested(inputs, threshold, fpir)
        lax = None if possible is None else operating_point.laxer(inputs, point, possible)
        ranker = storage.reader.ranker(exact, (lax or point).threshold)
        rivals = Rivals.of(storage.reader, models.measured.table)
        table, children = inputs.fitted_table(), models.measured.kinds.children
        return cls(ranker, point, table, rivals, min_quality, top, lax, children)

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
            number = found.track.number if found.track else index
            probe = Probe(photo.path, number, found.face, found.track)
            search = partial(self.ranker.candidates, found.template.vector)
            ranked = search(max(LAST, self.top))
            scores = [c.score for c in ranked]
            kind = self._crowding(found.template)
            threshold, lax = own_threshold(self.point, scores, kind), self.possible_point
            candidates = ranked[: max(1, self.top)]
            near = bool(ranked) and accepts(ranked[0].score, threshold)
            fault = quality.fault(found.face, self.min_quality)
            flaw = FailureToAcquire(photo.path, Reason.LOW_QUALITY, fault) if fault else None
            child = self._child(photo.path, found.template)
            yield decide(
                probe,
                candidates,
                self.point,
                threshold,
                float("nan") if child else self._false_alarm(candidates, threshold),
                flaw,
                lax,
                own_threshold(lax, scores, kind) if lax else float("nan"),
                self.rivals.of_best(ranked, search) if near else None,
                None if self.point.basis is Basis.BY_HAND else child,
            )

    def _crowding(self, template: Template) -> float:
        """How far it is of the kind that the crowd's share is taken off."""
        return float(self.table.kinds(template.vector[None])[0]) if self.table else 1.0

    def _child(self, path: str, template: Template) -> FailureToAcquire | None:
        """What is to be said of a small child's face."""
        if self.children is None:
            return None
        fault = child_fault(self.children.likeness_of(template))
        return FailureToAcquire(path, Reason.SMALL_CHILD, fault) if fault else None

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
    possible: float | None,
    min_quality: float,
    workers: int | None,
    exact: bool,
    sampling: Sampling,
    boxes: bool,
    progress: Callable[[Frame], object],
) -> Iterator[Decision]:
    """See `Gallery.identify`."""
    models.spec  # noqa: B018 (looked up once, before two threads ask for it)

    def read() -> Search:
        return Search.of(
            storage, models, top=top, threshold=threshold, fpir=fpir, possible=possible,
            min_quality=min_quality, exact=exact,
        )  # fmt: skip

    search, extractor, sources = _ready(models, photos, sampling, read)
    tracking = Tracking(bar=min_quality, boxes=boxes, workers=workers)
    for moving, group in groupby(sources, partial(_is_clip, sampling)):
        if moving:
            for path in group:
                assert isinstance(path, Path)
                clip = _Clip(path, sampling, tracking, progress)
                yield from _clip_decisions(storage, search, extractor, clip)
        else:
            yield from _photo_decisions(storage, search, _results(extractor, group, workers))


def _is_clip(sampling: Sampling, source: Source) -> bool:
    return isinstance(source, Path) and sampling.takes(source)


def _photo_decisions(
    storage: Storage, search: Search, results: Iterator[Photo | FailureToAcquire]
) -> Iterator[Decision]:
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


@dataclass(frozen=True, slots=True)
class _Clip:
    """A clip to be searched: which of its frames, and how its tracks are made."""

    path: Path
    sampling: Sampling
    tracking: Tracking
    progress: Callable[[Frame], object]


def _clip_decisions(
    storage: Storage, search: Search, extractor: Extractor, clip: _Clip
) -> Iterator[Decision]:
    """One decision a track, as it ends; one row for a clip that shows nobody or cannot be read."""
    every = frames.read(clip.path, clip.sampling)
    named, count = set[str](), 0
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(_digest, clip.path)
        for found in tracks(extractor, every, clip.tracking, clip.progress):
            result = (
                found
                if isinstance(found, FailureToAcquire)
                else Photo(str(clip.path), "", (found,))
            )
            for decision in search.decisions(result):
                named |= {decision.subject} if decision.subject is not None else set()
                yield decision
            count += 1
        if not count:
            yield from search.decisions(Photo(str(clip.path), "", ()))
        storage.log_search(digest.result(), named)


def _digest(path: Path) -> str:
    """sha256 of a clip, or of nothing where it is gone."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return hashlib.sha256().hexdigest()


def _ready(
    models: LoadedModels,
    photos: Iterable[Source],
    sampling: Sampling,
    read: Callable[[], Search],
) -> tuple[Search, Extractor, Iterable[Source]]:
    """The models load on another thread; `read` reads the gallery on this one, as SQLite wants."""
    lone = photos[0] if isinstance(photos, Sequence) and len(photos) == 1 else None
    if lone is not None and _is_clip(sampling, lone):
        lone = None
    opening = lone if lone is None or isinstance(lone, Future) else open_ahead(lone)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(lambda: models.extractor if lone is None else models.lone_extractor)
        search, extractor = read(), loading.result()
    return search, extractor, photos if opening is None else [opening]


def _results(
    extractor: Extractor, sources: Iterator[Source], workers: int | None
) -> Iterator[Photo | FailureToAcquire]:
    """A photo by itself needs no threads but those of its networks."""
    first = next(sources)
    if isinstance(first, Future):
        return extractor.batch([first])
    return extractor.photos(chain([first], sources), workers)
