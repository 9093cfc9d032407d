"""Make the direction in which an embedder maps small children's faces, see `face_kinds`.

    PYTHONPATH=. python models/make/make_children.py LFW_DEV POPULATIONS OUT.json --model NAME \\
        --other C --same C --cache DIR

The mean template of the 30 people of lfw-dev who look youngest, one photo each, less that of
everybody. The populations only say whose photos those are: six are most like UTKFace's children to
the default embedder, and the 30 most like the six; the other embedder has no say. The two cosines
are chosen by benchmarks/accuracy/children.py: 0.25 and 0.65 for mobilefacenet-arcface, 0.1 and 0.4
for sface; how many of the other people lie above their middle is printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.accuracy import children, protocol
from facecli.metrics.face_kinds import SMALL_CHILD, Direction, FaceKind
from facecli.recognition.model_zoo import registry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("populations", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--other", type=float, required=True)
    parser.add_argument("--same", type=float, required=True)
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    args = parser.parse_args()
    usual = protocol.load(args.root, registry.DEFAULT_EMBEDDER, args.cache)
    names = children.youngest(usual, args.populations, children.YOUNGEST)
    people = protocol.load(args.root, args.model, args.cache)
    first = children.first_photos(people)
    chosen = np.isin(people.names[people.photo_rows(np.arange(len(first)), 0)], names)
    mean = first[chosen].mean(axis=0) - first.mean(axis=0)
    text = f"the {chosen.sum()} of {len(first)} people who look youngest"
    kind = FaceKind((Direction.towards(mean, args.other, args.same),), text)
    taken = kind.likeness(first[~chosen]) >= SMALL_CHILD
    print(f"{text}; of the others {taken.mean():.2%} are taken for small children")
    args.out.write_text(kind.to_json())


if __name__ == "__main__":
    main()
