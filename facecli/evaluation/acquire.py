"""Every photo of a plan to one template, or to the reason why it has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecli.common.types import Face, FailureToAcquire, Float32, Photo
from facecli.metrics.face_kinds import SMALL_CHILD
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR, fault

Read = Callable[[Extractor, Sequence[Path], int | None], Iterator[Photo | FailureToAcquire]]
"""Photos to faces, in order, on so many threads."""


@dataclass(frozen=True, slots=True, eq=False)
class Acquired:
    """The most prominent face of each of n photos.

    paths: (n,). vectors: (n, d) float32 unit vectors, zero where the photo gave none.
    faces: (n,) None where it did not. sha256: (n,) of the bytes,
    empty for a photo that could not be read. failures: of the others, in order. children: (n,)
    whether it is a small child's, who gets no name whatever the score.
    """

    paths: tuple[Path, ...]
    vectors: Float32
    faces: tuple[Face | None, ...]
    sha256: tuple[str, ...]
    failures: tuple[FailureToAcquire, ...]
    rows: dict[Path, int]
    children: NDArray[np.bool_]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(n,) whether the photo gave a template."""
        return np.array([face is not None for face in self.faces], dtype=bool)

    @property
    def enrollable(self) -> NDArray[np.bool_]:
        """(n,) whether enrolment would take it, at its default bar for quality."""
        good = [f is not None and fault(f, DEFAULT_BAR) is None for f in self.faces]
        return np.array(good, dtype=bool)


def acquire(
    extractor: Extractor,
    paths: Sequence[Path],
    workers: int | None = None,
    progress: Callable[[], object] | None = None,
    read: Read = Extractor.photos,
) -> Acquired:
    """Read each photo once, through the one extraction path. progress: called once a photo.

    read: what does it; one that takes clips, too, gives the person seen longest as the first face.
    """
    vectors = np.zeros((len(paths), extractor.spec.dimension), np.float32)
    faces: list[Face | None] = []
    digests: list[str] = []
    failures: list[FailureToAcquire] = []
    for row, photo in enumerate(read(extractor, paths, workers)):
        if isinstance(photo, FailureToAcquire):
            failures.append(photo)
            digests.append("")
            faces.append(None)
        else:
            digests.append(photo.sha256)
            faces.append(photo.faces[0].face if photo.faces else None)
            if photo.faces:
                vectors[row] = photo.faces[0].template.vector
            else:
                failures.append(photo.without_face())
        if progress is not None:
            progress()
    rows = {path: row for row, path in enumerate(paths)}
    kind = extractor.spec.small_children()
    children = np.zeros(len(paths), bool) if kind is None else kind.likeness(vectors) >= SMALL_CHILD
    return Acquired(
        tuple(paths), vectors, tuple(faces), tuple(digests), tuple(failures), rows, children
    )
