"""Who is in the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from facecli.common.enums import IndexKind
from facecli.report.columns import ANYWHERE, Terminal, short_path, table, titled_lines
from facecli.report.decisions import face_row
from facecli.report.formats import (
    SCHEMA,
    Row,
    counted,
)
from facecli.report.threshold import aim, point_row

if TYPE_CHECKING:
    from facecli.storage.records import GalleryInfo, IndexInfo, ReferenceRow, SubjectRow


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


def distinct_row(first: str, second: str) -> dict[str, Any]:
    """Two subjects who were said to be two people."""
    return {"schema": SCHEMA, "first": first, "second": second}


def distinct_table(rows: Sequence[Row], terminal: Terminal = ANYWHERE) -> str:
    """The same for people, a line a pair."""
    if not rows:
        return "no two subjects were said to be two people"
    return table([[r["first"], r["second"]] for r in rows], ["subject", "and not"], terminal)


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
