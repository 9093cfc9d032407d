"""Photos made to look like those of another camera: size, blur, noise, grey.

What the other camera's faces look like is measured on photos of its own (`measured`), and matched
on photos that are to be degraded (`matched`): how far these must be reduced to be as unsharp, and
how much noise is missing, depends on what they are themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from facecli.common.types import Face, Float64, Image
from facecli.recognition import alignment, quality

DETAILS = (6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 112)  # px across a face
COLOURLESS = 2.0  # grey levels between the planes of a pixel, on average: what JPEG makes of grey


@dataclass(frozen=True, slots=True)
class Appearance:
    """What a face looks like in its photo.

    side: of its box, the geometric mean, px. sharpness: see `quality.sharpness`, in [0, 1]. noise:
    standard deviation, grey levels. grey: whether there is no colour.
    """

    side: float
    sharpness: float
    noise: float
    grey: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What a photo is degraded to.

    side: px of its face. detail: px across the face that tell something, at most `side`. noise:
    standard deviation to add, grey levels. grey: take the colour away.
    """

    side: float
    detail: float
    noise: float
    grey: bool


def measured(image: Image, face: Face, crop: Image) -> Appearance:
    """image: the (H, W, 3) uint8 BGR photo, `face` in px of it; crop: its aligned crop."""
    planes = image[_inside(face.box, image)].astype(np.float32)
    spread = float(planes.max(axis=2).mean() - planes.min(axis=2).mean())
    return Appearance(_side(face.box), quality.sharpness(crop), _noise(planes), spread < COLOURLESS)


def matched(wanted: Sequence[Appearance], own: Sequence[tuple[Image, Face]]) -> tuple[Look, ...]:
    """The look of each of `wanted`, as these own photos can take it on.

    own: some photos to be degraded, with their faces. The detail is that to which they must be
    reduced, in the mean, to be as unsharp; what a reduced one lacks in noise is added.
    """
    sharpness = _rising([float(np.mean([_sharpness_at(*one, d) for one in own])) for d in DETAILS])
    return tuple(_look(one, sharpness, own) for one in wanted)


def _look(wanted: Appearance, sharpness: Float64, own: Sequence[tuple[Image, Face]]) -> Look:
    detail = float(np.interp(wanted.sharpness, sharpness, DETAILS))
    plain = Look(wanted.side, min(detail, wanted.side), 0.0, wanted.grey)
    seen = []
    for image, face in own[:8]:
        made, k = degraded(image, face.box, plain, 0)
        box = _scaled(face.box, k)
        seen.append(_noise(made[_inside(box, made)].astype(np.float32)))
    missing = max(0.0, wanted.noise**2 - float(np.mean(seen)) ** 2) ** 0.5
    return Look(plain.side, plain.detail, missing if missing >= 1 else 0.0, wanted.grey)


def degraded(
    image: Image, box: tuple[float, float, float, float], look: Look, seed: int
) -> tuple[Image, float]:
    """The photo as that camera would give it, and px of it per px of the photo.

    image: (H, W, 3) uint8 BGR. box: of its face. Reduced by area until the face has the detail,
    enlarged (bicubic) until it has the side, then noise, the same for the same seed. Never larger
    or sharper than it was.
    """
    own = _side(box)
    side, detail = min(look.side, own), min(look.detail, look.side, own)
    small = _resized(image, detail / own, cv2.INTER_AREA)
    made = _resized_to(small, _size(image, side / own), cv2.INTER_CUBIC)
    if look.noise:
        draw = np.random.default_rng(seed).normal(0, look.noise, made.shape)
        made = np.clip(np.rint(made + draw), 0, 255).astype(np.uint8)
    if look.grey:
        plane = cv2.cvtColor(made, cv2.COLOR_BGR2GRAY)
        made = cast(Image, cv2.cvtColor(plane, cv2.COLOR_GRAY2BGR))
    return made, made.shape[1] / image.shape[1]


def _sharpness_at(image: Image, face: Face, detail: float) -> float:
    """Of the aligned crop of a photo reduced until its face has that detail."""
    made, k = degraded(image, face.box, Look(_side(face.box), detail, 0.0, False), 0)
    return quality.sharpness(alignment.crop(made, (face.landmarks + 0.5) * k - 0.5))


def _noise(planes: Image | Float64 | np.ndarray) -> float:
    """Standard deviation of the noise in (h, w, 3) planes, grey levels.

    Immerkaer, *Fast Noise Variance Estimation*, CVIU 64 (1996): the difference of two Laplacians,
    which edges and slopes hardly move.
    """
    grey = np.asarray(planes, np.float32).mean(axis=2)
    if min(grey.shape) < 5:
        return 0.0
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    left = np.abs(cv2.filter2D(grey, -1, kernel)[1:-1, 1:-1])
    return float(np.sqrt(np.pi / 2) / 6 * left.mean())


def _rising(values: Sequence[float]) -> Float64:
    """Made to rise strictly, so that it can be turned round."""
    highest = np.maximum.accumulate(np.asarray(values, np.float64))
    return np.asarray(highest + np.arange(len(values)) * 1e-9, np.float64)


def _side(box: tuple[float, float, float, float]) -> float:
    x1, y1, x2, y2 = box
    return max(1.0, float(np.sqrt(max(0.0, x2 - x1) * max(0.0, y2 - y1))))


def _inside(box: tuple[float, float, float, float], image: Image) -> tuple[slice, slice]:
    """The part of the photo that the box covers, at least a pixel."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (round(edge) for edge in box)
    left, top = min(max(0, x1), width - 1), min(max(0, y1), height - 1)
    return slice(top, max(top + 1, min(y2, height))), slice(left, max(left + 1, min(x2, width)))


def _scaled(box: tuple[float, float, float, float], k: float) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = ((edge + 0.5) * k - 0.5 for edge in box)
    return x1, y1, x2, y2


def _size(image: Image, scale: float) -> tuple[int, int]:
    return max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))


def _resized(image: Image, scale: float, how: int) -> Image:
    return _resized_to(image, _size(image, scale), how)


def _resized_to(image: Image, size: tuple[int, int], how: int) -> Image:
    same = size == (image.shape[1], image.shape[0])
    return image if same else cast(Image, cv2.resize(image, size, interpolation=how))
