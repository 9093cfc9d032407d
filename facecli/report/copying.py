"""What a copy of a gallery came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facecli.report.formats import SCHEMA, counted

if TYPE_CHECKING:
    from facecli.storage.copying import Copied


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
