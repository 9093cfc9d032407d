"""The answers of identify and verify."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from facecli.common.decision import accepts
from facecli.common.enums import Outcome, Target
from facecli.report.columns import ANYWHERE, Cell, Terminal, folded, short_path, table
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
    significant,
)
from facecli.report.threshold import aim, point_row
from facecli.report.tracks import span, track_row

if TYPE_CHECKING:
    from facecli.common.types import Candidate, Decision, Face, OperatingPoint, Probe
    from facecli.gallery.verify import Verification

PATH_WIDTH = 60  # columns at most; a longer path loses its beginning
FACE_FIELDS = ("x1", "y1", "x2", "y2", "detection_score", "quality")

# How the answers are counted, and their colours (SGR); the words alone say it, too.
WORDS = {
    Outcome.IDENTIFIED: "named",
    Outcome.POSSIBLE: "possible",
    Outcome.UNKNOWN: "unknown",
    Outcome.LOW_QUALITY: "low quality",
    Outcome.NO_FACE: "without a face",
    Outcome.FAILED: "failed",
}
COLOURS = {
    Outcome.IDENTIFIED: "1;32",
    Outcome.POSSIBLE: "33",
    Outcome.LOW_QUALITY: "2",
    Outcome.NO_FACE: "2",
    Outcome.FAILED: "31",
}


def decision_row(decision: Decision) -> dict[str, Any]:
    """One face as a row: the fields of `--json`."""
    point, lax = decision.operating_point, decision.possible_point
    best = next(iter(decision.candidates), None)
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
        "possible_threshold": rounded(decision.possible_threshold),
        "possible_rate": significant(lax.target_rate) if lax else None,
        "reason": failure_line(failure) if failure else _too_close(decision),
        "candidates": [_candidate_row(decision, c) for c in decision.candidates],
        "embedder": point.embedder_id,
        "operating_point": point_row(point),
        **track_row(decision.probe.track),
    }


def _too_close(d: Decision) -> str | None:
    """Why it is one of two, and nothing says which; None where that is not so."""
    if d.rival is None:
        return None
    (best, other), margin = d.possible, d.rival.margin
    needed = (
        "nothing says by how much they must differ: it takes 30 people with 3 photos each"
        if math.isnan(margin)
        else f"one must be {margin:.2f} higher"
    )
    return (
        f"{best.subject} or {other.subject}: {best.score:.3f} and {other.score:.3f} are too close "
        f"to tell, {needed}"
    )


def _candidate_row(decision: Decision, c: Candidate) -> dict[str, Any]:
    return {
        "rank": c.rank,
        "subject": c.subject,
        "reference": c.reference_id,
        "score": rounded(c.score),
        "accepted": decision.subject is not None and c.rank == 1,
        "possible": c in decision.possible,
    }


def flat_row(decision: Decision, columns: int = 0) -> dict[str, Any]:
    """The same for a spreadsheet: every cell is a number or plain text.

    columns: how many candidates have columns of their own; `nearest` is the best one's name.
    """
    row = decision_row(decision)
    ranked = row.pop("candidates")
    flat = dict[str, Any]()
    for key, value in row.items():
        flat[key] = value
        if key == "subject":
            flat["nearest"] = ranked[0]["subject"] if ranked else None
    flat["operating_point"] = _chosen(decision.operating_point)
    for number in range(1, columns + 1):
        found = ranked[number - 1] if number <= len(ranked) else {}
        for key in ("subject", "score", "reference", "possible"):
            flat[f"{key}_{number}"] = found.get(key)
    return flat


def decisions_text(
    decisions: Iterable[Decision],
    form: OutputFormat,
    terminal: Terminal = ANYWHERE,
    columns: int = 0,
) -> Iterator[str]:
    """What `identify` prints, less newlines: rows as they come, a document or table at the end.

    columns: of CSV, see `flat_row`.
    """
    if form is OutputFormat.JSON:
        yield as_json([decision_row(d) for d in decisions])
    elif form is OutputFormat.TABLE:
        yield decisions_table(list(decisions), terminal)
    elif form is OutputFormat.JSON_LINES:
        yield from (as_json_line(decision_row(d)) for d in decisions)
    else:
        for number, decision in enumerate(decisions):
            yield as_csv([flat_row(decision, columns)], header=number == 0)


def decisions_table(decisions: Sequence[Decision], terminal: Terminal = ANYWHERE) -> str:
    """The threshold, a line a face, and how many faces came to what.

    An unknown one still shows its best candidate.
    """
    if not decisions:
        return counts_line({})
    first = decisions[0]
    rows, path = list[list[str | Cell]](), None
    for d in decisions:
        place = "(stdin)" if d.probe.path == "-" else short_path(d.probe.path, PATH_WIDTH)
        rows.append([place if d.probe.path != path else "", *_decision_cells(d)])
        path = d.probe.path
    above = threshold_line(first.operating_point, first.possible_point)
    below = counts_line(Counter(d.outcome for d in decisions))
    shown = table(rows, ["photo", "face", "answer", "score", "note"], terminal)
    return "\n\n".join([folded(above, terminal), shown, folded(below, terminal)])


def track_line(decision: Decision) -> str:
    """One track on one line, for people who watch them come."""
    answer, score = _answer(decision), _score(decision)
    when = span(decision.probe.track) if decision.probe.track else ""
    parts = (when, answer, score, "; ".join(_notes(decision)))
    return "  ".join(printable(part) for part in parts if part)


def threshold_line(point: OperatingPoint, lax: OperatingPoint | None = None) -> str:
    """`threshold 0.346: FPIR 1 % among 1 subject, reference table`."""
    varies = " (higher for a face that resembles many people)" if point.crowd else ""
    line = f"threshold {point.threshold:.3f}{varies}: {_chosen(point)}"
    return line + (f"; possible from {lax.threshold:.3f}: {aim(lax)}" if lax else "")


def _chosen(point: OperatingPoint) -> str:
    """What a threshold was chosen for, and by what."""
    by_hand = point.target is Target.NONE
    return str(point.basis) if by_hand else f"{aim(point)}, {point.basis}"


def counts_line(counts: Mapping[Outcome, int]) -> str:
    """`80 named, 60 unknown, 3 low quality, 2 failed`."""
    found = [f"{counts[o]:,} {word}" for o, word in WORDS.items() if counts.get(o)]
    return ", ".join(found) or "no face"


def _decision_cells(d: Decision) -> list[str | Cell]:
    """The number of the face as JSON has it, the answer, its score, and what is to be said."""
    number = "" if d.probe.index is None else str(d.probe.index)
    when = [span(d.probe.track)] if d.probe.track else []
    notes = "; ".join([*when, *_notes(d)])
    return [number, Cell(_answer(d), COLOURS.get(d.outcome, "")), _score(d), notes]


def _answer(d: Decision) -> str:
    return d.subject if d.subject is not None else str(d.outcome).replace("_", " ")


def _score(d: Decision) -> str:
    return f"{d.candidates[0].score:.3f}" if d.candidates else ""


def _notes(d: Decision) -> Iterator[str]:
    best = next(iter(d.candidates), None)
    if d.probe.face and d.probe.face.turned:
        yield f"turned {d.probe.face.turned} degrees"
    if d.outcome is Outcome.IDENTIFIED:
        if not math.isnan(d.false_alarm):
            yield f"false alarm {estimated(d.false_alarm, d.operating_point)}"
    elif d.outcome is Outcome.POSSIBLE:
        first, *others = d.possible
        yield _too_close(d) or ", ".join(
            [f"perhaps {first.subject}", *(f"{c.subject} {c.score:.3f}" for c in others)]
        )
        if d.failure:
            yield failure_line(d.failure)
        if not math.isnan(d.false_alarm):
            yield f"false alarm {estimated(d.false_alarm, d.operating_point)}"
    elif d.outcome is Outcome.UNKNOWN:
        yield f"nearest: {best.subject}" if best else "the gallery is empty"
    elif d.outcome is Outcome.LOW_QUALITY and best:
        yield _low(d.probe.face)
        below = "" if accepts(best.score, d.threshold) else ", below threshold"
        yield f"nearest: {best.subject}{below}"
    elif d.failure:
        yield failure_line(d.failure)
    usual = d.operating_point.threshold
    judged = best and d.outcome is not Outcome.LOW_QUALITY
    if best and judged and accepts(best.score, usual) != accepts(best.score, d.threshold):
        many = "many" if d.threshold > usual else "few"
        yield f"resembles {many} people, so its own threshold is {d.threshold:.3f}"


def _low(face: Face | None) -> str:
    """The measures that tell a face of low quality."""
    if face is None:
        return "no measures"
    natural = f", naturalness {face.naturalness:.2f}" if face.naturalness < 1 else ""
    return f"quality {face.quality:.2f}{natural}"


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
