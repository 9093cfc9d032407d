"""Galleries that somebody made to do harm: one line and exit code 4, or a right answer, soon."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support import hostile_galleries
from support.sandbox import Facecli

FEW, MANY = 20, 600


@pytest.fixture
def sound(enrolled: Path, tmp_path: Path) -> Path:
    """A copy of the gallery, alone in its folder, its log folded in."""
    path = tmp_path / "in" / "g.facecli"
    path.parent.mkdir()
    shutil.copy(enrolled, path)
    return path


def change(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; "
                         f"{statements}; PRAGMA wal_checkpoint(TRUNCATE)")  # fmt: skip


LIES = {
    "enrol reports what a trigger drops":
        "CREATE TRIGGER t BEFORE INSERT ON reference BEGIN SELECT RAISE(IGNORE); END",
    "a trigger keeps templates past a purge":
        "CREATE TABLE kept (v); CREATE TRIGGER t BEFORE DELETE ON reference BEGIN INSERT INTO "
        "kept VALUES (old.vector); END",
    "a view gives another's name":
        "ALTER TABLE subject RENAME TO s; CREATE VIEW subject AS SELECT id, 'Eve' AS name, key, "
        "template, created_at, revision FROM s",
    "a view never ends":
        "ALTER TABLE subject RENAME TO s; CREATE VIEW subject AS WITH RECURSIVE c(x) AS (SELECT 1 "
        "UNION ALL SELECT x + 1 FROM c) SELECT s.* FROM s, c",
}  # fmt: skip


@pytest.mark.parametrize("kind", LIES)
def test_what_runs_with_our_statements_is_refused_by_every_command(
    facecli: Facecli, sound: Path, good: Path, kind: str
) -> None:
    change(sound, LIES[kind])
    before = sound.read_bytes()
    for words in (
        ("enroll", good, "-s", "Eve"), ("identify", good), ("gallery", "check"),
        ("gallery", "list"), ("gallery", "purge", "Grace", "--yes"), ("threshold",),
    ):  # fmt: skip
        said = facecli.refused(4, *words, "-g", sound)
        assert "is not as facecli makes a gallery" in said and said.count("\n") == 1
    assert sound.read_bytes() == before


# What is read by which command, with a value that is none.
VALUES = {
    "a subject's name of bytes": ("UPDATE subject SET name = x'00ff'", ("identify",)),
    "a subject below zero": ("UPDATE subject SET id = -5; UPDATE reference SET subject_id = -5",
                             ("identify",)),
    "a subject numbered 0": ("UPDATE subject SET id = 0; UPDATE reference SET subject_id = 0",
                             ("gallery", "list")),
    "a template of zeros": ("UPDATE subject SET template = zeroblob(768)", ("identify",)),
    "a template too long": ("UPDATE subject SET template = zeroblob(7680)", ("identify",)),
    "a template of text": ("UPDATE subject SET template = 'text'", ("identify",)),
    "a reference of noise": ("UPDATE reference SET vector = randomblob(768)",
                             ("gallery", "export", "out")),
    "a quality of text": ("UPDATE reference SET quality = 'good'", ("gallery", "show", "Grace")),
    "a quality without end": ("UPDATE reference SET quality = 9e999", ("gallery", "export", "o")),
    "a box turned round": ("UPDATE reference SET x1 = x2 + 1", ("gallery", "show", "Grace")),
    "a path with a NUL": ("UPDATE reference SET path = 'a' || char(0) || 'b'",
                          ("gallery", "show", "Grace")),
    "a digest of no photo": ("UPDATE reference SET photo_sha256 = '0'",
                             ("gallery", "show", "Grace")),
    "a threshold of text": ("INSERT INTO calibration (basis, target, threshold, made_from, "
                            "made_at) VALUES ('by_hand', 'none', 'high', '', '')", ("threshold",)),
    "a threshold among nobody": ("INSERT INTO calibration (basis, target, threshold, made_from, "
                                 "made_at, n) VALUES ('by_hand', 'none', 0.5, '', '', 0)",
                                 ("threshold",)),
    "a change of no kind": ("INSERT INTO change VALUES (1, 'steal', 1, 'a', 1, 'b', 1, '')",
                            ("gallery", "undo", "--list")),
    "a secret that is a number": ("UPDATE custody SET secret = 5000000000, logging = 1",
                                  ("gallery", "check")),
    "a log of bytes": ("INSERT INTO log VALUES (1, x'00', x'00', NULL, NULL, x'00')",
                       ("gallery", "log")),
    "an observation of nobody": ("INSERT OR REPLACE INTO fit SELECT 1, revision, 0, x'0000' "
                                 "FROM gallery", ("identify",)),
    "a seal of text": ("UPDATE revision SET token = 'text'", ("identify",)),
    "a revision below zero": ("UPDATE gallery SET revision = -1; UPDATE revision SET id = -1",
                              ("identify",)),
}  # fmt: skip


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_of_another_kind_is_one_line_where_it_is_read(
    facecli: Facecli, sound: Path, good: Path, kind: str
) -> None:
    statements, words = VALUES[kind]
    change(sound, statements)
    asked = (*words, good) if words == ("identify",) else words
    said = facecli.refused(4, *asked, "-g", sound, cwd=sound.parent)
    assert str(sound) in said and said.count("\n") == 1
    assert facecli("gallery", "check", "-g", sound).code == 4


def tried(folder: Path, numbers: range) -> None:
    done = hostile_galleries.attack(folder, numbers)
    assert (done.crashed, done.hung) == ((), ())
    assert len(numbers) / 3 < done.refused < len(numbers), "some were sound enough, some were not"


def test_some_hostile_galleries(tmp_path: Path) -> None:
    tried(tmp_path, range(FEW))


@pytest.mark.slow
def test_many_hostile_galleries(tmp_path: Path) -> None:
    tried(tmp_path, range(FEW, MANY))
