"""Whether a face is like a photographed face: the embedder's own answer, for what it does not know.

An embedder maps faces unlike its training data to one place. Drawings, negatives, stamps, noise,
faces blurred in one direction or left upside down: of different people, they score 0.3 to 0.9
among themselves where photographed faces score 0.0, and so a stranger's drawing gets the name of
whoever is enrolled as one. Their mean templates point the same way (cosines of 0.6 to 0.9), those
of statues and clip art too, and photographed faces do not. So one direction an embedder, made by
models/make/make_odd.py as a mean over many people and kinds, tells them apart: made without a kind
it still knows that kind (see benchmarks/accuracy/odd_faces.py for the figures). It costs a product
of two vectors a face.

Tried and left out: the embedding's norm before normalisation (it refuses 52 % of upside-down faces
and 39 % of drawings where this refuses all and 89 to 100 %, at 0.7 % of photos lost), agreement
with the mirrored face (those are symmetric, too), a linear classifier on the template (no better on
kinds that it was not made with), grey-level statistics (each serves one kind).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecli.common.errors import ModelError
from facecli.common.types import Float32, Float64


@dataclass(frozen=True, slots=True, eq=False)
class OddFaces:
    """Where an embedder maps what is no photographed face.

    direction: (d,) float32 of unit norm. natural, odd: cosines to it; at the first or below a face
    counts as photographed, at the second or above as not. made_from: a line for people.
    """

    direction: Float32
    natural: float
    odd: float
    made_from: str

    def naturalness(self, vectors: Float32) -> Float64:
        """(n,) in [0, 1], 1 for a photographed face. vectors: (n, d) float32 of unit norm."""
        cosines = vectors.astype(np.float64) @ self.direction
        return np.clip((self.odd - cosines) / (self.odd - self.natural), 0, 1)


def from_file(path: Path, dimension: int) -> OddFaces:
    """Read what `models/make/make_odd.py` wrote. Raises ModelError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        direction = np.asarray(data["direction"], np.float32)
        natural, odd = float(data["natural"]), float(data["odd"])
        if direction.shape != (dimension,) or not np.isfinite(direction).all():
            raise ValueError(f"not {dimension} finite numbers")
        if not (-1 <= natural < odd <= 1 and float(np.linalg.norm(direction)) > 0):
            raise ValueError("its two cosines are not in order")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the odd faces' direction {path} cannot be used: {error}") from error
    unit = (direction / np.linalg.norm(direction)).astype(np.float32)
    return OddFaces(unit, natural, odd, str(data.get("made_from", "")))
