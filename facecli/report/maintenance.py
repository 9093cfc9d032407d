"""A gallery as a whole: what was undone, erased, mended, logged, encrypted, copied, re-embedded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from facecli.common.enums import ChangeKind
from facecli.report.columns import ANYWHERE, Terminal, table
from facecli.report.formats import SCHEMA, Row, counted, failure_line, printable

if TYPE_CHECKING:
    from facecli.gallery.re_embed import LeftOut, ReEmbedding
    from facecli.storage.copying import Copied
    from facecli.storage.interface import Deleted, Erasure
    from facecli.storage.maintenance.encryption import Sealed
    from facecli.storage.maintenance.repair import Recovered, Repair
    from facecli.storage.records import Change, LogEntry

_YOURS = (
    "backups, exports and copies elsewhere are yours to erase, and what an SSD, a snapshot or a "
    "copy-on-write file system keeps is beyond any program: encrypt the disk"
)

_REST = (
    "Backups and exports made before, what the disk keeps of the old file by itself, swap and "
    "photos are not encrypted: encrypt the disk."
)


def change_row(change: Change) -> dict[str, Any]:
    """A change that can be undone."""
    return {
        "schema": SCHEMA,
        "change": change.id,
        "kind": str(change.kind),
        "subject": change.name or None,
        "other": change.other,
        "references": change.references,
        "at": change.at,
    }


def change_text(row: Row) -> str:
    """`rename of Ada to Bob`, `removal of Ada and 2 references`."""
    faces = counted(row["references"], "reference")
    return {
        ChangeKind.RENAME: f"rename of {row['subject']} to {row['other']}",
        ChangeKind.MERGE: f"merge of {row['subject']} into {row['other']}, {faces}",
        ChangeKind.REMOVE: f"removal of {row['subject']} and {faces}",
        ChangeKind.REMOVE_REFERENCE: f"removal of {faces} of {row['subject']}",
        ChangeKind.DISTINCT: f"{row['subject']} and {row['other']} said to be two people",
        ChangeKind.NOT_DISTINCT: f"{row['subject']} and {row['other']} no longer two people",
        ChangeKind.THRESHOLD: f"threshold by {row['other']}",
    }[ChangeKind(row["kind"])]


def changes_table(rows: Sequence[Row], terminal: Terminal = ANYWHERE) -> str:
    """What can be undone, for people."""
    if not rows:
        return "nothing can be undone"
    return table([[str(r["change"]), change_text(r), r["at"]] for r in rows],
                 ["change", "what", "when"], terminal)  # fmt: skip


def doomed_text(deleted: Deleted) -> str:
    """`2 people, 5 references and 3 changes`."""
    people = "1 person" if len(deleted.people) == 1 else f"{len(deleted.people):,} people"
    faces, changes = counted(deleted.references, "reference"), counted(deleted.changes, "change")
    return f"{people}, {faces} and {changes} that could be undone"


def erasure_row(done: Erasure) -> dict[str, Any]:
    """The JSON object of `gallery purge`."""
    seen = done.verified
    return {
        "schema": SCHEMA,
        "at": done.at,
        "people": len(done.deleted.people),
        "references": done.deleted.references,
        "changes": done.deleted.changes,
        "complete": done.complete,
        "busy": done.busy,
        "unproven": list(done.unproven),
        "resumed": done.resumed,
        "files_searched": seen.files,
        "remains": [str(path) for path in seen.remains],
        "copies": [str(path) for path in seen.copies],
        "shared": seen.shared,
    }


def erasure_text(done: Erasure) -> str:
    """What was erased, what the search of the files came to, and what is not ours to erase."""
    seen = done.verified
    files = counted(seen.files, "file")
    lines = [f"erased {doomed_text(done.deleted)}"]
    if done.resumed:
        lines.append(
            "an erasure that was cut short is ended, too; whom it had deleted is not known any "
            "more, so nothing was searched for them"
        )
    if not done.failed:
        sought = counted(seen.sought - seen.shared, "string")
        lines.append(
            f"verified: 0 occurrences of {sought} in {files}" if seen.files
            else f"verified: no read finds any of the {seen.sought:,} rows"
        )  # fmt: skip
        lines += [f"what cannot be seen from here may still hold it: {w}" for w in done.unproven]
    else:
        where = ", ".join(printable(str(path)) for path in seen.remains) or "the gallery's log"
        lines.append(f"NOT complete: {where} may still hold what was deleted")
    if done.busy:
        lines.append(
            "another program reads the gallery and keeps the old bytes on disk: close it, then "
            "`facecli gallery purge --removed` ends the erasure and searches again"
        )
    if seen.shared:
        lines.append(
            f"{counted(seen.shared, 'string')} more could not be told apart: others who stay have "
            "the same photo, or a like name or path"
        )
    lines += [f"a copy that still holds them: {printable(str(path))}" for path in seen.copies]
    return "\n".join([*lines, _YOURS])


def repair_text(done: Repair) -> str:
    """What was mended or recovered, and what is still wrong."""
    if done.recovered:
        return _recovered_text(done.recovered)
    lines = list[str]()
    if mended := done.mended:
        lines.append(
            f"worked out {counted(mended.templates, 'template')} and the indices anew, "
            f"set {counted(len(mended.set_aside), 'reference')} aside, "
            f"dropped {counted(mended.dropped, 'orphan')}"
        )
        lines += [f"  reference {number} of {printable(name)} has no template that can be used; "
                  "undo brings it back" for number, name in mended.set_aside]  # fmt: skip
        lines += [f"  still wrong: {printable(fault)}" for fault in mended.faults]
        if not mended.faults:
            lines.append("sound")
    if done.copy:
        lines.append(f"the gallery as it was: {printable(str(done.copy))}")
    return "\n".join(lines)


def _recovered_text(found: Recovered) -> str:
    of = "" if found.expected is None else f" of {found.expected:,}"
    lines = [
        f"the file itself is damaged, and was left as it is: {found.references:,}{of} references "
        f"of {counted(found.subjects, 'subject')} could be read"
    ]
    if found.nameless:
        lines.append(f"{counted(found.nameless, 'subject')} lost the name: rename them")
    lines.append(f"they are in {printable(str(found.path))}: look it over, then use it instead")
    return "\n".join(lines)


def log_row(entry: LogEntry) -> dict[str, Any]:
    """An entry of the audit log."""
    return {
        "entry": entry.id,
        "at": entry.at,
        "action": entry.action,
        "subject": entry.subject,
        "photo": entry.photo,
        "mac": entry.mac,
    }


def log_table(rows: Sequence[Row], terminal: Terminal = ANYWHERE) -> str:
    """The audit log, for people: the first 12 digits of each hash."""
    if not rows:
        return "the audit log is empty: `facecli gallery log --on` starts it"
    cells = [
        [str(r["entry"]), r["at"], r["action"], *((r[k] or "")[:12] for k in _HASHES)] for r in rows
    ]
    return table(cells, ["entry", "when", "what", *_HASHES], terminal)


_HASHES = ("subject", "photo", "mac")


def sealed_row(done: Sealed, encrypted: bool) -> dict[str, Any]:
    """The JSON object of `gallery encrypt` and `gallery decrypt`."""
    return {
        "schema": SCHEMA,
        "encrypted": encrypted,
        "references": done.references,
        "overwritten": done.overwritten,
        "readable": [str(path) for path in done.readable],
        "other_names": done.other_names,
    }


def sealed_text(done: Sealed, encrypted: bool) -> str:
    """The same for people."""
    what = "encrypted" if encrypted else "decrypted"
    lines = [f"{what} {counted(done.references, 'reference')}"]
    if done.other_names:
        names = counted(done.other_names, "other name")
        lines.append(f"the file as it was has {names} (hard links), and is kept there as it was")
    if not encrypted:
        return "\n".join([f"{lines[0]}; whoever can read the file can read them now", *lines[1:]])
    if done.overwritten:
        lines.append(f"the file as it was: {done.overwritten / 1e6:.1f} MB overwritten")
    elif not done.other_names:
        lines.append("the file as it was is deleted, but could not be overwritten here")
    lines += [f"still readable without the key: {printable(str(path))}" for path in done.readable]
    return "\n".join([*lines, _REST])


def copied_row(done: Copied) -> dict[str, Any]:
    """The JSON object of `gallery copy`."""
    return {
        "schema": SCHEMA,
        "added": done.added,
        "subjects": done.contents.subjects,
        "references": done.contents.references,
        "threshold_choices": done.contents.choices,
        "checksum": done.contents.checksum,
    }


def copied_text(done: Copied) -> str:
    """The same for people."""
    held = done.contents
    people = f"{counted(held.subjects, 'subject')}, {counted(held.references, 'reference')}"
    choices = counted(held.choices, "threshold choice")
    return (
        f"copied {counted(done.added, 'reference')}\n"
        f"compared: both hold {people}, {choices}; checksum {held.checksum[:16]}"
    )


def re_embedding_row(result: ReEmbedding) -> dict[str, Any]:
    """The JSON object of `gallery re-embed`."""
    return {
        "schema": SCHEMA,
        "embedder": result.embedder_id,
        "gallery": str(result.gallery),
        "old": None if result.old is None else str(result.old),
        "references": result.references,
        "left_out": [
            {
                "reference": out.reference,
                "subject": out.subject,
                "path": out.failure.path,
                "reason": str(out.failure.reason),
                "detail": out.failure.detail,
            }
            for out in result.left_out
        ],
    }


def re_embedding_text(result: ReEmbedding) -> str:
    """What was moved, what was not, and where the old gallery is."""
    model = result.embedder_id.split(":")[0]
    faces = counted(result.references, "reference")
    lines = [f"re-embedded {faces} with {model}, left out {len(result.left_out):,}"]
    lines.append("the threshold is the new embedder's: calibrate again where you had calibrated")
    if result.old is not None:
        lines.append(f"the gallery as it was: {printable(str(result.old))}")
    return "\n".join(lines)


def left_out_text(left_out: Sequence[LeftOut]) -> str:
    """A line for each reference that gets no template."""
    return "\n".join(
        [
            f"{counted(len(left_out), 'reference')} cannot be re-embedded:",
            *(
                f"  reference {out.reference} of {printable(out.subject)}, "
                f"{printable(out.failure.path)}: {failure_line(out.failure)}"
                for out in left_out
            ),
        ]
    )
