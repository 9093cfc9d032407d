"""Encrypted galleries: nothing readable without the key, nothing lost on the way in or out."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.commands import all_commands
from support.galleries import (
    Command,
    collins,
    draft_left_by_a_kill,
    environment,
    hopper,
    new_store,
    reference,
    unit_vector,
)
from support.places import ROOT, TESTS
from support.read_only import NEEDS_READ_ONLY, Unprivileged, closed

from facecli.common import atomic
from facecli.common.errors import GalleryError
from facecli.report import maintenance
from facecli.storage import export, keys
from facecli.storage.keys import Key
from facecli.storage.maintenance import backup, encryption, repair
from facecli.storage.search import candidates
from facecli.storage.search.ranker import FileRanker
from facecli.storage.sqlite import sqlcipher
from facecli.storage.sqlite.sqlcipher import PAGE_SIZE
from facecli.storage.sqlite.store import GalleryFile

pytest.importorskip("sqlcipher3", reason="NOT CHECKED: pip install 'facecli[encrypted]'")

KEY, OTHER = Key("0123456789abcdef" * 4), Key("f" * 64)
PEOPLE = 120


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A gallery in the clear: people, a removal that can be undone, a merge, a log."""
    where = tmp_path / "g.facecli"
    with closing(new_store(where)) as store:
        store.audit_log.turn(True)
        store.add([reference(f"Person {seed:03}", seed) for seed in range(PEOPLE)])
        store.merge("Person 003", "Person 004")
        store.remove("Person 005")
    return where


def tables(path: Path) -> dict[str, list[Any]]:
    """Every row of a gallery in the clear, and the SQL that made each table."""
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        names = [name for kind, name, _ in found if kind == "table"]
        rows = {name: db.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
        settings = ("user_version", "application_id", "page_size", "journal_mode")
        return {
            "schema": found,
            **rows,
            **{name: db.execute(f"PRAGMA {name}").fetchall() for name in settings},
        }


def traces() -> list[bytes]:
    """What a readable gallery of those people holds."""
    return [unit_vector(seed).tobytes()[:32] for seed in range(PEOPLE)] + [b"Person 0", b"photos/"]


def test_every_row_comes_back_as_it_was(path: Path) -> None:
    before = tables(path)
    encryption.convert(path, None, KEY)
    encryption.convert(path, KEY, OTHER)
    encryption.convert(path, OTHER, None)
    assert tables(path) == before
    assert len(before["reference"]) == PEOPLE - 1


def test_nothing_readable_is_left_beside_an_encrypted_gallery(path: Path) -> None:
    assert any(trace in path.read_bytes() for trace in traces())
    done = encryption.convert(path, None, KEY)
    assert (done.references, done.readable) == (PEOPLE - 1, ())
    assert done.overwritten >= PEOPLE * 1000
    with closing(GalleryFile.open(path, KEY)) as store:
        store.add([reference("Person 999", 999)])
        backup.backup(store, path.with_name("backup"))
        for file in path.parent.iterdir():  # while it is open: the log is there, too
            content = file.read_bytes()
            assert not [trace for trace in traces() if trace in content], file
        assert (path.with_name(path.name + "-wal")).stat().st_size > 0
    with closing(GalleryFile.open(path.with_name("backup"), KEY)) as copy:
        assert copy.reader.counts() == (PEOPLE - 1, PEOPLE)
    assert [file for file in path.parent.iterdir() if file.name.startswith(".")] == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_old_file_is_overwritten_and_not_only_unlinked(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)  # the file itself, under whatever name
    assert os.pread(handle, 6, 0) == b"SQLite"
    encryption.convert(path, None, KEY)
    assert os.fstat(handle).st_size == os.fstat(handle).st_nlink == 0
    os.close(handle)


def test_other_names_of_the_file_keep_it_and_are_told_of(path: Path) -> None:
    """A hard link may be somebody's backup: nothing that is stored is lost."""
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    for name in (path.with_name("linked"), elsewhere / "linked"):
        os.link(path, name)
    done = encryption.convert(path, None, KEY)
    assert (done.other_names, done.overwritten) == (2, 0)
    assert done.readable == (path.with_name("linked"),)
    text = maintenance.sealed_text(done, encrypted=True)
    assert "2 other names (hard links), and is kept there as it was" in text
    for name in done.readable:
        with closing(GalleryFile.open(name)) as store:
            assert store.reader.counts() == (PEOPLE - 2, PEOPLE - 1)


def test_copies_that_stay_readable_are_named(path: Path) -> None:
    with closing(GalleryFile.open(path)) as store:
        backup.backup(store, path.with_name("backup"))
        export.export(store.reader, path.with_name("export.jsonl"))
    path.with_name("notes.txt").write_bytes(b"nothing of it")
    done = encryption.convert(path, None, KEY)
    assert [file.name for file in done.readable] == ["backup", "export.jsonl"]


def test_who_has_it_open_is_not_cut_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "_SECONDS", 0.2)
    before = tables(path)
    code = (
        "import sys; from pathlib import Path\n"
        "from facecli.storage.sqlite.store import GalleryFile\n"
        "store = GalleryFile.open(Path(sys.argv[1])); store.reader.counts()\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(path.parent),
    ) as reader:  # fmt: skip
        assert reader.stdout and reader.stdout.readline() == b"open\n"
        with pytest.raises(GalleryError, match="locked: another program"):
            encryption.convert(path, None, KEY)
        assert reader.stdin
        reader.stdin.close()
    after = tables(path)
    assert after == before
    encryption.convert(path, None, KEY)


@pytest.mark.parametrize("kills", [2, pytest.param(16, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_is_whole_under_one_of_the_keys(path: Path, kills: int) -> None:
    code = (
        "import sys; from pathlib import Path; from facecli.storage.maintenance import encryption\n"
        "from facecli.storage.keys import Key\n"
        "key = Key(sys.argv[2]); print('go', flush=True)\n"
        "while True:\n"
        "    encryption.convert(Path(sys.argv[1]), None, key)\n"
        "    encryption.convert(Path(sys.argv[1]), key, None)\n"
    )
    draw, seen = random.Random(5), set()
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path), KEY.digits],
            stdout=subprocess.PIPE, env=environment(path.parent),
        ) as process:  # fmt: skip
            assert process.stdout and process.stdout.readline() == b"go\n"
            time.sleep(draw.uniform(0.05, 0.9))
            process.send_signal(signal.SIGKILL)
        plain = path.read_bytes()[:6] == b"SQLite"
        seen.add(plain)
        with closing(GalleryFile.open(path, None if plain else KEY)) as store:
            assert store.reader.counts() == (PEOPLE - 2, PEOPLE - 1)
            assert store.reader.check() == []
            assert [change.name for change in store.journal.changes()] == [
                "Person 005",
                "Person 003",
            ]
        if not plain:
            encryption.convert(path, KEY, None)
    left = [file for file in path.parent.iterdir() if "facecli-" in file.name]
    assert all(dead_journal(file.read_bytes()) for file in left), left


def dead_journal(data: bytes) -> bool:
    """Whether SQLite had only begun it when it was killed, and it tells of nobody.

    SQLite writes a journal's first bytes last, once all of it is on the disk: with zeros there it
    is never played back, and the next change of the log's kind begins it anew. What it holds then
    is the file's first page, the tables' definitions: https://www.sqlite.org/fileformat.html#rollbackjournal
    """
    return not any(data[:12]) and len(data) <= 512 + PAGE_SIZE + 8 and b"Person" not in data


def journal(path: Path, key: Key | None = None) -> str:
    with closing(GalleryFile.open(path, key)) as store:
        return str(store._db.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("then", ["opened", "dry run", "ended"])
def test_killed_before_the_swap_the_gallery_has_its_log_again(
    path: Path, key: Key | None, then: str
) -> None:
    """Without it nobody could read while somebody writes. It ends the last before the swap."""
    if key:
        encryption.convert(path, None, key)
    code = (
        "import os, sys; from pathlib import Path; from facecli.common import atomic\n"
        "from facecli.storage.maintenance import encryption; from facecli.storage.keys import Key\n"
        "atomic.place = lambda *_, **__: os._exit(9)\n"
        "old, new = (Key(word) if word else None for word in sys.argv[2:])\n"
        "encryption.convert(Path(sys.argv[1]), old, new)\n"
    )
    words = [key.digits if key else "", OTHER.digits]
    done = subprocess.run([sys.executable, "-c", code, str(path), *words],
                          env=environment(path.parent), check=False)  # fmt: skip
    assert done.returncode == 9
    if then == "opened":
        if key is None:
            assert path.read_bytes()[18:20] == b"\1\1", "SQLite's mark for a file without a log"
        assert journal(path, key) == "wal"
    if then == "dry run":
        encryption.convert(path, key, OTHER, dry_run=True)
    if then == "ended":
        encryption.convert(path, key, OTHER)
    assert journal(path, OTHER if then == "ended" else key) == "wal"
    assert not [file for file in path.parent.iterdir() if "facecli-" in file.name]


def test_a_conversion_that_fails_leaves_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sqlcipher, "copy_under", full)
    with pytest.raises(GalleryError, match="No space left"):
        encryption.convert(path, None, KEY)
    assert path.read_bytes()[18:20] == b"\2\2"
    assert journal(path) == "wal"


def test_a_dry_run_tries_the_keys_and_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    would = encryption.convert(path, None, KEY, dry_run=True)
    assert (would.references, would.overwritten) == (PEOPLE - 1, 0)
    assert path.read_bytes() == before
    encryption.convert(path, None, KEY)
    with pytest.raises(GalleryError, match="does not open with this key"):
        encryption.convert(path, OTHER, None, dry_run=True)


@pytest.mark.parametrize(
    ("given", "words"),
    [(None, "encrypted one: give its key with --key-file"), (OTHER, "does not open with this key")],
)
def test_without_its_key_it_says_so(path: Path, given: Key | None, words: str) -> None:
    encryption.convert(path, None, KEY)
    for attempt in (
        lambda: GalleryFile.open(path, given),
        lambda: GalleryFile.create(path, "made-up:0:p", 192, given),
        lambda: repair.repair(path, key=given),
        lambda: encryption.convert(path, given, None),
    ):
        with pytest.raises(GalleryError, match=words):
            attempt()
    with closing(GalleryFile.open(path, KEY)) as store:
        assert store.reader.check() == []


def test_done_twice_it_says_that_it_is_done(path: Path) -> None:
    with pytest.raises(GalleryError, match="is readable already"):
        encryption.convert(path, KEY, None)
    encryption.convert(path, None, KEY)
    with pytest.raises(GalleryError, match="is encrypted with this key already"):
        encryption.convert(path, None, KEY)
    left = draft_left_by_a_kill(path, "old", b"templates")
    done = encryption.convert(path, None, KEY)
    assert (done.references, done.overwritten) == (PEOPLE - 1, 9)
    assert not left.exists()
    with pytest.raises(GalleryError, match="there is no gallery at"):
        encryption.convert(path.with_name("missing"), None, KEY)


def test_a_key_for_what_is_not_encrypted_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="not encrypted, and a key was given"):
        GalleryFile.open(path, KEY)
    foreign = tmp_path / "foreign"
    foreign.write_bytes(random.Random(1).randbytes(3 * PAGE_SIZE))
    with pytest.raises(GalleryError, match="does not open with this key"):
        GalleryFile.open(foreign, KEY)
    with pytest.raises(GalleryError, match="or it is an encrypted one"):
        GalleryFile.open(foreign)
    foreign.write_bytes(b"a diary")
    for key in (None, KEY):
        with pytest.raises(GalleryError, match="not a facecli gallery: name another"):
            GalleryFile.open(foreign, key)


def test_another_application_s_encrypted_file_is_not_touched(tmp_path: Path) -> None:
    with closing(sqlcipher.connect(tmp_path / "g", "", KEY, 1)) as db:
        db.execute("CREATE TABLE diary (day TEXT)")
    before = (tmp_path / "g").read_bytes()
    with pytest.raises(GalleryError, match="not a facecli gallery"):
        GalleryFile.open(tmp_path / "g", KEY)
    assert (tmp_path / "g").read_bytes() == before


def test_however_large_no_sidecar_lies_beside_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "SIDECAR_FROM", 1)
    probe = unit_vector(7)
    with closing(GalleryFile.open(path)) as store, store.reader.snapshot():
        expected = FileRanker.open(store.reader).best(probe, 3)
    assert path.with_name("g.facecli.rabitq").exists()
    encryption.convert(path, None, KEY)
    with closing(GalleryFile.open(path, KEY)) as store:
        for exact in (False, True):
            with store.reader.snapshot():
                assert FileRanker.open(store.reader, exact).best(probe, 3) == expected
        candidates.keep_in_step(store.reader)
    assert [file.name for file in path.parent.iterdir()] == ["g.facecli"]


def test_what_a_damaged_page_leaves_is_recovered_and_encrypted_again(path: Path) -> None:
    encryption.convert(path, None, KEY)
    with closing(GalleryFile.open(path, KEY)) as store:
        store.add([reference(f"More {seed}", seed) for seed in range(1000, 1600)])
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + 5000] ^= 1  # one bit, and the page's HMAC is wrong
    path.write_bytes(content)
    done = repair.repair(path, key=KEY)
    assert done.recovered and done.recovered.references >= 600
    assert done.recovered.references < PEOPLE + 600
    with closing(GalleryFile.open(done.recovered.path, KEY)) as store:
        assert store.reader.counts()[1] == done.recovered.references
        assert store.reader.check() == []


def test_two_processes_write_while_one_reads(path: Path) -> None:
    encryption.convert(path, None, KEY)
    code = (
        "import sys; sys.path[:0] = [sys.argv[3]]\n"
        "from pathlib import Path; from facecli.storage.sqlite.store import GalleryFile\n"
        "from facecli.storage.keys import Key\n"
        "from support.galleries import reference\n"
        "key, first = Key('0123456789abcdef' * 4), sys.argv[2]\n"
        "store = GalleryFile.open(Path(sys.argv[1]), key)\n"
        "for seed in range(int(first), int(first) + 40):\n"
        "    store.add([reference(f'W{seed}', seed)])"
    )
    arguments = [sys.executable, "-c", code, str(path)]
    writers = [
        subprocess.Popen([*arguments, first, str(TESTS)],
                         env=environment(path.parent))
        for first in ("10000", "20000")
    ]  # fmt: skip
    with closing(GalleryFile.open(path, KEY)) as store:
        counts = [store.reader.counts()[1]]
        while any(writer.poll() is None for writer in writers):
            counts.append(store.reader.counts()[1])
        assert [writer.returncode for writer in writers] == [0, 0]
        assert counts == sorted(counts)
        assert store.reader.counts()[1] == PEOPLE - 1 + 80
        assert store.reader.check() == []


# keys ----------------------------------------------------------------------------------------


def test_a_key_file_is_private_new_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    made = keys.make(str(file))
    assert keys.read_key(str(file)) == made != keys.make(str(tmp_path / "second"))
    assert file.stat().st_mode & 0o777 == 0o600
    assert made.digits not in repr(made) and made.digits not in str([made])
    with pytest.raises(GalleryError, match="no key is overwritten"):
        keys.make(str(file))
    file.chmod(0o640)
    with pytest.raises(GalleryError, match="others may read the key file"):
        keys.read_key(str(file))


def test_a_key_that_does_not_come_back_is_not_called_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is encrypted with it would be lost."""
    monkeypatch.setattr(atomic, "write", lambda path, *_, **__: (path.touch(0o600), None)[1])
    with pytest.raises(GalleryError, match="holds no key"):
        keys.make(str(tmp_path / "key"))


def test_a_key_is_on_the_disk_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that somebody copied there a moment ago, and its name in its folder."""
    real, link = tmp_path / "in" / "key", tmp_path / "key"
    real.parent.mkdir()
    keys.make(str(real))
    link.symlink_to(real)
    seen, sync = list[int](), os.fsync
    monkeypatch.setattr(os, "fsync", lambda h: (seen.append(os.fstat(h).st_ino), sync(h))[1])
    keys.read_key(str(link))
    assert seen == [real.stat().st_ino, real.parent.stat().st_ino]


@pytest.mark.parametrize("content", [b"", b"secret", b"0" * 63, b"g" * 64, b"\xff" * 64])
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_bytes(content)
    with pytest.raises(GalleryError, match="holds no key: a key has 64 hex") as caught:
        keys.read_key(str(file))
    assert "secret" not in str(caught.value)


def test_a_key_file_that_is_none_is_said(tmp_path: Path) -> None:
    for odd in (tmp_path, tmp_path / "missing"):
        with pytest.raises(GalleryError, match="the key file"):
            keys.read_key(str(odd))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(GalleryError, match="not a regular file"):
        keys.read_key(str(fifo))


KEYRING = '''
import json, os
from pathlib import Path
from keyring.backend import KeyringBackend

class InFile(KeyringBackend):
    """A keyring for this test alone: a JSON file."""
    priority = 1
    file = Path(os.environ["TEST_KEYRING"])
    def get_password(self, service, username):
        return self._all().get(f"{service}/{username}")
    def set_password(self, service, username, password):
        self.file.write_text(json.dumps({**self._all(), f"{service}/{username}": password}))
    def _all(self):
        return json.loads(self.file.read_text()) if self.file.exists() else {}
'''


def test_the_key_may_be_in_the_system_s_keyring(tmp_path: Path) -> None:
    pytest.importorskip("keyring", reason="NOT CHECKED: pip install 'facecli[encrypted]'")
    (tmp_path / "in_file.py").write_text(KEYRING)
    command = Command(tmp_path / "home")
    has = {
        "PYTHON_KEYRING_BACKEND": "in_file.InFile",
        "TEST_KEYRING": str(tmp_path / "keyring.json"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
    }
    missing = command("gallery", "list", "-g", tmp_path / "g", "--key-file", "keyring", **has)
    assert missing.returncode == 4
    assert "no key 'gallery' of facecli: make one with `facecli gallery key`" in missing.stderr
    assert command("gallery", "key", "keyring", **has).returncode == 0
    assert command("gallery", "key", "keyring", **has).returncode == 4
    assert command("gallery", "key", "keyring:second", **has).returncode == 0
    kept = json.loads((tmp_path / "keyring.json").read_text())
    assert sorted(kept) == ["facecli/gallery", "facecli/second"]
    with closing(GalleryFile.create(tmp_path / "g", "a:1:p", 8, Key(kept["facecli/second"]))):
        pass
    for name, code in (("keyring:second", 0), ("keyring", 4)):
        done = command("gallery", "list", "-g", tmp_path / "g", "--key-file", name, **has)
        assert done.returncode == code, done.stderr
    none = {**has, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    done = command("gallery", "list", "-g", tmp_path / "g", FACECLI_KEY_FILE="keyring", **none)
    assert done.returncode == 4 and "Use a key file instead" in done.stderr


# commands ------------------------------------------------------------------------------------


def test_every_command_on_a_gallery_takes_its_key() -> None:
    found = 0
    for words, command in all_commands():
        options = {option for each in command.params for option in each.opts}
        if "--gallery" in options:
            found += 1
            assert "--key-file" in options, words
    assert found >= 15


@pytest.mark.slow
def test_commands_work_with_the_key_and_answer_as_without(tmp_path: Path) -> None:
    command = Command(tmp_path / "home")
    key = tmp_path / "key"
    assert command("gallery", "key", key).returncode == 0
    secret = key.read_text().strip()
    rows = {}
    for name, given in (("plain", ()), ("sealed", ("--key-file", key))):
        gallery = ("-g", tmp_path / name, *given)
        for subject, photo in (("Grace", hopper()), ("Eileen", collins())):
            assert command("enroll", photo, "-s", subject, *gallery).returncode == 0
        said = command("identify", hopper(), "--json", *gallery)
        rows[name] = json.loads(said.stdout)
        for rest in (("remove", "Eileen"), ("undo",), ("check",), ("remove", "Eileen"),
                     ("purge", "--removed", "--yes")):  # fmt: skip
            done = command("gallery", *rest, *gallery)
            assert done.returncode == 0, done.stderr
            assert secret not in done.stdout + done.stderr
        unproven = "may still hold it: the encrypted gallery" in done.stdout
        assert unproven == bool(given) and "erased" in done.stdout
        assert ("encrypted" in command("gallery", "info", *gallery).stdout) == bool(given)
    assert rows["plain"] == rows["sealed"]
    wrong = tmp_path / "wrong"
    command("gallery", "key", wrong)
    for arguments in (("identify", hopper()), ("gallery", "list"), ("enroll", collins(), "-sX")):
        for given in ((), ("--key-file", wrong)):
            done = command(*arguments, "-g", tmp_path / "sealed", *given)
            assert (done.returncode, done.stdout) == (4, "")
            assert "--key-file" in done.stderr


def test_a_gallery_in_the_clear_needs_no_sqlcipher(tmp_path: Path, path: Path) -> None:
    blocked = "import sys; sys.modules['sqlcipher3'] = None; from facecli.cli import main; "
    code = blocked + "sys.argv = ['facecli', *sys.argv[1:]]; main()"
    run = [sys.executable, "-c", code, "gallery"]
    env = environment(tmp_path / "home")
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text(KEY.digits)
    plain = subprocess.run([*run, "list", "-g", path], env=env, capture_output=True, text=True)
    assert plain.returncode == 0 and "Person 001" in plain.stdout
    sealed = subprocess.run(
        [*run, "encrypt", "-g", path, "--key-file", tmp_path / "key"],
        env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert sealed.returncode == 4
    assert "pip install 'facecli[encrypted]'" in sealed.stderr
    assert path.read_bytes().startswith(b"SQLite")


@NEEDS_READ_ONLY
def test_one_that_may_only_be_read_answers_and_another_key_is_told(tmp_path: Path) -> None:
    command = Unprivileged(tmp_path / "home")
    path, key, wrong = (tmp_path / name for name in ("disc/g", "key", "wrong"))
    for made in (key, wrong):
        assert command("gallery", "key", made).returncode == 0
    assert command("enroll", hopper(), "-sGrace", "-g", path, "--key-file", key).returncode == 0
    before = path.read_bytes()
    closed(path.parent)
    try:
        found = command("identify", hopper(), "-g", path, "--csv", "--key-file", key)
        assert (found.returncode, found.stderr) == (0, "") and ",identified,Grace," in found.stdout
        copied = command("gallery", "backup", tmp_path / "b", "-g", path, "--key-file", key)
        assert copied.returncode == 0, copied.stderr
        refused = command("identify", hopper(), "-g", path, "--key-file", wrong)
        assert refused.returncode == 4 and "does not open with this key" in refused.stderr
        stays = command("gallery", "decrypt", "-g", path, "--key-file", key)
        assert stays.returncode == 4, stays.stdout
    finally:
        path.parent.chmod(0o700)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
