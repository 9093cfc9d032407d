"""How much a face's template can be relied on: its pixels, its landmarks, and how it was embedded.

Chosen by the error-versus-reject curve (Grother & Tabassi, IEEE TPAMI 29, 2007) over clean and
degraded photos: see benchmarks/accuracy/quality.py for the figures. Size has no factor of its own:
a face of few pixels has no fine detail in its crop, so its sharpness is low already. What is no
photographed face is told by its template, see `face_kinds`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from facecli.common.types import Face, Image

DEFAULT_BAR = 0.55
"""Enrolment refuses below it: 1 of LFW's 3,929 photos (development part), nearly all photos blurred
or darkened until the embedder misses them. See benchmarks/accuracy/quality.py."""

INSIDE = (slice(24, 104), slice(20, 92))  # rows, columns of the 112 px crop that are face
FINE, COARSE = 2.0, 8.0  # px in the crop: blurring by these takes away detail, then features
DIM = 12.0  # grey levels: where contrast is as low as this, noise and gain pass for detail
SHARP = 0.145  # the share of detail that three quarters of LFW's photos reach
BLUR = cv2.getGaussianKernel(13, FINE, cv2.CV_32F)  # of 3 standard deviations each way
NONE = np.ones(1, np.float32)
DOUBTFUL, CERTAIN = 0.6, 0.95  # the detector reports faces from 0.6, and is seldom surer than 0.95


@dataclass(frozen=True, slots=True)
class Quality:
    """The measures of one face, all but `eye_distance` in [0, 1], higher is better.

    sharpness: fine detail as a share of the face's contrast, in the direction that has less of it.
    pose: 1 frontal, 0.5 in profile. detection: how sure the detector is, over its range.
    eye_distance: px in the photo.
    """

    sharpness: float
    pose: float
    detection: float
    eye_distance: float

    @property
    def score(self) -> float:
        """The measures in one: detection * sqrt(sharpness * pose), in [0, 1]; times naturalness
        once the face is embedded (`with_naturalness`)."""
        return self.detection * float(np.sqrt(self.sharpness * self.pose))


def assess(face: Face, crop: Image) -> Quality:
    """Measure a face. crop: its (112, 112, 3) uint8 BGR aligned crop."""
    detection = (face.detection_score - DOUBTFUL) / (CERTAIN - DOUBTFUL)
    return Quality(sharpness(crop), pose(face), _unit(detection), eye_distance(face))


def with_naturalness(face: Face, natural: float) -> Face:
    """A face of known quality once it is embedded. natural: see `face_kinds`, in [0, 1]."""
    return replace(face, quality=face.quality * natural, naturalness=natural)


def sharpness(crop: Image) -> float:
    """Detail finer than FINE over contrast finer than COARSE, as of a sharp photo; in [0, 1].

    crop: (112, 112, 3) uint8 BGR. Both are standard deviations of the crop less its blurred self,
    a difference of Gaussians: the Laplacian at one scale, which JPEG's blocks and noise disturb
    less than the usual one at a pixel's. Fine detail is looked for along rows and along columns,
    and the lesser counts: a camera that moved takes away one of them. (Round blurs left a face
    blurred over 15 px at 0.80 in the median; so it is 0.3.)
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(np.float32)
    along_rows, along_columns = (
        cv2.sepFilter2D(grey, -1, *kernels) for kernels in ((BLUR, NONE), (NONE, BLUR))
    )
    fine = min(float((grey - blurred)[INSIDE].std()) for blurred in (along_rows, along_columns))
    coarse = float((grey - cv2.GaussianBlur(grey, (0, 0), COARSE))[INSIDE].std())
    return _unit(fine / (coarse + DIM) / SHARP)


def pose(face: Face) -> float:
    """1 while the nose stands in the middle half between the eyes, 0.5 at an eye or beyond."""
    left, right, nose = (p.astype(np.float64) for p in face.landmarks[:3])
    distance = eye_distance(face)
    if distance < 1e-6:
        return 0.0
    along = float((nose - left) @ (right - left)) / distance**2
    return 0.5 + 0.5 * _unit(2 - 4 * abs(along - 0.5))


def eye_distance(face: Face) -> float:
    """Between the two eyes, px."""
    return float(np.hypot(*(face.landmarks[1] - face.landmarks[0]).astype(np.float64)))


def fault(face: Face, bar: float) -> str | None:
    """What is wrong with a face of a quality below `bar`, with the numbers and what to do."""
    if face.quality >= bar:
        return None
    parts = [f"eye distance {eye_distance(face):.0f} px"]
    if not np.isnan(face.sharpness):
        parts.append(f"sharpness {face.sharpness:.2f}")
    parts += [f"pose {pose(face):.2f}", f"detection score {face.detection_score:.2f}"]
    advice = "give a larger, sharper or more frontal one"
    if not np.isnan(face.naturalness):
        parts.append(f"naturalness {face.naturalness:.2f}")
        if face.naturalness < bar:
            advice = (
                "to the embedder it is unlike a photographed face (a drawing, a statue, upside "
                "down, blurred by movement, in odd light or the dark?): give a plain photo"
            )
    return f"quality {face.quality:.2f} is below {bar:.2f} ({', '.join(parts)}); {advice}"


def _unit(value: float) -> float:
    return float(np.clip(value, 0, 1))
