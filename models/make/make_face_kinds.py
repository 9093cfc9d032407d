"""Make the directions of a kind of faces, see `facecli/metrics/face_kinds.py`.

    PYTHONPATH=. python models/make/make_face_kinds.py children LFW_DEV POPULATIONS OUT.json \\
        --model NAME --other C --same C --cache DIR
    PYTHONPATH=. python models/make/make_face_kinds.py crowding LFW_DEV POPULATIONS OUT.json \\
        --model NAME --other C --same C --least L --cache DIR

Each direction is the mean template of 30 people of lfw-dev, one photo each, less that of everybody.
The populations only say whose photos those are, to the default embedder alone; nothing of theirs is
in it, and what ships has no names.

children: the 30 who look youngest, most like the six who are most like UTKFace's children. The two
cosines are chosen by benchmarks/accuracy/children.py: 0.25 and 0.65 for mobilefacenet-arcface, 0.1
and 0.4 for sface.

crowding: for each of GROUPS the 30 who are most like it. Chosen by benchmarks/accuracy/fairness.py
and mixed.py: the two cosines, the least likeness and the slope's factor are 0.1, 0.25, 0.4 and 1.3
for mobilefacenet-arcface; 0.05, 0.15, 0.5 and 2 for sface. OUT.json goes into the table:
models/make/make_reference_table.py --crowding OUT.json --crowding-steeper FACTOR.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.accuracy import children, mixed, protocol
from facecli.metrics.face_kinds import Direction, FaceKind
from facecli.recognition.model_zoo import registry

GROUPS = (*(f"{race}, UTKFace" for race in ("Black", "Asian", "Indian")), *mixed.YOUNG)
PEOPLE = children.YOUNGEST


def youngest(usual: protocol.People, populations: Path) -> Iterator[np.ndarray]:
    """Which of all people look youngest."""
    first = usual.names[usual.photo_rows(np.arange(len(children.first_photos(usual))), 0)]
    yield np.flatnonzero(np.isin(first, children.youngest(usual, populations, PEOPLE)))


def most_like_groups(usual: protocol.People, populations: Path) -> Iterator[np.ndarray]:
    """Which of all people are most like each of GROUPS."""
    first = children.first_photos(usual)
    groups = dict(mixed.groups_of(populations, mixed.MODELS[usual.model]))
    for name in GROUPS:
        mean = groups[name].mean(axis=0) - first.mean(axis=0)
        yield np.argsort(-(first @ mean))[:PEOPLE]


KINDS: dict[str, Callable[[protocol.People, Path], Iterator[np.ndarray]]] = {
    "children": youngest,
    "crowding": most_like_groups,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("root", type=Path)
    parser.add_argument("populations", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--other", type=float, required=True)
    parser.add_argument("--same", type=float, required=True)
    parser.add_argument("--least", type=float, default=0.0)
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    args = parser.parse_args()
    usual = protocol.load(args.root, registry.DEFAULT_EMBEDDER, args.cache)
    first = children.first_photos(protocol.load(args.root, args.model, args.cache))
    everybody = first.mean(axis=0)
    directions = tuple(
        Direction.towards(first[chosen].mean(axis=0) - everybody, args.other, args.same)
        for chosen in KINDS[args.kind](usual, args.populations)
    )
    text = f"{len(directions)} times {PEOPLE} of {len(first)} people"
    kind = FaceKind(directions, text, args.least)
    likeness = kind.likeness(first)
    somewhat, wholly = (likeness > args.least).mean(), (likeness == 1).mean()
    print(f"{text}; of all {somewhat:.1%} are somewhat, {wholly:.1%} wholly of the kind")
    args.out.write_text(kind.to_json())


if __name__ == "__main__":
    main()
