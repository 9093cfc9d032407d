"""Who was enrolled: what became of each photo, and what the user should know of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from facecli.common.names import name_key
from facecli.datasets.labels import LabelledPhoto, LabelledPhotos
from facecli.datasets.photo_files import left_out_lines
from facecli.gallery.enroll import EnrollReport
from facecli.gallery.known_photos import PhotoChange
from facecli.report.columns import ANYWHERE, Terminal, short_path, table
from facecli.report.formats import SCHEMA, Row, counted, failure_line, printable
from facecli.report.people import people
from facecli.storage.records import GalleryInfo

MOST_NAMED = 3  # photos that a line names
MOST_ALIKE = 3  # photos of a folder, skipped for the same reason, that have a line each


def enroll_row(report: EnrollReport, layout: LabelledPhotos) -> dict[str, Any]:
    """The machine-readable report of a run over these photos."""
    items = [
        {
            "path": i.path,
            "subject": i.subject,
            "status": str(i.status),
            "faces": i.faces,
            "left_out": i.left_out,
            "change": str(i.change) if i.change else None,
            "reason": failure_line(i.failure) if i.failure else None,
        }
        for i in report.items
    ]
    items += [
        {"path": p.path, "subject": None, "status": "skipped", "faces": 0, "left_out": 0,
         "change": None, "reason": failure_line(p)}
        for p in layout.problems
    ]  # fmt: skip
    counts = {
        s: sum(i["status"] == s for i in items) for s in ("enrolled", "already there", "skipped")
    }
    kinds = Counter(item.kind for item in layout.left_out if item.kind)
    return {
        "schema": SCHEMA,
        **{k.replace(" ", "_"): v for k, v in counts.items()},
        "subjects": [_named_row(*named) for named in _named(layout)],
        "left_out_files": dict(kinds.most_common()),
        "passed_over": [str(item.path) for item in layout.left_out if not item.kind],
        "taken_out": report.taken_out,
        "mixed": [
            {"subject": m.subject, "people": m.people, "references": m.references}
            for m in report.mixed
        ],
        "notes": [
            *left_out_lines(layout.left_out),
            *layout.notes,
            *_changes(report),
            *_mixed(report),
        ],
        "photos": items,
    }


def enroll_text(row: Row, info: GalleryInfo | None, terminal: Terminal = ANYWHERE) -> str:
    """The summary: counts, each skipped photo with its reason, the gallery after it.

    info: None for a dry run.
    """
    lines = [
        f"{'' if info else 'dry run, nothing was changed: '}enrolled {row['enrolled']}, "
        f"already there {row['already_there']}, skipped {row['skipped']}"
    ]
    if info is None and row["subjects"]:
        cells = [[s["subject"], str(s["photos"]), s["named_by"]] for s in row["subjects"]]
        lines.append(table(cells, ["subject", "photos", "named by"], terminal))
    lines += _skipped([p for p in row["photos"] if p["status"] == "skipped"])
    others = [p for p in row["photos"] if p["left_out"]]
    if others:
        named = ", ".join(printable(short_path(p["path"])) for p in others[:MOST_NAMED])
        more = f" and {counted(len(others) - MOST_NAMED, 'other')}" if others[MOST_NAMED:] else ""
        faces = counted(sum(p["left_out"] for p in others), "other face")
        lines.append(f"left out {faces} of {counted(len(others), 'photo')}: {named}{more}")
    lines += [printable(note) for note in row["notes"]]
    if info:
        held = people(info.subjects, info.references)
        lines.append(f"gallery {printable(str(info.path))}: {held}")
    return "\n".join(lines)


def _named(layout: LabelledPhotos) -> Iterator[tuple[str, int, str]]:
    """Each subject in order, how many photos are labelled so, and where the name was read."""
    photos: dict[str, list[LabelledPhoto]] = {}
    for photo in layout.photos:
        photos.setdefault(name_key(photo.subject), []).append(photo)
    for some in photos.values():
        sources = dict.fromkeys(str(photo.named_by) for photo in some)
        yield some[0].subject, len(some), " and ".join(sources)


def _named_row(subject: str, photos: int, named_by: str) -> dict[str, Any]:
    return {"subject": subject, "photos": photos, "named_by": named_by}


def _changes(report: EnrollReport) -> Iterator[str]:
    """What had become of photos that were enrolled before, in a line each."""
    found: dict[PhotoChange, dict[str, None]] = {}  # each photo once, whomever it shows
    for item in report.items:
        if item.change is not None:
            found.setdefault(item.change, {})[item.path] = None
    if moved := found.get(PhotoChange.MOVED):
        yield f"moved since they were enrolled, and noted where they are: {_some(moved)}"
    if edited := found.get(PhotoChange.EDITED):
        yield f"already there, only their metadata changed: {_some(edited)}"
    if replaced := found.get(PhotoChange.REPLACED):
        what = (
            f"{counted(report.taken_out, 'reference')} taken out, `facecli gallery undo` brings "
            "them back"
            if report.taken_out
            else "what they gave before stays; --replace takes it out"
        )
        yield f"another picture than was enrolled from there: {_some(replaced)}; {what}"


def _mixed(report: EnrollReport) -> Iterator[str]:
    for found in report.mixed:
        yield (
            f"{found.subject}: its {found.references:,} references are of at least {found.people} "
            "people, by their faces; is it an album?"
        )


def _some(photos: Iterable[str]) -> str:
    """`2 photos: Ada/1.jpg, Ada/2.jpg`."""
    paths = list(photos)
    named = ", ".join(short_path(path) for path in paths[:MOST_NAMED])
    more = f" and {len(paths) - MOST_NAMED:,} more" if len(paths) > MOST_NAMED else ""
    return f"{counted(len(paths), 'photo')}: {named}{more}"


def _skipped(photos: Sequence[Row]) -> Iterator[str]:
    """A line a photo that was skipped; one for all of a folder with the same reason."""
    alike: dict[tuple[str, str], list[Row]] = {}
    for photo in photos:
        alike.setdefault((str(Path(photo["path"]).parent), photo["reason"]), []).append(photo)
    for (folder, reason), some in alike.items():
        if len(some) > MOST_ALIKE:
            where = f"{len(some):,} photos in {printable(folder)}"
            yield f"  skipped {where}: {printable(reason)}"
        else:
            yield from (f"  skipped {printable(p['path'])}: {printable(reason)}" for p in some)
