"""Photos to aligned crops, as the one extraction path cuts them, each photo once."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facecli.common import atomic
from facecli.common.errors import OutputError
from facecli.common.parallel import ordered
from facecli.common.types import Face, FailureToAcquire, Image, Photo
from facecli.datasets.labels import LabelledPhoto
from facecli.recognition import alignment, images, quality
from facecli.recognition.pipeline import Extractor, prominence
from facecli.training import degrade
from facecli.training.degrade import Appearance, Look

FORMAT = 2  # of the file that keeps them
LOOKS = 5  # that each photo is degraded to: one alone would be learnt by heart
SAMPLE = 24  # photos that looks are matched on
MOST_LOOKS = 200  # photos of another camera that are measured


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """The most prominent face of each of n photos.

    views: (n, 1 + k, 112, 112, 3) uint8 BGR: the photo as it is, and degraded in k ways; none where
    nothing asked for that. good: (n,) whether `enroll` would take the face by what the photo shows.
    found: (n, k) whether a face was found in the degraded photo (its crop is black where not).
    failures: of photos that gave none.
    """

    photos: tuple[LabelledPhoto, ...]
    sha256: tuple[str, ...]
    views: Image
    good: NDArray[np.bool_]
    found: NDArray[np.bool_]
    failures: tuple[FailureToAcquire, ...]

    @property
    def images(self) -> Image:
        """(n, 112, 112, 3) the photos as they are."""
        return self.views[:, 0]

    @property
    def degraded(self) -> bool:
        """Whether there are degraded views."""
        return bool(self.views.shape[1] > 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A face with the photo it was found in, in whose px it is."""

    image: Image
    face: Face
    crop: Image


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """What one photo gave. crops: (1 + k, 112, 112, 3). found: (k,). See `Crops`."""

    sha256: str
    crops: Image
    good: bool
    found: NDArray[np.bool_]


def looks(extractor: Extractor, camera: Sequence[Path], own: Sequence[Path]) -> tuple[Look, ...]:
    """What the camera's faces look like, matched on photos of one's own; empty where no photo of
    the camera's shows a face, or none of one's own.
    """
    wanted: list[Appearance] = []
    for cut in _cuts(extractor, camera, MOST_LOOKS):
        wanted.append(degrade.measured(cut.image, cut.face, cut.crop))
    if not wanted:
        return ()
    sample = [(cut.image, cut.face) for cut in _cuts(extractor, own, SAMPLE)]
    return degrade.matched(wanted, sample) if sample else ()


def acquire(
    extractor: Extractor,
    photos: Sequence[LabelledPhoto],
    shift: Sequence[Look] = (),
    seed: int = 0,
    kept: Mapping[str, _Made] | None = None,
    workers: int | None = None,
    progress: Callable[[], object] | None = None,
) -> Crops:
    """A crop of every photo and, with looks to degrade to, LOOKS of it degraded.

    Which looks a photo takes on hangs on its bytes and the seed alone. kept: what `read` gave.
    progress: called once a photo.
    """
    known = {} if kept is None else kept
    size, looks = alignment.CROP_SIZE, LOOKS if shift else 0
    # Filled as they come: a list of them beside it would be as much again.
    views = np.empty((len(photos), 1 + looks, size, size, 3), np.uint8)
    found = np.empty((len(photos), looks), bool)
    taken: list[LabelledPhoto] = []
    digests: list[str] = []
    good: list[bool] = []
    failures: list[FailureToAcquire] = []

    def work(photo: LabelledPhoto) -> _Made | FailureToAcquire:
        data = images.read_photo(photo.path)
        if isinstance(data, FailureToAcquire):
            return data
        sha256 = hashlib.sha256(data).hexdigest()
        return known.get(sha256) or _made(extractor, data, str(photo.path), sha256, shift, seed)

    for photo, made in zip(photos, ordered(work, photos, workers), strict=True):
        if isinstance(made, FailureToAcquire):
            failures.append(made)
        else:
            views[len(taken)], found[len(taken)] = made.crops, made.found
            taken.append(photo)
            digests.append(made.sha256)
            good.append(made.good)
        if progress is not None:
            progress()
    count = len(taken)
    return Crops(
        tuple(taken), tuple(digests), views[:count], np.array(good, bool), found[:count],
        tuple(failures),
    )  # fmt: skip


def write(crops: Crops, path: Path, key: str) -> None:
    """Keep the crops by their photos' hashes, for `read` with the same key. Raises OutputError."""
    try:
        with atomic.draft(path) as drafted:
            with drafted.open("wb") as file:
                np.savez(
                    file, format=FORMAT, key=key, sha256=np.array(crops.sha256), crops=crops.views,
                    good=crops.good, found=crops.found,
                )  # fmt: skip
            atomic.place(drafted, path, replace=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def are_own(path: Path) -> bool:
    """Whether what lies there was written by `write`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {"format", "key", "crops"} <= set(file.files)
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def read(path: Path, key: str) -> Mapping[str, _Made]:
    """By photos' sha256; empty where the file is not there, not whole, or of another key."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if int(file["format"]) != FORMAT or str(file["key"]) != key:
                return {}
            columns = [file[name] for name in ("sha256", "crops", "good", "found")]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}
    rows = zip(*columns, strict=True)
    return {str(s): _Made(str(s), crops, bool(good), f) for s, crops, good, f in rows}


def _made(
    extractor: Extractor, data: bytes, path: str, sha256: str, shift: Sequence[Look], seed: int
) -> _Made | FailureToAcquire:
    cut = _cut(extractor, data, path)
    if isinstance(cut, FailureToAcquire):
        return cut
    seen = quality.assess(cut.face, cut.crop)
    good = quality.fault(replace(cut.face, quality=seen.score), quality.DEFAULT_BAR) is None
    draw = np.random.default_rng([seed, int(sha256[:15], 16)])
    views, found = [cut.crop], list[bool]()
    for _ in range(LOOKS if shift else 0):
        look = shift[int(draw.integers(len(shift)))]
        image, _ = degrade.degraded(cut.image, cut.face.box, look, int(draw.integers(1 << 31)))
        again = _cut(extractor, _as_file(image), path)
        found.append(isinstance(again, _Cut))
        views.append(again.crop if isinstance(again, _Cut) else np.zeros_like(cut.crop))
    return _Made(sha256, np.stack(views), good, np.array(found, bool))


def _cuts(extractor: Extractor, paths: Sequence[Path], most: int) -> Iterator[_Cut]:
    """Faces of the first photos that show one; those that show none are passed over."""
    given = 0
    for path in paths:
        data = images.read_photo(path)
        cut = data if isinstance(data, FailureToAcquire) else _cut(extractor, data, str(path))
        if isinstance(cut, _Cut):
            yield cut
            given += 1
        if given == most:
            return


def _cut(extractor: Extractor, data: bytes, path: str) -> _Cut | FailureToAcquire:
    """The most prominent face that can be aligned, as `pipeline` takes it."""
    seen = extractor.detect(data, path)
    if isinstance(seen, FailureToAcquire):
        return seen
    image, faces = seen[0].image, seen[1]
    size = (image.shape[1], image.shape[0])
    for face in sorted(faces, key=lambda face: prominence(face, size), reverse=True):
        try:
            return _Cut(image, face, alignment.crop(image, face.landmarks))
        except ValueError:
            continue
    return Photo(path, "", ()).without_face()


def _as_file(image: Image) -> bytes:
    """Lossless, so that a degraded photo goes the way of every photo from its bytes on."""
    return bytes(cv2.imencode(".bmp", image)[1])
