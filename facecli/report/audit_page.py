"""What an audit found, as one self-contained page.

Importing this raises UsageError without Jinja2.
"""

from __future__ import annotations

from facecli.evaluation.audit.findings import Audit, FindingKind
from facecli.report.audit import CHANCE, SURE, by_chance, evidence, heading
from facecli.report.formats import counted, printable
from facecli.report.html import Figure, data_uri, render
from facecli.report.thumbnails import thumbnail
from facecli.storage.records import ReferenceRow

MEANING = {
    FindingKind.SAME_PHOTO: "The same photograph stands under several names.",
    FindingKind.ONE_PERSON: "Two subjects that are probably one person.",
    FindingKind.SOMEBODY_ELSE: "A reference nearer to another subject than to the rest of its own.",
    FindingKind.OUTLIER: "A reference unlike the rest of its subject.",
    FindingKind.SEVERAL_PEOPLE: "One of each person whose faces stand under one name.",
    FindingKind.DOUBLE: "One subject has the same photograph twice.",
    FindingKind.CHANGED: "Another file lies where an enrolled photo was.",
    FindingKind.LOW_QUALITY: "A face too small, turned away or unclear to be relied on.",
}


def audit_page(audit: Audit, top: int) -> str:
    """One self-contained HTML page with the faces side by side. Holds photos: keep it private."""
    cases = [
        {
            "rank": f.rank,
            "kind": str(f.kind),
            "subjects": [printable(s) for s in f.subjects],
            "evidence": evidence(f),
            "by_chance": by_chance(f),
            "faces": [_face(r, r in f.suspects) for r in (*f.suspects, *f.beside)],
        }
        for f in audit.findings[:top]
    ]
    present = {f.kind for f in audit.findings[:top]}
    meanings = [(str(kind), meaning) for kind, meaning in MEANING.items() if kind in present]
    sure = sum(f.expected <= SURE for f in audit.findings)  # NaN, of poor photos, is not
    context = {
        "heading": heading(audit, top), "chance": CHANCE, "meanings": meanings, "cases": cases,
        "figures": [
            Figure(f"{len(audit.findings):,}", "findings", "of wrong labels, and of poor photos"),
            Figure(f"{sure:,}", "of them are faults almost surely", f"by chance: up to {SURE:g}"),
            Figure(
                f"{audit.subjects:,}", "subjects looked at", counted(audit.references, "reference")
            ),
        ],
    }  # fmt: skip
    return render("audit.html", context)


def _face(reference: ReferenceRow, suspect: bool) -> dict[str, object]:
    picture = thumbnail(reference.path, reference.face.box)
    return {
        "source": data_uri(picture) if picture else None,
        "subject": printable(reference.subject),
        "id": reference.id,
        "path": printable(reference.path),
        "suspect": suspect,
    }
