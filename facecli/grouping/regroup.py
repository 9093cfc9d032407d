"""A grouping file's faces put into groups, again and again, and what a person decided stays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facecli.common.enums import GroupState
from facecli.grouping.links import Grouped, Rows, Threshold, group
from facecli.storage.records import FaceGroup, FaceLink, SeenFace
from facecli.storage.sqlite.grouping_file import Assignment, GroupingFile


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody enrolled, whom a face was found to be. enrolled: whether from this very photo."""

    name: str
    enrolled: bool


def free(file: GroupingFile, enrolled: Sequence[str]) -> tuple[SeenFace, ...]:
    """The faces that no decision holds: those to be searched for and grouped.

    enrolled: the names there are. A group that was named and is no longer so is free again.
    """
    held = {g.id for g in file.groups() if _holds(g, enrolled)}
    return tuple(face for face in file.faces() if face.group not in held)


def regroup(
    file: GroupingFile,
    threshold: Threshold,
    bar: float,
    enrolled: Sequence[str],
    known: Mapping[int, Known],
    workers: int | None = None,
) -> float:
    """Group all faces anew; returns the threshold that linked them, NaN without any.

    bar: faces of a lower quality stand apart, unless a person put them somewhere. enrolled: as
    for `free`. known: who of the enrolled a free face is, by its id.
    Groups keep their numbers: what was decided its own, others that which most of their faces had.
    """
    groups = {g.id: g for g in file.groups()}
    faces = file.faces()
    held = {i for i, g in groups.items() if _holds(g, enrolled)}
    linked = [
        face for face in faces
        if (face.group not in held and face.id not in known and face.found.face.quality >= bar)
        or (face.group in held and groups[face.group].state is not GroupState.NAMED)
    ]  # fmt: skip
    named = [f for f in faces if f.group in held and groups[f.group].state is GroupState.NAMED]
    found = _group(linked, held, threshold, workers)
    taken = set(held)
    file.regroup(
        [
            *_kept(named, groups),
            *_offered(faces, groups, known, taken),
            *_numbered(linked, found, groups, held, taken),
        ],
        [
            FaceLink(
                link.kind, (linked[link.first].id, linked[link.second].id), (0, 0),
                link.score, link.threshold,
            )
            for link in found.links
        ],
    )  # fmt: skip
    return found.threshold


def _holds(found: FaceGroup, enrolled: Sequence[str]) -> bool:
    named = found.state is GroupState.NAMED
    return found.state.decided and (not named or found.name in enrolled)


def _group(
    faces: Sequence[SeenFace], held: set[int], threshold: Threshold, workers: int | None
) -> Grouped:
    fixed = np.array([face.group if face.group in held else -1 for face in faces], np.int64)
    vectors = np.stack([f.found.template.vector for f in faces]) if faces else np.empty((0, 1))
    return group(vectors.astype(np.float32), _moments(faces), threshold, fixed, workers)


def _moments(faces: Sequence[SeenFace]) -> Rows:
    """(p, 2): each face with the moments at which it is seen; two of one moment are two people.

    Of a photo there is one. Of a clip it is enough to ask when tracks begin: of two that are seen
    at once, the later begins while the other is there.
    """
    starts = defaultdict[int, set[float]](set)
    for face in faces:
        if face.seen:
            starts[face.photo].add(face.seen.start)
    numbers: dict[tuple[int, float], int] = {}
    rows = []
    for row, face in enumerate(faces):
        seen = face.seen
        here = (s for s in starts[face.photo] if seen and seen.start <= s <= seen.end)
        for moment in here if seen else (0.0,):
            rows.append((row, numbers.setdefault((face.photo, moment), len(numbers))))
    return np.array(rows, np.int64).reshape(-1, 2)


def _kept(faces: Sequence[SeenFace], groups: Mapping[int, FaceGroup]) -> Iterator[Assignment]:
    """What was named, as it is."""
    members = defaultdict[int, list[int]](list)
    for face in faces:
        assert face.group is not None
        members[face.group].append(face.id)
    for number, ids in members.items():
        yield Assignment(number, groups[number].state, groups[number].name, tuple(ids))


def _offered(
    faces: Sequence[SeenFace],
    groups: Mapping[int, FaceGroup],
    known: Mapping[int, Known],
    taken: set[int],
) -> Iterator[Assignment]:
    """A group for each of the enrolled who was found, and one for what shows them there already."""
    members = defaultdict[Known, list[int]](list)
    for face in faces:
        if face.id in known:
            members[known[face.id]].append(face.id)
    before = {(g.name, g.state): number for number, g in groups.items()}
    for who, ids in sorted(members.items(), key=lambda item: (-len(item[1]), item[0].name)):
        state = GroupState.NAMED if who.enrolled else GroupState.OFFERED
        number = before.get((who.name, state))
        if number is not None:
            taken.add(number)
        yield Assignment(number, state, who.name, tuple(ids))


def _numbered(
    faces: Sequence[SeenFace],
    found: Grouped,
    groups: Mapping[int, FaceGroup],
    held: set[int],
    taken: set[int],
) -> Iterator[Assignment]:
    """The groups found, the largest first: a held one's number, else the one that most had."""
    order = np.argsort(found.labels, kind="stable")
    starts = np.flatnonzero(np.diff(found.labels[order], prepend=-1))[1:]
    parts = [[faces[i] for i in rows] for rows in np.split(order, starts)] if len(faces) else []
    for members in sorted(parts, key=len, reverse=True):
        ids = tuple(face.id for face in members)
        before = Counter(face.group for face in members if face.group is not None)
        fixed = [number for number in before if number in held]
        if fixed:
            yield Assignment(fixed[0], groups[fixed[0]].state, None, ids)
            continue
        number = next((n for n, _ in before.most_common() if n not in taken), None)
        if number is not None:
            taken.add(number)
        yield Assignment(number, GroupState.FOUND, None, ids)
