"""Who was enrolled and who is in the gallery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facecli.common.enums import IndexKind
from facecli.common.names import name_key
from facecli.datasets.photo_files import left_out_lines
from facecli.gallery.known_photos import PhotoChange
from facecli.report.columns import ANYWHERE, Terminal, short_path, table, titled_lines
from facecli.report.decisions import face_row
from facecli.report.formats import (
    SCHEMA,
    Row,
    counted,
    failure_line,
    printable,
)
from facecli.report.threshold import aim, point_row

if TYPE_CHECKING:
    from facecli.datasets.labels import LabelledPhoto, LabelledPhotos
    from facecli.gallery.enroll import EnrollReport
    from facecli.storage.records import GalleryInfo, IndexInfo, ReferenceRow, SubjectRow

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


def enroll_text(row: Row, info: GalleryInfo | None) -> str:
    """The summary: counts, each skipped photo with its reason, the gallery after it.

    info: None for a dry run.
    """
    lines = [
        f"{'' if info else 'dry run, nothing was changed: '}enrolled {row['enrolled']}, "
        f"already there {row['already_there']}, skipped {row['skipped']}"
    ]
    if info is None and row["subjects"]:
        cells = [[s["subject"], str(s["photos"]), s["named_by"]] for s in row["subjects"]]
        lines.append(table(cells, ["subject", "photos", "named by"]))
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
    found: dict[PhotoChange, list[str]] = {}
    for item in report.items:
        if item.change is not None:
            found.setdefault(item.change, []).append(item.path)
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


def _some(paths: Sequence[str]) -> str:
    """`2 photos: Ada/1.jpg, Ada/2.jpg`."""
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


def people(subjects: int, references: int) -> str:
    """`2 subjects, 5 references`."""
    return f"{counted(subjects, 'subject')}, {counted(references, 'reference')}"


def info_row(info: GalleryInfo) -> dict[str, Any]:
    """The JSON object of `gallery info`."""
    point = info.operating_point
    return {
        "schema": SCHEMA,
        "path": str(info.path),
        "subjects": info.subjects,
        "references": info.references,
        "embedder": info.embedder,
        "dimension": info.dimension,
        "created_at": info.created_at,
        "bytes": info.bytes,
        "encrypted": info.encrypted,
        "operating_point": point_row(point) if point else None,
        "index": {
            "kind": str(info.index.kind),
            "path": str(info.index.path) if info.index.path else None,
            "bytes": info.index.bytes,
            "tail": info.index.tail,
            "agreed": info.index.agreed,
            "asked": info.index.asked,
        },
    }


def info_text(info: GalleryInfo) -> str:
    """The same for people."""
    point = info.operating_point
    threshold = f"{point.threshold:.3f}, {aim(point)}" if point else "none, see facecli threshold"
    rows = [
        ("file", str(info.path)),
        ("subjects", str(info.subjects)),
        ("references", str(info.references)),
        ("embedder", info.embedder),
        ("created", info.created_at),
        ("size", "" if info.bytes is None else f"{info.bytes / 1e6:.1f} MB"),
        ("threshold", threshold),
        ("index", _index_text(info.index)),
    ]
    if info.encrypted:
        rows.append(("encrypted", "yes, and so no sidecar lies beside it, whatever its size"))
    return titled_lines([row for row in rows if row[1]])


def _index_text(index: IndexInfo) -> str:
    if index.kind is IndexKind.FLAT:
        return "flat: every template is compared"
    if index.kind is IndexKind.ENGINE:
        return f"Milvus: it finds {index.agreed} of {index.asked} made probes at the threshold"
    if index.kind is IndexKind.MISSING:
        return "sidecar: the next search makes it"
    behind = f"{counted(index.tail, 'subject')} behind, which are searched beside it"
    step = behind if index.tail else "in step"
    return (
        f"sidecar {index.path}, {index.bytes / 1e6:.1f} MB, {step}; as brute force for "
        f"{index.agreed} of {index.asked} probes"
    )


def subject_row(subject: SubjectRow) -> dict[str, Any]:
    """A subject as listed."""
    return {
        "subject": subject.name,
        "references": subject.references,
        "created_at": subject.created_at,
    }


def reference_row(ref: ReferenceRow) -> dict[str, Any]:
    """A reference without its template: that is biometric data, see `gallery export`."""
    return {
        "reference": ref.id,
        "subject": ref.subject,
        "path": ref.path,
        **face_row(ref.face),
        "photo_sha256": ref.photo_sha256,
        "enrolled_at": ref.enrolled_at,
    }


def subjects_table(rows: Sequence[Row], terminal: Terminal = ANYWHERE) -> str:
    """Everyone enrolled, for people."""
    if not rows:
        return "nobody is enrolled yet: facecli enroll PHOTOS"
    cells = [[r["subject"], str(r["references"]), r["created_at"]] for r in rows]
    return table(cells, ["subject", "references", "since"], terminal)


def references_table(rows: Sequence[Row], terminal: Terminal = ANYWHERE) -> str:
    """One subject's references, for people."""
    cells = [
        [str(r["reference"]), short_path(r["path"]), f"{r['quality']:.2f}", r["enrolled_at"]]
        for r in rows
    ]
    return table(cells, ["reference", "photo", "quality", "enrolled"], terminal)
