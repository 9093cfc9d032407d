"""Make the direction in which an embedder maps what is no photographed face, see `naturalness`.

    PYTHONPATH=. python models/make/make_odd.py PHOTOS OUT.json --model NAME --natural C --odd C

PHOTOS: a folder per person. Of every second person the first photo is made into each kind of
benchmarks/accuracy/odd_faces.py. The direction is the mean over kinds of the (unit) mean template
of each: a mean over hundreds of people, nobody's template. The two cosines are chosen by that
benchmark's figures, 0.28 and 0.5 for mobilefacenet-arcface, 0.15 and 0.4 for sface; how many of the
photos as they are lie above the first, and so high that enrolment refuses them, is printed.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.accuracy.odd_faces import KINDS, faces
from facecli.common.types import Photo
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
    parser.add_argument("--natural", type=float, required=True)
    parser.add_argument("--odd", type=float, required=True)
    args = parser.parse_args()
    extractor = Extractor.load(replace(registry.find_embedder(args.model), odd=None))
    people = [sorted(folder.glob("*.jpg")) for folder in sorted(args.photos.iterdir())]
    first = [paths[0] for paths in people[::2][:PEOPLE]]
    means = []
    with patch.object(orientation, "turn_needed", lambda *_: 0):
        for kind, make in KINDS.items():
            made = [f.template.vector for f in faces(extractor, first, make) if f]
            mean = np.mean(made, axis=0)
            means.append(mean / np.linalg.norm(mean))
            print(f"{kind:22}{len(made):5} faces, their mean's length {np.linalg.norm(mean):.2f}")
    direction = np.mean(means, axis=0)
    direction /= np.linalg.norm(direction)
    every = [path for paths in people for path in paths]
    usual = np.array(
        [
            photo.faces[0].template.vector @ direction
            for photo in extractor.photos(every)
            if isinstance(photo, Photo) and photo.faces
        ]
    )
    bar = args.odd - DEFAULT_BAR * (args.odd - args.natural)
    text = f"{len(KINDS)} kinds of {len(first)} people's photos, {len(usual)} photos as they are"
    print(f"{text}; above natural {(usual > args.natural).mean():.2%}")
    print(f"above {bar:.3f}, where enrolment refuses them: {(usual > bar).mean():.2%}")
    args.out.write_text(
        json.dumps(
            {
                "made_from": text,
                "natural": args.natural,
                "odd": args.odd,
                "direction": [round(float(v), 7) for v in direction],
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
