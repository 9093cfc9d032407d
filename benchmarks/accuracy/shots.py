"""Clips of people who move, made from lfw-dev's photos, with the truth about every frame.

Not a benchmark itself. See video.py. A photo's face is cut out and pasted on a blurred photo; it
walks, comes nearer, leans, is out of focus or in motion, in other light; the camera pans and
zooms; the picture is noisy; the clip is compressed when it is written (MPEG-4, or what is asked).
Of a photo only one side of a head can be shown: these shots are easier than film, and what makes
them hard is what a camera does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

SIZE = (960, 360)  # px
RATE = 5.0  # frames a second: all that is looked at by default
LENGTH = 14  # frames of a shot
PATCH = (slice(40, 210), slice(50, 200))  # of an LFW photo: the face, without those beside it


@dataclass(frozen=True, slots=True)
class Actor:
    """Whose photo stands where. person: who it is. start, end: x of the centre, shares of the
    width. tall: of the patch, a share of the frame's height. over: drawn over those with less.
    """

    photo: Path
    person: str
    start: float
    end: float
    tall: float
    over: int = 0


@dataclass(frozen=True, slots=True)
class Shot:
    """What one camera sees between two cuts. scenery: a photo, far out of focus."""

    actors: tuple[Actor, ...]
    scenery: Path
    frames: int = LENGTH


@dataclass(frozen=True, slots=True)
class Truth:
    """Where a person is in a frame. x, y: the centre of the face, px. tall: of the patch, px."""

    person: str
    x: float
    y: float
    tall: float


def three(photos: Sequence[tuple[Path, str]], scenery: Path, rng: np.random.Generator) -> Shot:
    """Each moves in a third of the picture."""
    actors = []
    for i, (photo, person) in enumerate(photos):
        low, high = (i + 0.35) / len(photos), (i + 0.65) / len(photos)
        start, end = rng.uniform(low, high, 2)
        actors.append(Actor(photo, person, float(start), float(end), float(rng.uniform(0.45, 0.9))))
    return Shot(tuple(actors), scenery)


def crossing(
    left: tuple[Path, str], right: tuple[Path, str], scenery: Path, rng: np.random.Generator
) -> Shot:
    """Two people swap their places; one walks in front of the other."""
    tall = float(rng.uniform(0.5, 0.75))
    return Shot(
        (
            Actor(*left, 0.25, 0.75, tall, over=0),
            Actor(*right, 0.75, 0.25, tall * float(rng.uniform(0.85, 1.15)), over=1),
        ),
        scenery,
    )


def film(
    shots: Sequence[Shot], rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, tuple[Truth, ...]]]:
    """Every frame, (H, W, 3) uint8 BGR, with the truth about it."""
    for shot in shots:
        yield from _roll(shot, rng)


def write(path: Path, shots: Sequence[Shot], seed: int) -> list[tuple[Truth, ...]]:
    """A clip of these shots; the truth about each frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, SIZE)
    told = []
    for image, truth in film(shots, np.random.default_rng(seed)):
        writer.write(image)
        told.append(truth)
    writer.release()
    return told


def _roll(shot: Shot, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, tuple[Truth, ...]]]:
    width, height = SIZE
    back = cv2.GaussianBlur(cv2.resize(cv2.imread(str(shot.scenery)), (2 * width, 2 * height)),
                            (0, 0), 25)  # fmt: skip
    patches = [cv2.imread(str(a.photo))[PATCH] for a in shot.actors]
    light, pan, noise = rng.uniform(0.7, 1.2), rng.uniform(-0.15, 0.15), rng.uniform(1, 6)
    zoom, focus = rng.uniform(0.9, 1.2), rng.uniform(0, 1.2)
    lean, sway = rng.uniform(-10, 10, len(patches)), rng.uniform(0, 2 * np.pi, len(patches))
    shaken = set(rng.choice(shot.frames, 2, replace=False).tolist())
    for i in range(shot.frames):
        s = i / (shot.frames - 1)
        shift = round(width * (0.5 + pan * s))
        image = back[height // 2 : height // 2 + height, shift : shift + width].copy()
        truths = []
        for k in sorted(range(len(patches)), key=lambda k: shot.actors[k].over):
            actor = shot.actors[k]
            tall = actor.tall * height * (1 + (zoom - 1) * s)
            x = width * (actor.start + (actor.end - actor.start) * s + pan * (s - 0.5))
            y = height * (0.5 + 0.04 * np.sin(sway[k] + 4 * s))
            _paste(image, patches[k], x, y, tall, lean[k] * np.sin(sway[k] + 3 * s))
            truths.append(Truth(actor.person, float(x), float(y), float(tall)))
        image = cv2.GaussianBlur(image, (0, 0), 0.3 + focus)
        if i in shaken:
            image = cv2.blur(image, (int(rng.integers(3, 10)), 1))
        grain = rng.normal(0, noise, image.shape).astype(np.float32)
        image = np.clip(image.astype(np.float32) * light + grain, 0, 255).astype(np.uint8)
        yield image, tuple(truths)


def _paste(
    image: np.ndarray, patch: np.ndarray, x: float, y: float, tall: float, degrees: float
) -> None:
    """A face with soft edges, its centre at (x, y)."""
    high, wide = patch.shape[:2]
    turn = cv2.getRotationMatrix2D((wide / 2, high / 2), degrees, tall / high)
    turn[:, 2] += (x - wide / 2, y - high / 2)
    size = (image.shape[1], image.shape[0])
    oval = np.zeros((high, wide), np.float32)
    cv2.ellipse(oval, (wide // 2, high // 2), (wide // 2 - 8, high // 2 - 8), 0, 0, 360, 1.0, -1)
    oval = cv2.GaussianBlur(oval, (0, 0), 4)
    mask = cv2.warpAffine(oval, turn, size)[..., None]
    how = cv2.INTER_AREA if tall < high else cv2.INTER_LINEAR
    face = cv2.warpAffine(patch, turn, size, flags=how)
    np.copyto(image, np.rint(image * (1 - mask) + face * mask).astype(np.uint8))
