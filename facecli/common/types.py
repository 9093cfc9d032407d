"""The results that travel between modules: frozen, slotted, and nothing but data.

Coordinates are pixels of the upright photo, x to the right, y down, (0, 0) the centre of
the top left pixel. Scores are cosines of two unit vectors in [-1, 1]; higher is more alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from facecli.common.enums import Basis, Outcome, Reason, Target

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FailureToAcquire:
    """A photo that gave no template. `detail` says what to do, in a line."""

    path: str
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One detected face.

    box: (x1, y1, x2, y2) px, may reach over the photo's edge.
    landmarks: (5, 2) float32 px: the eye on the left of the upright face, the other eye, nose
        tip, the mouth corner on the left, the other corner.
    detection_score: the detector's, in [0, 1].
    quality: in [0, 1], see `quality.Quality`. sharpness, naturalness: two of its measures, in
        [0, 1]; NaN where the face was read from a gallery, and where nothing measured it.
    Box and landmarks are of the photo as its EXIF has it, whichever way up it shows the face.
    """

    box: tuple[float, float, float, float]
    landmarks: Float32
    detection_score: float
    quality: float = 0.0
    sharpness: float = float("nan")
    naturalness: float = float("nan")

    @property
    def turned(self) -> int:
        """0, 90, 180 or 270: the degrees clockwise that bring the face upright, to the nearest."""
        return -90 * round(tilt(self) / 90) % 360

    @property
    def position(self) -> str:
        """Where it is, for people: `LEFT,TOP-RIGHT,BOTTOM`, whole px."""
        x1, y1, x2, y2 = self.box
        return f"{x1:.0f},{y1:.0f}-{x2:.0f},{y2:.0f}"


def tilt(face: Face) -> float:
    """How far a head leans: degrees clockwise in [-180, 180], 0 where the eyes are level."""
    across = (face.landmarks[1] - face.landmarks[0]).astype(np.float64)
    return float(np.degrees(np.arctan2(across[1], across[0])))


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """vector: (d,) float32 of unit norm. embedder_id: what made it; others cannot be compared."""

    vector: Float32
    embedder_id: str


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One appearance of one person in moving pictures: what they have instead of a face.

    number: counts from 0, in the order that the tracks of a clip end. start, end, best: seconds
    since its first frame; `best` is the time of the face that is shown for it. frames: how many of
    those that were looked at show the person. embedded: from how many faces the template is.
    boxes: (seconds, box) of each, px of its frame; empty where nobody is to draw them.
    since: when a live source began, ISO 8601 UTC; empty for a clip.
    crop: the best face, (112, 112, 3) uint8 BGR.
    """

    number: int
    start: float
    end: float
    frames: int
    best: float
    embedded: int
    crop: Image
    boxes: tuple[tuple[float, tuple[float, float, float, float]], ...] = ()
    since: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class FaceTemplate:
    """A face of a photo with its template: what the one extraction path yields.

    track: of moving pictures, where `face` is the best of a track's faces and `template` the mean
    of its best ones.
    """

    face: Face
    template: Template
    track: Track | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo that was read. sha256: hex digest of its bytes. faces: most prominent first (see
    `pipeline.prominence`), may be empty.

    failures: faces that were found but gave no template. others: those for which none was asked,
        the most prominent first. size: (width, height), px.
    """

    path: str
    sha256: str
    faces: tuple[FaceTemplate, ...]
    failures: tuple[FailureToAcquire, ...] = ()
    others: tuple[Face, ...] = ()
    size: tuple[int, int] = (0, 0)

    def without_face(self) -> FailureToAcquire:
        """Why this photo gave no template, where `faces` is empty."""
        if self.failures:
            return self.failures[0]
        return FailureToAcquire(self.path, Reason.NO_FACE, "give a photo that shows the face")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subject ranked by score. Ranked is not matched: a match is a decision."""

    rank: int
    subject: str
    reference_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Rival:
    """A candidate of whom it was said that the best one is somebody else, however alike they are.

    margin: by how much the best one's score must be higher; NaN where nothing says how much.
    """

    candidate: Candidate
    margin: float


@dataclass(frozen=True, slots=True)
class Interval:
    """An observed rate with its counts and a confidence interval, all rates in [0, 1].

    `rate` is NaN where `trials` is 0: undefined is never 0.
    """

    rate: float
    low: float
    high: float
    errors: int
    trials: int
    level: float = 0.95
    method: str = ""


@dataclass(frozen=True, slots=True)
class GalleryFit:
    """How a gallery of n subjects differs from the reference set its embedder's table is of.

    median (m), expected_median (mu): of the best non-mated scores of its references among the
        other subjects, less the crowd's share (see `crowd`), cosine; as observed, and as the
        reference set's people have it among n - 1.
    ratio (r): the 10-90 % range of those scores over the reference set's.
    shift, scale: what the table's scores are moved and stretched by; see `gallery_fit`.
    references: how many were searched for it.
    """

    n: int
    median: float
    expected_median: float
    ratio: float
    shift: float
    scale: float
    references: int


@dataclass(frozen=True, slots=True)
class Crowd:
    """What a face's best score owes to its resembling many people, see `metrics.crowd`.

    slope: what is taken off it where the likeness rises by 1. likeness: what is usual, cosine.
    """

    slope: float
    likeness: float

    @overload
    def share(self, likeness: float, kind: float = 1.0) -> float: ...
    @overload
    def share(self, likeness: Float64, kind: Float64 | float = 1.0) -> Float64: ...
    def share(self, likeness: float | Float64, kind: Float64 | float = 1.0) -> float | Float64:
        """What is taken off the best scores of faces with this likeness to the crowd, cosine.

        kind: in [0, 1], how far they are of the kind that it is taken off (see `ReferenceTable`).
        """
        return self.slope * kind * (likeness - self.likeness)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold with the error rate it was chosen for.

    threshold: cosine; a candidate is accepted at or above it (`decision.accepts`), of a face that
        resembles as many people as is usual; see `crowd`.
    target, target_rate: the aim, a rate in (0, 1); NaN for `Target.NONE`.
    expected_fpir, expected_fpir_10n: the estimate at n subjects and at ten times as many, were
        the threshold to stay; NaN where no table supports one.
    fmr: the estimate per comparison, NaN likewise.
    n: enrolled subjects it was computed for.
    made_from: a line for people. made_at: ISO 8601 UTC, empty for the built-in.
    fit: what the gallery's own people did to it; None where it was not adjusted.
    crowd: how it rises for a face that resembles many people, and falls for one that resembles
        few; None where it is the same for all.
    least_fpir: the least FPIR that the people behind the scores can show; estimates below it are
        no more than their shape drawn on. 0 where no table supports any.
    """

    threshold: float
    basis: Basis
    target: Target
    target_rate: float
    expected_fpir: float
    expected_fpir_10n: float
    fmr: float
    n: int
    embedder_id: str
    made_from: str
    made_at: str = ""
    fit: GalleryFit | None = None
    crowd: Crowd | None = None
    notes: tuple[str, ...] = field(default=())
    least_fpir: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A face asked about. `index` counts its photo's faces from 0; None where there is none.

    track: of moving pictures the appearance that the face stands for; `index` is its number.
    """

    path: str
    index: int | None = None
    face: Face | None = None
    track: Track | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The answer for one probe.

    candidates: best first, one per subject, whatever their scores; empty without a template.
    threshold: the one that applied to this face, cosine; NaN where nothing was compared.
    subject: the identified subject, None unless `outcome` is IDENTIFIED.
    failure: why there is no template, or what keeps a face of low quality from an answer, or a
        small child's from a name.
    false_alarm: the estimated chance that a stranger scores as high against this gallery, not
        below `operating_point.least_fpir`; NaN where no table supports one, and of small children.
    possible: candidates between the threshold and a laxer one, leads for a person to look at, or
        the two of whom it is one, or whom a small child is like; none unless `outcome` is POSSIBLE.
        possible_threshold: the laxer one for this face, NaN where none was asked for.
        possible_point: what it was chosen for.
    rival: the second of those two, where it is one of two; else None.
    """

    probe: Probe
    outcome: Outcome
    candidates: tuple[Candidate, ...]
    operating_point: OperatingPoint
    threshold: float = float("nan")
    subject: str | None = None
    false_alarm: float = float("nan")
    failure: FailureToAcquire | None = None
    possible: tuple[Candidate, ...] = ()
    possible_threshold: float = float("nan")
    possible_point: OperatingPoint | None = None
    rival: Rival | None = None

    def to_dict(self) -> dict[str, Any]:
        """The answer in plain values, under the names of `identify --json`, not rounded.

        What is not known is None. Times of a track and what the threshold was made from are in
        `probe.track` and `operating_point`.
        """
        probe, face = self.probe, self.probe.face
        best = self.candidates[0] if self.candidates else None
        box = face.box if face else (None,) * 4
        return {
            "path": probe.path,
            "face": probe.index,
            **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
            "detection_score": face.detection_score if face else None,
            "quality": face.quality if face else None,
            "turned": face.turned if face else None,
            "decision": str(self.outcome),
            "subject": self.subject,
            "score": best.score if best else None,
            "threshold": self.threshold if best else self.operating_point.threshold,
            "margin": best.score - self.threshold if best else None,
            "false_alarm": None if isnan(self.false_alarm) else self.false_alarm,
            "reason": (
                str(self.failure.reason) if self.failure
                else "too close to tell" if self.rival else None
            ),
            "candidates": [
                {"rank": c.rank, "subject": c.subject, "reference": c.reference_id,
                 "score": c.score}
                for c in self.candidates
            ],
            "embedder": self.operating_point.embedder_id,
        }  # fmt: skip
