"""Make the directions of people whom an embedder knows less well, see `face_kinds` and `crowd`.

    PYTHONPATH=. python models/make/make_crowding.py LFW_DEV POPULATIONS OUT.json --model NAME \\
        --other C --same C --least L --cache DIR

For each of GROUPS the mean template of the 30 people of lfw-dev who are most like it to the default
embedder, one photo each, less that of everybody. The populations only say whose photos those are;
nothing of theirs is in it, and what ships has no names. Chosen by benchmarks/accuracy/fairness.py
and mixed.py: the two cosines, the least likeness and the slope's factor are 0.1, 0.25, 0.4 and 1.3
for mobilefacenet-arcface; 0.05, 0.15, 0.5 and 2 for sface. OUT.json goes into the table:
models/make/make_reference_table.py --crowding OUT.json --crowding-steeper FACTOR.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.accuracy import children, mixed, protocol
from facecli.metrics.face_kinds import Direction, FaceKind
from facecli.recognition.model_zoo import registry

GROUPS = (*(f"{race}, UTKFace" for race in ("Black", "Asian", "Indian")), *mixed.YOUNG)
PEOPLE = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("populations", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--other", type=float, required=True)
    parser.add_argument("--same", type=float, required=True)
    parser.add_argument("--least", type=float, required=True)
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    args = parser.parse_args()
    usual = children.first_photos(protocol.load(args.root, registry.DEFAULT_EMBEDDER, args.cache))
    groups = dict(mixed.groups_of(args.populations, mixed.MODELS[registry.DEFAULT_EMBEDDER]))
    first = children.first_photos(protocol.load(args.root, args.model, args.cache))
    everybody = first.mean(axis=0)
    directions = []
    for name in GROUPS:
        mean = groups[name].mean(axis=0) - usual.mean(axis=0)
        most = np.argsort(-(usual @ mean))[:PEOPLE]
        mean = first[most].mean(axis=0) - everybody
        directions.append(Direction.towards(mean, args.other, args.same))
    text = f"{len(GROUPS)} times {PEOPLE} of {len(first)} people"
    kind = FaceKind(tuple(directions), text, args.least)
    likeness = kind.likeness(first)
    somewhat, wholly = (likeness > args.least).mean(), (likeness == 1).mean()
    print(f"{text}; of all {somewhat:.1%} are somewhat, {wholly:.1%} wholly of the kind")
    args.out.write_text(kind.to_json())


if __name__ == "__main__":
    main()
