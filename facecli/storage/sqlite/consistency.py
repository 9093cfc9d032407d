"""What is wrong with a gallery's rows, and putting them in order: SQL within a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from facecli.common.types import Float32
from facecli.storage.records import mean_template
from facecli.storage.sqlite import (
    audit_log,
    deletion,
    reference_rows,
    subject_rows,
    undo,
    values,
)

_NO_LANDMARKS = "(typeof(landmarks) <> 'blob' OR length(landmarks) <> 40)"  # 5 x 2 float32
_TOLERANCE = 1e-5  # of a template's values: between machines, a mean differs in its last bits


@dataclass(frozen=True, slots=True)
class Mended:
    """What was put in order. faults: what is still wrong, a line each.

    set_aside: (reference, subject) of those without a template; `undo` brings them back.
    templates: subjects whose template was worked out anew. dropped: orphans deleted.
    """

    set_aside: tuple[tuple[int, str], ...]
    templates: int
    dropped: int
    faults: tuple[str, ...]


def vector(blob: object, dimension: int) -> Float32 | None:
    """The (dimension,) float32 unit vector that a column holds; None where it holds none."""
    if not isinstance(blob, bytes) or len(blob) != dimension * 4:
        return None
    found = np.frombuffer(blob, np.float32)
    with np.errstate(all="ignore"):  # noise makes it warn of what is no vector here
        return found if abs(float(np.linalg.norm(found)) - 1) < 1e-3 else None


def faults(db: sqlite3.Connection, dimension: int) -> Iterator[str]:
    """What is wrong, a line each: pages, keys, the audit log, an erasure, faces, templates."""
    damaged = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    yield from damaged
    if damaged:  # then rows may lie anywhere, or lead to each other
        return
    # At these the integrity check does not look.
    for table, row_id, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield f"row {row_id} of {table} points at no {parent}"
    yield from audit_log.faults(db)
    if deletion.is_unfinished(db):
        yield (
            "an erasure was not finished, and deleted templates may still be on disk: "
            "`facecli gallery purge --removed` ends it"
        )
    yield from _value_faults(db, dimension)
    for row in db.execute("SELECT id, name, template FROM subject ORDER BY id"):
        yield from _subject_faults(db, dimension, *row)


def _value_faults(db: sqlite3.Connection, dimension: int) -> Iterator[str]:
    for row in db.execute(f"SELECT {reference_rows.COLUMNS} FROM reference"):
        stored = reference_rows.StoredReference(*row)
        if type(stored.landmarks) is not bytes or len(stored.landmarks) != reference_rows.LANDMARKS:
            yield f"reference {stored.id} has not five landmarks"
        elif vector(stored.vector, dimension) is not None:  # else `_subject_faults` tells
            try:
                stored.require_sound(dimension)
            except values.Unsound as error:
                yield f"reference {stored.id}: {error}"
    for name, key in db.execute("SELECT name, key FROM subject"):
        if type(name) is not str or key not in subject_rows.keys(name):
            yield f"the name {name!r} is kept as {key!r}"
    for row in undo.recorded(db):
        try:
            undo.read_change(row)
        except values.Unsound as error:
            yield f"change {row[0]}: {error}"


def _subject_faults(
    db: sqlite3.Connection, dimension: int, subject_id: int, name: str, template: object
) -> Iterator[str]:
    vectors = []
    for reference_id, blob in db.execute(
        "SELECT id, vector FROM reference WHERE subject_id = ?", (subject_id,)
    ):
        found = vector(blob, dimension)
        if found is None:
            yield f"reference {reference_id} of {name!r} is not a unit vector of {dimension} values"
        else:
            vectors.append(found)
    if not vectors:
        yield f"subject {name!r} has no reference"
    elif not isinstance(template, bytes) or len(template) != dimension * 4:
        yield f"subject {name!r} has no template"
    elif not np.allclose(
        np.frombuffer(template, np.float32), mean_template(vectors), atol=_TOLERANCE
    ):
        yield f"the template of {name!r} is not the mean of its references"


def spoilt(db: sqlite3.Connection, dimension: int) -> Iterator[tuple[int, str]]:
    """(reference, subject) of every enrolled face without a unit vector or its landmarks."""
    rows = db.execute(
        f"SELECT r.id, s.name, r.vector, {_NO_LANDMARKS} FROM reference r "
        "JOIN subject s ON s.id = r.subject_id ORDER BY r.id"
    )
    for reference_id, name, blob, faceless in rows:
        if faceless or vector(blob, dimension) is None:
            yield reference_id, values.text(name, "a subject's name")


def stale(db: sqlite3.Connection, dimension: int) -> Iterator[int]:
    """Every subject whose template is not the mean of its references, all of which are sound."""
    for subject_id, template in db.execute("SELECT id, template FROM subject ORDER BY id"):
        rows = db.execute(
            "SELECT vector FROM reference WHERE subject_id = ? ORDER BY id", (subject_id,)
        ).fetchall()
        kept = vector(template, dimension)
        mean = mean_template([np.frombuffer(row[0], np.float32) for row in rows]) if rows else None
        if mean is not None and (kept is None or not np.allclose(kept, mean, atol=_TOLERANCE)):
            yield subject_id


def drop_orphans(db: sqlite3.Connection) -> int:
    """Delete references of nobody and subjects without a reference; returns how many."""
    lost = db.execute(
        "DELETE FROM reference WHERE subject_id NOT IN (SELECT id FROM subject)"
    ).rowcount
    empty = db.execute(
        "DELETE FROM subject WHERE id NOT IN (SELECT subject_id FROM reference)"
    ).rowcount
    return int(lost + empty)
