"""The answers of identify and verify."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from facecli.common.decision import accepts
from facecli.common.enums import Outcome
from facecli.report.formats import (
    SCHEMA,
    OutputFormat,
    as_csv,
    as_json,
    as_json_line,
    estimated,
    failure_line,
    printable,
    rounded,
    short_path,
    significant,
    table,
)
from facecli.report.threshold import aim, point_row

if TYPE_CHECKING:
    from facecli.common.types import Decision, Face, Probe
    from facecli.gallery.verify import Verification

FACE_FIELDS = ("x1", "y1", "x2", "y2", "detection_score", "quality")


def decision_row(decision: Decision) -> dict[str, Any]:
    """One face as a flat row: the fields of `--json` and the columns of `--csv`."""
    point, best = decision.operating_point, next(iter(decision.candidates), None)
    score = best.score if best else None
    failure = decision.failure
    return {
        "schema": SCHEMA,
        **probe_row(decision.probe),
        "decision": str(decision.outcome),
        "subject": decision.subject,
        "score": rounded(score),
        "threshold": rounded(decision.threshold if best else point.threshold),
        "margin": rounded(None if score is None else score - decision.threshold),
        "false_alarm": significant(decision.false_alarm),
        "reason": failure_line(failure) if failure else None,
        "candidates": [
            {
                "rank": c.rank,
                "subject": c.subject,
                "reference": c.reference_id,
                "score": rounded(c.score),
                "accepted": decision.subject is not None and c.rank == 1,
            }
            for c in decision.candidates
        ],
        "embedder": point.embedder_id,
        "operating_point": point_row(point),
    }


def decisions_text(decisions: Iterable[Decision], form: OutputFormat) -> Iterator[str]:
    """What `identify` prints, less newlines: rows as they come, a document or table at the end."""
    if form is OutputFormat.JSON:
        yield as_json([decision_row(d) for d in decisions])
    elif form is OutputFormat.TABLE:
        yield decisions_table(decisions)
    else:
        for number, row in enumerate(map(decision_row, decisions)):
            line = form is OutputFormat.JSON_LINES
            yield as_json_line(row) if line else as_csv([row], header=number == 0)


def decisions_table(decisions: Iterable[Decision]) -> str:
    """A line a face. An unknown one still shows its best candidate, marked below threshold."""
    headers = ["photo", "face", "answer", "score", "threshold", "false alarm", "note"]
    return table([_decision_cells(d) for d in decisions], headers)


def _decision_cells(d: Decision) -> list[str]:
    best = next(iter(d.candidates), None)
    note = failure_line(d.failure) if d.failure else ""
    if d.outcome is Outcome.LOW_QUALITY and best:
        below = "" if accepts(best.score, d.operating_point.threshold) else ", below threshold"
        note = f"{_low(d.probe.face)}nearest: {best.subject}{below}"
    if d.outcome is Outcome.UNKNOWN:
        note = f"nearest: {best.subject}, below threshold" if best else "the gallery is empty"
    if d.probe.face and d.probe.face.turned:
        note = f"turned {d.probe.face.turned} degrees" + (f"; {note}" if note else "")
    answer = d.subject if d.subject is not None else str(d.outcome).replace("_", " ")
    number = "" if d.probe.index is None else str(d.probe.index + 1)
    scores = [f"{best.score:.3f}", f"{d.threshold:.3f}"] if best else ["", ""]
    path = "(stdin)" if d.probe.path == "-" else short_path(d.probe.path)
    alarm = estimated(d.false_alarm, d.operating_point) if best else ""
    return [path, number, answer, *scores, alarm, note]


def _low(face: Face | None) -> str:
    """The measures that tell a face of low quality."""
    if face is None:
        return ""
    natural = f", naturalness {face.naturalness:.2f}" if face.naturalness < 1 else ""
    return f"quality {face.quality:.2f}{natural}; "


def verification_row(result: Verification) -> dict[str, Any]:
    """The JSON object of `verify`."""
    return {
        "schema": SCHEMA,
        "first": {**probe_row(result.first), "faces": result.faces[0]},
        "second": {**probe_row(result.second), "faces": result.faces[1]},
        "score": rounded(result.score),
        "threshold": rounded(result.operating_point.threshold),
        "margin": rounded(result.score - result.operating_point.threshold),
        "same_subject": result.accepted,
        "notes": list(verification_notes(result)),
        "operating_point": point_row(result.operating_point),
    }


def verification_text(result: Verification) -> str:
    """Two lines for people, and one for each note."""
    answer = "same subject" if result.accepted else "not shown to be the same subject"
    sign = ">=" if result.accepted else "<"
    point = result.operating_point
    lines = (
        f"{answer}: score {result.score:.3f} {sign} threshold {point.threshold:.3f}",
        f"threshold: {aim(point)}, {point.basis}",
        *map(printable, verification_notes(result)),
    )
    return "\n".join(lines)


def verification_notes(result: Verification) -> Iterator[str]:
    """Which of several faces was taken, and what makes one unreliable."""
    for probe, faces in zip((result.first, result.second), result.faces, strict=True):
        if faces > 1 and probe.face:
            place = probe.face.position
            yield f"{probe.path}: shows {faces} faces; the most prominent was taken, at {place} px"
        if probe.face and probe.face.turned:
            yield f"{probe.path}: was turned {probe.face.turned} degrees clockwise"
    for flaw in result.flaws:
        yield f"{flaw.path}: {failure_line(flaw)}"


def probe_row(probe: Probe) -> dict[str, Any]:
    return {
        "path": probe.path,
        "face": probe.index,
        **(face_row(probe.face) if probe.face else dict.fromkeys(FACE_FIELDS)),
        "turned": probe.face.turned if probe.face else None,
    }


def face_row(face: Face) -> dict[str, Any]:
    values = (*(round(v, 1) for v in face.box), round(face.detection_score, 4),
              round(face.quality, 4))  # fmt: skip
    return dict(zip(FACE_FIELDS, values, strict=True))
