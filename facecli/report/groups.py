"""Faces that nobody named yet, and the groups they are in: for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from facecli.common.enums import GroupState, LinkKind
from facecli.report.columns import short_path, table
from facecli.report.decisions import face_row
from facecli.report.formats import (
    SCHEMA,
    Row,
    counted,
    failure_line,
    printable,
    rounded,
)
from facecli.report.tracks import into_clip

if TYPE_CHECKING:
    from pathlib import Path

    from facecli.gallery.group import GroupReport
    from facecli.grouping.export import Exported
    from facecli.storage.records import FaceGroup, FaceLink, SeenFace
    from facecli.storage.sqlite.grouping_file import GroupingFile

MOST_SHOWN = 20  # groups that a text for people shows
MOST_LINKS = 7  # of each kind
MEANING = {
    LinkKind.REFUSED: "look alike, but the rest of their groups does not, or one photo shows both, "
    "or you put them apart: two people?",
    LinkKind.NEAR: "look a little less alike than one person does: one person?",
    LinkKind.WEAK: "hold one group together, and just so: two people?",
}


@dataclass(frozen=True, slots=True)
class Groups:
    """A grouping as it is now. faces: those of the links, by id. photos, apart: how many there
    are, and how many faces are too poor to be in a group.
    """

    groups: tuple[FaceGroup, ...]
    links: tuple[FaceLink, ...]
    faces: Mapping[int, SeenFace]
    photos: int
    apart: int

    @classmethod
    def of(cls, grouping: GroupingFile) -> Groups:
        """Read it."""
        links = grouping.links()
        concerned = {face for link in links for face in link.faces}
        photos, _, apart = grouping.counts()
        faces = {number: grouping.face(number) for number in sorted(concerned)}
        return cls(grouping.groups(), links, faces, photos, apart)


def grouped_row(report: GroupReport, found: Groups) -> dict[str, Any]:
    """The JSON object of `group PHOTOS`."""
    return {
        "schema": SCHEMA,
        "looked_at": report.looked_at,
        "already_seen": report.already,
        "skipped": [
            {"path": failure.path, "reason": failure_line(failure)} for failure in report.failures
        ],
        "photos": found.photos,
        "faces": sum(group.faces for group in found.groups) + found.apart,
        "apart": found.apart,
        "threshold": rounded(report.threshold),
        "target_fpir": report.rate,
        "groups": [group_row(group) for group in found.groups],
        "links": [link_row(link, found.faces) for link in found.links],
    }


def grouped_text(report: GroupReport, found: Groups) -> str:
    """What became of the photos, the largest groups, and the links worth a look."""
    lines = [
        f"looked at {counted(report.looked_at, 'photo')}, {report.already:,} seen before, "
        f"{len(report.failures):,} skipped"
    ]
    lines += [
        f"  skipped {printable(f.path)}: {printable(failure_line(f))}" for f in report.failures
    ]
    return "\n".join([*lines, summary(found), "", groups_text(found, everything=False)])


def summary(found: Groups) -> str:
    """`240 photos: 310 faces, ...`."""
    states = Counter[GroupState]()
    for group in found.groups:
        states[group.state] += group.faces
    several = [g for g in found.groups if g.faces > 1 and g.name is None]
    alone = sum(g.faces == 1 and g.name is None for g in found.groups)
    parts = [
        f"{states[GroupState.NAMED]:,} named" if states[GroupState.NAMED] else "",
        f"{states[GroupState.OFFERED]:,} of people enrolled" if states[GroupState.OFFERED] else "",
        f"{sum(g.faces for g in several):,} in {counted(len(several), 'group')}" if several else "",
        f"{alone:,} alone" if alone else "",
        f"{found.apart:,} too poor to tell" if found.apart else "",
    ]
    faces = sum(states.values()) + found.apart
    there = f"{counted(found.photos, 'photo')}, {counted(faces, 'face')}"
    return f"{there}: {', '.join(filter(None, parts))}" if faces else there


def groups_text(found: Groups, *, everything: bool) -> str:
    """The groups, largest first, and the links worth a look; all of them, or the first."""
    groups = found.groups if everything else [g for g in found.groups if g.faces > 1 or g.name]
    shown = groups if everything else groups[:MOST_SHOWN]
    parts = []
    if shown:
        cells = [
            [str(g.id), f"{g.faces:,}", str(g.state), g.name or "", _place(g.photo, g.at, 40)]
            for g in shown
        ]
        parts.append(table(cells, ["group", "faces", "state", "name", "best photo"]))
    left = len(found.groups) - len(shown)
    if left:
        parts.append(f"and {counted(left, 'group')} more: `facecli group list --all`")
    parts += _links_text(found, len(found.links) if everything else MOST_LINKS)
    return "\n".join(parts) or "no faces yet: facecli group PHOTOS"


def first_links(links: Sequence[FaceLink], most: int) -> list[FaceLink]:
    """The most doubtful of each kind."""
    return [
        link for kind in LinkKind for link in [each for each in links if each.kind is kind][:most]
    ]


def _links_text(found: Groups, most: int) -> list[str]:
    links = first_links(found.links, most)
    if not links:
        return []
    cells = [
        [str(link.kind), _groups(link), _face(link, 0, found.faces), _face(link, 1, found.faces),
         f"{link.score:.3f}", f"{link.threshold:.3f}"]
        for link in links
    ]  # fmt: skip
    headers = ["link", "of groups", "face", "and face", "score", "threshold"]
    kinds = {link.kind for link in found.links}
    lines = ["", "worth a look:", table(cells, headers)]
    if left := len(found.links) - len(links):
        lines.append(f"and {counted(left, 'link')} more: `facecli group list --all`")
    return lines + [f"  {kind}: {text}" for kind, text in MEANING.items() if kind in kinds]


def _groups(link: FaceLink) -> str:
    return ", ".join(str(group) for group in sorted(set(link.groups)))


def _face(link: FaceLink, end: int, faces: Mapping[int, SeenFace]) -> str:
    face = faces[link.faces[end]]
    return f"{face.id} {_place(face.path, face.at, 24)}"


def _place(path: str, at: float | None, width: int = 60) -> str:
    """Where a face is: a photo, or a clip with the time."""
    return short_path(path, width) + ("" if at is None else f" {into_clip(at)}")


def group_row(group: FaceGroup) -> dict[str, Any]:
    """A group as listed."""
    return {
        "group": group.id,
        "faces": group.faces,
        "state": str(group.state),
        "name": group.name,
        "photo": group.photo,
        "best_at": rounded(group.at),
    }


def link_row(link: FaceLink, faces: Mapping[int, SeenFace]) -> dict[str, Any]:
    """A link worth a look."""
    return {
        "kind": str(link.kind),
        "groups": sorted(set(link.groups)),
        "faces": list(link.faces),
        "photos": [faces[face].path for face in link.faces],
        "score": rounded(link.score),
        "threshold": rounded(link.threshold),
    }


def seen_row(face: SeenFace) -> dict[str, Any]:
    """A face of a group, without its template."""
    seen = face.seen
    start, end, best = (seen.start, seen.end, seen.best) if seen else (None, None, None)
    return {
        "face": face.id,
        "path": face.path,
        **face_row(face.found.face),
        "start": rounded(start),
        "end": rounded(end),
        "best_at": rounded(best),
        "photo_sha256": face.photo_sha256,
    }


def faces_table(faces: Sequence[SeenFace]) -> str:
    """A group's faces, for people."""
    cells = [
        [
            str(f.id),
            _place(f.path, f.at),
            f.found.face.position,
            f"{f.found.face.quality:.2f}",
        ]
        for f in faces
    ]
    return table(cells, ["face", "photo", "at, px", "quality"])


def named_text(row: Row, group: int) -> str:
    """What naming a group came to. row: of `people.enroll_row`."""
    skipped = [photo for photo in row["photos"] if photo["status"] == "skipped"]
    lines = [
        f"group {group}: enrolled {row['enrolled']}, already there {row['already_there']}, "
        f"skipped {row['skipped']}"
    ]
    lines += [f"  skipped {printable(p['path'])}: {printable(p['reason'])}" for p in skipped]
    return "\n".join(lines)


def exported_row(found: Exported) -> dict[str, Any]:
    """The JSON object of `group export`."""
    return {
        "schema": SCHEMA,
        "folders": found.folders,
        "written": found.written,
        "already_there": found.already,
        "skipped": [{"path": f.path, "reason": failure_line(f)} for f in found.failures],
    }


def exported_text(found: Exported, folder: Path) -> str:
    """The same for people."""
    lines = [
        f"{printable(str(folder))}: {counted(found.folders, 'folder')}, {found.written:,} written, "
        f"{found.already:,} there before, {len(found.failures):,} skipped"
    ]
    lines += [
        f"  skipped {printable(f.path)}: {printable(failure_line(f))}" for f in found.failures
    ]
    return "\n".join(lines)
