"""The groups of faces that nobody named yet, as one self-contained page.

Importing this raises UsageError without Jinja2.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from facecli.common.enums import GroupState
from facecli.common.parallel import ordered
from facecli.grouping.review import shown
from facecli.report.formats import counted, printable
from facecli.report.groups import MEANING, Groups, first_links, summary
from facecli.report.html import data_uri, render
from facecli.report.thumbnails import of_clip, thumbnail
from facecli.report.tracks import into_clip
from facecli.storage.records import FaceGroup, FaceLink, SeenFace

MOST_GROUPS = 100
MOST_FACES = 8  # of a group
MOST_LINKS = 12  # of each kind
SIDE = 192  # px of a picture, shown at 128


def groups_page(found: Groups, faces_of: Callable[[int], Sequence[SeenFace]]) -> str:
    """One self-contained HTML page: links worth a look, then the largest groups, undecided first.

    faces_of: a group's faces, the best quality first. Holds photos: keep it private.
    """
    settled = (GroupState.NAMED, GroupState.IGNORED)
    waiting = [group for group in found.groups if group.state not in settled and group.faces > 1]
    decided = [group for group in found.groups if group.state in settled]
    largest, rest = waiting[:MOST_GROUPS], waiting[MOST_GROUPS:]
    members = {group.id: shown(faces_of(group.id), MOST_FACES) for group in largest}
    links = first_links(found.links, MOST_LINKS)
    faces = {face.id: face for some in members.values() for face in some}
    faces |= {face: found.faces[face] for link in links for face in link.faces}
    pictures = _pictures(list(faces.values()))
    context = {
        "heading": summary(found),
        "meanings": [(kind, text) for kind, text in MEANING.items() if kind in _kinds(links)],
        "links": [_link(link, found, pictures) for link in links],
        "more_links": len(found.links) - len(links),
        "groups": [_group(group, members[group.id], pictures) for group in largest],
        "rest": _sizes(rest),
        "more": counted(len(rest), "group"),
        "settled": [
            (str(group.state), printable(group.name or ""), counted(group.faces, "face"), group.id)
            for group in decided[:MOST_GROUPS]
        ],
        "more_settled": max(0, len(decided) - MOST_GROUPS),
    }
    return render("groups.html", context)


def _kinds(links: Sequence[FaceLink]) -> set[str]:
    return {link.kind for link in links}


def _pictures(faces: Sequence[SeenFace]) -> dict[int, str | None]:
    """Each face as the source of an <img>; None where its photo cannot be read any more."""
    clips = defaultdict[str, list[SeenFace]](list)
    for face in faces:
        if face.seen:
            clips[face.path].append(face)
    alone = [[face] for face in faces if not face.seen]
    together = [*alone, *clips.values()]
    found: dict[int, str | None] = {}
    for some, pictures in zip(together, ordered(_drawn, together), strict=True):
        for face, picture in zip(some, pictures, strict=True):
            found[face.id] = data_uri(picture) if picture else None
    return found


def _drawn(faces: Sequence[SeenFace]) -> list[bytes | None]:
    """A photo's face, or all of a clip."""
    path = faces[0].path
    moments = [(face.seen.best, face.found.face.box) for face in faces if face.seen]
    return (
        of_clip(path, moments, SIDE)
        if moments
        else [thumbnail(path, faces[0].found.face.box, SIDE)]
    )


def _face(face: SeenFace, pictures: dict[int, str | None]) -> dict[str, Any]:
    at = None if face.at is None else into_clip(face.at)
    return {
        "id": face.id,
        "source": pictures[face.id],
        "path": printable(face.path) + (f" {at}" if at else ""),
        "at": at,
    }


def _link(link: FaceLink, found: Groups, pictures: dict[int, str | None]) -> dict[str, Any]:
    groups = sorted(set(link.groups))
    return {
        "kind": str(link.kind),
        "groups": groups,
        "score": f"{link.score:.3f}",
        "threshold": f"{link.threshold:.3f}",
        "faces": [_face(found.faces[face], pictures) for face in link.faces],
    }


def _group(
    group: FaceGroup, faces: Sequence[SeenFace], pictures: dict[int, str | None]
) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": printable(group.name or ""),
        "state": str(group.state),
        "count": counted(group.faces, "face"),
        "more": group.faces - len(faces),
        "faces": [_face(face, pictures) for face in faces],
    }


def _sizes(groups: Sequence[FaceGroup]) -> list[tuple[str, str]]:
    """How many groups there are of each size, in words."""
    sizes = Counter(group.faces for group in groups)
    return [(counted(sizes[n], "group"), counted(n, "face")) for n in sorted(sizes, reverse=True)]
