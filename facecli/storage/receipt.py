"""The receipt of an erasure: what was erased, when, and how it was verified, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from facecli.common import outputs
from facecli.common.errors import OutputError, UsageError
from facecli.common.version import __version__
from facecli.storage.interface import Erasure, Reader


def receipt(reader: Reader, done: Erasure, names: bool) -> dict[str, Any]:
    """No templates, no paths. reader: of the gallery that was erased from.

    People stand there as the audit log has them, as hashes keyed with the gallery's own secret;
    `names`: by name as well.
    """
    people = sorted(done.deleted.people)
    return {
        "format": "facecli-erasure",
        "version": 1,
        "facecli": __version__,
        "gallery": reader.gallery_id(),
        "embedder": reader.embedder_id,
        "at": done.at,
        "people": [reader.hashed(person) for person in people],
        **({"names": people} if names else {}),
        "references": done.deleted.references,
        "changes": done.deleted.changes,
        "complete": done.complete,
        "files_searched": done.verified.files,
        "strings_sought": done.verified.sought,
        "files_that_still_hold_some": len(done.verified.remains),
        "copies_beside_that_hold_some": len(done.verified.copies),
    }


def receipt_text(reader: Reader, done: Erasure, names: bool) -> str:
    """`receipt` as JSON."""
    return json.dumps(receipt(reader, done, names), ensure_ascii=False, indent=2)


def write_receipt(
    reader: Reader, done: Erasure, path: Path, names: bool, *, force: bool = False
) -> None:
    """Write it, 0600. Raises OutputError where that cannot be done, or something is there."""
    try:
        outputs.write(path, f"{receipt_text(reader, done, names)}\n".encode(), force=force)
    except (OutputError, UsageError) as error:
        raise OutputError(f"the erasure is done, but not its receipt: {error}") from error
