"""What goes in and out of the gallery file, row by row: frozen, no SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facecli.common.enums import ChangeKind, GroupState, IndexKind, LinkKind
from facecli.common.types import Face, FaceTemplate, Float32, OperatingPoint, Template

# What a stored face keeps to, see `types.Face`.
FARTHEST = 1e6  # px, that a corner of a box is from the photo's: none that can be read is so large
SURE = 1 + 1e-6  # a score or a quality of 1, with what float32 may add


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
class Refiled:
    """A subject's photo that lies at `path` now, or whose bytes are others now: the same picture.

    photo_sha256: as it was enrolled; new_sha256: of its bytes now, perhaps the same.
    """

    subject: str
    photo_sha256: str
    path: str
    new_sha256: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change that can be undone. name: the subject's before it, `subject_id` whose it was.

    other: what it was renamed to, or whom it was merged into. references: how many it moved or
    took away. at: ISO 8601 UTC. A change of the threshold has no subject: id 0 and no name; other:
    where the threshold came from.
    """

    id: int
    kind: ChangeKind
    subject_id: int
    name: str
    other_id: int | None
    other: str | None
    references: int
    at: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the audit log. subject, photo: keyed hashes, hex; None where it names none."""

    id: int
    at: str
    action: str
    subject: str | None
    photo: str | None
    mac: str


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
    """What a search needs. ids: subject ids; templates: (n, d) float32 unit vectors, row by row.

    Comes apart in three, too: `ids, names, templates = gallery.vectors()`.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    templates: Float32

    def __iter__(self) -> Iterator[Any]:
        yield from (self.ids, self.names, self.templates)


@dataclass(frozen=True, slots=True)
class Seal:
    """A state of the gallery: its templates' revision, and the random token of that revision."""

    revision: int
    token: bytes


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What a search starts from. path, bytes: the sidecar and its size; None and 0 where flat.

    tail: subjects that came, went or changed since it was made; they are searched all the same.
    agreed, asked: for how many probes of how many it proposed brute force's best when made.
    """

    kind: IndexKind
    path: Path | None = None
    bytes: int = 0
    tail: int = 0
    agreed: int = 0
    asked: int = 0


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """What a gallery is. path: where, a file or an address. bytes: size of the file with its
    write-ahead log; None where it is no file.

    encrypted: then no sidecar lies beside it, whatever its size.
    """

    path: Path | str
    subjects: int
    references: int
    embedder: str
    dimension: int
    created_at: str
    bytes: int | None
    operating_point: OperatingPoint | None
    index: IndexInfo
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class OnScreen:
    """When a track of a clip is seen, seconds since the clip's first frame. best: its best face."""

    start: float
    end: float
    best: float


@dataclass(frozen=True, slots=True, eq=False)
class SeenPhoto:
    """A photo that was looked at for faces nobody named. faces: all of it that gave a template; of
    a clip its tracks.
    """

    sha256: str
    path: str
    faces: tuple[FaceTemplate, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """A face of such a photo. group: its number; None where it stands apart, too poor to tell.

    photo: a number for each photo. face_index: as of a reference. seen: of a clip's track, None of
    a photo's face.
    """

    id: int
    photo: int
    photo_sha256: str
    path: str
    face_index: int
    found: FaceTemplate
    group: int | None
    seen: OnScreen | None = None

    @property
    def at(self) -> float | None:
        """The second of a clip that it is shown by."""
        return self.seen.best if self.seen else None


@dataclass(frozen=True, slots=True)
class FaceGroup:
    """Faces that are one person's. name: of somebody enrolled, None for nobody yet.

    faces: how many. photo: where the one of the best quality is; at: of a clip the second.
    """

    id: int
    state: GroupState
    name: str | None
    faces: int
    photo: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class FaceLink:
    """Two faces, by id, whose link is worth a look; see `LinkKind`. groups: theirs.

    score: cosine, of the faces or of their groups' mean templates. threshold: what it was held
    against.
    """

    kind: LinkKind
    faces: tuple[int, int]
    groups: tuple[int, int]
    score: float
    threshold: float


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What a person did to groups, which can be undone. at: ISO 8601 UTC."""

    id: int
    text: str
    at: str


def mean_template(vectors: Sequence[Float32]) -> Float32:
    """The unit vector of the mean of k (d,) float32 unit vectors."""
    if len(vectors) == 1:
        return vectors[0]
    mean = np.mean(np.stack(vectors).astype(np.float64), axis=0)
    norm = np.linalg.norm(mean)
    return vectors[0] if norm < 1e-9 else (mean / norm).astype(np.float32)
