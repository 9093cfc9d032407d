"""Make the direction in which an embedder maps what is no photographed face, see `face_kinds`.

    PYTHONPATH=. python models/make/make_odd.py PHOTOS OUT.json --model NAME --natural C --odd C \\
        --natural-sketch C --odd-sketch C

PHOTOS: a folder per person. Of every second person the first photo is made into each kind of
benchmarks/accuracy/odd_faces.py. The direction is the mean over kinds of the (unit) mean template
of each: a mean over hundreds of people, nobody's template; another one is that of the two pencil
sketches alone. The cosines are chosen by that benchmark's figures: 0.28 and 0.5, of sketches 0.34
and 0.54, for mobilefacenet-arcface; 0.15 and 0.4, of sketches 0.22 and 0.42, for sface. How many of
the photos as they are lie so high that enrolment refuses them is printed.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.accuracy.odd_faces import KINDS, faces
from facecli.common.types import Photo
from facecli.metrics.face_kinds import Direction, FaceKind
from facecli.recognition import orientation
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR

PEOPLE = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model")
    for name in ("--natural", "--odd", "--natural-sketch", "--odd-sketch"):
        parser.add_argument(name, type=float, required=True)
    args = parser.parse_args()
    extractor = Extractor.load(replace(registry.find_embedder(args.model), odd=None))
    people = [sorted(folder.glob("*.jpg")) for folder in sorted(args.photos.iterdir())]
    first = [paths[0] for paths in people[::2][:PEOPLE]]
    means = dict[str, np.ndarray]()
    with patch.object(orientation, "turn_needed", lambda *_: 0):
        for kind, make in KINDS.items():
            made = [f.template.vector for f in faces(extractor, first, make) if f]
            mean = np.mean(made, axis=0)
            means[kind] = mean / np.linalg.norm(mean)
            print(f"{kind:22}{len(made):5} faces, their mean's length {np.linalg.norm(mean):.2f}")
    sketches = [mean for kind, mean in means.items() if kind.startswith("sketch")]
    every = [path for paths in people for path in paths]
    usual = np.stack(
        [
            photo.faces[0].template.vector
            for photo in extractor.photos(every)
            if isinstance(photo, Photo) and photo.faces
        ]
    )
    kind = FaceKind(
        (
            Direction.towards(np.mean(list(means.values()), axis=0), args.natural, args.odd),
            Direction.towards(np.mean(sketches, axis=0), args.natural_sketch, args.odd_sketch),
        ),
        f"{len(KINDS)} kinds of {len(first)} people's photos, {len(usual)} photos as they are",
    )
    for direction in (*kind.directions, kind):
        refused = 1 - direction.likeness(usual) < DEFAULT_BAR
        print(f"enrolment refuses {refused.mean():.2%} of the photos as they are")
    args.out.write_text(kind.to_json())


if __name__ == "__main__":
    main()
