"""The receipt of an erasure: what was erased, when, and how it was verified, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from facecli.common import atomic
from facecli.common.errors import GalleryError
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


def write_receipt(reader: Reader, done: Erasure, path: Path, names: bool) -> None:
    """Write `receipt`, 0600. Raises GalleryError where that cannot be done."""
    text = json.dumps(receipt(reader, done, names), ensure_ascii=False, indent=2) + "\n"
    try:
        atomic.write(path, text.encode())
    except OSError as error:
        raise GalleryError(
            f"the erasure is done, but its receipt {path} cannot be written: {error.strerror}"
        ) from error
