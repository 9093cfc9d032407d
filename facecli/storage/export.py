"""A gallery as a portable file, JSON Lines: a header, then one reference a line.

The header also has who is said to be distinct, where anybody is.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import numpy as np

from facecli.common import outputs
from facecli.common.errors import EmbedderMismatchError, GalleryError
from facecli.common.files import lines, regular
from facecli.common.names import name_fault, name_key
from facecli.common.types import Face, FaceTemplate, Float32, Template
from facecli.storage.interface import Reader, Storage, require_embedder
from facecli.storage.records import FARTHEST, SURE, NewReference, ReferenceRow

FORMAT = "facecli-gallery"
VERSION = 1
# What reading a hostile file may raise; json recurses, and its numbers have no bounds.
_NOT_OURS = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


def export(reader: Reader, path: Path, *, force: bool = False) -> int:
    """Write all references, templates included; returns how many. Whole or not at all, 0600.

    force: replace an older export, or other text. Raises UsageError where something else is there,
    OutputError where the file cannot be written.
    """
    with (
        outputs.draft(path, force=force) as draft,
        draft.open("w", encoding="utf-8", newline="\n") as out,
    ):
        count = -1  # the header is no reference
        for line in exported(reader):
            out.write(f"{line}\n")
            count += 1
    return count


def exported(reader: Reader) -> Iterator[str]:
    """The lines of an export: the header, then one a reference, all of one moment."""
    with reader.snapshot():
        header = {
            "format": FORMAT,
            "version": VERSION,
            "embedder": reader.embedder_id,
            "dimension": reader.dimension,
            "references": reader.counts()[1],
        }
        if pairs := [[one.name, other.name] for one, other in reader.distinct()]:
            header["distinct"] = pairs
        yield json.dumps(header)
        for row in reader.references():
            yield json.dumps(_to_line(row), ensure_ascii=False)


def import_(storage: Storage, path: Path) -> int:
    """Add what `export` wrote, its references in one transaction; returns how many were new.

    Raises GalleryError for a file that is not whole, of another embedder, or not ours at all;
    then nothing was added.
    """
    try:
        with regular(path).open(encoding="utf-8") as text:
            every = lines(text)
            promised, pairs = _promised(next(every, ""), storage)
            new = list(_read(every, storage.reader))
            if type(promised) is not int or len(new) != promised:
                raise ValueError(f"it promises {promised} references and holds {len(new)}")
            distinct = list(_two_people(pairs, {name_key(item.subject) for item in new}))
    except OSError as error:
        raise GalleryError(f"{path} cannot be read: {error.strerror}") from error
    except EmbedderMismatchError as error:
        raise EmbedderMismatchError(f"{path} is refused, nothing was imported: {error}") from error
    except _NOT_OURS as error:
        raise GalleryError(f"{path} is refused, nothing was imported: {error}") from error
    added = storage.add(new)
    for one, other in distinct:
        storage.distinct(one, other)
    storage.settle()
    return added


def _promised(line: str, storage: Storage) -> tuple[object, object]:
    """How many references the header says there are, and who is distinct, once the rest fits."""
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("it is not a gallery export")
    if header.get("version") != VERSION:
        raise ValueError(f"its version is {header.get('version')}, this facecli reads {VERSION}")
    require_embedder(storage, str(header.get("embedder")))
    return header.get("references"), header.get("distinct", [])


def _two_people(pairs: object, keys: Set[str]) -> Iterator[tuple[str, str]]:
    """keys: of those who are in the export."""
    if not isinstance(pairs, list):
        raise ValueError("who is distinct is no list")
    for one, other in pairs:
        if len({name_key(one), name_key(other)} & keys) < 2:
            raise ValueError(f"{one!r:.30} and {other!r:.30} are not two people of it")
        yield one, other


def _to_line(row: ReferenceRow) -> dict[str, Any]:
    return {
        "subject": row.subject,
        "vector": _packed(row.template.vector),
        "box": row.face.box,
        "landmarks": _packed(row.face.landmarks),
        "detection_score": row.face.detection_score,
        "quality": row.face.quality,
        "photo_sha256": row.photo_sha256,
        "face": row.face_index,
        "path": row.path,
    }


def _read(lines: Iterator[str], reader: Reader) -> Iterator[NewReference]:
    for number, line in enumerate(lines, start=2):
        try:
            yield _from_line(json.loads(line), reader)
        except KeyError as error:
            raise ValueError(f"line {number} has no {error}") from error
        except _NOT_OURS as error:
            raise ValueError(f"line {number}: {error}") from error


def _from_line(data: dict[str, Any], reader: Reader) -> NewReference:
    vector = _unpacked(data["vector"], (reader.dimension,))
    with np.errstate(all="ignore"):  # noise makes it warn of what is refused here
        norm = float(np.linalg.norm(vector))
    if not abs(norm - 1) < 1e-3:
        raise ValueError("the vector is not of unit norm")
    subject, path, index = data["subject"], data["path"], data["face"]
    if not isinstance(subject, str) or not isinstance(path, str):
        raise ValueError("a name or path is not text")
    if fault := name_fault(subject):
        raise ValueError(fault)
    sha256 = data["photo_sha256"]
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError("the photo's sha256 is not one")
    if type(index) is not int or not 0 <= index < 2**31:
        raise ValueError(f"{index} does not count a face")
    if "\0" in path:
        raise ValueError("the path holds a NUL")
    if not isinstance(data["box"], list):
        raise ValueError("the box is no list")
    x1, y1, x2, y2 = (_number(v, "the box", -FARTHEST, FARTHEST) for v in data["box"])
    if not (x1 < x2 and y1 < y2):
        raise ValueError("the box is empty")
    face = Face(
        (x1, y1, x2, y2),
        _unpacked(data["landmarks"], (5, 2)),
        _number(data["detection_score"], "the detection score", 0, SURE),
        _number(data["quality"], "the quality", 0, SURE),
    )
    found = FaceTemplate(face, Template(vector, reader.embedder_id))
    return NewReference(subject, found, sha256, index, path)


def _packed(values: Float32) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _unpacked(text: str, shape: tuple[int, ...]) -> Float32:
    values = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
    if values.size != np.prod(shape) or not np.isfinite(values).all():
        raise ValueError(f"not {'x'.join(map(str, shape))} finite numbers")
    return values.reshape(shape)


def _number(value: object, what: str, least: float, most: float) -> float:
    if type(value) not in (int, float) or not least <= value <= most:  # type: ignore[operator]
        raise ValueError(f"{what} is {value!r:.30}, not a number from {least:g} to {most:g}")
    return float(value)  # type: ignore[arg-type]
