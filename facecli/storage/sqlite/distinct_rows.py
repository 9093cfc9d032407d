"""The table of pairs who were said to be two people: SQL within a transaction of `store`.

A pair holds while both are enrolled, so that who is removed takes it along and brings it back, and
while no change has ended it. A change that is undone, of whatever kind, gives back what it ended
and takes away what it made.
"""

from __future__ import annotations

import sqlite3

from facecli.storage.sqlite import values

Pair = tuple[int, int]

_HELD = (
    "SELECT first_id, second_id FROM distinct_pair WHERE ended_by IS NULL "
    "AND first_id <> second_id AND first_id IN (SELECT id FROM subject) "
    "AND second_id IN (SELECT id FROM subject)"
)


def held(db: sqlite3.Connection) -> tuple[Pair, ...]:
    """The pairs that hold, by subject ids, in the order they were said."""
    rows = db.execute(f"{_HELD} ORDER BY id")
    return tuple(dict.fromkeys((_id(first), _id(second)) for first, second in rows))


def holds(db: sqlite3.Connection, one: int, other: int) -> bool:
    """Whether the two were said to be two people, and nothing ended it."""
    found = db.execute(
        f"{_HELD} AND (first_id, second_id) IN (VALUES (:a, :b), (:b, :a))", {"a": one, "b": other}
    )
    return found.fetchone() is not None


def make(db: sqlite3.Connection, change: int, one: int, other: int) -> None:
    """They are two people, says a change."""
    db.execute(
        "INSERT INTO distinct_pair (first_id, second_id, made_by) VALUES (?, ?, ?)",
        (one, other, change),
    )


def carry(db: sqlite3.Connection, change: int, source: int, target: int) -> None:
    """Whom `source` is distinct from, `target` is from now on: a merge makes them one."""
    for pair in held(db):
        if source in pair:
            (other,) = set(pair) - {source}
            if other != target and not holds(db, target, other):
                make(db, change, target, other)


def end(db: sqlite3.Connection, change: int, one: int, other: int) -> None:
    """It is not said of them any more."""
    db.execute(
        "UPDATE distinct_pair SET ended_by = ? WHERE ended_by IS NULL "
        "AND ? IN (first_id, second_id) AND ? IN (first_id, second_id)",
        (change, one, other),
    )


def take_back(db: sqlite3.Connection, change: int) -> None:
    """All is as it was before the change."""
    db.execute("DELETE FROM distinct_pair WHERE made_by = ?", (change,))
    db.execute("UPDATE distinct_pair SET ended_by = NULL WHERE ended_by = ?", (change,))


def drop_lost(db: sqlite3.Connection) -> None:
    """Delete the pairs of which one is gone for good: neither enrolled nor to be brought back."""
    there = "(SELECT id FROM subject UNION SELECT id FROM removed_subject)"
    db.execute(
        f"DELETE FROM distinct_pair WHERE first_id NOT IN {there} OR second_id NOT IN {there}"
    )


def _id(value: object) -> int:
    return values.whole(value, "one of two people", 1)
