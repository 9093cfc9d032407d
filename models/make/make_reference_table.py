"""Make a model's reference table Q(p) from photos of many people, a folder per person.

    python models/make/make_reference_table.py PHOTOS OUT.json --model NAME [--corrections FILE.csv]
        [--steeper FACTOR] [--crowding KIND.json --crowding-steeper FACTOR]

How is said in facecli/metrics/reference_population.py. Corrections:
`kind,a,b,why` rows, `drop` a photo, `same-subject`. KIND.json: of models/make/make_face_kinds.py.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict
from pathlib import Path

import numpy as np

from facecli.common.types import Photo
from facecli.metrics.face_kinds import from_file
from facecli.metrics.reference_population import make_table
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.recognition.pipeline import Extractor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--corrections", type=Path)
    parser.add_argument("--name", default="photos", help="what to call the photos")
    parser.add_argument("--steeper", type=float, default=1.0, help="times the slopes of crowds")
    parser.add_argument("--crowding", type=Path, help="whom the crowd's share is taken off")
    parser.add_argument("--crowding-steeper", type=float, default=1.0)
    args = parser.parse_args()
    dropped, renamed = read_corrections(args.corrections)
    spec = registry.find_embedder(args.model)
    vectors, subjects = templates(args.photos, spec, dropped, renamed)
    text = f"{len(np.unique(subjects))} subjects, {len(vectors)} photos of {args.name}"
    kind = from_file(args.crowding, spec.dimension) if args.crowding else None
    table = make_table(
        vectors, subjects, text, spec.embedder_id, steeper=args.steeper, crowding=kind,
        crowding_steeper=args.crowding_steeper,
    )  # fmt: skip
    args.out.write_text(table.to_json() + "\n", encoding="utf-8")
    print(f"{table.subjects} subjects, {table.comparisons} comparisons, mean {table.mean():.4f}")
    for tail in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        print(f"  Q({tail:g}) = {table.score(tail):.4f}")
    for row in (*table.effects, *table.crowding_effects):
        print("  " + "  ".join(f"{name} {value:.4g}" for name, value in asdict(row).items()))
    print(f"margins between twins: {table.margins}")


def read_corrections(path: Path | None) -> tuple[set[str], dict[str, str]]:
    """File names to leave out, and names that stand for another."""
    dropped: set[str] = set()
    renamed: dict[str, str] = {}
    if path is not None:
        for row in csv.DictReader(path.open(encoding="utf-8")):
            if row["kind"] == "drop":
                dropped.add(Path(row["a"]).name)
            elif row["kind"] == "same-subject":
                renamed[row["b"]] = row["a"]
    return dropped, renamed


def templates(
    folder: Path, spec: EmbedderSpec, dropped: set[str], renamed: dict[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) float32 templates of the largest faces, and the (n,) names of their subjects."""
    extractor = Extractor.load(spec)
    paths = [p for p in sorted(folder.glob("*/*")) if p.name not in dropped]
    vectors, names = [], []
    for path, photo in zip(paths, extractor.photos(paths), strict=True):
        if isinstance(photo, Photo) and photo.faces:
            vectors.append(photo.faces[0].template.vector)
            names.append(renamed.get(path.parent.name, path.parent.name))
    return np.stack(vectors), np.array(names)


if __name__ == "__main__":
    main()
