"""What goes in and out of the gallery file, row by row: frozen, no SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecli.types import Face, FaceTemplate, Float32, OperatingPoint, Template


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A subject as listed. created_at: ISO 8601 UTC."""

    id: int
    name: str
    references: int
    created_at: str


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceRow:
    """An enrolled face. face_index counts the faces of its photo, largest first, from 0."""

    id: int
    subject: str
    face: Face
    template: Template
    photo_sha256: str
    face_index: int
    path: str
    enrolled_at: str


@dataclass(frozen=True, slots=True, eq=False)
class NewReference:
    """A face about to be enrolled."""

    subject: str
    found: FaceTemplate
    photo_sha256: str
    face_index: int
    path: str


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """A threshold choice as stored: `threshold` set by hand, or `scores` (JSON) to derive it.

    n: the subjects among whom it was measured by searches; None where it was not.
    """

    basis: str
    target: str
    target_rate: float | None
    threshold: float | None
    scores: str | None
    made_from: str
    made_at: str
    n: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Subjects:
    """What a search needs. ids: subject ids; templates: (n, d) float32 unit vectors, row by row."""

    ids: tuple[int, ...]
    names: tuple[str, ...]
    templates: Float32


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """What a gallery is. bytes: size of the file with its write-ahead log."""

    path: Path
    subjects: int
    references: int
    embedder: str
    dimension: int
    created_at: str
    bytes: int
    operating_point: OperatingPoint | None


def mean_template(vectors: Sequence[Float32]) -> Float32:
    """The unit vector of the mean of k (d,) float32 unit vectors."""
    if len(vectors) == 1:
        return vectors[0]
    mean = np.mean(np.stack(vectors).astype(np.float64), axis=0)
    norm = np.linalg.norm(mean)
    return vectors[0] if norm < 1e-9 else (mean / norm).astype(np.float32)
