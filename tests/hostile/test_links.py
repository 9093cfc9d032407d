"""A gallery opened through a link is the file it leads to; planted links are never written through.

benchmarks/reliability tries every command through every kind of link.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from support import links
from support.cuts import InProcess, Place
from support.galleries import new_store, reference

from facecli.common.errors import GalleryError
from facecli.storage.interface import Called
from facecli.storage.search import candidates, sidecar
from facecli.storage.sqlite.files_beside import work_path
from facecli.storage.sqlite.store import GalleryFile


@pytest.mark.parametrize(
    ("kind", "command"),
    [("chained", "purge"), ("relative", "repair"), ("another name", "encrypt"),
     ("folder and file", "backup")],
)  # fmt: skip
def test_through_a_link_it_is_the_file_itself(kind: str, command: str, tmp_path: Path) -> None:
    if command == "encrypt":
        pytest.importorskip("sqlcipher3", reason="NOT CHECKED: pip install 'facecli[encrypted]'")
    links.attack(tmp_path, kind, command, InProcess(tmp_path / "home"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", links.KINDS)
@pytest.mark.parametrize("command", links.COMMANDS)
def test_every_command_through_every_kind_of_link(kind: str, command: str, tmp_path: Path) -> None:
    if command in ("encrypt", "decrypt"):
        pytest.importorskip("sqlcipher3", reason="NOT CHECKED: pip install 'facecli[encrypted]'")
    links.attack(tmp_path, kind, command, InProcess(tmp_path / "home"))


def test_a_link_to_nothing_or_to_itself_is_no_gallery_and_nothing_is_made(tmp_path: Path) -> None:
    """Else whoever plants a link says where a gallery is made."""
    facecli, victim = InProcess(tmp_path / "home"), tmp_path / "elsewhere"
    place = Place(tmp_path / "here", tmp_path, facecli)
    place.here.mkdir()
    with closing(new_store(tmp_path / "other")) as store:
        store.add([reference("Ada", 1)])
    for target, says in ((victim, f"a link to {victim}"), (place.gallery, "symbolic links")):
        place.gallery.unlink(missing_ok=True)
        place.gallery.symlink_to(target)
        done = facecli("gallery", "copy", tmp_path / "other", place.gallery)
        assert done.code == 4 and says in done.err, done.err
        assert facecli("gallery", "list", "-g", place.gallery).code == 4
        with pytest.raises(GalleryError):
            new_store(place.gallery)
        assert place.gallery.is_symlink() and not victim.exists()
        assert list(place.here.iterdir()) == [place.gallery]


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A gallery in a folder where somebody else can make links, to a file of the user's."""
    (tmp_path / "diary").write_bytes(sidecar.MAGIC + b"dear diary")
    (tmp_path / "in").mkdir()
    with closing(new_store(tmp_path / "in" / "g")) as store:
        store.add([reference(f"S{i}", i) for i in range(20)])
    return tmp_path / "in" / "g"


@pytest.mark.parametrize("end", [".rabitq", ".eight", "-wal", "-journal", ".re-embed-grid"])
def test_planted_links_beside_it_are_not_followed(
    planted: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary, link = planted.parents[1] / "diary", planted.with_name(planted.name + end)
    before = diary.read_bytes()
    link.symlink_to(diary)
    monkeypatch.setattr(candidates, "SIDECAR_FROM", 1)
    try:
        with closing(GalleryFile.open(planted)) as store:
            store.add([reference("Ada", 100)])
            for kind in sidecar.ScanKind:
                candidates.sidecar_scan(store.reader, kind, 0.5)
            store.settle()
            store.erase(Called("Ada"))
    except GalleryError as error:
        assert end in ("-wal", "-journal"), error
    assert diary.read_bytes() == before and diary.stat().st_nlink == 1
    if link.is_symlink():
        assert link.readlink() == diary


def test_a_link_where_the_work_of_a_re_embedding_would_lie_is_refused(planted: Path) -> None:
    link = work_path(planted, "grid")
    with closing(new_store(planted.parents[1] / "theirs")) as theirs:
        theirs.add([reference("Eve", 5)])
    link.symlink_to(planted.parents[1] / "theirs")
    with closing(GalleryFile.open(planted)) as store:
        assert store.unfinished() == ()
        store.erase(Called("S3"))
    with closing(GalleryFile.open(planted.parents[1] / "theirs")) as theirs:
        assert theirs.reader.counts() == (1, 1)


def test_a_draft_s_name_that_somebody_took_is_left_alone(planted: Path) -> None:
    diary = planted.parents[1] / "diary"
    folder = planted.with_name(f".{planted.name}.facecli-0123abcd")
    folder.symlink_to(planted.parents[1])
    other = planted.with_name(f".{planted.name}.facecli-0123abce")
    other.mkdir(0o700)
    (other / "facecli").symlink_to(diary)
    (other / "old").symlink_to(diary)
    GalleryFile.open(planted).close()
    assert diary.exists() and folder.is_symlink() and (other / "old").is_symlink()
