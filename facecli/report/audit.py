"""What an audit found: for people, for programs, and as commands that would mend it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from facecli.evaluation.audit.findings import Audit, AuditFinding, FindingKind
from facecli.report.columns import ANYWHERE, Terminal, folded, table
from facecli.report.formats import SCHEMA, counted, printable, rounded, significant
from facecli.report.people import reference_row
from facecli.storage.records import ReferenceRow

# Rows by chance, and false-alarm value, up to which a command stands there ready, no comment.
SURE, SURE_ALARM = 0.1, 0.01
MOST_IDS = 6  # on a line; JSON has all
CHANCE = (
    "'by chance' is how many rows of its kind, as strong or stronger, a gallery of this size has "
    "without any fault: far below 1 is a fault, 1 and more is worth a look"
)


def audit_row(audit: Audit, top: int) -> dict[str, Any]:
    """The JSON object of `gallery audit`: the first `top` findings."""
    return {
        "schema": SCHEMA,
        "subjects": audit.subjects,
        "references": audit.references,
        "mated": audit.mated,
        "found": len(audit.findings),
        "findings": [_finding_row(f) for f in audit.findings[:top]],
    }


def audit_text(audit: Audit, top: int, terminal: Terminal = ANYWHERE) -> str:
    """A line a finding, the first `top`."""
    opening = heading(audit, top)
    if not audit.findings:
        return opening
    shown = audit.findings[:top]
    headers = ["#", "finding", "of", "in doubt", "evidence", "by chance"]
    cells = [
        [str(f.rank), str(f.kind), ", ".join(f.subjects), _ids(f.suspects), evidence(f),
         by_chance(f)]
        for f in shown
    ]  # fmt: skip
    return f"{opening}\n\n{table(cells, headers, terminal)}\n\n{folded(CHANCE, terminal)}"


def proposals(audit: Audit, top: int, gallery: Path | None = None) -> str:
    """Shell commands that would mend the first `top` findings, each below what it is about.

    What chance may explain, and what needs a look to choose by, stands there as a comment.
    """
    merged: dict[str, str] = {}
    lines = []
    for finding in audit.findings[:top]:
        about = ", ".join(printable(s) for s in finding.subjects)
        lines.append(f"# {finding.rank} {finding.kind}: {about}: {evidence(finding)}")
        lines += _commands(finding, merged, gallery)
    return "\n".join(lines)


def evidence(finding: AuditFinding) -> str:
    """Why, in a few words."""
    score, own = f"{finding.score:.3f}", finding.own_score
    if finding.kind is FindingKind.SAME_PHOTO:
        what = "equal files" if finding.expected == 0 else f"templates alike to {score}"
        fits = "" if math.isnan(own) else f", fits {printable(finding.subjects[0])} best: {own:.3f}"
        return what + fits
    if finding.kind is FindingKind.ONE_PERSON:
        return f"{score} between their templates"
    if finding.kind is FindingKind.SOMEBODY_ELSE:
        return f"{score} to {printable(finding.subjects[1])}, {own:.3f} to its own"
    if finding.kind is FindingKind.OUTLIER:
        return f"{score} to " + ("each other" if len(finding.suspects) > 1 else "its own")
    if finding.kind is FindingKind.SEVERAL_PEOPLE:
        return f"at least {len(finding.suspects)} people, by their faces: is it an album?"
    if finding.kind is FindingKind.DOUBLE:
        return "the same picture" if finding.expected == 0 else f"templates alike to {score}"
    if finding.kind is FindingKind.CHANGED:
        return "another file lies there now: enrol it again, with --replace for another picture"
    return f"quality {finding.score:.2f}"


def by_chance(finding: AuditFinding) -> str:
    """`expected` with two digits; nothing where it does not apply."""
    return "" if math.isnan(finding.expected) else f"{finding.expected:.2g}"


def heading(audit: Audit, top: int) -> str:
    """What was looked at, and how much was found."""
    looked = f"{counted(audit.subjects, 'subject')}, {counted(audit.references, 'reference')}"
    if not audit.findings:
        return f"looked at {looked}: nothing found"
    more = f", the first {top} shown" if len(audit.findings) > top else ""
    return f"looked at {looked}: {counted(len(audit.findings), 'finding')}{more}"


def _ids(references: Sequence[ReferenceRow]) -> str:
    more = f" and {len(references) - MOST_IDS:,} more" if len(references) > MOST_IDS else ""
    return ", ".join(str(r.id) for r in references[:MOST_IDS]) + more


def _finding_row(finding: AuditFinding) -> dict[str, Any]:
    return {
        "rank": finding.rank,
        "kind": str(finding.kind),
        "score": rounded(finding.score),
        "expected_by_chance": significant(finding.expected),
        "own_score": rounded(finding.own_score),
        "false_alarm": significant(finding.false_alarm),
        "subjects": list(finding.subjects),
        "suspects": [reference_row(r) for r in finding.suspects],
        "beside": [reference_row(r) for r in finding.beside],
    }


def _commands(finding: AuditFinding, merged: dict[str, str], gallery: Path | None) -> Iterator[str]:
    """merged: where subjects went by the commands before; taken into account and added to."""
    suspects = finding.suspects
    told_apart = len(suspects) == 1 or finding.kind is FindingKind.DOUBLE
    if finding.kind is FindingKind.SAME_PHOTO and not math.isnan(finding.own_score):
        # It fits the first subject's other photos best, so the other names are wrong.
        suspects = tuple(r for r in suspects if r.subject != finding.subjects[0])
        told_apart = True
    removals = [
        _command("remove", gallery, ["--yes", "--reference", str(r.id)], [_now(merged, r.subject)])
        for r in suspects
    ]
    sure = finding.expected <= SURE and not finding.false_alarm > SURE_ALARM  # either may be NaN
    if finding.kind is FindingKind.SEVERAL_PEOPLE:
        removals = [_command("remove", gallery, ["--yes"], [_now(merged, finding.subjects[0])])]
    if finding.kind is FindingKind.ONE_PERSON:
        into, name = (_now(merged, subject) for subject in finding.subjects)
        merge = _command("merge", gallery, [], [name, into])
        two = _command("distinct", gallery, [], [name, into])
        if sure:
            merged[name] = into
            yield merge
            yield f"# or, if only the photo is wrong: {removals[0]}"
            yield f"# or, if they are two people: {two}"
            return
        removals[:0] = [merge, two]
    if sure and told_apart:
        yield from removals
    else:
        yield "# look first, then perhaps" + (" one of:" if len(removals) > 1 else ":")
        yield from (f"# {removal}" for removal in removals)


def _now(merged: dict[str, str], name: str) -> str:
    while name in merged:
        name = merged[name]
    return name


def _command(verb: str, gallery: Path | None, options: list[str], names: list[str]) -> str:
    where = [] if gallery is None else ["--gallery", str(gallery)]
    words = ["facecli", "gallery", verb, *where, *options]
    if any(name.startswith("-") for name in names):
        words.append("--")
    return " ".join(_word(word) for word in [*words, *names])


def _word(text: str) -> str:
    """Quoted for a shell; what a terminal would obey is escaped as bash and zsh read it."""
    if printable(text) == text:
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{printable(escaped)}'"
