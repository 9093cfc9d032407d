"""Photo to faces with templates: the one path, so that no threshold is measured on another."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from facecli import align, images, plugins, quality, weights
from facecli.plugins import Detector, Embedder
from facecli.terms import Device, Reason
from facecli.types import Face, FaceTemplate, FailureToAcquire, Image, Photo, Template

QUEUED_PER_WORKER = 4

T = TypeVar("T")
R = TypeVar("R")


class Extractor:
    """The whole path from bytes to templates; thread-safe.

    Raises ModelError when a model is damaged or does not run.
    """

    def __init__(
        self, spec: weights.EmbedderSpec, embedder: Embedder, make_detector: Callable[[], Detector]
    ) -> None:
        self.spec = spec
        self.embedder = embedder
        self._make_detector = make_detector
        self._local = threading.local()
        cv2.setNumThreads(1)  # photos run in parallel, not rows of pixels

    @classmethod
    def load(cls, spec: weights.EmbedderSpec, device: Device = Device.AUTO) -> Extractor:
        """The extractor with this embedder and the shipped detector."""
        embedder = plugins.load("facecli.embedders", "onnx")
        detector = plugins.load("facecli.detectors", "yunet")
        detector_bytes = weights.read_verified(weights.find_detector())
        return cls(
            spec,
            embedder(spec, weights.read_verified(spec), device),
            lambda: detector(detector_bytes),
        )

    def photo(self, source: Path | bytes) -> Photo | FailureToAcquire:
        """Make a template of every face in a photo: a file, or bytes (then called `-`)."""
        if isinstance(source, bytes):
            return self.data(source, "-")
        data = images.read(source)
        return data if isinstance(data, FailureToAcquire) else self.data(data, str(source))

    def data(self, data: bytes, path: str) -> Photo | FailureToAcquire:
        """The same for a photo's bytes; `path` is what to call it."""
        image = images.decode(data, path)
        if isinstance(image, FailureToAcquire):
            return image
        return self.image(image, path, hashlib.sha256(data).hexdigest())

    def image(self, image: Image, path: str, sha256: str = "") -> Photo:
        """The same for an upright (H, W, 3) uint8 BGR picture."""
        found, crops, failures = [], [], []
        detected = self._detector().detect(image)
        size = (image.shape[1], image.shape[0])
        for face in sorted(detected, key=lambda f: prominence(f, size), reverse=True):
            try:
                crop = align.crop(image, face.landmarks)
            except ValueError as error:
                failures.append(FailureToAcquire(path, Reason.DEGENERATE, str(error)))
            else:
                seen = quality.assess(face, crop)
                found.append(replace(face, quality=seen.score, sharpness=seen.sharpness))
                crops.append(crop)
        vectors = self.embedder.embed(np.stack(crops)) if crops else ()
        faces = tuple(
            FaceTemplate(face, Template(vector, self.spec.embedder_id))
            for face, vector in zip(found, vectors, strict=True)
        )
        return Photo(path, sha256, faces, tuple(failures))

    def photos(
        self, sources: Iterable[Path | bytes], workers: int | None = None
    ) -> Iterator[Photo | FailureToAcquire]:
        """Many photos on `workers` threads (default: the processors there are), in order."""
        return ordered(self.photo, sources, workers)

    def _detector(self) -> Detector:
        if not hasattr(self._local, "detector"):
            self._local.detector = self._make_detector()
        detector: Detector = self._local.detector
        return detector


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
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(count, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return count
