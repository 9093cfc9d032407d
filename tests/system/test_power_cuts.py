"""Power cuts and kills at every step of every command that writes; benchmarks try all points."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.cuts import SCENARIOS, InProcess, Scenario, attack
from support.disk import NEEDS_STRACE, Cut, Disk, record

pytestmark = NEEDS_STRACE
QUICK = ("key", "remove")


def tried(scenario: Scenario, folder: Path, most: int | None) -> None:
    if scenario.name in ("encrypt", "rekey", "decrypt"):
        pytest.importorskip("sqlcipher3", reason="NOT CHECKED: pip install 'facecli[encrypted]'")
    found = attack(scenario, folder, InProcess(folder / "home"), most)
    assert found.failures == []
    assert found.survived == found.tried and min(found.tried.values()) > 0


@pytest.mark.parametrize("name", QUICK)
def test_wherever_it_is_cut_off_nothing_is_lost(name: str, tmp_path: Path) -> None:
    (scenario,) = (s for s in SCENARIOS if s.name == name)
    tried(scenario, tmp_path, 12)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_command_that_writes_cut_off_at_many_points(
    scenario: Scenario, tmp_path: Path
) -> None:
    tried(scenario, tmp_path, 40)


# the disk that forgets -----------------------------------------------------------------------

SAVE = """
import os, sys
file = os.open(sys.argv[1] + "/new", os.O_CREAT | os.O_WRONLY)
os.write(file, b"new")
if "file" in sys.argv: os.fsync(file)
os.rename(sys.argv[1] + "/new", sys.argv[1] + "/it")
if "folder" in sys.argv: os.fsync(os.open(sys.argv[1], os.O_RDONLY))
os.write(1, b"saved")
"""


@pytest.mark.parametrize(
    ("synced", "left"),
    [
        ((), {Cut.NOTHING: b"old", Cut.NAMES: b"", Cut.BYTES: b"old", Cut.TORN: b"new"}),
        (("file",), {Cut.NOTHING: b"old", Cut.NAMES: b"new", Cut.BYTES: b"old"}),
        (("folder",), {Cut.NOTHING: b"", Cut.NAMES: b"", Cut.BYTES: b"new"}),
        (("file", "folder"), dict.fromkeys(Cut, b"new")),
    ],
)
def test_what_is_not_synchronised_is_lost(
    tmp_path: Path, synced: tuple[str, ...], left: dict[Cut, bytes]
) -> None:
    """So the tests above can fail: a file that is replaced as many programs do it."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "it").write_bytes(b"old")
    disk = Disk(here)
    operations = record([sys.executable, "-c", SAVE, here, *synced], here, {})
    for operation in operations:
        disk.do(operation)
    assert operations[-1].told == "saved"
    for cut, content in {Cut.KILLED: b"new", **left}.items():
        after = tmp_path / cut.value
        after.mkdir()
        disk.write_to(after, cut)
        assert (after / "it").read_bytes() == content, cut


def test_two_names_of_a_file_and_what_was_there_are_followed(tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "in").mkdir(parents=True)
    (here / "in" / "a").write_bytes(b"0123456789")
    code = (
        "import os, sys; os.chdir('/'); here = sys.argv[1]\n"
        "with open(here + '/in/a', 'r+b') as f:\n"
        "    f.seek(4); f.write(b'XY'); f.truncate(8)\n"
        "os.link(here + '/in/a', here + '/b'); os.mkdir(here + '/d', 0o1700)\n"
        "os.rename(here + '/in/a', here + '/d/c'); os.rmdir(here + '/in'); print('done')"
    )
    disk = Disk(here)
    for operation in record([sys.executable, "-c", code, here], here, {}):
        disk.do(operation)
    after = tmp_path / "after"
    after.mkdir()
    disk.write_to(after, Cut.KILLED)
    for folder in (here, after):
        assert (folder / "d" / "c").samefile(folder / "b")
        assert (folder / "b").read_bytes() == b"0123XY67"
        assert (folder / "d").stat().st_mode & 0o7777 == 0o1700
        assert sorted(path.name for path in folder.iterdir()) == ["b", "d"]
