"""Galleries as somebody would make them who means harm, from sound ones: SQL, schema and pages.

Each is a sound gallery with one to three changes. The changes know the format: a table's columns,
SQLite's header (file format, 1.3), its b-tree pages (1.6) and its schema table (2.6).
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from support import galleries
from support.sandbox import CPU_SECONDS, MEMORY

from facecli.recognition.model_zoo import registry
from facecli.storage.records import CalibrationRow
from facecli.storage.sqlite.connection import PAGE_SIZE
from facecli.storage.sqlite.store import GalleryFile

PEOPLE = 120  # of the large one: several pages a table
BATCH = 25  # files a process
COMMANDS_EACH = 2
CRASH = 70  # instead of an exit code
ENDS = frozenset({0, 1, 2, 3, 4, 5, 6})
BROKEN = (sqlite3.Error, OverflowError, struct.error, UnicodeDecodeError)
Change = Callable[[Path, random.Random], None]
# What no column expects, as SQL.
VALUES = (
    "'text'", "''", "x''", "x'00ff'", "0", "-1", "1", "2", "9223372036854775807",
    "-9223372036854775808", "1e308", "9e999", "-9e999", "0.5", "'0.5'", "NULL",
    "zeroblob(768)", "zeroblob(64)", "randomblob(768)", "zeroblob(40)", "x'ff7f0000'",
    "CAST(x'ff80fe' AS TEXT)", "'a' || char(0) || 'b'", "char(27) || '[31m'", "char(8238) || 'x'",
    "CAST(zeroblob(300000) AS TEXT)", "'unknown'", "'merge'", "'remove'", "'../../etc/passwd'",
    "'{\"tails\": [1]}'", "printf('%.*c', 60000, '[')", "randomblob(16)", "randomblob(6000)",
)  # fmt: skip
TRIGGERS = (
    "CREATE TRIGGER foreign_{n} AFTER INSERT ON {table} BEGIN DELETE FROM {table}; END",
    "CREATE TRIGGER foreign_{n} BEFORE INSERT ON {table} BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER foreign_{n} AFTER UPDATE ON {table} BEGIN "
    "INSERT INTO revision (id, token) SELECT 1 + max(id), zeroblob(16) FROM revision; END",
    "CREATE TRIGGER foreign_{n} AFTER DELETE ON {table} BEGIN UPDATE custody SET erasing = 0; END",
)
SCHEMA = (
    "CREATE VIEW foreign_{n} AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
    "SELECT x FROM c",
    "ALTER TABLE {table} RENAME TO kept_{n}; CREATE VIEW {table} AS SELECT * FROM kept_{n}",
    "ALTER TABLE {table} RENAME TO kept_{n}; CREATE VIEW {table} AS WITH RECURSIVE "
    "c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT t.* FROM kept_{n} t, c",
    "CREATE INDEX foreign_{n} ON {table} (hex(zeroblob(100000)) || rowid)",
    "CREATE TABLE foreign_{n} (a, b AS (hex(a)) STORED)",
    "ALTER TABLE {table} ADD COLUMN extra_{n} AS (abs(-9223372036854775807))",
    "CREATE VIRTUAL TABLE foreign_{n} USING fts5(a)",
    "CREATE VIRTUAL TABLE foreign_{n} USING rtree(a, b, c)",
    "DROP INDEX reference_photo",
    "PRAGMA foreign_keys = OFF; DROP TABLE {table}",
    "CREATE TABLE foreign_{n} (a PRIMARY KEY) WITHOUT ROWID",
    "CREATE TEMP TABLE t (a); CREATE UNIQUE INDEX foreign_{n} ON {table} (1)",
    "ANALYZE",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 1 + abs(random()) % 20 "
    "WHERE name = '{table}'",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = (SELECT max(rootpage) FROM "
    "sqlite_master) WHERE name = '{table}'",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', "
    "'AS (zeroblob(1000000000))') WHERE name = '{table}'",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = sql || char(10) || 'STRICT' "
    "WHERE name = '{table}'",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET type = 'view' WHERE name = '{table}'",
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = x'00ff' WHERE name = '{table}'",
    "PRAGMA writable_schema = ON; INSERT INTO sqlite_master "
    "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master",
    "PRAGMA writable_schema = ON; DELETE FROM sqlite_master WHERE name LIKE '%migrations%'",
)
ROWS = (
    "DELETE FROM {table}",
    "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
    "UPDATE {table} SET id = -id",
    "UPDATE {table} SET id = id + 9223372036854775000",
    "UPDATE sqlite_sequence SET seq = 'many'",
    "UPDATE sqlite_sequence SET seq = 9223372036854775807",
    "UPDATE sqlite_sequence SET seq = -1",
    "DELETE FROM sqlite_sequence",
    "INSERT INTO sqlite_sequence SELECT * FROM sqlite_sequence",
    "DELETE FROM _sqlite_migrations",
)


@dataclass(frozen=True, slots=True)
class Tried:
    """How many files were tried, and a line for each that crashed a command or hung it."""

    count: int
    refused: int
    crashed: tuple[str, ...]
    hung: tuple[str, ...]


def originals(folder: Path) -> list[Path]:
    """Sound galleries to begin with: a small and a large one, with all tables filled, and an old
    one.
    """
    folder.mkdir()
    found = [_full(folder / "small", 4), _full(folder / "large", PEOPLE), folder / "old"]
    galleries.old_gallery(found[-1])
    for path in found:
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def _full(path: Path, people: int) -> Path:
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    with closing(GalleryFile.create(path, spec.embedder_id, spec.dimension)) as store:
        store.audit_log.turn(True)
        store.add([galleries.reference(f"S{i % people}", i) for i in range(2 * people)])
        store.calibrate(CalibrationRow("by_hand", "none", None, 0.5, None, "me", "2026-01-01"))
        store.rename("S0", "T0")
        store.merge("S1", "T0")
        store.remove("S2")
        store.keep_observed(*_observation(store))
    return path


def _observation(store: GalleryFile) -> tuple[int, object]:
    observed = store.reader.observe()
    assert observed is not None
    return store.reader.observed()[0], observed


def changed(originals: list[Path], path: Path, number: int) -> str:
    """Write hostile gallery `number` to `path`; returns what was done to it."""
    draw = random.Random(number)
    shutil.copy(draw.choice(originals), path)
    done = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        change = draw.choice(CHANGES)
        with suppress(*BROKEN):  # by the last one already
            change(path, draw)
        done.append(change.__name__)
    return "+".join(done)


def _opened(path: Path) -> closing[sqlite3.Connection]:
    """It may be hostile already: what goes on for ever is ended."""
    db = sqlite3.connect(path, isolation_level=None)
    db.set_progress_handler(lambda: 1, 20_000_000)
    return closing(db)


def _sql(path: Path, statements: str) -> None:
    with _opened(path) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute("PRAGMA foreign_keys = OFF")
        for statement in statements.split("; "):
            db.execute(statement)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _tables(path: Path) -> list[str]:
    with _opened(path) as db:
        rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [row[0] for row in rows]


def value(path: Path, draw: random.Random) -> None:
    """Something else in one column, of all rows or of the first."""
    with _opened(path) as db:
        table = draw.choice(_tables(path))
        column = draw.choice([row[1] for row in db.execute(f'PRAGMA table_info("{table}")')])
        where = draw.choice(("", f' WHERE rowid = (SELECT min(rowid) FROM "{table}")'))
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute("DROP TRIGGER IF EXISTS log_no_update")
        db.execute(f'UPDATE OR IGNORE "{table}" SET "{column}" = {draw.choice(VALUES)}{where}')
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'log'").fetchone():
            db.execute(
                "CREATE TRIGGER log_no_update BEFORE UPDATE ON log "
                "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
            )


def rows(path: Path, draw: random.Random) -> None:
    """Rows gone, doubled, or with other ids."""
    _sql(path, draw.choice(ROWS).format(table=draw.choice(_tables(path))))


def trigger(path: Path, draw: random.Random) -> None:
    """A trigger of somebody else's."""
    table = draw.choice(("subject", "reference", "calibration", "gallery"))
    with _opened(path) as db:
        db.execute(draw.choice(TRIGGERS).format(table=table, n=draw.randrange(99)))


def schema(path: Path, draw: random.Random) -> None:
    """A view, an index on an expression, a virtual table, computed columns, another root page."""
    _sql(path, draw.choice(SCHEMA).format(table=draw.choice(_tables(path)), n=draw.randrange(99)))


def header(path: Path, draw: random.Random) -> None:
    """A field of the file's header: page size, versions, free list, encoding, schema version."""
    data = bytearray(path.read_bytes())
    at, size = draw.choice(((16, 2), (18, 1), (19, 1), (20, 1), (21, 1), (28, 4), (32, 4), (36, 4),
                            (40, 4), (44, 4), (52, 4), (56, 4), (60, 4), (92, 4)))  # fmt: skip
    data[at : at + size] = draw.choice((bytes(size), b"\xff" * size, draw.randbytes(size)))
    path.write_bytes(data)


def page(path: Path, draw: random.Random) -> None:
    """A page's type, its number of cells, where they lie, or whom it points at."""
    data = bytearray(path.read_bytes())
    pages = len(data) // PAGE_SIZE
    number = draw.randrange(pages)
    at = number * PAGE_SIZE + (100 if number == 0 else 0)
    match draw.randrange(6):
        case 0:
            data[at] = draw.choice((2, 5, 10, 13, 0, 255))
        case 1:
            data[at + 3 : at + 5] = struct.pack(
                ">H", draw.choice((0, 1, 65535, draw.randrange(999)))
            )
        case 2:  # of an interior page: the last child is itself, the first page, or any
            data[at + 8 : at + 12] = struct.pack(
                ">I", draw.choice((number + 1, 1, 1 + draw.randrange(pages)))
            )
        case 3:  # cells lie over each other
            cells = struct.unpack(">H", data[at + 3 : at + 5])[0] % 1000
            first = data[at + 8 : at + 10]
            for i in range(1, cells):
                data[at + 8 + 2 * i : at + 10 + 2 * i] = first
        case 4:  # anywhere in a cell: lengths, ids, types of columns, overflow pages
            for _ in range(draw.randrange(1, 9)):
                data[number * PAGE_SIZE + draw.randrange(PAGE_SIZE)] = draw.randrange(256)
        case 5:  # another page in its place
            other = draw.randrange(1, pages) * PAGE_SIZE
            data[number * PAGE_SIZE : (number + 1) * PAGE_SIZE] = data[other : other + PAGE_SIZE]
    data[92:96] = data[24:28]  # the size in the header counts
    path.write_bytes(data[: pages * PAGE_SIZE])


def endless(path: Path, draw: random.Random) -> None:
    """A table whose pages lead to each other: 500 times the same child, several storeys high."""
    with _opened(path) as db:
        name = draw.choice(("subject", "reference", "calibration", "log", "change"))
        found = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    if found is None:
        return
    lead_round(path, found[0])


def lead_round(path: Path, root: int) -> None:
    """Put storeys of pages above a table's root page, each 500 times the parent of the next."""
    data, storeys = bytearray(path.read_bytes()), 5
    pages = len(data) // PAGE_SIZE
    leaf = data[(root - 1) * PAGE_SIZE : root * PAGE_SIZE]
    for storey in range(storeys):  # the new pages come last; the last of them is the old root
        child = pages + 1 + storey
        where = root if storey == 0 else pages + storey
        made = _interior(child)
        data[(where - 1) * PAGE_SIZE : where * PAGE_SIZE] = made
    data += leaf
    data[28:32] = struct.pack(">I", len(data) // PAGE_SIZE)
    data[92:96] = data[24:28]  # that size counts
    path.write_bytes(data)


def _interior(child: int) -> bytes:
    """An interior page of a table's b-tree, all of whose children are one page."""
    cells, count = bytearray(), 500
    for i in range(count):
        cells += struct.pack(">IBB", child, 0x81 + i // 128 % 100, i % 128)
    start = PAGE_SIZE - len(cells)
    head = struct.pack(">BHHHBI", 5, 0, count, start, 0, child)
    pointers = b"".join(struct.pack(">H", start + 6 * i) for i in range(count))
    return (head + pointers).ljust(start, b"\0") + bytes(cells)


CHANGES: tuple[Change, ...] = (
    value, value, value, value, value, rows, rows, trigger, schema, schema, header,
    page, page, page, endless,
)  # fmt: skip
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("gallery", "list"), ("gallery", "check"), ("gallery", "info"), ("gallery", "show", "T0"),
    ("gallery", "undo", "--list"), ("gallery", "undo"), ("gallery", "log"), ("threshold",),
    ("gallery", "rename", "T0", "U"), ("gallery", "remove", "S3"), ("gallery", "audit"),
    ("gallery", "purge", "--removed", "--yes"), ("gallery", "purge", "--all", "--yes"),
    ("gallery", "check", "--repair"), ("threshold", "--set", "0.4"), ("export",),
    ("identify",), ("enroll",),
)  # fmt: skip


def attack(home: Path, numbers: range) -> Tried:
    """Give each of these hostile galleries to COMMANDS_EACH commands, in processes with limits.

    home: an empty folder, FACECLI_HOME of all.
    """
    photo = home / "photo.jpg"
    photo.write_bytes(galleries.variant(galleries.hopper(), 1, 160))
    sound = originals(home / "sound")
    refused, crashed, hung = 0, list[str](), list[str]()
    left = list(numbers)
    while left:
        results, code = _batch(home, photo, sound, left[:BATCH])
        for what, codes in results:
            refused += 4 in codes
            crashed += [what] if set(codes) - ENDS else []
        if code:  # the one under way ended the process: by its time, its memory, or a fault
            (hung if code == -signal.SIGPROF else crashed).append(f"{left[len(results)]}: {code}")
        left = left[len(results) + bool(code) :]
    return Tried(len(numbers), refused, tuple(crashed), tuple(hung))


def _batch(
    home: Path, photo: Path, sound: list[Path], numbers: list[int]
) -> tuple[list[tuple[str, list[int]]], int]:
    """What each one did and the exit codes; then 0, or what ended the process at the next one."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _attacked(home, photo, sound, numbers, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as lines:
        results = [json.loads(line) for line in lines]
    return [(what, codes) for what, codes in results], os.waitstatus_to_exitcode(
        os.waitpid(child, 0)[1]
    )


def _attacked(home: Path, photo: Path, sound: list[Path], numbers: list[int], out: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["FACECLI_HOME"] = str(home)
    code = 1
    try:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            for number in numbers:
                folder = Path(tempfile.mkdtemp(dir=home))
                what, draw = changed(sound, folder / "g", number), random.Random(-number)
                signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
                codes = []
                for command in draw.sample(COMMANDS, COMMANDS_EACH):
                    codes.append(_command(_whole(command, folder / "g", photo), said))
                    if codes[-1] not in ENDS:
                        said.seek(0)
                        what += f": {' '.join(command)}: {said.read()[-1500:]}"
                shutil.rmtree(folder)
                os.write(out, json.dumps([f"{number} {what}", codes]).encode() + b"\n")
        code = 0
    finally:
        os._exit(code)


def _command(words: tuple[str | Path, ...], said: TextIO) -> int:
    """The exit code of facecli with these words; CRASH where it ends otherwise."""
    import facecli.cli

    said.seek(0)
    said.truncate()
    sys.argv = ["facecli", *map(str, words)]
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        try:
            facecli.cli.main()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else CRASH
        except BaseException:
            traceback.print_exc(file=said)
            return CRASH
    return 0


def _whole(command: tuple[str, ...], path: Path, photo: Path) -> tuple[str | Path, ...]:
    match command:
        case ("export",):
            return ("gallery", "export", path.with_name("out"), "-g", path)
        case ("identify",):
            return ("identify", photo, "-g", path)
        case ("enroll",):
            return ("enroll", photo, "-s", "Grace", "-g", path)
    return (*command, "-g", path)
