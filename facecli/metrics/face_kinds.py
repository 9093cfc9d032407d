"""Kinds of faces that an embedder takes for one another, and how a face of such a kind is told.

An embedder maps faces unlike its training data to one place, and so a stranger of such a kind gets
the name of whoever is enrolled of it. The mean templates of the kind point one way, and other faces
do not: a direction or two an embedder tell them, for a product of two vectors a face.

**What is no photographed face.** Drawings, negatives, stamps, noise, faces blurred in one direction
or left upside down: of different people, they score 0.3 to 0.9 among themselves where photographed
faces score 0.0. Their mean templates have cosines of 0.6 to 0.9, those of statues and clip art too.
models/make/make_odd.py makes the direction as a mean over many people and kinds: made without a
kind it still knows that kind (see benchmarks/accuracy/odd_faces.py for the figures). Pencil
sketches are nearer to photos, and have a direction of their own. How far a face is from either, its
naturalness, is part of its quality.

Tried and left out: the embedding's norm before normalisation (it refuses 52 % of upside-down faces
and 39 % of drawings where this refuses all and 89 to 100 %, at 0.7 % of photos lost), agreement
with the mirrored face (those are symmetric, too), a linear classifier on the template (no better on
kinds that it was not made with), grey-level statistics (each serves one kind).

**People whom the embedder knows less well.** They are alike to it, see `crowd`: these directions
say whose faces are so, a part of a reference table (`reference_table`).

**Small children.** Where one toddler is enrolled among adults, nine in ten others reach its
score. models/make/make_face_kinds.py makes the direction of the 30 people of the reference
population who look youngest to the embedder: it finds 99 % of toddlers and 93 % of children of 4 to
6 years, at 0.3 % of adults (see benchmarks/accuracy/children.py). Their quality is as good as
anybody's, and they may be enrolled; but their names are leads, see `decision.decide`.

Tried and left out: photos of adults whose lower face was shortened to a child's proportions (their
mean finds half of the toddlers at the same price).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facecli.common.errors import ModelError
from facecli.common.types import Float32, Float64, Template

SMALL_CHILD = 0.5  # the likeness from which a face counts as a small child's
PERHAPS_A_CHILD = SMALL_CHILD / 2  # that from which it is no stand-in for a grown-up stranger's


@dataclass(frozen=True, slots=True)
class Direction:
    """Where an embedder maps faces of one kind.

    vector: (d,) of unit norm. other, same: cosines to it; at the first or below a face is
    surely not of the kind, at the second or above surely of it.
    """

    vector: tuple[float, ...]
    other: float
    same: float

    @classmethod
    def towards(cls, vector: Float32 | Float64, other: float, same: float) -> Direction:
        """vector: of any length but 0. Raises ValueError."""
        length = float(np.linalg.norm(vector))
        if not (-1 <= other < same <= 1 and 0 < length < np.inf):
            raise ValueError("no direction, or its two cosines are not in order")
        return cls(tuple(round(float(v), 7) for v in vector / length), other, same)

    def likeness(self, vectors: Float32) -> Float64:
        """(n,) in [0, 1], 1 for faces of the kind. vectors: (n, d) float32 of unit norm."""
        cosines = vectors.astype(np.float64) @ np.asarray(self.vector)
        return np.asarray(np.clip((cosines - self.other) / (self.same - self.other), 0, 1))


@dataclass(frozen=True, slots=True)
class FaceKind:
    """A kind of faces that an embedder maps in one direction, or in several.

    made_from: a line for people. least: the likeness that any face has.
    """

    directions: tuple[Direction, ...]
    made_from: str
    least: float = 0.0

    @property
    def dimension(self) -> int:
        """d"""
        return len(self.directions[0].vector)

    def likeness(self, vectors: Float32) -> Float64:
        """(n,) in [0, 1], 1 for faces of the kind. vectors: (n, d) float32 of unit norm."""
        found = [direction.likeness(vectors) for direction in self.directions]
        return np.asarray(np.maximum(self.least, np.max(found, axis=0)))

    def likeness_of(self, template: Template) -> float:
        """One face's."""
        return float(self.likeness(template.vector[None])[0])

    def facts(self) -> dict[str, Any]:
        """As `from_facts` reads it."""
        directions = [
            {"other": d.other, "same": d.same, "vector": d.vector} for d in self.directions
        ]
        return {"made_from": self.made_from, "least": self.least, "directions": directions}

    def to_json(self) -> str:
        """As `from_file` reads it."""
        return json.dumps(self.facts()) + "\n"


@dataclass(frozen=True, slots=True)
class FaceKinds:
    """What an embedder comes with to tell a gallery's faces by; None each where it has none.

    crowding: people whom the embedder knows less well, see `ReferenceTable`. children: the small.
    """

    crowding: FaceKind | None = None
    children: FaceKind | None = None


NO_KINDS = FaceKinds()


def from_file(path: Path, dimension: int) -> FaceKind:
    """Read what `FaceKind.to_json` wrote. Raises ModelError."""
    try:
        kind = from_facts(json.loads(path.read_text(encoding="utf-8")))
        if kind.dimension != dimension:
            raise ValueError(f"not {dimension} numbers")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}, directions of a kind of faces: {error!r}") from error
    return kind


def from_facts(facts: Mapping[str, Any]) -> FaceKind:
    """Raises ValueError, KeyError or TypeError where they are none."""
    directions = tuple(
        Direction.towards(
            np.asarray(some["vector"], np.float64), float(some["other"]), float(some["same"])
        )
        for some in facts["directions"]
    )
    if len({len(direction.vector) for direction in directions}) != 1:
        raise ValueError("no directions of one length")
    least = float(facts.get("least", 0))
    if not 0 <= least < 1:
        raise ValueError(f"the least likeness is {least}")
    return FaceKind(directions, str(facts.get("made_from", "")), least)


def child_fault(likeness: float) -> str | None:
    """Why a face gets no name for itself, by its likeness to small children; None where it may."""
    if likeness < SMALL_CHILD:
        return None
    return (
        f"small children are alike to the embedder (likeness {likeness:.2f}, one of theirs from "
        f"{SMALL_CHILD:.2f})"
    )
