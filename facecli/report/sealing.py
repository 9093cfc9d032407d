"""A gallery encrypted or decrypted, told."""

from __future__ import annotations

from typing import Any

from facecli.report.formats import SCHEMA, counted, printable
from facecli.storage.maintenance.encryption import Sealed

_REST = (
    "Backups and exports made before, what the disk keeps of the old file by itself, swap and "
    "photos are not encrypted: encrypt the disk."
)


def sealed_row(done: Sealed, encrypted: bool) -> dict[str, Any]:
    """The JSON object of `gallery encrypt` and `gallery decrypt`."""
    return {
        "schema": SCHEMA,
        "encrypted": encrypted,
        "references": done.references,
        "overwritten": done.overwritten,
        "readable": [str(path) for path in done.readable],
    }


def sealed_text(done: Sealed, encrypted: bool) -> str:
    """The same for people."""
    what = "encrypted" if encrypted else "decrypted"
    lines = [f"{what} {counted(done.references, 'reference')}"]
    if not encrypted:
        return f"{lines[0]}; whoever can read the file can read them now"
    if done.overwritten:
        lines.append(f"the file as it was: {done.overwritten / 1e6:.1f} MB overwritten")
    else:
        lines.append("the file as it was is deleted, but could not be overwritten here")
    lines += [f"still readable without the key: {printable(str(path))}" for path in done.readable]
    return "\n".join([*lines, _REST])
