"""Photo to faces with templates: the one path, so that no threshold is measured on another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar, cast

import cv2
import numpy as np

from facecli.common import plugins
from facecli.common.enums import DetectorName, Device, Reason
from facecli.common.parallel import batches, ordered
from facecli.common.plugins import Detector, Embedder
from facecli.common.types import (
    Face,
    FaceTemplate,
    FailureToAcquire,
    Float32,
    Image,
    Photo,
    Template,
)
from facecli.metrics import face_kinds
from facecli.recognition import alignment, images, orientation, quality
from facecli.recognition.glimpses import Glimpse, Look, closer, glimpse
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import EmbedderSpec

VIEW_SIDE = 1280  # px: what a large photo's long side is decoded to at least, and searched at
FRAME_SIDE = 960  # px: the same of a video's frames: who is too small in it has too few pixels
MIN_EYES = 30.0  # px between them in a view; with fewer the crop would be blown up
GROUP_PIXELS = 4_000_000  # that a group of photos has decoded at once: 12 MB

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")


@dataclass(frozen=True, slots=True, eq=False)
class OpenedPhoto:
    """A photo read and decoded, as large as faces are searched at.

    data: its bytes. sha256: theirs, in hexadecimal.
    """

    path: str
    data: bytes
    sha256: str
    view: images.View


Source = Path | bytes | OpenedPhoto | Future[OpenedPhoto | FailureToAcquire]
"""A photo: a file, its bytes (then called `-`), or one that is open, or opened ahead."""


def open_ahead(source: Path | bytes) -> Source:
    """Begin to open a photo on a thread, while what else it takes is imported and loaded."""
    pool = ThreadPoolExecutor(1)
    opening = pool.submit(open_photo, source)
    pool.shutdown(wait=False)
    return opening


def open_photo(source: Source) -> OpenedPhoto | FailureToAcquire:
    """The part of the way that needs no models."""
    if isinstance(source, OpenedPhoto):
        return source
    if isinstance(source, Future):
        return source.result()
    if isinstance(source, bytes):
        return decode_photo(source, "-")
    data = images.read_photo(source)
    return data if isinstance(data, FailureToAcquire) else decode_photo(data, str(source))


def decode_photo(data: bytes, path: str, sha256: str = "") -> OpenedPhoto | FailureToAcquire:
    """The same of a photo's bytes; `path` is what to call it, `sha256` theirs where known."""
    view = images.decode_view(data, path, VIEW_SIDE)
    if isinstance(view, FailureToAcquire):
        return view
    return OpenedPhoto(path, data, sha256 or hashlib.sha256(data).hexdigest(), view)


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A photo's faces with a crop of each, which wait for the embedder; see `Photo`."""

    path: str
    sha256: str
    faces: tuple[Face, ...]
    crops: tuple[Image, ...]
    failures: tuple[FailureToAcquire, ...]
    others: tuple[Face, ...]
    size: tuple[int, int]


class Extractor:
    """The whole path from bytes to templates; thread-safe.

    Raises ModelError when a model is damaged or does not run.
    """

    def __init__(
        self, spec: EmbedderSpec, embedder: Embedder, detector: Detector, threads: int = 1
    ) -> None:
        """threads: see `load`; of all extractors the last one decides how many OpenCV has."""
        self.spec = spec
        self.embedder = embedder
        self.detector = detector
        self._odd = None if spec.odd is None else face_kinds.from_file(spec.odd, spec.dimension)
        # One batch of several photos' faces is what fills an accelerator. On a CPU it is no
        # faster, and the last bits of a template would hang on its neighbours.
        self._together = getattr(embedder, "device", Device.CPU) is not Device.CPU
        cv2.setNumThreads(threads)

    @classmethod
    def load(
        cls,
        spec: EmbedderSpec,
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
            embedder(spec, registry.read_verified(spec), device, threads=threads),
            finder(registry.read_verified(registry.find_detector()), threads=threads),
            threads,
        )

    def photo(self, source: Source) -> Photo | FailureToAcquire:
        """Make a template of every face in a photo."""
        return next(self.extract([open_photo(source)]))

    def batch(self, sources: Sequence[Source]) -> Iterator[Photo | FailureToAcquire]:
        """The same of a few photos, in order."""
        return self.extract(map(open_photo, sources))

    def photos(
        self, sources: Iterable[Source], workers: int | None = None
    ) -> Iterator[Photo | FailureToAcquire]:
        """Many photos on `workers` threads (default: the processors there are), in order."""
        return self.on_threads(workers)(Extractor.batch, batches(sources, lambda source: source))

    def on_threads(self, workers: int | None = None) -> Run:
        """A `Run` on this many of this process's threads (default: the processors there are)."""

        def run(
            work: Callable[[Extractor, Sequence[T]], Iterable[R]], batches: Iterable[Sequence[T]]
        ) -> Iterator[R]:
            def whole(batch: Sequence[T]) -> list[R]:
                return list(work(self, batch))

            for results in ordered(whole, batches, workers):
                yield from results

        return run

    def extract(
        self, photos: Iterable[OpenedPhoto | S], most: int | None = None
    ) -> Iterator[Photo | FailureToAcquire | S]:
        """Make templates of every photo, in order; what is not `OpenedPhoto` comes out as it is.

        most: how many faces of a photo, the most prominent; None for all. Photos are drawn until
        there are GROUP_PIXELS, and each step is done for all of these before the next step.
        """
        group: list[OpenedPhoto | S] = []
        pixels = 0
        for photo in photos:
            group.append(photo)
            pixels += photo.view.image.size // 3 if isinstance(photo, OpenedPhoto) else 0
            if pixels >= GROUP_PIXELS:
                yield from self._group(group, most)
                group, pixels = [], 0
        yield from self._group(group, most)

    def _group(
        self, group: Sequence[OpenedPhoto | S], most: int | None
    ) -> Iterator[Photo | FailureToAcquire | S]:
        made = iter(self._made([one for one in group if isinstance(one, OpenedPhoto)], most))
        return (next(made) if isinstance(one, OpenedPhoto) else one for one in group)

    def _made(
        self, photos: Sequence[OpenedPhoto], most: int | None
    ) -> list[Photo | FailureToAcquire]:
        seen = [self._detect(photo) for photo in photos]
        cut = [
            found if isinstance(found, FailureToAcquire) else _cut(*found, photo, most)
            for photo, found in zip(photos, seen, strict=True)
        ]
        return self._embedded(cut)

    def detect(
        self, data: bytes, path: str
    ) -> tuple[images.View, tuple[Face, ...]] | FailureToAcquire:
        """A photo decoded, and its faces in px of that view.

        Of a large photo fewer pixels are decoded, all of them where a face is too small there.
        Where it is not upright its faces are found all the same, see `orientation`.
        """
        photo = decode_photo(data, path)
        return photo if isinstance(photo, FailureToAcquire) else self._detect(photo)

    def _detect(
        self, photo: OpenedPhoto
    ) -> tuple[images.View, tuple[Face, ...]] | FailureToAcquire:
        found = self._turned(photo, 0)
        if isinstance(found, FailureToAcquire):
            return found
        degrees = orientation.turn_needed(photo.view.image, found[1], self.detector.detect)
        return self._turned(photo, degrees) if degrees else found

    def _turned(
        self, photo: OpenedPhoto, degrees: int
    ) -> tuple[images.View, tuple[Face, ...]] | FailureToAcquire:
        """The faces seen once the photo is turned clockwise, in px of its view as it is."""
        view = photo.view
        if view.scale == 1:
            return view, self._seen(view.image, (), degrees)
        small, k = _shrunk(view.image)
        known = [_enlarged(face, k) for face in self._seen(small, (), degrees)]
        if _shows_enough(known):
            return view, self._seen(view.image, known, degrees)
        whole = images.decode_view(photo.data, photo.path, None)
        if isinstance(whole, FailureToAcquire):
            return whole
        known = [_enlarged(face, view.scale) for face in known]
        return whole, self._seen(whole.image, known, degrees)

    def _seen(self, image: Image, known: Sequence[Face], degrees: int) -> tuple[Face, ...]:
        """The faces of a picture looked at turned clockwise, in px of it as it is."""
        if degrees == 0:
            return self.detector.detect(image, known)
        if degrees % 90:  # in a copy: a large photo turned with its corners takes twice the memory
            copy, k = _shrunk(image)
            found = self.detector.detect(orientation.turned(copy, degrees)) if not known else ()
            back = (orientation.turned_back(face, degrees, _size(copy)) for face in found)
            return tuple(known) or tuple(_enlarged(face, k) for face in back)
        upright = orientation.turned(image, degrees)
        there = [orientation.turned_back(f, 360 - degrees, _size(upright)) for f in known]
        seen = self.detector.detect(upright, there)
        return tuple(orientation.turned_back(face, degrees, _size(image)) for face in seen)

    def glimpses(self, image: Image) -> tuple[Glimpse, ...]:
        """The faces of a video's frame, for `look` to embed some of them.

        image: upright (H, W, 3) uint8 BGR. Faces are looked for in a copy of FRAME_SIDE px at most,
        and cut from the frame. Each has its quality, less what only a closer look tells.
        """
        small, k = _shrunk(image, FRAME_SIDE)
        glance = getattr(self.detector, "glance", self.detector.detect)
        faces = [_enlarged(face, k) for face in glance(small)]
        cut = _cut(images.View(image, 1), faces, OpenedPhoto("", b"", "", images.View(image, 1)))
        return tuple(glimpse(image, face) for face in cut.faces)

    def look(self, seen: Sequence[Glimpse]) -> tuple[Look, ...]:
        """A template of each of these faces."""
        faces, crops = zip(*(closer(one, self.detector) for one in seen), strict=True)
        found = self._natural(faces, self._embed(crops))
        return tuple(Look(*pair) for pair in zip(found, crops, strict=True))

    def image(self, image: Image, path: str) -> Photo:
        """The same for an (H, W, 3) uint8 BGR picture."""
        (made,) = self._made([OpenedPhoto(path, b"", "", images.View(image, 1))], None)
        return cast(Photo, made)

    def _embedded(self, cut: Sequence[_Cut | FailureToAcquire]) -> list[Photo | FailureToAcquire]:
        vectors = self._vectors([one.crops for one in cut if isinstance(one, _Cut)])
        return [
            one if isinstance(one, FailureToAcquire) else self._photo(one, next(vectors))
            for one in cut
        ]

    def _vectors(self, crops: Sequence[Sequence[Image]]) -> Iterator[Float32]:
        """(n, d) for the n crops of each photo."""
        if not self._together:
            return (self._embed(some) for some in crops)
        every = self._embed([crop for some in crops for crop in some])
        return iter(np.split(every, np.cumsum([len(some) for some in crops])[:-1]))

    def _embed(self, crops: Sequence[Image]) -> Float32:
        if not crops:
            return np.empty((0, self.spec.dimension), np.float32)
        return self.embedder.embed(np.stack(crops))

    def _photo(self, cut: _Cut, vectors: Float32) -> Photo:
        templates = self._natural(cut.faces, vectors)
        return Photo(cut.path, cut.sha256, templates, cut.failures, cut.others, cut.size)

    def _natural(self, faces: Sequence[Face], vectors: Float32) -> tuple[FaceTemplate, ...]:
        """The faces with their templates, by which their quality is known in full."""
        if self._odd:
            natural = map(float, 1 - self._odd.likeness(vectors))
            faces = tuple(map(quality.with_naturalness, faces, natural))
        return tuple(
            FaceTemplate(face, Template(vector, self.spec.embedder_id))
            for face, vector in zip(faces, vectors, strict=True)
        )


class Run(Protocol):
    """Applies work that takes an extractor to batches, in order: on threads here, or elsewhere.

    The work gives a result for each item of a batch.
    """

    def __call__(
        self, work: Callable[[Extractor, Sequence[T]], Iterable[R]], batches: Iterable[Sequence[T]]
    ) -> Iterator[R]: ...


def _cut(
    view: images.View, faces: Sequence[Face], photo: OpenedPhoto, most: int | None = None
) -> _Cut:
    """Crops of the faces detected in a view of the photo, in whose px they are reported."""
    found: list[Face] = []
    crops: list[Image] = []
    failures: list[FailureToAcquire] = []
    others: list[Face] = []
    size = _size(view.image)
    for face in sorted(faces, key=lambda f: prominence(f, size), reverse=True):
        if len(crops) == most:
            others.append(_enlarged(face, view.scale))
            continue
        try:
            crop = alignment.crop(view.image, face.landmarks)
        except ValueError as error:
            failures.append(FailureToAcquire(photo.path, Reason.DEGENERATE, str(error)))
        else:
            seen = quality.assess(face, crop)
            whole = _enlarged(face, view.scale)
            found.append(replace(whole, quality=seen.score, sharpness=seen.sharpness))
            crops.append(crop)
    return _Cut(
        photo.path, photo.sha256, tuple(found), tuple(crops), tuple(failures), tuple(others),
        (size[0] * view.scale, size[1] * view.scale),
    )  # fmt: skip


def _size(image: Image) -> tuple[int, int]:
    """(width, height), px."""
    return image.shape[1], image.shape[0]


def _shrunk(image: Image, side: int = VIEW_SIDE) -> tuple[Image, float]:
    """A copy with a long side of `side` px at most, and px of the picture per px of it."""
    width, height = _size(image)
    k = max(1.0, max(width, height) / side)
    size = (max(1, round(width / k)), max(1, round(height / k)))
    return (
        image if k == 1 else cast(Image, cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    ), k


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
