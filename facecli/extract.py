"""Photo to faces with templates: the one path, so that no threshold is measured on another."""

from __future__ import annotations

import hashlib
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar, cast

import cv2
import numpy as np

from facecli import align, images, plugins, quality, weights
from facecli.plugins import Detector, Embedder
from facecli.terms import DetectorName, Device, Reason
from facecli.types import Face, FaceTemplate, FailureToAcquire, Image, Photo, Template

QUEUED_PER_WORKER = 4
VIEW_SIDE = 1280  # px: what a large photo's long side is decoded to at least, and searched at
MIN_EYES = 30.0  # px between them in a view; with fewer the crop would be blown up

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A photo read and decoded, as large as faces are searched at. data: its bytes."""

    path: str
    data: bytes
    view: images.View


def opened(source: Path | bytes) -> Opened | FailureToAcquire:
    """The first half of `Extractor.photo`, which needs no models."""
    if isinstance(source, bytes):
        return _decoded(source, "-")
    data = images.read(source)
    return data if isinstance(data, FailureToAcquire) else _decoded(data, str(source))


def _decoded(data: bytes, path: str) -> Opened | FailureToAcquire:
    view = images.decode_view(data, path, VIEW_SIDE)
    return view if isinstance(view, FailureToAcquire) else Opened(path, data, view)


class Extractor:
    """The whole path from bytes to templates; thread-safe.

    Raises ModelError when a model is damaged or does not run.
    """

    def __init__(
        self, spec: weights.EmbedderSpec, embedder: Embedder, detector: Detector, threads: int = 1
    ) -> None:
        """threads: see `load`; of all extractors the last one decides how many OpenCV has."""
        self.spec = spec
        self.embedder = embedder
        self.detector = detector
        cv2.setNumThreads(threads)

    @classmethod
    def load(
        cls,
        spec: weights.EmbedderSpec,
        device: Device = Device.AUTO,
        detector: DetectorName = DetectorName.YUNET,
        threads: int = 1,
    ) -> Extractor:
        """The extractor with this embedder and detector.

        threads: that one photo is spread over; with 1 `photos` are, which does more of them.
        """
        embedder = plugins.load("facecli.embedders", "onnx")
        finder = plugins.load("facecli.detectors", detector)
        return cls(
            spec,
            embedder(spec, weights.read_verified(spec), device, threads=threads),
            finder(weights.read_verified(weights.find_detector()), threads=threads),
            threads,
        )

    def photo(self, source: Path | bytes) -> Photo | FailureToAcquire:
        """Make a template of every face in a photo: a file, or bytes (then called `-`)."""
        return self.opened(opened(source))

    def data(
        self, data: bytes, path: str, sha256: str = "", most: int | None = None
    ) -> Photo | FailureToAcquire:
        """The same for a photo's bytes; `path` is what to call it, `sha256` theirs where known.

        most: how many faces to make templates of, the most prominent; None for all.
        """
        return self.opened(_decoded(data, path), sha256, most)

    def opened(
        self, photo: Opened | FailureToAcquire, sha256: str = "", most: int | None = None
    ) -> Photo | FailureToAcquire:
        """The other half of `photo`, and of `data`."""
        if isinstance(photo, FailureToAcquire):
            return photo
        seen = self._detected(photo)
        if isinstance(seen, FailureToAcquire):
            return seen
        sha256 = sha256 or hashlib.sha256(photo.data).hexdigest()
        return self._photo(*seen, photo.path, sha256, most)

    def detected(
        self, data: bytes, path: str
    ) -> tuple[images.View, tuple[Face, ...]] | FailureToAcquire:
        """A photo decoded, and its faces in px of that view.

        Of a large photo fewer pixels are decoded, all of them where a face is too small there.
        """
        photo = _decoded(data, path)
        return photo if isinstance(photo, FailureToAcquire) else self._detected(photo)

    def _detected(self, photo: Opened) -> tuple[images.View, tuple[Face, ...]] | FailureToAcquire:
        view = photo.view
        if view.scale == 1:
            return view, self.detector.detect(view.image)
        height, width = view.image.shape[:2]
        k = max(height, width) / VIEW_SIDE
        size = (max(1, round(width / k)), max(1, round(height / k)))
        small = cast(Image, cv2.resize(view.image, size, interpolation=cv2.INTER_AREA))
        known = [_enlarged(face, k) for face in self.detector.detect(small)]
        if _shows_enough(known):
            return view, self.detector.detect(view.image, known)
        whole = images.decode_view(photo.data, photo.path, None)
        if isinstance(whole, FailureToAcquire):
            return whole
        known = [_enlarged(face, view.scale) for face in known]
        return whole, self.detector.detect(whole.image, known)

    def image(self, image: Image, path: str, sha256: str = "") -> Photo:
        """The same for an upright (H, W, 3) uint8 BGR picture."""
        return self._photo(images.View(image, 1), self.detector.detect(image), path, sha256)

    def _photo(
        self,
        view: images.View,
        faces: Sequence[Face],
        path: str,
        sha256: str,
        most: int | None = None,
    ) -> Photo:
        """Templates of the faces detected in a view; they are reported in the photo's px."""
        found: list[Face] = []
        crops: list[Image] = []
        failures: list[FailureToAcquire] = []
        size = (view.image.shape[1], view.image.shape[0])
        for face in sorted(faces, key=lambda f: prominence(f, size), reverse=True):
            if len(crops) == most:
                break
            try:
                crop = align.crop(view.image, face.landmarks)
            except ValueError as error:
                failures.append(FailureToAcquire(path, Reason.DEGENERATE, str(error)))
            else:
                seen = quality.assess(face, crop)
                whole = _enlarged(face, view.scale)
                found.append(replace(whole, quality=seen.score, sharpness=seen.sharpness))
                crops.append(crop)
        vectors = self.embedder.embed(np.stack(crops)) if crops else ()
        templates = tuple(
            FaceTemplate(face, Template(vector, self.spec.embedder_id))
            for face, vector in zip(found, vectors, strict=True)
        )
        return Photo(path, sha256, templates, tuple(failures))

    def photos(
        self, sources: Iterable[Path | bytes], workers: int | None = None
    ) -> Iterator[Photo | FailureToAcquire]:
        """Many photos on `workers` threads (default: the processors there are), in order."""
        return ordered(self.photo, sources, workers)

    def on(self, workers: int | None = None) -> Run:
        """A `Run` on this many of this process's threads (default: the processors there are)."""

        def run(work: Callable[[Extractor, T], R], items: Iterable[T]) -> Iterator[R]:
            return ordered(partial(work, self), items, workers)

        return run


class Run(Protocol):
    """Applies work that takes an extractor to items, in order: on threads here, or elsewhere."""

    def __call__(self, work: Callable[[Extractor, T], R], items: Iterable[T]) -> Iterator[R]: ...


def _shows_enough(faces: Sequence[Face]) -> bool:
    """Whether a view has the pixels that its faces need, and none may have been missed in it."""
    return bool(faces) and min(quality.eye_distance(face) for face in faces) >= MIN_EYES


def _enlarged(face: Face, scale: float) -> Face:
    """A face of a smaller copy in px of the larger one, `scale` times as large."""
    if scale == 1:
        return face
    x1, y1, x2, y2 = ((edge + 0.5) * scale - 0.5 for edge in face.box)
    return replace(face, box=(x1, y1, x2, y2), landmarks=(face.landmarks + 0.5) * scale - 0.5)


def prominence(face: Face, size: tuple[int, int]) -> float:
    """Whom the photo is of: the box's area, less where it lies away from the middle.

    size: (width, height) of the photo, px. Area times (1 - d)^2, d the distance of the face's
    centre from the photo's over half the diagonal: of two people side by side the middle one
    counts, unless the other is far larger.
    """
    x1, y1, x2, y2 = face.box
    width, height = size
    away = np.hypot((x1 + x2 - width) / 2, (y1 + y2 - height) / 2) / (np.hypot(width, height) / 2)
    return float((x2 - x1) * (y2 - y1) * max(0.0, 1 - away) ** 2)


def ordered(work: Callable[[T], R], items: Iterable[T], workers: int | None = None) -> Iterator[R]:
    """Apply `work` on threads and yield the results in order, a bounded number ahead."""
    count = workers or processors()
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(count, thread_name_prefix="facecli")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= count * QUEUED_PER_WORKER:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def processors() -> int:
    """The processors this process may use: its affinity, capped by a container's CPU quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS or Windows
        count = os.cpu_count() or 1
    return max(1, math.ceil(min(count, cpu_quota(Path("/sys/fs/cgroup")))))


def cpu_quota(root: Path) -> float:
    """Processors' worth of time that a Linux control group grants; infinite where it sets none.

    root: where control groups are mounted. cgroup v2 writes `quota period` or `max period` (us)
    in one file, v1 in two, with -1 for no limit.
    """
    files = ((root / "cpu.max",), (root / "cpu/cpu.cfs_quota_us", root / "cpu/cpu.cfs_period_us"))
    for found in files:
        try:
            quota, period = " ".join(file.read_text() for file in found).split()
            return int(quota) / int(period) if int(quota) > 0 else math.inf
        except (OSError, ValueError, ZeroDivisionError):  # not this version, or "max"
            continue
    return math.inf
