"""Aligned crops as files: what trainers of very many people read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

from facecli.common import atomic
from facecli.common.errors import OutputError
from facecli.common.files import private_folder
from facecli.common.names import name_key
from facecli.common.parallel import batches
from facecli.common.types import FailureToAcquire
from facecli.datasets.labels import LabelledPhoto
from facecli.recognition.pipeline import Extractor
from facecli.training.crops import acquire

WITHOUT = str.maketrans(dict.fromkeys('/\\:*?"<>|\0', "_"))


def write(
    extractor: Extractor,
    photos: Sequence[LabelledPhoto],
    folder: Path,
    workers: int | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[int, list[FailureToAcquire]]:
    """`<name>/<sha256>.png` of every photo's most prominent face, 112 x 112 px; files 0600.

    What is there already is left as it is. Returns how many there are now, and the photos that gave
    none. Raises OutputError.
    """
    written, failures = set[Path](), list[FailureToAcquire]()
    for some in batches(iter(photos), lambda photo: photo.path):
        found = acquire(extractor, some, workers=workers, progress=progress)
        failures += found.failures
        for photo, sha256, crop in zip(found.photos, found.sha256, found.images, strict=True):
            person = folder / (name_key(photo.subject).translate(WITHOUT).strip(". ") or "_")
            path = person / f"{sha256}.png"
            written.add(path)
            try:
                private_folder(person)
                if not path.exists():
                    atomic.write(path, bytes(cv2.imencode(".png", crop)[1]))
            except OSError as error:
                raise OutputError(f"{path} cannot be written: {error.strerror}") from error
    return len(written), failures
