"""Made-up photos with faces, as a grouping keeps them: somebody's faces resemble each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.galleries import EMBEDDER, unit_vector

from facecli.common.types import Face, FaceTemplate, Template, Track
from facecli.storage.records import SeenPhoto

SPREAD = 0.03  # of each dimension: two faces of a person have a cosine of about 0.86


def face(person: int, photo: int, quality: float = 0.9) -> FaceTemplate:
    """The face of person number so and so in a photo."""
    noise = np.random.default_rng((person, photo)).normal(size=192)
    vector = unit_vector(person) + SPREAD * noise
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    points = np.arange(10, dtype=np.float32).reshape(5, 2) + person
    found = Face((10.0 * person, 5.0, 10.0 * person + 8, 15.0), points, 0.9, quality)
    return FaceTemplate(found, Template(vector, EMBEDDER))


def photo(number: int, *people: int, quality: float = 0.9) -> SeenPhoto:
    """A photo that shows these people."""
    faces = tuple(face(person, number, quality) for person in people)
    return SeenPhoto(f"{number:064x}", f"photos/{number}.jpg", faces)


def track(person: int, photo: int, start: float, end: float) -> FaceTemplate:
    """The same in a clip, from one second to another."""
    found, crop = face(person, photo), np.zeros((112, 112, 3), np.uint8)
    return replace(found, track=Track(photo, start, end, 9, (start + end) / 2, 3, crop))


def threshold(rate: float, n: int) -> float:
    """What a table would say: nobody's faces are as alike as one person's."""
    return {0.01: 0.5, 0.1: 0.4, 0.001: 0.6}[round(rate, 4)]
