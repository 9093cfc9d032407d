"""Who was enrolled and who is in the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from facecli.enrol import EnrolReport
from facecli.records import GalleryInfo, ReferenceRow, SubjectRow
from facecli.report.decisions import face_row
from facecli.report.formats import (
    SCHEMA,
    Row,
    counted,
    failure_line,
    printable,
    short_path,
    table,
)
from facecli.report.threshold import aim, point_row
from facecli.types import FailureToAcquire


def enrol_row(report: EnrolReport, problems: Sequence[FailureToAcquire]) -> dict[str, Any]:
    """The machine-readable report of a run."""
    items = [
        {
            "path": i.path,
            "subject": i.subject,
            "status": str(i.status),
            "faces": i.faces,
            "reason": failure_line(i.failure) if i.failure else None,
        }
        for i in report.items
    ]
    items += [
        {"path": p.path, "subject": None, "status": "skipped", "faces": 0,
         "reason": failure_line(p)}
        for p in problems
    ]  # fmt: skip
    counts = {
        s: sum(i["status"] == s for i in items) for s in ("enrolled", "already there", "skipped")
    }
    return {"schema": SCHEMA, **{k.replace(" ", "_"): v for k, v in counts.items()},
            "photos": items}  # fmt: skip


def enrol_text(row: Row, info: GalleryInfo) -> str:
    """The summary: counts, each skipped photo with its reason, the gallery after it."""
    lines = [
        f"enrolled {row['enrolled']}, already there {row['already_there']}, "
        f"skipped {row['skipped']}"
    ]
    lines += [
        f"  skipped {printable(p['path'])}: {printable(p['reason'])}"
        for p in row["photos"]
        if p["status"] == "skipped"
    ]
    lines.append(f"gallery {printable(str(info.path))}: {people(info)}")
    return "\n".join(lines)


def people(info: GalleryInfo) -> str:
    """`2 subjects, 5 references`."""
    return f"{counted(info.subjects, 'subject')}, {counted(info.references, 'reference')}"


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
        "operating_point": point_row(point) if point else None,
    }


def info_text(info: GalleryInfo) -> str:
    """The same for people."""
    point = info.operating_point
    threshold = f"{point.threshold:.3f}, {aim(point)}" if point else "none, see facecli threshold"
    rows = [
        ["file", str(info.path)],
        ["subjects", str(info.subjects)],
        ["references", str(info.references)],
        ["embedder", info.embedder],
        ["created", info.created_at],
        ["size", f"{info.bytes / 1e6:.1f} MB"],
        ["threshold", threshold],
    ]
    cells = [[k, printable(v)] for k, v in rows]
    return str(tabulate(cells, tablefmt="plain", disable_numparse=True))


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


def subjects_table(rows: Sequence[Row]) -> str:
    """Everyone enrolled, for people."""
    if not rows:
        return "nobody is enrolled yet: facecli enroll PHOTOS"
    cells = [[r["subject"], str(r["references"]), r["created_at"]] for r in rows]
    return table(cells, ["subject", "references", "since"])


def references_table(rows: Sequence[Row]) -> str:
    """One subject's references, for people."""
    cells = [
        [str(r["reference"]), short_path(r["path"]), f"{r['quality']:.2f}", r["enrolled_at"]]
        for r in rows
    ]
    return table(cells, ["reference", "photo", "quality", "enrolled"])
