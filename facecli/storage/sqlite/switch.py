"""Another embedder's templates in the place of a gallery's own: SQL within a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Set
from pathlib import Path

import numpy as np

from facecli.common.errors import GalleryError
from facecli.storage.records import ReferenceRow

_WORK = ".re-embed-"


def work_path(gallery: Path, model: str) -> Path:
    """Where the templates that `model` has made so far lie, until the switch."""
    return gallery.with_name(f"{gallery.name}{_WORK}{model}")


def work_files(gallery: Path) -> list[Path]:
    """Everything that unfinished moves to another embedder keep beside a gallery."""
    return [p for p in gallery.parent.iterdir() if p.name.startswith(gallery.name + _WORK)]


def references(db: sqlite3.Connection, made: Iterable[ReferenceRow], left_out: Set[int]) -> int:
    """Give the references their new templates and delete those without one.

    made: each one's new face and template, its `subject` the reference's id. left_out: ids of
    those that are known to get none. Returns how many there are. Raises GalleryError where others
    get none either.
    """
    done = set[int]()
    for row in made:
        face, number = row.face, int(row.subject)
        done |= {number} if db.execute(
            "UPDATE reference SET vector = ?, x1 = ?, y1 = ?, x2 = ?, y2 = ?, landmarks = ?, "
            "detection_score = ?, quality = ? WHERE id = ? AND photo_sha256 = ?",
            (row.template.vector.astype(np.float32).tobytes(), *face.box,
             face.landmarks.astype(np.float32).tobytes(), face.detection_score, face.quality,
             number, row.photo_sha256),
        ).rowcount else set()  # fmt: skip
    without = {row[0] for row in db.execute("SELECT id FROM reference")} - done
    if late := without - left_out:
        raise GalleryError(
            f"{len(late)} of the references were enrolled while others were re-embedded: run the "
            "same command again, it goes on"
        )
    if not done:
        raise GalleryError("nothing was changed: no reference could be re-embedded")
    db.executemany("DELETE FROM reference WHERE id = ?", ((number,) for number in without))
    return len(done)


def gallery(db: sqlite3.Connection, embedder_id: str, dimension: int) -> tuple[list[str], set[int]]:
    """The gallery is the new embedder's: what belonged to the old one goes.

    Returns the names of the subjects that have no reference left, and the others' ids.
    """
    db.execute("UPDATE gallery SET embedder_id = ?, dimension = ?", (embedder_id, dimension))
    for table in ("change", "calibration", "fit"):  # a change's rows follow it
        db.execute(f"DELETE FROM {table}")
    gone = [
        str(row[0])
        for row in db.execute(
            "DELETE FROM subject WHERE id NOT IN (SELECT subject_id FROM reference) RETURNING name"
        )
    ]
    return gone, {int(row[0]) for row in db.execute("SELECT id FROM subject")}
