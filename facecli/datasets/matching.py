"""Whose face each named region is around: nothing is guessed, and what is left out is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from facecli.common.names import name_key
from facecli.datasets.regions import Box, Region, Tags, centred

ASPECT = 0.02  # of width over height: two pictures of one photo differ by rounding alone


@dataclass(frozen=True, slots=True)
class Matched:
    """named: (face, name) pairs, faces by their index. faults: a line for each region left out,
    with the name it bears."""

    named: tuple[tuple[int, str], ...]
    faults: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Fit:
    """What regions come to where they are taken one way: names by face, and what is left out."""

    named: dict[int, str]
    faults: dict[str, str]


def match(tags: Tags, faces: Sequence[Box], size: tuple[int, int], orientation: int) -> Matched:
    """Give each face the name of the region that is around it.

    faces: boxes in px of the upright photo, of this (width, height). orientation: of its EXIF, 1
    to 8. A region and a face fit where the centre of each lies in the other; of several, one to
    one by overlap. Regions are of the stored photo in some programs, of the shown one in others:
    the size that they name tells, else the faces do. Names without a place are given where one
    person is named and one face is there.
    """
    if not tags.regions:
        return _alone(tags.names, len(faces))
    ways = _ways(tags, size, orientation)
    if not ways:
        drawn = f"{tags.size[0]} x {tags.size[1]}" if tags.size else "another size"
        fault = f"its regions are of a picture of {drawn}, this is {size[0]} x {size[1]}"
        return Matched((), tuple((region.name, fault) for region in tags.regions))
    fits = [_fit(_placed(tags.regions, way, size), faces) for way in ways]
    best = max(fits, key=lambda fit: len(fit.named))
    if any(len(fit.named) == len(best.named) and fit.named != best.named for fit in fits):
        fault = "its regions fit other faces as the photo is stored than as it is shown"
        return Matched((), tuple((region.name, fault) for region in tags.regions))
    return Matched(tuple(sorted(best.named.items())), tuple(best.faults.items()))


def _alone(names: Sequence[str], faces: int) -> Matched:
    if len(names) == 1 == faces:
        return Matched(((0, names[0]),), ())
    fault = f"{len(names)} named and {faces} faces there, and no place says whose is whose"
    return Matched((), tuple((name, fault) for name in names))


def way(tags: Tags, faces: Sequence[Box], size: tuple[int, int], orientation: int) -> int:
    """The orientation that brings a photo's regions upright: its own, or 1, for none, where they
    were drawn as it is shown. As for `match`; its own where nothing tells. 0: another picture's.
    """
    ways = _ways(tags, size, orientation)
    found = {w: len(_fit(_placed(tags.regions, w, size), faces).named) for w in ways}
    return max(ways, key=lambda w: found[w], default=0)


def _ways(tags: Tags, size: tuple[int, int], orientation: int) -> list[int]:
    """The orientations that the regions may have to be brought upright by; 1 for none."""
    ways = [1] if orientation == 1 else [orientation, 1]
    if tags.size is None:
        return ways
    drawn = tags.size[0] / tags.size[1]
    shown = size[0] / size[1]
    return [
        way for way in ways
        if abs(drawn / (1 / shown if way >= 5 else shown) - 1) <= ASPECT
    ]  # fmt: skip


def _placed(regions: Sequence[Region], way: int, size: tuple[int, int]) -> list[Region]:
    """The regions in px of the upright photo."""
    return [Region(r.name, _scaled(upright(r.box, way), size)) for r in regions]


def upright(box: Box, orientation: int) -> Box:
    """A box of the stored photo as it lies in the upright one. All are shares in [0, 1].

    orientation: EXIF 2.32, tag 274, 1 to 8: where row 0 and column 0 of the stored photo are.
    """
    x1, y1, x2, y2 = box
    if orientation >= 5:  # rows are columns
        x1, y1, x2, y2 = y1, x1, y2, x2
    if orientation in (2, 3, 6, 7):  # from right to left
        x1, x2 = 1 - x2, 1 - x1
    if orientation in (3, 4, 7, 8):  # from the bottom up
        y1, y2 = 1 - y2, 1 - y1
    return x1, y1, x2, y2


def _scaled(box: Box, size: tuple[int, int]) -> Box:
    width, height = size
    return box[0] * width, box[1] * height, box[2] * width, box[3] * height


def _fit(regions: Sequence[Region], faces: Sequence[Box]) -> _Fit:
    fits = np.array([[centred(r.box, face) for face in faces] for r in regions], bool)
    fits = fits.reshape(len(regions), len(faces))
    shared = np.array([[_overlap(r.box, face) for face in faces] for r in regions])
    gain = np.where(fits, 1 + shared.reshape(fits.shape), 0.0)  # as many as can be, then the best
    rows, columns = linear_sum_assignment(gain, maximize=True)
    taken = {int(r): int(c) for r, c in zip(rows, columns, strict=True) if fits[r, c]}
    doubled = dict(_doubled(regions, fits, taken))
    names = Counter(name_key(regions[r].name) for r in taken)
    twice = {name for name, count in names.items() if count > 1}
    named = {
        face: regions[r].name
        for r, face in taken.items()
        if face not in doubled and name_key(regions[r].name) not in twice
    }
    faults: dict[str, str] = {}
    for r, region in enumerate(regions):
        there = taken.get(r)
        near = [there] if there is not None else [int(face) for face in np.flatnonzero(fits[r])]
        rivals = next((doubled[face] for face in near if face in doubled), None)
        if rivals is not None:
            faults[region.name] = f"one face bears {rivals}"
        elif name_key(region.name) in twice:
            faults[region.name] = "several faces of the photo bear this name"
        elif there is None and not _has_its_name(region, fits[r], named):
            faults[region.name] = "no face was found there"
    return _Fit(named, faults)


def _doubled(
    regions: Sequence[Region], fits: NDArray[np.bool_], taken: dict[int, int]
) -> Iterator[tuple[int, str]]:
    """Faces that bear two names: a region that found no other face fits one that is taken."""
    owners = {face: r for r, face in taken.items()}
    for r in range(len(regions)):
        if r in taken:
            continue
        for face in np.flatnonzero(fits[r]):
            other = owners.get(int(face))
            if other is not None and name_key(regions[other].name) != name_key(regions[r].name):
                both = sorted((regions[other].name, regions[r].name))
                yield int(face), f"the names {both[0]!r} and {both[1]!r}"


def _has_its_name(region: Region, fits: NDArray[np.bool_], named: dict[int, str]) -> bool:
    """Whether it is a second region around a face that has its name already."""
    return any(
        name_key(named.get(int(face), "")) == name_key(region.name) for face in np.flatnonzero(fits)
    )


def _overlap(box: Box, other: Box) -> float:
    """Intersection over union, in [0, 1]."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    return width * height / (area - width * height)
