"""Whether the photos that references were made of are still what they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from facecli.common.files import on_disk
from facecli.recognition import images
from facecli.storage.records import ReferenceRow


def changed(references: Iterable[ReferenceRow]) -> Iterator[tuple[ReferenceRow, ...]]:
    """The references of each photo in whose place other bytes lie now; those of one photo together.

    A file that was neither written nor moved there since is not read. One that is gone is none.
    """
    photos: dict[tuple[str, str], list[ReferenceRow]] = {}
    for row in references:
        photos.setdefault((row.path, row.photo_sha256), []).append(row)
    digests: dict[str, str | None] = {}
    for (path, sha256), rows in photos.items():
        if path not in digests:
            digests[path] = _digest(path) if _touched_since(path, rows[0].enrolled_at) else sha256
        if digests[path] not in (None, sha256):
            yield tuple(rows)


def _touched_since(path: str, moment: str) -> bool:
    """moment: ISO 8601, to the second."""
    try:
        info = on_disk(path).stat()
        enrolled = datetime.fromisoformat(moment).timestamp()
    except (OSError, ValueError):
        return False
    # ctime: a photo may be put there with the time of its making.
    return max(info.st_mtime, info.st_ctime) >= int(enrolled)


def _digest(path: str) -> str | None:
    found = images.sha256_of(on_disk(path))
    return found if isinstance(found, str) else None
