"""A dry run says what would be done, and no byte of the gallery changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.galleries import Command, collins, hopper, new_store, reference, write_variants

from facecli.storage.sqlite.store import GalleryFile


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Command:
    return Command(tmp_path_factory.mktemp("home"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "g.facecli"
    store = new_store(path)
    store.add([reference("Ada", 1), reference("Ada", 2), reference("Bob", 3), reference("Cem", 4)])
    store.remove("Cem")
    store.close()
    return path


VERBS = {
    "rename Ada Eva": "renamed Ada to Eva",
    "merge Ada Bob": "moved 2 references from Ada to Bob",
    "distinct Ada Bob": "Ada and Bob are two people",
    "remove Ada": "removed Ada and 2 references",
    "remove Bob --reference 3": "removed reference 3 of Bob, the last one: the subject is gone",
    "undo": "undone: removal of Cem and 1 reference",
    "purge Ada": "would erase 1 person, 2 references and 0 changes that could be undone",
    "purge --removed": "would erase 1 person, 1 reference and 1 change that could be undone",
    "purge --all": "would erase 3 people, 4 references and 1 change that could be undone",
    "check --repair": "worked out 0 templates and the indices anew, set 0 references aside, "
    "dropped 0 orphans\nsound",
    "log --on": "the audit log is on",
}  # fmt: skip


@pytest.mark.parametrize("words", VERBS)
def test_what_it_says_is_what_would_be_done(command: Command, path: Path, words: str):
    before = path.read_bytes()
    dry = command("gallery", *words.split(), "--dry-run", "-g", path)
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout == f"dry run, nothing was changed: {VERBS[words]}\n"
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert command("gallery", *words.split(), "--yes" if "purge" in words else "-g", *(
        ["-g", path] if "purge" in words else [path]
    )).returncode == 0  # fmt: skip
    assert path.read_bytes() != before, "and without it, it is done"


def test_a_change_that_cannot_be_made_is_refused_dry_as_well(command: Command, path: Path):
    before = path.read_bytes()
    for words in (
        "rename Ada Bob",
        "merge Ada Nobody",
        "distinct Ada Ada",
        "undo 9",
        "purge Nobody",
    ):
        done = command("gallery", *words.split(), "--dry-run", "-g", path)
        assert (done.returncode, done.stdout) == (4, "")
    assert path.read_bytes() == before


def test_import(command: Command, path: Path, tmp_path: Path):
    other = new_store(tmp_path / "other")
    other.add([reference("Dan", 9)])
    other.close()
    command("gallery", "export", tmp_path / "e.jsonl", "-g", tmp_path / "other")
    before = path.read_bytes()
    done = command("gallery", "import", tmp_path / "e.jsonl", "--dry-run", "-g", path)
    assert done.stdout == "dry run, nothing was changed: imported 1 new reference\n"
    assert path.read_bytes() == before


def test_enroll(command: Command, tmp_path: Path):
    path = tmp_path / "new" / "g.facecli"
    words = ["enroll", hopper(), "-s", "Grace Hopper", "-g", path]
    dry = command(*words, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.startswith(
        "dry run, nothing was changed: enrolled 1, already there 0, skipped 0"
    )
    assert not path.parent.exists(), "not even the gallery was made"
    assert command(*words).returncode == 0
    before = path.read_bytes()
    row = json.loads(command(*words, "--dry-run", "--json").stdout)
    assert (row["enrolled"], row["already_there"]) == (0, 1)
    other = command("enroll", collins(), "-s", "Eileen Collins", "-g", path, "--dry-run")
    assert "enrolled 1, already there 0" in other.stdout
    assert path.read_bytes() == before
    store = GalleryFile.open(path)
    assert [s.name for s in store.reader.subjects()] == ["Grace Hopper"]
    store.close()


def test_threshold(command: Command, tmp_path: Path):
    path = tmp_path / "g.facecli"
    write_variants(tmp_path / "p" / "Grace Hopper", hopper(), 6, width=160)
    write_variants(tmp_path / "p" / "Eileen Collins", collins(), 6, width=256)
    assert command("enroll", tmp_path / "p", "-g", path).returncode == 0
    before = path.read_bytes()
    by_hand = command("threshold", "--set", "0.5", "--dry-run", "--json", "-g", path)
    point = json.loads(by_hand.stdout)
    assert (point["threshold"], point["basis"]) == (0.5, "set by hand")
    assert command(
        "threshold", "--calibrate", tmp_path / "p", "--dry-run", "-g", path
    ).returncode == 0  # fmt: skip
    assert path.read_bytes() == before
    assert json.loads(command("threshold", "--json", "-g", path).stdout)["basis"] == (
        "reference table"
    )
    assert command("threshold", "--dry-run", "-g", path).returncode == 2
