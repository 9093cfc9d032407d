"""The lfw-dev people as the benchmarks use them: labels corrected, templates extracted once.

Not a benchmark itself. See README.md.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecli.common.types import Photo
from facecli.metrics.face_kinds import FaceKind
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.recognition.pipeline import Extractor
from facecli.storage.records import mean_template


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Everybody, with one face a photo.

    vectors: (n, d) float32, one a photo. subjects: (n,) codes. order: photo number within.
    failures: photos without a template. names: (n,) `<Name>/<file>` of each photo. boxes: (n, 4)
    px, of each face. model: the embedder's name. children: what it tells small children's faces by.
    """

    vectors: np.ndarray
    subjects: np.ndarray
    order: np.ndarray
    failures: int
    names: np.ndarray
    boxes: np.ndarray
    model: str
    children: FaceKind | None

    def with_at_least(self, photos: int) -> np.ndarray:
        """Codes of subjects with so many photos or more."""
        return np.flatnonzero(np.bincount(self.subjects) >= photos)

    def single(self) -> np.ndarray:
        """Codes of subjects with one photo: strangers."""
        return np.flatnonzero(np.bincount(self.subjects) == 1)

    def rows(self, subject: int) -> np.ndarray:
        """Where the photos of one subject stand."""
        return np.flatnonzero(self.subjects == subject)

    def means(self) -> np.ndarray:
        """(subjects, d) the mean template of everybody, of all photos."""
        codes = range(int(self.subjects.max()) + 1)
        return np.stack([mean_template(list(self.vectors[self.rows(code)])) for code in codes])

    def photo(self, subjects: np.ndarray, number: int) -> np.ndarray:
        """(k, d) the given photo (from 0) of each subject."""
        return self.vectors[self.photo_rows(subjects, number)]

    def photo_rows(self, subjects: np.ndarray, number: int) -> np.ndarray:
        """(k,) where the given photo (from 0) of each subject stands."""
        where = {(s, o): i for i, (s, o) in enumerate(zip(self.subjects, self.order, strict=True))}
        return np.array([where[s, number] for s in subjects])


def load(root: Path, model: str | None, cache: Path | None = None) -> People:
    """Every photo of `root`/photos; corrections in label-corrections.csv are applied.

    cache: a folder that keeps the templates between runs; another embedder's are made anew, but
    not another detector's: empty it after changing how faces are found.
    """
    dropped, renamed = corrections(root / "label-corrections.csv")
    spec = registry.find_embedder(model)
    kept = cache / f"{spec.name}.npz" if cache else None
    if kept and kept.exists() and (data := np.load(kept))["embedder_id"] == spec.embedder_id:
        vectors, names, boxes = data["vectors"], data["names"], data["boxes"]
        failures = int(data["failures"])
    else:
        paths = [p for p in sorted((root / "photos").glob("*/*.jpg")) if p.name not in dropped]
        vectors, names, boxes = extract(paths, spec)
        failures = len(paths) - len(vectors)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(kept, vectors=vectors, names=names, boxes=boxes, failures=failures,
                     embedder_id=spec.embedder_id)  # fmt: skip
    folders = [name.split("/")[0] for name in names]
    _, codes = np.unique([renamed.get(f, f) for f in folders], return_inverse=True)
    return People(
        vectors, codes, _numbered(codes), failures, names, boxes, spec.name, spec.small_children()
    )


def extract(paths: Sequence[Path], spec: EmbedderSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, d) templates of the most prominent faces, (n,) `<Name>/<file>`, (n, 4) boxes."""
    extractor = Extractor.load(spec)
    vectors, names, boxes = [], [], []
    for path, photo in zip(paths, extractor.photos(paths), strict=True):
        if isinstance(photo, Photo) and photo.faces:
            vectors.append(photo.faces[0].template.vector)
            names.append(f"{path.parent.name}/{path.name}")
            boxes.append(photo.faces[0].face.box)
    return np.stack(vectors), np.array(names), np.array(boxes)


def _numbered(codes: np.ndarray) -> np.ndarray:
    """(n,) how many rows before this one have its code."""
    order = np.zeros(len(codes), int)
    seen: dict[int, int] = {}
    for i, code in enumerate(codes):
        order[i] = seen.get(code, 0)
        seen[code] = order[i] + 1
    return order


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
