"""The lfw-dev people as the benchmarks use them: labels corrected, templates extracted once.

Not a benchmark itself. Photos of people are in `--photos`, a folder per person; see README.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecli import weights
from facecli.extract import Extractor
from facecli.types import Photo


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """vectors: (n, d) float32, one a photo. subjects: (n,) codes. order: photo number within."""

    vectors: np.ndarray
    subjects: np.ndarray
    order: np.ndarray
    failures: int

    def with_at_least(self, photos: int) -> np.ndarray:
        """Codes of subjects with so many photos or more."""
        return np.flatnonzero(np.bincount(self.subjects) >= photos)

    def single(self) -> np.ndarray:
        """Codes of subjects with one photo: strangers."""
        return np.flatnonzero(np.bincount(self.subjects) == 1)

    def photo(self, subjects: np.ndarray, number: int) -> np.ndarray:
        """(k, d) the given photo (from 0) of each subject."""
        rows = {
            (s, o): i for i, (s, o) in enumerate(zip(self.subjects, self.order, strict=True))
        }
        return self.vectors[[rows[s, number] for s in subjects]]


def load(root: Path, model: str | None) -> People:
    """Extract every photo of `root`/photos; corrections in label-corrections.csv are applied."""
    dropped, renamed = corrections(root / "label-corrections.csv")
    paths = [p for p in sorted((root / "photos").glob("*/*.jpg")) if p.name not in dropped]
    extractor = Extractor.load(weights.find_embedder(model))
    vectors, names = [], []
    for path, photo in zip(paths, extractor.photos(paths), strict=True):
        if isinstance(photo, Photo) and photo.faces:
            vectors.append(photo.faces[0].template.vector)
            names.append(renamed.get(path.parent.name, path.parent.name))
    _, codes = np.unique(names, return_inverse=True)
    order = np.zeros(len(codes), int)
    seen: dict[int, int] = {}
    for i, code in enumerate(codes):
        order[i] = seen.get(code, 0)
        seen[code] = order[i] + 1
    return People(np.stack(vectors), codes, order, len(paths) - len(vectors))


def corrections(path: Path) -> tuple[set[str], dict[str, str]]:
    """File names to leave out, and names that stand for another."""
    dropped: set[str] = set()
    renamed: dict[str, str] = {}
    for row in csv.DictReader(path.open(encoding="utf-8")):
        if row["kind"] == "drop":
            dropped.add(Path(row["a"]).name)
        elif row["kind"] == "same-subject":
            renamed[row["b"]] = row["a"]
    return dropped, renamed
